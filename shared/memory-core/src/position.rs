//! Where a reader stands in a log.
//!
//! Positions are half-open: a reader at [`Offset`] `n` has seen everything below `n`. Offsets may skip, because
//! compaction and trimming leave holes; so a hole says nothing about loss. Loss is a low watermark above the
//! position ([`lost`]), and nothing else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The place of a record in a partition. Offsets rise, and may skip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(u64);

impl Offset {
    /// The offset of a partition's first record ever.
    pub const FIRST: Self = Self(0);

    #[must_use]
    pub const fn new(offset: u64) -> Self {
        Self(offset)
    }

    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position of a reader that has just read this record.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A partition's number. The same number means the same subjects in every topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Partition(u32);

impl Partition {
    #[must_use]
    pub const fn new(partition: u32) -> Self {
        Self(partition)
    }

    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// All partitions of a log with `count` of them.
    pub fn all(count: u32) -> impl Iterator<Item = Self> + Clone {
        (0..count).map(Self)
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a record that was read is known by again. Offsets mean nothing once a topic was deleted and made again under its
/// name; a reader that comes back looks whether this record is still where it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Anchor {
    pub offset: Offset,
    /// Of its key, value and headers: against mistakes, not against forgery.
    pub hash: u64,
}

/// A half-open range `[from, to)` of whatever counts upwards: offsets of a partition, sequence numbers of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Interval<T> {
    pub from: T,
    pub to: T,
}

impl<T: Copy + Ord> Interval<T> {
    /// `[from, to)`; `None` when it would run backwards.
    #[must_use]
    pub fn try_new(from: T, to: T) -> Option<Self> {
        (from <= to).then_some(Self { from, to })
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    #[must_use]
    pub fn contains(&self, at: T) -> bool {
        self.from <= at && at < self.to
    }

    /// How this range continues a reader that stands at `position`.
    #[must_use]
    pub fn after(&self, position: T) -> Continuation {
        if self.to <= position {
            Continuation::Known
        } else if self.from <= position {
            Continuation::Next
        } else {
            Continuation::Gap
        }
    }
}

/// What a range means to a reader at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuation {
    /// All of it was seen before: a repeat, which is harmless.
    Known,
    /// It begins at or before the position and reaches past it.
    Next,
    /// Something between the position and its beginning is missing.
    Gap,
}

/// What a reader at `position` has lost when the first readable offset is `low`: `None` when nothing.
#[must_use]
pub fn lost(position: Offset, low: Offset) -> Option<Interval<Offset>> {
    (low > position).then_some(Interval { from: position, to: low })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_known_next_or_a_gap() {
        let range = Interval::try_new(3, 7).expect("runs forwards");
        assert_eq!(range.after(7), Continuation::Known);
        assert_eq!(range.after(3), Continuation::Next);
        assert_eq!(range.after(5), Continuation::Next);
        assert_eq!(range.after(2), Continuation::Gap);
        assert_eq!(Interval::try_new(7, 3), None);
    }

    #[test]
    fn only_a_low_watermark_above_the_position_is_loss() {
        assert_eq!(lost(Offset::new(5), Offset::new(5)), None);
        assert_eq!(lost(Offset::new(5), Offset::new(2)), None);
        let gone = lost(Offset::new(5), Offset::new(9)).expect("four records are gone");
        assert_eq!((gone.from, gone.to), (Offset::new(5), Offset::new(9)));
    }
}
