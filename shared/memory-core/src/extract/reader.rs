//! Goes through the clauses of a text and finds who each is about and what it states.

use std::ops::Range;

use super::clause::{Clause, Link, Sentence, clauses, sentences};
use super::lexicon::{
    ADVERB, AUXILIARY, COORDINATOR, LEXICON, NO, NOT, NOW, NUMBER, OPENER, POSSESSIVE, PREPOSITION, Phrase, REPORT,
    SUBJECT, SUBORDINATE, TIME, WH, WISH,
};
use super::pattern::Kind;
use super::predicate::{Predicate, Tense, predicate};
use super::statement::{Denied, Draft, LIKELY, SURE, has_time, lies_ahead, told};
use super::token::{Token, tokens};
use super::value::{Extent, Value, close};
use super::{Act, Statement, answer};

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
}

/// What the opening of a clause says of the whole.
#[derive(Clone, Copy, Debug, Default)]
struct Opening {
    from: usize,
    new: bool,
    wrong: bool,
    drop: bool,
}

pub(super) fn read(text: &str, before: Option<&str>) -> Vec<Statement> {
    let tokens = without_quotes(tokens(text));
    let sentences = sentences(&tokens);
    let mut reader =
        Reader { text, tokens, before, out: Vec::new(), sentence: 0..0, cue: Cue::None, denied: None, topic: None };
    let mut cued_at = 0;
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
    }
    reader.out
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
            let opening = self.open(from, sentence.tokens.end);
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
                read_to = opening.from;
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

    /// Whether what follows a clause is what others say, or what the speaker only wishes.
    fn is_foreign_frame(&self, from: usize, to: usize) -> bool {
        let clause = &self.tokens[from..to];
        let mine = clause.iter().any(|token| matches!(&*token.word, "i" | "we"));
        clause.iter().skip(1).any(|token| {
            let class = LEXICON.class(&LEXICON.lemma(token));
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
            if token.mark {
                opening.from += 1;
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
                || matches!(&*token.word, "every" | "next" | "last" | "this" | "most" | "each" | "rather" | "instead")
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
        let scope = Scope { start: clause.from, from, to, new, ended: ending.end, conditional };
        if matches!(&*first.word, "i" | "we") {
            let verb = if self.tokens[from + 1..to].first().is_some_and(|next| next.is("and")) {
                (from + 1..to).find(|at| {
                    self.tokens[*at].in_class(AUXILIARY) || LEXICON.is_known_verb(&LEXICON.lemma(&self.tokens[*at]))
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
        let known = LEXICON.is_known_verb(&LEXICON.lemma(first));
        if coordinated {
            return known || first.in_class(AUXILIARY) || first.in_class(NOT);
        }
        let word = first.word.as_ref();
        let denied = next.in_class(NOT) && matches!(word, "can" | "do" | "could" | "have" | "will" | "am");
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

    /// What the speaker says of himself, with the verb group from `verb` on.
    pub(super) fn first_person(&mut self, scope: Scope, verb: usize) {
        let tokens = std::mem::take(&mut self.tokens);
        let drafts = self.drafts(&tokens[..scope.to], scope, verb);
        self.tokens = tokens;
        if let Some(draft) = drafts {
            self.topic = Some((draft.attribute.clone(), draft.single, draft.act == Act::Change));
            self.state(draft);
        }
    }

    fn drafts(&self, tokens: &[Token<'_>], scope: Scope, verb: usize) -> Option<Draft> {
        if tokens.get(verb).is_some_and(|token| token.is("allergic")) {
            let value = super::value::value(tokens, verb + 2, Extent::Phrase);
            return Some(Draft {
                act: Act::Fact,
                attribute: "allergy".to_owned(),
                value,
                negated: false,
                single: false,
                confidence: SURE,
            });
        }
        let mut predicate = predicate(tokens, verb)?;
        predicate.negated |= scope.ended && predicate.negated || scope.ended;
        predicate.ended |= scope.ended;
        let mut draft = self.by_rule(tokens, scope, &predicate)?;
        if predicate.verb > verb && tokens[predicate.verb - 1].is("neither") {
            draft.value.words.start = predicate.verb;
        }
        let kept = !scope.conditional || draft.act == Act::Preference;
        kept.then(|| renewed(draft, scope, &predicate))
    }

    fn by_rule(&self, tokens: &[Token<'_>], scope: Scope, predicate: &Predicate<'_>) -> Option<Draft> {
        if predicate.tense == Tense::Future {
            return future(tokens, scope, predicate);
        }
        if let Some(can) = predicate.can {
            let rules = LEXICON.rules_of(&tokens[can].word).iter().chain(if predicate.negated {
                LEXICON.rules_of("can")
            } else {
                &[]
            });
            let fitted = rules
                .filter(|rule| predicate.negated || rule.kind == Kind::Like)
                .find_map(|rule| Some((rule, rule.fit(tokens, predicate.verb)?)));
            if let Some((rule, found)) = fitted {
                return draft(tokens, scope, predicate, rule, found);
            }
            let skill = matches!(
                &*predicate.lemma,
                "speak" | "play" | "drive" | "cook" | "swim" | "sing" | "ride" | "read" | "eat" | "type"
            );
            if !predicate.negated
                && (tokens[can].is("could") || !skill || predicate.lemma == "eat" && !tokens[can + 1].is("only"))
            {
                return None;
            }
        }
        if self.cue == Cue::Wrong
            && !predicate.negated
            && matches!(&*predicate.lemma, "say" | "mean" | "write" | "ask" | "want" | "type" | "need")
        {
            let from =
                predicate.verb + 1 + usize::from(tokens.get(predicate.verb + 1).is_some_and(|next| next.is("for")));
            let value = super::value::value(tokens, from, Extent::Phrase);
            return Some(Draft {
                act: Act::Correction,
                attribute: "said".to_owned(),
                value,
                negated: false,
                single: true,
                confidence: SURE,
            });
        }
        let progressive =
            if predicate.progressive { LEXICON.rules_of(&format!("{}+ing", predicate.lemma)) } else { &[] };
        let rules = progressive.iter().chain(LEXICON.rules_of(&predicate.lemma));
        let fitted = rules.clone().find_map(|rule| Some((rule, rule.fit(tokens, predicate.verb + 1)?)));
        if let Some((rule, found)) = fitted {
            return draft(tokens, scope, predicate, rule, found);
        }
        match &*predicate.lemma {
            "be" | "would" => None,
            "have" => self.having(tokens, predicate),
            _ => general(tokens, predicate),
        }
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
}

/// "I'll …": a commitment, unless it is only said so.
fn future(tokens: &[Token<'_>], scope: Scope, predicate: &Predicate<'_>) -> Option<Draft> {
    let time = has_time(&tokens[scope.start..]);
    let next = tokens.get(predicate.verb + 1);
    let empty = match &*predicate.lemma {
        "see" | "think" | "pass" | "bet" | "guess" | "admit" | "say" | "be" | "need" | "have" | "wait" | "assume"
        | "know" | "miss" | "like" | "love" | "want" | "find" | "live" | "die" | "regret" => {
            !time
                && !(predicate.negated && predicate.lemma == "miss")
                && !(predicate.lemma == "be" && next.is_some_and(|next| next.word.ends_with("ing")))
        }
        "forget" => !next.is_some_and(|next| next.is("to")),
        _ => next.is_none() && !time,
    };
    if empty || next.is_some_and(|next| next.mark) && !time {
        return None;
    }
    let habit = predicate.negated
        && matches!(
            &*predicate.lemma,
            "eat" | "drink" | "wear" | "use" | "touch" | "watch" | "fly" | "tolerate" | "accept" | "buy"
        );
    let value = super::value::value(tokens, predicate.verb, Extent::Plan);
    if habit && !time {
        let value = super::value::value(tokens, predicate.verb + 1, Extent::Phrase);
        return Some(Draft {
            act: Act::Negation,
            attribute: predicate.lemma.to_string(),
            value,
            negated: true,
            single: false,
            confidence: SURE,
        });
    }
    Some(Draft {
        act: Act::Commitment,
        attribute: "plan".to_owned(),
        value,
        negated: predicate.negated,
        single: false,
        confidence: SURE,
    })
}

fn draft(
    tokens: &[Token<'_>],
    scope: Scope,
    predicate: &Predicate<'_>,
    rule: &super::pattern::Rule,
    found: super::pattern::Found,
) -> Option<Draft> {
    let said = &tokens[scope.start..];
    let time = has_time(said);
    if rule.kind == Kind::Fix && tokens.get(predicate.verb + 1).is_none_or(|next| next.mark) {
        return None;
    }
    let ahead = predicate.progressive && predicate.tense == Tense::Present && lies_ahead(said);
    if ahead && matches!(rule.kind, Kind::Fact | Kind::Change | Kind::Rare | Kind::Soon) && !predicate.negated {
        return Some(planned(tokens, predicate));
    }
    let (act, mut attribute, negated) = told(rule.kind, rule.attribute, predicate, rule.past, time)?;
    if attribute == "none" {
        attribute = predicate.lemma.to_string();
    }
    let single = rule.single && act != Act::Commitment;
    let extent = if act == Act::Commitment {
        Extent::Plan
    } else if single {
        Extent::Single
    } else {
        Extent::Phrase
    };
    let end = if found.closed { found.value.end } else { tokens.len() };
    let mut value = super::value::value(&tokens[..end], found.value.start, extent);
    if let Some(old) = found.old {
        value.old = Some(super::value::value(&tokens[..old.end], old.start, Extent::Phrase).words);
    }
    if rule.head {
        value.words.end = value.words.end.min(value.words.start + 1);
    }
    if value.words.is_empty() && act != Act::Commitment && rule.kind != Kind::Fix && found.value.start >= end {
        value.words = predicate.verb..predicate.verb + 1;
    }
    if let Some(named) = found.attribute {
        attribute = super::possession::attribute_of(&tokens[named]);
    }
    if attribute == "name_or_origin" {
        attribute = name_or_origin(&tokens[value.words.clone()], negated)?;
    }
    if attribute == "role" && tokens[value.words.clone()].iter().any(|token| token.in_class(super::lexicon::JOB)) {
        attribute = "job".to_owned();
    }
    let past = predicate.tense == Tense::Former
        || predicate.tense == Tense::Past && single && act == Act::Fact && !attribute.starts_with("birth");
    if past && !negated {
        attribute = format!("former_{attribute}");
    }
    Some(Draft { act, attribute, value, negated, single, confidence: SURE })
}

/// "I'm Petra", "I'm Swedish": a name, unless it is where people come from.
fn name_or_origin(words: &[Token<'_>], negated: bool) -> Option<String> {
    let first = words.first()?;
    let people = [
        "ish", "ese", "ian", "ican", "ean", "uan", "ss", "utch", "ench", "reek", "zech", "sh", "aqi", "aeli", "ani",
        "hai", "inn", "dane", "erman", "oman", "roat", "erb", "urk", "ole", "weed",
    ];
    let origin = people.iter().any(|ending| first.word.ends_with(ending)) && words.len() <= 2;
    if origin {
        return Some("origin".to_owned());
    }
    let names = words.len() <= 3 && words.iter().all(|word| word.capital || word.mark);
    (names && !negated || names && words.len() == 1).then(|| "name".to_owned())
}

fn planned(tokens: &[Token<'_>], predicate: &Predicate<'_>) -> Draft {
    let value = super::value::value(tokens, predicate.verb, Extent::Plan);
    Draft {
        act: Act::Commitment,
        attribute: "plan".to_owned(),
        value,
        negated: false,
        single: false,
        confidence: LIKELY,
    }
}

/// What a verb that no table knows says: a habit, or what is not done.
fn general(tokens: &[Token<'_>], predicate: &Predicate<'_>) -> Option<Draft> {
    let lemma = predicate.lemma.as_ref();
    if lemma.len() < 2 || !lemma.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
        return None;
    }
    let never = tokens[..predicate.verb].iter().rev().take(4).any(|token| token.is("never"));
    let negated = predicate.negated;
    let holds = match predicate.tense {
        Tense::Present | Tense::Former => true,
        Tense::Past => predicate.habit || never,
        Tense::Perfect => predicate.progressive || negated,
        Tense::Future => false,
    };
    let class = tokens[predicate.verb].class;
    if !holds || class & (SUBJECT | WH | PREPOSITION | NUMBER) != 0 {
        return None;
    }
    if predicate.progressive && predicate.tense == Tense::Present && !negated && lies_ahead(&tokens[predicate.verb..]) {
        return Some(planned(tokens, predicate));
    }
    let next = tokens.get(predicate.verb + 1);
    if next.is_some_and(|next| {
        matches!(
            &*next.word,
            "it" | "that" | "this" | "you" | "your" | "so" | "what" | "if" | "whether" | "how" | "why"
        ) || next.mark
    }) {
        return None;
    }
    let mut value = super::value::value(tokens, predicate.verb + 1, Extent::Phrase);
    if value.words.is_empty() {
        if !negated && !predicate.habit {
            return None;
        }
        value.words = predicate.verb..predicate.verb + 1;
    }
    let act = if negated { Act::Negation } else { Act::Fact };
    let former = if predicate.tense == Tense::Former && !negated { "former_" } else { "" };
    Some(Draft { act, attribute: format!("{former}{lemma}"), value, negated, single: false, confidence: LIKELY })
}

/// A fact that is new is a change.
fn renewed(mut draft: Draft, scope: Scope, predicate: &Predicate<'_>) -> Draft {
    let new = scope.new || predicate.new;
    if draft.act == Act::Fact && new && predicate.tense != Tense::Former {
        draft.act = Act::Change;
        draft.attribute = draft.attribute.trim_start_matches("former_").to_owned();
    }
    if draft.act == Act::Fact && draft.value.old.is_some() && !draft.value.contrast && scope.new {
        draft.act = Act::Change;
    }
    draft
}

/// A value that is these words as they are.
pub(super) fn exactly(words: Range<usize>) -> Value {
    Value { words, ..Value::default() }
}
