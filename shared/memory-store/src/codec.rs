//! The values of rows: one version byte, then JSON; what tells of a subject is sealed with one of its keys.
//!
//! A row is bound to its key in the store, so nobody can put one in the place of another. A row whose key is destroyed reads
//! as one that is not there.

use keyring::{KeyId, Keyring, Owner};
use memory_core::Handle;
use memory_core::memory::{Memory, Revision};
use memory_core::step::{FateRow, Row, RulesRow, SubjectRow, WindowRow};
use memory_core::turn::Turn;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::keys::KeyKind;

/// What follows is plain: it tells of nobody.
const PLAIN: u8 = 1;
/// What follows is sealed.
const SEALED: u8 = 2;
/// A plain line follows, and behind it what is sealed.
const FRAMED: u8 = 3;

/// Bookkeeping: numbers, positions and hashes.
pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(PLAIN);
    to_json(value, &mut bytes);
    bytes
}

fn to_json<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    serde_json::to_writer(bytes, value).expect("rows are plain data, and a vector takes whatever is written to it");
}

pub(crate) fn decode<T: DeserializeOwned>(kind: KeyKind, subject: Handle, bytes: &[u8]) -> Result<T, Error> {
    match bytes.split_first() {
        Some((&PLAIN, json)) => from_json(kind, subject, json),
        Some(_) | None => Err(malformed(kind, subject, "it begins with no known version")),
    }
}

fn from_json<T: DeserializeOwned>(kind: KeyKind, subject: Handle, json: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(json).map_err(|source| Error::Row { kind: kind.name(), subject, source })
}

fn malformed(kind: KeyKind, subject: Handle, what: &str) -> Error {
    Error::Row { kind: kind.name(), subject, source: serde::de::Error::custom(what) }
}

/// Seals a value for the row `key`; `None` when the key that it should be sealed with was destroyed meanwhile: then the row
/// is one of those that nobody may read any more.
pub(crate) fn seal<T: Serialize>(ring: &Keyring, id: KeyId, key: &[u8], value: &T) -> Result<Option<Vec<u8>>, Error> {
    let mut json = Vec::with_capacity(256);
    to_json(value, &mut json);
    let sealed = match ring.seal(id, key, &json) {
        Ok(sealed) => sealed,
        Err(keyring::Error::Gone { .. }) => return Ok(None),
        Err(error) => return Err(Error::Keys(error)),
    };
    let mut bytes = Vec::with_capacity(1 + sealed.len());
    bytes.push(SEALED);
    bytes.extend_from_slice(&sealed);
    Ok(Some(bytes))
}

/// A value whose first line is in the clear, and whose rest is sealed; no rest where there is nothing to seal, or nobody
/// may read it any more.
pub(crate) fn seal_behind<T: Serialize, U: Serialize>(
    ring: &Keyring,
    id: Option<KeyId>,
    key: &[u8],
    clear: &T,
    sealed: Option<&U>,
) -> Result<Vec<u8>, Error> {
    let mut bytes = encode(clear);
    bytes[0] = FRAMED;
    bytes.push(b'\n');
    if let (Some(id), Some(value)) = (id, sealed) {
        let place = [key, &bytes].concat();
        if let Some(rest) = seal(ring, id, &place, value)? {
            bytes.extend_from_slice(&rest);
        }
    }
    Ok(bytes)
}

/// Opens what [`seal_behind`] made.
pub(crate) fn open_behind<T: DeserializeOwned, U: DeserializeOwned>(
    ring: &Keyring,
    kind: KeyKind,
    subject: Handle,
    key: &[u8],
    bytes: &[u8],
) -> Result<(T, Option<U>), Error> {
    let end = bytes.iter().position(|byte| *byte == b'\n').filter(|_| bytes.first() == Some(&FRAMED));
    let Some((clear, rest)) = end.map(|end| bytes.split_at(end + 1)) else {
        return Err(malformed(kind, subject, "it begins with no known version"));
    };
    let value = from_json(kind, subject, &clear[1..])?;
    if rest.is_empty() {
        return Ok((value, None));
    }
    let place = [key, clear].concat();
    Ok((value, open(ring, kind, subject, &place, rest)?))
}

/// The key that a value is sealed with; `None` for a plain one.
pub(crate) fn key_of(bytes: &[u8]) -> Option<KeyId> {
    let sealed = match bytes.first() {
        Some(&FRAMED) => &bytes[bytes.iter().position(|byte| *byte == b'\n')? + 1..],
        Some(_) | None => bytes,
    };
    match sealed.split_first() {
        Some((&SEALED, sealed)) => Keyring::sealed_with(sealed),
        Some(_) | None => None,
    }
}

/// Opens what [`seal`] made; `None` when its key is gone.
pub(crate) fn open<T: DeserializeOwned>(
    ring: &Keyring,
    kind: KeyKind,
    subject: Handle,
    key: &[u8],
    bytes: &[u8],
) -> Result<Option<T>, Error> {
    match bytes.split_first() {
        Some((&SEALED, sealed)) => {
            let json = ring.open(Owner::Subject(subject), key, sealed).map_err(Error::Keys)?;
            json.map(|json| from_json(kind, subject, &json)).transpose()
        }
        Some(_) | None => Err(malformed(kind, subject, "it is not sealed")),
    }
}

/// The value of a subject's row. Without a key only what tells of nobody is written.
pub(crate) fn encode_row(ring: &Keyring, id: Option<KeyId>, key: &[u8], row: &Row) -> Result<Option<Vec<u8>>, Error> {
    let Some(id) = id.filter(|_| !row.is_bare()) else {
        return Ok(if let Row::Subject(subject) = row {
            Some(encode(subject)).filter(|_| row.is_bare())
        } else {
            None
        });
    };
    match row {
        Row::Subject(row) => seal(ring, id, key, row),
        Row::Memory(row) => seal(ring, id, key, row),
        Row::Revision(row) => seal(ring, id, key, row),
        Row::Source(row) => seal(ring, id, key, row),
        // They hold numbers and an operator's rules, and are gone with the rest all the same.
        Row::Window(row) => Ok(Some(encode(row))),
        Row::Rules(row) => Ok(Some(encode(row))),
        Row::Fate(row) => seal(ring, id, key, row),
    }
}

/// Reads a row of one of [`crate::keys::ROW_KINDS`]; `None` for a kind that is no row of a subject, and for a row whose
/// key is gone.
pub(crate) fn decode_row(
    ring: &Keyring,
    kind: KeyKind,
    subject: Handle,
    key: &[u8],
    bytes: &[u8],
) -> Result<Option<Row>, Error> {
    Ok(match kind {
        KeyKind::Subject => subject_row(ring, subject, key, bytes)?.map(Row::Subject),
        KeyKind::Memory => open::<Memory>(ring, kind, subject, key, bytes)?.map(Row::Memory),
        KeyKind::Revision => open::<Revision>(ring, kind, subject, key, bytes)?.map(Row::Revision),
        KeyKind::Source => open::<Turn>(ring, kind, subject, key, bytes)?.map(Row::Source),
        KeyKind::Window => Some(Row::Window(decode::<WindowRow>(kind, subject, bytes)?)),
        KeyKind::Rules => Some(Row::Rules(decode::<RulesRow>(kind, subject, bytes)?)),
        KeyKind::Fate => open::<FateRow>(ring, kind, subject, key, bytes)?.map(Row::Fate),
        KeyKind::NextStep
        | KeyKind::StepWriter
        | KeyKind::Loser
        | KeyKind::LostWriter
        | KeyKind::Unconnected
        | KeyKind::SnapshotPart
        | KeyKind::MemoryIndex
        | KeyKind::EventIndex
        | KeyKind::Position
        | KeyKind::Anchor
        | KeyKind::Receipt
        | KeyKind::Pending
        | KeyKind::Boundary
        | KeyKind::Spill
        | KeyKind::OpenFrom
        | KeyKind::Overwritten => None,
    })
}

/// A subject's own row. Only a skeleton's, which names nobody, may be plain.
fn subject_row(ring: &Keyring, subject: Handle, key: &[u8], bytes: &[u8]) -> Result<Option<SubjectRow>, Error> {
    if bytes.first() != Some(&PLAIN) {
        return open(ring, KeyKind::Subject, subject, key, bytes);
    }
    let row: SubjectRow = decode(KeyKind::Subject, subject, bytes)?;
    match row.owner {
        None => Ok(Some(row)),
        Some(_) => Err(malformed(KeyKind::Subject, subject, "it names somebody and is not sealed")),
    }
}
