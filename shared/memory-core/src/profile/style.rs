//! How somebody speaks: in which language, how long, how formally, and whether with emoji.
//!
//! Formality is a count of marks, in the manner of the F-score of Heylighen and Dewaele (1999) but without parts of speech,
//! for which there is no tagger here:
//!
//! | a mark of casual speech | a mark of formal speech |
//! |---|---|
//! | a contraction ("don't", "we're") | a polite or connecting form of `manner.txt` |
//! | an interjection or slang of `manner.txt` | a word of nine letters or more |
//! | a turn that begins without a capital, where its script has them | |
//! | a run of exclamation marks | |
//! | a run of emoji | |
//!
//! It is the share of formal marks, with two imagined marks of either kind, so that somebody of whom little is known is
//! called neither.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::{Saying, mean, sources};
use crate::ids::EventId;
use crate::text::language::Language;
use crate::text::lexis;

const CONTRACTED: [&str; 6] = ["n't", "'m", "'re", "'ve", "'ll", "'d"];
const LONG_LETTERS: usize = 9;
/// Marks of either kind that are imagined.
const IMAGINED: i64 = 2;

static CASUAL: LazyLock<BTreeSet<&str>> = LazyLock::new(|| manner("casual: ").collect());
/// Each with a space before and behind, as they are looked for.
static POLITE: LazyLock<Vec<String>> = LazyLock::new(|| manner("polite: ").map(|form| format!(" {form} ")).collect());

fn manner(class: &'static str) -> impl Iterator<Item = &'static str> {
    include_str!("manner.txt")
        .lines()
        .filter_map(move |line| line.strip_prefix(class))
        .flat_map(|line| line.split(", "))
}

/// How somebody speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Style {
    /// Of how many sayings it is drawn.
    pub turns: u32,
    /// The commonest, as ISO 639-1 names it; `None` where nothing tells.
    pub language: Option<&'static str>,
    /// The mean length of a saying.
    pub words: u32,
    /// 0 (casual) to 1000.
    pub formality: u16,
    /// The share of sayings with an emoji, 0..=1000.
    pub emoji: u16,
    pub sources: Vec<EventId>,
}

/// The manner of these sayings.
pub(super) fn of(sayings: &[Saying<'_>]) -> Option<Style> {
    let count = i64::try_from(sayings.len()).ok().filter(|count| *count > 0)?;
    let mut languages: BTreeMap<&str, i64> = BTreeMap::new();
    let (mut length, mut casual, mut formal, mut with_emoji) = (0, IMAGINED, IMAGINED, 0);
    for saying in sayings {
        let text = saying.memory.text.as_str();
        let words = lexis::cut(text);
        length += i64::try_from(words.len()).ok()?;
        if let Some(language) = language(text, &words) {
            *languages.entry(language).or_default() += 1;
        }
        casual += i64::try_from(casual_marks(text, &words)).ok()?;
        formal += i64::try_from(formal_marks(&words)).ok()?;
        with_emoji += i64::from(text.chars().any(is_emoji));
    }
    Some(Style {
        turns: u32::try_from(count).ok()?,
        // Of equals the first by its name.
        language: languages.into_iter().rev().max_by_key(|(_, times)| *times).map(|(language, _)| language),
        words: u32::try_from(mean(length, count)).ok()?,
        formality: u16::try_from(mean(1_000 * formal, casual + formal)).ok()?,
        emoji: u16::try_from(mean(1_000 * with_emoji, count)).ok()?,
        sources: sources(sayings.iter().map(|saying| saying.source)),
    })
}

fn casual_marks(text: &str, words: &[String]) -> usize {
    let contracted = |word: &&String| CONTRACTED.iter().any(|end| word.ends_with(end));
    let slang = |word: &&String| CASUAL.contains(word.as_str());
    let uncapitalised = text.chars().find(|letter| letter.is_alphabetic()).is_some_and(char::is_lowercase);
    words.iter().filter(|word| contracted(word) || slang(word)).count()
        + usize::from(uncapitalised)
        + runs(text, |letter| letter == '!')
        + runs(text, is_emoji)
}

fn formal_marks(words: &[String]) -> usize {
    let line = format!(" {} ", words.join(" "));
    let polite: usize = POLITE.iter().map(|form| line.matches(form.as_str()).count()).sum();
    polite + words.iter().filter(|word| word.chars().count() >= LONG_LETTERS).count()
}

/// How often something begins that may go on.
fn runs(text: &str, is_mark: impl Fn(char) -> bool) -> usize {
    let mut inside = false;
    text.chars().filter(|letter| !std::mem::replace(&mut inside, is_mark(*letter)) && is_mark(*letter)).count()
}

/// Pictures, dingbats and flags. Digits and marks that can be shown as a picture are not counted.
const fn is_emoji(letter: char) -> bool {
    matches!(letter as u32, 0x2600..0x27c0 | 0x1_f1e6..0x1_f200 | 0x1_f300..0x1_fb00)
}

/// The language of a text, if it tells: by its empty words in Latin letters, else by the script that most of it is in.
/// Several languages share a script; the one with the most speakers is named.
fn language(text: &str, words: &[String]) -> Option<&'static str> {
    let letters = || text.chars().filter(|letter| letter.is_alphabetic());
    let mut scripts: BTreeMap<Option<&'static str>, usize> = BTreeMap::new();
    letters().map(script).for_each(|script| *scripts.entry(script).or_default() += 1);
    // Japanese is written in Chinese characters as well, and Chinese never in Japanese ones.
    if scripts.contains_key(&Some("ja")) {
        return Some("ja");
    }
    let (most, _) = scripts.into_iter().max_by_key(|(_, letters)| *letters)?;
    most.or_else(|| Language::of(words.iter().map(String::as_str)).map(code))
}

const fn script(letter: char) -> Option<&'static str> {
    match letter as u32 {
        0x370..0x400 | 0x1f00..0x2000 => Some("el"),
        0x400..0x530 => Some("ru"),
        0x590..0x600 => Some("he"),
        0x600..0x700 | 0x750..0x780 => Some("ar"),
        0x900..0x980 => Some("hi"),
        0xb80..0xc00 => Some("ta"),
        0xe00..0xe80 => Some("th"),
        0x3040..0x3100 | 0x31f0..0x3200 => Some("ja"),
        0x3400..0x4dc0 | 0x4e00..0xa000 | 0x2_0000..0x3_2000 => Some("zh"),
        0x1100..0x1200 | 0xac00..0xd7b0 => Some("ko"),
        _ => None,
    }
}

/// The name of a language in ISO 639-1.
const fn code(language: Language) -> &'static str {
    match language {
        Language::English => "en",
        Language::German => "de",
        Language::French => "fr",
        Language::Spanish => "es",
        Language::Italian => "it",
        Language::Portuguese => "pt",
        Language::Dutch => "nl",
        Language::Swedish => "sv",
        Language::Russian => "ru",
        Language::Greek => "el",
        Language::Arabic => "ar",
        Language::Tamil => "ta",
    }
}
