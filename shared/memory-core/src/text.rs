//! Words of a text, as ranking, merging and salience see them.
//!
//! Segmentation is Unicode's (UAX #29), so every script gives words; stemming is English (Porter2) and applies to
//! ASCII words only. A term is an 8-byte hash of its stem: indexes then hold no text.

use std::borrow::Cow;
use std::cell::RefCell;

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

use table::{HASH_OF_NOTHING, hash_on};

pub mod language;
pub mod lexis;
pub(crate) mod list;
pub(crate) mod scan;
pub(crate) mod table;

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
    let other = (!text.is_ascii()).then(|| text.unicode_words().map(|word| lowered(word).into_owned()));
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

/// A word in lower case and with plain apostrophes. Most are so already.
pub(crate) fn lowered(word: &str) -> Cow<'_, str> {
    if word.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        Cow::Borrowed(word)
    } else if word.is_ascii() {
        Cow::Owned(word.to_ascii_lowercase())
    } else {
        Cow::Owned(word.to_lowercase().replace('\u{2019}', "'"))
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
    STEMS.with_borrow_mut(|stems| {
        if text.is_ascii() {
            AsciiWords { rest: text }.filter_map(|word| stems.term_of(word)).collect()
        } else {
            text.unicode_words().filter_map(|word| stems.term_of(word)).collect()
        }
    })
}

/// The distinct terms of a text, ascending.
#[must_use]
pub fn distinct_terms(text: &str) -> Vec<Term> {
    let mut terms = terms(text);
    terms.sort_unstable();
    terms.dedup();
    terms
}

thread_local! {
    static STEMS: RefCell<Stems> = RefCell::new(Stems(vec![None; Stems::SLOTS]));
}

/// The terms of words that were met lately: stemming takes most of the time where texts are compared, and people have few
/// different words. It says what stemming would say; nothing depends on what is in it.
struct Stems(Vec<Option<Stem>>);

#[derive(Clone, Copy)]
struct Stem {
    /// In lower case, and zeros. The word itself and no hash: whoever can say words may know two with one hash.
    word: [u8; Stems::WORD_BYTES],
    /// A stop word has none.
    term: Option<Term>,
}

impl Stems {
    /// A word has the slot of its hash, until another one takes it: 160 KiB for each thread.
    const SLOTS: usize = 1 << 12;
    /// Longer words are rare, and stemmed each time.
    const WORD_BYTES: usize = 16;

    fn term_of(&mut self, word: &str) -> Option<Term> {
        if !word.is_ascii() {
            let lower = lowered(word);
            return if lower.is_ascii() { self.term_of(&lower) } else { Some(Term::of(&lower)) };
        }
        if word.len() > Self::WORD_BYTES {
            return Self::stem(&word.to_ascii_lowercase());
        }
        let mut lower = [0; Self::WORD_BYTES];
        lower[..word.len()].copy_from_slice(word.as_bytes());
        lower.make_ascii_lowercase();
        let hash = Term::of_bytes(lower[..word.len()].iter().copied()).0;
        let slot = &mut self.0[usize::try_from(hash % Self::SLOTS as u64).expect("a small number")];
        if let Some(known) = slot.filter(|known| known.word == lower) {
            return known.term;
        }
        let term = Self::stem(&word.to_ascii_lowercase());
        *slot = Some(Stem { word: lower, term });
        term
    }

    /// The term of a word in lower case; a stop word has none.
    fn stem(word: &str) -> Option<Term> {
        (!is_stop_word(word)).then(|| Term::of(&Stemmer::create(Algorithm::English).stem(word)))
    }
}

impl Term {
    /// FNV-1a. A term is never stored, so it need not withstand anybody: who makes two words collide makes his own
    /// search worse.
    pub(crate) fn of(stem: &str) -> Self {
        Self::of_bytes(stem.bytes())
    }

    pub(crate) fn of_bytes(bytes: impl Iterator<Item = u8>) -> Self {
        Self(bytes.fold(HASH_OF_NOTHING, hash_on))
    }

    pub(crate) const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.binary_search(&word).is_ok()
}

/// Whether a word, as [`words`] gives it, negates.
#[must_use]
pub fn is_negation(word: &str) -> bool {
    NEGATIONS.contains(&word) || word.ends_with("n't")
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
    fn the_apostrophe_of_a_phone_is_one() {
        let (plain, typed) = ("I don't like Anna's cat", "I don\u{2019}t like Anna\u{2019}s cat");
        assert_eq!(terms(typed), terms(plain));
        assert_eq!(words(typed).collect::<Vec<_>>(), words(plain).collect::<Vec<_>>());
    }

    #[test]
    fn a_remembered_stem_is_that_of_its_own_word() {
        // Two with one hash, of which the first could stand for the second.
        let forged = concat!(
            "bcmrztgjcgzcnbrwgkmffhbdhrvhqwxmlvxvlncrcxnkhcrmfdbhxmdtvvvjczlmzlzmzvkcxnttbnbrbpqlrgcvrzgjhzgvhxpjlhwrvjjjdqthgbrclqn",
            "hqxgxjwwlzwlpbdbwdrkxbjlqpbxfmcnqntggbxmcntjlprxhrpgtlkcvztdpwbknwxdjkkzlwvkx"
        );
        assert_eq!(Term::of(forged), Term::of("allergic"));
        assert_eq!(terms(forged).len(), 1);
        assert_eq!(terms("allergic"), [Term::of("allerg")]);
        // Many more words than are remembered.
        for number in 0..4 * Stems::SLOTS {
            let stem = Term::of(&Stemmer::create(Algorithm::English).stem(&format!("walking{number}s")));
            assert_eq!(terms(&format!("Walking{number}s")), [stem], "{number}");
        }
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
