//! An exact index over the memories of one subject: which texts have which terms.
//!
//! It serves the search for near-duplicates ([`crate::consolidate()`]); ranking keeps what it needs itself
//! ([`crate::rank`]). So it knows whether a text has a term, not how often.

use std::collections::BTreeMap;

use crate::text::Term;

/// A text's place in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u32);

/// Terms of texts, addressed by slots.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Each list ascending and never empty.
    having: BTreeMap<Term, Vec<Slot>>,
    /// How many terms the text of each slot has; `None` where there is no text.
    sizes: Vec<Option<u32>>,
    free: Vec<Slot>,
    /// The sum of all lists' lengths.
    held: usize,
}

impl Index {
    /// Adds a text with these distinct terms; returns its slot.
    pub(crate) fn insert(&mut self, terms: &[Term]) -> Slot {
        let size = Some(u32::try_from(terms.len()).unwrap_or(u32::MAX));
        let slot = if let Some(slot) = self.free.pop() {
            self.sizes[slot.place()] = size;
            slot
        } else {
            self.sizes.push(size);
            Slot(u32::try_from(self.sizes.len() - 1).expect("a bank is far smaller than 2^32"))
        };
        for term in terms {
            let having = self.having.entry(*term).or_default();
            if let Err(place) = having.binary_search(&slot) {
                having.insert(place, slot);
                self.held += 1;
            }
        }
        slot
    }

    /// Removes the text at `slot`, which has these terms.
    pub(crate) fn remove(&mut self, slot: Slot, terms: &[Term]) {
        if self.sizes[slot.place()].take().is_none() {
            return;
        }
        for term in terms {
            let Some(having) = self.having.get_mut(term) else { continue };
            if let Ok(place) = having.binary_search(&slot) {
                having.remove(place);
                self.held -= 1;
            }
            if having.is_empty() {
                self.having.remove(term);
            }
        }
        self.free.push(slot);
    }

    /// The texts that have the term, ascending.
    #[must_use]
    pub fn having(&self, term: Term) -> &[Slot] {
        self.having.get(&term).map_or(&[], Vec::as_slice)
    }

    /// The number of distinct terms of the text at `slot`.
    #[must_use]
    pub fn size(&self, slot: Slot) -> u32 {
        self.sizes.get(slot.place()).copied().flatten().unwrap_or(0)
    }

    /// Roughly how many bytes it takes in RAM.
    #[must_use]
    pub fn weight(&self) -> usize {
        // A list has room for a few more, and an allocation of its own.
        64 * self.having.len() + 6 * self.held + self.sizes.capacity() * size_of::<Option<u32>>()
    }
}

impl Slot {
    /// The slot as a place in a list that has one for each.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}
