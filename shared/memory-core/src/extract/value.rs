//! The words of a value: from where a rule found it to where something else begins.

use std::ops::Range;

use super::clause::starts_clause;
use super::lexicon::{
    ADJUNCT, ADVERB, AUXILIARY, COORDINATOR, DET, FILLER, LEXICON, NOT, NOW, NUMBER, OPENER, PREPOSITION, Phrase,
    SUBORDINATE, TIME,
};
use super::token::Token;

/// How much may belong to a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// One thing: a city, a name, a number.
    Single,
    /// A phrase, perhaps a list.
    Phrase,
    /// What somebody will do, with its time.
    Plan,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    pub(super) words: Range<usize>,
    /// "not Marie", "instead of coffee".
    pub(super) old: Option<Range<usize>>,
    /// The old value was put as its opposite: "X, not Y".
    pub(super) contrast: bool,
}

/// The value that begins at `from`, within the clause that ends with the tokens.
pub(super) fn value(tokens: &[Token<'_>], from: usize, extent: Extent) -> Value {
    let end = tokens.len();
    let mut start = from;
    while start < end
        && (tokens[start].mark
            || extent != Extent::Plan && tokens[start].in_class(ADVERB | NOW) && !tokens[start].is("only"))
    {
        start += 1;
    }
    let mut value = Value::default();
    let mut at = start;
    while at < end {
        let token = &tokens[at];
        if let Some((old, contrast)) = replaced(tokens, at, start) {
            value.old = Some(trim(tokens, old..old_end(tokens, old)));
            value.contrast = contrast;
            break;
        }
        if at > start && stops(tokens, at, extent) {
            break;
        }
        if token.mark && !continues(tokens, at, end, extent) {
            break;
        }
        at += 1;
    }
    value.words = trim(tokens, start..at);
    if extent == Extent::Plan {
        return value;
    }
    let Range { start, end } = value.words;
    let article = start + 1 < end && matches!(&*tokens[start].word, "a" | "an" | "the" | "some" | "any" | "my" | "our");
    value.words = start + usize::from(article)..end;
    value
}

/// Whether what the value replaces begins here: where, and whether it is put as the opposite.
fn replaced(tokens: &[Token<'_>], at: usize, start: usize) -> Option<(usize, bool)> {
    if at <= start {
        return None;
    }
    let token = &tokens[at];
    let word = |at: usize| tokens.get(at).map_or("", |token| &*token.word);
    match &*token.word {
        "," | "-" | "–" | "—" if word(at + 1) == "and" && word(at + 2) == "not" => Some((at + 3, true)),
        "," | "-" | "–" | "—" if word(at + 1) == "not" => Some((at + 2, true)),
        "," if matches!(word(at + 1), "rather" | "instead") && matches!(word(at + 2), "than" | "of") => {
            Some((at + 3, true))
        }
        "and" if word(at + 1) == "not" => Some((at + 2, true)),
        "not"
            if !(tokens[at - 1].in_class(AUXILIARY) && !tokens[at - 1].capital
                || matches!(word(at - 1), "to" | "but")) =>
        {
            Some((at + 1, true))
        }
        "instead" if word(at + 1) == "of" => Some((at + 2, false)),
        "rather" if word(at + 1) == "than" => Some((at + 2, false)),
        _ => None,
    }
    .filter(|(old, _)| *old < tokens.len())
}

fn old_end(tokens: &[Token<'_>], from: usize) -> usize {
    (from..tokens.len())
        .find(|at| tokens[*at].mark && !tokens[*at].is("\"") || tokens[*at].in_class(SUBORDINATE))
        .unwrap_or(tokens.len())
}

fn stops(tokens: &[Token<'_>], at: usize, extent: Extent) -> bool {
    let token = &tokens[at];
    let next = tokens.get(at + 1);
    if matches!(&*token.word, "because" | "although" | "though" | "but" | "which" | "whereas") {
        return true;
    }
    if extent == Extent::Plan {
        return token.is("so") && next.is_some_and(|next| next.is("that"));
    }
    if token.is("so") && !tokens[at - 1].is("or") {
        return true;
    }
    let number = |token: &Token<'_>| token.has_digit() || token.in_class(NUMBER);
    extent == Extent::Single
        && (token.in_class(ADJUNCT) && !token.is("during")
            || token.in_class(NOW | OPENER) && !token.is("right")
            || matches!(&*token.word, "with" | "these")
            || token.is("for")
                && next.is_some_and(|next| {
                    number(next)
                        || next.in_class(DET)
                        || matches!(&*next.word, "almost" | "about" | "over" | "many" | "years" | "now" | "work")
                })
            || token.is("in") && next.is_some_and(number)
            || token.in_class(PREPOSITION)
                && next.is_some_and(|next| {
                    next.in_class(DET)
                        && tokens.get(at + 2).is_some_and(|noun| matches!(&*noun.word, "moment" | "time" | "holidays"))
                })
            // "Porto on Monday", "Utrecht over Christmas"; a date goes on: "the first Sunday in May".
            || !(number(&tokens[at - 1]) || tokens[at - 1].in_class(TIME))
                && matches!(&*token.word, "on" | "over" | "around" | "before" | "after" | "in" | "at")
                && next.is_some_and(|next| next.in_class(TIME) || next.is("may") && next.capital))
}

/// Whether a mark within a value only joins its words: in a list, in an apposition, in quotes.
fn continues(tokens: &[Token<'_>], at: usize, end: usize, extent: Extent) -> bool {
    match &*tokens[at].word {
        "\"" | "'" | "\u{2019}" | "\u{2018}" | "\u{201c}" | "\u{201d}" | "/" | "&" | "." | "@" | "*" | "_" => true,
        "," => {
            let next = &tokens[at + 1..end];
            let Some(first) = next.first() else { return false };
            if first.in_class(OPENER | FILLER) && !first.in_class(COORDINATOR)
                || first.in_class(SUBORDINATE)
                || starts_clause(tokens, at + 1, end, true)
            {
                return false;
            }
            let stretch = next.iter().position(|token| token.is(",")).unwrap_or(next.len());
            let joined = next.iter().take(6).any(|token| matches!(&*token.word, "and" | "or" | "&"));
            let apposed = first.in_class(DET) && next.iter().take(4).any(|token| token.capital);
            let proper = first.capital || first.has_digit() || apposed;
            joined
                || proper && stretch <= 4
                || stretch < next.len() && stretch <= 3
                || extent == Extent::Plan && first.in_class(TIME | PREPOSITION)
        }
        _ => false,
    }
}

/// Takes marks, fillers and conjunctions off both ends.
pub(super) fn trim(tokens: &[Token<'_>], words: Range<usize>) -> Range<usize> {
    let Range { mut start, mut end } = words;
    while start < end && (tokens[start].mark || tokens[start].is("and")) {
        start += 1;
    }
    while end > start {
        let last = &tokens[end - 1];
        let empty = last.mark
            || last.in_class(COORDINATOR | NOT)
            || last.in_class(DET & !NUMBER) && matches!(&*last.word, "a" | "an" | "the" | "that");
        if !empty {
            break;
        }
        end -= 1;
    }
    start..end
}

/// What the end of a clause says of the whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    /// "these days", "now".
    pub(super) new: bool,
    /// "any more".
    pub(super) end: bool,
}

/// Takes off what closes a clause without belonging to its value ("any more", "these days", "by the way").
pub(super) fn close(tokens: &[Token<'_>], from: usize, to: usize) -> (usize, Ending) {
    let mut to = to;
    let mut ending = Ending::default();
    while to > from + 1 {
        let last = &tokens[to - 1];
        if let Some((kind, length)) = LEXICON.ending(&tokens[from..to]) {
            ending.new |= kind == Phrase::NewTail;
            ending.end |= kind == Phrase::EndTail;
            to -= length;
        } else if last.mark {
            to -= 1;
        } else if last.in_class(FILLER) || last.in_class(NOW) {
            ending.new |= last.in_class(NOW);
            to -= 1;
        } else {
            break;
        }
    }
    (to, ending)
}
