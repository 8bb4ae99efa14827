//! What can go wrong with a store, and what its owner must do about it.

use std::path::PathBuf;

use event_log::{Offset, Partition, Topic};
use memory_core::refold::StepGap;
use memory_core::{Handle, Invariant};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open the store in {dir}; if another memos is running on this directory, stop it first")]
    Open {
        dir: PathBuf,
        #[source]
        source: rocksdb::Error,
    },
    #[error(
        "the store in {dir} has format {found}; this memos reads format {known}: use the version that wrote it, or delete the directory to build it again from the log"
    )]
    Format { dir: PathBuf, found: String, known: u32 },
    #[error(
        "the store in {dir} is written so busily that it cannot be opened beside its writer; try again, or stop the writer first"
    )]
    Busy { dir: PathBuf },
    #[error("{what} the store")]
    Io {
        what: &'static str,
        #[source]
        source: rocksdb::Error,
    },
    #[error("a {kind} row of subject {subject} cannot be decoded; delete the store to build it again from the log")]
    Row {
        kind: &'static str,
        subject: Handle,
        #[source]
        source: serde_json::Error,
    },
    #[error("a key of {length} bytes is no {kind} key; delete the store to build it again from the log")]
    Key { kind: &'static str, length: usize },
    #[error("{invariant}: a step is missing at offset {offset} of partition {partition}")]
    Gap {
        invariant: Invariant,
        partition: Partition,
        offset: Offset,
        #[source]
        source: StepGap,
    },
    #[error(
        "{invariant}: the store has read {topic} partition {partition} up to {position}, but the log ends at {high}: the log was truncated or replaced; delete the store to build it again from the log"
    )]
    Ahead { invariant: Invariant, topic: Topic, partition: Partition, position: Offset, high: Offset },
    #[error("seal or open a row")]
    Keys(#[source] keyring::Error),
    #[error("read the log")]
    Log(#[source] event_log::Error),
    #[error("decode a step")]
    Envelope(#[source] event_log::envelope::Error),
}

/// What whoever meets the error must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Stop the process: a restart recovers, or a person must look.
    Stop,
    /// Give the directory to one process, or another version.
    Operator,
    /// Delete the store and build it again from the log.
    Corrupt,
}

impl Error {
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::Keys(keyring::Error::Tampered(_)) => ErrorKind::Corrupt,
            Self::Io { .. } | Self::Gap { .. } | Self::Log(_) | Self::Envelope(_) | Self::Keys(_) => ErrorKind::Stop,
            Self::Open { .. } | Self::Format { .. } | Self::Busy { .. } => ErrorKind::Operator,
            Self::Row { .. } | Self::Key { .. } | Self::Ahead { .. } => ErrorKind::Corrupt,
        }
    }
}
