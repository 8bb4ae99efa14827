//! Memories by what decisions look them up by, so that none of them searches a whole bank.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::MemoryId;
use crate::memory::Memory;
use crate::similar::Signature;
use crate::text::Term;
use crate::time::Timestamp;

/// What memories are looked up by, besides their words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listed {
    /// The name of an attribute.
    Attribute(String),
    /// The same, whether it denies its value, and a term of that.
    Value(String, bool, Term),
    Session(String),
    /// Somebody or something that is named, in lower case.
    Entity(String),
    /// The week of something felt: whole weeks since 1970.
    Felt(i64),
}

impl Listed {
    const WEEK_SECONDS: i64 = 7 * 24 * 3_600;

    /// The week of a time.
    pub(crate) const fn felt_at(time: Timestamp) -> i64 {
        time.micros().div_euclid(Self::WEEK_SECONDS * 1_000_000)
    }

    /// The lists that a memory is on. One may be named twice.
    fn of(memory: &Memory) -> impl Iterator<Item = Self> {
        let attribute = memory.attribute.iter().flat_map(|attribute| {
            let terms = Signature::of(&attribute.value).terms.into_iter();
            let values = terms.map(|term| Self::Value(attribute.name.clone(), attribute.denies(), term));
            values.chain([Self::Attribute(attribute.name.clone())])
        });
        let session = memory.session_id.iter().map(|session| Self::Session(session.clone()));
        let entities = memory.entities.iter().map(|entity| Self::Entity(entity.to_lowercase()));
        let felt = memory.emotion.iter().map(|_| Self::Felt(Self::felt_at(memory.event_time)));
        attribute.chain(session).chain(entities).chain(felt)
    }
}

/// The ids on each list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists(BTreeMap<Listed, BTreeSet<MemoryId>>);

impl Lists {
    pub(crate) fn put(&mut self, memory: &Memory) {
        for list in Listed::of(memory) {
            self.0.entry(list).or_default().insert(memory.id);
        }
    }

    /// Takes a memory off its lists; it must be as it was put.
    pub(crate) fn remove(&mut self, memory: &Memory) {
        for list in Listed::of(memory) {
            if let Some(ids) = self.0.get_mut(&list)
                && ids.remove(&memory.id)
                && ids.is_empty()
            {
                self.0.remove(&list);
            }
        }
    }

    pub(crate) fn on(&self, list: &Listed) -> impl Iterator<Item = MemoryId> + use<'_> {
        self.0.get(list).into_iter().flatten().copied()
    }
}
