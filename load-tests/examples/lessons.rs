//! Whether mistakes are learnt from: `lessons [DATA]`, by default `load-tests/data/lessons.jsonl`. Its cases may be looked at;
//! those of `lessons-unseen.jsonl` are there to be counted only.
//!
//! One user has as many conversations as there are cases: asks for something, is answered, and says what was wrong. Then
//! tasks like each come up, with the memory of all of them: `again`, the same kind of task in the words that are usual for it,
//! and `similar`, one that has hardly a word in common with it. Printed are the share of the conversations that left a lesson,
//! and in how many the lesson, or the correction itself, is the first or among the first three that recall brings back.

#![cfg_attr(not(test), expect(clippy::print_stdout, reason = "its report goes there"))]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use embedding::BuiltIn;
use memory_core::event::{Event, UnknownFields};
use memory_core::memory::{Kind, Memory};
use memory_core::query::Query;
use memory_core::rank::{self, Found};
use memory_core::subject::{HashSecret, Subject, TenantId};
use memory_core::{Bank, Offset, Recorded, Rules, StepNumber, Timestamp, WorkingMemory, consolidate};
use serde_json::{Value, json};

const DAY: i64 = 86_400;
const BEGIN: i64 = 1_770_000_000;

/// The fields of a case.
const FIELDS: [&str; 5] = ["task", "answer", "correction", "again", "similar"];

struct Case([String; FIELDS.len()]);

impl Case {
    fn read(line: &str) -> anyhow::Result<Self> {
        let case: Value = serde_json::from_str(line).context("a case is JSON")?;
        let mut said = [const { String::new() }; FIELDS.len()];
        for (said, field) in said.iter_mut().zip(FIELDS) {
            case[field].as_str().with_context(|| format!("a case has no {field}"))?.clone_into(said);
        }
        Ok(Self(said))
    }
}

fn main() -> anyhow::Result<()> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/lessons.jsonl");
    let file = std::env::args().nth(1).map_or(own, PathBuf::from);
    let learnt = learn(&file)?;
    println!("{} cases, {} % left a lesson", learnt.cases, learnt.percent(learnt.lessons));
    for (field, found) in FIELDS[3..].iter().zip(&learnt.found) {
        for (task, place) in found {
            println!("{:>3} {task}", place.map_or_else(|| "-".to_owned(), |place| (place + 1).to_string()));
        }
        let among = |first| learnt.among_first(found, first);
        println!("{field}: first in {} %, among the first three in {} %", among(1), among(3));
    }
    Ok(())
}

/// A task, and how many memories recall puts before those of its case.
type Asked = (String, Option<usize>);

/// What was learnt of the cases of a file.
pub(crate) struct Learnt {
    cases: usize,
    /// Cases that left a lesson.
    pub(crate) lessons: usize,
    /// For the same kind of task, and for a similar one.
    pub(crate) found: [Vec<Asked>; 2],
}

impl Learnt {
    pub(crate) fn percent(&self, count: usize) -> usize {
        100 * count / self.cases.max(1)
    }

    /// In how many percent a memory of the case was among the first so many.
    pub(crate) fn among_first(&self, found: &[Asked], first: usize) -> usize {
        self.percent(found.iter().filter(|(_, place)| place.is_some_and(|place| place < first)).count())
    }
}

pub(crate) fn learn(file: &Path) -> anyhow::Result<Learnt> {
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let cases = text
        .lines()
        .map(Case::read)
        .collect::<anyhow::Result<Vec<_>>>()
        .with_context(|| format!("read {}", file.display()))?;
    let bank = remember(&cases);
    let now = Timestamp::from_seconds(BEGIN + DAY * i64::try_from(cases.len()).context("too many cases")?);
    let of_case = |place: usize| {
        let said = said(place);
        move |memory: &Memory| memory.sources.iter().any(|source| source.event_id.as_str() == said)
    };
    let lessons = (0..cases.len()).filter(|place| {
        let of_case = of_case(*place);
        bank.memories().any(|memory| memory.kind == Kind::Lesson && of_case(memory))
    });
    let ask = |task: usize| {
        let ask_one = |(place, Case(case)): (usize, &Case)| {
            let of_case = of_case(place);
            let hits = rank::rank(&Query::new(&case[task], 200), &bank, &[], now);
            let place = hits.iter().position(|hit| matches!(hit.found, Found::Memory(memory) if of_case(memory)));
            (case[task].clone(), place)
        };
        cases.iter().enumerate().map(ask_one).collect()
    };
    Ok(Learnt { cases: cases.len(), lessons: lessons.count(), found: [ask(3), ask(4)] })
}

/// The id of the turn in which a case is corrected.
fn said(place: usize) -> String {
    format!("{place} correction")
}

/// The memory of a user after all conversations, a day each.
fn remember(cases: &[Case]) -> Bank {
    let tenant = TenantId::try_new("tenant").expect("a tenant");
    let owner = Subject::owner(&tenant, Some("user"), None, None).expect("an owner");
    let mut working = WorkingMemory::new(owner.handle(&HashSecret::new([1; 32])), owner);
    let rules = Rules::default();
    let mut bank = Bank::load_ranked(StepNumber::FIRST, [], &BuiltIn);
    let mut offset = 0;
    for (place, Case([task, answer, correction, ..])) in cases.iter().enumerate() {
        let time = Timestamp::from_seconds(BEGIN + DAY * i64::try_from(place).expect("few"));
        let turn = |id: String, role: &str, content: &str| json!({"id": id, "user_id": "user", "session_id": format!("s{place}"), "role": role, "content": content});
        let events = [
            turn(format!("{place} task"), "user", task),
            turn(format!("{place} answer"), "assistant", answer),
            turn(said(place), "user", correction),
            json!({"id": format!("{place} end"), "user_id": "user", "session_id": format!("s{place}"), "type": "session_end"}),
        ];
        for event in events {
            let event = Event::parse(event.as_object().expect("an object"), UnknownFields::Refuse, None, time)
                .expect("our own event");
            let offset = {
                offset += 1;
                Offset::new(offset)
            };
            let recorded = Recorded { tenant: tenant.clone(), arrived: time, offset, event: Arc::new(event) };
            for closed in working.apply(&rules, &recorded).closed {
                bank.apply(&consolidate(&bank, &closed.consolidation.with_candidates(), None));
            }
        }
    }
    bank
}
