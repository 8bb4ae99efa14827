//! What could not be taken, kept with the reason until somebody has looked at it.
//!
//! A dead letter holds the whole original record, bytes and all, so that it can be replayed as if it had just
//! arrived. Its id follows from where the record was found; a record that is read and refused again after a crash
//! makes the same letter and not a second one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{LogId, Offset, Partition, Record, Timestamp, Topic};

/// The format this release writes, and the newest it reads.
const VERSION: u32 = 1;

/// A record that was set aside, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Follows from [`found`](Self::found).
    pub id: Uuid,
    /// The reason as a stable word.
    pub reason: String,
    /// What was wrong, for the team that published it. Holds no content.
    pub message: String,
    /// Where the record was found.
    pub found: Coordinates,
    /// When the record was found wanting. Retention counts from here.
    pub made: Timestamp,
    /// The record itself; its timestamp says when it arrived.
    pub original: Record,
}

/// A record's place among all logs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coordinates {
    pub log: LogId,
    pub topic: Topic,
    pub partition: Partition,
    pub offset: Offset,
}

/// Why a record of `dead-letters` cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tombstone.
    #[error("the dead letter has no value")]
    NoValue,
    /// Written by a newer release.
    #[error("the dead letter has format version {version}, and this release reads up to {VERSION}")]
    UnknownVersion { version: u32 },
    /// Not the JSON of a dead letter.
    #[error("the dead letter is not well formed")]
    Malformed(#[source] serde_json::Error),
    /// Damaged base64 within it.
    #[error("the {part} of the dead letter's original is not base64")]
    Encoding {
        part: &'static str,
        #[source]
        source: base64::DecodeError,
    },
}

/// The value's form in the log.
#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    id: Uuid,
    reason: String,
    message: String,
    #[serde(flatten)]
    found: Coordinates,
    made_us: Timestamp,
    arrived_us: Timestamp,
    /// Base64, like all bytes of the original.
    key: String,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

/// The part that every version has.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl DeadLetter {
    /// The dead letter of a record found at these coordinates.
    #[must_use]
    pub fn new(reason: &str, message: String, found: Coordinates, original: Record, made: Timestamp) -> Self {
        let place = format!("dead-letter/{}/{}/{}", found.topic, found.partition, found.offset);
        let id = Uuid::new_v5(&found.log.uuid(), place.as_bytes());
        Self { id, reason: reason.to_owned(), message, found, made, original }
    }

    /// The record to append to `dead-letters`. It keeps the original's key.
    #[must_use]
    pub fn to_record(&self) -> Record {
        let original = &self.original;
        let headers = original.headers.iter();
        let wire = Wire {
            version: VERSION,
            id: self.id,
            reason: self.reason.clone(),
            message: self.message.clone(),
            found: self.found.clone(),
            made_us: self.made,
            arrived_us: original.timestamp,
            key: STANDARD.encode(&original.key),
            value: original.value.as_ref().map(|value| STANDARD.encode(value)),
            headers: headers.map(|(n, value)| (n.clone(), value.as_ref().map(|v| STANDARD.encode(v)))).collect(),
        };
        let value = serde_json::to_vec(&wire).expect("strings and numbers are always JSON");
        Record { key: original.key.clone(), value: Some(value), headers: Vec::new(), timestamp: self.made }
    }

    /// Reads a record of `dead-letters`.
    ///
    /// # Errors
    /// [`Error`]. These records are our own, so an unreadable one is a reason to stop.
    pub fn from_record(record: &Record) -> Result<Self, Error> {
        let value = record.value.as_deref().ok_or(Error::NoValue)?;
        let Version { version } = serde_json::from_slice(value).map_err(Error::Malformed)?;
        if version != VERSION {
            return Err(Error::UnknownVersion { version });
        }
        let wire: Wire = serde_json::from_slice(value).map_err(Error::Malformed)?;
        let decode = |part, text: String| STANDARD.decode(text).map_err(|source| Error::Encoding { part, source });
        let header = |(name, value): (String, Option<String>)| {
            Ok((name, value.map(|value| decode("headers", value)).transpose()?))
        };
        let original = Record {
            key: decode("key", wire.key)?,
            value: wire.value.map(|value| decode("value", value)).transpose()?,
            headers: wire.headers.into_iter().map(header).collect::<Result<_, Error>>()?,
            timestamp: wire.arrived_us,
        };
        let (id, reason, message) = (wire.id, wire.reason, wire.message);
        Ok(Self { id, reason, message, found: wire.found, made: wire.made_us, original })
    }
}
