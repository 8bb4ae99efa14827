//! Histories in which everything happens that may happen to a subject: turns of all voices, repeats, corrections,
//! deletions, feedback, wishes, withdrawn consent, several sessions, long silences, resent events, and forgets of all kinds.

use memory_core::{Control, EventId, Handle, MemoryId, Offset, Recorded, Subject, TenantId, Timestamp};
use serde_json::{Value, json};

use crate::{Random, events, secret};

const PEOPLE: [&str; 6] = ["my sister Anna", "Doctor Ruiz", "Priya", "my manager Tom", "our neighbour Ilse", "my son"];
const PLACES: [&str; 6] = ["Berlin", "Garmisch", "Lisbon", "the office in Oslo", "Kyoto", "the clinic"];
const DEEDS: [&str; 6] =
    ["I moved to", "I love hiking near", "I am allergic to the dust in", "I work in", "We met in", "I was afraid in"];
const SMALL_TALK: [&str; 5] = ["ok", "Hi there!", "thanks", "hm, go on", "see you"];

/// Makes `events` events of `subjects` subjects of two tenants, in the order of one log with rising offsets, with the
/// owner of each. The same arguments always make the same history.
///
/// # Panics
/// When there are to be events of no subjects.
#[must_use]
pub fn lively_history(seed: u64, subjects: usize, events: usize) -> Vec<(Handle, Recorded)> {
    let mut random = Random::new(seed);
    let mut speakers: Vec<Speaker> = (0..subjects).map(Speaker::new).collect();
    let mut clock = Timestamp::from_seconds(1_700_000_000);
    let mut history: Vec<(Handle, Recorded)> = Vec::with_capacity(events);
    for offset in (0_u64..).map(Offset::new).take(events) {
        let silence = if random.chance(4) { 7_200 } else { 1 + random.below(90) };
        clock = clock.plus_seconds(i64::try_from(silence).expect("a short silence"));
        let place = random.index(speakers.len());
        let speaker = &mut speakers[place];
        let again = if random.chance(8) { speaker.repeat(&mut random) } else { None };
        let value = again.unwrap_or_else(|| speaker.next(&mut random, clock, offset));
        history.push((speaker.handle, events::recorded(&speaker.tenant, clock, offset, &value)));
    }
    history
}

/// The events of a history that take nothing back: for tests of something else that a forget would be in the way of.
#[must_use]
pub fn without_forgets(history: Vec<(Handle, Recorded)>) -> Vec<(Handle, Recorded)> {
    let forgets = |recorded: &Recorded| recorded.event.control.as_deref().and_then(Control::forgets).is_some();
    history.into_iter().filter(|(_, recorded)| !forgets(recorded)).collect()
}

struct Speaker {
    tenant: TenantId,
    handle: Handle,
    /// The field that names the owner, and the owner's id.
    owner: (&'static str, String),
    session: u64,
    /// Events so far, to be sent again or referred to.
    said: Vec<Value>,
    memories: Vec<MemoryId>,
    remembers: bool,
}

impl Speaker {
    /// Names repeat between tenants and kinds: who mixes them up mixes up people.
    fn new(number: usize) -> Self {
        let tenant = TenantId::try_new(format!("tenant-{}", number % 2)).expect("a tenant's name");
        let id = format!("someone-{}", number / 4);
        let (field, owner) = if number % 4 < 2 {
            ("user_id", Subject::owner(&tenant, Some(&id), None, None))
        } else {
            ("agent_id", Subject::owner(&tenant, None, Some(&id), None))
        };
        let handle = owner.expect("an owner was named").handle(&secret());
        Self { tenant, handle, owner: (field, id), session: 0, said: Vec::new(), memories: Vec::new(), remembers: true }
    }

    fn next(&mut self, random: &mut Random, clock: Timestamp, offset: Offset) -> Value {
        let mut value = match random.below(100) {
            0..63 => self.turn(random, offset),
            63..66 => self.forget(random, clock),
            66..73 => events::correct(self.memory(random), &sentence(random, offset)),
            73..79 => events::delete(self.memory(random)),
            79..85 => events::feedback(&[self.memory(random), self.memory(random)], random.chance(60)),
            85..91 => events::remember(&sentence(random, offset)),
            91..95 => self.end(),
            95..97 => self.consent(random),
            _ => json!({"type": "note", "content": sentence(random, offset), "tags": ["note", "test"]}),
        };
        let id = format!("event-{offset}");
        value[self.owner.0] = json!(self.owner.1);
        value["session_id"] = json!(format!("session-{}", self.session));
        value["id"] = json!(id);
        self.memories.push(MemoryId::of_event(self.handle, &EventId::try_new(id).expect("an id")));
        self.said.push(value.clone());
        value
    }

    /// One of the newest events, as a producer sends it again that heard no answer.
    fn repeat(&self, random: &mut Random) -> Option<Value> {
        let newest = &self.said[self.said.len().saturating_sub(10)..];
        (!newest.is_empty()).then(|| random.pick(newest).clone())
    }

    fn turn(&self, random: &mut Random, offset: Offset) -> Value {
        let mut value = match random.below(10) {
            0..2 => events::turn(SMALL_TALK[random.index(SMALL_TALK.len())]),
            2..4 if !self.said.is_empty() => {
                events::turn(random.pick(&self.said)["content"].as_str().unwrap_or("well"))
            }
            _ => events::turn(&sentence(random, offset)),
        };
        match random.below(20) {
            0..4 => value["role"] = json!("assistant"),
            4 => value["role"] = json!("tool"),
            5 => value["remember"] = json!(false),
            6 => value["recalled"] = json!(true),
            7 => {
                value["content"] = json!(format!("<memos-context>{}</memos-context> I see.", sentence(random, offset)))
            }
            8 => value["speaker"] = json!("Anna"),
            9 => value["metadata"] = json!({"ticket": random.below(1_000), "where": random.pick(&PLACES)}),
            _ => {}
        }
        value
    }

    /// Everything is forgotten rarely, or nothing would ever be remembered for long.
    fn forget(&self, random: &mut Random, clock: Timestamp) -> Value {
        let ago = |seconds: u64| text(clock.plus_seconds(-i64::try_from(seconds).expect("not so long ago")));
        let from = 60 + random.below(7_200);
        events::forget(match random.below(12) {
            0..2 => json!({"everything": true}),
            2..4 => json!({"memory_ids": [self.memory(random), self.memory(random)]}),
            4..7 if !self.said.is_empty() => {
                json!({"event_ids": [random.pick(&self.said)["id"], "nothing-of-this-name"]})
            }
            7 => json!({"session_id": format!("session-{}", self.session.saturating_sub(random.below(3)))}),
            8 => json!({"origin": random.pick(&["user", "assistant", "tool"]), "from": ago(from)}),
            9 => json!({"from": ago(from), "to": ago(from / 2)}),
            _ => json!({"memory_ids": [self.memory(random)], "event_ids": ["nothing-of-this-name"]}),
        })
    }

    /// One of the memories that the newest events may have become; one that never was when there are none.
    fn memory(&self, random: &mut Random) -> MemoryId {
        let newest = &self.memories[self.memories.len().saturating_sub(40)..];
        if newest.is_empty() {
            return MemoryId::of_event(self.handle, &EventId::try_new("nothing").expect("an id"));
        }
        *random.pick(newest)
    }

    fn end(&mut self) -> Value {
        self.session += 1;
        events::session_end()
    }

    /// Consent is withdrawn at times, and mostly given back soon.
    fn consent(&mut self, random: &mut Random) -> Value {
        self.remembers = !self.remembers || random.chance(30);
        events::consent(self.remembers)
    }
}

/// A time in the outside form.
fn text(time: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(time.micros()).expect("a time of our days").to_string()
}

fn sentence(random: &mut Random, offset: Offset) -> String {
    let (deed, place, person) = (random.pick(&DEEDS), random.pick(&PLACES), random.pick(&PEOPLE));
    format!("{deed} {place} with {person}, on day {offset} of {}.", 2_000 + random.below(30))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use memory_core::EventType;
    use memory_core::step::{Body, Change, Fate, Row};

    use super::*;
    use crate::fold;

    #[test]
    fn the_same_seed_makes_the_same_history_and_another_seed_another() {
        assert_eq!(lively_history(5, 4, 200), lively_history(5, 4, 200));
        assert_ne!(lively_history(5, 4, 200), lively_history(6, 4, 200));
    }

    /// A generator that stopped making some kind of event would leave every test that uses it green.
    #[test]
    fn everything_happens_that_may_happen() {
        let history = lively_history(1, 9, 3_000);
        let kinds: BTreeSet<String> =
            history.iter().map(|(_, recorded)| format!("{:?}", recorded.event.kind)).collect();
        assert_eq!(kinds.len(), 9, "{kinds:?} lacks one; {:?} alone is made by memos", EventType::IdleTick);
        let ids: BTreeSet<_> = history.iter().map(|(handle, recorded)| (*handle, recorded.event.id.clone())).collect();
        assert!(ids.len() < history.len() - 100, "events are sent again");
        let folded = fold(&history);
        assert_eq!(folded.people.len(), 9);
        let (mut fates, mut scopes) = (BTreeSet::new(), BTreeMap::new());
        for step in &folded.steps {
            let rows: Vec<&Row> = match &step.body {
                Body::Changes { changes, .. } => changes.iter().filter_map(put).collect(),
                Body::Snapshot { rows, .. } => rows.iter().collect(),
            };
            fates.extend(
                rows.into_iter().filter_map(|row| if let Row::Fate(row) = row { Some(name(row.fate)) } else { None }),
            );
            if let Some(erased) = step.erased() {
                let (forgets, memories) = scopes.entry(erased.scope.clone()).or_insert((0, 0));
                *forgets += 1;
                *memories += erased.memories;
            }
        }
        let expected = [
            "Applied",
            "Deleted",
            "Kept",
            "LowSalience",
            "Merged",
            "NoConsent",
            "NoSuchMemory",
            "NotWanted",
            "Recalled",
        ];
        assert_eq!(fates.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(scopes.len(), 3, "{scopes:?} lacks one");
        for (scope, (forgets, memories)) in scopes {
            assert!(forgets > 3 && memories >= 10, "{forgets} forgets of {scope} took {memories} memories");
        }
        let kept = without_forgets(history);
        assert!(fold(&kept).steps.iter().all(|step| step.erased().is_none()), "all of them are left out");
    }

    fn put(change: &Change) -> Option<&Row> {
        match change {
            Change::Put(row) => Some(row),
            Change::Delete(_) => None,
        }
    }

    fn name(fate: Fate) -> String {
        match fate {
            Fate::Kept(_) => "Kept".to_owned(),
            Fate::Merged(_) => "Merged".to_owned(),
            Fate::NotKept(reason) => format!("{reason:?}"),
            Fate::Applied => "Applied".to_owned(),
            Fate::NoSuchMemory => "NoSuchMemory".to_owned(),
            Fate::Deleted => "Deleted".to_owned(),
        }
    }
}
