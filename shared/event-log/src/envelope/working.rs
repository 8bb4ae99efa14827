//! Records of `working`: states of subjects, and from where partitions must be read again.

use keyring::{KeyId, Keyring, Owner};
use memory_core::working_memory::{Boundary, Skeleton, Words};
use serde::{Deserialize, Serialize};

use super::{Error, handle_of, opened, unreadable};
use crate::anchor::{self, Anchor};
use crate::line::{self, Unreadable, Value};
use crate::{EventLog, LogId, Offset, Partition, Record, Stored, Timestamp, Topic};

/// A record of `working`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Working {
    /// The state of a subject at a window's end. Its offsets belong to `log`.
    Boundary { log: LogId, boundary: Box<Boundary> },
    /// From where a partition must be read again after a restart.
    Open { log: LogId, partition: Partition, marker: OpenFrom },
}

/// Where the open windows of a partition begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenFrom {
    /// Every event of `interactions` below this offset is in a closed window.
    pub interactions: Offset,
    /// Every window of `consolidations` below this offset has its boundary in `working`, before this marker.
    pub consolidations: Offset,
    /// What tells whether both are still the topics that these offsets are of.
    #[serde(default)]
    pub read: Anchors,
}

/// The newest records of a partition that an owner has read, or written itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchors {
    pub interactions: Option<Anchor>,
    pub consolidations: Option<Anchor>,
}

impl Anchors {
    /// Of both, the newer ones.
    #[must_use]
    pub fn newest(self, other: Self) -> Self {
        Self {
            interactions: self.interactions.max(other.interactions),
            consolidations: self.consolidations.max(other.consolidations),
        }
    }

    /// Looks whether the topics are still the ones they were.
    ///
    /// # Errors
    /// Those of [`anchor::check`].
    pub fn check(&self, log: &dyn EventLog, partition: Partition) -> Result<(), crate::Error> {
        let anchors = [(Topic::Interactions, self.interactions), (Topic::Consolidations, self.consolidations)];
        for (topic, anchor) in anchors {
            anchor.map_or(Ok(()), |anchor| anchor::check(log, &topic, partition, &anchor))?;
        }
        Ok(())
    }
}

/// What of a row is read without a key.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Clear {
    Boundary { state: Box<Skeleton> },
    Open { log: LogId, partition: Partition, marker: OpenFrom },
}

/// The header that tells how far a boundary goes in its log. It is not sealed with the rest: in another log the same
/// boundary ends elsewhere, and who moves a log needs no keys.
const FOLDED_HEADER: &str = "memos_folded";

/// What that header holds.
#[derive(Serialize, Deserialize)]
struct Folded {
    log: LogId,
    offset: Offset,
}

/// A copy of a boundary's record for another place in a log; `None` when it is no boundary, or says nothing of `from`.
///
/// # Errors
/// [`Error::Malformed`].
pub fn moved(
    stored: &Stored,
    from: LogId,
    to: LogId,
    place: impl Fn(Offset) -> Offset,
) -> Result<Option<Record>, Error> {
    let Some(folded) = folded(stored)?.filter(|folded| folded.log == from) else { return Ok(None) };
    let mut record = stored.record.clone();
    record.headers = folded_header(&Folded { log: to, offset: place(folded.offset) });
    Ok(Some(record))
}

fn folded_header(folded: &Folded) -> Vec<(String, Option<Vec<u8>>)> {
    let value = serde_json::to_vec(folded).expect("an id and a number are plain data");
    vec![(FOLDED_HEADER.to_owned(), Some(value))]
}

fn folded(stored: &Stored) -> Result<Option<Folded>, Error> {
    let Some(text) = stored.record.header(FOLDED_HEADER) else { return Ok(None) };
    let malformed = |source| Error::Malformed { topic: Topic::Working, offset: stored.offset, source };
    serde_json::from_slice(text).map(Some).map_err(malformed)
}

pub(super) const OPEN_KEY: &[u8] = b"open-from/";

/// A record for `working`. A marker has no secrets and needs no key; neither does a boundary without words.
///
/// # Errors
/// [`keyring::Error::Gone`].
///
/// # Panics
/// When there are words and no key to seal them with: they would be lost, or stand there in the clear.
pub fn working(ring: &Keyring, key: Option<KeyId>, row: Working, now: Timestamp) -> Result<Record, keyring::Error> {
    let (record_key, value, headers) = match row {
        Working::Boundary { log, boundary } => {
            let record_key = boundary.subject.as_bytes().to_vec();
            let (skeleton, words) = boundary.split();
            let headers = folded_header(&Folded { log, offset: skeleton.folded });
            let clear = Clear::Boundary { state: Box::new(Skeleton { folded: Offset::FIRST, ..skeleton }) };
            let value = match words {
                Some(words) => {
                    let key = key.expect("whoever writes words down has a key for them");
                    line::seal((ring, key), (&Topic::Working, &record_key), &clear, &words)?
                }
                None => line::clear(&clear),
            };
            (record_key, value, headers)
        }
        Working::Open { log, partition, marker } => {
            let record_key = [OPEN_KEY, partition.to_string().as_bytes()].concat();
            (record_key, line::clear(&Clear::Open { log, partition, marker }), Vec::new())
        }
    };
    Ok(Record { key: record_key, value: Some(value), headers, timestamp: now })
}

/// Reads a record of `working`; `None` for a tombstone. Where the key is gone, a boundary has no words.
///
/// # Errors
/// [`Error`] when it is not one, or cannot be opened.
pub fn read_working(ring: &Keyring, stored: &Stored) -> Result<Option<Working>, Error> {
    const TOPIC: Topic = Topic::Working;
    let Some(value) = &stored.record.value else { return Ok(None) };
    let value = Value::of(value);
    let clear: Clear = value.clear().map_err(unreadable(TOPIC, stored.offset))?;
    Ok(Some(match clear {
        Clear::Boundary { state } => {
            let subject = handle_of(TOPIC, stored)?;
            let missing = || Unreadable::Malformed(serde::de::Error::custom("a boundary says how far it goes"));
            let Folded { log, offset } = folded(stored)?.ok_or_else(|| unreadable(TOPIC, stored.offset)(missing()))?;
            let state = Skeleton { folded: offset, ..*state };
            let words: Option<Words> =
                if value.is_sealed() { opened(ring, Owner::Subject(subject), TOPIC, stored, value)? } else { None };
            Working::Boundary { log, boundary: Box::new(Boundary::join(subject, state, words)) }
        }
        Clear::Open { log, partition, marker } => Working::Open { log, partition, marker },
    }))
}
