//! The noun phrase after "my" or "have": its noun, a name in it, and where its verb begins.

use std::ops::Range;

use super::lexicon::{
    ADVERB, AUXILIARY, BE, COORDINATOR, DET, LEXICON, NEVER, NOT, NOW, NUMBER, Noun, PREPOSITION, SUBJECT, WH,
};
use super::token::Token;

/// A noun phrase after "my".
#[derive(Debug)]
pub(super) struct Phrase<'l> {
    /// The words between "my" and the verb.
    pub(super) words: Range<usize>,
    pub(super) noun: Option<&'l Noun>,
    /// A name after the noun: "my daughter Ines".
    pub(super) name: Option<usize>,
    /// "my wife's name": who has it.
    pub(super) owner: Option<&'l Noun>,
    /// Where the verb group begins; "'s" may be the verb.
    pub(super) verb: usize,
    pub(super) short_be: bool,
    pub(super) favourite: bool,
    pub(super) new: bool,
}

const FAVOURITE: [&str; 8] = ["favourite", "favorite", "fave", "preferred", "go-to", "ideal", "fav", "favourites"];

/// The noun phrase that begins after "my", up to its verb.
pub(super) fn phrase<'l>(tokens: &[Token<'_>], from: usize) -> Option<Phrase<'l>> {
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
    let mut at = from;
    let end = tokens.len().min(from + 9);
    while at < end && !(at > from && is_verb(&tokens[at])) {
        let token = &tokens[at];
        if token.mark || token.in_class(SUBJECT & !DET | COORDINATOR | WH) {
            return None;
        }
        found.favourite |= FAVOURITE.contains(&token.word.as_ref());
        found.new |= token.is("new");
        if let Some(owner) = token.word.strip_suffix("'s") {
            if has_noun_and_verb(tokens, at + 1) {
                found.owner = Some(LEXICON.noun_of(owner)?);
            } else if LEXICON.noun_of(&token.word).is_none() {
                found.noun = LEXICON.noun_of(owner);
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
    while at > from + 1 && tokens[at - 1].in_class(ADVERB | NOW | NEVER) {
        at -= 1;
    }
    found.words.end = at;
    found.verb = at;
    let mut last = at;
    while last > from + 1 && tokens[last - 1].capital && LEXICON.noun_of(&tokens[last - 1].word).is_none() {
        last -= 1;
    }
    found.name = (last < at).then_some(last);
    // "my meeting with Anna": the noun stands before the preposition.
    let noun_end = (from + 1..last).find(|at| tokens[*at].in_class(PREPOSITION)).unwrap_or(last);
    found.noun = noun_before(tokens, from, noun_end);
    Some(found)
}

/// Verbs that are nouns as well, in forms that after "my …" are verbs.
const VERBS: [&str; 11] =
    ["hurts", "hurt", "aches", "ends", "starts", "prescribed", "begins", "itches", "departs", "expires", "no"];

fn is_verb(token: &Token<'_>) -> bool {
    let word = token.word.as_ref();
    let lemma = LEXICON.lemma(token);
    let form = lemma != token.word && LEXICON.is_known_verb(lemma);
    let known = form || LEXICON.noun_of(word).is_none() && LEXICON.is_known_verb(word) || VERBS.contains(&word);
    token.in_class(AUXILIARY | NOT) || known && !token.capital && !word.ends_with("ing")
}

/// After "wife's": whether a noun that she has follows, and then a verb; otherwise "'s" is "is".
fn has_noun_and_verb(tokens: &[Token<'_>], at: usize) -> bool {
    let noun = tokens.get(at).is_some_and(|next| {
        !next.in_class(DET | AUXILIARY | ADVERB | NUMBER) && !next.is("called") && !next.is("named")
    });
    noun && (at + 1..tokens.len().min(at + 5)).any(|at| tokens[at].in_class(AUXILIARY))
}

/// The noun that ends before `end`: the longest of one to three words.
fn noun_before<'l>(tokens: &[Token<'_>], from: usize, end: usize) -> Option<&'l Noun> {
    (1..=3).rev().filter(|length| from + length <= end).find_map(|length| {
        let words: Vec<&str> = tokens[end - length..end].iter().map(|token| token.word.as_ref()).collect();
        LEXICON.noun_of(&words.join(" "))
    })
}

/// The last noun of a table in the phrase that begins at `from`, and where the phrase ends.
pub(super) fn head<'l>(tokens: &[Token<'_>], from: usize) -> (Option<&'l Noun>, usize) {
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

pub(super) fn name_of(tokens: &[Token<'_>], phrase: &Phrase<'_>) -> String {
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
