//! "My …" and "I have …": what the noun names decides what is stated.

use std::ops::Range;

use super::Act;
use super::lexicon::{
    ADVERB, AUXILIARY, BE, COORDINATOR, DET, LEXICON, NOT, NUMBER, Noun, NounKind, PREPOSITION, SUBJECT, WH,
};
use super::predicate::{Predicate, Tense, predicate};
use super::reader::{Cue, Reader, Scope, exactly};
use super::statement::{Draft, LIKELY, SURE, has_time};
use super::token::Token;
use super::value::{Extent, Value, value};

/// A noun phrase after "my".
#[derive(Debug)]
struct Phrase<'l> {
    /// The words between "my" and the verb.
    words: Range<usize>,
    noun: Option<&'l Noun>,
    /// A name after the noun: "my daughter Ines".
    name: Option<usize>,
    /// "my wife's name": who has it.
    owner: Option<&'l Noun>,
    /// Where the verb group begins; "'s" may be the verb.
    verb: usize,
    short_be: bool,
    favourite: bool,
    new: bool,
}

const FAVOURITE: [&str; 8] = ["favourite", "favorite", "fave", "preferred", "go-to", "ideal", "fav", "favourites"];

impl Reader<'_> {
    /// A clause that begins with "my".
    pub(super) fn possession(&mut self, scope: Scope) {
        let tokens = std::mem::take(&mut self.tokens);
        let draft = self.possessed(&tokens[..scope.to], scope);
        self.tokens = tokens;
        if let Some(draft) = draft
            && (!scope.conditional || draft.act == Act::Preference)
        {
            self.topic = Some((draft.attribute.clone(), draft.single, draft.act == Act::Change));
            self.state(draft);
        }
    }

    fn possessed(&mut self, tokens: &[Token<'_>], scope: Scope) -> Option<Draft> {
        let phrase = phrase(tokens, scope.from + 1)?;
        let noun = phrase.noun;
        let be = phrase.short_be;
        let mut said = if be {
            let mut said = predicate(tokens, phrase.verb)?;
            said.lemma = "be".into();
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
        if said.lemma == "change" && !said.negated {
            self.topic = Some((attribute.clone(), noun.is_none_or(|noun| noun.single), true));
            let to = (complement..tokens.len()).find(|at| tokens[*at].is("to"))?;
            let value = value(tokens, to + 1, Extent::Single);
            return Some(Draft { act: Act::Change, attribute, value, negated: false, single: true, confidence: SURE });
        }
        if said.lemma == "be" && !said.progressive {
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
        let named = matches!(&*first.word, "called" | "named");
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
            let near = matches!(owner.kind, NounKind::Close | NounKind::Pet | NounKind::Kin);
            return if near && kind == Some(NounKind::Property) { told(fact, found, SURE) } else { None };
        }
        match kind {
            Some(NounKind::Goal) if first.is("to") && !negated => {
                let value = value(tokens, from + 1, Extent::Plan);
                Some(Draft { act: Act::Commitment, attribute, value, negated, single: false, confidence: SURE })
            }
            Some(NounKind::Goal | NounKind::Property | NounKind::Thing)
                if first.in_class(WH) || first.is("that") || first.is("about") =>
            {
                None
            }
            Some(NounKind::Property) => told(fact, found, SURE),
            Some(NounKind::Prefer) => told(Act::Preference, found, SURE),
            Some(NounKind::Dislike) => told(Act::Preference, found, SURE),
            Some(NounKind::Goal) => told(fact, found, LIKELY),
            Some(NounKind::Close | NounKind::Pet) => {
                if let Some(name) = phrase.name {
                    found.words.start = name;
                }
                told(fact, found, SURE)
            }
            Some(NounKind::Kin) => {
                let name =
                    named || found.words.len() <= 2 && tokens[found.words.clone()].iter().all(|word| word.capital);
                if name { told(fact, found, SURE) } else { None }
            }
            Some(NounKind::Person) => {
                let name = attribute == "boss" && tokens[found.words.clone()].iter().all(|word| word.capital);
                if name || named { told(fact, found, SURE) } else { None }
            }
            Some(NounKind::Body) => {
                let whole = phrase.words.start..found.words.end;
                told(fact, Value { words: whole, ..found }, LIKELY)
            }
            Some(NounKind::Thing) => {
                if proper {
                    told(fact, found, SURE)
                } else {
                    told(fact, found, LIKELY)
                }
            }
            Some(NounKind::Nothing) => None,
            None => {
                if proper && !first.is("that") && !first.is("this") {
                    told(fact, found, LIKELY)
                } else {
                    None
                }
            }
        }
    }

    /// "I have …" where no rule of the verb knows better.
    pub(super) fn having(&self, tokens: &[Token<'_>], said: &Predicate<'_>) -> Option<Draft> {
        let mut from = said.verb + 1;
        let mut negated = said.negated;
        let mut new = said.new;
        while let Some(token) = tokens.get(from) {
            let skipped =
                token.is("got") || token.in_class(ADVERB) || token.is("no") || token.is("any") || token.in_class(NOT);
            if !skipped {
                break;
            }
            negated |= token.is("no") || token.in_class(NOT);
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
        if past && !lasts && !(attribute == "schedule" && !has_time(tokens)) {
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
    let noun = phrase.noun?;
    let rest = said.verb + 1;
    let word = |at: usize| tokens.get(at).map_or("", |token| &*token.word);
    let act = if said.negated {
        Act::Negation
    } else if new {
        Act::Change
    } else {
        Act::Fact
    };
    let told = |act: Act, attribute: &str, value: Value| {
        Some(Draft {
            act,
            attribute: attribute.to_owned(),
            value,
            negated: said.negated,
            single: false,
            confidence: SURE,
        })
    };
    let me = word(rest) == "me";
    if attribute == "doctor"
        && me
        && matches!(&*said.lemma, "prescribe" | "put" | "switch" | "give" | "start" | "move" | "take")
        && !said.negated
    {
        let from = rest + 1 + usize::from(matches!(word(rest + 1), "on" | "to" | "with" | "off"));
        let act = if word(rest + 1) == "off" { Act::Negation } else { Act::Change };
        return told(act, "medication", value(tokens, from, Extent::Phrase));
    }
    match noun.kind {
        NounKind::Property if attribute == "schedule" || attribute == "plan" => {
            let known = matches!(
                &*said.lemma,
                "start"
                    | "begin"
                    | "end"
                    | "finish"
                    | "leave"
                    | "depart"
                    | "run"
                    | "take"
                    | "meet"
                    | "arrive"
                    | "fall"
                    | "expire"
            );
            if known { told(act, &attribute, value(tokens, said.verb, Extent::Phrase)) } else { None }
        }
        NounKind::Property if matches!(&*said.lemma, "end" | "start" | "begin" | "read") => {
            told(act, &attribute, value(tokens, said.verb, Extent::Phrase))
        }
        NounKind::Body
            if matches!(&*said.lemma, "hurt" | "ache" | "itch" | "swell") && said.tense == Tense::Present =>
        {
            told(act, "condition", exactly(phrase.words.start..tokens.len()))
        }
        NounKind::Close | NounKind::Pet if said.tense == Tense::Present && !said.progressive => {
            let known = said.negated
                || matches!(&*said.lemma, "have" | "suffer" | "need" | "attend" | "work" | "study" | "turn");
            let from = phrase.name.unwrap_or(rest);
            if known { told(act, &attribute, value(tokens, from, Extent::Phrase)) } else { None }
        }
        NounKind::Thing
        | NounKind::Body
        | NounKind::Close
        | NounKind::Pet
        | NounKind::Kin
        | NounKind::Person
        | NounKind::Property
        | NounKind::Prefer
        | NounKind::Dislike
        | NounKind::Goal
        | NounKind::Nothing => None,
    }
}

/// The noun phrase that begins after "my", up to its verb.
fn phrase<'l>(tokens: &[Token<'_>], from: usize) -> Option<Phrase<'l>> {
    let mut found = Phrase {
        words: from..from,
        noun: None,
        name: None,
        owner: None,
        verb: from,
        short_be: false,
        favourite: false,
        new: false,
    };
    let mut least = false;
    let mut at = from;
    let end = tokens.len().min(from + 9);
    while at < end {
        let token = &tokens[at];
        let word = token.word.as_ref();
        let lemma = LEXICON.lemma(token);
        let verb = lemma != token.word && LEXICON.is_known_verb(&lemma)
            || LEXICON.noun_of(word).is_none() && LEXICON.is_known_verb(word);
        let verb = verb
            || matches!(
                word,
                "hurts"
                    | "hurt"
                    | "aches"
                    | "ends"
                    | "starts"
                    | "prescribed"
                    | "begins"
                    | "itches"
                    | "departs"
                    | "expires"
                    | "no"
                    | "needs"
            );
        if at > from && (token.in_class(AUXILIARY | NOT) || verb && !token.capital && !word.ends_with("ing")) {
            break;
        }
        if token.mark || token.in_class(SUBJECT & !DET | COORDINATOR | WH) {
            return None;
        }
        found.favourite |= FAVOURITE.contains(&word);
        least |= word == "least";
        found.new |= word == "new" || word == "current" && false;
        if let Some(owner) = word.strip_suffix("'s") {
            let next = tokens.get(at + 1);
            let verb_follows = (at + 2..tokens.len().min(at + 6)).any(|at| tokens[at].in_class(AUXILIARY));
            let noun_follows = next.is_some_and(|next| {
                !next.in_class(DET | AUXILIARY | ADVERB | NUMBER) && !next.is("called") && !next.is("named")
            });
            if noun_follows && verb_follows {
                found.owner = LEXICON.noun_of(owner);
                found.owner.as_ref()?;
            } else if LEXICON.noun_of(word).is_none() {
                found.noun = found.noun.filter(|_| false).or_else(|| LEXICON.noun_of(owner));
                found.words.end = at + 1;
                found.verb = at + 1;
                found.short_be = true;
                return Some(found);
            }
        }
        at += 1;
    }
    if at >= end && !tokens.get(at).is_some_and(|token| token.in_class(AUXILIARY)) {
        return None;
    }
    found.words.end = at;
    found.verb = at;
    found.favourite &= !least;
    let mut last = at;
    while last > from
        && tokens[last - 1].capital
        && last - 1 > from
        && LEXICON.noun_of(&tokens[last - 1].word).is_none()
    {
        last -= 1;
    }
    if last < at {
        found.name = Some(last);
    }
    // "my meeting with Anna": the noun stands before the preposition.
    let head_end = (from + 1..last).find(|at| tokens[*at].in_class(PREPOSITION)).unwrap_or(last);
    found.noun = noun_before(tokens, from, head_end);
    if least {
        found.favourite = true;
    }
    Some(found)
}

/// The noun that ends before `end`: the longest of one to three words.
fn noun_before<'l>(tokens: &[Token<'_>], from: usize, end: usize) -> Option<&'l Noun> {
    (1..=3).rev().filter(|length| from + length <= end).find_map(|length| {
        let words: Vec<&str> = tokens[end - length..end].iter().map(|token| token.word.as_ref()).collect();
        LEXICON.noun_of(&words.join(" "))
    })
}

/// The last noun of a table in the phrase that begins at `from`, and where the phrase ends.
fn head<'l>(tokens: &[Token<'_>], from: usize) -> (Option<&'l Noun>, usize) {
    let closes = |token: &Token<'_>| {
        token.mark
            || token.in_class(PREPOSITION | WH | COORDINATOR | SUBJECT & !DET)
            || matches!(&*token.word, "called" | "named" | "that" | "since" | "because")
    };
    let end = (from..tokens.len()).find(|at| closes(&tokens[*at])).unwrap_or(tokens.len());
    let noun = (from + 1..=end).rev().find_map(|end| noun_before(tokens, from, end));
    (noun, end)
}

/// The attribute that a noun phrase names: by the table, or its own words in snake case.
pub(super) fn attribute_of(words: &[Token<'_>]) -> String {
    noun_before(words, 0, words.len()).map_or_else(|| snake(words), |noun| noun.attribute.to_owned())
}

fn name_of(tokens: &[Token<'_>], phrase: &Phrase<'_>) -> String {
    let words = &tokens[phrase.words.clone()];
    if phrase.favourite {
        return snake(words);
    }
    let own = phrase.noun.map_or_else(|| snake(words), |noun| noun.attribute.to_owned());
    match phrase.owner {
        Some(owner) if own == "name" => owner.attribute.to_owned(),
        Some(owner) => format!("{}_{own}", owner.attribute),
        None => own,
    }
}

fn snake(words: &[Token<'_>]) -> String {
    let plain = words
        .iter()
        .filter(|word| !word.mark && !word.in_class(BE | ADVERB) && !word.is("new") && !word.is("all-time"));
    let words: Vec<&str> = plain.take(4).map(|word| word.word.as_ref()).collect();
    words.join("_").replace("favorite", "favourite").replace(['-', '\'', '.'], "_")
}
