//! Names in a text: of people, places, organisations and things, and ids.

use super::clause::sentences;
use super::lexicon::{AUXILIARY, COORDINATOR, DET, LEXICON, OPENER, PREPOSITION, SUBJECT, SUBORDINATE, TIME, WH};
use super::token::{Token, tokens};

/// The most names that are given of a text.
const ENTITIES_MAX: usize = 16;
/// The longest run of capitals that is one name, in words.
const NAME_MAX: usize = 5;

/// The names in a text, in order, each once, at most sixteen: runs of words with a capital that is not only the sentence's,
/// and words of letters with digits. Small words of a name ("University of Leeds") belong to it.
#[must_use]
pub fn entities(text: &str) -> Vec<String> {
    let end = (0..=super::TEXT_MAX.min(text.len())).rfind(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let text = &text[..end];
    let tokens = tokens(text);
    let mut names: Vec<String> = Vec::new();
    for sentence in sentences(&tokens) {
        let mut at = sentence.tokens.start;
        while at < sentence.tokens.end && names.len() < ENTITIES_MAX {
            let length = run(&tokens[at..sentence.tokens.end], at == sentence.tokens.start);
            if length == 0 {
                at += 1;
                continue;
            }
            let said = &text[tokens[at].span.start..tokens[at + length - 1].span.end];
            let said = said.strip_suffix("'s").or_else(|| said.strip_suffix("\u{2019}s")).unwrap_or(said);
            if !names.iter().any(|name| name == said) {
                names.push(said.to_owned());
            }
            at += length;
        }
    }
    names
}

/// How many tokens from the first on are a name.
fn run(tokens: &[Token<'_>], begins: bool) -> usize {
    let [first, rest @ ..] = tokens else { return 0 };
    let next_is_name = rest.first().is_some_and(is_name);
    if is_id(first) || is_name(first) && (!begins || next_is_name || !is_common(first)) {
        let mut length = 1;
        while length < NAME_MAX.min(tokens.len()) {
            let joined = matches!(&*tokens[length].word, "of" | "de" | "van" | "von" | "da" | "del" | "la" | "&")
                && tokens.get(length + 1).is_some_and(is_name);
            if !(is_name(&tokens[length]) || joined) || tokens[length - 1].span == tokens[length].span {
                break;
            }
            length += 1;
        }
        return length;
    }
    0
}

fn is_name(token: &Token<'_>) -> bool {
    let empty = SUBJECT | AUXILIARY | DET | PREPOSITION | COORDINATOR | SUBORDINATE | WH | OPENER;
    token.capital && !token.mark && !token.in_class(empty) && (!token.in_class(TIME) || token.word.len() < 3)
}

/// A word that begins sentences without being a name: one of the tables, or a form of a verb of theirs.
fn is_common(token: &Token<'_>) -> bool {
    let lemma = LEXICON.lemma(token);
    token.class != 0
        || LEXICON.is_known_verb(lemma)
        || LEXICON.noun_of(&token.word).is_some()
        || token.word.ends_with("ing")
        || token.word.ends_with("ly")
}

/// Letters with digits, or an address.
fn is_id(token: &Token<'_>) -> bool {
    let letters = token.word.chars().any(char::is_alphabetic);
    !token.mark && (letters && token.has_digit() && token.word.chars().count() > 1 || token.word.contains('@'))
}
