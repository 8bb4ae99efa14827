//! All memories of one subject, ready to be consolidated into and ranked.
//!
//! A bank is the part of a subject's rows that decisions look at: the memories and the subject row. Sources, history
//! and fates stay in the store until somebody asks for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::consolidation::Owner;
use crate::ids::{Generation, MemoryId, Seq, StepNumber};
use crate::index::{Index, Posting, Slot};
use crate::lists::{Listed, Lists};
use crate::memory::Memory;
use crate::rank::Shelves;
use crate::similar::Signature;
use crate::step::{Body, Change, Row, RowKey, Step, SubjectRow};
use crate::text::Analyzer;
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
        let mut analyzer = Analyzer::default();
        for row in rows {
            bank.put(row, &mut analyzer);
        }
        bank.index.settle();
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
                let mut analyzer = Analyzer::default();
                let mut lexicon = Lexicon::default();
                for change in changes {
                    match change {
                        Change::Put(row) => {
                            self.put(row.clone(), &mut analyzer);
                            self.shelve(row, &mut lexicon);
                        }
                        Change::Delete(key) => self.delete(key),
                    }
                }
            }
            // A snapshot restates what the bank already holds. One that erases replaces it: see [`Bank::is_replaced_by`].
            Body::Snapshot { .. } => {}
        }
        self.index.settle();
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

    fn put(&mut self, row: Row, analyzer: &mut Analyzer) {
        match row {
            Row::Subject(subject) => self.subject = Some(subject),
            Row::Memory(memory) => self.put_memory(memory, analyzer),
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

    fn put_memory(&mut self, memory: Memory, analyzer: &mut Analyzer) {
        self.unlist(memory.id);
        self.lists.put(&memory);
        self.by_expiry.extend(memory.expiry().map(|end| (end, memory.id)));
        let slot = match self.memories.remove(&memory.id) {
            Some((slot, old)) if old.text == memory.text => {
                self.weight -= old.weight();
                slot
            }
            Some((slot, old)) => {
                self.weight -= old.weight();
                self.index.remove(slot);
                self.index.insert(&memory.text, analyzer)
            }
            None => self.index.insert(&memory.text, analyzer),
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
    pub fn listed<'a>(&'a self, list: &Listed) -> impl Iterator<Item = &'a Memory> + use<'a> {
        self.lists.on(list).filter_map(|id| self.get(id))
    }

    pub(crate) fn ids_on(&self, list: &Listed) -> impl Iterator<Item = MemoryId> + use<'_> {
        self.lists.on(list)
    }

    fn delete(&mut self, key: &RowKey) {
        if let RowKey::Memory(id) = key {
            self.unlist(*id);
        }
        if let RowKey::Memory(id) = key
            && let Some((slot, memory)) = self.memories.remove(id)
        {
            self.index.remove(slot);
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
        512 + self.weight + self.index.weight() + 96 * self.memories.len() + ranked
    }

    /// The memory that is most like `signature` among those that `eligible` lets through, if it is at least
    /// `merge_at` (0..=1000) alike. Of equals the one with the smallest id.
    #[must_use]
    pub fn most_alike(
        &self,
        signature: &Signature,
        merge_at: u16,
        eligible: impl Fn(&Memory) -> bool,
    ) -> Option<MemoryId> {
        let mut best: Option<(u16, MemoryId)> = None;
        for slot in self.sharing_terms(signature, merge_at) {
            let Some(memory) = self.at(slot).filter(|memory| eligible(memory)) else { continue };
            let likeness = signature.likeness_to(&memory.text);
            let better = best.is_none_or(|(most, id)| likeness > most || likeness == most && memory.id < id);
            if likeness >= merge_at && better {
                best = Some((likeness, memory.id));
            }
        }
        best.map(|(_, id)| id)
    }

    /// The slots of every text that could reach `merge_at`. To share m of n terms with the signature, a text must
    /// have at least one of its n − m + 1 rarest terms (prefix filtering; Chaudhuri, Ganti, Kaushik 2006). Those are then
    /// counted, which is far cheaper than reading their texts.
    fn sharing_terms(&self, signature: &Signature, merge_at: u16) -> Vec<Slot> {
        let mut postings: Vec<&[Posting]> = signature.terms.iter().map(|term| self.index.postings(*term)).collect();
        postings.sort_by_key(|having| having.len());
        let needed = (postings.len() * usize::from(merge_at)).div_ceil(1_000).max(1);
        let prefix = postings.len().saturating_sub(needed) + 1;
        let mut slots: Vec<Slot> =
            postings.iter().take(prefix).copied().flatten().map(|posting| posting.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        let has = |having: &&&[Posting], slot: &Slot| having.binary_search_by_key(slot, |posting| posting.slot).is_ok();
        slots.retain(|slot| postings.iter().filter(|having| has(having, slot)).count() >= needed);
        slots
    }
}
