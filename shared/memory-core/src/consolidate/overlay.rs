//! A bank as it would be after the turns that were looked at so far, without touching the bank.

use std::collections::BTreeMap;

use crate::bank::Bank;
use crate::consolidation::Owner;
use crate::ids::MemoryId;
use crate::memory::Memory;
use crate::similar::Signature;
use crate::time::Timestamp;

pub(super) struct Overlay<'a> {
    bank: &'a Bank,
    /// What the window changed.
    changed: BTreeMap<MemoryId, Memory>,
}

impl<'a> Overlay<'a> {
    pub(super) const fn new(bank: &'a Bank) -> Self {
        Self { bank, changed: BTreeMap::new() }
    }

    pub(super) fn get(&self, id: MemoryId) -> Option<&Memory> {
        match self.changed.get(&id) {
            Some(changed) => Some(changed),
            None => self.bank.get(id),
        }
    }

    pub(super) fn changed(&mut self, memory: Memory) {
        self.changed.insert(memory.id, memory);
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        self.bank.owner()
    }

    pub(super) fn forgotten(&self) -> Option<Timestamp> {
        self.bank.forgotten()
    }

    pub(super) fn len(&self) -> usize {
        self.bank.len() + self.changed.keys().filter(|id| self.bank.get(**id).is_none()).count()
    }

    /// The memory most like `signature`, as [`Bank::most_alike`] says, with the window's own changes in view.
    pub(super) fn most_alike(
        &self,
        signature: &Signature,
        merge_at: u16,
        eligible: impl Fn(&Memory) -> bool,
    ) -> Option<MemoryId> {
        let stored = self
            .bank
            .most_alike(signature, merge_at, |memory| !self.changed.contains_key(&memory.id) && eligible(memory));
        let likeness = |memory: &Memory| signature.likeness(&Signature::of(&memory.text));
        let stored = stored.and_then(|id| self.bank.get(id)).map(|memory| (likeness(memory), memory.id));
        let fresh = self.changed.values().filter(|memory| eligible(memory)).map(|memory| (likeness(memory), memory.id));
        let alike = fresh.filter(|(likeness, _)| *likeness >= merge_at).chain(stored);
        alike.max_by(|(a, a_id), (b, b_id)| a.cmp(b).then(b_id.cmp(a_id))).map(|(_, id)| id)
    }
}
