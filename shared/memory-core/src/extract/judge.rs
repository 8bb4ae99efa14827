//! The classifier beside the rules: which act a sentence is, or that it states nothing.
//!
//! A multinomial logistic regression over the signs of a sentence ([`super::signs`]) and the mean leaning of its words.
//! It was fitted by `load-tests/fit-statements.py`; the tables are its output and say so. Here is only addition of whole
//! numbers: the same sentence has the same scores on every machine.
//!
//! A weight is one character, from `!` for −46 to `~` for 47, so that the tables stay small. A unit is 1/16 of a logit among
//! the signs and 1/4 among the leanings, whose mean is taken.

use std::sync::LazyLock;

use super::Act;
use super::signs::Sink;
use crate::text::table::{Table, hash, hash_on};

/// The acts in the order of the weights, and that nothing is stated.
const CLASSES: [Option<Act>; 7] = [
    Some(Act::Preference),
    Some(Act::Fact),
    Some(Act::Change),
    Some(Act::Negation),
    Some(Act::Commitment),
    Some(Act::Correction),
    None,
];
/// The character of the weight 0.
const ZERO: u8 = b'O';
/// Units of a sign's weight in one of a leaning.
const LEANING: i32 = 4;

/// A score for each of [`CLASSES`], in 1/16 of a logit.
type Scores = [i32; CLASSES.len()];

/// The weights.
#[derive(Debug)]
pub(super) struct Judge {
    start: Scores,
    signs: Table<Weights>,
    leanings: Table<Weights>,
}

pub(super) static JUDGE: LazyLock<Judge> =
    LazyLock::new(|| Judge::read(include_str!("weights.txt"), include_str!("leanings.txt")));

type Weights = [i8; CLASSES.len()];

impl Judge {
    /// Reads the two tables: in each line seven weights, a space, and one sign or the words that lean so. What speaks for
    /// each class from the start is the sign `start`.
    pub(super) fn read(signs: &'static str, leanings: &'static str) -> Self {
        let signs = table(signs, "\n");
        let start = signs.get("start").copied().unwrap_or_default();
        Self { start: start.map(i32::from), signs, leanings: table(leanings, " ") }
    }

    /// What a sentence is, by the signs that were collected.
    pub(super) fn verdict(&self, collected: &mut Collected) -> Verdict {
        let mut scores = self.start;
        collected.signs.sort_unstable();
        collected.signs.dedup();
        for weights in collected.signs.iter().filter_map(|hash| self.signs.at(*hash)) {
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += i32::from(*weight));
        }
        collected.words.sort_unstable();
        collected.words.dedup();
        let leanings: Vec<_> = collected.words.iter().filter_map(|hash| self.leanings.at(*hash)).collect();
        let words = i32::try_from(leanings.len()).expect("a sentence has few words").max(1);
        for (place, score) in scores.iter_mut().enumerate() {
            let sum: i32 = leanings.iter().map(|weights| i32::from(weights[place])).sum();
            *score += sum * LEANING / words;
        }
        Verdict { scores }
    }
}

/// Reads lines of weights and what they are for; `between` stands between several of those.
fn table(text: &'static str, between: &str) -> Table<Weights> {
    let lines = text.lines().filter(|line| !line.starts_with("# "));
    let rows = lines.flat_map(|line| {
        let (weights, signs) = line.split_once(' ').expect("a line has weights and what they are for");
        let weights: [u8; CLASSES.len()] = weights.as_bytes().try_into().expect("a weight for each class");
        let weights = weights.map(|letter| letter.wrapping_sub(ZERO).cast_signed());
        signs.split(between).map(move |sign| (hash(sign), weights))
    });
    rows.collect()
}

/// The hashes of the signs of a sentence, and of its words.
#[derive(Debug, Default)]
pub(super) struct Collected {
    signs: Vec<u64>,
    words: Vec<u64>,
}

impl Sink for Collected {
    fn sign(&mut self, kind: &str, words: &[&str]) {
        let on = |state: u64, text: &str| text.bytes().fold(state, hash_on);
        let mut state = on(hash(kind), ":");
        for (place, word) in words.iter().enumerate() {
            state = on(if place == 0 { state } else { on(state, " ") }, word);
        }
        self.signs.push(state);
    }

    fn word(&mut self, word: &str) {
        self.words.push(hash(word));
    }
}

/// How much speaks for each class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Verdict {
    scores: Scores,
}

impl Verdict {
    /// The act for which most speaks, or that nothing is stated.
    pub(super) fn best(&self) -> Option<Act> {
        let best = (0..CLASSES.len()).max_by_key(|place| self.scores[*place]).unwrap_or(0);
        CLASSES[best]
    }

    /// By how much the best is ahead of another, in 1/16 of a logit.
    pub(super) fn lead_over(&self, over: Option<Act>) -> i32 {
        let best = self.scores.iter().max().copied().unwrap_or(0);
        let place = CLASSES.iter().position(|class| *class == over).unwrap_or(0);
        best - self.scores[place]
    }

    /// By how much the best is ahead of the next, in 1/16 of a logit.
    pub(super) fn lead_over_second(&self) -> i32 {
        let mut scores = self.scores;
        scores.sort_unstable();
        scores[CLASSES.len() - 1] - scores[CLASSES.len() - 2]
    }
}
