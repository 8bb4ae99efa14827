//! The codec of our own topics. Every value is a line of JSON with a version first, and behind it what is sealed
//! ([`crate`]'s `line`); an unknown version is no dead letter here but a reason to stop, because only a newer memos can
//! have written it (law L11). A record whose key is gone was forgotten. It is no error: it reads as an empty one (law L09).

use keyring::{KeyId, Keyring, Owner};
use memory_core::Handle;
use serde::de::DeserializeOwned;

use crate::line::{Unreadable, Value, advice};
use crate::{Offset, Record, Stored, Topic};

mod consolidations;
mod interactions;
mod receipts;
mod steps;
#[cfg(test)]
mod tests;
mod working;

pub use consolidations::{consolidation, range_of, read_consolidation};
pub use interactions::{Interactions, forget_again, interaction, read_interaction, tenant_of, tick};
pub use receipts::{read_receipt, receipt};
pub use steps::{After, after_of, read_step, step, step_after, step_key, step_tombstone, writer_of};
pub use working::{Anchors, OpenFrom, Working, moved, read_working, working};

/// A record of one of our own topics that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{topic} offset {offset} was written in format {found}; {}", advice(*found))]
    Version { topic: Topic, offset: Offset, found: u32 },
    #[error("{topic} offset {offset} cannot be decoded")]
    Malformed {
        topic: Topic,
        offset: Offset,
        #[source]
        source: serde_json::Error,
    },
    #[error("{topic} offset {offset} has a key of {length} bytes, which no record of it has")]
    Key { topic: Topic, offset: Offset, length: usize },
    #[error("{topic} offset {offset} stands under another key than the one it was written for")]
    Moved { topic: Topic, offset: Offset },
    #[error("{topic} offset {offset} cannot be opened")]
    Keyring {
        topic: Topic,
        offset: Offset,
        #[source]
        source: keyring::Error,
    },
}

fn unreadable(topic: Topic, offset: Offset) -> impl FnOnce(Unreadable) -> Error {
    move |why| match why {
        Unreadable::Version(found) => Error::Version { topic, offset, found },
        Unreadable::Malformed(source) => Error::Malformed { topic, offset, source },
    }
}

/// What is sealed in a record; `None` when its key is gone.
fn opened<T: DeserializeOwned>(
    ring: &Keyring,
    owner: Owner,
    topic: Topic,
    stored: &Stored,
    value: Value<'_>,
) -> Result<Option<T>, Error> {
    let Stored { offset, record } = stored;
    let offset = *offset;
    match value.open(ring, owner, &topic, &record.key) {
        Ok(None) => Ok(None),
        Ok(Some(plain)) => {
            serde_json::from_slice(&plain).map(Some).map_err(|source| Error::Malformed { topic, offset, source })
        }
        Err(source) => Err(Error::Keyring { topic, offset, source }),
    }
}

/// The key that a record of one of our own topics is sealed with; `None` when nothing in it is sealed.
#[must_use]
pub fn sealed_with(record: &Record) -> Option<KeyId> {
    Value::of(record.value.as_deref()?).sealed_with()
}

/// The subject that a record of one of our own topics belongs to; `None` when its key names none.
#[must_use]
pub fn subject_of(record: &Record) -> Option<Handle> {
    if record.key.starts_with(working::OPEN_KEY) {
        return None;
    }
    record.key.get(..Handle::BYTES).and_then(|bytes| bytes.try_into().ok()).map(Handle::from_bytes)
}

fn handle_of(topic: Topic, stored: &Stored) -> Result<Handle, Error> {
    let length = stored.record.key.len();
    let bytes: Result<[u8; 16], _> = stored.record.key.as_slice().try_into();
    bytes.map(Handle::from_bytes).map_err(|_| Error::Key { topic, offset: stored.offset, length })
}
