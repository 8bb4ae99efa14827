//! Words of a text, as ranking, merging and salience see them.
//!
//! Segmentation is Unicode's (UAX #29), so every script gives words; stemming is English (Porter2) and applies to
//! ASCII words only. A term is an 8-byte hash of its stem: indexes then hold no text.

use std::collections::BTreeMap;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

pub mod language;
pub mod lexis;
pub(crate) mod list;
pub(crate) mod scan;

/// A stemmed word, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u64);

/// Words that carry no topic, in order, so that they can be searched by halves. Pronouns of the first person are among
/// them: who speaks is known apart.
const STOP_WORDS: [&str; 120] = [
    "a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because",
    "been", "before", "being", "but", "by", "can", "could", "did", "do", "does", "doing", "down", "each", "for",
    "from", "further", "get", "got", "had", "has", "have", "having", "he", "her", "here", "hers", "him", "his", "how",
    "i", "i'd", "i'll", "i'm", "i've", "if", "in", "into", "is", "it", "it's", "its", "just", "let's", "like", "me",
    "more", "most", "my", "myself", "of", "off", "on", "once", "only", "or", "other", "our", "out", "over", "own",
    "please", "really", "same", "she", "should", "so", "some", "such", "than", "that", "that's", "the", "their",
    "them", "then", "there", "these", "they", "this", "those", "through", "to", "too", "under", "until", "up", "us",
    "very", "was", "we", "were", "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with",
    "would", "you", "your", "yours",
];

/// Words that turn a statement into its opposite. Two texts that differ in one never mean the same.
const NEGATIONS: [&str; 12] =
    ["no", "not", "never", "none", "nothing", "nobody", "nowhere", "neither", "nor", "without", "cannot", "stopped"];

/// The opening and closing marks of a context block that memos wrote into a prompt.
pub const CONTEXT_OPEN: &str = "<memos-context";
pub const CONTEXT_CLOSE: &str = "</memos-context>";

/// The words of a text, lower-cased, in order, stop words and all.
///
/// ASCII text, which is most of what there is, is cut by hand, by the rules that UAX #29 has for it; a test holds the
/// two together.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let ascii = text.is_ascii().then(|| AsciiWords { rest: text }.map(str::to_ascii_lowercase));
    let other = (!text.is_ascii()).then(|| text.unicode_words().map(str::to_lowercase));
    ascii.into_iter().flatten().chain(other.into_iter().flatten())
}

/// Runs of letters, digits and underscores; an apostrophe or a full stop between two letters, and a full stop or a comma
/// between two digits, belong to the word.
struct AsciiWords<'a> {
    rest: &'a str,
}

impl<'a> Iterator for AsciiWords<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        loop {
            let bytes = self.rest.as_bytes();
            let start = bytes.iter().position(|byte| is_word(*byte))?;
            let mut end = start + 1;
            while let Some(&byte) = bytes.get(end) {
                let joins = || {
                    let (before, after) = (bytes[end - 1], bytes.get(end + 1).copied().unwrap_or_default());
                    let letters = before.is_ascii_alphabetic() && after.is_ascii_alphabetic();
                    let digits = before.is_ascii_digit() && after.is_ascii_digit();
                    matches!(byte, b'\'' | b'.') && letters || matches!(byte, b'\'' | b'.' | b',') && digits
                };
                if !is_word(byte) && !joins() {
                    break;
                }
                end += 1;
            }
            let word = &self.rest[start..end];
            self.rest = &self.rest[end..];
            if word.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
                return Some(word);
            }
        }
    }
}

/// A text in one line, cut after at most `bytes` bytes.
#[must_use]
pub fn beginning(text: &str, bytes: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() <= bytes {
        return line;
    }
    let end = (0..=bytes).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
    format!("{}…", line[..end].trim_end())
}

/// The terms of a text in order, without stop words.
#[must_use]
pub fn terms(text: &str) -> Vec<Term> {
    Analyzer::default().terms(text)
}

/// Finds terms of many texts, and stems each word only once: what one person says has few different words.
#[derive(Default)]
pub struct Analyzer {
    /// The words that were met; a stop word has no term.
    known: BTreeMap<String, Option<Term>>,
}

impl Analyzer {
    /// The terms of a text in order, without stop words.
    pub fn terms(&mut self, text: &str) -> Vec<Term> {
        let mut terms = Vec::new();
        for word in words(text) {
            let term = match self.known.get(&word) {
                Some(known) => *known,
                None => {
                    let term = (!is_stop_word(&word)).then(|| term_of(&word));
                    self.known.insert(word, term);
                    term
                }
            };
            terms.extend(term);
        }
        terms
    }
}

impl std::fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Analyzer({} words)", self.known.len())
    }
}

fn term_of(word: &str) -> Term {
    if word.is_ascii() { Term::of(&Stemmer::create(Algorithm::English).stem(word)) } else { Term::of(word) }
}

impl Term {
    /// FNV-1a. A term is never stored, so it need not withstand anybody: who makes two words collide makes his own
    /// search worse.
    fn of(stem: &str) -> Self {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        Self(stem.bytes().fold(0xcbf2_9ce4_8422_2325, fold))
    }
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Whether a lower-cased word negates.
#[must_use]
pub fn is_negation(word: &str) -> bool {
    NEGATIONS.contains(&word) || word.ends_with("n't") || word.ends_with("n\u{2019}t")
}

/// How many tokens a text costs: a run of word characters, or one punctuation mark, is a token.
#[must_use]
pub fn tokens(text: &str) -> usize {
    let mut count = 0;
    let mut in_word = false;
    for character in text.chars() {
        let word = character.is_alphanumeric() || character == '_';
        if word && !in_word || !word && !character.is_whitespace() {
            count += 1;
        }
        in_word = word;
    }
    count
}

/// The text without the context blocks that memos itself wrote into it (law L07). An unclosed block goes to the end.
#[must_use]
pub fn strip_context(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(CONTEXT_OPEN) {
        kept.push_str(&rest[..start]);
        rest = rest[start..].find(CONTEXT_CLOSE).map_or("", |end| &rest[start + end + CONTEXT_CLOSE.len()..]);
    }
    kept.push_str(rest);
    kept.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stems_and_stop_words() {
        assert_eq!(terms("I am allergic to peanuts"), terms("allergic: peanut"));
        assert_ne!(terms("peanut"), terms("walnut"));
        assert_eq!(terms("the of and"), Vec::new());
    }

    #[test]
    fn stop_words_are_in_order() {
        assert!(STOP_WORDS.is_sorted());
    }

    #[test]
    fn ascii_is_cut_as_unicode_says() {
        let texts = [
            "Hello, world! It's 3.50 or 1,000; don't e-mail a_b me@x.org (really).",
            "  ",
            "",
            "...",
            "a.b. c",
            "x' 'y",
            "1.a a.1 3,4,5",
            "U.S.A. 12:30 50% C++ _ __x",
        ];
        for text in texts {
            let ours: Vec<&str> = AsciiWords { rest: text }.collect();
            let unicode: Vec<&str> = text.unicode_words().collect();
            assert_eq!(ours, unicode, "{text}");
        }
    }

    #[test]
    fn every_script_has_words() {
        for text in ["Ich wohne in München", "Я живу в Москве", "我住在北京", "أعيش في القاهرة", "मैं दिल्ली में रहता हूँ"]
        {
            assert!(terms(text).len() >= 2, "{text}");
        }
    }

    #[test]
    fn a_token_is_a_word_or_a_mark() {
        assert_eq!(tokens("Hello, world!"), 4);
        assert_eq!(tokens(""), 0);
        assert_eq!(tokens("snake_case 42"), 2);
    }

    // law: L07
    #[test]
    fn our_own_context_blocks_are_stripped() {
        let text = "Before. <memos-context v=\"1\">the user likes tea</memos-context> After.";
        assert_eq!(strip_context(text), "Before.  After.");
        assert_eq!(strip_context("Before. <memos-context>unclosed"), "Before.");
        assert_eq!(strip_context("nothing of ours"), "nothing of ours");
    }
}
