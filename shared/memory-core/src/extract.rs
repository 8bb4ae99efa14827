//! What a text states of whoever says it: preferences, facts, changes, negations, commitments and corrections.
//!
//! A person says one thing in a hundred ways, but the ways are made of few parts: a subject ("I", "my wife"), a verb group
//! with its tense and its negation, an object. So a text is cut into sentences and clauses ([`clause`]), the verb group of each
//! is read ([`predicate`]), and only then tables say what the verb with its object states ([`pattern`], `verbs.txt`,
//! `nouns.txt`). Tense, negation, "now" and "No, …" change the kind of statement for all verbs alike. A verb that no table knows
//! still gives a statement if it is told as a habit or denied; what is asked, imagined, quoted or told of others gives none.
//!
//! The rules know few of the many ways, so a small classifier stands beside them ([`together`], [`judge`]), fitted on labelled
//! sentences of several writers. What it alone finds has a general attribute (`prefers`, `plan`, `lacks`, `status`, `said`) and
//! all that the sentence tells as its value.
//!
//! The words are English. Text in another language has no English subject with an English verb, and yields nothing.

use std::ops::Range;

mod answer;
mod clause;
mod correction;
mod entities;
mod first_person;
mod judge;
mod lexicon;
mod noun_phrase;
mod others;
mod pattern;
mod possession;
mod predicate;
mod reader;
mod signs;
mod statement;
mod together;
mod token;
mod value;
mod whole;

#[cfg(test)]
mod tests;

pub use entities::entities;

/// Longer texts are read up to here, at the last character before it.
const TEXT_MAX: usize = 64 * 1024;

/// What kind of statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Act {
    Preference,
    Fact,
    /// Something is otherwise than it was.
    Change,
    /// Something is not so, or no longer.
    Negation,
    /// The speaker will do something.
    Commitment,
    /// Something that was said is wrong.
    Correction,
}

/// What a sentence states of whoever says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub act: Act,
    /// A name in snake case: `home_city`, `allergy`, `likes`, `plan` and so on, or the verb's lemma where no table has a
    /// name for it. What was once so has `former_` before it.
    pub attribute: String,
    /// As it was said, without article and marks at its ends.
    pub value: String,
    /// What the value replaces, where that is said.
    pub old: Option<String>,
    /// The value is what is not, or no longer. What is disliked is not negated: its attribute is `dislikes`.
    pub negated: bool,
    /// Whether there can be only one value at a time.
    pub single: bool,
    /// Bytes of the sentence in the text.
    pub sentence: Range<usize>,
    /// 0..=1000: how sure it is that this is meant.
    pub confidence: u16,
}

/// All statements of a text by a person, in the order of the text. `before` is what the other side said just before: it
/// gives an answer of one word, or a correction, its meaning.
///
/// Text beyond 64 KiB is not read.
#[must_use]
pub fn statements(text: &str, before: Option<&str>) -> Vec<Statement> {
    together::read(beginning(text), before)
}

/// What a sentence looks like to the classifier, for the program that fits it.
#[derive(Clone, Debug)]
pub struct Signs {
    /// Bytes of the sentence in the text.
    pub sentence: Range<usize>,
    pub signs: Vec<String>,
    /// Its words, whose leanings count.
    pub words: Vec<String>,
    /// The value if the sentence is stated as a whole.
    pub whole: String,
}

/// The signs of each sentence of a text, before the classifier has spoken. The parameters are those of [`statements`].
#[must_use]
pub fn signs(text: &str, before: Option<&str>) -> Vec<Signs> {
    together::signs_of(beginning(text), before)
}

fn beginning(text: &str) -> &str {
    let end = (0..=TEXT_MAX.min(text.len())).rfind(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}
