//! The words of a text as ranking sees them: each with its term, in any script.
//!
//! Scripts that are written without spaces, and Korean, whose words carry their particles with them, are cut into pairs of
//! neighbouring characters: a pair is nearly always found again where the word is.

use std::collections::BTreeMap;

use unicode_segmentation::UnicodeSegmentation;

use super::Term;
use super::language::Language;

/// A word that says something, and its stem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// Lower-cased, as it was said.
    pub word: String,
    pub term: Term,
}

/// Finds the words of many texts, and stems each only once.
#[derive(Default)]
pub struct Lexicon {
    known: BTreeMap<Language, BTreeMap<String, Option<Term>>>,
}

impl std::fmt::Debug for Lexicon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Lexicon({} words)", self.known.values().map(BTreeMap::len).sum::<usize>())
    }
}

impl Lexicon {
    /// The words of a text that say something, in order, and its language. `usual` is the language of a text that does
    /// not tell its own.
    pub fn words(&mut self, text: &str, usual: Language) -> (Vec<Word>, Option<Language>) {
        let cut = cut(text);
        let told = Language::of(cut.iter().map(String::as_str));
        let language = told.unwrap_or(usual);
        let known = self.known.entry(language).or_default();
        let mut words = Vec::with_capacity(cut.len());
        for word in cut {
            let term = match known.get(&word) {
                Some(known) => *known,
                None => {
                    let empty = language.is_empty_word(&word) || super::is_stop_word(&word);
                    let term = (!empty).then(|| Term::of(&language.stem(&word)));
                    known.insert(word.clone(), term);
                    term
                }
            };
            words.extend(term.map(|term| Word { word, term }));
        }
        (words, told)
    }
}

/// The words of a text, lower-cased, in order, the empty ones too.
#[must_use]
pub fn cut(text: &str) -> Vec<String> {
    if text.is_ascii() {
        return super::words(text).collect();
    }
    let mut cut = Vec::new();
    let mut run = String::new();
    let mut run_end = 0;
    for (start, word) in text.unicode_word_indices() {
        let unspaced = word.chars().all(is_unspaced);
        if !run.is_empty() && (!unspaced || start != run_end) {
            pairs(&std::mem::take(&mut run), &mut cut);
        }
        if unspaced {
            run.push_str(word);
            run_end = start + word.len();
        } else {
            cut.push(super::lowered(word).into_owned());
        }
    }
    pairs(&run, &mut cut);
    cut
}

fn pairs(run: &str, cut: &mut Vec<String>) {
    let characters: Vec<char> = run.chars().collect();
    match characters.as_slice() {
        [] => {}
        [only] => cut.push(only.to_string()),
        many => cut.extend(many.windows(2).map(|pair| pair.iter().collect::<String>())),
    }
}

/// Han, the Japanese syllabaries, Hangul, Thai, Lao, Khmer and Burmese.
fn is_unspaced(character: char) -> bool {
    matches!(u32::from(character),
        0x0e00..0x0f00 | 0x1000..0x10a0 | 0x1780..0x1800 | 0x3040..0x3100 | 0x31f0..0x3200 | 0x3400..0x4dc0
        | 0x4e00..0xa000 | 0xac00..0xd7b0 | 0xf900..0xfb00 | 0x2_0000..0x3_2000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        Lexicon::default().words(text, Language::English).0.into_iter().map(|word| word.word).collect()
    }

    #[test]
    fn scripts_without_spaces_are_cut_into_pairs() {
        assert_eq!(cut("我住在北京。"), ["我住", "住在", "在北", "北京"]);
        assert_eq!(cut("猫"), ["猫"]);
        assert_eq!(cut("東京 大阪 Berlin"), ["東京", "大阪", "berlin"]);
        assert_eq!(cut("서울에서"), ["서울", "울에", "에서"]);
    }

    #[test]
    fn empty_words_go_in_their_own_language() {
        assert_eq!(words("Wo ist der Hund, den ich gesehen habe?"), ["hund", "gesehen"]);
        assert_eq!(words("the of and"), Vec::<String>::new());
        assert_eq!(words("I don\u{2019}t like Zoë\u{2019}s cat"), ["don't", "zoë's", "cat"]);
    }

    #[test]
    fn the_same_word_has_the_same_term_in_five_scripts() {
        for (one, other) in [
            ("my dogs", "the dog"),
            ("Мои собаки", "собака"),
            ("私は東京に住んでいます", "東京"),
            ("나는 서울에서 살아요", "서울"),
            ("أحب القطط", "القطط"),
            ("मैं दिल्ली में रहता हूँ", "दिल्ली"),
            ("ฉันอยู่กรุงเทพ", "กรุงเทพ"),
        ] {
            let mut lexicon = Lexicon::default();
            let said = lexicon.words(one, Language::English).0;
            let asked = lexicon.words(other, Language::English).0;
            assert!(asked.iter().any(|word| said.iter().any(|found| found.term == word.term)), "{one} / {other}");
        }
    }
}
