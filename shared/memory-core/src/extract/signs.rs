//! What a sentence looks like to the classifier of [`super::judge`]: its words, alone, in pairs and in threes, where they
//! stand, its skeleton of function words, and what was said before it.
//!
//! A sign is a few words behind a letter. Here is the only place where signs are made: the program that fits the weights
//! gets them as text, the judge gets their hashes.

use super::clause::Sentence;
use super::lexicon::{AUXILIARY, BE, CAN, DET, HAVE, LEXICON, NEVER, NO, NOT, NUMBER, TIME, WH, WOULD};
use super::token::{Token, tokens};

/// How many words of what was said before are read: a question is short.
const BEFORE_MAX: usize = 60;
/// How many bytes of it are read, from its end.
const BEFORE_BYTES_MAX: usize = 600;

/// Takes a sign: a letter for what it is, and its words.
pub(super) trait Sink {
    fn sign(&mut self, kind: &str, words: &[&str]);
    /// Takes a word whose leaning counts.
    fn word(&mut self, word: &str);
}

/// What was said by the other side just before.
#[derive(Debug, Default)]
pub(super) struct Before {
    kind: &'static str,
    opening: [String; 3],
    /// Lemmas of its full words, sorted.
    words: Vec<String>,
    /// Its lemmas in order, of the last sentence.
    said: Vec<String>,
}

impl Before {
    pub(super) fn read(before: Option<&str>) -> Self {
        let Some(before) = before.map(str::trim_end).filter(|before| !before.is_empty()) else {
            return Self { kind: "none", ..Self::default() };
        };
        let start = (before.len().saturating_sub(BEFORE_BYTES_MAX)..before.len())
            .find(|start| before.is_char_boundary(*start))
            .unwrap_or(0);
        let read = tokens(&before[start..]);
        let read = &read[read.len().saturating_sub(BEFORE_MAX)..];
        let ends = |token: &Token<'_>| token.mark && matches!(&*token.word, "." | "!" | "?" | "\n");
        let tail = read
            .iter()
            .rposition(|token| !ends(token))
            .map_or(0, |last| read[..last].iter().rposition(ends).map_or(0, |end| end + 1));
        let you = read[tail..].iter().take(4).any(|token| matches!(&*token.word, "you" | "your"));
        let asks = before.ends_with('?');
        let inverted = read.get(tail).is_some_and(|first| first.in_class(AUXILIARY | WH));
        let kind = match (asks, inverted, you) {
            (true, true, _) => "asks",
            (true, false, true) => "checks you",
            (true, false, false) => "checks",
            (false, _, true) => "tells you",
            (false, _, false) => "tells",
        };
        let mut opening = read[tail..].iter().filter(|token| !token.mark).map(|token| token.word.to_string());
        let opening = [(); 3].map(|()| opening.next().unwrap_or_default());
        let mut words: Vec<String> =
            read.iter().filter(|token| is_full(token)).map(|token| LEXICON.lemma(token).to_owned()).collect();
        words.sort_unstable();
        words.dedup();
        let said = read[tail..].iter().map(|token| LEXICON.lemma(token).to_owned()).collect();
        Self { kind, opening, words, said }
    }
}

/// Whether a word is one that sentences can share by their matter.
fn is_full(token: &Token<'_>) -> bool {
    !token.mark && token.class & !(TIME | NUMBER) == 0 && token.word.len() > 2
}

/// What stands around a sentence.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) before: &'a Before,
    /// The tokens of the sentence before it in the same text.
    pub(super) previous: &'a [Token<'a>],
    pub(super) first: bool,
    pub(super) last: bool,
}

/// Tells the sink all signs of a sentence.
pub(super) fn signs(all: &[Token<'_>], sentence: &Sentence, around: &Around<'_>, sink: &mut impl Sink) {
    let said = &all[sentence.tokens.clone()];
    let forms: Vec<&str> = said.iter().enumerate().map(|(at, token)| form(token, at == 0)).collect();
    let bones: Vec<&str> = said.iter().enumerate().map(|(at, token)| bone(token, at == 0)).collect();
    words(said, &forms, &bones, sink);
    places(said, &forms, &bones, sink);
    context(said, &forms, sentence, around, sink);
}

/// A word as signs have it: numbers and names are alike.
fn form<'t>(token: &'t Token<'_>, begins: bool) -> &'t str {
    if token.mark {
        &token.word
    } else if token.has_digit() {
        "#"
    } else if token.capital && !begins && token.class == 0 {
        "Name"
    } else {
        &token.word
    }
}

/// What a word is in the skeleton: itself if it is a function word, else only its sort.
fn bone<'t>(token: &'t Token<'_>, begins: bool) -> &'t str {
    let word = token.word.as_ref();
    if token.mark {
        return word;
    }
    if token.has_digit() || token.in_class(NUMBER) {
        return "#";
    }
    if token.in_class(TIME) {
        return "time";
    }
    if token.class != 0 && word.len() < 8 {
        return word;
    }
    if token.capital && !begins {
        return "Name";
    }
    let known = LEXICON.is_known_verb(LEXICON.lemma(token));
    match () {
        () if word.ends_with("ing") && word.len() > 4 => "…ing",
        () if LEXICON.is_past(token) => "…ed",
        () if known => "verb",
        () if word.ends_with("ly") => "…ly",
        () if word.ends_with('s') => "…s",
        () => "…",
    }
}

fn words(said: &[Token<'_>], forms: &[&str], bones: &[&str], sink: &mut impl Sink) {
    for (at, token) in said.iter().enumerate() {
        let lemma = LEXICON.lemma(token);
        sink.sign("w", &[forms[at]]);
        if !token.has_digit() {
            sink.word(&token.word);
        }
        if *lemma != *forms[at] && !token.has_digit() {
            sink.sign("l", &[lemma]);
        }
        if let Some(noun) = LEXICON.noun_of(&token.word) {
            sink.sign("noun", &[noun.attribute]);
        }
        if let Some(rule) = LEXICON.rules_of(lemma).last() {
            sink.sign("rule", &[rule.attribute]);
        }
    }
    for pair in padded(forms).windows(2) {
        sink.sign("b", pair);
    }
    for three in padded(forms).windows(3) {
        sink.sign("t", three);
    }
    let bones = padded(bones);
    for three in bones.windows(3) {
        sink.sign("s", three);
    }
    for four in bones.windows(4) {
        sink.sign("q", four);
    }
}

/// With what stands for the beginning and the end.
fn padded<'a>(list: &[&'a str]) -> Vec<&'a str> {
    std::iter::once("^").chain(list.iter().copied()).chain(["$"]).collect()
}

/// What stands first, last, after the speaker and after a negation.
fn places(said: &[Token<'_>], forms: &[&str], bones: &[&str], sink: &mut impl Sink) {
    let first = |count: usize| &bones[..count.min(bones.len())];
    sink.sign("^1", first(1));
    sink.sign("^2", first(2));
    sink.sign("^4", first(4));
    if let Some(last) = forms.last() {
        sink.sign("$", &[last]);
    }
    for (at, token) in said.iter().enumerate() {
        if matches!(&*token.word, "i" | "we" | "my" | "our" | "me" | "us" | "you" | "it" | "he" | "she" | "they") {
            verb_after(said, at, sink);
        }
        if token.in_class(NOT | NO | NEVER)
            && let Some(next) = said.get(at + 1)
        {
            sink.sign("not", &[bones[at + 1]]);
            sink.sign("not l", &[LEXICON.lemma(next)]);
        }
        if token.mark
            && let Some(next) = bones.get(at + 1)
        {
            sink.sign("mark", &[&token.word, next, bones.get(at + 2).unwrap_or(&"$")]);
        }
    }
    let length = match said.len() {
        0..=2 => "1",
        3..=5 => "3",
        6..=9 => "6",
        10..=15 => "10",
        _ => "16",
    };
    sink.sign("length", &[length]);
}

/// Who does what: the subject with the first word after it that is no auxiliary, and how the auxiliaries are.
fn verb_after(said: &[Token<'_>], subject: usize, sink: &mut impl Sink) {
    let group = &said[subject + 1..];
    let skip = group
        .iter()
        .take(5)
        .position(|token| !token.in_class(AUXILIARY | NOT | NEVER) && !token.word.ends_with("ly") && !token.is("just"));
    let Some(verb) = skip.and_then(|skip| group.get(skip)) else { return };
    let group = &group[..skip.unwrap_or(0)];
    let who = if matches!(&*said[subject].word, "i" | "we") { "i" } else { &*said[subject].word };
    let denied = if group.iter().any(|token| token.in_class(NOT | NEVER)) { "not" } else { "" };
    let how = group.iter().find(|token| token.in_class(AUXILIARY)).map_or("", |token| match () {
        () if token.in_class(BE) && matches!(&*token.word, "was" | "were") => "was",
        () if token.in_class(BE) => "be",
        () if token.in_class(HAVE) => "have",
        () if token.in_class(CAN) => "can",
        () if token.in_class(WOULD) => "would",
        () => "aux",
    });
    let lemma = LEXICON.lemma(verb);
    let form = match () {
        () if verb.word.ends_with("ing") => "ing",
        () if LEXICON.is_past(verb) => "ed",
        () if verb.in_class(DET) => "det",
        () => "",
    };
    sink.sign("v", &[who, denied, lemma]);
    sink.sign("vh", &[who, denied, how, form]);
    sink.sign("vl", &[who, denied, how, form, lemma]);
}

/// What was said before, and the sentence's place.
fn context(said: &[Token<'_>], forms: &[&str], sentence: &Sentence, around: &Around<'_>, sink: &mut impl Sink) {
    let before = around.before;
    let begins = forms.first().copied().unwrap_or("");
    sink.sign("before", &[before.kind]);
    sink.sign("before ^", &[before.kind, begins]);
    if before.kind != "none" {
        let shared = said
            .iter()
            .filter(|token| {
                is_full(token) && before.words.binary_search_by(|word| word.as_str().cmp(LEXICON.lemma(token))).is_ok()
            })
            .count();
        let shared = if shared == 0 {
            "0"
        } else if shared == 1 {
            "1"
        } else {
            "2"
        };
        sink.sign("shares", &[before.kind, shared]);
        let short = if said.len() <= 4 { "short" } else { "long" };
        sink.sign("before len", &[before.kind, short]);
        let [one, two, three] = &before.opening;
        sink.sign("asked", &[one, two]);
        sink.sign("asked 3", &[one, two, three]);
        for word in &before.said {
            sink.sign("bw", &[word]);
        }
        for pair in before.said.windows(2) {
            sink.sign("bb", &[&pair[0], &pair[1]]);
        }
    }
    let question = if sentence.question { "?" } else { "." };
    let place = match (around.first, around.last) {
        (true, true) => "only",
        (true, false) => "first",
        (false, true) => "last",
        (false, false) => "within",
    };
    sink.sign("place", &[place, question]);
    sink.sign("end", &[question, begins]);
    if !around.previous.is_empty() {
        for (at, token) in around.previous.iter().enumerate() {
            sink.sign("pw", &[form(token, at == 0)]);
        }
        let previous: Vec<&str> = around.previous.iter().enumerate().map(|(at, token)| form(token, at == 0)).collect();
        for pair in padded(&previous).windows(2) {
            sink.sign("pb", pair);
        }
    }
}

/// Signs as text.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) signs: Vec<String>,
    pub(super) words: Vec<String>,
}

impl Sink for Listed {
    fn sign(&mut self, kind: &str, words: &[&str]) {
        self.signs.push(format!("{kind}:{}", words.join(" ")));
    }

    fn word(&mut self, word: &str) {
        self.words.push(word.to_owned());
    }
}
