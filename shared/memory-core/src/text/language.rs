//! Languages: which one a text is in, what its empty words are, and how its words are stemmed.
//!
//! The script of a word decides where it can (Cyrillic, Greek, Arabic, Tamil). Among the languages in Latin letters the
//! empty words of the text vote; a text with too few of them takes the language of its neighbours, which for a question
//! is the commonest of the bank. A wrong guess costs little: the word is then stemmed by other rules, on both sides alike.
//! Scripts without spaces are cut into pairs of characters (see [`super::lexis`]).

use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

use super::table::{Table, hash};

/// A language with rules of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    #[default]
    English,
    German,
    French,
    Spanish,
    Italian,
    Portuguese,
    Dutch,
    Swedish,
    Russian,
    Greek,
    Arabic,
    Tamil,
}

/// The languages in Latin letters whose empty words vote, English first.
const VOTERS: [(Language, &[&str]); 8] = [
    (Language::English, &super::STOP_WORDS),
    (
        Language::German,
        &[
            "aber", "als", "am", "an", "auch", "auf", "aus", "bei", "bin", "bist", "da", "das", "dass", "dem", "den",
            "der", "des", "die", "du", "ein", "eine", "einem", "einen", "einer", "er", "es", "für", "haben", "habe",
            "hat", "ich", "ihr", "im", "in", "ist", "ja", "mein", "meine", "mich", "mir", "mit", "nach", "noch",
            "oder", "sich", "sie", "sind", "so", "um", "und", "uns", "von", "vor", "war", "was", "wann", "welche",
            "welcher", "wer", "wie", "wir", "wird", "wo", "zu", "zum", "zur", "über",
        ],
    ),
    (
        Language::French,
        &[
            "au", "aux", "avec", "ce", "ces", "cette", "dans", "de", "des", "du", "elle", "en", "est", "et", "il",
            "ils", "j'ai", "je", "la", "le", "les", "leur", "lui", "ma", "mais", "me", "mes", "moi", "mon", "nous",
            "on", "ou", "où", "par", "pour", "quand", "que", "quel", "quelle", "qui", "sa", "se", "ses", "son", "sont",
            "suis", "sur", "ta", "tu", "un", "une", "vous", "à", "été",
        ],
    ),
    (
        Language::Spanish,
        &[
            "al", "como", "con", "cuando", "cuál", "cuándo", "de", "del", "dónde", "el", "ella", "en", "es", "esta",
            "este", "está", "ha", "han", "he", "la", "las", "le", "lo", "los", "me", "mi", "mis", "muy", "más", "o",
            "para", "pero", "por", "que", "quién", "qué", "se", "son", "soy", "su", "sus", "tu", "un", "una", "y",
            "yo",
        ],
    ),
    (
        Language::Italian,
        &[
            "al", "alla", "anche", "che", "chi", "ci", "come", "con", "da", "dal", "dei", "del", "della", "di", "dove",
            "e", "gli", "ha", "ho", "i", "il", "in", "io", "la", "le", "lo", "ma", "mi", "mia", "mio", "nel", "nella",
            "non", "per", "quale", "quando", "questo", "se", "si", "sono", "su", "un", "una", "è",
        ],
    ),
    (
        Language::Portuguese,
        &[
            "ao", "as", "com", "como", "da", "das", "de", "do", "dos", "e", "ela", "ele", "em", "essa", "esse",
            "estou", "eu", "foi", "mais", "mas", "me", "meu", "minha", "na", "nas", "no", "nos", "o", "onde", "os",
            "para", "por", "qual", "quando", "que", "quem", "se", "seu", "sua", "são", "também", "um", "uma", "você",
            "à", "é",
        ],
    ),
    (
        Language::Dutch,
        &[
            "aan", "als", "bij", "dat", "de", "den", "der", "deze", "die", "dit", "een", "en", "er", "haar", "heb",
            "heeft", "het", "hij", "hoe", "ik", "in", "is", "je", "maar", "met", "mij", "mijn", "naar", "niet", "nog",
            "of", "om", "ook", "op", "te", "tot", "uit", "van", "voor", "waar", "wanneer", "was", "wat", "we", "wie",
            "wij", "ze", "zijn",
        ],
    ),
    (
        Language::Swedish,
        &[
            "att", "av", "de", "den", "det", "du", "där", "en", "ett", "från", "för", "har", "hon", "hur", "i", "inte",
            "jag", "kan", "med", "men", "min", "mitt", "när", "och", "om", "på", "som", "till", "var", "vad", "vem",
            "vi", "är",
        ],
    ),
];

/// Forms of English that a stemmer cannot bring together, each line a word and its other forms.
const IRREGULAR: &str = include_str!("irregular.txt");

/// Each empty word with the languages that have it, a bit for each of [`VOTERS`].
static EMPTY_WORDS: LazyLock<Table<u8>> = LazyLock::new(|| {
    let mut words = Table::default();
    for (place, (_, list)) in VOTERS.iter().enumerate() {
        list.iter().for_each(|word| *words.entry(word).or_default() |= 1 << place);
    }
    words
});

/// Each irregular form with its word.
static REGULAR: LazyLock<Table<&str>> = LazyLock::new(|| {
    let forms = |line: &'static str| {
        let (head, forms) = line.split_once(' ').unwrap_or((line, ""));
        forms.split(' ').map(move |form| (hash(form), head))
    };
    IRREGULAR.lines().flat_map(forms).collect()
});

impl Language {
    /// The language of a text in Latin letters by its empty words; nothing if they do not decide.
    #[must_use]
    pub fn of<'a>(words: impl Iterator<Item = &'a str>) -> Option<Self> {
        let [english, others @ ..] = votes(words);
        let most = others.iter().max().copied().unwrap_or(0);
        // Many words are empty in one language and full in English ("met", "die", "was"), and most texts are English.
        if most >= english + 2 {
            let mut winners = others.iter().zip(&VOTERS[1..]).filter(|(votes, _)| **votes == most);
            let winner = winners.next().map(|(_, (language, _))| *language);
            return winner.filter(|_| winners.next().is_none());
        }
        (english > 0 && english >= most).then_some(Self::English)
    }

    /// Whether the empty words of a text are rather those of another language than English. Without any it is not.
    #[must_use]
    pub fn is_foreign<'a>(words: impl Iterator<Item = &'a str>) -> bool {
        let [english, others @ ..] = votes(words);
        others.iter().any(|votes| *votes > english)
    }

    /// Whether a lower-cased word of this language says nothing by itself.
    #[must_use]
    pub fn is_empty_word(self, word: &str) -> bool {
        let place = VOTERS.iter().position(|(language, _)| *language == self);
        place.is_some_and(|place| EMPTY_WORDS.get(word).is_some_and(|languages| languages >> place & 1 == 1))
    }

    /// The stem of a lower-cased word.
    #[must_use]
    pub fn stem(self, word: &str) -> String {
        let language = by_script(word).unwrap_or(self);
        if language != Self::English {
            return Stemmer::create(language.algorithm()).stem(word).into_owned();
        }
        let word = word.strip_suffix("'s").unwrap_or(word);
        let word = REGULAR.get(word).copied().unwrap_or(word);
        if word.is_ascii() { Stemmer::create(Algorithm::English).stem(word).into_owned() } else { word.to_owned() }
    }

    const fn algorithm(self) -> Algorithm {
        match self {
            Self::English => Algorithm::English,
            Self::German => Algorithm::German,
            Self::French => Algorithm::French,
            Self::Spanish => Algorithm::Spanish,
            Self::Italian => Algorithm::Italian,
            Self::Portuguese => Algorithm::Portuguese,
            Self::Dutch => Algorithm::Dutch,
            Self::Swedish => Algorithm::Swedish,
            Self::Russian => Algorithm::Russian,
            Self::Greek => Algorithm::Greek,
            Self::Arabic => Algorithm::Arabic,
            Self::Tamil => Algorithm::Tamil,
        }
    }
}

/// How many of the words are empty in each of [`VOTERS`].
fn votes<'a>(words: impl Iterator<Item = &'a str>) -> [u32; VOTERS.len()] {
    let mut votes = [0; VOTERS.len()];
    for languages in words.filter_map(|word| EMPTY_WORDS.get(word)) {
        votes.iter_mut().enumerate().for_each(|(place, votes)| *votes += u32::from(languages >> place & 1));
    }
    votes
}

fn by_script(word: &str) -> Option<Language> {
    match u32::from(word.chars().next()?) {
        0x370..0x400 | 0x1f00..0x2000 => Some(Language::Greek),
        0x400..0x530 => Some(Language::Russian),
        0x600..0x700 | 0x750..0x780 => Some(Language::Arabic),
        0xb80..0xc00 => Some(Language::Tamil),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_words_tell_the_language() {
        for (text, language) in [
            ("where is the dog that i saw", Some(Language::English)),
            ("wo ist der hund den ich gesehen habe", Some(Language::German)),
            ("où est le chien que nous avons vu dans la rue", Some(Language::French)),
            ("dónde está el perro que es muy grande y los niños", Some(Language::Spanish)),
            ("clarinet", None),
            ("wo wohnt anna", None),
            ("we met last week", None),
        ] {
            assert_eq!(Language::of(text.split(' ')), language, "{text}");
        }
    }

    #[test]
    fn stems_by_language_by_script_and_by_table() {
        assert_eq!(Language::English.stem("bought"), Language::English.stem("buying"));
        assert_eq!(Language::English.stem("anna's"), "anna");
        assert_eq!(Language::German.stem("katzen"), Language::German.stem("katze"));
        assert_ne!(Language::English.stem("katzen"), Language::English.stem("katze"));
        assert_eq!(Language::English.stem("собаки"), Language::German.stem("собака"));
    }
}
