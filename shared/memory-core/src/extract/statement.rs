//! From what a rule found to the statement: what tense, negation, "now" and corrections make of it.

use std::ops::Range;

use super::lexicon::{NUMBER, TIME};
use super::pattern::Kind;
use super::predicate::{Predicate, Tense};
use super::reader::{Cue, Reader};
use super::token::Token;
use super::value::{Extent, Value, value};
use super::{Act, Statement};

/// A rule of a table fits.
pub(super) const SURE: u16 = 900;
/// Only grammar says so.
pub(super) const LIKELY: u16 = 600;

/// What is to be stated, in tokens.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) act: Act,
    pub(super) attribute: String,
    pub(super) value: Value,
    pub(super) negated: bool,
    pub(super) single: bool,
    pub(super) confidence: u16,
}

/// What decides besides the verb group.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    /// The simple past will do.
    pub(super) past: bool,
    /// A time is said.
    pub(super) time: bool,
    /// "now", "these days".
    pub(super) new: bool,
}

/// The act and the attribute of a kind that is told with a predicate; nothing if it then says nothing.
pub(super) fn told(kind: Kind, attribute: &str, predicate: &Predicate<'_>, scope: Said) -> Option<(Act, String, bool)> {
    let Said { past, time, new } = scope;
    let negated = predicate.negated;
    let own = |act: Act| Some((act, attribute.to_owned(), negated));
    let lemma = |act: Act| Some((act, predicate.lemma.to_string(), negated));
    let lasts = match predicate.tense {
        Tense::Present | Tense::Former | Tense::Future => true,
        Tense::Past => past || predicate.habit,
        Tense::Perfect => {
            past || predicate.progressive
                || predicate.habit
                || negated
                || stative(predicate.lemma)
                || attribute == "condition"
        }
    };
    match kind {
        Kind::Nothing => None,
        Kind::Like | Kind::Prefer if predicate.ended => own(Act::Negation),
        Kind::Like | Kind::Prefer if negated => Some((Act::Preference, "dislikes".to_owned(), false)),
        Kind::Dislike if attribute == "minds" => negated.then(|| (Act::Preference, "accepts".to_owned(), false)),
        Kind::Dislike if predicate.can.is_none() && negated => None,
        Kind::Dislike => Some((Act::Preference, attribute.to_owned(), false)),
        Kind::Like | Kind::Prefer => own(Act::Preference),
        Kind::Fact if !lasts && !negated && predicate.tense == Tense::Perfect => own(Act::Change),
        Kind::Fact if negated => own(Act::Negation),
        Kind::Fact => own(Act::Fact),
        Kind::Change if predicate.tense == Tense::Former => None,
        Kind::Change if predicate.tense == Tense::Present && !predicate.progressive && predicate.lemma != "be" => {
            if negated {
                lemma(Act::Negation)
            } else {
                lemma(Act::Fact).filter(|_| !predicate.lemma.is_empty())
            }
        }
        Kind::Change if negated => own(Act::Negation),
        Kind::Change => own(Act::Change),
        Kind::End if negated => None,
        Kind::End => Some((Act::Negation, attribute.to_owned(), true)),
        Kind::Plan if negated => own(Act::Negation),
        Kind::Plan => own(Act::Commitment),
        Kind::Soon | Kind::Duty => (time && !negated).then(|| (Act::Commitment, "plan".to_owned(), false)),
        Kind::Goal if negated => own(Act::Negation),
        Kind::Goal if time => Some((Act::Commitment, "plan".to_owned(), false)),
        Kind::Goal => own(Act::Fact),
        Kind::Fix => (!negated).then(|| (Act::Correction, attribute.to_owned(), false)),
        Kind::Rare if attribute == "affiliation" => {
            if negated {
                own(Act::Negation)
            } else if new {
                own(Act::Fact)
            } else {
                None
            }
        }
        Kind::Rare if negated => lemma(Act::Negation),
        Kind::Rare if predicate.habit && lasts => lemma(Act::Fact),
        Kind::Rare if new && lasts => lemma(Act::Fact),
        Kind::Rare => None,
    }
}

/// Verbs whose perfect says what is still so.
fn stative(lemma: &str) -> bool {
    matches!(
        lemma,
        "be" | "have"
            | "live"
            | "work"
            | "own"
            | "know"
            | "belong"
            | "suffer"
            | "run"
            | "speak"
            | "love"
            | "like"
            | "hate"
    )
}

/// Whether a time that is still to come, or a date, is said.
pub(super) fn has_time(tokens: &[Token<'_>]) -> bool {
    let dated = |pair: &[Token<'_>]| {
        let [first, second] = pair else { return false };
        let number = second.has_digit() || second.in_class(NUMBER);
        matches!(&*first.word, "at" | "by" | "on" | "before" | "until" | "till" | "the")
            && number
            && second.span.len() < 8
    };
    tokens.iter().any(|token| token.in_class(TIME) && !token.is("yesterday")) || tokens.windows(2).any(dated)
}

/// Whether what is told in the present lies ahead: "tomorrow", "next week", "on Friday".
pub(super) fn lies_ahead(tokens: &[Token<'_>]) -> bool {
    if tokens.iter().any(|token| {
        matches!(&*token.word, "every" | "since" | "usually" | "always" | "each" | "last" | "ago" | "days")
    }) {
        return false;
    }
    let ahead = |pair: &[Token<'_>]| {
        let [first, second] = pair else { return false };
        matches!(&*first.word, "on" | "at" | "in" | "this" | "by" | "the")
            && (second.in_class(TIME) && !second.word.ends_with('s') || second.has_digit())
    };
    let words = ["tomorrow", "tonight", "next", "soon", "later", "tmrw", "tmr", "upcoming"];
    tokens.iter().any(|token| words.contains(&&*token.word)) || tokens.windows(2).any(ahead)
}

/// What the text says from the first of these tokens to the last.
pub(super) fn said(text: &str, tokens: &[Token<'_>]) -> String {
    let (Some(first), Some(last)) = (tokens.first(), tokens.last()) else { return String::new() };
    text[first.span.start..last.span.end]
        .trim_matches(|edge: char| edge.is_whitespace() || matches!(edge, '"' | '*' | '_' | '“' | '”' | '`'))
        .to_owned()
}

impl Reader<'_> {
    pub(super) fn words(&self, words: &Range<usize>) -> String {
        self.tokens.get(words.clone()).map_or_else(String::new, |tokens| said(self.text, tokens))
    }

    /// The value that begins at `from` in the clause that ends at `to`.
    pub(super) fn value(&self, from: usize, to: usize, extent: Extent) -> Value {
        value(&self.tokens[..to], from.min(to), extent)
    }

    /// Takes a statement down, as a correction if it is one. Whether it had a value.
    pub(super) fn state(&mut self, draft: Draft) -> bool {
        let said = self.words(&draft.value.words);
        if said.is_empty() || !said.chars().any(char::is_alphanumeric) {
            return false;
        }
        let old = draft.value.old.as_ref().map(|old| self.words(old)).filter(|old| !old.is_empty());
        let mut act = draft.act;
        let contrast = old.is_some()
            && draft.value.contrast
            && (self.cue >= Cue::Soft || draft.single && act == Act::Fact || self.alike(&draft.value));
        let cued = if draft.negated { self.cue >= Cue::Correct } else { self.cue >= Cue::No };
        if act != Act::Commitment && (contrast && act != Act::Preference || cued) {
            act = Act::Correction;
        }
        let mut old = old;
        if let Some(denied) = self
            .denied
            .take()
            .filter(|denied| denied.attribute == draft.attribute && !draft.negated && draft.act != Act::Commitment)
            && (draft.single || self.cue >= Cue::No || denied.single)
        {
            self.out.truncate(denied.place);
            old = old.or(Some(denied.value));
            act = Act::Correction;
        }
        if draft.negated {
            let denied = Denied {
                attribute: draft.attribute.clone(),
                value: said.clone(),
                single: draft.single,
                place: self.out.len(),
            };
            self.denied = Some(denied);
        }
        let known = |known: &Statement| {
            known.sentence == self.sentence && known.attribute == draft.attribute && known.value == said
        };
        if self.out.iter().any(known) {
            return true;
        }
        self.out.push(Statement {
            act,
            attribute: draft.attribute,
            value: said,
            old,
            negated: draft.negated,
            single: draft.single,
            sentence: self.sentence.clone(),
            confidence: draft.confidence,
        });
        true
    }

    /// Whether a value and what it replaces are of one sort: both names, both numbers.
    fn alike(&self, value: &Value) -> bool {
        let Some(old) = &value.old else { return false };
        let sort = |words: &Range<usize>| {
            let words = &self.tokens[words.clone()];
            let number = words.iter().any(|token| token.has_digit() || token.in_class(NUMBER));
            let name = words.iter().any(|token| token.capital);
            (number, name)
        };
        let ((number, name), (old_number, old_name)) = (sort(&value.words), sort(old));
        number && old_number || name && old_name
    }
}

/// What was just denied: the next statement of the same attribute corrects it.
#[derive(Clone, Debug)]
pub(super) struct Denied {
    pub(super) attribute: String,
    pub(super) value: String,
    pub(super) single: bool,
    /// Where its statement stands.
    pub(super) place: usize,
}
