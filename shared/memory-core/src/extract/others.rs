//! Clauses whose subject is not the speaker, and which still state something of him: "call me Teo", "let me check it by
//! Monday", "jazz is my favourite", "loud rooms drive me mad", and what is put right: "it's Tuesday, not Thursday".

use super::Act;
use super::lexicon::{
    ADVERB, AUXILIARY, BE, DET, LEXICON, NEVER, NOT, NUMBER, NounKind, POSSESSIVE, PREPOSITION, SUBJECT,
};
use super::pattern::Kind;
use super::predicate::predicate;
use super::reader::{Cue, Reader, Scope, exactly};
use super::statement::{Draft, LIKELY, SURE, has_time};
use super::value::Extent;

/// Words after "call me" that make it a request.
const CALLS: [&str; 22] = [
    "a",
    "an",
    "back",
    "when",
    "if",
    "at",
    "on",
    "tomorrow",
    "later",
    "tonight",
    "today",
    "now",
    "again",
    "anytime",
    "after",
    "before",
    "because",
    "asap",
    "by",
    "crazy",
    "old-fashioned",
    "in",
];

impl Reader<'_> {
    fn word(&self, at: usize, to: usize) -> &str {
        self.tokens[..to].get(at).map_or("", |token| &*token.word)
    }

    fn tell(&mut self, act: Act, attribute: &str, from: usize, to: usize, single: bool) -> bool {
        let extent = if act == Act::Commitment {
            Extent::Plan
        } else if single {
            Extent::Single
        } else {
            Extent::Phrase
        };
        let value = self.value(from, to, extent);
        let attribute = attribute.to_owned();
        self.state(Draft { act, attribute, value, negated: false, single, confidence: SURE })
    }

    /// "Call me Teo", "everybody calls me Teo", "please refer to me as Dr. Okafor".
    pub(super) fn about_naming(&mut self, scope: Scope) -> bool {
        let Scope { from, to, .. } = scope;
        let Some(me) = (from..to.min(from + 7)).find(|at| self.tokens[*at].is("me")) else { return false };
        let before = |back: usize| me.checked_sub(back).filter(|at| *at >= from).map_or("", |at| self.word(at, to));
        let denied = self.tokens[from..me].iter().any(|token| token.in_class(NOT | NEVER)) || before(2) == "keep";
        let naming = matches!(before(1), "call" | "calls" | "address" | "name" | "nickname")
            || before(1) == "to" && before(2) == "refer";
        if !naming || denied || matches!(before(2), "he" | "she" | "to" | "keep") {
            return false;
        }
        let by_name = before(1).starts_with("call");
        let value = me + 1 + usize::from(self.word(me + 1, to) == "as" || self.word(me + 1, to) == "by");
        let Some(first) = self.tokens[..to].get(value) else { return false };
        if by_name && CALLS.contains(&&*first.word) || first.mark || first.in_class(SUBJECT) {
            return false;
        }
        self.tell(Act::Preference, "preferred_name", value, to, true)
    }

    /// "Let me check the contract by Monday", "you can count on me to book the hotel".
    pub(super) fn about_deeds(&mut self, scope: Scope) -> bool {
        let Scope { from, to, start, .. } = scope;
        let promised = (from..to.min(from + 6)).find(|at| {
            self.word(*at, to) == "me"
                && self.word(*at + 1, to) == "to"
                && self.word(at - usize::from(*at > from), to) == "on"
        });
        if let Some(me) = promised {
            return self.tell(Act::Commitment, "plan", me + 2, to, false);
        }
        if self.word(from, to) != "let" || self.word(from + 1, to) != "me" {
            return false;
        }
        let verb = self.word(from + 2, to);
        let asks = matches!(
            verb,
            "know"
                | "see"
                | "think"
                | "guess"
                | "tell"
                | "explain"
                | "rephrase"
                | "ask"
                | "go"
                | "in"
                | "out"
                | "off"
                | "be"
                | "correct"
                | "clarify"
                | "say"
                | "try"
                | "just"
        );
        let acts =
            matches!(verb, "get" | "send" | "handle" | "look" | "check" | "take" | "forward" | "fix") && to > from + 4;
        let returns = (from + 2..to).any(|at| self.word(at, to) == "back" && self.word(at + 1, to) == "to");
        if asks || !(has_time(&self.tokens[start..to]) || returns) || !acts && !has_time(&self.tokens[start..to]) {
            return true;
        }
        self.tell(Act::Commitment, "plan", from + 2, to, false)
    }

    /// "What I like most is swimming", "nothing beats ramen", "none of my grandparents are alive".
    pub(super) fn about_taste(&mut self, scope: Scope) -> bool {
        let Scope { from, to, .. } = scope;
        let word = |at: usize| self.tokens[..to].get(at).map_or("", |token| &*token.word);
        if word(from) == "nothing" && matches!(word(from + 1), "beats" | "compares" | "tops") {
            let value = from + 2 + usize::from(word(from + 2) == "to");
            return self.tell(Act::Preference, "likes", value, to, false);
        }
        if matches!(word(from), "none" | "neither") && word(from + 1) == "of" && word(from + 2) == "my" {
            let attribute = super::possession::attribute_of(&self.tokens[from + 3..(from + 4).min(to)]);
            let value = self.value(from + 3, to, Extent::Phrase);
            return self.state(Draft {
                act: Act::Negation,
                attribute,
                value,
                negated: true,
                single: false,
                confidence: SURE,
            });
        }
        let thing =
            matches!(word(from), "what" | "something" | "one") || word(from) == "the" && word(from + 1) == "thing";
        let Some(i) = (from + 1..to.min(from + 4)).find(|at| word(*at) == "i").filter(|_| thing) else { return false };
        let Some(be) = (i + 1..to.min(i + 7)).find(|at| self.tokens[*at].in_class(BE)) else { return true };
        let Some(said) = predicate(&self.tokens[..be], i + 1) else { return true };
        let rules = LEXICON.rules_of(if said.can.is_some() { "can" } else { &said.lemma });
        let likes = rules.iter().find(|rule| {
            matches!(rule.kind, Kind::Like | Kind::Dislike | Kind::Prefer)
                && !matches!(rule.attribute, "none" | "minds")
        });
        let Some((attribute, opposite)) = likes.map(|rule| (rule.attribute, said.negated && rule.kind == Kind::Like))
        else {
            return true;
        };
        let attribute = if opposite { "dislikes" } else { attribute };
        self.tell(Act::Preference, attribute, be + 1, to, false)
    }

    /// A clause about a thing: stated of the speaker, or put right.
    pub(super) fn third_person(&mut self, scope: Scope) {
        let Scope { from, to, conditional, .. } = scope;
        if conditional || self.is_mine(from, to) || self.affects_me(from, to) {
            return;
        }
        self.put_right(scope);
    }

    /// "Jazz is my favourite music", "Rex is my dog".
    fn is_mine(&mut self, from: usize, to: usize) -> bool {
        let Some(be) = (from + 1..to.min(from + 9)).find(|at| self.tokens[*at].in_class(BE)) else { return false };
        let denied = self.tokens[..to].get(be + 1).is_some_and(|token| token.in_class(NOT));
        let mut my = be + 1 + usize::from(denied);
        while self.tokens[..to].get(my).is_some_and(|token| token.in_class(ADVERB | BE | NEVER)) {
            my += 1;
        }
        let possessed = self.tokens[..to].get(my).is_some_and(|token| token.in_class(POSSESSIVE));
        if !possessed
            || self.tokens[from].in_class(SUBJECT & !DET)
            || be - from == 1 && self.tokens[from].in_class(SUBJECT)
        {
            return false;
        }
        let value = self.value(my + 1, to, Extent::Single);
        let words = &self.tokens[value.words.clone()];
        let favourite =
            words.iter().any(|word| matches!(&*word.word, "favourite" | "favorite" | "go-to" | "preferred"));
        let least = words.iter().any(|word| word.is("least"));
        let attribute = super::possession::attribute_of(words);
        let last = words.last().map_or("", |word| &*word.word);
        let kind = LEXICON.noun_of(last).map(|noun| noun.kind);
        let contrast = value.contrast;
        let subject = super::value::trim(&self.tokens, from..be);
        let known = matches!(
            kind,
            Some(
                NounKind::Property
                    | NounKind::Close
                    | NounKind::Pet
                    | NounKind::Kin
                    | NounKind::Goal
                    | NounKind::Person
            )
        );
        if contrast {
            return self.state(Draft {
                act: Act::Correction,
                attribute,
                value,
                negated: false,
                single: true,
                confidence: SURE,
            });
        }
        let act = if favourite {
            Act::Preference
        } else if denied {
            Act::Negation
        } else {
            Act::Fact
        };
        if !(favourite || known) || kind == Some(NounKind::Kin) && !self.tokens[subject.start].capital {
            return false;
        }
        let attribute = match (favourite, least || denied) {
            (true, true) => "dislikes".to_owned(),
            (true, false) if words.len() == 1 => "likes".to_owned(),
            (true | false, _) => attribute,
        };
        let value = self.value(subject.start, subject.end, Extent::Phrase);
        self.state(Draft { act, attribute, value, negated: denied && !favourite, single: false, confidence: SURE })
    }

    /// "Loud restaurants drive me crazy", "email works best for me", "golf is not my thing".
    fn affects_me(&mut self, from: usize, to: usize) -> bool {
        let first = &self.tokens[from];
        if first.in_class(SUBJECT) && !first.in_class(DET) || matches!(&*first.word, "let" | "please" | "does" | "do") {
            return false;
        }
        let verbless = !self.tokens[from..to].iter().any(|token| token.in_class(AUXILIARY));
        for rule in &LEXICON.said_of {
            let Some(found) = rule.find(&self.tokens[..to], from) else { continue };
            if rule.kind == Kind::Prefer && found.begins + 1 < to && self.word(found.begins, to) == "over" {
                let mine = verbless && self.word(to - 1, to) == "me" && self.word(to - 2, to) == "for";
                if !mine {
                    continue;
                }
                return self.tell(Act::Preference, rule.attribute, from, to - 2, false);
            }
            let end = if found.begins > from + 1 && self.tokens[found.begins - 1].in_class(AUXILIARY) {
                found.begins - 1
            } else {
                found.begins
            };
            if (from..end).any(|at| self.tokens[at].in_class(SUBJECT & !DET) && !self.tokens[at].is("people"))
                && !self.word(from, to).ends_with("ing")
            {
                continue;
            }
            let act = if rule.kind == Kind::Fact { Act::Fact } else { Act::Preference };
            return self.tell(act, rule.attribute, from, end, false);
        }
        false
    }

    /// After "that's wrong": what is right may stand in the same clause, "you mean my cousin, not my uncle".
    pub(super) fn wrong(&mut self, from: usize, to: usize) {
        if from >= to {
            return;
        }
        let value = self.value(from, to, Extent::Phrase);
        if value.contrast {
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
    fn put_right(&mut self, scope: Scope) {
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
        let (lemma_is_be, denied, at) = (said.lemma == "be" || said.progressive, said.negated, said.verb);
        if !lemma_is_be {
            return;
        }
        let mut value = self.value(at + 1, to, Extent::Phrase);
        if value.words.is_empty() {
            return;
        }
        if matches!(
            self.word(value.words.start, to),
            "spelled" | "spelt" | "pronounced" | "called" | "written" | "actually"
        ) {
            value.words.start += 1;
        }
        let pronoun = matches!(&*self.tokens[from].word, "it" | "that" | "this");
        if denied {
            let words = value.words.clone();
            let proper = self.is_proper(&words) || self.cue >= Cue::No;
            if pronoun && proper {
                let attribute = self.matter();
                let place = self.out.len();
                self.denied =
                    Some(super::statement::Denied { attribute, value: self.words(&words), single: true, place });
            }
            return;
        }
        let proper = self.is_proper(&value.words);
        let spelled = self.tokens[from].is("it")
            && self.tokens[at + 1..to]
                .iter()
                .any(|token| matches!(&*token.word, "spelled" | "spelt" | "pronounced" | "written"));
        let renews = self.topic.as_ref().is_some_and(|(_, _, new)| *new) && self.tokens[from].is("it");
        let contrast = value.contrast && value.old.is_some() && (proper || self.cue > Cue::None || !pronoun);
        let cued = match self.cue {
            Cue::None => false,
            Cue::Soft => proper && self.tokens[from].is("it"),
            Cue::No | Cue::Correct => {
                proper
                    && !self.tokens[from].is("this")
                    && (!self.tokens[from].is("that") || self.cue == Cue::Correct && self.before.is_some())
            }
            Cue::Wrong => true,
        };
        let answered = self.before.is_some_and(|before| !before.trim_end().ends_with('?'))
            && self.tokens[from].is("it")
            && proper
            && self.tokens[value.words.start].capital;
        let denied = self.denied.is_some() && pronoun;
        let attribute = self.subject_of(from, verb);
        if contrast || cued || denied || answered || spelled {
            self.state(Draft {
                act: Act::Correction,
                attribute,
                value,
                negated: false,
                single: true,
                confidence: SURE,
            });
        } else if renews && proper {
            self.state(Draft { act: Act::Change, attribute, value, negated: false, single: true, confidence: LIKELY });
        }
    }

    fn is_proper(&self, words: &std::ops::Range<usize>) -> bool {
        let words = &self.tokens[words.clone()];
        let noun = words.len() <= 4 && words.last().is_some_and(|word| LEXICON.noun_of(&word.word).is_some());
        noun || words
            .iter()
            .any(|token| token.capital || token.has_digit() || token.in_class(NUMBER | super::lexicon::TIME))
    }

    fn subject_of(&self, from: usize, verb: usize) -> String {
        let words = &self.tokens[from..verb];
        let pronoun = words.len() == 1 && words[0].in_class(SUBJECT);
        if pronoun {
            return self.matter();
        }
        let start = usize::from(words[0].in_class(DET));
        super::possession::attribute_of(&words[start.min(words.len() - 1)..])
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
    fn fragment(&mut self, from: usize, to: usize) {
        let value = self.value(from, to, Extent::Phrase);
        let contrast =
            value.contrast && value.old.as_ref().is_some_and(|old| self.is_proper(old)) && self.is_proper(&value.words);
        let verb = (from + 1..to.min(from + 5)).find(|at| {
            let token = &self.tokens[*at];
            let lemma = LEXICON.lemma(token);
            lemma != token.word
                && LEXICON.is_known_verb(&lemma)
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
