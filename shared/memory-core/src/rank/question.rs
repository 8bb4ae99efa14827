//! A question, taken apart once before anything is compared with it.
//!
//! The names of those who speak in the bank are not words to search for: half of what is said in a conversation mentions
//! the other's name. They say whose turns are meant. Any number of speakers will do, and none.

use std::collections::BTreeSet;

use super::bits::rarity;
use super::dates;
use super::form::Form;
use super::shelf::Shelf;
use super::{vocabulary, weights};
use crate::text::Term;
use crate::text::lexis::{self, Lexicon, Word};
use crate::time::Timestamp;
use crate::vector::{self, DIMENSION};

/// The most words of a question that are searched for: its rarest.
const WORDS_MAX: usize = 16;
/// The most words that are compared with every word of the bank, which costs the most: again its rarest.
const COMPARED_MAX: usize = 8;
/// The length of a question's vector.
pub(super) const LENGTH: i64 = 4_096;

/// A word to search for.
pub(super) struct Asked {
    pub(super) word: String,
    pub(super) term: Term,
    /// How much it tells, in bits, in 1/1000.
    pub(super) rarity: u64,
    pub(super) vector: Option<Vec<i16>>,
    /// It names the kind of thing that is asked for: "what *instrument*".
    pub(super) kind: bool,
}

pub(super) struct Question {
    pub(super) words: Vec<Asked>,
    /// Sum of the words' rarities; at least 1.
    pub(super) rarity: u64,
    /// The weight of the sign `window`.
    pub(super) window: i64,
    /// Speakers that it names, in order.
    pub(super) named: Vec<String>,
    /// Its direction without what all texts of the bank have in common; zero where nothing is known.
    pub(super) vector: Vec<i16>,
    pub(super) spans: Vec<dates::Asked>,
    /// What it asks for.
    pub(super) form: Form,
    /// It is about what the assistant said.
    pub(super) of_answers: bool,
}

impl Question {
    pub(super) fn of(text: &str, bank: &Shelf, open: &Shelf, now: Timestamp) -> Self {
        let mut lexicon = Lexicon::default();
        let (named, names) = named(text, bank, open);
        let cut = lexis::cut(text);
        let (mut found, _) = lexicon.words(text, bank.language());
        found.retain(|found| !names.contains(found.word.strip_suffix("'s").unwrap_or(&found.word)));
        let kind = kind_asked_for(&cut);
        let texts = u64::from(bank.live()) + u64::from(open.live());
        let mut words: Vec<Asked> = Vec::with_capacity(found.len());
        for Word { word, term } in &found {
            if words.iter().any(|known| known.term == *term) {
                continue;
            }
            let having = (bank.postings(*term).len() + open.postings(*term).len()) as u64;
            words.push(Asked {
                word: word.clone(),
                term: *term,
                rarity: rarity(texts, having),
                vector: None,
                kind: kind == Some(word.as_str()),
            });
        }
        words.sort_by_key(|word| (std::cmp::Reverse(word.rarity), word.term));
        words.truncate(WORDS_MAX);
        for word in words.iter_mut().take(COMPARED_MAX) {
            word.vector = vocabulary::asked(&word.word, bank.embed());
        }
        let day = dates::day_of(now);
        let days = [bank.days, open.days].into_iter().flatten().reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (first, last) = days.unwrap_or((day, day));
        let years = dates::year_of(first)..=dates::year_of(last);
        let is_name = |word: &&str| names.contains(word.strip_suffix("'s").unwrap_or(word));
        let rest: Vec<&str> = cut.iter().map(String::as_str).filter(|word| !is_name(word)).collect();
        let rarity = words.iter().map(|word| word.rarity).sum::<u64>().max(1);
        Self {
            rarity,
            window: window(rarity, texts, asks_for_several(&cut)),
            words,
            named,
            vector: direction(&bank.embed().text(&rest.join(" ")).0, bank, open),
            spans: dates::asked_about(text, day, years),
            form: Form::asked(&cut),
            of_answers: cut.iter().any(|word| matches!(word.as_str(), "you" | "your" | "yours" | "assistant")),
        }
    }

    /// The points that it gives whether or not it is answered.
    pub(super) fn given(&self) -> i64 {
        let name = if self.named.is_empty() { 0 } else { weights::GIVEN_BY_NAME };
        name + if self.spans.is_empty() { 0 } else { weights::GIVEN_BY_DATE }
    }

    /// Whether it asks for nothing in particular.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.named.is_empty() && self.spans.is_empty() && self.vector.iter().all(|x| *x == 0)
    }
}

/// The weight of the sign `window`. That a whole neighbourhood has the words tells the more, the more words there are: with
/// the root of how many of the rarest words would tell as much as the question does. Four are many: in scripts that are cut
/// into pairs of characters a question has dozens of terms.
fn window(rarity: u64, texts: u64, several: bool) -> i64 {
    let weight = if several { weights::WINDOW_OF_SEVERAL } else { weights::WINDOW };
    let rarest = super::bits::log2_milli(texts + 1, 1).max(1);
    let root = (rarity * 1_000_000 / rarest).min(4_000_000).isqrt();
    weight * i64::try_from(root).unwrap_or(1_000) / 1_000
}

/// The speakers that a text names, and the words that name them. A capitalised beginning of a name is a name too.
fn named(text: &str, bank: &Shelf, open: &Shelf) -> (Vec<String>, BTreeSet<String>) {
    let mut speakers: Vec<(&String, Vec<String>)> =
        bank.speakers.keys().chain(open.speakers.keys()).map(|name| (name, lexis::cut(name))).collect();
    speakers.dedup_by(|a, b| a.0 == b.0);
    let (mut named, mut words) = (Vec::new(), BTreeSet::new());
    for token in text.split(|c: char| !c.is_alphabetic()).filter(|token| !token.is_empty()) {
        let lower = token.to_lowercase();
        let short = token.chars().count() >= 3 && token.starts_with(char::is_uppercase);
        for (name, parts) in &speakers {
            if parts.iter().any(|part| *part == lower || short && part.starts_with(&lower)) {
                words.insert(lower.clone());
                if !named.contains(*name) {
                    named.push((*name).clone());
                }
            }
        }
    }
    (named, words)
}

/// The question's vector without the direction that the bank's texts share, so that what they have in common does not
/// hide what sets them apart: v·(m·m) − m·(m·v) for the sum m of all vectors.
fn direction(vector: &[i8; DIMENSION], bank: &Shelf, open: &Shelf) -> Vec<i16> {
    // A thousandth of the sum's precision is enough, and keeps the products far from 64 bits.
    let texts = i64::from(bank.live()) + i64::from(open.live());
    let mean: Vec<i64> = bank.sum.iter().zip(&open.sum).map(|(a, b)| (a + b) * 1_000 / texts.max(1)).collect();
    let square: i64 = mean.iter().map(|m| m * m).sum();
    let shared: i64 = mean.iter().zip(vector).map(|(m, v)| m * i64::from(*v)).sum();
    if square == 0 {
        let own: Vec<i64> = vector.iter().map(|v| i64::from(*v) << 20).collect();
        return vector::scaled(&own, LENGTH);
    }
    let apart: Vec<i64> = mean.iter().zip(vector).map(|(m, v)| i64::from(*v) * square - m * shared).collect();
    vector::scaled(&apart, LENGTH)
}

/// The last noun before the verb in "what (kind of) … instrument does", "which old books did".
fn kind_asked_for(cut: &[String]) -> Option<&str> {
    let start = cut.iter().position(|word| matches!(word.as_str(), "what" | "which"))? + 1;
    let word = |place: usize| cut.get(place).map_or("", String::as_str);
    let of = matches!(word(start), "kind" | "kinds" | "type" | "types" | "sort" | "sorts") && word(start + 1) == "of";
    let start = if of { start + 2 } else { start };
    let verb = (start + 1..=start + 3).find(|place| {
        matches!(
            word(*place),
            "do" | "does"
                | "did"
                | "is"
                | "are"
                | "was"
                | "were"
                | "has"
                | "have"
                | "had"
                | "would"
                | "will"
                | "can"
                | "could"
                | "might"
        )
    })?;
    Some(word(verb - 1)).filter(|word| !word.is_empty())
}

/// "Which books", "what kinds of", "how many", "where has she": not the one time at which something was told.
fn asks_for_several(cut: &[String]) -> bool {
    let plural = |word: &str| word.ends_with('s') && !word.ends_with("ss");
    let pair = |one: &[&str], other: &[&str]| {
        cut.windows(2).any(|pair| one.contains(&pair[0].as_str()) && other.contains(&pair[1].as_str()))
    };
    kind_asked_for(cut).is_some_and(plural)
        || pair(&["how"], &["many"])
        || pair(&["kinds", "types", "sorts"], &["of"])
        || pair(&["what", "which", "where", "who"], &["has", "have"])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<String> {
        lexis::cut(text)
    }

    #[test]
    fn the_kind_of_thing_is_the_noun_before_the_verb() {
        for (question, kind) in [
            ("What instruments does Melanie play?", Some("instruments")),
            ("What kind of martial arts has John done?", Some("arts")),
            ("Which of them is it?", None),
            ("Where does Anna live?", None),
            ("So, which book did he read", Some("book")),
        ] {
            let cut = cut(question);
            let found = kind_asked_for(&cut).filter(|word| *word != "them");
            assert_eq!(found, kind, "{question}");
        }
    }

    #[test]
    fn neighbourhoods_weigh_by_how_much_is_asked_up_to_a_bound() {
        let bits = |rarest: u64| window(rarest * super::super::bits::log2_milli(1_001, 1), 1_000, false);
        assert_eq!((bits(1), bits(4), bits(40)), (weights::WINDOW, 2 * weights::WINDOW, 2 * weights::WINDOW));
        assert!(window(50_000, 1_000, true) < window(50_000, 1_000, false));
    }

    #[test]
    fn questions_for_several_things_are_known() {
        for question in ["Which books did he read?", "How many were there?", "Where has she been?", "What types of it?"]
        {
            assert!(asks_for_several(&cut(question)), "{question}");
        }
        for question in ["Which book did he read?", "Which class does she like?", "How much is it?", "Where was she?"] {
            assert!(!asks_for_several(&cut(question)), "{question}");
        }
    }
}
