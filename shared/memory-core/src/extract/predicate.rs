//! The verb group after a subject: auxiliaries, negation and adverbs up to the verb that says it.

use super::lexicon::{
    ADVERB, BE, CAN, DET, DO, HAVE, LEXICON, MODAL, NEVER, NOT, NOW, NUMBER, PREPOSITION, SUBJECT, WILL, WOULD,
};
use super::token::Token;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tense {
    Present,
    Past,
    /// "have lived": begun before, or just done.
    Perfect,
    Future,
    /// "used to".
    Former,
}

/// A verb with how it is said.
#[derive(Clone, Debug)]
pub(super) struct Predicate<'w> {
    /// Where the verb stands.
    pub(super) verb: usize,
    pub(super) lemma: &'w str,
    pub(super) progressive: bool,
    pub(super) tense: Tense,
    pub(super) negated: bool,
    /// "no longer": it was so.
    pub(super) ended: bool,
    /// "now", "recently", "just": it was not so before.
    pub(super) new: bool,
    /// "always", "usually", "every".
    pub(super) habit: bool,
    /// "must".
    pub(super) duty: bool,
    /// "can" or "could", where it stands before the verb.
    pub(super) can: Option<usize>,
}

impl Predicate<'_> {
    /// "Not a smoker": the verb "be" is left out.
    pub(super) fn denied(verb: usize) -> Self {
        Self {
            verb,
            lemma: "be",
            progressive: false,
            tense: Tense::Present,
            negated: true,
            ended: false,
            new: false,
            habit: false,
            duty: false,
            can: None,
        }
    }
}

const HABITS: [&str; 17] = [
    "always",
    "usually",
    "normally",
    "generally",
    "often",
    "sometimes",
    "rarely",
    "seldom",
    "typically",
    "mostly",
    "every",
    "regularly",
    "occasionally",
    "hardly",
    "weekly",
    "twice",
    "each",
];

/// Reads the verb group that begins at `from`. Nothing if there is none, or if it says what might be.
pub(super) fn predicate<'w>(tokens: &'w [Token<'_>], from: usize) -> Option<Predicate<'w>> {
    let mut found = Predicate { negated: false, ..Predicate::denied(from) };
    let mut just = false;
    let mut at = from;
    while let Some(token) = tokens.get(at) {
        let word = token.word.as_ref();
        if token.mark {
            if !token.is(",") || at == from {
                return None;
            }
        } else if word == "no" && tokens.get(at + 1).is_some_and(|next| next.is("longer")) {
            found.negated = true;
            found.ended = true;
            at += 1;
        } else if token.in_class(NOT | NEVER) || word == "neither" {
            found.negated = true;
        } else if is_adverb(token) && word != "used" {
            just |= word == "just";
            found.new |= token.in_class(NOW);
            found.habit |= HABITS.contains(&word);
        } else if word == "going" && at == from && tokens.get(at + 1).is_some_and(|next| next.is("to")) {
            found.tense = Tense::Future;
            at += 1;
        } else if let Some(next) = auxiliary(tokens, at, &mut found) {
            at = next;
            continue;
        } else if word == "must" {
            found.duty = true;
        } else if token.in_class(MODAL) {
            return None;
        } else {
            main_verb(tokens, at, &mut found);
            found.new |= just && matches!(found.tense, Tense::Past | Tense::Perfect);
            found.habit |= tokens[at..].iter().any(|token| HABITS.contains(&&*token.word));
            return Some(found);
        }
        at += 1;
    }
    None
}

fn is_adverb(token: &Token<'_>) -> bool {
    token.in_class(ADVERB | NOW)
        || token.word.len() > 4 && token.word.ends_with("ly") && !LEXICON.is_known_verb(&token.word)
}

/// Takes an auxiliary: where the group goes on. Nothing if the word is the verb itself.
fn auxiliary(tokens: &[Token<'_>], at: usize, found: &mut Predicate<'_>) -> Option<usize> {
    let token = &tokens[at];
    let next = after_adverbs(tokens, at + 1);
    let word = |at: usize| tokens.get(at).map_or("", |token| &*token.word);
    if token.in_class(WILL) {
        found.tense = Tense::Future;
        return Some(at + 1);
    }
    if token.in_class(WOULD) && word(at + 1) == "better" {
        found.tense = Tense::Future;
        return Some(at + 2);
    }
    if token.in_class(WOULD) && tokens.get(next).is_some_and(|verb| is_participle(verb) && !verb.is("rather")) {
        found.tense = Tense::Perfect;
        return Some(at + 1);
    }
    if token.in_class(CAN) {
        found.can = Some(at);
        return Some(at + 1);
    }
    if token.is("used") && word(at + 1) == "to" && !found.progressive && tokens.get(at + 2).is_some() {
        found.tense = Tense::Former;
        return Some(at + 2);
    }
    if token.in_class(DO) {
        let verb = tokens.get(next)?;
        let denied = tokens[at + 1..next].iter().any(|token| token.in_class(NOT | NEVER));
        let known = LEXICON.is_known_verb(&verb.word) && !verb.in_class(DET | PREPOSITION) || verb.in_class(HAVE);
        if token.is("did") {
            found.tense = Tense::Past;
        }
        return (denied || known && verb.word != "it").then_some(at + 1);
    }
    if token.in_class(HAVE) {
        let verb = tokens.get(next)?;
        if verb.is("got") || verb.is("gotten") {
            let owns = word(next + 1) != "to" && !tokens.get(next + 1).is_some_and(is_participle);
            if owns && verb.is("got") {
                return None;
            }
        }
        let aux = verb.in_class(BE) || is_participle(verb);
        found.tense = if aux { Tense::Perfect } else { found.tense };
        return aux.then_some(at + 1);
    }
    if token.in_class(BE) {
        let verb = tokens.get(next)?;
        if matches!(&*verb.word, "going")
            && !token.is("was")
            && !token.is("were")
            && word(next + 1) == "to"
            && tokens.get(next + 2).is_some_and(is_bare)
        {
            found.tense = Tense::Future;
            return Some(next + 2);
        }
        let doing = verb.word.len() > 4
            && verb.word.ends_with("ing")
            && !matches!(
                &*verb.word,
                "nothing" | "something" | "anything" | "everything" | "willing" | "interesting" | "boring"
            );
        if token.is("was") || token.is("were") {
            found.tense = Tense::Past;
        }
        found.progressive |= doing;
        return doing.then_some(at + 1);
    }
    None
}

fn main_verb<'w>(tokens: &'w [Token<'_>], at: usize, found: &mut Predicate<'w>) {
    let token = &tokens[at];
    found.verb = at;
    found.lemma = LEXICON.lemma(token);
    // "have got a cat" has a cat.
    let past = token.is("had") || token.is("was") || token.is("were") || token.is("did") || LEXICON.is_past(token);
    if found.tense == Tense::Present && !found.progressive && past && found.can.is_none() {
        found.tense = Tense::Past;
    }
    // "am not", "is now", "have never".
    while token.in_class(BE) || token.in_class(HAVE) && !found.negated {
        let Some(next) = tokens.get(found.verb + 1) else { return };
        let longer = next.is("no") && tokens.get(found.verb + 2).is_some_and(|next| next.is("longer"));
        let counts = next.in_class(ADVERB)
            && tokens.get(found.verb + 2).is_some_and(|next| next.in_class(NUMBER) || next.has_digit());
        if longer {
            found.ended = true;
        } else if !(next.in_class(NOT | NEVER)
            || next.in_class(ADVERB | NOW) && !counts && tokens.get(found.verb + 2).is_some() && !next.in_class(DET))
        {
            return;
        }
        found.negated |= longer || next.in_class(NOT | NEVER);
        found.new |= next.in_class(NOW);
        found.verb += 1 + usize::from(longer);
    }
}

fn after_adverbs(tokens: &[Token<'_>], at: usize) -> usize {
    let mut at = at;
    while tokens.get(at).is_some_and(|token| token.in_class(NOT | NEVER) || is_adverb(token) && !token.in_class(NUMBER))
    {
        at += 1;
    }
    at
}

fn is_participle(token: &Token<'_>) -> bool {
    let word = token.word.as_ref();
    if token.in_class(BE) {
        return word == "been";
    }
    let bare = matches!(
        word,
        "cut" | "put" | "quit" | "let" | "read" | "become" | "come" | "run" | "had" | "done" | "left" | "hurt"
    );
    bare || LEXICON.is_past(token) && !token.in_class(DET | NUMBER) && word != "red"
}

/// Whether "going to" is followed by a verb rather than a place.
fn is_bare(token: &Token<'_>) -> bool {
    !token.mark
        && !token.capital
        && !token.in_class(DET | NUMBER | PREPOSITION | SUBJECT)
        && !matches!(&*token.word, "bed" | "work" | "school" | "church")
}
