//! BM25 in integers.

use crate::index::{Index, Slot};
use crate::text::{self, Term};
use crate::turn::Turn;

/// k1 and b, in 1/1000.
const K1: u64 = 1_200;
const B: u64 = 750;
/// A share that is as good as all: few texts hold every word of a question at their best.
const FULL_SHARE: u64 = 600;

/// The score of the text at a slot, 0..=1000.
pub(super) struct SlotScore {
    pub(super) slot: Slot,
    pub(super) score: u16,
}

/// Scores of all texts of a bank and of the open turns, for the terms of one question.
pub(super) struct Bm25 {
    memories: Vec<u64>,
    slots: Vec<Option<Slot>>,
    turns: Vec<u64>,
    /// The most that the question's words could give.
    best: u64,
}

impl Bm25 {
    pub(super) fn new(index: &Index, terms: &[Term], turns: &[&Turn]) -> Self {
        let turn_terms: Vec<Vec<Term>> = turns.iter().map(|turn| text::terms(&super::text_of(turn))).collect();
        let mut scores = Self {
            memories: vec![0; index.slots()],
            slots: index.live_slots().collect(),
            turns: vec![0; turns.len()],
            best: 0,
        };
        let texts = u64::from(index.live()) + turns.len() as u64;
        let mean = index.mean_length_milli().max(1_000);
        for term in terms {
            let postings = index.postings(*term);
            let counts: Vec<u64> =
                turn_terms.iter().map(|list| list.iter().filter(|t| *t == term).count() as u64).collect();
            let having = postings.len() as u64 + counts.iter().filter(|count| **count > 0).count() as u64;
            let idf = log2_milli(2 * texts + 2, 2 * having + 1);
            scores.best += idf * (K1 + 1_000) / 1_000;
            for posting in postings {
                let length = u64::from(index.length(posting.slot));
                scores.memories[posting.slot.place()] +=
                    idf * saturation(u64::from(posting.count), length, mean) / 1_000;
            }
            for (place, count) in counts.iter().enumerate() {
                let length = turn_terms[place].len() as u64;
                scores.turns[place] += idf * saturation(*count, length, mean) / 1_000;
            }
        }
        scores
    }

    pub(super) fn memories(&self) -> impl Iterator<Item = SlotScore> + '_ {
        self.slots
            .iter()
            .flatten()
            .map(|slot| SlotScore { slot: *slot, score: self.share(self.memories[slot.place()]) })
    }

    pub(super) fn turns(&self) -> impl Iterator<Item = u16> + '_ {
        self.turns.iter().map(|score| self.share(*score))
    }

    fn share(&self, score: u64) -> u16 {
        let share = score * 1_000 * 1_000 / FULL_SHARE / self.best.max(1);
        u16::try_from(share.min(1_000)).expect("capped at 1000")
    }
}

/// tf·(k1 + 1) / (tf + k1·(1 − b + b·length/mean)), in 1/1000.
fn saturation(count: u64, length: u64, mean_milli: u64) -> u64 {
    if count == 0 {
        return 0;
    }
    let norm = 1_000 - B + B * length * 1_000 / mean_milli;
    count * (K1 + 1_000) * 1_000 / (count * 1_000 + K1 * norm / 1_000)
}

/// log2(a / b) in 1/1000 for a >= b > 0, by repeated squaring.
fn log2_milli(a: u64, b: u64) -> u64 {
    let mut x = (u128::from(a) << 32) / u128::from(b.max(1));
    let one = 1_u128 << 32;
    let mut whole = 0;
    while x >= 2 * one {
        x >>= 1;
        whole += 1;
    }
    let mut fraction = 0;
    for bit in 1..=12 {
        x = (x * x) >> 32;
        if x >= 2 * one {
            x >>= 1;
            fraction += 4_096 >> bit;
        }
    }
    whole * 1_000 + fraction * 1_000 / 4_096
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_right_to_a_thousandth() {
        for (a, b, expected) in
            [(1, 1, 0), (2, 1, 1_000), (8, 1, 3_000), (3, 1, 1_584), (10, 1, 3_321), (20_002, 3, 12_702)]
        {
            let found = log2_milli(a, b);
            assert!(found.abs_diff(expected) <= 1, "log2({a}/{b}) = {found}");
        }
    }

    #[test]
    fn more_of_a_word_is_better_and_ever_less_so() {
        let once = saturation(1, 10, 10_000);
        let twice = saturation(2, 10, 10_000);
        let often = saturation(50, 10, 10_000);
        assert!(once < twice && twice < often && often < K1 + 1_000);
        assert_eq!(once, 1_000);
        assert!(saturation(1, 30, 10_000) < once, "the same word weighs less in a longer text");
    }
}
