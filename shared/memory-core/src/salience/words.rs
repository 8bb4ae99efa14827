//! The word lists, read once.

use std::collections::BTreeMap;
use std::ops::BitOr;
use std::sync::LazyLock;

use crate::text::list::{List, lines};

/// What a word or phrase marks, a bit for each class: a word may be in several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(u8);

impl Marks {
    /// The speaker himself.
    pub(super) const OWN: Self = Self(1);
    /// Somebody near to him.
    pub(super) const NEAR: Self = Self(1 << 1);
    /// What he is, has, wants, likes or will do.
    pub(super) const TELLS: Self = Self(1 << 2);
    /// What happened.
    pub(super) const PAST: Self = Self(1 << 3);
    pub(super) const WHEN: Self = Self(1 << 4);
    pub(super) const NUMBER: Self = Self(1 << 5);
    /// Somebody asks to be remembered.
    pub(super) const EXPLICIT: Self = Self(1 << 6);

    fn of(class: &str) -> Self {
        match class {
            "self" => Self::OWN,
            "near" => Self::NEAR,
            "tell" => Self::TELLS,
            "past" => Self::PAST,
            "when" => Self::WHEN,
            "number" => Self::NUMBER,
            "explicit" => Self::EXPLICIT,
            other => unreachable!("told.txt has a class {other}"),
        }
    }

    pub(super) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }
}

impl BitOr for Marks {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Why a word or phrase says little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    /// A greeting, thanks, an acknowledgement, praise.
    Ritual,
    /// It is too general to say much, whatever it stands with.
    Faint,
}

/// What marks that somebody tells of himself, or is concrete.
pub(super) static TOLD: LazyLock<List<Marks>> = LazyLock::new(|| {
    let mut marks: BTreeMap<&'static str, Marks> = BTreeMap::new();
    for line in lines(include_str!("told.txt")) {
        let known = marks.entry(line.entry).or_default();
        *known = *known | Marks::of(line.class);
    }
    List::new(marks.into_iter())
});

/// What must not be lost.
pub(super) static SAFETY: LazyLock<List<()>> =
    LazyLock::new(|| List::new(lines(include_str!("safety.txt")).map(|line| (line.entry, ()))));

/// What says little.
pub(super) static TALK: LazyLock<List<Talk>> = LazyLock::new(|| {
    let talk = |class| if class == "ritual" { Talk::Ritual } else { Talk::Faint };
    List::new(lines(include_str!("small-talk.txt")).map(|line| (line.entry, talk(line.class))))
});

/// The commonest words of English, each with its rank.
static COMMON: LazyLock<List<usize>> =
    LazyLock::new(|| List::new(include_str!("common.txt").split_whitespace().zip(0..)));

/// Endings of English words, and what may stand in their place.
const ENDINGS: [(&str, &str); 13] = [
    ("'s", ""),
    ("s", ""),
    ("es", ""),
    ("ies", "y"),
    ("ed", ""),
    ("d", ""),
    ("ied", "y"),
    ("ing", ""),
    ("ing", "e"),
    ("ly", ""),
    ("er", ""),
    ("r", ""),
    ("n't", ""),
];

/// The rank of a word of English among the commonest, whatever its ending; nothing if it is not among them.
pub(super) fn rank(word: &str) -> Option<usize> {
    let other = ENDINGS.iter().filter_map(|(ending, instead)| {
        let stem = word.strip_suffix(ending).filter(|stem| stem.len() > 1)?;
        if instead.is_empty() { COMMON.word(stem) } else { COMMON.word(&format!("{stem}{instead}")) }
    });
    COMMON.word(word).into_iter().chain(other).min()
}

/// A word without the commonest endings, to see that it was said before.
pub(super) fn root(word: &str) -> &str {
    let endings = ["'s", "ing", "ed", "es", "s"];
    let stem = |ending| word.strip_suffix(ending).filter(|stem: &&str| stem.len() > 2);
    endings.into_iter().find_map(stem).unwrap_or(word)
}
