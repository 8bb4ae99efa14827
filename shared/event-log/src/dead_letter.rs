//! What could not be taken, kept with the reason until somebody has looked at it.
//!
//! A dead letter holds the whole original record, bytes and all, so that it can be replayed as if it had just
//! arrived. Its id follows from where the record was found; a record that is read and refused again after a crash
//! makes the same letter and not a second one.
//!
//! What somebody published is sealed, with the key of the tenant of the day on which it was refused, and so is the message,
//! which may quote it. The record's key is the letter's id, for the original's may be the name of a user.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyring::{KeyId, Keyring, Owner};
use memory_core::subject::TenantTag;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::line::{self, Unreadable, Value, advice};
use crate::{LogId, Offset, Partition, Record, Timestamp, Topic};

/// A record that was set aside, and why.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Follows from [`found`](Self::found).
    pub id: Uuid,
    /// The reason as a stable word.
    pub reason: String,
    /// What was wrong, for the team that published it. May quote what they published.
    pub message: String,
    /// Where the record was found.
    pub found: Coordinates,
    /// When the record was found wanting. Retention counts from here.
    pub made: Timestamp,
    /// The record itself; its timestamp says when it arrived. Empty when its key is gone.
    pub original: Record,
}

/// The redacting form: which letter it is, never what stands in it.
impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeadLetter({}, {})", self.id, self.reason)
    }
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
    /// Written by another release.
    #[error("the dead letter was written in format {version}; {}", advice(*version))]
    UnknownVersion { version: u32 },
    /// Not the JSON of a dead letter.
    #[error("the dead letter is not well formed")]
    Malformed(#[source] serde_json::Error),
    /// It cannot be known what it says, or it was changed.
    #[error("the dead letter cannot be opened")]
    Keyring(#[source] keyring::Error),
    /// Damaged base64 within it.
    #[error("the {part} of the dead letter's original is not base64")]
    Encoding {
        part: &'static str,
        #[source]
        source: base64::DecodeError,
    },
}

/// What is read without a key.
#[derive(Serialize, Deserialize)]
struct Clear {
    id: Uuid,
    reason: String,
    found: Coordinates,
    made_us: Timestamp,
    arrived_us: Timestamp,
    /// Of whom it is; of nobody in particular, where its producer could not be told, the tag of the installation.
    tenant: TenantTag,
}

/// What is sealed. The bytes of the original are base64.
#[derive(Serialize, Deserialize)]
struct Sealed {
    message: String,
    key: String,
    value: Option<String>,
    headers: Vec<(String, Option<String>)>,
}

const TOPIC: Topic = Topic::DeadLetters;

fn unreadable(why: Unreadable) -> Error {
    match why {
        Unreadable::Version(version) => Error::UnknownVersion { version },
        Unreadable::Malformed(source) => Error::Malformed(source),
    }
}

/// Whose letter a record of `dead-letters` holds, which is read without a key.
///
/// # Errors
/// [`Error`] when it holds none.
pub fn tenant_of(record: &Record) -> Result<TenantTag, Error> {
    let clear: Clear = Value::of(record.value.as_deref().ok_or(Error::NoValue)?).clear().map_err(unreadable)?;
    Ok(clear.tenant)
}

impl DeadLetter {
    /// The dead letter of a record found at these coordinates.
    #[must_use]
    pub fn new(reason: &str, message: String, found: Coordinates, original: Record, made: Timestamp) -> Self {
        let place = format!("dead-letter/{}/{}/{}", found.topic, found.partition, found.offset);
        let id = Uuid::new_v5(&found.log.uuid(), place.as_bytes());
        Self { id, reason: reason.to_owned(), message, found, made, original }
    }

    /// The record to append to `dead-letters`, sealed with a key of this tenant.
    ///
    /// # Errors
    /// [`keyring::Error::Gone`].
    pub fn to_record(&self, ring: &Keyring, key: KeyId, tenant: TenantTag) -> Result<Record, keyring::Error> {
        let original = &self.original;
        let clear = Clear {
            id: self.id,
            reason: self.reason.clone(),
            found: self.found.clone(),
            made_us: self.made,
            arrived_us: original.timestamp,
            tenant,
        };
        let headers = original.headers.iter();
        let sealed = Sealed {
            message: self.message.clone(),
            key: STANDARD.encode(&original.key),
            value: original.value.as_ref().map(|value| STANDARD.encode(value)),
            headers: headers.map(|(n, value)| (n.clone(), value.as_ref().map(|v| STANDARD.encode(v)))).collect(),
        };
        let record_key = self.id.as_bytes().to_vec();
        let value = line::seal((ring, key), (&TOPIC, &record_key), &clear, &sealed)?;
        Ok(Record { key: record_key, value: Some(value), headers: Vec::new(), timestamp: self.made })
    }

    /// Reads a record of `dead-letters`. Where the key is gone, the message and the original are empty.
    ///
    /// # Errors
    /// [`Error`]. These records are our own, so an unreadable one is a reason to stop.
    pub fn from_record(ring: &Keyring, record: &Record) -> Result<Self, Error> {
        let value = Value::of(record.value.as_deref().ok_or(Error::NoValue)?);
        let clear: Clear = value.clear().map_err(unreadable)?;
        let plain = value.open(ring, Owner::Tenant(clear.tenant), &TOPIC, &record.key).map_err(Error::Keyring)?;
        let (message, original) = match plain {
            Some(plain) => serde_json::from_slice::<Sealed>(&plain).map_err(Error::Malformed)?.decoded()?,
            None => (String::new(), Record::default()),
        };
        let original = Record { timestamp: clear.arrived_us, ..original };
        let Clear { id, reason, found, made_us: made, arrived_us: _, tenant: _ } = clear;
        Ok(Self { id, reason, message, found, made, original })
    }
}

impl Sealed {
    fn decoded(self) -> Result<(String, Record), Error> {
        let decode = |part, text: String| STANDARD.decode(text).map_err(|source| Error::Encoding { part, source });
        let header = |(name, value): (String, Option<String>)| {
            Ok((name, value.map(|value| decode("headers", value)).transpose()?))
        };
        let original = Record {
            key: decode("key", self.key)?,
            value: self.value.map(|value| decode("value", value)).transpose()?,
            headers: self.headers.into_iter().map(header).collect::<Result<_, Error>>()?,
            timestamp: Timestamp::EPOCH,
        };
        Ok((self.message, original))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "kanarienvogel";

    fn letter() -> DeadLetter {
        let found = Coordinates {
            log: LogId::random(),
            topic: Topic::Interactions,
            partition: Partition::new(2),
            offset: Offset::new(7),
        };
        let original = Record {
            key: format!("user {CANARY}").into_bytes(),
            value: Some(format!(r#"{{"content": "{CANARY}"}}"#).into_bytes()),
            headers: vec![("x".to_owned(), Some(CANARY.as_bytes().to_vec())), (CANARY.to_owned(), None)],
            timestamp: Timestamp::from_seconds(3),
        };
        let message = format!("unknown field `{CANARY}`");
        DeadLetter::new("unknown_field", message, found, original, Timestamp::from_seconds(5))
    }

    // law: L09
    #[test]
    fn a_letter_shows_nothing_of_what_was_published_and_reads_back_until_its_key_is_gone() {
        let (ring, tenant, letter) = (Keyring::in_memory().expect("a ring"), TenantTag::from_bytes([9; 16]), letter());
        let key = ring.epoch(tenant, Timestamp::EPOCH).expect("a key");
        let record = letter.to_record(&ring, key, tenant).expect("it is sealed");
        let shown = format!("{:?} {letter:?}", String::from_utf8_lossy(record.value.as_deref().expect("a value")));
        assert!(!shown.contains(CANARY) && !shown.contains(&STANDARD.encode(CANARY)), "{shown}");
        assert!(record.headers.is_empty(), "headers would be in the clear");
        assert_eq!(record.key, letter.id.as_bytes());
        assert_eq!(crate::envelope::sealed_with(&record), Some(key));
        assert_eq!(tenant_of(&record).expect("it says"), tenant);
        assert_eq!(DeadLetter::from_record(&ring, &record).expect("it opens"), letter);
        let moved = Record { key: vec![0; 16], ..record.clone() };
        assert!(matches!(DeadLetter::from_record(&ring, &moved), Err(Error::Keyring(_))));
        ring.destroy_epochs(&[(tenant, key)]).expect("it is destroyed");
        let left = DeadLetter::from_record(&ring, &record).expect("it is no error");
        let original = Record { timestamp: letter.original.timestamp, ..Record::default() };
        assert_eq!(left, DeadLetter { message: String::new(), original, ..letter });
    }
}
