//! What the speaker says of himself: the verb group, then the rules of its verb, then what any verb says.

use super::Act;
use super::lexicon::{ADJUNCT, DET, JOB, LEXICON, MOOD, NOT, NUMBER, PREPOSITION, REPORT, SUBJECT, TIME, WH, WISH};
use super::pattern::{Found, Kind, Rule};
use super::predicate::{Predicate, Tense, predicate};
use super::reader::{Cue, Reader, Scope};
use super::statement::{Draft, LIKELY, SURE, Said, has_time, lies_ahead, told};
use super::token::Token;
use super::value::{Extent, value as value_at};

impl Reader<'_> {
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
            let value = value_at(tokens, verb + 2, Extent::Phrase);
            return Some(Draft {
                act: Act::Fact,
                attribute: "allergy".to_owned(),
                value,
                negated: false,
                single: false,
                confidence: SURE,
            });
        }
        let verbless = tokens.get(verb)?.in_class(NOT)
            && tokens.get(verb + 1).is_some_and(|next| matches!(&*next.word, "a" | "an"));
        let mut predicate = if verbless { Predicate::denied(verb) } else { predicate(tokens, verb)? };
        predicate.negated |= scope.ended;
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
        if predicate.duty {
            let due = !predicate.negated && has_time(&tokens[scope.start..]);
            return due.then(|| planned(tokens, predicate));
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
                predicate.lemma,
                "speak" | "play" | "drive" | "cook" | "swim" | "sing" | "ride" | "read" | "eat" | "type"
            );
            if !predicate.negated
                && (tokens[can].is("could")
                    || !skill
                    || predicate.lemma == "eat" && !tokens.get(can + 1).is_some_and(|next| next.is("only")))
            {
                return None;
            }
        }
        if self.cue == Cue::Wrong
            && !predicate.negated
            && matches!(predicate.lemma, "say" | "mean" | "write" | "ask" | "want" | "type" | "need")
        {
            let from =
                predicate.verb + 1 + usize::from(tokens.get(predicate.verb + 1).is_some_and(|next| next.is("for")));
            let value = value_at(tokens, from, Extent::Phrase);
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
        let rules = progressive.iter().chain(LEXICON.rules_of(predicate.lemma));
        let fitted = rules.clone().find_map(|rule| Some((rule, rule.fit(tokens, predicate.verb + 1)?)));
        if let Some((rule, found)) = fitted {
            return draft(tokens, scope, predicate, rule, found);
        }
        match predicate.lemma {
            "be" => self.being_put_right(tokens, predicate).or_else(|| described(tokens, predicate)),
            "would" => None,
            "have" => self.having(tokens, predicate),
            _ => general(tokens, predicate),
        }
    }
}

impl Reader<'_> {
    /// "I'm the patient's mother, not her aunt": said to put right what was said.
    fn being_put_right(&self, tokens: &[Token<'_>], predicate: &Predicate<'_>) -> Option<Draft> {
        let value = value_at(tokens, predicate.verb + 1, Extent::Phrase);
        let noun = tokens.get(predicate.verb + 1).is_some_and(|next| next.in_class(DET | NUMBER) || next.capital);
        let right = value.contrast && value.old.is_some() || self.cue >= Cue::Correct && noun;
        (right && !predicate.negated).then(|| Draft {
            act: Act::Correction,
            attribute: "role".to_owned(),
            value,
            negated: false,
            single: true,
            confidence: LIKELY,
        })
    }
}

/// "I'll …": a commitment, unless it is only said so.
fn future(tokens: &[Token<'_>], scope: Scope, predicate: &Predicate<'_>) -> Option<Draft> {
    let time = has_time(&tokens[scope.start..]);
    let next = tokens.get(predicate.verb + 1);
    let empty = match predicate.lemma {
        "have" | "find" => next.is_none_or(|next| next.mark || next.is("to") || next.in_class(SUBJECT)),
        "see" if next.is_some_and(|next| next.is("to")) => false,
        "be" if next.is_some_and(|next| !next.in_class(MOOD | SUBJECT) && !next.is("damned")) => {
            tokens.get(predicate.verb + 2).is_none() && !time
        }
        "see" | "think" | "pass" | "bet" | "guess" | "admit" | "say" | "be" | "need" | "wait" | "assume" | "know"
        | "miss" | "like" | "love" | "want" | "live" | "die" | "regret" => {
            let comes = |next: &Token<'_>| {
                next.word.ends_with("ing")
                    || next.in_class(PREPOSITION)
                    || matches!(&*next.word, "there" | "sure" | "back" | "home")
            };
            let counts =
                predicate.negated && predicate.lemma == "miss" || predicate.lemma == "be" && next.is_some_and(comes);
            !(time || counts)
        }
        "forget" => !next.is_some_and(|next| next.is("to")),
        _ => next.is_none() && !time,
    };
    if empty || next.is_some_and(|next| next.mark) && !time {
        return None;
    }
    let habit = predicate.negated
        && matches!(
            predicate.lemma,
            "eat" | "drink" | "wear" | "use" | "touch" | "watch" | "fly" | "tolerate" | "accept" | "buy"
        );
    let value = value_at(tokens, predicate.verb, Extent::Plan);
    if habit && !time {
        let value = value_at(tokens, predicate.verb + 1, Extent::Phrase);
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

fn draft(tokens: &[Token<'_>], scope: Scope, predicate: &Predicate<'_>, rule: &Rule, found: Found) -> Option<Draft> {
    let clause = &tokens[scope.start..];
    let past = rule.past || scope.cue >= Cue::Correct;
    let said = Said { past, time: has_time(clause), new: scope.new || predicate.new };
    if rule.kind == Kind::Fix && tokens.get(predicate.verb + 1).is_none_or(|next| next.mark) {
        return None;
    }
    let ahead =
        predicate.progressive && predicate.tense == Tense::Present && lies_ahead(clause) && predicate.lemma != "expect";
    if ahead && matches!(rule.kind, Kind::Fact | Kind::Change | Kind::Rare | Kind::Soon) && !predicate.negated {
        return Some(planned(tokens, predicate));
    }
    let (act, mut attribute, negated) = told(rule.kind, rule.attribute, predicate, said)?;
    if attribute == "none" {
        attribute = predicate.lemma.to_string();
    }
    let mut single = rule.single && act != Act::Commitment;
    let extent = if act == Act::Commitment {
        Extent::Plan
    } else if single {
        Extent::Single
    } else {
        Extent::Phrase
    };
    let end = if found.closed { found.value.end } else { tokens.len() };
    let mut value = value_at(&tokens[..end], found.value.start, extent);
    if let Some(old) = found.old {
        value.old = Some(value_at(&tokens[..old.end], old.start, Extent::Phrase).words);
    }
    let adverbial = tokens
        .get(predicate.verb + 1)
        .is_some_and(|next| next.in_class(PREPOSITION | ADJUNCT | TIME) || next.is("every"));
    if found.value.start == predicate.verb + 1 && adverbial && act != Act::Preference && predicate.lemma != "be" {
        value.words.start = predicate.verb;
    }
    if rule.head {
        value.words.end = value.words.end.min(value.words.start + 1);
    }
    if value.words.is_empty() && act != Act::Commitment && rule.kind != Kind::Fix && found.value.start >= end {
        value.words = predicate.verb..predicate.verb + 1;
    }
    if let Some(named) = found.attribute {
        attribute = super::noun_phrase::attribute_of(&tokens[named]);
    }
    if attribute == "name_or_origin" {
        attribute = name_or_origin(&tokens[value.words.clone()], negated)?;
    }
    if attribute == "role" && tokens[value.words.clone()].iter().any(|token| token.in_class(JOB)) {
        attribute = "job".to_owned();
        single = act != Act::Commitment;
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
        "ish", "ese", "ian", "ican", "ean", "uan", "wiss", "utch", "ench", "reek", "zech", "sh", "aqi", "aeli", "ani",
        "hai", "inn", "dane", "erman", "oman", "roat", "erb", "urk", "ole", "weed",
    ];
    let origin = people.iter().any(|ending| first.word.ends_with(ending)) && words.len() <= 2;
    if origin {
        return Some("origin".to_owned());
    }
    let names = words.len() <= 3 && words.iter().all(|word| word.capital || word.mark);
    (names && (!negated || words.len() == 1)).then(|| "name".to_owned())
}

fn planned(tokens: &[Token<'_>], predicate: &Predicate<'_>) -> Draft {
    let value = value_at(tokens, predicate.verb, Extent::Plan);
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
    let lemma = predicate.lemma;
    if lemma.len() < 2 || !lemma.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') {
        return None;
    }
    let never = tokens[..predicate.verb].iter().rev().take(4).any(|token| token.is("never"));
    let negated = predicate.negated;
    let told = LEXICON.class(lemma) & (REPORT | WISH) == 0;
    let holds = match predicate.tense {
        Tense::Present | Tense::Former => true,
        Tense::Past => predicate.habit || never || negated || told,
        Tense::Perfect => predicate.progressive || negated || told,
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
    let mut value = value_at(tokens, predicate.verb + 1, Extent::Phrase);
    if value.words.is_empty() && !negated && !predicate.habit {
        return None;
    }
    value.words = predicate.verb..value.words.end.max(predicate.verb + 1);
    let done = predicate.tense == Tense::Perfect && !predicate.progressive && !predicate.habit;
    let act = match (negated, done) {
        (true, _) => Act::Negation,
        (false, true) => Act::Change,
        (false, false) => Act::Fact,
    };
    let former = if predicate.tense == Tense::Former && !negated { "former_" } else { "" };
    Some(Draft { act, attribute: format!("{former}{lemma}"), value, negated, single: false, confidence: LIKELY })
}

/// "I'm in year nine", "I'm the treasurer", "I'm not hungry": what no rule knows, unless it is only how the talk goes.
fn described(tokens: &[Token<'_>], predicate: &Predicate<'_>) -> Option<Draft> {
    let from = predicate.verb + 1;
    let first = tokens.get(from)?;
    let idle = tokens[from..].iter().take(4).any(|token| token.in_class(MOOD | WH))
        || first.mark
        || matches!(
            &*first.word,
            "you" | "it" | "that" | "this" | "to" | "going" | "my" | "like" | "as" | "just" | "of"
        )
        || tokens.get(from + 1).is_some_and(|next| matches!(&*next.word, "it" | "you" | "this" | "that"));
    let negated = predicate.negated;
    let lasts = match predicate.tense {
        Tense::Present | Tense::Perfect | Tense::Former => true,
        Tense::Past => negated || first.in_class(PREPOSITION | NUMBER),
        Tense::Future => false,
    };
    let kind = ["ic", "ish", "ese", "ian", "less", "aemic", "sexual"].iter().any(|ending| first.word.ends_with(ending));
    let noun = first.in_class(PREPOSITION | DET | NUMBER | JOB) || first.capital || first.has_digit();
    if idle || !lasts || !(negated || noun || kind || first.word.contains('-')) || predicate.progressive {
        return None;
    }
    let act = if negated { Act::Negation } else { Act::Fact };
    let former = if matches!(predicate.tense, Tense::Former | Tense::Past) && !negated { "former_" } else { "" };
    let value = value_at(tokens, from, Extent::Phrase);
    let attribute = format!("{former}status");
    Some(Draft { act, attribute, value, negated, single: false, confidence: LIKELY })
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
