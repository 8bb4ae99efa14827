//! Which records of a compacted topic stay: for each key the newest, and a tombstone for as long as a slow reader
//! may need it to learn of the deletion.
//!
//! Keys are remembered by a 16-byte hash, so that the size of the map depends on their number alone.

use std::collections::HashMap;

use crate::{Offset, Timestamp};

/// The newest offset of every key seen.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    by_key: HashMap<[u8; 16], Offset>,
}

impl Newest {
    /// Notes a record. Must be called in the order of offsets.
    pub(crate) fn see(&mut self, key: &[u8], offset: Offset) {
        self.by_key.insert(hash(key), offset);
    }

    fn is_newest(&self, key: &[u8], offset: Offset) -> bool {
        self.by_key.get(&hash(key)).is_none_or(|newest| *newest <= offset)
    }

    /// Whether the record stays.
    pub(crate) fn keeps(&self, key: &[u8], offset: Offset, tombstone: Option<Timestamp>, rule: &TombstoneRule) -> bool {
        self.is_newest(key, offset) && tombstone.is_none_or(|at| !rule.is_over(at, offset))
    }
}

/// When a tombstone has done its work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TombstoneRule {
    /// Tombstones made before this are old enough.
    pub(crate) older_than: Timestamp,
    /// The lowest position of the topic's known readers: whoever has not read a tombstone still needs it.
    pub(crate) unread_from: Option<Offset>,
}

impl TombstoneRule {
    pub(crate) fn is_over(&self, at: Timestamp, offset: Offset) -> bool {
        at < self.older_than && self.unread_from.is_none_or(|unread| offset < unread)
    }
}

fn hash(key: &[u8]) -> [u8; 16] {
    let whole = blake3::hash(key);
    let mut half = [0; 16];
    half.copy_from_slice(&whole.as_bytes()[..16]);
    half
}
