//! What a text says, sentence by sentence, and the parts that come of it.

use std::collections::BTreeSet;

use super::words::{Marks, SAFETY, TALK, TOLD, Talk, rank, root};
use super::{FULL, Parts, cap};
use crate::emotion;
use crate::text;
use crate::text::language::Language;
use crate::text::scan::{Token, scan};
use crate::text::table::hash;

/// The points of a word that says something, by how common it is: below so many of the commonest words so many points.
const RARITY: [(usize, u32); 3] = [(500, 5), (1_500, 25), (3_000, 65)];
const RARE: u32 = 100;
/// A word of another language than English: how rare it is, is not known.
const FOREIGN: u32 = 60;
/// A character of a script without spaces: about two of them are a word.
const UNSPACED: u32 = 40;

const OWN: u32 = 350;
const TELLS: u32 = 100;
const HAPPENED: u32 = 150;
const HAPPENED_EACH: u32 = 30;
const NEAR: u32 = 200;
const NAME: u32 = 250;
const WHEN: u32 = 250;
const NUMBER: u32 = 150;
const TITLE: u32 = 150;
/// The first word of safety, and each further one.
const SAFE: u32 = 700;

/// What stands in a question counts so much, in thirds.
const ASKED: u32 = 1;
const STATED: u32 = 3;

/// The parts of a text that was said after another.
pub(super) fn of(text: &str, before: Option<&str>, topics: &[String]) -> Parts {
    let tokens = scan(text);
    let language = emotion::language(&tokens);
    let before = before.map(scan).unwrap_or_default();
    let said = Said::read(&tokens, language, &before);
    let risks = said.safety + times_named(&tokens, topics);
    let felt = emotion::of_tokens(&tokens, language);
    let strength = (2 * u32::from(felt.valence.unsigned_abs()) + u32::from(felt.arousal)) / 3;
    Parts {
        disclosure: cap(said.disclosure()),
        concreteness: cap(said.concrete / STATED),
        emotion: cap(if said.personal { strength } else { strength / 3 }),
        answer: if asks(&before) { cap(said.content * 500 / STATED) } else { 0 },
        substance: cap(said.substance / STATED),
        explicit: if said.explicit { FULL } else { 0 },
        safety: cap(risks * SAFE),
        small_talk: cap(u32::from(FULL) * said.ritual / said.words.max(1)),
    }
}

/// How often one of these topics is named.
fn times_named(tokens: &[Token<'_>], topics: &[String]) -> u32 {
    let is_named = |topic: &String, at: usize| {
        let mut words = topic.split_whitespace();
        words.by_ref().zip(tokens[at..].iter().map(Some).chain(std::iter::repeat(None))).all(|(word, token)| {
            token.is_some_and(|token| match word.strip_suffix('*') {
                Some(beginning) => token.lower.starts_with(&beginning.to_lowercase()),
                None => token.lower == word.to_lowercase(),
            })
        })
    };
    let times = (0..tokens.len()).filter(|at| topics.iter().any(|topic| is_named(topic, *at))).count();
    u32::try_from(times).unwrap_or(u32::MAX)
}

/// What was found in a text. Counts of what is told are in thirds.
#[derive(Default)]
struct Said {
    words: u32,
    ritual: u32,
    own: u32,
    tells: u32,
    happened: u32,
    near: u32,
    concrete: u32,
    /// Words that are neither empty nor small talk.
    content: u32,
    substance: u32,
    /// The speaker, or somebody near to him, is in it.
    personal: bool,
    explicit: bool,
    safety: u32,
}

impl Said {
    fn read(tokens: &[Token<'_>], language: Option<Language>, before: &[Token<'_>]) -> Self {
        let mut this = Self::default();
        let words = before.iter().filter(|token| token.is_word);
        let mut told: BTreeSet<u64> = words.map(|token| hash(root(&token.lower))).collect();
        for sentence in tokens.split_inclusive(Token::ends_sentence) {
            let weight = if sentence.last().is_some_and(Token::asks) { ASKED } else { STATED };
            this.sentence(sentence, language, weight);
            this.words_of(sentence, language, weight, &mut told);
        }
        this
    }

    /// What the words of a sentence mark.
    fn sentence(&mut self, sentence: &[Token<'_>], language: Option<Language>, weight: u32) {
        let (mut own, mut tells, mut happened, mut near, mut quotes) = (false, false, 0, 0, 0);
        for (at, token) in sentence.iter().enumerate() {
            if !token.is_word {
                quotes += u32::from(matches!(token.raw, "\"" | "“" | "”" | "«" | "»" | "「" | "」"));
                continue;
            }
            self.words += 1;
            self.safety += u32::from(SAFETY.longest(&sentence[at..]).is_some());
            let marks = match TOLD.longest(&sentence[at..]) {
                // A phrase does not hide what its first word marks.
                Some((2.., marks)) => marks | TOLD.word(&token.lower).unwrap_or_default(),
                found => found.map(|(_, marks)| marks).unwrap_or_default(),
            };
            own |= marks.has(Marks::OWN);
            tells |= marks.has(Marks::TELLS);
            happened += u32::from(marks.has(Marks::PAST) || is_past(token, language));
            near += u32::from(marks.has(Marks::NEAR));
            self.explicit |= marks.has(Marks::EXPLICIT);
            self.concrete += weight
                * if marks.has(Marks::WHEN) {
                    WHEN
                } else if token.is_number() || marks.has(Marks::NUMBER) {
                    NUMBER
                } else if !marks.has(Marks::OWN) && is_name(sentence, at, language) {
                    NAME
                } else {
                    0
                };
        }
        self.concrete += weight * TITLE * (quotes / 2);
        self.personal |= own || near > 0;
        self.own = self.own.max(u32::from(own) * weight);
        self.tells = self.tells.max(u32::from(own && tells) * weight);
        self.happened += if own || near > 0 { happened * weight } else { 0 };
        self.near += near * weight;
    }

    /// What the words of a sentence say that was not said before.
    fn words_of(&mut self, sentence: &[Token<'_>], language: Option<Language>, weight: u32, told: &mut BTreeSet<u64>) {
        let mut at = 0;
        while let Some(token) = sentence.get(at) {
            if let Some((length, talk)) = TALK.longest(&sentence[at..]) {
                self.ritual += if talk == Talk::Ritual { u32::try_from(length).unwrap_or(u32::MAX) } else { 0 };
                at += length;
                continue;
            }
            at += 1;
            let word: &str = &token.lower;
            if !token.is_word || language.unwrap_or_default().is_empty_word(word) || text::is_negation(word) {
                continue;
            }
            self.content += weight;
            if told.insert(hash(root(word))) {
                self.substance = self.substance.saturating_add(weight * points(token, language));
            }
        }
    }

    fn disclosure(&self) -> u32 {
        let happened = if self.happened > 0 { HAPPENED * STATED + HAPPENED_EACH * self.happened } else { 0 };
        (OWN * self.own + TELLS * self.tells + happened + NEAR * self.near) / STATED
    }
}

/// The points of a word.
fn points(token: &Token<'_>, language: Option<Language>) -> u32 {
    let word: &str = &token.lower;
    if !word.is_ascii() && word.chars().any(is_unspaced) {
        return UNSPACED * u32::try_from(word.chars().count()).unwrap_or(u32::MAX).min(u32::from(FULL));
    }
    if !word.is_ascii() || language.is_some_and(|language| language != Language::English) {
        return FOREIGN;
    }
    if token.is_number() {
        return 0;
    }
    let rank = rank(word);
    RARITY.iter().find(|(below, _)| rank.is_some_and(|rank| rank < *below)).map_or(RARE, |(_, points)| *points)
}

/// Han and the Japanese syllabaries, Thai, Lao, Khmer and Burmese.
fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x0e00..0x0f00 | 0x1000..0x10a0 | 0x1780..0x1800 | 0x3040..0x3100 | 0x3400..0x4dc0 | 0x4e00..0xa000)
}

/// Whether an English verb is in its regular past.
fn is_past(token: &Token<'_>, language: Option<Language>) -> bool {
    let english = language.is_none_or(|language| language == Language::English);
    english && token.lower.len() > 4 && token.lower.ends_with("ed")
}

/// Whether a word is a name: it has a capital within a sentence, and nobody is addressed by it ("Hey Anna!", "thanks,
/// Anna."). German writes every noun so.
fn is_name(sentence: &[Token<'_>], at: usize, language: Option<Language>) -> bool {
    let capital = sentence[at].raw.starts_with(char::is_uppercase);
    let Some((before, true)) = at.checked_sub(1).map(|before| (&sentence[before], capital)) else { return false };
    if language == Some(Language::German) || !before.is_word && !matches!(before.raw, "," | "(" | "-" | "/" | "&") {
        return false;
    }
    let ends = sentence.get(at + 1).is_none_or(|after| after.ends_sentence() || after.raw == ",");
    let greeted = at == 1 && TALK.word(&before.lower) == Some(Talk::Ritual);
    !(greeted || before.raw == "," && ends)
}

fn asks(before: &[Token<'_>]) -> bool {
    before.iter().any(Token::asks)
}
