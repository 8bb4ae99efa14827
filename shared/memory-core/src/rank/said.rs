//! What ranking knows of one text, whatever is asked: computed once, when the text comes into a bank.

use super::dates::{self, Span};
use super::form::Form;
use crate::event::Role;
use crate::text::language::Language;
use crate::text::lexis::Lexicon;
use crate::text::{self, Term};
use crate::time::Timestamp;
use crate::vector::{Embed, Vector};

/// What a text has to be found by.
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// Each term and how often it stands there; in order of terms.
    pub(super) terms: Vec<(Term, u16)>,
    /// Each word once, with its term.
    pub(super) words: Vec<(String, Term)>,
    pub(super) language: Option<Language>,
    pub(super) vector: Vector,
    pub(super) traits: Traits,
}

/// What needs no search: how long it is, who says it, when, and what is in it.
#[derive(Clone, Debug, Default)]
pub(super) struct Traits {
    /// Terms, repeats included.
    pub(super) length: u32,
    pub(super) tokens: u32,
    pub(super) asks: bool,
    /// It ends with a question, and so passes the word on.
    pub(super) ends_asking: bool,
    pub(super) form: Form,
    pub(super) day: i32,
    /// The days that it speaks of.
    pub(super) spans: Box<[Span]>,
    /// It is not the user's own word.
    pub(super) answer: bool,
}

impl Said {
    pub(super) fn of(content: &str, time: Timestamp, role: Role, lexicon: &mut Lexicon, embed: &dyn Embed) -> Self {
        // What does not tell its language is taken for English, and not for that of its neighbours: those change.
        let (found, language) = lexicon.words(content, Language::English);
        let length = u32::try_from(found.len()).unwrap_or(u32::MAX);
        let mut sorted: Vec<Term> = found.iter().map(|word| word.term).collect();
        sorted.sort_unstable();
        let terms: Vec<(Term, u16)> =
            sorted.chunk_by(|a, b| a == b).map(|run| (run[0], u16::try_from(run.len()).unwrap_or(u16::MAX))).collect();
        let mut words: Vec<(String, Term)> = found.into_iter().map(|word| (word.word, word.term)).collect();
        words.sort_unstable();
        words.dedup();
        let day = dates::day_of(time);
        let spans = dates::spoken_of(content, day);
        let traits = Traits {
            length,
            tokens: u32::try_from(text::tokens(content)).unwrap_or(u32::MAX),
            asks: content.contains(['?', '？', '؟', '¿']),
            ends_asking: content.trim_end().ends_with(['?', '？', '؟']),
            form: Form::told(content, &spans),
            day,
            spans: spans.into(),
            answer: role != Role::User,
        };
        Self { terms, words, language, vector: embed.text(content), traits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::NoVectors;

    fn said(text: &str) -> Said {
        Said::of(text, Timestamp::from_seconds(0), Role::Assistant, &mut Lexicon::default(), &NoVectors)
    }

    #[test]
    fn a_text_is_known_by_its_terms_and_its_traits() {
        let idle = said("I have no idea");
        let said = said("Did you buy three dogs yesterday? Dogs!");
        assert_eq!(said.terms.iter().map(|(_, count)| *count).max(), Some(2));
        assert_eq!(said.traits.length, 5);
        assert!(said.traits.asks && said.traits.form.number && said.traits.answer);
        assert_eq!(said.traits.spans[0].from, -1);
        assert!(!said.traits.ends_asking && self::said("Dogs! Did you buy one? ").traits.ends_asking);
        assert!(!idle.traits.form.number && !idle.traits.asks && idle.traits.spans.is_empty());
    }
}
