//! Memories by what decisions look them up by, so that none of them searches a whole bank.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::ids::MemoryId;
use crate::memory::Memory;
use crate::text::{self, Term};
use crate::time::Timestamp;

/// What memories are looked up by, besides their words: a hash of what it is and of its name. As with a [`Term`], who makes two of
/// them collide mixes up what is his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed(Term);

impl Listed {
    const WEEK_SECONDS: i64 = 7 * 24 * 3_600;

    fn of(what: &[u8], name: &[u8]) -> Self {
        Self(Term::of_bytes(what.iter().chain(b":").chain(name).copied()))
    }

    /// The name of an attribute.
    #[must_use]
    pub fn attribute(name: &str) -> Self {
        Self::of(b"attribute", name.as_bytes())
    }

    /// The same, whether it denies its value, and a term of that.
    #[must_use]
    pub(crate) fn value(name: &str, denies: bool, term: Term) -> Self {
        let of = [&term.to_bytes()[..], &[u8::from(denies)], name.as_bytes()].concat();
        Self::of(b"value", &of)
    }

    pub(crate) fn session(session: &str) -> Self {
        Self::of(b"session", session.as_bytes())
    }

    /// Somebody or something that is named, in lower case.
    pub(crate) fn entity(name: &str) -> Self {
        Self::of(b"entity", name.as_bytes())
    }

    /// Something felt in a week, as [`Listed::week`] counts.
    pub(crate) fn felt(week: i64) -> Self {
        Self::of(b"felt", &week.to_be_bytes())
    }

    /// The week of a time: whole weeks since 1970.
    pub(crate) const fn week(time: Timestamp) -> i64 {
        time.micros().div_euclid(Self::WEEK_SECONDS * 1_000_000)
    }

    /// The lists that a memory is on. One may be named twice.
    fn all_of(memory: &Memory) -> impl Iterator<Item = Self> {
        let attribute = memory.attribute.iter().flat_map(|attribute| {
            let terms = text::terms(&attribute.value).into_iter();
            let values = terms.map(|term| Self::value(&attribute.name, attribute.denies(), term));
            values.chain([Self::attribute(&attribute.name)])
        });
        let session = memory.session_id.iter().map(|session| Self::session(session));
        let entities = memory.entities.iter().map(|entity| Self::entity(&entity.to_lowercase()));
        let felt = memory.emotion.iter().map(|_| Self::felt(Self::week(memory.event_time)));
        attribute.chain(session).chain(entities).chain(felt)
    }
}

/// Who is on which list: one flat set, since most lists are short.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists(BTreeSet<(Listed, MemoryId)>);

impl Lists {
    /// Roughly how many bytes one entry takes in RAM.
    const ENTRY_BYTES: usize = 36;

    pub(crate) fn put(&mut self, memory: &Memory) {
        self.0.extend(Listed::all_of(memory).map(|list| (list, memory.id)));
    }

    /// Takes a memory off its lists; it must be as it was put.
    pub(crate) fn remove(&mut self, memory: &Memory) {
        for list in Listed::all_of(memory) {
            self.0.remove(&(list, memory.id));
        }
    }

    pub(crate) fn on(&self, list: Listed) -> impl Iterator<Item = MemoryId> + use<'_> {
        let first = MemoryId::from_uuid(Uuid::nil());
        let last = MemoryId::from_uuid(Uuid::max());
        self.0.range((list, first)..=(list, last)).map(|(_, id)| *id)
    }

    /// Roughly how many bytes they take in RAM.
    pub(crate) fn weight(&self) -> usize {
        Self::ENTRY_BYTES * self.0.len()
    }
}
