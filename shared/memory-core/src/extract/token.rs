//! Words and marks of a text with the bytes they stand on.
//!
//! The cutting of [`crate::text`] serves search and loses what grammar needs: marks, capitals and places. Here a
//! contraction gives the words it stands for ("I'm", "im" and "I am" are then the same to every rule), each part with the
//! bytes of the whole.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::ops::Range;
use std::sync::LazyLock;

use super::lexicon::{COORDINATOR, Class, LEXICON, SUBORDINATE, TIME};
use crate::text::lowered;
use crate::text::table::{Table, hash};

#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    /// Lower-cased, with straight apostrophes; the character itself for a mark.
    pub(super) word: Cow<'a, str>,
    /// Bytes in the text.
    pub(super) span: Range<usize>,
    pub(super) class: Class,
    pub(super) capital: bool,
    pub(super) mark: bool,
    /// Its lemma, once somebody has asked, if it is another word.
    pub(super) lemma: OnceCell<Option<Cow<'static, str>>>,
}

impl Token<'_> {
    pub(super) fn is(&self, word: &str) -> bool {
        self.word == word
    }

    pub(super) fn in_class(&self, class: Class) -> bool {
        self.class & class != 0
    }

    pub(super) fn has_digit(&self) -> bool {
        self.word.bytes().any(|byte| byte.is_ascii_digit())
    }
}

/// Contractions whose first part is not simply what stands before the apostrophe, and what is written without one.
static WHOLE: LazyLock<Table<&[&str]>> =
    LazyLock::new(|| CONTRACTIONS.iter().map(|(form, parts)| (hash(form), *parts)).collect());

const CONTRACTIONS: [(&str, &[&str]); 44] = [
    ("im", &["i", "am"]),
    ("ive", &["i", "have"]),
    ("ill", &["i", "will"]),
    ("id", &["i", "would"]),
    ("dont", &["do", "not"]),
    ("doesnt", &["does", "not"]),
    ("didnt", &["did", "not"]),
    ("cant", &["can", "not"]),
    ("cannot", &["can", "not"]),
    ("can't", &["can", "not"]),
    ("won't", &["will", "not"]),
    ("wont", &["will", "not"]),
    ("shan't", &["shall", "not"]),
    ("ain't", &["am", "not"]),
    ("isnt", &["is", "not"]),
    ("arent", &["are", "not"]),
    ("wasnt", &["was", "not"]),
    ("havent", &["have", "not"]),
    ("hasnt", &["has", "not"]),
    ("hadnt", &["had", "not"]),
    ("wouldnt", &["would", "not"]),
    ("couldnt", &["could", "not"]),
    ("shouldnt", &["should", "not"]),
    ("gonna", &["going", "to"]),
    ("gotta", &["got", "to"]),
    ("wanna", &["want", "to"]),
    ("lemme", &["let", "me"]),
    ("thats", &["that", "is"]),
    ("whats", &["what", "is"]),
    ("youre", &["you", "are"]),
    ("theyre", &["they", "are"]),
    ("let's", &["let's"]),
    ("that's", &["that", "is"]),
    ("it's", &["it", "is"]),
    ("he's", &["he", "is"]),
    ("she's", &["she", "is"]),
    ("what's", &["what", "is"]),
    ("who's", &["who", "is"]),
    ("there's", &["there", "is"]),
    ("here's", &["here", "is"]),
    ("where's", &["where", "is"]),
    ("how's", &["how", "is"]),
    ("this's", &["this", "is"]),
    ("y'all", &["you"]),
];

const ENDINGS: [(&str, &str); 6] =
    [("n't", "not"), ("'m", "am"), ("'ve", "have"), ("'ll", "will"), ("'re", "are"), ("'d", "would")];

pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::with_capacity(text.len() / 4 + 4);
    let mut characters = text.char_indices().peekable();
    let mut start = None;
    let mut before = ' ';
    while let Some((at, character)) = characters.next() {
        let next = characters.peek().map_or(' ', |(_, next)| *next);
        let part = is_part(character) || start.is_some() && joins(before, character, next);
        match (start, part) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                word(text, from..at, &mut tokens);
                start = None;
            }
            (None, false) | (Some(_), true) => {}
        }
        if character == '.' && start.is_none() && titled(tokens.last(), at) {
            tokens.last_mut().expect("a title stands before").span.end = at + 1;
            continue;
        }
        if !part && (is_mark(character) || character == '\n') {
            let span = at..at + character.len_utf8();
            let word = Cow::Borrowed(&text[span.clone()]);
            tokens.push(Token { word, span, class: 0, capital: false, mark: true, lemma: OnceCell::new() });
        }
        before = character;
    }
    if let Some(from) = start {
        word(text, from..text.len(), &mut tokens);
    }
    tokens
}

fn is_part(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '%' | '$' | '€' | '£' | '#' | '+' | '°')
}

fn is_mark(character: char) -> bool {
    matches!(character, '\'' | '\u{2018}' | '\u{2019}' | '-' | '/')
        || !character.is_alphanumeric() && !character.is_whitespace() && !is_emoji(character)
}

/// Pictures, joiners and combining marks: neither words nor marks.
fn is_emoji(character: char) -> bool {
    matches!(u32::from(character), 0x300..0x370 | 0x200b..0x2010 | 0x2190..0x2c00 | 0xfe00..0xfe10 | 0x1_f000..0x2_0000)
}

/// Whether a full stop belongs to a title before a name: "Dr."
fn titled(last: Option<&Token<'_>>, at: usize) -> bool {
    last.is_some_and(|last| {
        last.capital && last.span.end == at && matches!(&*last.word, "dr" | "mr" | "mrs" | "ms" | "prof" | "st")
    })
}

/// Whether a mark between two characters belongs to the word.
fn joins(before: char, mark: char, next: char) -> bool {
    match mark {
        '\'' | '\u{2019}' | '-' | '.' | '@' | '&' | '/' => before.is_alphanumeric() && next.is_alphanumeric(),
        ',' | ':' => before.is_ascii_digit() && next.is_ascii_digit(),
        _ => matches!(u32::from(mark), 0x300..0x370 | 0x200c..0x200e),
    }
}

fn word<'a>(text: &'a str, span: Range<usize>, tokens: &mut Vec<Token<'a>>) {
    let said = &text[span.clone()];
    let capital = said.chars().next().is_some_and(char::is_uppercase);
    let word = lowered(said);
    // "Ill" and "id" are words of their own as well, but seldom where a clause begins.
    let whole = WHOLE.get(&word);
    let begins = tokens.last().is_none_or(|last| last.mark || last.in_class(COORDINATOR | SUBORDINATE | TIME));
    if let Some(parts) = whole.filter(|_| begins || !matches!(&*word, "ill" | "id")) {
        for part in *parts {
            push(Cow::Borrowed(part), span.clone(), capital, tokens);
        }
        return;
    }
    let endings = if word.contains('\'') { &ENDINGS[..] } else { &[] };
    for (ending, meaning) in endings {
        if let Some(stem) = word.strip_suffix(ending)
            && !stem.is_empty()
        {
            push(Cow::Owned(stem.to_owned()), span.clone(), capital, tokens);
            push(Cow::Borrowed(meaning), span, false, tokens);
            return;
        }
    }
    push(word, span, capital, tokens);
}

fn push<'a>(word: Cow<'a, str>, span: Range<usize>, capital: bool, tokens: &mut Vec<Token<'a>>) {
    let class = LEXICON.class(&word);
    tokens.push(Token { word, span, class, capital, mark: false, lemma: OnceCell::new() });
}
