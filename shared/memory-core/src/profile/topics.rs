//! What comes up again and again: people, places and things that are named, and values of attributes, on two days or more.
//!
//! Days are counted and not mentions, because one long talk about something is one occasion. What assistants and tools
//! bring up is not the person's topic, and what memos made of several memories itself brings up nothing new.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::{SOURCES_MAX, sources};
use crate::event::Origin;
use crate::ids::{EventId, MemoryId, Seq};
use crate::memory::{Kind, Memory, Source};
use crate::time::Timestamp;

/// The most topics that a profile shows.
const TOPICS_MAX: usize = 20;
/// On so many different days (UTC) something has come up before it is a topic.
const DAYS_MIN: usize = 2;
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;

/// Something that comes up again and again.
#[derive(Clone, PartialEq, Eq)]
pub struct Topic {
    /// As it was written last.
    pub name: String,
    /// On how many different days it came up.
    pub days: u32,
    pub first: Timestamp,
    pub last: Timestamp,
    /// The newest memories of it, oldest first; at most [`SOURCES_MAX`].
    pub memories: Vec<MemoryId>,
    /// The newest events of it, oldest first.
    pub sources: Vec<EventId>,
}

/// The redacting form: how often it came up.
impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic({} bytes, {} days)", self.name.len(), self.days)
    }
}

/// What is gathered of one name.
#[derive(Default)]
struct Mentions<'a> {
    /// By time, so that the last is the newest.
    memories: BTreeSet<(Timestamp, MemoryId)>,
    newest: Option<(Timestamp, MemoryId, &'a str)>,
    events: BTreeMap<(Timestamp, Seq), &'a Source>,
}

impl<'a> Mentions<'a> {
    fn add(&mut self, memory: &'a Memory, name: &'a str, now: Timestamp) {
        let written = (memory.event_time, memory.id, name);
        self.newest = self.newest.max(Some(written));
        self.memories.insert((memory.event_time, memory.id));
        let happened = memory.sources.iter().filter(|source| source.time <= now);
        self.events.extend(happened.map(|source| ((source.time, source.seq), source)));
    }

    fn topic(&self) -> Option<Topic> {
        let days: BTreeSet<i64> = self.events.keys().map(|(time, _)| time.micros().div_euclid(DAY_MICROS)).collect();
        if days.len() < DAYS_MIN {
            return None;
        }
        let ((first, _), (last, _)) = (*self.events.first_key_value()?.0, *self.events.last_key_value()?.0);
        let skipped = self.memories.len().saturating_sub(SOURCES_MAX);
        Some(Topic {
            name: self.newest?.2.to_owned(),
            days: u32::try_from(days.len()).unwrap_or(u32::MAX),
            first,
            last,
            memories: self.memories.iter().skip(skipped).map(|(_, id)| *id).collect(),
            sources: sources(self.events.values().copied()),
        })
    }
}

/// The topics of these memories, those of the most days first; of equals the one that came up last.
pub(super) fn of(known: &[&Memory], now: Timestamp) -> Vec<Topic> {
    let mut named: BTreeMap<String, Mentions<'_>> = BTreeMap::new();
    for memory in known.iter().filter(|memory| is_told(memory)) {
        let value = memory.attribute.as_ref().map(|attribute| &attribute.value);
        for name in memory.entities.iter().chain(value).map(|name| name.trim()).filter(|name| !name.is_empty()) {
            named.entry(name.to_lowercase()).or_default().add(memory, name, now);
        }
    }
    let mut topics: Vec<Topic> = named.values().filter_map(Mentions::topic).collect();
    topics
        .sort_by(|a, b| (Reverse(a.days), Reverse(a.last), &a.name).cmp(&(Reverse(b.days), Reverse(b.last), &b.name)));
    topics.truncate(TOPICS_MAX);
    topics
}

/// Whether it is what a person said: of a lesson the value is how it ended, of a pattern it is what was counted.
fn is_told(memory: &Memory) -> bool {
    let of_person = matches!(memory.origin, Origin::User | Origin::ThirdParty);
    of_person
        && match memory.kind {
            Kind::Episode | Kind::Fact | Kind::Preference => true,
            Kind::Lesson | Kind::Pattern | Kind::Summary => false,
        }
}
