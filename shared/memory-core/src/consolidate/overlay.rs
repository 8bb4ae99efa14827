//! A bank as it would be after the turns that were looked at so far, without touching the bank.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::bank::Bank;
use crate::consolidation::Owner;
use crate::ids::MemoryId;
use crate::lists::{Listed, Lists};
use crate::memory::Memory;
use crate::similar::Signature;
use crate::time::Timestamp;

pub(super) struct Overlay<'a> {
    bank: &'a Bank,
    /// What the window changed; `None` for what it removed.
    changed: BTreeMap<MemoryId, Option<Changed>>,
    /// Of what it changed.
    lists: Lists,
}

struct Changed {
    memory: Memory,
    /// Of its text, once somebody has asked.
    signature: OnceCell<Signature>,
}

impl Changed {
    fn likeness(&self, other: &Signature) -> u16 {
        other.likeness(self.signature.get_or_init(|| Signature::of(&self.memory.text)))
    }
}

impl<'a> Overlay<'a> {
    pub(super) fn new(bank: &'a Bank) -> Self {
        Self { bank, changed: BTreeMap::new(), lists: Lists::default() }
    }

    pub(super) fn get(&self, id: MemoryId) -> Option<&Memory> {
        match self.changed.get(&id) {
            Some(changed) => changed.as_ref().map(|changed| &changed.memory),
            None => self.bank.get(id),
        }
    }

    pub(super) fn changed(&mut self, memory: Memory) {
        self.unlist(memory.id);
        self.lists.put(&memory);
        self.changed.insert(memory.id, Some(Changed { memory, signature: OnceCell::new() }));
    }

    pub(super) fn removed(&mut self, id: MemoryId) {
        self.unlist(id);
        self.changed.insert(id, None);
    }

    fn unlist(&mut self, id: MemoryId) {
        if let Some(Some(before)) = self.changed.get(&id) {
            self.lists.remove(&before.memory);
        }
    }

    /// All memories, by id within the bank and then within the window.
    pub(super) fn memories(&self) -> impl Iterator<Item = &Memory> {
        let stored = self.bank.memories().filter(|memory| !self.changed.contains_key(&memory.id));
        stored.chain(self.changed.values().flatten().map(|changed| &changed.memory))
    }

    /// The memories on a list.
    pub(super) fn listed(&self, list: Listed) -> impl Iterator<Item = &Memory> {
        let stored = self.bank.listed(list).filter(|memory| !self.changed.contains_key(&memory.id));
        stored.chain(self.lists.on(list).filter_map(|id| self.get(id)))
    }

    /// The memories that are on so many of these lists.
    pub(super) fn on_lists(&self, lists: &[Listed], least: usize) -> Vec<&Memory> {
        let stored = often(lists.iter().flat_map(|list| self.bank.ids_on(*list)).collect(), least);
        let stored = stored.into_iter().filter(|id| !self.changed.contains_key(id));
        let fresh = often(lists.iter().flat_map(|list| self.lists.on(*list)).collect(), least);
        stored.chain(fresh).filter_map(|id| self.get(id)).collect()
    }

    pub(super) fn owner(&self) -> Option<&Owner> {
        self.bank.owner()
    }

    pub(super) fn forgotten(&self) -> Option<Timestamp> {
        self.bank.forgotten()
    }

    pub(super) fn len(&self) -> usize {
        let was = |id: &MemoryId| usize::from(self.bank.get(*id).is_some());
        let (before, after) = self
            .changed
            .iter()
            .fold((0, 0), |(before, after), (id, changed)| (before + was(id), after + usize::from(changed.is_some())));
        self.bank.len() + after - before
    }

    /// The memory most like `signature`, as [`Bank::most_alike`] says, with the window's own changes in view.
    pub(super) fn most_alike(
        &self,
        signature: &Signature,
        merge_at: u16,
        eligible: impl Fn(&Memory) -> bool,
    ) -> Option<MemoryId> {
        let unchanged = |memory: &Memory| !self.changed.contains_key(&memory.id) && eligible(memory);
        let stored = self.bank.most_alike(signature, merge_at, unchanged);
        let fresh = self.changed.values().flatten().filter(|changed| eligible(&changed.memory));
        let fresh = fresh.map(|changed| (changed.likeness(signature), changed.memory.id));
        let alike = fresh.filter(|(likeness, _)| *likeness >= merge_at).chain(stored);
        alike.max_by(|(a, a_id), (b, b_id)| a.cmp(b).then(b_id.cmp(a_id))).map(|(_, id)| id)
    }
}

/// What is named so many times.
fn often(mut ids: Vec<MemoryId>, least: usize) -> Vec<MemoryId> {
    // Stable, since it finds the lists that are in order already.
    ids.sort();
    ids.chunk_by(|one, next| one == next).filter(|same| same.len() >= least).map(|same| same[0]).collect()
}
