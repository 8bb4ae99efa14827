//! What is put right: "it's Tuesday, not Thursday", "not Marie but Maria", and after "no" or "that's wrong" plain "it's Tuesday".

use std::ops::Range;

use super::Act;
use super::lexicon::{AUXILIARY, DET, LEXICON, NOT, NUMBER, POSSESSIVE, PREPOSITION, SUBJECT, TIME};
use super::predicate::predicate;
use super::reader::{Cue, Reader, Scope, exactly};
use super::statement::{Denied, Draft, LIKELY, SURE};
use super::value::{Extent, Value};

impl Reader<'_> {
    /// After "that's wrong": what is right may stand in the same clause, "you mean my cousin, not my uncle".
    pub(super) fn wrong(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        let value = self.value(from, to, Extent::Phrase);
        let meant = from > 0 && self.tokens[from - 1].is("mean");
        if value.contrast || meant {
            let attribute = self.matter();
            self.state(Draft {
                act: Act::Correction,
                attribute,
                value,
                negated: false,
                single: false,
                confidence: LIKELY,
            });
        }
    }

    /// What is spoken of: the attribute that was named last, or that the other side named.
    fn matter(&self) -> String {
        let named = self.topic.as_ref().map(|(attribute, _, _)| attribute.clone());
        named
            .or_else(|| self.before.and_then(super::answer::topic_of).map(|topic| topic.attribute))
            .unwrap_or_else(|| "said".to_owned())
    }

    /// "It's X, not Y", "not X but Y", and after "no" or "that's wrong" plain "it's X" and "the flight leaves at 7".
    pub(super) fn put_right(&mut self, scope: Scope) {
        let Scope { from, to, .. } = scope;
        let first = &self.tokens[from];
        if first.in_class(NOT) {
            self.not_this_but_that(from, to);
            return;
        }
        if matches!(
            &*first.word,
            "you"
                | "he"
                | "she"
                | "they"
                | "his"
                | "her"
                | "their"
                | "your"
                | "everyone"
                | "everybody"
                | "there"
                | "people"
                | "please"
        ) {
            return;
        }
        let verb = (from + 1..to.min(from + 7)).find(|at| self.tokens[*at].in_class(AUXILIARY));
        let Some(verb) = verb else {
            self.fragment(from, to);
            return;
        };
        let Some(said) = predicate(&self.tokens[..to], verb) else {
            self.should_be(from, to, verb);
            return;
        };
        let (is_be, denied, at) = (said.lemma == "be" || said.progressive, said.negated, said.verb);
        if !is_be {
            return;
        }
        let mut value = self.value(at + 1, to, Extent::Phrase);
        if matches!(self.word(value.words.start, to), "spelled" | "spelt" | "pronounced" | "called" | "written") {
            value.words.start += 1;
        }
        if value.words.is_empty() {
            return;
        }
        if denied {
            self.deny(from, &value.words);
            return;
        }
        let attribute = self.subject_of(from, verb);
        let renews = self.topic.as_ref().is_some_and(|(_, _, new)| *new) && self.tokens[from].is("it");
        let act = if self.is_right(from, verb, at, &value) {
            Act::Correction
        } else if renews && self.is_proper(&value.words) {
            Act::Change
        } else {
            return;
        };
        self.state(Draft { act, attribute, value, negated: false, single: true, confidence: LIKELY });
    }

    /// "It isn't Lisa": what follows may say what it is.
    fn deny(&mut self, from: usize, words: &Range<usize>) {
        let pronoun = matches!(&*self.tokens[from].word, "it" | "that" | "this");
        if pronoun && (self.is_proper(words) || self.cue >= Cue::No) {
            let attribute = self.matter();
            let place = self.out.len();
            self.denied = Some(Denied { attribute, value: self.words(words), single: true, place });
        }
    }

    /// Whether "X is Y" puts something right: by contrast, after a cue, after a denial, or as the right one.
    fn is_right(&self, from: usize, verb: usize, at: usize, value: &Value) -> bool {
        let first = &self.tokens[from];
        let (it, that) = (first.is("it"), first.is("that"));
        let proper = self.is_proper(&value.words);
        let spelled = it
            && self.tokens[at + 1..value.words.end]
                .iter()
                .any(|token| matches!(&*token.word, "spelled" | "spelt" | "pronounced" | "written"));
        let pronoun = it || that || first.is("this");
        let contrast = value.contrast && value.old.is_some() && (proper || self.cue > Cue::None || !pronoun);
        let right_one = first.in_class(DET)
            && self.tokens[from..verb]
                .iter()
                .any(|token| matches!(&*token.word, "correct" | "right" | "actual" | "proper"));
        let cued = match self.cue {
            Cue::None => false,
            Cue::Soft => proper && it,
            Cue::No | Cue::Correct => {
                proper && !first.is("this") && (!that || self.cue == Cue::Correct && self.before.is_some())
            }
            Cue::Wrong => true,
        };
        let told = self.before.is_some_and(|before| !before.trim_end().ends_with('?'));
        let answered = told && it && proper && self.tokens[value.words.start].capital;
        contrast || cued || right_one && proper || self.denied.is_some() && pronoun || answered || spelled
    }

    fn is_proper(&self, words: &Range<usize>) -> bool {
        let words = &self.tokens[words.clone()];
        let noun = words.len() <= 4 && words.last().is_some_and(|word| LEXICON.noun_of(&word.word).is_some());
        noun || words.iter().any(|token| {
            token.word.contains('@') || token.capital || token.has_digit() || token.in_class(NUMBER | TIME)
        })
    }

    fn subject_of(&self, from: usize, verb: usize) -> String {
        let words = &self.tokens[from..verb];
        let pronoun = words.len() == 1 && words[0].in_class(SUBJECT);
        if pronoun {
            return self.matter();
        }
        let start = usize::from(words[0].in_class(DET));
        super::noun_phrase::attribute_of(&words[start.min(words.len() - 1)..])
    }

    /// "It should be 15."
    fn should_be(&mut self, from: usize, to: usize, verb: usize) {
        let be = (verb + 1..to.min(verb + 4)).find(|at| matches!(self.word(*at, to), "be" | "been" | "say" | "read"));
        let Some(be) = be.filter(|_| self.word(verb, to) == "should") else { return };
        let it = self.tokens[from].in_class(SUBJECT | DET);
        if !it || self.cue == Cue::None && !self.value(be + 1, to, Extent::Phrase).contrast {
            return;
        }
        let attribute = self.subject_of(from, verb);
        let value = self.value(be + 1, to, Extent::Phrase);
        self.state(Draft { act: Act::Correction, attribute, value, negated: false, single: true, confidence: SURE });
    }

    /// "Not Marie but Maria", "not Springfield Illinois, Springfield Missouri".
    fn not_this_but_that(&mut self, from: usize, to: usize) {
        let Some(turn) = (from + 2..to).find(|at| matches!(self.word(*at, to), "but" | "," | "rather")) else { return };
        let old = super::value::trim(&self.tokens, from + 1..turn);
        let mut value = self.value(turn + 1 + usize::from(self.word(turn + 1, to) == "but"), to, Extent::Phrase);
        if old.is_empty()
            || value.words.is_empty()
            || !(self.is_proper(&old) && self.is_proper(&value.words)) && self.cue == Cue::None
        {
            return;
        }
        value.old = Some(old);
        value.contrast = true;
        let attribute = self.matter();
        self.state(Draft { act: Act::Correction, attribute, value, negated: false, single: true, confidence: SURE });
    }

    /// "Two sugars", after "no"; "Tuesday, not Thursday"; "the flight leaves at 7", after "my mistake".
    pub(super) fn fragment(&mut self, from: usize, to: usize) {
        let value = self.value(from, to, Extent::Phrase);
        let contrast =
            value.contrast && value.old.as_ref().is_some_and(|old| self.is_proper(old)) && self.is_proper(&value.words);
        let verb = (from + 1..to.min(from + 5)).find(|at| {
            let token = &self.tokens[*at];
            let lemma = LEXICON.lemma(token);
            lemma != token.word
                && LEXICON.is_known_verb(lemma)
                && !token.word.ends_with("ing")
                && !token.in_class(PREPOSITION)
                && !token.capital
                && token.word.ends_with(['s', 'd', 't'])
        });
        let subject = self.tokens[from].in_class(DET) && !self.tokens[from].in_class(POSSESSIVE);
        if let Some(verb) = verb.filter(|_| subject && self.cue >= Cue::Correct) {
            let attribute = self.subject_of(from, verb);
            let value = self.value(verb, to, Extent::Phrase);
            self.state(Draft {
                act: Act::Correction,
                attribute,
                value,
                negated: false,
                single: true,
                confidence: LIKELY,
            });
            return;
        }
        let short = to - from <= 5 && verb.is_none() && !self.tokens[from].in_class(SUBJECT & !DET);
        let replies =
            self.before.is_some() && self.cue >= Cue::No || self.cue >= Cue::Correct && self.is_proper(&value.words);
        let thanks = self.tokens[from..to].iter().any(|token| {
            matches!(
                &*token.word,
                "thanks"
                    | "thank"
                    | "good"
                    | "fine"
                    | "worries"
                    | "problem"
                    | "idea"
                    | "way"
                    | "need"
                    | "great"
                    | "all"
                    | "mind"
                    | "sir"
                    | "ma'am"
                    | "mate"
            )
        });
        if contrast || short && replies && !thanks {
            let attribute = self.matter();
            self.state(Draft {
                act: Act::Correction,
                attribute,
                value: if value.words.is_empty() { exactly(from..to) } else { value },
                negated: false,
                single: true,
                confidence: LIKELY,
            });
        }
    }
}
