//! Cuts a text into words, marks and pictures in one go, for those who look at how a thing is said.
//!
//! A word is a run of letters and digits; an apostrophe within it belongs to it, and within a number a full stop, a comma
//! or a colon. White space separates and is nothing itself, but a new line is a mark. Emoticons such as `:-)` are one
//! mark. [`super::words`] cuts for the index; this keeps what that drops.

use std::borrow::Cow;

use super::lowered;

/// The longest emoticon, in bytes.
const EMOTICON_BYTES: usize = 4;

/// A word, or what stands between words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// As it was said.
    pub(crate) raw: &'a str,
    /// Lower-cased, with plain apostrophes.
    pub(crate) lower: Cow<'a, str>,
    pub(crate) is_word: bool,
}

impl Token<'_> {
    /// Whether a sentence ends here. A bracket ends one too: what is in it was said aside.
    pub(crate) fn ends_sentence(&self) -> bool {
        matches!(self.raw, "." | "!" | "?" | "\n" | "[" | "]" | "…" | "。" | "！" | "？" | "؟" | "।")
    }

    pub(crate) fn asks(&self) -> bool {
        matches!(self.raw, "?" | "？" | "؟")
    }

    pub(crate) fn exclaims(&self) -> bool {
        matches!(self.raw, "!" | "！")
    }

    /// Whether it begins with a capital and goes on in small letters.
    pub(crate) fn is_capitalised(&self) -> bool {
        self.raw.starts_with(char::is_uppercase) && self.raw.contains(char::is_lowercase)
    }

    /// Whether it is said in capitals, and long enough for that to mean something.
    pub(crate) fn is_loud(&self) -> bool {
        self.raw.chars().filter(|c| c.is_uppercase()).count() > 2 && !self.raw.contains(char::is_lowercase)
    }

    pub(crate) fn is_number(&self) -> bool {
        self.is_word && self.raw.contains(char::is_numeric)
    }
}

/// The tokens of a text, in order.
pub(crate) fn scan(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::with_capacity(text.len() / 5);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let (length, is_word) = if first.is_alphanumeric() {
            (word_length(rest), true)
        } else if first.is_whitespace() && first != '\n' || is_joiner(first) {
            rest = &rest[first.len_utf8()..];
            continue;
        } else {
            (mark_length(rest, first), false)
        };
        let (raw, after) = rest.split_at(length);
        tokens.push(Token { raw, lower: if is_word { lowered(raw) } else { Cow::Borrowed(raw) }, is_word });
        rest = after;
    }
    tokens
}

/// What only changes the picture before it: joiners, variation selectors and tones of skin.
fn is_joiner(character: char) -> bool {
    matches!(u32::from(character), 0x200b..0x2010 | 0xfe00..0xfe10 | 0x1_f3fb..0x1_f400)
}

fn word_length(text: &str) -> usize {
    let mut characters = text.char_indices().peekable();
    let mut before = ' ';
    while let Some((place, character)) = characters.next() {
        let after = characters.peek().map_or(' ', |(_, next)| *next);
        let joins = match character {
            '\'' | '\u{2019}' => before.is_alphabetic() && after.is_alphabetic(),
            '.' | ',' | ':' => before.is_ascii_digit() && after.is_ascii_digit(),
            '_' => true,
            _ => false,
        };
        // Devanagari, Tamil, Thai and others write vowels as marks that are no letters.
        let sign = !character.is_ascii() && !character.is_whitespace() && is_sign(character);
        if !character.is_alphanumeric() && !joins && !sign {
            return place;
        }
        before = character;
    }
    text.len()
}

/// Combining marks of accents, Hebrew, Arabic, Indic, Thai and Burmese.
fn is_sign(character: char) -> bool {
    matches!(u32::from(character), 0x300..0x370 | 0x591..0x5c8 | 0x610..0x61b | 0x64b..0x660 | 0x900..0x904
        | 0x93a..0x950 | 0x981..0x984 | 0x9bc..0x9ce | 0xb82 | 0xbbe..0xbce | 0xe31..0xe3b | 0xe47..0xe4f | 0x102b..0x103f)
}

/// An emoticon that stands by itself or ends a sentence, or one mark.
fn mark_length(text: &str, first: char) -> usize {
    if !matches!(first, ':' | ';' | '=' | '<' | '>' | '-' | '^' | '(' | ')' | '\\') {
        return first.len_utf8();
    }
    let near = text.char_indices().take(2 * EMOTICON_BYTES).find(|(_, character)| character.is_whitespace());
    let end = near.map(|(place, _)| place).or_else(|| (text.len() <= 2 * EMOTICON_BYTES).then_some(text.len()));
    let chunk = text[..end.unwrap_or_default()].trim_end_matches(['.', '!', '?', ',']);
    let letters = chunk.bytes().filter(u8::is_ascii_alphanumeric).count();
    let emoticon = (2..=EMOTICON_BYTES).contains(&chunk.len()) && chunk.is_ascii() && letters <= 1;
    if emoticon { chunk.len() } else { first.len_utf8() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        scan(text).into_iter().map(|token| token.raw).collect()
    }

    #[test]
    fn words_marks_and_pictures() {
        assert_eq!(cut("Don't go, it's 3.50 at 18:40!"), ["Don't", "go", ",", "it's", "3.50", "at", "18:40", "!"]);
        assert_eq!(cut("great :-) and 'so' on:( <3"), ["great", ":-)", "and", "'", "so", "'", "on", ":(", "<3"]);
        assert_eq!(cut("a\nb  c…"), ["a", "\n", "b", "c", "…"]);
        assert_eq!(cut("👍🏽❤\u{fe0f}x"), ["👍", "❤", "x"]);
        assert_eq!(cut("मैं दिल्ली में"), ["मैं", "दिल्ली", "में"]);
        assert_eq!(cut(""), Vec::<&str>::new());
    }

    #[test]
    fn words_are_lower_cased_with_plain_apostrophes() {
        let lower: Vec<String> =
            scan("I\u{2019}M Ünder OK").into_iter().map(|token| token.lower.into_owned()).collect();
        assert_eq!(lower, ["i'm", "ünder", "ok"]);
    }
}
