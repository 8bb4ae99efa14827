//! Clauses whose subject is not the speaker, and which still state something of him: "call me Teo", "let me check it by
//! Monday", "jazz is my favourite", "loud rooms drive me mad", and what is put right: "it's Tuesday, not Thursday".

use super::Act;
use super::lexicon::{ADVERB, AUXILIARY, BE, DET, LEXICON, NEVER, NOT, NounKind, POSSESSIVE, SUBJECT};
use super::pattern::Kind;
use super::predicate::predicate;
use super::reader::{Reader, Scope};
use super::statement::{Draft, SURE, has_time};
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
    pub(super) fn word(&self, at: usize, to: usize) -> &str {
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
        let denied = self.tokens[from..me].iter().any(|token| token.in_class(NOT | NEVER))
            || before(2) == "keep"
            || matches!(self.word(from, to), "nobody" | "none" | "hardly" | "few")
            || self.word(from, to) == "no" && self.word(from + 1, to) == "one";
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
        if self.liked_most(from, to) {
            return true;
        }
        let word = |at: usize| self.tokens[..to].get(at).map_or("", |token| &*token.word);
        if word(from) == "nothing" && matches!(word(from + 1), "beats" | "compares" | "tops") {
            let value = from + 2 + usize::from(word(from + 2) == "to");
            return self.tell(Act::Preference, "likes", value, to, false);
        }
        if word(from) == "give" && word(from + 1) == "me" {
            let taste =
                self.tokens.get(to).is_some_and(|next| next.is("any")) || (from..to).any(|at| word(at) == "over");
            return taste && self.tell(Act::Preference, "likes", from + 2, to, false);
        }
        let more = (from..to).find(|at| matches!(word(*at), "than"));
        if word(from) == "there"
            && (from..to).any(|at| word(at) == "nothing")
            && let Some(than) = more
        {
            return self.tell(Act::Preference, "likes", than + 1, to, false);
        }
        if word(from) == "nothing" {
            let like = (from + 2..to.min(from + 7)).find(|at| word(*at) == "like" || word(*at) == "than");
            let me = self.tokens[from..to].iter().any(|token| token.is("me"));
            return like.is_some_and(|like| me && self.tell(Act::Preference, "likes", like + 1, to, false));
        }
        if matches!(word(from), "none" | "neither") && word(from + 1) == "of" && word(from + 2) == "my" {
            let attribute = super::noun_phrase::attribute_of(&self.tokens[from + 3..(from + 4).min(to)]);
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
        let rules = LEXICON.rules_of(if said.can.is_some() { "can" } else { said.lemma });
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

    /// "The colour I like best is teal", "sci-fi is the genre I enjoy most".
    fn liked_most(&mut self, from: usize, to: usize) -> bool {
        let tokens = &self.tokens[..to];
        let Some(i) = (from + 1..to).find(|at| tokens[*at].is("i")) else { return false };
        let Some(most) = (i + 1..to.min(i + 5)).find(|at| matches!(&*tokens[*at].word, "best" | "most" | "least"))
        else {
            return false;
        };
        let Some(be) = (from + 1..to).find(|at| tokens[*at].in_class(BE)) else { return false };
        let taste = tokens[i + 1..most].iter().any(|token| {
            LEXICON.rules_of(&token.word).iter().any(|rule| matches!(rule.kind, Kind::Like | Kind::Prefer))
        });
        let hate = tokens[most].is("least")
            || tokens[i + 1..most].iter().any(|token| matches!(&*token.word, "hate" | "dislike" | "dread"));
        if !taste && !hate || tokens[from].in_class(SUBJECT & !DET) && !tokens[from].is("what") {
            return false;
        }
        let attribute = if hate { "dislikes" } else { "likes" };
        if be > most {
            self.tell(Act::Preference, attribute, be + 1, to, false)
        } else {
            self.tell(Act::Preference, attribute, from, be, false)
        }
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
        let attribute = super::noun_phrase::attribute_of(words);
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
}
