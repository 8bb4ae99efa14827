//! The tables: classes of words, phrases that open or end a clause, nouns with what they name, topics of questions, and
//! the lemma of a verb's form.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::pattern::Rule;
use super::token::Token;
use crate::text::table::Table;

/// A set of word classes, a bit for each.
pub(super) type Class = u64;

/// The names of the classes in `words.txt`, in the order of their bits.
const CLASSES: [&str; 39] = [
    "adverb",
    "now",
    "degree",
    "never",
    "not",
    "be",
    "have",
    "do",
    "will",
    "modal",
    "can",
    "would",
    "subject",
    "other",
    "det",
    "possessive",
    "coordinator",
    "subordinate",
    "unreal",
    "timed",
    "wh",
    "report",
    "wish",
    "time",
    "number",
    "adjunct",
    "filler",
    "opener",
    "no",
    "go-verb",
    "preposition",
    "particle",
    "uncountable",
    "job",
    "kin",
    "wrongness",
    "mood",
    "request",
    "misdeed",
];

pub(super) const ADVERB: Class = 1;
pub(super) const NOW: Class = 1 << 1;
pub(super) const DEGREE: Class = 1 << 2;
pub(super) const NEVER: Class = 1 << 3;
pub(super) const NOT: Class = 1 << 4;
pub(super) const BE: Class = 1 << 5;
pub(super) const HAVE: Class = 1 << 6;
pub(super) const DO: Class = 1 << 7;
pub(super) const WILL: Class = 1 << 8;
pub(super) const MODAL: Class = 1 << 9;
pub(super) const CAN: Class = 1 << 10;
pub(super) const WOULD: Class = 1 << 11;
pub(super) const SUBJECT: Class = 1 << 12;
pub(super) const DET: Class = 1 << 14;
pub(super) const POSSESSIVE: Class = 1 << 15;
pub(super) const COORDINATOR: Class = 1 << 16;
pub(super) const SUBORDINATE: Class = 1 << 17;
pub(super) const UNREAL: Class = 1 << 18;
pub(super) const TIMED: Class = 1 << 19;
pub(super) const WH: Class = 1 << 20;
pub(super) const REPORT: Class = 1 << 21;
pub(super) const WISH: Class = 1 << 22;
pub(super) const TIME: Class = 1 << 23;
pub(super) const NUMBER: Class = 1 << 24;
pub(super) const ADJUNCT: Class = 1 << 25;
pub(super) const FILLER: Class = 1 << 26;
pub(super) const OPENER: Class = 1 << 27;
pub(super) const NO: Class = 1 << 28;
pub(super) const PREPOSITION: Class = 1 << 30;
pub(super) const JOB: Class = 1 << 33;
pub(super) const WRONGNESS: Class = 1 << 35;
/// What somebody is for the moment of the talk: "sure", "done".
pub(super) const MOOD: Class = 1 << 36;
/// Verbs of an order to the other side.
pub(super) const REQUEST: Class = 1 << 37;
/// What the other side did wrong: "you wrote".
pub(super) const MISDEED: Class = 1 << 38;

/// Any word that can be the first of a verb group.
pub(super) const AUXILIARY: Class = BE | HAVE | DO | WILL | MODAL | CAN | WOULD;

/// What a phrase of `phrases.txt` does to its clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phrase {
    Open,
    New,
    /// Begins a correction only if more speaks for one.
    Soft,
    Correct,
    Wrong,
    Drop,
    Tail,
    NewTail,
    EndTail,
}

/// What a noun names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NounKind {
    Property,
    Prefer,
    Dislike,
    Goal,
    Pet,
    Close,
    Kin,
    Person,
    Body,
    Thing,
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) struct Noun {
    pub(super) attribute: &'static str,
    pub(super) kind: NounKind,
    pub(super) single: bool,
}

/// A topic: attribute, kind as in the verbs' table, single, and the alternatives of words that must all be there.
pub(super) type Topic = (&'static str, &'static str, bool, Vec<Vec<&'static str>>);

pub(super) struct Lexicon {
    classes: Table<Class>,
    phrases: Table<Vec<(Vec<&'static str>, Phrase)>>,
    tails: Table<Vec<(Vec<&'static str>, Phrase)>>,
    rules: Table<Vec<Rule>>,
    nouns: Table<Noun>,
    pub(super) said_of: Vec<Rule>,
    pub(super) topics: Vec<Topic>,
    irregular: Table<&'static str>,
}

pub(super) static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::read);

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
}

impl Lexicon {
    fn read() -> Self {
        let mut lexicon = Self {
            classes: Table::default(),
            phrases: Table::default(),
            tails: Table::default(),
            rules: Table::default(),
            nouns: Table::default(),
            said_of: Vec::new(),
            topics: Vec::new(),
            irregular: Table::default(),
        };
        for line in lines(include_str!("words.txt")) {
            let (name, words) = line.split_once(' ').expect("a class has words");
            let bit = CLASSES.iter().position(|class| *class == name).expect("a class of the table has a bit");
            words.split(' ').for_each(|word| *lexicon.classes.entry(word).or_default() |= 1 << bit);
        }
        lines(include_str!("phrases.txt")).for_each(|line| lexicon.phrase(line));
        for line in lines(include_str!("verbs.txt")) {
            let (head, rule) = Rule::read(line);
            head.split('|').for_each(|head| lexicon.rules.entry(head).or_default().push(rule.clone()));
        }
        lines(include_str!("nouns.txt")).for_each(|line| lexicon.noun(line));
        lexicon.said_of = lines(include_str!("tails.txt")).map(Rule::read_tail).collect();
        lexicon.topics = lines(include_str!("topics.txt")).map(topic).collect();
        for line in lines(include_str!("irregular.txt")).chain(include_str!("../text/irregular.txt").lines()) {
            let (head, forms) = line.split_once(' ').unwrap_or((line, ""));
            forms.split(' ').for_each(|form| {
                lexicon.irregular.entry(form).or_insert(head);
            });
        }
        lexicon
    }

    fn phrase(&mut self, line: &'static str) {
        let (kind, words) = line.split_once(' ').expect("a phrase has a kind");
        let kind = match kind {
            "open" => Phrase::Open,
            "new" => Phrase::New,
            "soft" => Phrase::Soft,
            "correct" => Phrase::Correct,
            "wrong" => Phrase::Wrong,
            "drop" => Phrase::Drop,
            "tail" => Phrase::Tail,
            "new-tail" => Phrase::NewTail,
            "end-tail" => Phrase::EndTail,
            other => panic!("phrases.txt has no kind {other}"),
        };
        let words: Vec<&str> = words.split(' ').collect();
        let (first, last) = (words[0], words[words.len() - 1]);
        match kind {
            Phrase::Tail | Phrase::NewTail | Phrase::EndTail => {
                self.tails.entry(last).or_default().push((words, kind));
            }
            Phrase::Open | Phrase::New | Phrase::Soft | Phrase::Correct | Phrase::Wrong | Phrase::Drop => {
                self.phrases.entry(first).or_default().push((words, kind));
            }
        }
    }

    fn noun(&mut self, line: &'static str) {
        let (head, nouns) = line.split_once(": ").expect("a line of nouns has a head");
        let mut head = head.split(' ');
        let attribute = head.next().expect("split gives a first part");
        let kind = match head.next().expect("a line of nouns has a kind") {
            "property" => NounKind::Property,
            "prefer" => NounKind::Prefer,
            "dislike" => NounKind::Dislike,
            "goal" => NounKind::Goal,
            "pet" => NounKind::Pet,
            "close" => NounKind::Close,
            "kin" => NounKind::Kin,
            "person" => NounKind::Person,
            "body" => NounKind::Body,
            "thing" => NounKind::Thing,
            "none" => NounKind::Nothing,
            other => panic!("nouns.txt has no kind {other}"),
        };
        let single = head.next() == Some("one");
        for noun in nouns.split('|') {
            self.nouns.entry(noun).or_insert(Noun { attribute, kind, single });
        }
    }

    pub(super) fn class(&self, word: &str) -> Class {
        self.classes.get(word).copied().unwrap_or(0)
    }

    pub(super) fn noun_of(&self, words: &str) -> Option<&Noun> {
        self.nouns.get(words)
    }

    pub(super) fn rules_of(&self, head: &str) -> &[Rule] {
        self.rules.get(head).map_or(&[], Vec::as_slice)
    }

    /// The longest phrase that the tokens begin with, and its length.
    pub(super) fn opening(&self, tokens: &[Token<'_>]) -> Option<(Phrase, usize)> {
        let phrases = self.phrases.get(tokens.first()?.word.as_ref())?;
        let fits = |words: &&(Vec<&str>, Phrase)| {
            words.0.len() <= tokens.len() && words.0.iter().zip(tokens).all(|(word, token)| token.is(word))
        };
        phrases.iter().filter(fits).max_by_key(|(words, _)| words.len()).map(|(words, kind)| (*kind, words.len()))
    }

    /// The longest phrase that the tokens end with, and its length.
    pub(super) fn ending(&self, tokens: &[Token<'_>]) -> Option<(Phrase, usize)> {
        let phrases = self.tails.get(tokens.last()?.word.as_ref())?;
        let fits = |words: &&(Vec<&str>, Phrase)| {
            words.0.len() < tokens.len()
                && words.0.iter().rev().zip(tokens.iter().rev()).all(|(word, token)| token.is(word))
        };
        phrases.iter().filter(fits).max_by_key(|(words, _)| words.len()).map(|(words, kind)| (*kind, words.len()))
    }

    /// The dictionary form of a verb.
    pub(super) fn lemma<'w>(&self, token: &'w Token<'_>) -> &'w str {
        token.lemma.get_or_init(|| self.other_form(token)).as_deref().unwrap_or(&token.word)
    }

    /// The dictionary form, if it is not the word itself.
    fn other_form(&self, token: &Token<'_>) -> Option<Cow<'static, str>> {
        let word = token.word.as_ref();
        for (class, lemma) in [(BE, "be"), (HAVE, "have"), (DO, "do"), (WOULD, "would")] {
            if token.in_class(class) {
                return Some(Cow::Borrowed(lemma));
            }
        }
        if let Some(lemma) = self.irregular.get(word) {
            return Some(Cow::Borrowed(lemma));
        }
        if self.rules.get(word).is_some() {
            return None;
        }
        for ending in ["ing", "ed", "s"] {
            if let Some(stem) = word.strip_suffix(ending)
                && stem.len() > 1
                && stem.bytes().any(|byte| b"aeiouy".contains(&byte))
            {
                return Some(self.restore(stem, ending));
            }
        }
        None
    }

    /// Whether a form tells the past: irregular, or in "ed".
    pub(super) fn is_past(&self, token: &Token<'_>) -> bool {
        let word = token.word.as_ref();
        if token.in_class(BE | HAVE | DO) {
            return matches!(word, "was" | "were" | "been" | "had" | "did");
        }
        let irregular = self.irregular.get(word).is_some_and(|lemma| *lemma != word && !word.ends_with('s'));
        irregular && self.rules.get(word).is_none() || word.len() > 3 && word.ends_with("ed") && word != "need"
    }

    pub(super) fn is_known_verb(&self, lemma: &str) -> bool {
        self.rules.get(lemma).is_some()
    }

    /// What an ending was put to: "mov" was "move", "cook" stays, "runn" was "run", "stud" of "studied" was "study".
    fn restore(&self, stem: &str, ending: &str) -> Cow<'static, str> {
        let known = |word: &str| self.rules.get(word).is_some();
        if let Some(short) = stem.strip_suffix('i') {
            return Cow::Owned(format!("{short}y"));
        }
        if ending == "s" {
            let short = stem.strip_suffix('e').filter(|short| short.ends_with(['s', 'h', 'x', 'z', 'o']));
            let short = short.filter(|short| !known(stem) || known(short));
            return Cow::Owned(short.unwrap_or(stem).replace("ie", "y"));
        }
        let with_e = format!("{stem}e");
        if known(stem) {
            return Cow::Owned(stem.to_owned());
        }
        if known(&with_e) {
            return Cow::Owned(with_e);
        }
        let bytes = stem.as_bytes();
        let vowel = |at: usize| bytes.get(at).is_some_and(|byte| b"aeiou".contains(byte));
        let end = bytes.len();
        let doubled =
            end > 2 && bytes[end - 1] == bytes[end - 2] && !vowel(end - 1) && !b"lsz".contains(&bytes[end - 1]);
        if doubled || end > 3 && known(&stem[..end - 1]) && stem.is_char_boundary(end - 1) {
            return Cow::Owned(stem[..end - 1].to_owned());
        }
        let syllables = (1..=end).filter(|at| vowel(at - 1) && !vowel(*at)).count();
        let short = syllables == 1 && end > 1 && !vowel(end - 1) && vowel(end - 2) && !b"wxy".contains(&bytes[end - 1]);
        let long_vowel = end > 2 && vowel(end - 2) && vowel(end - 3);
        let soft = stem.ends_with(['c', 'v', 'u']) || stem.ends_with("dg") || stem.ends_with("iz");
        if short && !long_vowel || soft { Cow::Owned(with_e) } else { Cow::Owned(stem.to_owned()) }
    }
}

fn topic(line: &'static str) -> Topic {
    let (head, words) = line.split_once(": ").expect("a topic has words");
    let mut head = head.split(' ');
    let mut next = || head.next().expect("a topic has an attribute, a kind and a number");
    let (attribute, kind, single) = (next(), next(), next() == "one");
    (attribute, kind, single, words.split('|').map(|words| words.split(' ').collect()).collect())
}
