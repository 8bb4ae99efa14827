//! The rule values that folds use. They come from the settings once, travel in every consolidation from then on,
//! and a replay takes them from there: no fold reads a setting (law L04).

use serde::{Deserialize, Serialize};

use crate::memory::Kind;

/// Every number that decides what becomes of an event. All scores are 0..=1000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// The version of the fold that these values are for.
    pub version: u32,
    /// Event time without a turn that ends a window, in seconds.
    pub gap_seconds: i64,
    /// Turns that close a window.
    pub window_turns_max: usize,
    /// Bytes of content that close a window.
    pub window_bytes_max: usize,
    /// Salience of one turn that closes its window at once. The default is that of the highest 3 % of the turns that
    /// the weights were fitted to.
    pub salient_at: u16,
    /// Salience below which a turn is not kept; half of it, where something is read out of the turn. The default keeps 75 % of
    /// those turns, and recall@10 loses 1.2 points against keeping all; of `load-tests/data/quality.json` it keeps 73 %, and
    /// loses 0.6 (`load-tests/examples/keeping.rs`).
    pub keep_at: u16,
    /// Likeness of two texts from which they are one memory.
    pub merge_at: u16,
    /// Memories that one subject may have.
    pub bank_max: usize,
    /// Turns of closed windows that working memory still shows.
    pub recent_turns: usize,
    /// Words and phrases on which health or safety depends in this use, beside those on which it always does: see
    /// [`crate::salience`]. At most [`TOPICS_MAX`].
    pub safety_topics: Vec<String>,
    /// Days in which a memory becomes half as recent; at least 1. What is pinned or critical hardly ages.
    pub half_life_days: Days,
    /// Days from the newest of its sources on, after which a memory is recalled no more and then deleted; 0 for never. What
    /// is pinned or critical stays.
    pub retention_days: Days,
    pub weights: Weights,
}

/// How much each part of salience adds, in 1/1000 of the part.
///
/// By default `disclosure`, `concreteness`, `answer`, `substance` and `small_talk` are those of a logistic regression on the
/// 2,080 turns of four long conversations of two people (LoCoMo), 515 of which some question has as its evidence, scaled
/// so that the middle of those has 400. Leaving out one conversation at a time its AUC is 0.848 (the length of the text
/// alone: 0.74), and the best half of the turns has 89 % of the evidence. `emotion`, `explicit` and `safety` are set by
/// hand, since such conversations have too much feeling and too little of the others: one word of safety is kept whatever
/// surrounds it. `load-tests/fit-salience.py` says how to refit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    pub disclosure: u16,
    pub concreteness: u16,
    pub emotion: u16,
    pub answer: u16,
    pub substance: u16,
    pub explicit: u16,
    pub safety: u16,
    /// What small talk takes off.
    pub small_talk: u16,
}

/// Days for each kind of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Days {
    pub episode: u16,
    pub fact: u16,
    pub preference: u16,
    pub lesson: u16,
    pub pattern: u16,
    pub summary: u16,
}

impl Days {
    #[must_use]
    pub const fn of(&self, kind: Kind) -> u16 {
        match kind {
            Kind::Episode => self.episode,
            Kind::Fact => self.fact,
            Kind::Preference => self.preference,
            Kind::Lesson => self.lesson,
            Kind::Pattern => self.pattern,
            Kind::Summary => self.summary,
        }
    }
}

/// The most topics of safety that rules may name.
pub const TOPICS_MAX: usize = 100;

/// The fold that this code is. Another number wherever the same events may be weighed, read or decided on otherwise than before:
/// `memos verify` then does not take what an earlier version decided for a fault.
pub const FOLD_VERSION: u32 = 2;

impl Default for Rules {
    fn default() -> Self {
        Self {
            version: FOLD_VERSION,
            gap_seconds: 1_800,
            window_turns_max: 20,
            window_bytes_max: 64 * 1024,
            salient_at: 780,
            keep_at: 85,
            merge_at: 900,
            bank_max: 20_000,
            recent_turns: 6,
            safety_topics: Vec::new(),
            half_life_days: Days { episode: 30, fact: 365, preference: 365, lesson: 180, pattern: 90, summary: 60 },
            retention_days: Days::default(),
            weights: Weights::default(),
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self {
            disclosure: 150,
            concreteness: 380,
            emotion: 100,
            answer: 125,
            substance: 310,
            explicit: 600,
            safety: 500,
            small_talk: 245,
        }
    }
}

impl Rules {
    /// The bytes that name these values in ids.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("rules are numbers and strings")
    }

    /// A short name of these values: the first 8 bytes of their hash.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let hash = blake3::hash(&self.canonical());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
    }
}
