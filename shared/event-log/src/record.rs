//! What is appended, what comes back, and where a partition begins and ends.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Offset, Timestamp};

/// One record, as it is appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// What compaction compares. May be empty.
    pub key: Vec<u8>,
    /// The content; `None` is a tombstone, which is not the same as an empty value.
    pub value: Option<Vec<u8>>,
    /// Names may repeat and keep their order; a value may be null.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// When the record was made. Retention and the life of tombstones are measured by it.
    pub timestamp: Timestamp,
}

impl Record {
    /// What the record weighs in queues, caches and read limits, in bytes. Counts its parts and a little for each
    /// of them, so that a million empty records are not free.
    #[must_use]
    pub fn weight(&self) -> usize {
        const PER_RECORD: usize = 64;
        const PER_HEADER: usize = 16;
        let value = self.value.as_ref().map_or(0, Vec::len);
        let headers: usize =
            self.headers.iter().map(|(name, value)| PER_HEADER + name.len() + value.as_ref().map_or(0, Vec::len)).sum();
        PER_RECORD + self.key.len() + value + headers
    }

    /// The first non-null value of a header with this name, compared exactly.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(n, value)| n == name && value.is_some()).and_then(|(_, value)| value.as_deref())
    }
}

/// A record with its place in the partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub offset: Offset,
    pub record: Record,
}

/// The readable range `[low, high)` of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// The first offset that was not trimmed.
    pub low: Offset,
    /// One past the last durable record.
    pub high: Offset,
}

/// How much one read may return.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most records. Zero counts as one.
    pub records: usize,
    /// The most bytes ([`Record::weight`]); a single larger record is returned all the same.
    pub bytes: usize,
}

impl Default for Limits {
    /// 4,096 records and 1 MiB: large enough to amortise the call, small enough to hold many in memory.
    fn default() -> Self {
        Self { records: 4096, bytes: 1 << 20 }
    }
}

/// What one read found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadBatch {
    /// In the order of their offsets, which may skip.
    pub records: Vec<Stored>,
    /// Where to continue; past the last record, and past the holes compaction left behind it.
    pub next: Offset,
}

/// The name of one log. An offset means nothing in a log with another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(Uuid);

impl LogId {
    /// The log with this name.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// A name no other log has.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// The name as a UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
