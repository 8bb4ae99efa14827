//! An exact index over the memories of one subject: which texts have which terms.
//!
//! A bank holds thousands of memories, not millions, so the index is a sorted map from terms to postings. It serves
//! both the search for near-duplicates ([`crate::consolidate()`]) and ranking ([`crate::rank`]).

use std::collections::BTreeMap;

use crate::text::{self, Analyzer, Term};

/// A text's place in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u32);

/// One occurrence list entry: which text, how often.
#[derive(Clone, Copy, Debug)]
pub struct Posting {
    pub slot: Slot,
    pub count: u16,
}

/// Terms of texts, addressed by slots.
#[derive(Clone, Debug, Default)]
pub struct Index {
    postings: BTreeMap<Term, Vec<Posting>>,
    lengths: Vec<Option<u32>>,
    free: Vec<Slot>,
    live: u32,
    total_length: u64,
}

impl Index {
    /// Adds a text; returns its slot.
    pub fn insert(&mut self, content: &str, analyzer: &mut Analyzer) -> Slot {
        let terms = analyzer.terms(content);
        let length = u32::try_from(terms.len()).unwrap_or(u32::MAX);
        let slot = if let Some(slot) = self.free.pop() {
            self.lengths[slot.0 as usize] = Some(length);
            slot
        } else {
            self.lengths.push(Some(length));
            Slot(u32::try_from(self.lengths.len() - 1).expect("a bank is far smaller than 2^32"))
        };
        for (term, count) in counted(terms) {
            self.postings.entry(term).or_default().push(Posting { slot, count });
        }
        self.live += 1;
        self.total_length += u64::from(length);
        slot
    }

    /// Removes the text that was inserted at `slot`.
    pub fn remove(&mut self, slot: Slot, content: &str) {
        let Some(length) = self.lengths[slot.0 as usize].take() else { return };
        for (term, _) in counted(text::terms(content)) {
            if let Some(postings) = self.postings.get_mut(&term) {
                postings.retain(|posting| posting.slot != slot);
                if postings.is_empty() {
                    self.postings.remove(&term);
                }
            }
        }
        self.live -= 1;
        self.total_length -= u64::from(length);
        self.free.push(slot);
    }

    /// The texts that have the term.
    #[must_use]
    pub fn postings(&self, term: Term) -> &[Posting] {
        self.postings.get(&term).map_or(&[], Vec::as_slice)
    }

    /// How many texts there are.
    #[must_use]
    pub const fn live(&self) -> u32 {
        self.live
    }

    /// The number of terms of the text at `slot`.
    #[must_use]
    pub fn length(&self, slot: Slot) -> u32 {
        self.lengths.get(slot.0 as usize).copied().flatten().unwrap_or(0)
    }

    /// The mean number of terms of a text, in 1/1000; at least 1.
    #[must_use]
    pub fn mean_length_milli(&self) -> u64 {
        (self.total_length * 1_000 / u64::from(self.live.max(1))).max(1)
    }

    /// Every slot that holds a text.
    pub fn live_slots(&self) -> impl Iterator<Item = Option<Slot>> + '_ {
        let slots = self.lengths.iter().zip(0..);
        slots.map(|(length, slot)| length.map(|_| Slot(slot)))
    }

    /// One past the highest slot ever used.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.lengths.len()
    }

    /// Roughly how many bytes it takes in RAM.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.postings.len() * 64 + usize::try_from(self.total_length).unwrap_or(usize::MAX).saturating_mul(8)
    }
}

impl Slot {
    /// The slot as a place in a list of [`Index::slots`] entries.
    #[must_use]
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

fn counted(mut terms: Vec<Term>) -> Vec<(Term, u16)> {
    terms.sort_unstable();
    let mut counted: Vec<(Term, u16)> = Vec::with_capacity(terms.len());
    for term in terms {
        match counted.last_mut() {
            Some((last, count)) if *last == term => *count = count.saturating_add(1),
            Some(_) | None => counted.push((term, 1)),
        }
    }
    counted
}
