//! Records of inlets that lie on our own disk.
//!
//! In Kafka an inlet is its producers' topic, and what they write is theirs to protect. In the embedded log it is memos that
//! writes what is posted to an inlet, in front of all judgement; so it is sealed as everything else, with a key of the
//! installation, because nobody has said yet whose it is. Key, headers and value become one blob behind a line of JSON. In
//! place of the key stands its keyed hash: records with the same key still have the same one.
//!
//! A header tells them apart from what producers wrote. One that cannot be opened is judged as it lies there, and becomes
//! a dead letter like anything else that is no interaction.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use event_log::{Record, Topic};
use keyring::{KeyId, Keyring, Owner};
use memory_core::HashSecret;
use serde::{Deserialize, Serialize};

use crate::sealing::INSTALLATION;

/// The header of a sealed record; its value is the format.
const SEALED: &str = "memos_sealed";
const FORMAT: &[u8] = b"1";
/// Bytes of a hashed key.
const KEY_BYTES: usize = 16;

/// All but the value, which comes behind it. Bytes are base64.
#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    headers: Vec<(String, Option<String>)>,
    has_value: bool,
}

/// The record to append to an inlet on our own disk.
pub(crate) fn seal(
    ring: &Keyring,
    key: KeyId,
    secret: &HashSecret,
    topic: &Topic,
    record: &Record,
) -> Result<Record, keyring::Error> {
    let encoded = |value: &Vec<u8>| STANDARD.encode(value);
    let headers = record.headers.iter().map(|(name, value)| (name.clone(), value.as_ref().map(encoded)));
    let line = Line { key: encoded(&record.key), headers: headers.collect(), has_value: record.value.is_some() };
    let mut plain = serde_json::to_vec(&line).expect("it is plain data");
    plain.push(b'\n');
    plain.extend_from_slice(record.value.as_deref().unwrap_or_default());
    let hashed = hashed(secret, &record.key);
    let value = ring.seal(key, &place(topic, &hashed), &plain)?;
    let headers = vec![(SEALED.to_owned(), Some(FORMAT.to_vec()))];
    Ok(Record { key: hashed, value: Some(value), headers, timestamp: record.timestamp })
}

/// The record as it was posted; `None` when its key is gone.
pub(crate) fn open(ring: &Keyring, topic: &Topic, record: Record) -> Result<Option<Record>, keyring::Error> {
    let Some(sealed) = record.value.as_deref().filter(|_| record.header(SEALED) == Some(FORMAT)) else {
        return Ok(Some(record));
    };
    match ring.open(Owner::Tenant(INSTALLATION), &place(topic, &record.key), sealed) {
        Ok(None) => Ok(None),
        Ok(Some(plain)) => Ok(Some(decoded(&plain, &record).unwrap_or(record))),
        Err(keyring::Error::Tampered(_)) => Ok(Some(record)),
        Err(error @ (keyring::Error::Gone { .. } | keyring::Error::Vault { .. } | keyring::Error::Random(_))) => {
            Err(error)
        }
    }
}

fn decoded(plain: &[u8], record: &Record) -> Option<Record> {
    let end = plain.iter().position(|byte| *byte == b'\n')?;
    let Line { key, headers, has_value } = serde_json::from_slice(plain.get(..end)?).ok()?;
    let header = |(name, value): (String, Option<String>)| match value {
        Some(value) => Some((name, Some(STANDARD.decode(value).ok()?))),
        None => Some((name, None)),
    };
    Some(Record {
        key: STANDARD.decode(key).ok()?,
        value: has_value.then(|| plain[end + 1..].to_vec()),
        headers: headers.into_iter().map(header).collect::<Option<_>>()?,
        timestamp: record.timestamp,
    })
}

/// What stands for a producer's key, which may be the name of a user. Records without a key stay so.
fn hashed(secret: &HashSecret, key: &[u8]) -> Vec<u8> {
    if key.is_empty() {
        return Vec::new();
    }
    let mut hasher = blake3::Hasher::new_keyed(secret.as_bytes());
    hasher.update(b"key of an inlet's record").update(key);
    hasher.finalize().as_bytes()[..KEY_BYTES].to_vec()
}

fn place(topic: &Topic, key: &[u8]) -> Vec<u8> {
    let mut place = format!("{topic}\0").into_bytes();
    place.extend_from_slice(key);
    place
}

#[cfg(test)]
mod tests {
    use event_log::{InletName, Timestamp};

    use super::*;

    const CANARY: &str = "kanarienvogel";

    fn topic(name: &str) -> Topic {
        Topic::Inlet(InletName::try_new(name).expect("a name"))
    }

    fn record(key: &str, value: Option<&str>) -> Record {
        Record {
            key: key.as_bytes().to_vec(),
            value: value.map(|text| text.as_bytes().to_vec()),
            headers: vec![("x".to_owned(), Some(CANARY.as_bytes().to_vec())), (CANARY.to_owned(), None)],
            timestamp: Timestamp::from_seconds(3),
        }
    }

    // law: L09
    #[test]
    fn a_record_shows_nothing_and_reads_back_until_its_key_is_gone() {
        let (ring, secret) = (Keyring::in_memory().expect("a ring"), HashSecret::new([7; 32]));
        let key = ring.epoch(INSTALLATION, Timestamp::EPOCH).expect("a key");
        let seal = |record: &Record| seal(&ring, key, &secret, &topic("a"), record).expect("the key is held");
        for given in [record(CANARY, Some(CANARY)), record("", Some("two\nlines\n")), record("k", None)] {
            let sealed = seal(&given);
            assert!(!format!("{sealed:?}").contains(CANARY));
            let bytes = [sealed.key.clone(), sealed.value.clone().expect("a value")].concat();
            assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
            assert_eq!(open(&ring, &topic("a"), sealed.clone()).expect("it opens"), Some(given.clone()));
            assert_eq!(
                sealed.key,
                seal(&Record { value: None, ..given.clone() }).key,
                "the same key has the same hash"
            );
            assert_eq!(sealed.key.is_empty(), given.key.is_empty());
            // In another inlet, or under another key, it is only a record that nobody can read.
            let moved = Record { key: b"other".to_vec(), ..sealed.clone() };
            assert_eq!(open(&ring, &topic("b"), sealed.clone()).expect("it is passed on"), Some(sealed));
            assert_eq!(open(&ring, &topic("a"), moved.clone()).expect("it is passed on"), Some(moved));
            assert_eq!(open(&ring, &topic("a"), given.clone()).expect("it is not sealed"), Some(given));
        }
        let sealed = seal(&record("k", Some("x")));
        ring.destroy_epochs(&[(INSTALLATION, key)]).expect("it is destroyed");
        assert_eq!(open(&ring, &topic("a"), sealed).expect("its key is gone"), None);
    }
}
