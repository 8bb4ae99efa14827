//! Goes through the clauses of a text and finds who each is about and what it states.

use std::ops::Range;

use super::clause::{Clause, Link, Sentence, clauses, sentences};
use super::lexicon::{
    ADVERB, AUXILIARY, COORDINATOR, LEXICON, MISDEED, NO, NOT, NOW, NUMBER, OPENER, POSSESSIVE, PREPOSITION, Phrase,
    REPORT, SUBJECT, SUBORDINATE, TIME, WH, WISH, WRONGNESS,
};
use super::statement::Denied;
use super::token::{Token, tokens};
use super::value::{Value, close};
use super::{Statement, answer};

/// Verbs that with "don't" and without a subject are hardly an order.
const OWN: [&str; 9] = ["like", "love", "enjoy", "own", "want", "have", "know", "smoke", "really"];

/// How sure it is that something said before is being put right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cue {
    None,
    /// "Sorry, …".
    Soft,
    /// "No, …".
    No,
    /// "Actually, …".
    Correct,
    /// "That's wrong."
    Wrong,
}

pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: Vec<Token<'a>>,
    pub(super) before: Option<&'a str>,
    pub(super) out: Vec<Statement>,
    /// Bytes of the sentence that is read.
    pub(super) sentence: Range<usize>,
    pub(super) cue: Cue,
    pub(super) denied: Option<Denied>,
    /// What "it" is: the attribute that was spoken of last, whether it is single, and whether it changed.
    pub(super) topic: Option<(String, bool, bool)>,
    /// It answers a question in a few words, which say nothing without it.
    pub(super) answered: bool,
}

/// What the opening of a clause says of the whole.
#[derive(Clone, Copy, Debug, Default)]
struct Opening {
    from: usize,
    new: bool,
    wrong: bool,
    drop: bool,
}

/// What the rules find in a text, in no order yet, and its sentences.
pub(super) fn by_rules<'a>(text: &'a str, before: Option<&'a str>) -> (Reader<'a>, Vec<Sentence>) {
    let tokens = without_quotes(tokens(text));
    let sentences = sentences(&tokens);
    let mut reader = Reader {
        text,
        tokens,
        before,
        out: Vec::new(),
        sentence: 0..0,
        cue: Cue::None,
        denied: None,
        topic: None,
        answered: false,
    };
    let mut cued_at = 0;
    if blames(&reader.tokens) {
        reader.cue = Cue::Correct;
    }
    for (place, sentence) in sentences.iter().enumerate() {
        if place > cued_at + 1 {
            reader.cue = Cue::None;
        }
        let cue = reader.cue;
        reader.sentence = sentence.bytes.clone();
        reader.sentence(sentence);
        if reader.cue > cue {
            cued_at = place;
        }
    }
    if reader.out.is_empty() {
        answer::answer(&mut reader, &sentences);
        reader.answered = !reader.out.is_empty();
    }
    (reader, sentences)
}

/// Whether the other side is told that it got something wrong: "you wrote goat milk".
fn blames(tokens: &[Token<'_>]) -> bool {
    (0..tokens.len()).filter(|at| tokens[*at].is("you")).any(|you| {
        let said = tokens[you + 1..].iter().take(3).find(|token| !token.in_class(AUXILIARY | ADVERB));
        said.is_some_and(|said| said.in_class(MISDEED))
    })
}

/// The tokens without what is quoted. A name in quotes ("call me “Teo”") only loses the marks.
fn without_quotes(tokens: Vec<Token<'_>>) -> Vec<Token<'_>> {
    let is_open = |token: &Token<'_>| token.mark && matches!(&*token.word, "\"" | "“" | "„" | "«");
    let is_close = |token: &Token<'_>| token.mark && matches!(&*token.word, "\"" | "”" | "“" | "»");
    if !tokens.iter().any(is_open) {
        return tokens;
    }
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let end = if is_open(&tokens[at]) { (at + 1..tokens.len()).find(|end| is_close(&tokens[*end])) } else { None };
        match end {
            Some(end) => {
                let quoted = &tokens[at + 1..end];
                let name = quoted.len() <= 3 && !quoted.iter().any(|token| token.in_class(SUBJECT | AUXILIARY));
                if name {
                    kept.extend_from_slice(quoted);
                } else {
                    kept.push(tokens[end].clone());
                }
                at = end + 1;
            }
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

impl Reader<'_> {
    fn sentence(&mut self, sentence: &Sentence) {
        let mut read_to = sentence.tokens.start;
        let mut conditional = false;
        let mut framed = false;
        let mut first_person = false;
        let mut carried = false;
        self.topic = self.topic.take().filter(|_| self.cue > Cue::None);
        let cut = clauses(&self.tokens, sentence);
        for clause in &cut {
            if clause.to <= read_to {
                continue;
            }
            if clause.question {
                break;
            }
            if framed && clause.link == Link::Content {
                continue;
            }
            let from = clause.from.max(read_to);
            let mut opening = self.open(from, sentence.tokens.end);
            opening.new |= std::mem::take(&mut carried);
            if opening.drop {
                break;
            }
            if opening.wrong {
                let end = cut.iter().map(|clause| clause.to).find(|to| *to >= opening.from).unwrap_or(opening.from);
                self.wrong(opening.from, end);
                framed = true;
                read_to = end;
                continue;
            }
            if opening.from >= clause.to {
                carried = opening.new;
                read_to = opening.from;
                continue;
            }
            if self.says_wrong(opening.from, clause.to) {
                self.cue = Cue::Wrong;
                framed = true;
                continue;
            }
            if clause.unreal && opening.from <= from + 1 {
                conditional = true;
                continue;
            }
            let frame = self.is_foreign_frame(from, clause.to);
            if !(clause.timed && opening.from <= from + 1) {
                first_person = self.clause(clause, opening, conditional, first_person);
            }
            framed = frame;
        }
    }

    /// "You've got my name wrong", "there was a mistake", "that isn't quite right".
    fn says_wrong(&self, from: usize, to: usize) -> bool {
        let clause = &self.tokens[from..to];
        let about = clause
            .first()
            .is_some_and(|first| matches!(&*first.word, "you" | "it" | "that" | "this" | "there" | "your"));
        let mine = clause.first().is_some_and(|first| first.is("i"))
            && clause
                .get(1)
                .is_some_and(|next| matches!(&*next.word, "was" | "got" | "made" | "have" | "mixed" | "must"));
        let wrong = clause.iter().any(|token| token.in_class(WRONGNESS));
        let denied = clause.iter().any(|token| token.in_class(NOT))
            && clause.last().is_some_and(|last| matches!(&*last.word, "right" | "correct" | "true" | "accurate"));
        clause.len() <= 10
            && (about && (wrong || denied) || mine && wrong && !clause.iter().any(|token| token.is("about")))
    }

    /// Whether what follows a clause is what others say, or what the speaker only wishes.
    fn is_foreign_frame(&self, from: usize, to: usize) -> bool {
        let clause = &self.tokens[from..to];
        let mine = clause.iter().any(|token| matches!(&*token.word, "i" | "we"));
        clause.iter().skip(1).any(|token| {
            let class = LEXICON.class(LEXICON.lemma(token));
            class & WISH != 0 || class & REPORT != 0 && !mine
        })
    }

    /// Reads what opens a clause without being part of what it states.
    fn open(&mut self, from: usize, end: usize) -> Opening {
        let mut opening = Opening { from, ..Opening::default() };
        loop {
            let at = opening.from;
            let Some(token) = self.tokens[..end].get(at) else { return opening };
            let next = self.tokens[..end].get(at + 1);
            let set_against = matches!(&*token.word, "rather" | "instead")
                && next.is_some_and(|next| next.is("than") || next.is("of"));
            if token.mark {
                opening.from += 1;
            } else if set_against {
                let Some(after) = self.after_adjunct(at + 1, end) else { return opening };
                opening.from = after;
            } else if token.in_class(NO) {
                let cued = next
                    .is_some_and(|next| next.mark || next.in_class(SUBJECT | NO | OPENER | POSSESSIVE | COORDINATOR))
                    || next.is_none();
                if !cued {
                    return opening;
                }
                self.cue = self.cue.max(Cue::No);
                opening.from += 1;
            } else if let Some((phrase, length)) = LEXICON.opening(&self.tokens[at..end]) {
                match phrase {
                    Phrase::Open => {}
                    Phrase::New => opening.new = true,
                    Phrase::Soft => self.cue = self.cue.max(if self.before.is_some() { Cue::No } else { Cue::Soft }),
                    Phrase::Correct => self.cue = self.cue.max(Cue::Correct),
                    Phrase::Wrong => {
                        self.cue = Cue::Wrong;
                        opening.wrong = true;
                    }
                    Phrase::Drop => opening.drop = true,
                    Phrase::Tail | Phrase::NewTail | Phrase::EndTail => return opening,
                }
                opening.from += length;
                if opening.wrong || opening.drop {
                    return opening;
                }
                if phrase == Phrase::New
                    && !self.tokens[..end].get(opening.from).is_some_and(|token| token.in_class(SUBJECT))
                {
                    opening.from = self.after_adjunct(opening.from, end).unwrap_or(opening.from);
                }
            } else if token.in_class(OPENER | COORDINATOR | ADVERB | NOW) && !token.in_class(AUXILIARY | NOT | SUBJECT)
            {
                opening.new |= token.in_class(NOW);
                opening.from += 1;
            } else if token.in_class(PREPOSITION | TIME | NUMBER)
                || matches!(&*token.word, "every" | "next" | "last" | "this" | "most" | "each")
            {
                let Some(after) = self.after_adjunct(at + 1, end) else { return opening };
                opening.from = after;
                return opening;
            } else {
                return opening;
            }
        }
    }

    /// After "on weekends", "every Tuesday", "since March": where the subject stands.
    fn after_adjunct(&self, from: usize, end: usize) -> Option<usize> {
        let within = self.tokens[from..end].iter().take(7);
        let at = within.clone().position(|token| matches!(&*token.word, "i" | "we"))?;
        let plain = |token: &Token<'_>| !token.in_class(AUXILIARY | SUBORDINATE & !TIME | WH) || token.in_class(TIME);
        within.take(at).all(plain).then_some(from + at)
    }

    /// Reads one clause. Whether it was about the speaker, so that a verb that follows without a subject is as well.
    fn clause(&mut self, clause: &Clause, opening: Opening, conditional: bool, first_person: bool) -> bool {
        let from = opening.from;
        let (to, ending) = close(&self.tokens[..clause.to], from, clause.to);
        let new = opening.new || ending.new;
        let Some(first) = self.tokens[..to].get(from) else { return first_person };
        let scope = Scope { start: clause.from, from, to, new, ended: ending.end, conditional, cue: self.cue };
        if matches!(&*first.word, "i" | "we") {
            let verb = if self.tokens[from + 1..to].first().is_some_and(|next| next.is("and")) {
                (from + 1..to).find(|at| {
                    self.tokens[*at].in_class(AUXILIARY) || LEXICON.is_known_verb(LEXICON.lemma(&self.tokens[*at]))
                })
            } else {
                Some(from + 1)
            };
            if let Some(verb) = verb {
                self.first_person(scope, verb);
            }
            return true;
        }
        if let Some(verb) = self.joint_subject(scope) {
            self.first_person(scope, verb);
            return true;
        }
        if first.in_class(POSSESSIVE) {
            self.possession(scope);
            return false;
        }
        if self.about_naming(scope) || self.about_deeds(scope) || self.about_taste(scope) {
            return false;
        }
        let coordinated = first_person && clause.link == Link::Conjunction;
        if (coordinated || clause.link == Link::Start) && self.drops_subject(scope, coordinated) {
            self.first_person(scope, from);
            return true;
        }
        self.third_person(scope);
        false
    }

    /// "My wife and I": where the verb group begins.
    fn joint_subject(&self, scope: Scope) -> Option<usize> {
        let tokens = &self.tokens[..scope.to];
        let and = (scope.from..(scope.from + 5).min(scope.to)).find(|at| tokens[*at].is("and"))?;
        tokens.get(and + 1).is_some_and(|next| next.is("i")).then_some(and + 2)
    }

    /// Whether a clause without a subject is about the speaker: "Moved to Berlin", "Can't stand olives", "and became a baker".
    fn drops_subject(&self, scope: Scope, coordinated: bool) -> bool {
        let tokens = &self.tokens[scope.from..scope.to];
        let [first, rest @ ..] = tokens else { return false };
        let Some(next) = rest.first() else { return false };
        let known = LEXICON.is_known_verb(LEXICON.lemma(first));
        if coordinated {
            return known || first.in_class(AUXILIARY) || first.in_class(NOT);
        }
        let word = first.word.as_ref();
        let denied = next.in_class(NOT) && matches!(word, "can" | "could" | "have" | "will" | "am")
            || word == "do" && next.in_class(NOT) && rest.get(1).is_some_and(|verb| OWN.contains(&&*verb.word));
        let stated = matches!(
            word,
            "love"
                | "hate"
                | "prefer"
                | "adore"
                | "enjoy"
                | "loathe"
                | "detest"
                | "will"
                | "going"
                | "planning"
                | "trying"
        ) && !next.mark;
        let future = word != "going" || next.is("to");
        let trying = word == "no" && next.is("longer")
            || word == "not" && (next.in_class(SUBJECT) || next.is("a") || next.word.ends_with("ing"));
        let past = LEXICON.is_past(first)
            && known
            && !first.in_class(AUXILIARY)
            && !matches!(
                word,
                "left" | "found" | "made" | "used" | "thought" | "said" | "told" | "got" | "heard" | "saw"
            )
            || word == "got" && next.is("a");
        let allergic = word == "allergic" && next.is("to");
        denied
            || stated && future && !next.is("it")
            || trying
            || past && !next.in_class(SUBJECT & !super::lexicon::DET) && !next.is("by")
            || allergic
            || word == "never" && LEXICON.is_past(next)
    }
}

/// The part of a sentence that is read, in tokens, and what was said around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    /// Where the clause begins, openers and all.
    pub(super) start: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    /// "these days", "now".
    pub(super) new: bool,
    /// "any more".
    pub(super) ended: bool,
    /// Under an "if".
    pub(super) conditional: bool,
    pub(super) cue: Cue,
}

/// A value that is these words as they are.
pub(super) fn exactly(words: Range<usize>) -> Value {
    Value { words, ..Value::default() }
}
