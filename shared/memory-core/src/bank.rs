//! All memories of one subject, ready to be consolidated into and ranked.
//!
//! A bank is the part of a subject's rows that decisions look at: the memories and the subject row. Sources, history
//! and fates stay in the store until somebody asks for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::consolidation::Owner;
use crate::ids::{Generation, MemoryId, Seq, StepNumber};
use crate::index::{Index, Slot};
use crate::lists::{Listed, Lists};
use crate::memory::Memory;
use crate::rank::Shelves;
use crate::similar::{Signature, jaccard};
use crate::step::{Body, Change, Row, RowKey, Step, SubjectRow};
use crate::text;
use crate::text::lexis::Lexicon;
use crate::time::Timestamp;
use crate::vector::Embed;

/// The memories of one subject and what is known of the subject itself.
#[derive(Clone, Debug, Default)]
pub struct Bank {
    subject: Option<SubjectRow>,
    /// The number that the next step must have.
    next_step: StepNumber,
    /// Boxed: a node of the map holds eleven entries, and most subjects have few memories.
    memories: BTreeMap<MemoryId, (Slot, Box<Memory>)>,
    by_slot: Vec<Option<MemoryId>>,
    lists: Lists,
    /// The memories whose time ends, by when it does.
    by_expiry: BTreeSet<(Timestamp, MemoryId)>,
    index: Index,
    /// What ranking keeps ready; a bank that only decides has none.
    shelf: Option<Box<Shelves>>,
    weight: usize,
}

impl Bank {
    /// A bank from its stored rows; rows of other kinds are skipped.
    #[must_use]
    pub fn load(next_step: StepNumber, rows: impl IntoIterator<Item = Row>) -> Self {
        let mut bank = Self { next_step, ..Self::default() };
        for row in rows {
            bank.put(row);
        }
        bank
    }

    /// A bank that is ranked: with everything ready that does not depend on the question. `embed` must be the same as long
    /// as the bank lives.
    #[must_use]
    pub fn load_ranked(next_step: StepNumber, rows: impl IntoIterator<Item = Row>, embed: &'static dyn Embed) -> Self {
        let mut bank = Self::load(next_step, rows);
        bank.shelf = Some(Box::new(bank.shelved(embed)));
        bank
    }

    /// What ranking needs of all memories.
    pub(crate) fn shelved(&self, embed: &'static dyn Embed) -> Shelves {
        let mut shelf = Shelves::new(embed);
        let mut lexicon = Lexicon::default();
        for (slot, memory) in self.memories.values() {
            shelf.put(slot.place(), memory, &mut lexicon);
        }
        shelf.settle();
        shelf
    }

    pub(crate) fn shelf(&self) -> Option<&Shelves> {
        self.shelf.as_deref()
    }

    /// Takes over what a step changed. Steps that it has are skipped.
    pub fn apply(&mut self, step: &Step) {
        if step.number < self.next_step {
            return;
        }
        match &step.body {
            Body::Changes { changes, .. } => {
                let mut lexicon = Lexicon::default();
                for change in changes {
                    match change {
                        Change::Put(row) => {
                            self.put(row.clone());
                            self.shelve(row, &mut lexicon);
                        }
                        Change::Delete(key) => self.delete(key),
                    }
                }
            }
            // A snapshot restates what the bank already holds. One that erases replaces it: see [`Bank::is_replaced_by`].
            Body::Snapshot { .. } => {}
        }
        if let Some(shelf) = &mut self.shelf {
            shelf.settle();
        }
        self.next_step = step.number.next();
    }

    /// Whether the bank must be loaded again after this step: a forget is done.
    #[must_use]
    pub const fn is_replaced_by(step: &Step) -> bool {
        step.erased().is_some()
    }

    /// When the last forget of everything arrived.
    #[must_use]
    pub fn forgotten(&self) -> Option<Timestamp> {
        self.subject.as_ref().and_then(|subject| subject.forgotten)
    }

    fn put(&mut self, row: Row) {
        match row {
            Row::Subject(subject) => self.subject = Some(subject),
            Row::Memory(memory) => self.put_memory(memory),
            Row::Revision(_) | Row::Source(_) | Row::Window(_) | Row::Rules(_) | Row::Fate(_) => {}
        }
    }

    /// Keeps ready what ranking needs of a memory that was put.
    fn shelve(&mut self, row: &Row, lexicon: &mut Lexicon) {
        if let (Row::Memory(memory), Some(shelf)) = (row, &mut self.shelf)
            && let Some((slot, _)) = self.memories.get(&memory.id)
        {
            shelf.put(slot.place(), memory, lexicon);
        }
    }

    fn put_memory(&mut self, memory: Memory) {
        self.unlist(memory.id);
        self.lists.put(&memory);
        self.by_expiry.extend(memory.expiry().map(|end| (end, memory.id)));
        let slot = match self.memories.remove(&memory.id) {
            Some((slot, old)) if old.text == memory.text => {
                self.weight -= old.weight();
                slot
            }
            known => {
                if let Some((slot, old)) = known {
                    self.weight -= old.weight();
                    self.index.remove(slot, &text::distinct_terms(&old.text));
                }
                self.index.insert(&text::distinct_terms(&memory.text))
            }
        };
        if self.by_slot.len() <= slot.place() {
            self.by_slot.resize(slot.place() + 1, None);
        }
        self.by_slot[slot.place()] = Some(memory.id);
        self.weight += memory.weight();
        self.memories.insert(memory.id, (slot, Box::new(memory)));
    }

    /// Takes the memory out of all lists.
    fn unlist(&mut self, id: MemoryId) {
        let Some((_, known)) = self.memories.get(&id) else { return };
        if let Some(end) = known.expiry() {
            self.by_expiry.remove(&(end, id));
        }
        self.lists.remove(known);
    }

    /// The memories whose time is over at `now`, in the order in which it ended.
    pub fn expired(&self, now: Timestamp) -> impl Iterator<Item = MemoryId> {
        self.by_expiry.iter().take_while(move |(end, _)| *end <= now).map(|(_, id)| *id)
    }

    /// The memories on a list, by id.
    pub fn listed<'a>(&'a self, list: Listed) -> impl Iterator<Item = &'a Memory> + use<'a> {
        self.lists.on(list).filter_map(|id| self.get(id))
    }

    pub(crate) fn ids_on(&self, list: Listed) -> impl Iterator<Item = MemoryId> + use<'_> {
        self.lists.on(list)
    }

    fn delete(&mut self, key: &RowKey) {
        let RowKey::Memory(id) = key else { return };
        self.unlist(*id);
        if let Some((slot, memory)) = self.memories.remove(id) {
            self.index.remove(slot, &text::distinct_terms(&memory.text));
            if let Some(shelf) = &mut self.shelf {
                shelf.remove(slot.place());
            }
            self.by_slot[slot.place()] = None;
            self.weight -= memory.weight();
        }
    }

    #[must_use]
    pub fn get(&self, id: MemoryId) -> Option<&Memory> {
        self.memories.get(&id).map(|(_, memory)| memory.as_ref())
    }

    /// All memories, by id.
    pub fn memories(&self) -> impl Iterator<Item = &Memory> {
        self.memories.values().map(|(_, memory)| memory.as_ref())
    }

    /// The memory at a slot of the index.
    #[must_use]
    pub fn at(&self, slot: Slot) -> Option<&Memory> {
        self.by_slot.get(slot.place()).copied().flatten().and_then(|id| self.get(id))
    }

    #[must_use]
    pub const fn index(&self) -> &Index {
        &self.index
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.memories.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.memories.is_empty()
    }

    /// The sequence number up to which the subject is consolidated.
    #[must_use]
    pub fn next(&self) -> Seq {
        self.subject.as_ref().map_or(Seq::FIRST, |subject| subject.next)
    }

    #[must_use]
    pub fn generation(&self) -> Generation {
        self.subject.as_ref().map_or(Generation::FIRST, |subject| subject.generation)
    }

    #[must_use]
    pub fn owner(&self) -> Option<&Owner> {
        self.subject.as_ref().and_then(|subject| subject.owner.as_ref())
    }

    #[must_use]
    pub const fn next_step(&self) -> StepNumber {
        self.next_step
    }

    /// Roughly how many bytes it takes in RAM.
    #[must_use]
    pub fn weight(&self) -> usize {
        let ranked = self.shelf.as_ref().map_or(0, |shelf| shelf.weight());
        512 + self.weight
            + self.lists.weight()
            + 48 * self.by_expiry.len()
            + self.index.weight()
            + 96 * self.memories.len()
            + ranked
    }

    /// The memory that is most like `signature` among those that `eligible` lets through, and how alike, if that is at
    /// least `merge_at` (0..=1000). Of equals the one with the smallest id.
    #[must_use]
    pub fn most_alike(
        &self,
        signature: &Signature,
        merge_at: u16,
        eligible: impl Fn(&Memory) -> bool,
    ) -> Option<(u16, MemoryId)> {
        let mut best: Option<(u16, MemoryId)> = None;
        for (slot, shared) in self.sharing_terms(signature, merge_at) {
            let likeness = jaccard(shared, signature.terms.len(), self.index.size(slot) as usize);
            let Some(memory) = self.at(slot).filter(|_| likeness >= merge_at) else { continue };
            let better = best.is_none_or(|(most, id)| likeness > most || likeness == most && memory.id < id);
            if better && eligible(memory) && signature.may_be_like(&memory.text) {
                best = Some((likeness, memory.id));
            }
        }
        best
    }

    /// The slots of every text that could reach `merge_at`, and how many terms of the signature it has. To share m of n terms
    /// with the signature, a text must have at least one of its n − m + 1 rarest terms (prefix filtering; Chaudhuri,
    /// Ganti, Kaushik 2006).
    fn sharing_terms(&self, signature: &Signature, merge_at: u16) -> Vec<(Slot, usize)> {
        let mut having: Vec<&[Slot]> = signature.terms.iter().map(|term| self.index.having(*term)).collect();
        having.sort_by_key(|slots| slots.len());
        let needed = (having.len() * usize::from(merge_at)).div_ceil(1_000).max(1);
        let prefix = having.len().saturating_sub(needed) + 1;
        let mut slots: Vec<Slot> = having.iter().take(prefix).copied().flatten().copied().collect();
        slots.sort_unstable();
        slots.dedup();
        let shared = |slot: &Slot| having.iter().filter(|slots| slots.binary_search(slot).is_ok()).count();
        let counted = slots.into_iter().map(|slot| (slot, shared(&slot)));
        counted.filter(|(_, shared)| *shared >= needed).collect()
    }
}
