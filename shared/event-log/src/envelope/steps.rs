//! Records of `memories`: the steps of long-term memory, sealed with a key of the subject. A skeleton tells of nobody and is
//! not sealed, for it outlives every key.

use keyring::{KeyId, Keyring, Owner};
use memory_core::step::{Body, Frame, Step};
use memory_core::{Handle, StepNumber};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Error, opened, unreadable};
use crate::line::{self, Value};
use crate::{Record, Stored, Timestamp, Topic};

/// The key of a step: subject, number, and the incarnation of the writer, so that compaction never lets one writer's
/// record replace another's.
#[must_use]
pub fn step_key(subject: Handle, number: StepNumber, writer: Uuid) -> Vec<u8> {
    [subject.as_bytes().as_slice(), &number.get().to_be_bytes(), writer.as_bytes()].concat()
}

/// The writer that the key of a step's record names; `None` when it is no such key.
#[must_use]
pub fn writer_of(key: &[u8]) -> Option<Uuid> {
    let writer: &[u8; 16] = key.get(Handle::BYTES + 8..)?.try_into().ok()?;
    Some(Uuid::from_bytes(*writer))
}

/// The newest step of a subject that its writer had read back from the log when it decided another one. All steps
/// between the two are of the same writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    pub number: StepNumber,
    pub writer: Uuid,
}

/// The header of a step that tells [`After`].
const AFTER_HEADER: &str = "memos_after";

/// What of a step is read without a key. The body stands here when nothing is sealed.
#[derive(Serialize)]
struct ClearRef<'a> {
    frame: Frame,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a Body>,
}

#[derive(Deserialize)]
struct Clear {
    frame: Frame,
    #[serde(default)]
    body: Option<Body>,
}

/// A record for `memories` of a writer that wrote every earlier step of the subject itself. As [`step_after`].
///
/// # Errors
/// [`keyring::Error::Gone`].
pub fn step(
    ring: &Keyring,
    key: Option<KeyId>,
    step: &Step,
    writer: Uuid,
    now: Timestamp,
) -> Result<Record, keyring::Error> {
    step_after(ring, key, step, writer, None, now)
}

/// A record for `memories` that was decided on the steps up to `after`. Without a key it stands
/// in the clear when it tells of nobody ([`Step::is_bare`]), and else without anything in it: whoever has no key for it any more
/// must not say it.
///
/// # Errors
/// [`keyring::Error::Gone`].
pub fn step_after(
    ring: &Keyring,
    key: Option<KeyId>,
    step: &Step,
    writer: Uuid,
    after: Option<After>,
    now: Timestamp,
) -> Result<Record, keyring::Error> {
    let record_key = step_key(step.subject, step.number, writer);
    let tell = |after| serde_json::to_vec(&after).expect("a number and an id are plain data");
    let headers = after.map(|after| (AFTER_HEADER.to_owned(), Some(tell(after)))).into_iter().collect();
    let frame = step.frame();
    let value = match key {
        Some(key) => {
            let clear = ClearRef { frame, body: None };
            line::seal((ring, key), (&Topic::Memories, &record_key), &clear, &step.body)?
        }
        None if step.is_bare() => line::clear(&ClearRef { frame, body: Some(&step.body) }),
        None => {
            let empty = frame.clone().empty();
            line::clear(&ClearRef { frame, body: Some(&empty.body) })
        }
    };
    Ok(Record { key: record_key, value: Some(value), headers, timestamp: now })
}

/// What a step was decided on; `None` when its writer wrote every earlier step itself.
///
/// # Errors
/// [`Error::Malformed`].
pub fn after_of(stored: &Stored) -> Result<Option<After>, Error> {
    let Some(text) = stored.record.header(AFTER_HEADER) else { return Ok(None) };
    let malformed = |source| Error::Malformed { topic: Topic::Memories, offset: stored.offset, source };
    serde_json::from_slice(text).map(Some).map_err(malformed)
}

/// A tombstone for a step that a snapshot replaced, or that lost.
#[must_use]
pub fn step_tombstone(key: Vec<u8>, now: Timestamp) -> Record {
    Record { key, value: None, headers: Vec::new(), timestamp: now }
}

/// Reads a record of `memories`; `None` for a tombstone. Where the key is gone, the step holds nothing.
///
/// # Errors
/// [`Error`] when it is not one, or cannot be opened.
pub fn read_step(ring: &Keyring, stored: &Stored) -> Result<Option<Step>, Error> {
    const TOPIC: Topic = Topic::Memories;
    let Stored { offset, record } = stored;
    let (topic, offset, length) = (TOPIC, *offset, record.key.len());
    let writer = writer_of(&record.key).ok_or(Error::Key { topic, offset, length })?;
    let Some(value) = &record.value else { return Ok(None) };
    let value = Value::of(value);
    let Clear { frame, body } = value.clear().map_err(unreadable(TOPIC, offset))?;
    if step_key(frame.subject, frame.number, writer) != record.key {
        return Err(Error::Moved { topic: TOPIC, offset });
    }
    let body = match body {
        Some(body) if !value.is_sealed() => Some(body),
        Some(_) | None => opened(ring, Owner::Subject(frame.subject), TOPIC, stored, value)?,
    };
    Ok(Some(match body {
        Some(body) => Step { subject: frame.subject, number: frame.number, body, consumed: frame.consumed },
        None => frame.empty(),
    }))
}
