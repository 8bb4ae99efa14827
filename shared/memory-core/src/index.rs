//! An exact index over the memories of one subject: which texts have which terms.
//!
//! A bank holds thousands of memories, not millions, and most subjects have a dozen. So the index is one sorted list of
//! 16-byte postings: it is small, quick to build, and a term's postings are a slice of it. It serves both the search for
//! near-duplicates ([`crate::consolidate()`]) and ranking ([`crate::rank`]).

use crate::text::{Analyzer, Term};

/// A text's place in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Slot(u32);

/// A term of a text, and how often the text has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Posting {
    term: Term,
    pub slot: Slot,
    pub count: u16,
}

/// Terms of texts, addressed by slots.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// In order, once [`Index::settle`] was called after the last insertion.
    postings: Vec<Posting>,
    lengths: Vec<Option<u32>>,
    free: Vec<Slot>,
    live: u32,
    total_length: u64,
}

impl Index {
    /// Adds a text; returns its slot. It is found after the next [`Index::settle`].
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
        let counted = counted(terms).into_iter().map(|(term, count)| Posting { term, slot, count });
        self.postings.extend(counted);
        self.live += 1;
        self.total_length += u64::from(length);
        slot
    }

    /// Puts what was inserted in its place. The sort is one that is quick on a long ordered run with a short tail.
    pub fn settle(&mut self) {
        self.postings.sort();
        if self.postings.capacity() > self.postings.len() + self.postings.len() / 4 {
            self.postings.shrink_to(self.postings.len() + self.postings.len() / 8);
        }
    }

    /// Removes the text at `slot`.
    pub fn remove(&mut self, slot: Slot) {
        let Some(length) = self.lengths[slot.0 as usize].take() else { return };
        self.postings.retain(|posting| posting.slot != slot);
        self.live -= 1;
        self.total_length -= u64::from(length);
        self.free.push(slot);
    }

    /// The texts that have the term.
    #[must_use]
    pub fn postings(&self, term: Term) -> &[Posting] {
        debug_assert!(self.postings.is_sorted(), "somebody inserted and did not settle");
        let start = self.postings.partition_point(|posting| posting.term < term);
        let length = self.postings[start..].partition_point(|posting| posting.term == term);
        &self.postings[start..start + length]
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
    pub const fn weight(&self) -> usize {
        self.postings.capacity() * size_of::<Posting>() + self.lengths.capacity() * size_of::<Option<u32>>()
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
