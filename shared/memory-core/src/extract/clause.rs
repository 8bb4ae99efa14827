//! Sentences, and the clauses of a sentence: a clause is a subject with what is said of it.
//!
//! A sentence is cut where a conjunction, a comma or a frame ("I think", "she said") is followed by a subject with a verb of
//! its own, and where a conjunction is followed by a verb that can only be one. A relative clause without a pronoun ("a song I
//! like") stays with its noun.

use std::ops::Range;

use super::lexicon::{
    ADVERB, AUXILIARY, BE, CAN, COORDINATOR, DEGREE, DET, DO, HAVE, LEXICON, NEVER, NO, NOT, NOW, OPENER, POSSESSIVE,
    REPORT, REQUEST, SUBJECT, SUBORDINATE, TIMED, UNREAL, WH, WILL, WISH,
};
use super::token::Token;

#[derive(Clone, Debug)]
pub(super) struct Sentence {
    pub(super) tokens: Range<usize>,
    pub(super) bytes: Range<usize>,
    pub(super) question: bool,
}

/// What stands between a clause and the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Link {
    Start,
    Comma,
    Conjunction,
    /// What somebody says, thinks or wishes: the clause before is its frame.
    Content,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Clause {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) link: Link,
    /// "if" and "unless".
    pub(super) unreal: bool,
    /// "when", "while", "before" and the like.
    pub(super) timed: bool,
    pub(super) question: bool,
}

const ABBREVIATIONS: [&str; 18] = [
    "dr", "mr", "mrs", "ms", "st", "prof", "e.g", "i.e", "vs", "approx", "inc", "jr", "sr", "no", "dept", "ave", "rd",
    "mt",
];

/// The longest sentence, in tokens: a longer one is cut. Rules look ahead within a sentence, so that without a bound a hostile
/// text would cost the square of its length.
const SENTENCE_MAX: usize = 200;

/// The longest topic that is put as a question, in tokens.
const TOPIC_MAX: usize = 6;

pub(super) fn sentences(tokens: &[Token<'_>]) -> Vec<Sentence> {
    let mut sentences = Vec::new();
    let mut from = 0;
    for at in 0..tokens.len() {
        if at >= from + SENTENCE_MAX {
            push_sentence(tokens, from..at, at, false, &mut sentences);
            from = at;
        }
        if at < from || !ends_sentence(tokens, at) || names_topic(&tokens[from..], at - from) {
            continue;
        }
        let mut end = at + 1;
        while end < tokens.len() && tokens[end].mark && matches!(&*tokens[end].word, "." | "!" | "?" | "…") {
            end += 1;
        }
        let question = tokens[at..end].iter().any(|token| token.is("?"));
        push_sentence(tokens, from..at, end, question, &mut sentences);
        from = end;
    }
    push_sentence(tokens, from..tokens.len(), tokens.len(), false, &mut sentences);
    sentences
}

/// Whether a question only names what is then spoken of: "Facebook? I'm not on it."
fn names_topic(tokens: &[Token<'_>], at: usize) -> bool {
    let asked = &tokens[..at];
    let goes_on = tokens.get(at + 1).is_some_and(|next| !next.mark);
    tokens[at].is("?")
        && goes_on
        && (1..=TOPIC_MAX).contains(&asked.len())
        && !asked.iter().any(|token| token.mark || token.in_class(AUXILIARY | WH | SUBJECT & !DET | REQUEST))
}

fn push_sentence(tokens: &[Token<'_>], words: Range<usize>, end: usize, question: bool, sentences: &mut Vec<Sentence>) {
    let mut words = words;
    while words.start < words.end && tokens[words.start].mark {
        words.start += 1;
    }
    if words.is_empty() {
        return;
    }
    let last = tokens[words.end..end].iter().rfind(|token| !token.is("\n")).unwrap_or(&tokens[words.end - 1]);
    let bytes = tokens[words.start].span.start..last.span.end.max(tokens[words.end - 1].span.end);
    sentences.push(Sentence { tokens: words, bytes, question });
}

fn ends_sentence(tokens: &[Token<'_>], at: usize) -> bool {
    let token = &tokens[at];
    if !token.mark {
        return false;
    }
    if !token.is(".") {
        return matches!(&*token.word, "!" | "?" | "…" | "\n" | "。" | "？" | "！");
    }
    let Some(before) = at.checked_sub(1).map(|before| &tokens[before]) else { return true };
    let next_is_small = tokens.get(at + 1).is_some_and(|next| !next.mark && !next.capital);
    let abbreviation =
        ABBREVIATIONS.contains(&&*before.word) && (before.capital || next_is_small || before.word.contains('.'));
    let initial = before.capital && before.word.chars().count() == 1 && !before.is("i") && !next_is_small;
    !(abbreviation && at + 1 < tokens.len() || initial && tokens.get(at + 1).is_some_and(|next| next.capital))
}

/// The clauses of a sentence, in order.
pub(super) fn clauses(tokens: &[Token<'_>], sentence: &Sentence) -> Vec<Clause> {
    let mut cut = Vec::new();
    let Range { start, end } = sentence.tokens;
    let mut from = start;
    let mut link = Link::Start;
    let mut at = start;
    while at < end {
        if at > from
            && let Some((next, linked)) = boundary(tokens, from, at, end)
        {
            push_clause(tokens, from..at, link, &mut cut);
            (from, link) = (next, linked);
            at = next;
        }
        at += 1;
    }
    push_clause(tokens, from..end, link, &mut cut);
    let first_question = cut.iter().position(|clause| clause.question);
    let asked = first_question.or_else(|| sentence.question.then_some(0));
    if let Some(asked) = asked {
        cut[asked..].iter_mut().for_each(|clause| clause.question = true);
    }
    cut
}

fn push_clause(tokens: &[Token<'_>], words: Range<usize>, link: Link, cut: &mut Vec<Clause>) {
    let mut words = words;
    while words.end > words.start && tokens[words.end - 1].mark {
        words.end -= 1;
    }
    while words.end > words.start && tokens[words.start].mark {
        words.start += 1;
    }
    if words.is_empty() {
        return;
    }
    let mut at = words.start;
    while at + 1 < words.end && (tokens[at].in_class(COORDINATOR | OPENER) || tokens[at].is(",")) {
        at += 1;
    }
    let head = &tokens[at];
    let question = asks(tokens, at, words.end);
    let as_role = head.is("as") && !tokens.get(at + 1).is_some_and(|next| next.in_class(SUBJECT) || next.is("soon"));
    cut.push(Clause {
        from: words.start,
        to: words.end,
        link,
        unreal: head.in_class(UNREAL),
        timed: head.in_class(TIMED) && !as_role
            || head.is("so") && tokens.get(at + 1).is_some_and(|next| next.is("that")),
        question,
    });
}

/// Whether a clause has the order of a question: a verb before its subject, or a question word before such a pair.
fn asks(tokens: &[Token<'_>], at: usize, end: usize) -> bool {
    let mut at = at;
    let wh = tokens[at].in_class(WH);
    if wh {
        let verb = (at + 1..end.min(at + 4)).find(|at| tokens[*at].in_class(AUXILIARY));
        let subject = tokens.get(at + 1).is_some_and(|next| next.in_class(SUBJECT | POSSESSIVE));
        match verb {
            Some(verb) if !subject => at = verb,
            Some(_) | None => return false,
        }
        if at + 1 >= end || tokens[at].in_class(BE) {
            return true;
        }
    }
    let inverted = tokens[at].in_class(AUXILIARY) && at + 1 < end;
    let mut next = at + 1;
    if tokens.get(next).is_some_and(|token| token.in_class(NOT)) {
        next += 1;
    }
    inverted
        && next < end
        && (tokens[next].in_class(SUBJECT)
            || tokens[next].in_class(DET)
                && !matches!(&*tokens[next].word, "a" | "an")
                && tokens[at].in_class(AUXILIARY & !HAVE))
}

/// Whether the clause that began at `from` ends before `at`: where the next begins, and how they are linked.
fn boundary(tokens: &[Token<'_>], from: usize, at: usize, end: usize) -> Option<(usize, Link)> {
    let token = &tokens[at];
    let next = at + 1;
    if token.mark {
        return match &*token.word {
            "," => {
                let verb =
                    tokens[..end].get(next).is_some_and(|token| token.in_class(WILL | CAN | DO) || token.is("gonna"));
                if verb && starts_verb(tokens, from, next, end) {
                    return Some((next, Link::Conjunction));
                }
                let starts = starts_clause(tokens, next, end, true);
                starts.then_some((next, Link::Comma))
            }
            "?" | ";" | ":" | "—" | "–" | "-" | "(" | ")" | "[" | "]" | "*" => Some((next, Link::Comma)),
            _ => None,
        };
    }
    let previous = &tokens[at - 1];
    if token.is("that")
        && LEXICON.lemma(previous) != "like"
        && frames(tokens, from, at)
        && starts_clause(tokens, next, end, true)
    {
        return Some((next, Link::Content));
    }
    if token.in_class(SUBORDINATE) && previous.is("it") && at >= from + 3 && !token.is("because") {
        // "I hate it when people are late."
        return None;
    }
    if token.in_class(SUBORDINATE) && !previous.in_class(COORDINATOR) {
        let always = token.is("because") && !tokens.get(next).is_some_and(|next| next.is("of"))
            || matches!(&*token.word, "although" | "though" | "whereas" | "unless" | "if")
                && tokens.get(next).is_some_and(|next| !next.is("possible"));
        let split = always || starts_clause(tokens, next, end, false);
        return split.then_some((at, Link::Conjunction));
    }
    if token.in_class(COORDINATOR) {
        let split = starts_clause(tokens, next, end, true) || starts_verb(tokens, from, next, end);
        return split.then_some((at, Link::Conjunction));
    }
    let first_person = token.is("i")
        || token.is("we")
        || token.in_class(SUBJECT)
            && frames(tokens, from, at)
            && !token.is("that")
            && !token.is("it")
            && !token.is("you");
    if first_person && !previous.mark && !previous.in_class(COORDINATOR | SUBORDINATE | OPENER | ADVERB | WH) {
        let subordinate = tokens[from].in_class(SUBORDINATE)
            && tokens[from + 1..at].iter().any(|token| token.in_class(SUBJECT & !DET | AUXILIARY | POSSESSIVE));
        if frames(tokens, from, at) || subordinate {
            return Some((at, if subordinate { Link::Comma } else { Link::Content }));
        }
    }
    None
}

/// Whether the words before `at` are a frame whose content now begins: "I think", "she told me", "I promise".
fn frames(tokens: &[Token<'_>], from: usize, at: usize) -> bool {
    let mut last = at - 1;
    if matches!(&*tokens[last].word, "me" | "us" | "him" | "her" | "you" | "them" | "sure" | "mind" | "afraid")
        && last > from
    {
        last -= 1;
    }
    let lemma = LEXICON.lemma(&tokens[last]);
    let known = matches!(
        lemma,
        "know"
            | "remember"
            | "note"
            | "swear"
            | "guess"
            | "hope"
            | "mean"
            | "feel"
            | "hear"
            | "see"
            | "find"
            | "keep"
            | "be"
            | "vow"
            | "figure"
            | "realise"
            | "realize"
            | "decide"
            | "bet"
            | "make"
            | "understand"
            | "forget"
            | "agree"
    );
    let class = LEXICON.class(lemma);
    let be = tokens[last].in_class(BE) && last == at - 1;
    (known || class & (REPORT | WISH) != 0) && !be
}

/// Whether a subject with a verb of its own begins here. `names` lets a noun phrase be one.
pub(super) fn starts_clause(tokens: &[Token<'_>], at: usize, end: usize, names: bool) -> bool {
    let mut at = at;
    while at < end
        && (tokens[at].in_class(ADVERB | NOW | OPENER | COORDINATOR | SUBORDINATE | NO) || tokens[at].is(","))
    {
        at += 1;
    }
    let Some(token) = tokens[..end].get(at) else { return false };
    let next = tokens[..end].get(at + 1);
    if token.in_class(SUBJECT) && !token.in_class(DET) {
        return next.is_some_and(|next| !next.mark);
    }
    if token.in_class(WH) || asks(tokens, at, end) {
        return next.is_some();
    }
    if matches!(&*token.word, "please" | "let" | "call") && next.is_some_and(|next| next.is("me") || next.is("call")) {
        return true;
    }
    let phrase = token.in_class(DET)
        || names && (token.capital || token.in_class(POSSESSIVE) || matches!(&*token.word, "his" | "her" | "their"));
    phrase && has_verb_soon(tokens, at + 1, end)
}

/// Whether a form of "be", an auxiliary or "'s" stands within the next five words, before any mark or preposition.
fn has_verb_soon(tokens: &[Token<'_>], at: usize, end: usize) -> bool {
    for token in tokens[at.min(end)..end].iter().take(5) {
        if token.mark || token.in_class(SUBJECT & !DET) || token.in_class(COORDINATOR) || token.is("to") {
            return false;
        }
        if token.in_class(AUXILIARY) {
            return true;
        }
        let lemma = LEXICON.lemma(token);
        if lemma != token.word && LEXICON.is_known_verb(lemma) && !token.word.ends_with("ing") {
            return true;
        }
    }
    false
}

/// Whether a conjunction is followed by a verb whose subject is that of the clause before: "and became a baker".
fn starts_verb(tokens: &[Token<'_>], from: usize, at: usize, end: usize) -> bool {
    let mut at = at;
    while at < end && tokens[at].in_class(ADVERB | NOW | DEGREE | NEVER) {
        at += 1;
    }
    let Some(token) = tokens[..end].get(at) else { return false };
    let Some(next) = tokens[..end].get(at + 1) else { return false };
    let mut verbs = tokens[from..at]
        .iter()
        .filter(|token| token.in_class(AUXILIARY) || LEXICON.is_known_verb(LEXICON.lemma(token)));
    let first_person = tokens[from..at].iter().any(|token| matches!(&*token.word, "i" | "we"));
    if verbs.next().is_none() || !first_person {
        return false;
    }
    let future =
        tokens[from..at].iter().any(|token| token.is("will") || token.is("going") || token.is("to") || token.is("let"));
    if token.in_class(AUXILIARY) {
        let planned = future && matches!(&*token.word, "be" | "have" | "do");
        return !(token.in_class(DET) || next.mark || planned);
    }
    let lemma = LEXICON.lemma(token);
    let past = LEXICON.is_past(token) && LEXICON.is_known_verb(lemma);
    let present = matches!(
        &*token.word,
        "live"
            | "work"
            | "teach"
            | "study"
            | "speak"
            | "love"
            | "hate"
            | "prefer"
            | "own"
            | "enjoy"
            | "play"
            | "drive"
            | "take"
            | "like"
            | "want"
    );
    past || present
        && !future
        && (next.in_class(super::lexicon::PREPOSITION | DET)
            || matches!(&*token.word, "love" | "hate" | "prefer" | "speak" | "enjoy"))
}
