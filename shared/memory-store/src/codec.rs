//! The values of rows: one version byte, then JSON.

use memory_core::Handle;
use memory_core::memory::{Memory, Revision};
use memory_core::step::{FateRow, Row, RulesRow, SubjectRow, WindowRow};
use memory_core::turn::Turn;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::keys::KeyKind;

/// The version that is written. A store with another one is not opened, so rows never have to guess.
pub(crate) const VERSION: u8 = 1;

pub(crate) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.push(VERSION);
    serde_json::to_writer(&mut bytes, value)
        .expect("rows are plain data, and a vector takes whatever is written to it");
    bytes
}

pub(crate) fn decode<T: DeserializeOwned>(kind: KeyKind, subject: Handle, bytes: &[u8]) -> Result<T, Error> {
    let error = |source| Error::Row { kind: kind.name(), subject, source };
    match bytes.split_first() {
        Some((&VERSION, json)) => serde_json::from_slice(json).map_err(error),
        Some(_) | None => Err(error(serde::de::Error::custom("it begins with no known version"))),
    }
}

pub(crate) fn encode_row(row: &Row) -> Vec<u8> {
    match row {
        Row::Subject(row) => encode(row),
        Row::Memory(row) => encode(row),
        Row::Revision(row) => encode(row),
        Row::Source(row) => encode(row),
        Row::Window(row) => encode(row),
        Row::Rules(row) => encode(row),
        Row::Fate(row) => encode(row),
    }
}

/// Reads a row of one of [`crate::keys::ROW_KINDS`]; `None` for a kind that is no row of a subject.
pub(crate) fn decode_row(kind: KeyKind, subject: Handle, bytes: &[u8]) -> Result<Option<Row>, Error> {
    Ok(Some(match kind {
        KeyKind::Subject => Row::Subject(decode::<SubjectRow>(kind, subject, bytes)?),
        KeyKind::Memory => Row::Memory(decode::<Memory>(kind, subject, bytes)?),
        KeyKind::Revision => Row::Revision(decode::<Revision>(kind, subject, bytes)?),
        KeyKind::Source => Row::Source(decode::<Turn>(kind, subject, bytes)?),
        KeyKind::Window => Row::Window(decode::<WindowRow>(kind, subject, bytes)?),
        KeyKind::Rules => Row::Rules(decode::<RulesRow>(kind, subject, bytes)?),
        KeyKind::Fate => Row::Fate(decode::<FateRow>(kind, subject, bytes)?),
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
        | KeyKind::Boundary
        | KeyKind::Spill
        | KeyKind::OpenFrom
        | KeyKind::Overwritten => return Ok(None),
    }))
}
