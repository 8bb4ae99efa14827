//! The rules and the classifier together. The rules know what a verb with its object states, and of which attribute; the
//! classifier knows far more ways to say something, but only which act it is. So it drops what is no statement, names
//! the act where the rules are in doubt, and states whole sentences in which they found nothing or not all. What a few words
//! answer to a question is left to the rules: without the question they say nothing.
//!
//! How far it must be ahead was chosen by cross-validation: fitted on the cases of some writers, read on another's.

use std::ops::Range;

use super::clause::{Sentence, clauses};
use super::judge::{Collected, JUDGE, Verdict};
use super::lexicon::{LEXICON, NUMBER};
use super::reader::{Reader, by_rules};
use super::signs::{Around, Before, Listed, Sink, signs};
use super::statement::{LIKELY, SURE, said};
use super::token::Token;
use super::whole::whole;
use super::{Act, Signs, Statement};
use crate::text;
use crate::text::language::Language;

/// How many tokens of a text tell its language.
const LANGUAGE_WORDS: usize = 200;
/// How far ahead "no statement" must be for what the rules found to be dropped, in 1/16 of a logit.
const DROP_AT: i32 = 4;
/// How far another act must be ahead of the one that the rules say.
const TURN_AT: i32 = 4;
/// The same where a rule of a table fits.
const TURN_SURE_AT: i32 = 16;
/// How far an act must be ahead of "no statement" where the rules found nothing.
const STATE_AT: i32 = 24;
/// How far it must be ahead of all else in what is put as a question: "could you always use metric?"
const ASKED_AT: i32 = 16;

pub(super) fn read(text: &str, before: Option<&str>) -> Vec<Statement> {
    let (mut reader, sentences) = by_rules(text, before);
    if reader.answered || Language::is_foreign(reader.tokens.iter().take(LANGUAGE_WORDS).map(|token| &*token.word)) {
        reader.out.sort_by_key(|found| found.sentence.start);
        return reader.out;
    }
    let said_before = Before::read(before);
    for place in 0..sentences.len() {
        let mut signs = Collected::default();
        reader.signs(&sentences, place, &said_before, &mut signs);
        reader.sentence = sentences[place].bytes.clone();
        reader.judged(&sentences[place], JUDGE.verdict(&mut signs));
    }
    reader.out.sort_by_key(|found| found.sentence.start);
    reader.out
}

/// The signs of every sentence of a text.
pub(super) fn signs_of(text: &str, before: Option<&str>) -> Vec<Signs> {
    let (reader, sentences) = by_rules(text, before);
    let said_before = Before::read(before);
    let all = sentences.iter().enumerate().map(|(place, sentence)| {
        let mut listed = Listed::default();
        reader.signs(&sentences, place, &said_before, &mut listed);
        let words = whole(&reader.tokens, sentence, &clauses(&reader.tokens, sentence), None);
        Signs {
            sentence: sentence.bytes.clone(),
            signs: listed.signs,
            words: listed.words,
            whole: reader.words(&words),
        }
    });
    all.collect()
}

/// The attribute of what is stated as a whole.
fn attribute_of(act: Act) -> &'static str {
    match act {
        Act::Preference => "prefers",
        Act::Commitment => "plan",
        Act::Negation => "lacks",
        Act::Fact | Act::Change => "status",
        Act::Correction => "said",
    }
}

/// Whether a value only points at something: "it", "there".
fn is_void(value: &str) -> bool {
    const POINTERS: &str = "it him her them me us you myself ourselves himself herself there here this that those these one so \
                            not mine before self either";
    POINTERS.split(' ').any(|pointer| pointer == value)
}

/// Whether a value is, or holds, a name or a number.
fn is_name(value: &str) -> bool {
    value.chars().any(|one| one.is_uppercase() || one.is_ascii_digit())
}

/// Whether two words have a stem in common: who is "allergic" has an "allergy".
fn is_related(one: &str, other: &str) -> bool {
    const STEM_MIN: usize = 5;
    one.contains(other) || one.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count() >= STEM_MIN
}

/// Whether words that matter are neither in the value of a statement nor what its attribute says.
fn leaves_out(words: &[Token<'_>], statement: &Statement) -> bool {
    let known: Vec<String> = text::words(&statement.value).collect();
    words.iter().any(|token| {
        let lemma = LEXICON.lemma(token);
        let matters = !token.mark && token.class & !NUMBER == 0 && !LEXICON.is_known_verb(lemma);
        matters
            && !statement.attribute.split('_').any(|part| is_related(part, lemma))
            && LEXICON.noun_of(&token.word).is_none_or(|noun| noun.attribute != statement.attribute)
            && text::words(&token.word).any(|word| !known.contains(&word))
    })
}

impl Reader<'_> {
    /// Tells the signs of one of the sentences.
    fn signs(&self, sentences: &[Sentence], place: usize, said_before: &Before, sink: &mut impl Sink) {
        let sentence = &sentences[place];
        let previous = place.checked_sub(1).map_or(0..0, |previous| sentences[previous].tokens.clone());
        let around = Around {
            before: said_before,
            previous: &self.tokens[previous],
            first: place == 0,
            last: place + 1 == sentences.len(),
        };
        signs(&self.tokens, sentence, &around, sink);
    }

    /// Lets the classifier speak beside the rules: it drops what is no statement, says which act one is, and states whole
    /// sentences in which the rules found nothing or not all.
    fn judged(&mut self, sentence: &Sentence, verdict: Verdict) {
        let Some(act) = verdict.best() else {
            if verdict.lead_over_second() >= DROP_AT {
                self.out.retain(|found| found.sentence != sentence.bytes);
            }
            return;
        };
        let words = whole(&self.tokens, sentence, &clauses(&self.tokens, sentence), Some(act));
        let told = &self.tokens[words.clone()];
        let mut here: Vec<&mut Statement> =
            self.out.iter_mut().filter(|found| found.sentence == sentence.bytes).collect();
        for found in &mut here {
            let turn_at = if found.confidence >= SURE { TURN_SURE_AT } else { TURN_AT };
            if verdict.lead_over(Some(found.act)) >= turn_at {
                found.act = act;
            }
        }
        match here.as_mut_slice() {
            [] => {
                let sure = if sentence.question { verdict.lead_over_second() >= ASKED_AT } else { true };
                if sure && verdict.lead_over(None) >= STATE_AT {
                    self.tell_whole(words, act);
                }
            }
            // The rules found a place where something should stand, and only a pronoun there.
            [only] if is_void(&only.value) => {
                only.value = said(self.text, told);
                if only.single {
                    only.attribute = attribute_of(only.act).to_owned();
                    (only.single, only.old) = (false, None);
                }
            }
            // What replaces something, or has one value at a time, is told apart by its value: there a name or a number
            // stays as the rules cut it.
            [only] if only.old.is_none() && !(only.single && is_name(&only.value)) => {
                if leaves_out(told, only) {
                    only.value = said(self.text, told);
                }
            }
            [..] => {}
        }
    }

    /// States all that a sentence tells.
    fn tell_whole(&mut self, words: Range<usize>, act: Act) {
        // The classifier knows English words only; letters of other scripts are none.
        let told = &self.tokens[words];
        let latin = told.iter().filter(|token| token.word.starts_with(|one: char| one.is_ascii_alphanumeric()));
        if latin.count() * 2 < told.len().max(1) {
            return;
        }
        let value = said(self.text, told);
        self.out.push(Statement {
            act,
            attribute: attribute_of(act).to_owned(),
            value,
            old: None,
            negated: act == Act::Negation,
            single: false,
            sentence: self.sentence.clone(),
            confidence: LIKELY,
        });
    }
}
