//! How somebody feels: on the whole, week by week, in which direction, and what they speak of when it is worst or best.
//!
//! Only what was said with feeling counts for the mood, and each time that it was said. Weeks are those of ISO 8601, from
//! Monday, in UTC. The trend is the median of the slopes between all pairs of weeks (Theil 1950, Sen 1968): one terrible
//! week turns it as little as one splendid one does.
//!
//! What goes with a mood is told by counting words in strongly felt sayings and in all others: a word belongs to the mood
//! if its share there is twice its share elsewhere, with one imagined saying elsewhere that has it, so that few sayings
//! prove little. Words that name the feeling itself are left out: that somebody says "sad" when sad explains nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::LazyLock;

use super::{SAYINGS_MAX, SOURCES_MAX, Saying, mean, sources};
use crate::ids::{EventId, MemoryId};
use crate::memory::{Emotion, Memory};
use crate::text::Term;
use crate::text::language::Language;
use crate::text::lexis::Lexicon;
use crate::time::Timestamp;

/// The weeks that are shown, the one of `now` included.
const WEEKS: i64 = 12;
/// The weeks with anything felt that it takes to see a direction.
const TREND_WEEKS_MIN: usize = 3;
/// From the first week shown to the last, the valence moves by so much if it is not called steady: a tenth of the scale.
const TREND_AT: i64 = 200;
/// The valence from which on something is strongly felt, good or bad.
const STRONG_AT: i16 = 300;
/// In so many sayings of a mood a word has come up before it is named.
const TIMES_MIN: usize = 3;
/// The most words that are named with a mood.
const COMPANIONS_MAX: usize = 5;
const WEEK_SECONDS: i64 = 7 * 24 * 3_600;
/// 1970-01-01 was a Thursday: the first Monday is four days later.
const MONDAY_SECONDS: i64 = 4 * 24 * 3_600;

/// Words that name a feeling, whatever it is about.
static FEELINGS: LazyLock<BTreeSet<&str>> = LazyLock::new(|| include_str!("feelings.txt").split_whitespace().collect());

/// What is known of somebody's feelings.
#[derive(Clone, Debug, Default)]
pub struct Mood {
    /// `None` where nothing was said with feeling.
    pub baseline: Option<Baseline>,
    /// Those of the last twelve weeks in which anything was said with feeling, oldest first.
    pub weeks: Vec<Week>,
    /// `None` for fewer than three such weeks.
    pub trend: Option<Trend>,
    /// What comes up when it is bad, and seldom otherwise.
    pub low: Vec<Companion>,
    /// What comes up when it is good, and seldom otherwise.
    pub high: Vec<Companion>,
}

/// The mean of all that was said with feeling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    pub felt: Emotion,
    /// Of how many sayings it is the mean.
    pub count: u32,
    pub sources: Vec<EventId>,
}

/// One week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Week {
    /// Its Monday, 00:00 UTC.
    pub from: Timestamp,
    /// The mean, -1000 to 1000.
    pub valence: i16,
    pub count: u32,
    pub sources: Vec<EventId>,
}

/// Where the valence goes over the weeks that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    Rising,
    Falling,
    Steady,
}

impl Trend {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rising => "rising",
            Self::Falling => "falling",
            Self::Steady => "steady",
        }
    }
}

/// A word that comes with a mood.
#[derive(Clone, PartialEq, Eq)]
pub struct Companion {
    /// In lower case, as it was written most often.
    pub word: String,
    /// In how many sayings of that mood it comes up.
    pub count: u32,
    /// The newest of those memories, oldest first.
    pub memories: Vec<MemoryId>,
    pub sources: Vec<EventId>,
}

/// The redacting form: how often it comes up.
impl fmt::Debug for Companion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Companion({} bytes, {} times)", self.word.len(), self.count)
    }
}

/// The mood of somebody who said this, oldest first.
pub(super) fn of(sayings: &[Saying<'_>], now: Timestamp) -> Mood {
    let felt: Vec<(Saying<'_>, Emotion)> =
        sayings.iter().filter_map(|saying| Some((*saying, saying.memory.emotion?))).collect();
    let weeks = weeks(&felt, now);
    let late = &sayings[sayings.len().saturating_sub(SAYINGS_MAX)..];
    let valence = |memory: &Memory| memory.emotion.map_or(0, |emotion| emotion.valence);
    Mood {
        baseline: baseline(&felt),
        trend: trend(&weeks),
        weeks,
        low: companions(late, |memory| valence(memory) <= -STRONG_AT),
        high: companions(late, |memory| valence(memory) >= STRONG_AT),
    }
}

fn baseline(felt: &[(Saying<'_>, Emotion)]) -> Option<Baseline> {
    let arousal = felt.iter().map(|(_, emotion)| i64::from(emotion.arousal)).sum();
    let arousal = u16::try_from(mean(arousal, i64::try_from(felt.len()).ok()?)).ok()?;
    let (valence, count, sources) = average(felt)?;
    Some(Baseline { felt: Emotion { valence, arousal }, count, sources })
}

/// The mean valence, of how many, and the newest of them.
fn average(felt: &[(Saying<'_>, Emotion)]) -> Option<(i16, u32, Vec<EventId>)> {
    let count = u32::try_from(felt.len()).ok().filter(|count| *count > 0)?;
    let sum = felt.iter().map(|(_, emotion)| i64::from(emotion.valence)).sum();
    let valence = i16::try_from(mean(sum, i64::from(count))).ok()?;
    Some((valence, count, sources(felt.iter().map(|(saying, _)| saying.source))))
}

/// The number of an ISO week, counted from the first Monday of 1970.
const fn week(time: Timestamp) -> i64 {
    time.plus_seconds(-MONDAY_SECONDS).micros().div_euclid(WEEK_SECONDS * 1_000_000)
}

fn weeks(felt: &[(Saying<'_>, Emotion)], now: Timestamp) -> Vec<Week> {
    let from = felt.partition_point(|(saying, _)| week(saying.source.time) <= week(now) - WEEKS);
    let of_one = felt[from..].chunk_by(|(one, _), (next, _)| week(one.source.time) == week(next.source.time));
    let shown = of_one.filter_map(|felt| {
        let (valence, count, sources) = average(felt)?;
        let monday = week(felt.first()?.0.source.time) * WEEK_SECONDS + MONDAY_SECONDS;
        Some(Week { from: Timestamp::from_seconds(monday), valence, count, sources })
    });
    shown.collect()
}

fn trend(weeks: &[Week]) -> Option<Trend> {
    let [first, .., last] = weeks else { return None };
    if weeks.len() < TREND_WEEKS_MIN {
        return None;
    }
    let span = |one: &Week, other: &Week| other.from.seconds_since(one.from) / WEEK_SECONDS;
    // In thousandths, so that a slow change over many weeks is not rounded away.
    let slope =
        |one: &Week, other: &Week| (i64::from(other.valence) - i64::from(one.valence)) * 1_000 / span(one, other);
    let pairs = weeks.iter().enumerate().flat_map(|(place, one)| weeks[place + 1..].iter().map(move |two| (one, two)));
    let mut slopes: Vec<i64> = pairs.map(|(one, other)| slope(one, other)).collect();
    slopes.sort_unstable();
    let middle = slopes.len() / 2;
    let median = if slopes.len() % 2 == 1 { slopes[middle] } else { mean(slopes[middle - 1] + slopes[middle], 2) };
    let change = median * span(first, last) / 1_000;
    Some(if change >= TREND_AT {
        Trend::Rising
    } else if change <= -TREND_AT {
        Trend::Falling
    } else {
        Trend::Steady
    })
}

/// What is counted of one word.
#[derive(Default)]
struct Count<'a> {
    inside: Vec<Saying<'a>>,
    outside: usize,
    /// How often it was written in which form.
    forms: BTreeMap<String, usize>,
}

/// The words that come up in the sayings of a mood more than in the others, those first that do so the most.
fn companions(sayings: &[Saying<'_>], is_inside: impl Fn(&Memory) -> bool) -> Vec<Companion> {
    let inside = sayings.iter().filter(|saying| is_inside(saying.memory)).count();
    if inside < TIMES_MIN {
        return Vec::new();
    }
    let outside = sayings.len() - inside;
    let mut lexicon = Lexicon::default();
    let mut counts: BTreeMap<Term, Count<'_>> = BTreeMap::new();
    for saying in sayings {
        let (words, _) = lexicon.words(&saying.memory.text, Language::default());
        let forms: BTreeMap<Term, String> = words.into_iter().map(|word| (word.term, word.word)).collect();
        for (term, form) in forms {
            let count = counts.entry(term).or_default();
            *count.forms.entry(form).or_default() += 1;
            if is_inside(saying.memory) {
                count.inside.push(*saying);
            } else {
                count.outside += 1;
            }
        }
    }
    let goes_with = |count: &&Count<'_>| {
        let share = count.inside.len() * (outside + 1);
        count.inside.len() >= TIMES_MIN && share >= 2 * (count.outside + 1) * inside
    };
    // More often than if the word came up everywhere alike.
    let excess = |count: &Count<'_>| count.inside.len() * outside - count.outside * inside;
    let mut found: Vec<(usize, Companion)> =
        counts.values().filter(goes_with).filter_map(|count| Some((excess(count), count.companion()?))).collect();
    found.sort_by(|(a, one), (b, other)| (Reverse(a), &one.word).cmp(&(Reverse(b), &other.word)));
    found.into_iter().take(COMPANIONS_MAX).map(|(_, companion)| companion).collect()
}

impl Count<'_> {
    /// What it shows; nothing for a number or the name of a feeling.
    fn companion(&self) -> Option<Companion> {
        let is_feeling = |word: &String| FEELINGS.contains(word.as_str());
        if self.forms.keys().any(is_feeling) {
            return None;
        }
        let (word, _) = self.forms.iter().max_by_key(|(word, times)| (**times, Reverse(*word)))?;
        if !word.chars().any(char::is_alphabetic) {
            return None;
        }
        let mut seen = BTreeSet::new();
        let newest = self.inside.iter().rev().map(|saying| saying.memory.id).filter(|id| seen.insert(*id));
        let mut memories: Vec<MemoryId> = newest.take(SOURCES_MAX).collect();
        memories.reverse();
        Some(Companion {
            word: word.clone(),
            count: u32::try_from(self.inside.len()).unwrap_or(u32::MAX),
            memories,
            sources: sources(self.inside.iter().map(|saying| saying.source)),
        })
    }
}
