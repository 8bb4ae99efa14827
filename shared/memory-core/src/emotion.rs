//! How a text feels: valence, from the worst to the best, and arousal, from calm to excited.
//!
//! A lexicon with rules, in the manner of Hutto and Gilbert's VADER (2014) and of Polanyi and Zaenen's valence shifters
//! (2006), but with words and numbers of our own (`emotion/*.txt`), in integers, and in six languages:
//!
//! | rule | example |
//! |---|---|
//! | the longest entry counts, so events and idioms have feelings of their own | "passed away", "happy hour" |
//! | a negation turns the next words into a weaker opposite | "not happy", "no longer scared" |
//! | unless a comparison makes it the highest praise | "never felt better" |
//! | degrees, capitals, repeated letters and exclamation marks strengthen; "a bit" weakens | "sooo GOOD!!" |
//! | what comes after "but" weighs more than what came before | "nice, but too loud" |
//! | a question tells less than a statement | "are you happy?" |
//! | a capitalised word within an English sentence is a name | "her name is Joy" |
//!
//! Valence is the sum of all that, bent so that it never leaves ±1000. [`Emotion::tone`] says from where on it is called
//! positive or negative. `testdata/emotion-dev.jsonl` holds the labelled sentences that a test judges this by.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::text::language::Language;
use crate::text::list::{List, lines};
use crate::text::scan::{Token, scan};

mod weigh;

#[cfg(test)]
mod tests;

/// How a text feels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emotion {
    /// -1000 (the worst) to 1000 (the best); 0 where no feeling is told.
    pub valence: i16,
    /// 0 (calm) to 1000 (beside oneself).
    pub arousal: u16,
}

/// A feeling by its sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tone {
    Negative,
    None,
    Positive,
}

/// The valence from which on a text is called positive, and below whose opposite negative.
pub const TONE_AT: i16 = 250;

impl Emotion {
    /// Positive from [`TONE_AT`] on, negative from its opposite down.
    #[must_use]
    pub const fn tone(self) -> Tone {
        if self.valence >= TONE_AT {
            Tone::Positive
        } else if self.valence <= -TONE_AT {
            Tone::Negative
        } else {
            Tone::None
        }
    }
}

/// How a text feels, in whatever language it is; 0 where nothing is understood.
#[must_use]
pub fn of(text: &str) -> Emotion {
    let tokens = scan(text);
    of_tokens(&tokens, language(&tokens))
}

/// The language of the tokens, if they tell it.
pub(crate) fn language(tokens: &[Token<'_>]) -> Option<Language> {
    Language::of(tokens.iter().filter(|token| token.is_word).map(|token| &*token.lower))
}

/// How tokens of a known language feel.
pub(crate) fn of_tokens(tokens: &[Token<'_>], told: Option<Language>) -> Emotion {
    let by = |language| LEXICA.iter().find(|lexicon| lexicon.language == language);
    let felt = by(told.unwrap_or_default()).map(|lexicon| weigh::emotion(tokens, lexicon)).unwrap_or_default();
    // Too short to tell its language, or taken for English by a word that both have: the first that understands it.
    let foreign = || tokens.iter().any(|token| token.is_word && !token.lower.is_ascii());
    if felt == Emotion::default() && (told.is_none() || told == Some(Language::English) && foreign()) {
        let others = LEXICA.iter().map(|lexicon| weigh::emotion(tokens, lexicon));
        return others.into_iter().find(|felt| felt.valence != 0).unwrap_or_default();
    }
    felt
}

/// What a word or phrase feels like by itself. All zero: no feeling, although its words have one elsewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Feeling {
    valence: i16,
    arousal: i16,
}

/// What a word or phrase does to the feelings near it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shift {
    Negates,
    /// It looks like a negation and is none.
    Affirms,
    /// By so many hundredths.
    Degree(i16),
    /// What follows weighs more than what went before.
    But,
}

/// The words of one language.
#[derive(Debug)]
struct Lexicon {
    language: Language,
    feelings: List<Feeling>,
    shifts: List<Shift>,
    /// Words that after "never" mean the most, not the least.
    comparisons: List<()>,
}

const FILES: [(Language, &str); 6] = [
    (Language::English, include_str!("emotion/en.txt")),
    (Language::German, include_str!("emotion/de.txt")),
    (Language::Spanish, include_str!("emotion/es.txt")),
    (Language::French, include_str!("emotion/fr.txt")),
    (Language::Italian, include_str!("emotion/it.txt")),
    (Language::Portuguese, include_str!("emotion/pt.txt")),
];

static LEXICA: LazyLock<Vec<Lexicon>> =
    LazyLock::new(|| FILES.into_iter().map(|(language, file)| Lexicon::read(language, file)).collect());

impl Lexicon {
    fn read(language: Language, file: &'static str) -> Self {
        let feelings = lines(file).filter_map(|line| match line.class {
            "feel" => Some((line.entry, Feeling { valence: line.numbers[0], arousal: line.numbers[1] })),
            "none" => Some((line.entry, Feeling::default())),
            _ => None,
        });
        let shifts = lines(file).filter_map(|line| {
            let shift = match line.class {
                "negate" => Shift::Negates,
                "affirm" => Shift::Affirms,
                "degree" => Shift::Degree(line.numbers[0]),
                "but" => Shift::But,
                _ => return None,
            };
            Some((line.entry, shift))
        });
        let comparisons = lines(file).filter(|line| line.class == "compare").map(|line| (line.entry, ()));
        Self { language, feelings: List::new(feelings), shifts: List::new(shifts), comparisons: List::new(comparisons) }
    }

    /// The feeling of the words that the tokens begin with, and how many they are. Letters that are drawn out count once
    /// or twice.
    fn feeling(&self, tokens: &[Token<'_>]) -> Option<(usize, Feeling)> {
        let told = self.feelings.longest(tokens);
        let first = tokens.first()?;
        if told.is_some() || !first.is_word {
            return told;
        }
        let feeling = |most| self.feelings.word(&weigh::squeeze(&first.lower, most));
        let drawn = weigh::is_drawn_out(&first.lower).then(|| feeling(2).or_else(|| feeling(1)));
        drawn.flatten().map(|feeling| (1, feeling))
    }

    /// What the words that the tokens begin with do to feelings, and how many they are.
    fn shift(&self, tokens: &[Token<'_>]) -> Option<(usize, Shift)> {
        let told = self.shifts.longest(tokens);
        let first = tokens.first()?;
        told.or_else(|| {
            let negates = first.is_word && crate::text::is_negation(&first.lower);
            let drawn = || {
                let drawn = weigh::is_drawn_out(&first.lower);
                drawn.then(|| self.shifts.word(&weigh::squeeze(&first.lower, 1))).flatten()
            };
            if negates { Some((1, Shift::Negates)) } else { drawn().map(|shift| (1, shift)) }
        })
    }
}
