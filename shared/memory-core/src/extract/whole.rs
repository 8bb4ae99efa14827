//! The value of a sentence that no rule takes apart: all that it tells, without what only opens or closes it.

use std::ops::Range;

use super::Act;
use super::clause::{Clause, Sentence};
use super::lexicon::{ADVERB, AUXILIARY, COORDINATOR, LEXICON, NEVER, NO, NOT, NOW, OPENER, POSSESSIVE, SUBJECT};
use super::token::Token;
use super::value::{close, trim};

/// The longest value, in tokens: what is longer is a tale.
const WORDS_MAX: usize = 40;

/// The longest question that only asks for agreement, in tokens: "…, will you?"
const TAG_MAX: usize = 4;

/// The words of a sentence that are worth keeping: none of "well", "I am", "you know" and what it asks at its end, unless
/// that is how the act is put: "could you keep it short?"
pub(super) fn whole(tokens: &[Token<'_>], sentence: &Sentence, clauses: &[Clause], act: Option<Act>) -> Range<usize> {
    let Range { start, end } = sentence.tokens;
    let from = opened(tokens, start, end);
    let wishes = matches!(act, Some(Act::Preference | Act::Correction));
    let head = |clause: &Clause| {
        tokens[clause.from..clause.to].iter().find(|token| !token.mark && !token.in_class(COORDINATOR | OPENER))
    };
    // "My brother, who's autistic, likes …": what comes behind is then taken for a question, too.
    let relates = |clause: &Clause| {
        head(clause).is_some_and(|head| matches!(&*head.word, "who" | "which" | "whose" | "where" | "when"))
    };
    let asked = clauses.iter().find(|clause| clause.question).filter(|first| sentence.question || !relates(first));
    let is_aside = |clause: &&Clause| {
        let request =
            wishes && end - clause.from > TAG_MAX && head(clause).is_some_and(|head| head.in_class(AUXILIARY));
        clause.question && clause.from > from && !request
    };
    let asked = asked.and_then(|_| clauses.iter().find(is_aside)).map(|clause| clause.from);
    let to = asked.unwrap_or(end).min(from + WORDS_MAX);
    let (to, _) = close(&tokens[..to], from, to);
    let told = told(&tokens[..to], from);
    let words = trim(tokens, told..to);
    if words.is_empty() { trim(tokens, from..to) } else { words }
}

/// Where the sentence begins behind "well", "no," and "to be honest".
fn opened(tokens: &[Token<'_>], start: usize, end: usize) -> usize {
    let mut at = start;
    while let Some(token) = tokens[..end].get(at) {
        let next = tokens[..end].get(at + 1);
        if let Some((_, length)) = LEXICON.opening(&tokens[at..end]).filter(|(_, length)| at + length < end) {
            at += length;
        } else if token.mark
            || next.is_some()
                && (token.in_class(OPENER | COORDINATOR | NOW) && !token.in_class(AUXILIARY | NOT | SUBJECT | NO)
                    || token.in_class(NO)
                        && next.is_some_and(|next| next.mark || next.in_class(SUBJECT | POSSESSIVE | NO)))
        {
            at += 1;
        } else {
            break;
        }
    }
    at.min(end)
}

/// Where it goes on behind "I have", "it is", "we do not", "my".
fn told(tokens: &[Token<'_>], from: usize) -> usize {
    let Some(first) = tokens.get(from) else { return from };
    let article = matches!(&*first.word, "a" | "an" | "the");
    if first.in_class(POSSESSIVE) || article {
        return from + 1;
    }
    if !matches!(&*first.word, "i" | "we" | "it" | "there" | "that" | "this") {
        return from;
    }
    let mut at = from + 1;
    while let Some(token) = tokens.get(at) {
        let auxiliary =
            token.in_class(AUXILIARY | ADVERB | NOW | NOT | NEVER) && !token.in_class(SUBJECT) || token.is("got");
        let longer = token.is("no") && tokens.get(at + 1).is_some_and(|next| next.is("longer"));
        if !auxiliary && !longer {
            break;
        }
        at += if longer { 2 } else { 1 };
    }
    at
}
