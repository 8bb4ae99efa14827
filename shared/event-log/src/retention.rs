//! How long records are kept.
//!
//! Age alone never removes what somebody still has to read: that is the default for every topic with readers, and a
//! topic whose readers have not said anything yet is not trimmed at all. Dead letters are read by people, who do not
//! announce themselves, so there age alone decides.

use std::time::Duration;

use crate::{Timestamp, Topic};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How long the records of one topic are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How old a record must be to be removed; `None` keeps it for good.
    pub age: Option<Duration>,
    /// Whether age alone decides. Otherwise a record also has to be below every known reader's position, and a topic
    /// without known readers is not trimmed.
    pub trims_unread: bool,
}

impl Retention {
    /// Nothing is ever removed.
    pub const FOREVER: Self = Self { age: None, trims_unread: false };

    /// What is older than this and was read by every known reader goes.
    #[must_use]
    pub const fn once_read(age: Duration) -> Self {
        Self { age: Some(age), trims_unread: false }
    }

    /// What is older than this goes.
    #[must_use]
    pub const fn by_age(age: Duration) -> Self {
        Self { age: Some(age), trims_unread: true }
    }
}

/// The retention of each topic. Compacted topics have none: what they hold is current.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetentionByTopic {
    /// Default: 7 days, once read.
    pub interactions: Retention,
    /// Default: 7 days, once read.
    pub consolidations: Retention,
    /// Default: for good.
    pub receipts: Retention,
    /// Default: 14 days.
    pub dead_letters: Retention,
    /// Of all inlets. Default: 7 days, once read.
    pub inlets: Retention,
}

impl Default for RetentionByTopic {
    fn default() -> Self {
        Self {
            interactions: Retention::once_read(7 * DAY),
            consolidations: Retention::once_read(7 * DAY),
            receipts: Retention::FOREVER,
            dead_letters: Retention::by_age(14 * DAY),
            inlets: Retention::once_read(7 * DAY),
        }
    }
}

impl RetentionByTopic {
    /// The retention of this topic.
    #[must_use]
    pub const fn of(&self, topic: &Topic) -> Retention {
        match topic {
            Topic::Interactions => self.interactions,
            Topic::Consolidations => self.consolidations,
            Topic::Receipts => self.receipts,
            Topic::DeadLetters => self.dead_letters,
            Topic::Inlet(_) => self.inlets,
            Topic::Working | Topic::Memories | Topic::Keys => Retention::FOREVER,
        }
    }
}

/// The point in time that lies `age` before `now` (saturating).
pub(crate) fn before(now: Timestamp, age: Duration) -> Timestamp {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_micros(now.micros().saturating_sub(micros))
}
