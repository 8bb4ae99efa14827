//! Words of a text, as ranking, merging and salience see them.
//!
//! Segmentation is Unicode's (UAX #29), so every script gives words; stemming is English (Porter2) and applies to
//! ASCII words only. A term is an 8-byte hash of its stem: indexes then hold no text.

use rust_stemmers::{Algorithm, Stemmer};
use unicode_segmentation::UnicodeSegmentation;

/// A stemmed word, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u64);

/// Words that carry no topic. Pronouns of the first person are among them: who speaks is known apart.
const STOP_WORDS: [&str; 120] = [
    "a", "about", "after", "again", "all", "also", "am", "an", "and", "any", "are", "as", "at", "be", "because", "been", "before",
    "being", "but", "by", "can", "could", "did", "do", "does", "doing", "down", "each", "for", "from", "further", "get", "got",
    "had", "has", "have", "having", "he", "her", "here", "hers", "him", "his", "how", "i", "if", "in", "into", "is", "it", "its",
    "just", "like", "me", "more", "most", "my", "myself", "of", "off", "on", "once", "only", "or", "other", "our", "out", "over",
    "own", "please", "really", "same", "she", "should", "so", "some", "such", "than", "that", "the", "their", "them", "then",
    "there", "these", "they", "this", "those", "through", "to", "too", "under", "until", "up", "us", "very", "was", "we", "were",
    "what", "when", "where", "which", "while", "who", "whom", "why", "will", "with", "would", "you", "your", "yours", "i'm",
    "it's", "i've", "i'll", "i'd", "that's", "let's",
];

/// Words that turn a statement into its opposite. Two texts that differ in one never mean the same.
const NEGATIONS: [&str; 12] =
    ["no", "not", "never", "none", "nothing", "nobody", "nowhere", "neither", "nor", "without", "cannot", "stopped"];

/// The opening and closing marks of a context block that memos wrote into a prompt.
pub const CONTEXT_OPEN: &str = "<memos-context";
pub const CONTEXT_CLOSE: &str = "</memos-context>";

/// The words of a text, lower-cased, in order, stop words and all.
pub fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    text.unicode_words().map(str::to_lowercase)
}

/// The terms of a text in order, without stop words.
#[must_use]
pub fn terms(text: &str) -> Vec<Term> {
    let stemmer = Stemmer::create(Algorithm::English);
    words(text).filter(|word| !is_stop_word(word)).map(|word| term_of(&stemmer, &word)).collect()
}

fn term_of(stemmer: &Stemmer, word: &str) -> Term {
    let hash = if word.is_ascii() { blake3::hash(stemmer.stem(word).as_bytes()) } else { blake3::hash(word.as_bytes()) };
    Term(u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes")))
}

fn is_stop_word(word: &str) -> bool {
    STOP_WORDS.contains(&word)
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
    fn every_script_has_words() {
        for text in ["Ich wohne in München", "Я живу в Москве", "我住在北京", "أعيش في القاهرة", "मैं दिल्ली में रहता हूँ"] {
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
