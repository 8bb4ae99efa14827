//! Whether two texts say the same thing, so that a repeat reinforces instead of adding.
//!
//! Likeness is the Jaccard index of the two sets of terms, in 1/1000. It is not enough: "I eat meat" and "I never
//! eat meat" are much alike. So texts whose numbers, names or negations differ are never alike at all.

use crate::text::{self, Term};

/// What of a text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Distinct terms, ascending.
    pub terms: Vec<Term>,
    /// Numbers, capitalised words that do not begin a sentence, and negations, in ascending order.
    guards: Vec<String>,
}

impl Signature {
    #[must_use]
    pub fn of(content: &str) -> Self {
        Self { terms: text::distinct_terms(content), guards: guards(content) }
    }

    /// Whether nothing keeps this text apart from another, however alike they are.
    #[must_use]
    pub fn may_be_like(&self, content: &str) -> bool {
        self.guards == guards(content)
    }

    /// How alike two texts are, 0..=1000.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> u16 {
        if self.guards != other.guards || self.terms.is_empty() || other.terms.is_empty() {
            return 0;
        }
        let shared = self.terms.iter().filter(|term| other.terms.binary_search(term).is_ok()).count();
        jaccard(shared, self.terms.len(), other.terms.len())
    }
}

/// The share, in 1/1000, that what two sets have in common is of what they have together. One of them is not empty.
pub(crate) fn jaccard(shared: usize, one: usize, other: usize) -> u16 {
    let union = (one + other).saturating_sub(shared).max(1);
    u16::try_from(shared.min(union) * 1_000 / union).expect("a share of 1000")
}

fn guards(content: &str) -> Vec<String> {
    let mut guards = Vec::new();
    let mut begins = true;
    for token in content.split_whitespace() {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric());
        let lower = text::lowered(word);
        let capital = word.chars().next().is_some_and(char::is_uppercase);
        let own_name = capital && !begins && lower != "i" && !lower.starts_with("i'");
        if own_name || text::is_negation(&lower) || word.bytes().any(|byte| byte.is_ascii_digit()) {
            guards.push(lower.into_owned());
        }
        begins = token.ends_with(['.', '!', '?', ':']);
    }
    guards.sort_unstable();
    guards
}

#[cfg(test)]
mod tests {
    use super::*;

    fn likeness(left: &str, right: &str) -> u16 {
        Signature::of(left).likeness(&Signature::of(right))
    }

    #[test]
    fn the_same_said_again_is_alike() {
        assert_eq!(likeness("I love hiking in the mountains", "i love hiking in the mountains!"), 1_000);
        assert_eq!(likeness("I really love hiking in mountains.", "I love hiking in the mountains"), 1_000);
    }

    #[test]
    fn a_number_a_name_or_a_negation_keeps_texts_apart() {
        assert_eq!(likeness("My order is 4471", "My order is 4472"), 0);
        assert_eq!(likeness("My sister Anna likes long walks", "My sister Berta likes long walks"), 0);
        assert_eq!(likeness("I eat meat on weekdays", "I never eat meat on weekdays"), 0);
        assert_eq!(likeness("I do eat meat on weekdays", "I don't eat meat on weekdays"), 0);
        assert_eq!(
            likeness("I don't eat meat on weekdays", "I don\u{2019}t eat meat on weekdays"),
            1_000,
            "typography"
        );
    }

    #[test]
    fn nothing_is_alike_to_nothing() {
        assert_eq!(likeness("", ""), 0);
        assert_eq!(likeness("the of", "and"), 0);
    }
}
