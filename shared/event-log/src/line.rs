//! The form of every value that memos writes to its own topics: one line of JSON in the clear, and behind it what is sealed.
//!
//! The line holds what a reader needs without any key: the version, ids, numbers, times. What people said, and who they
//! are, is sealed behind it, or there is nothing behind it. A sealed part is bound to its place: the topic, the record's
//! key and the line itself. So nobody can put it into another record, or change a word of its line. JSON has no raw line
//! feed and no zero byte, so the line's end and the parts of the place cannot be mistaken.

use std::io::{self, Write};

use keyring::{KeyId, Keyring, Owner};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Topic;

/// The version that is written, and the only one that is read: 1 held everything in the clear and was never released.
pub(crate) const VERSION: u32 = 2;

/// Why a line cannot be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    Version(u32),
    Malformed(serde_json::Error),
}

/// What to do about a record of another version.
pub(crate) fn advice(found: u32) -> String {
    if found > VERSION {
        format!("this memos reads format {VERSION}: upgrade it")
    } else {
        format!("this memos reads format {VERSION}, and that one was never released: begin with a new log")
    }
}

/// A value in its two parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    line: &'a [u8],
    sealed: &'a [u8],
}

impl<'a> Value<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, sealed) = end.map_or((bytes, &[][..]), |end| (&bytes[..end], &bytes[end + 1..]));
        Self { line, sealed }
    }

    /// What stands in the clear.
    pub(crate) fn clear<T: DeserializeOwned>(&self) -> Result<T, Unreadable> {
        #[derive(Deserialize)]
        struct Line<T> {
            v: u32,
            body: T,
        }
        #[derive(Deserialize)]
        struct VersionOnly {
            #[serde(alias = "version")]
            v: u32,
        }
        match serde_json::from_slice::<Line<T>>(self.line) {
            Ok(line) if line.v == VERSION => Ok(line.body),
            Ok(line) => Err(Unreadable::Version(line.v)),
            // What another version wrote need not look like ours; its number is all that is asked of it.
            Err(source) => match serde_json::from_slice::<VersionOnly>(self.line) {
                Ok(VersionOnly { v }) if v != VERSION => Err(Unreadable::Version(v)),
                Ok(_) | Err(_) => Err(Unreadable::Malformed(source)),
            },
        }
    }

    /// Whether anything is sealed behind the line.
    pub(crate) const fn is_sealed(&self) -> bool {
        !self.sealed.is_empty()
    }

    /// The name of the key behind the line.
    pub(crate) fn sealed_with(&self) -> Option<KeyId> {
        Keyring::sealed_with(self.sealed)
    }

    /// What is sealed; `None` when the key is gone.
    pub(crate) fn open(
        &self,
        ring: &Keyring,
        owner: Owner,
        topic: &Topic,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, keyring::Error> {
        ring.open(owner, &place(topic, key, self.line), self.sealed)
    }
}

/// A line with its end.
pub(crate) fn clear<T: Serialize>(body: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    Write::write_all(&mut bytes, format!("{{\"v\":{VERSION},\"body\":").as_bytes())
        .and_then(|()| serde_json::to_writer(&mut bytes, body).map_err(io::Error::from))
        .and_then(|()| bytes.write_all(b"}\n"))
        .expect("our own types are plain data, and a vector takes whatever is written to it");
    bytes
}

/// A line, and behind it `plain`, sealed for a record under this key of the topic.
pub(crate) fn seal<C: Serialize, P: Serialize>(
    (ring, id): (&Keyring, KeyId),
    (topic, key): (&Topic, &[u8]),
    body: &C,
    plain: &P,
) -> Result<Vec<u8>, keyring::Error> {
    let mut value = clear(body);
    let plain = serde_json::to_vec(plain).expect("our own types are plain data");
    let place = place(topic, key, &value[..value.len() - 1]);
    value.extend_from_slice(&ring.seal(id, &place, &plain)?);
    Ok(value)
}

fn place(topic: &Topic, key: &[u8], line: &[u8]) -> Vec<u8> {
    let topic = topic.to_string();
    let mut place = Vec::with_capacity(topic.len() + key.len() + line.len() + 2);
    for part in [topic.as_bytes(), &[0], key, &[0], line] {
        place.extend_from_slice(part);
    }
    place
}
