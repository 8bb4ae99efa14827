//! "My …" and "I have …": what the noun names decides what is stated.

use super::Act;
use super::lexicon::{ADVERB, AUXILIARY, DET, LEXICON, NOT, NUMBER, Noun, NounKind, PREPOSITION, REPORT, WH, WISH};
use super::noun_phrase::{Phrase, head, name_of, phrase};
use super::predicate::{Predicate, Tense, predicate};
use super::reader::{Cue, Reader, Scope, exactly};
use super::statement::{Draft, LIKELY, SURE, has_time};
use super::token::Token;
use super::value::{Extent, Value, value};

impl Reader<'_> {
    /// A clause that begins with "my".
    pub(super) fn possession(&mut self, scope: Scope) {
        let tokens = std::mem::take(&mut self.tokens);
        let draft = self.possessed(&tokens[..scope.to], scope);
        self.tokens = tokens;
        let draft_found = draft.is_some();
        if let Some(draft) = draft
            && (!scope.conditional || draft.act == Act::Preference)
        {
            self.topic = Some((draft.attribute.clone(), draft.single, draft.act == Act::Change));
            self.state(draft);
        } else if !draft_found
            && self.cue >= Cue::No
            && !self.tokens[scope.from..scope.to].iter().any(|token| token.in_class(AUXILIARY))
        {
            self.fragment(scope.from, scope.to);
        }
    }

    fn possessed(&mut self, tokens: &[Token<'_>], scope: Scope) -> Option<Draft> {
        let phrase = phrase(tokens, scope.from + 1)?;
        let noun = phrase.noun;
        let be = phrase.short_be;
        let mut said = if be {
            let mut said = predicate(tokens, phrase.verb)?;
            said.lemma = "be";
            said
        } else {
            predicate(tokens, phrase.verb)?
        };
        said.negated |= scope.ended;
        let new = scope.new || phrase.new || said.new;
        // After "'s" the verb group gave the first word of the complement.
        let complement = if be { phrase.verb } else { said.verb + 1 };
        if said.tense == Tense::Future || said.can.is_some() {
            return None;
        }
        let attribute = name_of(tokens, &phrase);
        let to = (complement..tokens.len()).find(|at| tokens[*at].is("to"));
        let shifts =
            matches!(said.lemma, "go" | "increase" | "decrease" | "rise" | "drop" | "move" | "fall" | "switch")
                && to.is_some()
                && noun.is_some_and(|noun| noun.kind == NounKind::Property);
        if (said.lemma == "change" || shifts) && !said.negated {
            self.topic = Some((attribute.clone(), noun.is_none_or(|noun| noun.single), true));
            let value = value(tokens, to? + 1, Extent::Single);
            return Some(Draft { act: Act::Change, attribute, value, negated: false, single: true, confidence: SURE });
        }
        let tastes = phrase.favourite && said.progressive;
        let complement = if tastes { said.verb } else { complement };
        if said.lemma == "be" && !said.progressive || tastes {
            return self.being(tokens, &phrase, &said, complement, attribute, new);
        }
        doing(tokens, &phrase, &said, attribute, new)
    }

    /// "My X is Y."
    fn being(
        &mut self,
        tokens: &[Token<'_>],
        phrase: &Phrase<'_>,
        said: &Predicate<'_>,
        from: usize,
        attribute: String,
        new: bool,
    ) -> Option<Draft> {
        let from =
            (from..tokens.len()).find(|at| !tokens[*at].in_class(ADVERB | NOT) || tokens[*at].in_class(NUMBER))?;
        let first = &tokens[from];
        let named = matches!(&*first.word, "called" | "named" | "spelled" | "spelt" | "pronounced" | "written");
        let from = from + usize::from(named);
        let single = phrase.favourite || phrase.noun.is_some_and(|noun| noun.single);
        let extent = if single { Extent::Single } else { Extent::Phrase };
        let mut found = value(tokens, from, extent);
        let negated = said.negated;
        let fact = if negated {
            Act::Negation
        } else if new {
            Act::Change
        } else {
            Act::Fact
        };
        let told = |act: Act, found: Value, confidence| {
            Some(Draft { act, attribute: attribute.clone(), value: found, negated, single, confidence })
        };
        let proper = first.capital || first.has_digit() || first.in_class(DET | NUMBER) || named;
        if phrase.favourite {
            let act = if negated { Act::Negation } else { Act::Preference };
            return told(act, value(tokens, from, Extent::Phrase), SURE);
        }
        if said.tense == Tense::Past && self.cue < Cue::No {
            return None;
        }
        let kind = phrase.noun.map(|noun| noun.kind);
        if let Some(owner) = phrase.owner {
            let near = !matches!(owner.kind, NounKind::Nothing);
            return if near && kind == Some(NounKind::Property) { told(fact, found, SURE) } else { None };
        }
        if kind == Some(NounKind::Goal) && first.is("to") && !negated {
            let value = value(tokens, from + 1, Extent::Plan);
            return Some(Draft { act: Act::Commitment, attribute, value, negated, single: false, confidence: SURE });
        }
        let frame = first.in_class(WH) || matches!(&*first.word, "that" | "about" | "this");
        let words = &tokens[found.words.clone()];
        let all_names = words.iter().all(|word| word.capital);
        let present = said.tense == Tense::Present && phrase.name.is_none();
        let (act, confidence) = match kind {
            Some(NounKind::Property) if !frame => (fact, SURE),
            Some(NounKind::Goal | NounKind::Thing) if !frame => (fact, LIKELY),
            Some(NounKind::Prefer | NounKind::Dislike) => (Act::Preference, SURE),
            Some(NounKind::Close | NounKind::Pet) => {
                found.words.start = phrase.name.unwrap_or(found.words.start);
                (fact, SURE)
            }
            Some(NounKind::Kin) => {
                let known = present && attribute != "friend" && (proper || first.is("from"));
                (known || named || words.len() <= 2 && all_names).then_some((fact, LIKELY))?
            }
            Some(NounKind::Person) => (named || all_names || words.first()?.capital).then_some((fact, SURE))?,
            Some(NounKind::Body) => {
                found.words.start = phrase.words.start;
                (fact, LIKELY)
            }
            None => ((proper || new || negated || first.in_class(PREPOSITION)) && !frame).then_some((fact, LIKELY))?,
            Some(NounKind::Nothing | NounKind::Property | NounKind::Goal | NounKind::Thing) => return None,
        };
        told(act, found, confidence)
    }

    /// "I have …" where no rule of the verb knows better.
    pub(super) fn having(&self, tokens: &[Token<'_>], said: &Predicate<'_>) -> Option<Draft> {
        let mut from = said.verb + 1;
        let mut negated = said.negated;
        let mut new = said.new;
        while let Some(token) = tokens.get(from) {
            let skipped = token.is("got")
                || token.in_class(ADVERB)
                || token.is("no")
                || token.is("zero")
                || token.is("any")
                || token.in_class(NOT);
            if !skipped {
                break;
            }
            negated |= token.is("no") || token.is("zero") || token.in_class(NOT);
            from += 1;
        }
        let first = tokens.get(from)?;
        if first.mark
            || matches!(&*first.word, "it" | "that" | "this" | "your" | "you" | "to" | "something" | "nothing" | "some")
        {
            return None;
        }
        let (noun, end) = head(tokens, from);
        let mut value = value(tokens, from, Extent::Phrase);
        let past = said.tense == Tense::Past;
        new |= tokens[from..end].iter().any(|token| token.is("new"));
        let act = if negated {
            Act::Negation
        } else if new {
            Act::Change
        } else {
            Act::Fact
        };
        let (attribute, single, confidence) = match noun {
            Some(noun) if noun.kind == NounKind::Nothing => return None,
            Some(noun)
                if noun.attribute == "child"
                    && past
                    && tokens[from..end].iter().any(|token| token.is("baby") || token.is("twins")) =>
            {
                return Some(Draft {
                    act: Act::Change,
                    attribute: "child".to_owned(),
                    value,
                    negated,
                    single: false,
                    confidence: SURE,
                });
            }
            Some(noun) => (noun.attribute.to_owned(), noun.single && !negated, SURE),
            None if past || said.progressive => return None,
            None => ("owns".to_owned(), false, LIKELY),
        };
        let lasts = noun.is_some_and(|noun| matches!(noun.attribute, "condition" | "pet" | "allergy" | "health"));
        if past && !lasts && (attribute != "schedule" || has_time(tokens)) {
            return None;
        }
        if value.words.is_empty() {
            value = exactly(from..tokens.len());
        }
        let former = if past && !negated { "former_" } else { "" };
        Some(Draft { act, attribute: format!("{former}{attribute}"), value, negated, single, confidence })
    }
}

/// "My shift starts at six", "My back hurts", "My doctor put me on statins".
fn doing(
    tokens: &[Token<'_>],
    phrase: &Phrase<'_>,
    said: &Predicate<'_>,
    attribute: String,
    new: bool,
) -> Option<Draft> {
    let Some(noun) = phrase.noun else {
        let act = if said.negated {
            Act::Negation
        } else if new {
            Act::Change
        } else {
            Act::Fact
        };
        return befell(tokens, phrase, said, attribute, act);
    };
    let rest = said.verb + 1;
    let word = |at: usize| tokens.get(at).map_or("", |token| &*token.word);
    let act = if said.negated {
        Act::Negation
    } else if new {
        Act::Change
    } else {
        Act::Fact
    };
    let known = prescribed(tokens, said, &attribute).or_else(|| happened(tokens, phrase, noun, said, &attribute));
    if known.is_some() {
        return known;
    }
    let present = said.tense == Tense::Present && !said.progressive;
    let (fits, attribute, from) = match noun.kind {
        NounKind::Property => {
            let scheduled = attribute == "schedule" && SCHEDULED.contains(&said.lemma);
            (scheduled || matches!(said.lemma, "end" | "start" | "begin" | "read"), attribute, said.verb)
        }
        NounKind::Body => {
            let hurts = matches!(said.lemma, "hurt" | "ache" | "itch" | "swell");
            (present && hurts, "condition".to_owned(), phrase.words.start)
        }
        NounKind::Close | NounKind::Pet => {
            let states = matches!(said.lemma, "have" | "suffer" | "need" | "attend" | "work" | "study" | "turn");
            let goes = said.lemma == "go" && word(rest) == "to";
            (present && (said.negated || states || goes), attribute, phrase.name.unwrap_or(rest))
        }
        NounKind::Thing
        | NounKind::Kin
        | NounKind::Person
        | NounKind::Prefer
        | NounKind::Dislike
        | NounKind::Goal
        | NounKind::Nothing => (false, attribute, rest),
    };
    let value = value(tokens, from, Extent::Phrase);
    let known = fits.then_some(Draft {
        act,
        attribute: attribute.clone(),
        value,
        negated: said.negated,
        single: false,
        confidence: SURE,
    });
    known.or_else(|| befell(tokens, phrase, said, attribute, act))
}

/// "My mother moved into a care home", "my knees don't bend that far", "my hair has gone grey": what a thing or somebody
/// close does, where no rule knows the verb.
fn befell(
    tokens: &[Token<'_>],
    phrase: &Phrase<'_>,
    said: &Predicate<'_>,
    attribute: String,
    act: Act,
) -> Option<Draft> {
    let kind = phrase.noun.map(|noun| noun.kind);
    let told = LEXICON.class(said.lemma) & (REPORT | WISH) != 0
        || matches!(said.lemma, "know" | "see" | "hear" | "want" | "need" | "look" | "sound" | "seem" | "go" | "keep");
    let over = matches!(said.tense, Tense::Past | Tense::Perfect);
    let near = match kind {
        Some(NounKind::Property | NounKind::Thing | NounKind::Body | NounKind::Close | NounKind::Pet) => true,
        Some(NounKind::Kin) => attribute != "friend" && (over || said.negated),
        Some(NounKind::Person | NounKind::Prefer | NounKind::Dislike | NounKind::Goal | NounKind::Nothing) => false,
        None => over || said.negated || tokens.len() > said.verb + 2,
    };
    if !near || told && !said.negated || phrase.owner.is_some() {
        return None;
    }
    let act = if act == Act::Fact && over { Act::Change } else { act };
    let value = value(tokens, phrase.words.start, Extent::Phrase);
    Some(Draft { act, attribute, value, negated: said.negated, single: false, confidence: LIKELY })
}

/// What an appointment, a shift or a train does at its time.
const SCHEDULED: [&str; 12] =
    ["start", "begin", "end", "finish", "leave", "depart", "run", "take", "meet", "arrive", "fall", "expire"];

/// "My doctor put me on statins."
fn prescribed(tokens: &[Token<'_>], said: &Predicate<'_>, attribute: &str) -> Option<Draft> {
    let rest = said.verb + 1;
    let word = |at: usize| tokens.get(at).map_or("", |token| &*token.word);
    let gives = matches!(said.lemma, "prescribe" | "put" | "switch" | "give" | "start" | "move" | "take");
    if attribute != "doctor" || said.negated || word(rest) != "me" || !gives {
        return None;
    }
    let from = rest + 1 + usize::from(matches!(word(rest + 1), "on" | "to" | "with" | "off"));
    let off = word(rest + 1) == "off";
    Some(Draft {
        act: if off { Act::Negation } else { Act::Change },
        attribute: "medication".to_owned(),
        value: value(tokens, from, Extent::Phrase),
        negated: off,
        single: false,
        confidence: SURE,
    })
}

/// "My daughter started school", "our dog passed away".
fn happened(
    tokens: &[Token<'_>],
    phrase: &Phrase<'_>,
    noun: &Noun,
    said: &Predicate<'_>,
    attribute: &str,
) -> Option<Draft> {
    let family = matches!(noun.kind, NounKind::Close | NounKind::Pet | NounKind::Kin) && attribute != "friend";
    let events = ["start", "begin", "graduate", "turn", "marry", "die", "pass"];
    let away = tokens.get(said.verb + 1).is_some_and(|next| next.is("away"));
    let over = matches!(said.tense, Tense::Past | Tense::Perfect) && !said.negated;
    let event = events.contains(&said.lemma) && (said.lemma != "pass" || away);
    (family && over && event).then(|| Draft {
        act: Act::Change,
        attribute: attribute.to_owned(),
        value: value(tokens, phrase.name.unwrap_or(phrase.words.start), Extent::Phrase),
        negated: false,
        single: false,
        confidence: SURE,
    })
}
