//! What a sentence says without a clause that the other rules read: an ellipsis ("dark mode please", "no allergies", "not
//! diabetic"), a phrase put first ("the yellow folder, I said"), an order that is to last ("keep it short"), and what others
//! did to the speaker ("they put me on half days"). It is read only where nothing else was found in the sentence.

use std::ops::Range;

use super::Act;
use super::clause::Sentence;
use super::lexicon::{
    AUXILIARY, BE, COORDINATOR, DET, EMPTY, FILLER, LEXICON, MOOD, NEVER, NO, NOT, NOW, NUMBER, OPENER, PREPOSITION,
    Phrase, REQUEST, SUBJECT, SUBORDINATE, WH,
};
use super::pattern::Kind;
use super::reader::Reader;
use super::statement::{Draft, LIKELY, has_time, lies_ahead};
use super::token::Token;
use super::value::{Extent, trim, value};

type Reading = Option<(Act, Range<usize>)>;

impl Reader<'_> {
    /// Reads a sentence in which no other rule found anything.
    pub(super) fn broadly(&mut self, sentence: &Sentence) {
        if sentence.question {
            return;
        }
        self.sentence = sentence.bytes.clone();
        self.denied = None;
        let tokens = std::mem::take(&mut self.tokens);
        let found = self.ellipsis(&tokens[..sentence.tokens.end], sentence.tokens.start);
        self.tokens = tokens;
        let Some((act, words)) = found else { return };
        let negated = act == Act::Negation;
        let attribute = match act {
            Act::Preference => "prefers",
            Act::Commitment => "plan",
            Act::Negation => "lacks",
            Act::Fact | Act::Change => "status",
            Act::Correction => "said",
        };
        let value = super::reader::exactly(words);
        self.state(Draft { act, attribute: attribute.to_owned(), value, negated, single: false, confidence: LIKELY });
    }

    fn ellipsis(&self, tokens: &[Token<'_>], start: usize) -> Reading {
        let from = opened(tokens, start)?;
        let first = &tokens[from];
        if first.in_class(WH) || first.in_class(SUBORDINATE) && !first.is("since") {
            return None;
        }
        self.replies(tokens, from)
            .or_else(|| put_first(tokens, from))
            .or_else(|| cleft(tokens, from))
            .or_else(|| asked_for(tokens, from))
            .or_else(|| ordered(tokens, from))
            .or_else(|| denied(tokens, from))
            .or_else(|| compared(tokens, from))
            .or_else(|| promised(tokens, from))
            .or_else(|| done_to_me(tokens, from))
            .or_else(|| counted(tokens, from))
    }

    /// A few words that answer a statement of the other side put it right: "Brown, please read it again."
    fn replies(&self, tokens: &[Token<'_>], from: usize) -> Reading {
        let before = self.before?.trim_end();
        let lower = before.to_lowercase();
        let opens = lower.starts_with("you") || lower.starts_with("so you") || lower.contains("correct?");
        let told = !before.ends_with('?') || opens;
        if !told || self.sentence.start > 0 {
            return None;
        }
        let end = (from..tokens.len()).find(|at| tokens[*at].mark).unwrap_or(tokens.len());
        let words = &tokens[from..end];
        let sayable = words.len() <= 4
            && !words.iter().any(|token| token.in_class(AUXILIARY | SUBJECT | EMPTY | REQUEST | MOOD | FILLER | NO));
        let known = words.first().is_some_and(|first| LEXICON.is_known_verb(&first.word));
        (sayable && !known).then(|| (Act::Correction, trim(tokens, from..end)))
    }
}

/// Where the sentence begins behind what only opens it. Nothing if it says that the rest is imagined or told of others.
fn opened(tokens: &[Token<'_>], start: usize) -> Option<usize> {
    let mut at = start;
    while let Some(token) = tokens.get(at) {
        if let Some((phrase, length)) = LEXICON.opening(&tokens[at..]) {
            if phrase == Phrase::Drop {
                return None;
            }
            at += length;
        } else if token.mark
            || token.in_class(OPENER | COORDINATOR | NOW) && !token.in_class(AUXILIARY | NOT | SUBJECT | NO)
            || token.in_class(NO) && tokens.get(at + 1).is_some_and(|next| next.mark)
        {
            at += 1;
        } else {
            return Some(at);
        }
    }
    None
}

/// Where the stretch of words that begins at `from` ends: at a mark.
fn stretch(tokens: &[Token<'_>], from: usize) -> usize {
    (from..tokens.len()).find(|at| tokens[*at].mark).unwrap_or(tokens.len())
}

fn phrase(tokens: &[Token<'_>], from: usize, to: usize) -> Range<usize> {
    value(&tokens[..to], from, Extent::Phrase).words
}

fn taste(token: &Token<'_>) -> bool {
    let lemma = LEXICON.lemma(token);
    let rules = LEXICON.rules_of(&lemma);
    rules.iter().any(|rule| matches!(rule.kind, Kind::Like | Kind::Dislike | Kind::Prefer) && rule.attribute != "minds")
        && !matches!(&*lemma, "be" | "have" | "go" | "get" | "do" | "take" | "can" | "could" | "would" | "feel")
}

/// "Formal letters in German I prefer", "the yellow folder, I said", "the shingles vaccine I meant".
fn put_first(tokens: &[Token<'_>], from: usize) -> Reading {
    let i = (from + 1..tokens.len()).find(|at| tokens[*at].is("i"))?;
    let last = tokens.get(i + 1)?;
    let ends = stretch(tokens, i) <= i + 4;
    if !ends || tokens[from..i].iter().any(|token| token.in_class(AUXILIARY | SUBJECT & !DET | WH)) {
        return None;
    }
    let words = trim(tokens, from..i);
    if words.is_empty() {
        return None;
    }
    if taste(last) {
        return Some((Act::Preference, words));
    }
    matches!(&*last.word, "said" | "meant" | "wanted" | "booked" | "ordered" | "wrote")
        .then_some((Act::Correction, words))
}

/// "It's the smell of paint I can't bear", "it was the second lesson I missed".
fn cleft(tokens: &[Token<'_>], from: usize) -> Reading {
    let be = tokens.get(from + 1).filter(|be| be.in_class(BE))?;
    if !tokens[from].is("it") || be.in_class(NOT) {
        return None;
    }
    let i = (from + 3..tokens.len().min(from + 12)).find(|at| tokens[*at].is("i"))?;
    let words = trim(tokens, phrase(tokens, from + 2, i));
    if words.is_empty() || tokens[from + 2..i].iter().any(|token| token.mark || token.in_class(NOT | SUBORDINATE)) {
        return None;
    }
    let likes = tokens[i + 1..].iter().take(3).any(|token| taste(token) || token.is("bear") || token.is("stand"));
    let past = tokens.get(i + 1).is_some_and(|verb| LEXICON.is_past(verb) && !verb.in_class(AUXILIARY));
    match (likes, past) {
        (true, _) => Some((Act::Preference, words)),
        (false, true) => Some((Act::Correction, words)),
        (false, false) => None,
    }
}

/// "Dark mode please", "dogs over cats any day", "the spicier the better", "aubergine in any form, yum".
fn asked_for(tokens: &[Token<'_>], from: usize) -> Reading {
    let end = stretch(tokens, from);
    let plain = |to: usize| {
        !tokens[from..to].iter().any(|token| token.in_class(AUXILIARY | SUBJECT & !DET | EMPTY | WH))
            && !tokens[from].in_class(REQUEST | NO | NOT)
            && !LEXICON.is_known_verb(&tokens[from].word)
    };
    let word = |at: usize| tokens.get(at).map_or("", |token| &*token.word);
    let please = (from + 1..tokens.len().min(from + 10)).find(|at| tokens[*at].is("please"));
    if let Some(please) = please
        && tokens.get(please + 1).is_none_or(|next| next.mark)
        && please <= end + 1
        && plain(please.min(end))
    {
        return Some((Act::Preference, phrase(tokens, from, please.min(end))));
    }
    let over = (from + 1..end).find(|at| tokens[*at].is("over"));
    let always = (from..tokens.len()).any(|at| {
        matches!(word(at), "any" | "every") && matches!(word(at + 1), "day" | "time")
            || word(at) == "for" && word(at + 1) == "me"
    });
    if let Some(over) = over
        && always
        && plain(over)
    {
        return Some((Act::Preference, phrase(tokens, from, over)));
    }
    let better = (from + 1..tokens.len()).find(|at| word(*at) == "better" && word(at - 1) == "the");
    if let Some(better) = better
        && let Some(the) = (from..better - 1).rev().find(|at| tokens[*at].is("the"))
    {
        return Some((Act::Preference, trim(tokens, the + 1..better - 1)));
    }
    let said = word(end + 1);
    let judged = matches!(said, "yum" | "yummy" | "yuck" | "ugh" | "bleh" | "delicious" | "gross" | "heaven" | "bliss")
        || taste_of_it(tokens, end + 1);
    (judged && plain(end)).then(|| (Act::Preference, phrase(tokens, from, end)))
}

/// "love them", "can't stand it", "not for me".
fn taste_of_it(tokens: &[Token<'_>], at: usize) -> bool {
    let word = |at: usize| tokens.get(at).map_or("", |token| &*token.word);
    matches!(word(at), "love" | "hate" | "adore" | "loathe") && matches!(word(at + 1), "it" | "them" | "those" | "that")
        || word(at) == "not" && matches!(word(at + 1), "for" | "my")
}

/// "Keep it short", "show me temperatures in Celsius from here on", "don't phone during the day".
fn ordered(tokens: &[Token<'_>], from: usize) -> Reading {
    let word = |at: usize| tokens.get(at).map_or("", |token| &*token.word);
    let mut at = from;
    while matches!(word(at), "please" | "just" | "let's" | "always" | "never" | "only") {
        at += 1;
    }
    let verb = tokens.get(at)?;
    let lasting = (at..tokens.len()).any(|at| {
        matches!(word(at), "always" | "default" | "whenever")
            || matches!((word(at), word(at + 1)), ("next" | "every", "time") | ("in", "future") | ("going", "forward"))
            || matches!((word(at), word(at + 1), word(at + 2)), ("from", "now" | "here", "on"))
    }) || (from..at).any(|at| matches!(word(at), "always" | "never" | "only"));
    let denies = verb.is("do") && tokens.get(at + 1).is_some_and(|next| next.in_class(NOT));
    if denies {
        let act = tokens.get(at + 2)?;
        let polite = matches!(
            &*act.word,
            "worry"
                | "forget"
                | "mind"
                | "be"
                | "know"
                | "get"
                | "hesitate"
                | "ask"
                | "tell"
                | "let"
                | "panic"
                | "think"
        );
        let mine = lasting
            || matches!(
                &*act.word,
                "call" | "phone" | "ring" | "text" | "email" | "use" | "send" | "write" | "address"
            );
        return (!polite && mine && act.class & (SUBJECT | AUXILIARY) == 0)
            .then(|| (Act::Preference, trim(tokens, at + 2..tokens.len())));
    }
    let style = matches!(verb.word.as_ref(), "keep" | "stick" | "skip" | "spare" | "avoid" | "leave" | "address")
        && at + 2 < tokens.len()
        && !matches!(word(at + 1), "going" | "calm" | "in" | "me" | "up")
        && (!verb.is("leave") || word(at + 1) == "out")
        || verb.is("spare") && word(at + 1) == "me";
    let orders = verb.in_class(REQUEST) || LEXICON.is_known_verb(&verb.word) && verb.class & (SUBJECT | AUXILIARY) == 0;
    let to = (at..tokens.len()).find(|at| tokens[*at].mark && !tokens[*at].is(",")).unwrap_or(tokens.len());
    ((style || lasting && orders) && at + 1 < to).then(|| (Act::Preference, trim(tokens, at + 1..to)))
}

/// "No allergies that I know of", "not diabetic, no", "never been to Asia", "not vegan, pescatarian".
fn denied(tokens: &[Token<'_>], from: usize) -> Reading {
    let first = &tokens[from];
    let end = stretch(tokens, from);
    let next = tokens.get(from + 1)?;
    let idle = tokens[from..end].iter().any(|token| token.in_class(EMPTY | MOOD))
        || next.in_class(SUBJECT & !DET | NO | WH | OPENER)
        || next.mark;
    if idle {
        return None;
    }
    if first.in_class(NOT) && end <= from + 6 {
        let right = tokens.get(end + 1).filter(|right| !right.in_class(NO | SUBJECT | AUXILIARY | FILLER | OPENER));
        if right.is_some() && tokens[end].is(",") && stretch(tokens, end + 1) <= end + 4 {
            return Some((Act::Correction, trim(tokens, end + 1..stretch(tokens, end + 1))));
        }
        let verb = LEXICON.is_known_verb(&next.word);
        return (!verb && !next.in_class(AUXILIARY)).then(|| (Act::Negation, trim(tokens, from + 1..end)));
    }
    let none = first.in_class(NO) && first.is("no") && !next.in_class(AUXILIARY);
    let never = first.in_class(NEVER) && (LEXICON.is_past(next) || next.is("been") || next.is("had"));
    let missing = first.is("without") && next.in_class(DET) && end == tokens.len();
    let verbless = !tokens[from..end].iter().any(|token| token.in_class(BE));
    (none && verbless || never || missing).then(|| (Act::Negation, phrase(tokens, from + 1, tokens.len())))
}

/// "The old layout was nicer", "drops are better", "lemon tart wins", "turkish food is simply the best".
fn compared(tokens: &[Token<'_>], from: usize) -> Reading {
    if tokens[from].in_class(SUBJECT & !DET | NUMBER) || tokens[from].in_class(AUXILIARY) {
        return None;
    }
    let end = stretch(tokens, from);
    let verb = (from + 1..end.min(from + 8)).find(|at| {
        let token = &tokens[*at];
        token.in_class(BE)
            || matches!(
                &*token.word,
                "looks" | "look" | "feels" | "feel" | "tastes" | "sounds" | "wins" | "beats" | "tops"
            )
    })?;
    if tokens[from..verb].iter().any(|token| token.in_class(SUBJECT & !DET | AUXILIARY | WH)) {
        return None;
    }
    let mine = tokens.iter().skip(from).any(|token| matches!(&*token.word, "me" | "my" | "i"));
    let better = tokens[verb + 1..end].iter().take(4).any(|token| {
        matches!(
            &*token.word,
            "nicer"
                | "better"
                | "best"
                | "tastier"
                | "comfier"
                | "prettier"
                | "cosier"
                | "overrated"
                | "horrible"
                | "disgusting"
                | "unbearable"
                | "revolting"
                | "yummy"
                | "heavenly"
                | "delicious"
                | "unbeatable"
        )
    });
    let tops = matches!(&*tokens[verb].word, "wins" | "beats" | "tops") && (mine || tokens[verb].is("wins"));
    let denied = tokens[verb + 1..end].iter().any(|token| token.in_class(NOT));
    (tops || better && !denied).then(|| (Act::Preference, phrase(tokens, from, verb)))
}

/// "You'll have the contract on Tuesday", "uploading the scan tonight", "will do the exercises tonight".
fn promised(tokens: &[Token<'_>], from: usize) -> Reading {
    let you = (from..tokens.len().min(from + 12)).find(|at| {
        tokens[*at].is("you")
            && tokens.get(at + 1).is_some_and(|next| next.is("will"))
            && tokens
                .get(at + 2)
                .is_some_and(|verb| matches!(&*verb.word, "have" | "get" | "see" | "receive" | "hear" | "find"))
    });
    if let Some(you) = you
        && has_time(&tokens[from..])
        && you + 3 < tokens.len()
    {
        return Some((Act::Commitment, trim(tokens, you + 3..tokens.len())));
    }
    let first = &tokens[from];
    let doing = first.word.len() > 4 && first.word.ends_with("ing") && lies_ahead(&tokens[from..]);
    let verbless = !tokens[from..].iter().any(|token| token.in_class(AUXILIARY | SUBJECT & !DET));
    (doing && verbless).then(|| (Act::Commitment, trim(tokens, from..tokens.len())))
}

/// "They've put me on half days", "my granddad left me his violin".
fn done_to_me(tokens: &[Token<'_>], from: usize) -> Reading {
    let me = (from + 2..tokens.len().min(from + 9)).find(|at| matches!(&*tokens[*at].word, "me" | "us"))?;
    let verb = &tokens[me - 1];
    let lemma = LEXICON.lemma(verb);
    let gave = matches!(
        &*lemma,
        "put"
            | "leave"
            | "give"
            | "take"
            | "make"
            | "diagnose"
            | "hire"
            | "promote"
            | "move"
            | "offer"
            | "buy"
            | "get"
            | "transfer"
            | "assign"
            | "fire"
            | "sack"
            | "appoint"
            | "start"
            | "switch"
            | "elect"
            | "adopt"
            | "refer"
    );
    let past = LEXICON.is_past(verb) || verb.is("put");
    let mine = tokens[from..me].iter().any(|token| matches!(&*token.word, "i" | "you" | "we" | "it" | "that" | "this"));
    let asked = tokens[from..me].iter().any(|token| token.in_class(NOT | WH | SUBORDINATE));
    (gave && past && !mine && !asked && me + 1 < tokens.len())
        .then(|| (Act::Change, phrase(tokens, me - 1, tokens.len())))
}

/// "There are five of us in the house", "two kids, Ana and Leo", "there's no history of cancer on my side".
fn counted(tokens: &[Token<'_>], from: usize) -> Reading {
    let first = &tokens[from];
    if first.is("there") {
        let be = tokens.get(from + 1).filter(|be| be.in_class(BE))?;
        let mine = tokens[from..].iter().any(|token| matches!(&*token.word, "us" | "my" | "our"));
        let no = tokens.get(from + 2)?.in_class(NO);
        let act = if no { Act::Negation } else { Act::Fact };
        return (mine && !be.in_class(NOT)).then(|| (act, phrase(tokens, from + 2 + usize::from(no), tokens.len())));
    }
    let noun = tokens.get(from + 1)?;
    let own = LEXICON.noun_of(&noun.word).is_some_and(|noun| matches!(noun.attribute, "child" | "pet" | "sibling"));
    let verbless = !tokens[from..].iter().any(|token| token.in_class(AUXILIARY | SUBJECT & !DET | PREPOSITION & !DET));
    (first.in_class(NUMBER) && own && verbless).then(|| (Act::Fact, from..tokens.len()))
}
