//! What the end of a conversation leaves behind: a summary of it, and what keeps coming back over many.
//!
//! A summary is extractive: the turns that mattered most, in the words in which they were said. A pattern counts: a
//! person, place or thing that comes up in one conversation after the other, and how moods go from week to week. Both
//! name the memories' sources, so what is taken back is taken out of them as well.
//!
//! They are made of what the bank holds when a session ends. Where that changes one, the turn that ended the session becomes
//! a source of it too: so a fold of the kept sources makes it at the same place again.

use std::collections::{BTreeMap, BTreeSet};

use super::Draft;
use crate::consolidation::Trigger;
use crate::event::Origin;
use crate::ids::MemoryId;
use crate::lists::Listed;
use crate::memory::{Attribute, Kind, Memory, Source, Status};
use crate::text;
use crate::turn::Turn;

/// Memories that a session must have left for a summary to be shorter than they are, and how many are quoted.
const SUMMARY_MIN: usize = 4;
const SUMMARY_TURNS: usize = 3;
/// The most bytes of each.
const QUOTE_BYTES_MAX: usize = 240;
/// A topic is written down when it has come up in so many conversations, and again at each further number: a bank that
/// is talked about every day is not rewritten every day.
const RECURS_AT: [usize; 9] = [3, 5, 8, 13, 21, 34, 55, 89, 144];
/// The most sources of a pattern; the newest.
const SOURCES_OF_PATTERN: usize = 16;
/// Weeks that a trend looks back on, weeks that it needs, and memories with a feeling that a week needs.
const WEEKS: i64 = 8;
const WEEKS_MIN: usize = 3;
const FELT_MIN: usize = 2;
/// Change of mean valence, of 2000, from the first half of the weeks to the second that is a trend.
const TREND_AT: i64 = 200;
const WEEK_SECONDS: i64 = 7 * 24 * 3_600;

impl Draft<'_> {
    /// Sums up the session that this window ends, if it ends one.
    pub(super) fn close_session(&mut self) {
        let window = self.window;
        let kept = |turn: &&Turn| self.kept.contains(&turn.seq);
        let last_kept = window.turns.iter().rev().find(kept);
        let anchor = match window.trigger {
            // The control that ends it is the last turn, also where the window is folded again.
            Trigger::SessionEnd | Trigger::Tick => window.turns.last(),
            Trigger::Gap => last_kept,
            Trigger::Size | Trigger::Salient | Trigger::Control => None,
        };
        let Some(anchor) = anchor else { return };
        let session = anchor.event.session_id.as_ref().or_else(|| last_kept?.event.session_id.as_ref());
        let Some(session) = session else { return };
        for memory in self.recurring(anchor, session) {
            self.write_down(anchor, memory);
        }
    }

    fn recurring(&self, anchor: &Turn, session: &str) -> Vec<Memory> {
        let said = self.turns_on(Listed::session(session));
        let mut made = self.topics(anchor, &said);
        made.extend(self.summary(anchor, session, &said));
        made.extend(self.mood(anchor));
        made
    }

    /// What was said itself of a list, by time.
    fn turns_on(&self, list: Listed) -> Vec<&Memory> {
        let mut turns: Vec<&Memory> = self.bank.listed(list).filter(is_turn).collect();
        turns.sort_unstable_by_key(|memory| (memory.event_time, memory.id));
        turns
    }

    fn summary(&self, anchor: &Turn, session: &str, said: &[&Memory]) -> Option<Memory> {
        if said.len() < SUMMARY_MIN {
            return None;
        }
        let mut chosen: Vec<&Memory> = said.to_vec();
        chosen.sort_by_key(|memory| std::cmp::Reverse(memory.salience));
        chosen.truncate(SUMMARY_TURNS);
        chosen.sort_unstable_by_key(|memory| (memory.event_time, memory.id));
        let lines: Vec<String> = chosen.iter().map(|memory| text::beginning(&memory.text, QUOTE_BYTES_MAX)).collect();
        let mut summary = self.made_of(anchor, Kind::Summary, ("session", session), &chosen);
        summary.text = lines.join(" · ");
        summary.session_id = Some(session.to_owned());
        Some(summary)
    }

    /// Topics of this session that have come up in so many that it is worth a note.
    fn topics(&self, anchor: &Turn, said: &[&Memory]) -> Vec<Memory> {
        let mut names: BTreeMap<String, &str> = BTreeMap::new();
        for entity in said.iter().flat_map(|memory| &memory.entities) {
            names.entry(entity.to_lowercase()).or_insert(entity);
        }
        let note = |(key, name): (String, &str)| {
            let list = Listed::entity(&key);
            let sessions = self.sessions_of(list);
            RECURS_AT.contains(&sessions).then(|| {
                let mut topic = self.made_of(anchor, Kind::Pattern, ("topic", &key), &self.turns_on(list));
                topic.attribute = Some(Attribute { name: "topic".to_owned(), value: name.to_owned(), negated: false });
                topic.text = format!("{name}: comes up in {sessions} conversations.");
                topic
            })
        };
        names.into_iter().filter_map(note).collect()
    }

    /// In how many conversations something came up. Nobody asks for more than the last of [`RECURS_AT`], so counting ends
    /// behind it.
    fn sessions_of(&self, list: Listed) -> usize {
        let most = RECURS_AT[RECURS_AT.len() - 1];
        let mut sessions = BTreeSet::new();
        for memory in self.bank.listed(list).filter(is_turn) {
            sessions.insert(&memory.session_id);
            if sessions.len() > most {
                break;
            }
        }
        sessions.len()
    }

    /// How the user's mood has gone over the last weeks, where enough is known of it.
    fn mood(&self, anchor: &Turn) -> Option<Memory> {
        let now = anchor.event.time;
        let this_week = Listed::week(now);
        let mut weeks: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        let mut felt = Vec::new();
        for memory in (this_week - WEEKS..=this_week).flat_map(|week| self.turns_on(Listed::felt(week))) {
            let ago = now.seconds_since(memory.event_time).div_euclid(WEEK_SECONDS);
            let emotion = memory.emotion.filter(|_| memory.origin == Origin::User && (0..WEEKS).contains(&ago));
            if let Some(emotion) = emotion {
                weeks.entry(-ago).or_default().push(i64::from(emotion.valence));
                felt.push(memory);
            }
        }
        weeks.retain(|_, values| values.len() >= FELT_MIN);
        if weeks.len() < WEEKS_MIN {
            return None;
        }
        let means: Vec<i64> = weeks.values().map(|values| mean(values)).collect();
        let (early, late) = means.split_at(means.len() / 2);
        let (early, late) = (mean(early), mean(late));
        let trend = match late - early {
            change if change >= TREND_AT => "rising",
            change if change <= -TREND_AT => "falling",
            _ => "steady",
        };
        let mut mood = self.made_of(anchor, Kind::Pattern, ("pattern", "mood"), &felt);
        mood.attribute = Some(Attribute { name: "mood".to_owned(), value: trend.to_owned(), negated: false });
        mood.text = format!("Mood: {trend} over {} weeks.", weeks.len());
        Some(mood)
    }

    /// A memory that is made of others, and of the turn that was the occasion.
    fn made_of(&self, anchor: &Turn, kind: Kind, (whole, part): (&str, &str), of: &[&Memory]) -> Memory {
        let subject = self.window.subject;
        let mut memory = Memory::of_turn(subject, anchor, kind, String::new());
        let newest = &of[of.len().saturating_sub(SOURCES_OF_PATTERN)..];
        memory.id = MemoryId::of_part(subject, whole, part);
        memory.part_of = newest.last().map(|last| last.id);
        memory.event_time = newest.last().map_or(memory.event_time, |last| last.event_time);
        memory.valid_from = of.first().map_or(memory.valid_from, |first| first.event_time);
        memory.salience = of.iter().map(|one| one.salience).max().unwrap_or(0);
        memory.origin = of.iter().map(|one| one.origin).min().unwrap_or(memory.origin);
        (memory.speaker, memory.tags, memory.metadata) = (None, Vec::new(), serde_json::Map::new());
        memory.critical = false;
        let sources = newest.iter().filter_map(|one| one.sources.first()).cloned();
        let mut sources: Vec<Source> = sources.chain([Source::of(anchor)]).collect();
        sources.sort_unstable_by_key(|source| source.seq);
        sources.dedup();
        memory.sources = sources;
        memory
    }

    /// Writes down a memory of this kind, or that it says something else now.
    fn write_down(&mut self, anchor: &Turn, mut memory: Memory) {
        match self.bank.get(memory.id).cloned() {
            Some(known) if known.text == memory.text => {}
            Some(known) => {
                (memory.version, memory.created_at) = (known.version, known.created_at);
                (memory.reinforced, memory.useful, memory.pinned) = (known.reinforced, known.useful, known.pinned);
                self.put_source(anchor);
                self.put_revised(anchor, known.text, memory);
            }
            None if self.make_room(anchor, &memory) => {
                self.put_source(anchor);
                self.put_memory(memory);
            }
            None => {}
        }
    }
}

fn is_turn(memory: &&Memory) -> bool {
    // What is to be gone at a time must not stay in what is made of it.
    memory.kind == Kind::Episode && memory.status == Status::Active && memory.expires_at.is_none()
}

fn mean(values: &[i64]) -> i64 {
    values.iter().sum::<i64>() / i64::try_from(values.len()).unwrap_or(1).max(1)
}
