//! The codec of our own topics. Every value is JSON with a version first; an unknown version is no dead letter here
//! but a reason to stop, because only a newer memos can have written it (law L11).

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use memory_core::step::Step;
use memory_core::working_memory::Boundary;
use memory_core::{Consolidation, Event, EventId, Handle, Interval, Recorded, Seq, StepNumber, TenantId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::anchor::{self, Anchor};
use crate::{EventLog, LogId, Offset, Partition, Record, Stored, Timestamp, Topic};

/// The version that is written. Older ones stay readable.
const VERSION: u32 = 1;

/// A record of one of our own topics that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{topic} offset {offset} was written in format {found}; this memos reads up to {VERSION}: upgrade it")]
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
}

#[derive(Deserialize)]
struct VersionOnly {
    v: u32,
}

fn encode<T: Serialize>(body: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    Write::write_all(&mut bytes, format!("{{\"v\":{VERSION},\"body\":").as_bytes())
        .and_then(|()| serde_json::to_writer(&mut bytes, body).map_err(io::Error::from))
        .and_then(|()| bytes.write_all(b"}"))
        .expect("our own types are plain data, and a vector takes whatever is written to it");
    bytes
}

fn decode<T: DeserializeOwned>(topic: Topic, offset: Offset, bytes: &[u8]) -> Result<T, Error> {
    #[derive(Deserialize)]
    struct Body<T> {
        v: u32,
        body: T,
    }
    let body: Result<Body<T>, serde_json::Error> = serde_json::from_slice(bytes);
    match body {
        Ok(body) if body.v <= VERSION => Ok(body.body),
        Ok(body) => Err(Error::Version { topic, offset, found: body.v }),
        // What a newer version wrote need not look like ours; its number is all that is asked of it.
        Err(source) => match serde_json::from_slice::<VersionOnly>(bytes) {
            Ok(VersionOnly { v }) if v > VERSION => Err(Error::Version { topic, offset, found: v }),
            Ok(_) | Err(_) => Err(Error::Malformed { topic, offset, source }),
        },
    }
}

#[derive(Serialize)]
struct InteractionRef<'a> {
    tenant: &'a TenantId,
    arrived: Timestamp,
    event: &'a Event,
}

#[derive(Deserialize)]
struct InteractionBody {
    tenant: TenantId,
    arrived: Timestamp,
    event: Event,
}

/// A record for `interactions`.
#[must_use]
pub fn interaction(subject: Handle, tenant: TenantId, arrived: Timestamp, event: impl Borrow<Event>) -> Record {
    let event = event.borrow();
    let headers = vec![
        ("ce_id".to_owned(), Some(event.id.as_str().as_bytes().to_vec())),
        ("ce_type".to_owned(), Some(b"memos.interaction.v1".to_vec())),
    ];
    let value = encode(&InteractionRef { tenant: &tenant, arrived, event });
    Record { key: subject.as_bytes().to_vec(), value: Some(value), headers, timestamp: arrived }
}

/// Reads a record of `interactions`; `None` for a tombstone.
///
/// # Errors
/// [`Error`] when it is not one.
pub fn read_interaction(stored: &Stored) -> Result<Option<(Handle, Recorded)>, Error> {
    let Some(value) = &stored.record.value else { return Ok(None) };
    let subject = handle_of(Topic::Interactions, stored)?;
    let body: InteractionBody = decode(Topic::Interactions, stored.offset, value)?;
    let recorded =
        Recorded { tenant: body.tenant, arrived: body.arrived, offset: stored.offset, event: body.event.into() };
    Ok(Some((subject, recorded)))
}

/// Reads interactions for several folds of one process, so that an event is decoded and held once (a decision of
/// weight: open windows are most of what a process holds). Knows the newest [`Interactions::HELD`] events.
#[derive(Debug, Default)]
pub struct Interactions(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    events: HashMap<(Partition, Offset), (Handle, Recorded)>,
    order: VecDeque<(Partition, Offset)>,
}

impl Interactions {
    /// Events that are held for the next reader.
    pub const HELD: usize = 4_096;

    /// Reads a record of this partition of `interactions`; `None` for a tombstone.
    ///
    /// # Errors
    /// [`Error`] when it is not one.
    pub fn read(&self, partition: Partition, stored: &Stored) -> Result<Option<(Handle, Recorded)>, Error> {
        let place = (partition, stored.offset);
        if let Some(known) = self.held().events.get(&place) {
            return Ok(Some(known.clone()));
        }
        let Some(read) = read_interaction(stored)? else { return Ok(None) };
        let mut held = self.held();
        if held.order.len() >= Self::HELD
            && let Some(oldest) = held.order.pop_front()
        {
            held.events.remove(&oldest);
        }
        if held.events.insert(place, read.clone()).is_none() {
            held.order.push_back(place);
        }
        Ok(Some(read))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A record for `consolidations`.
#[must_use]
pub fn consolidation(window: &Consolidation, now: Timestamp) -> Record {
    let range = format!("{}-{}", window.from, window.to);
    let headers = vec![
        ("ce_id".to_owned(), Some(window.id.to_string().into_bytes())),
        (RANGE_HEADER.to_owned(), Some(range.into_bytes())),
    ];
    Record { key: window.subject.as_bytes().to_vec(), value: Some(encode(window)), headers, timestamp: now }
}

/// The header of a consolidation that tells `from-to` without decoding it.
const RANGE_HEADER: &str = "memos_range";

/// The sequence numbers of a consolidation, without decoding it; `None` when it does not tell.
#[must_use]
pub fn range_of(record: &Record) -> Option<Interval<Seq>> {
    let text = std::str::from_utf8(record.header(RANGE_HEADER)?).ok()?;
    let (from, to) = text.split_once('-')?;
    Interval::try_new(Seq::new(from.parse().ok()?), Seq::new(to.parse().ok()?))
}

/// Reads a record of `consolidations`; `None` for a tombstone.
///
/// # Errors
/// [`Error`] when it is not one.
pub fn read_consolidation(stored: &Stored) -> Result<Option<Consolidation>, Error> {
    let Some(value) = &stored.record.value else { return Ok(None) };
    decode(Topic::Consolidations, stored.offset, value).map(Some)
}

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
    /// What tells whether both are still the topics that these offsets are of. Older markers have none.
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

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WorkingBody {
    Boundary { log: LogId, boundary: Box<Boundary> },
    Open { log: LogId, partition: Partition, marker: OpenFrom },
}

const OPEN_KEY: &[u8] = b"open-from/";

/// A record for `working`.
#[must_use]
pub fn working(row: Working, now: Timestamp) -> Record {
    let (key, body) = match row {
        Working::Boundary { log, boundary } => {
            (boundary.subject.as_bytes().to_vec(), WorkingBody::Boundary { log, boundary })
        }
        Working::Open { log, partition, marker } => {
            let key = [OPEN_KEY, partition.to_string().as_bytes()].concat();
            (key, WorkingBody::Open { log, partition, marker })
        }
    };
    Record { key, value: Some(encode(&body)), headers: Vec::new(), timestamp: now }
}

/// Reads a record of `working`; `None` for a tombstone.
///
/// # Errors
/// [`Error`] when it is not one.
pub fn read_working(stored: &Stored) -> Result<Option<Working>, Error> {
    let Some(value) = &stored.record.value else { return Ok(None) };
    let body: WorkingBody = decode(Topic::Working, stored.offset, value)?;
    Ok(Some(match body {
        WorkingBody::Boundary { log, boundary } => Working::Boundary { log, boundary },
        WorkingBody::Open { log, partition, marker } => Working::Open { log, partition, marker },
    }))
}

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

/// A record for `memories` of a writer that wrote every earlier step of the subject itself.
#[must_use]
pub fn step(step: &Step, writer: Uuid, now: Timestamp) -> Record {
    step_after(step, writer, None, now)
}

/// A record for `memories` that was decided on the steps up to `after`.
#[must_use]
pub fn step_after(step: &Step, writer: Uuid, after: Option<After>, now: Timestamp) -> Record {
    let key = step_key(step.subject, step.number, writer);
    let tell = |after| serde_json::to_vec(&after).expect("a number and an id are plain data");
    let headers = after.map(|after| (AFTER_HEADER.to_owned(), Some(tell(after)))).into_iter().collect();
    Record { key, value: Some(encode(step)), headers, timestamp: now }
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

/// Reads a record of `memories`; `None` for a tombstone.
///
/// # Errors
/// [`Error`] when it is not one.
pub fn read_step(stored: &Stored) -> Result<Option<Step>, Error> {
    let length = stored.record.key.len();
    if length != Handle::BYTES + 8 + 16 {
        return Err(Error::Key { topic: Topic::Memories, offset: stored.offset, length });
    }
    let Some(value) = &stored.record.value else { return Ok(None) };
    decode(Topic::Memories, stored.offset, value).map(Some)
}

/// The subject that a record of one of our own topics belongs to; `None` when its key names none.
#[must_use]
pub fn subject_of(record: &Record) -> Option<Handle> {
    if record.key.starts_with(OPEN_KEY) {
        return None;
    }
    record.key.get(..Handle::BYTES).and_then(|bytes| bytes.try_into().ok()).map(Handle::from_bytes)
}

fn handle_of(topic: Topic, stored: &Stored) -> Result<Handle, Error> {
    let length = stored.record.key.len();
    let bytes: Result<[u8; 16], _> = stored.record.key.as_slice().try_into();
    bytes.map(Handle::from_bytes).map_err(|_| Error::Key { topic, offset: stored.offset, length })
}

/// The tick that says nothing came after `last`, as a record for `interactions`.
#[must_use]
pub fn tick(subject: Handle, tenant: TenantId, last: &Event, now: Timestamp) -> Record {
    let event = Event {
        id: EventId::of_tick(subject, &last.id),
        kind: memory_core::EventType::IdleTick,
        user_id: last.user_id.clone(),
        agent_id: last.agent_id.clone(),
        app_id: None,
        session_id: last.session_id.clone(),
        role: memory_core::Role::System,
        speaker: None,
        content: memory_core::Content::empty(),
        time: last.time,
        origin: memory_core::Origin::Assistant,
        remember: true,
        recalled: false,
        tags: Vec::new(),
        metadata: serde_json::Map::new(),
        control: Some(Box::new(memory_core::Control::IdleTick { last: last.id.clone() })),
    };
    interaction(subject, tenant, now, event)
}

#[cfg(test)]
mod tests {
    use memory_core::{HashSecret, Subject};

    use super::*;

    fn recorded() -> (Handle, Record) {
        let tenant = TenantId::try_new("t").expect("a tenant");
        let handle =
            Subject::owner(&tenant, Some("u"), None, None).expect("an owner").handle(&HashSecret::new([1; 32]));
        let value = serde_json::json!({"id": "e", "user_id": "u", "content": "x"});
        let object = value.as_object().expect("an object");
        let event =
            Event::parse(object, memory_core::event::UnknownFields::Refuse, None, Timestamp::EPOCH).expect("good");
        (handle, interaction(handle, tenant, Timestamp::EPOCH, event))
    }

    #[test]
    fn an_interaction_reads_back() {
        let (handle, record) = recorded();
        let stored = Stored { offset: Offset::new(3), record };
        let (subject, read) = read_interaction(&stored).expect("good").expect("no tombstone");
        assert_eq!((subject, read.offset, read.event.id.as_str()), (handle, Offset::new(3), "e"));
        assert_eq!(subject_of(&stored.record), Some(handle));
    }

    // law: L11
    #[test]
    fn a_marker_of_before_there_were_anchors_is_read() {
        let log = LogId::random();
        let text = format!(
            r#"{{"v":1,"body":{{"open":{{"log":"{log}","partition":3,"marker":{{"interactions":7,"consolidations":2}}}}}}}}"#
        );
        let stored =
            Stored { offset: Offset::FIRST, record: Record { value: Some(text.into_bytes()), ..Record::default() } };
        let (interactions, consolidations) = (Offset::new(7), Offset::new(2));
        let marker = OpenFrom { interactions, consolidations, read: Anchors::default() };
        let row = Working::Open { log, partition: Partition::new(3), marker };
        assert_eq!(read_working(&stored).expect("a row"), Some(row));
    }

    // law: L11
    #[test]
    fn a_newer_version_is_named_and_stops_the_reader() {
        let (_, mut record) = recorded();
        record.value = Some(br#"{"v":2,"sealed":"what we cannot know"}"#.to_vec());
        let error = read_interaction(&Stored { offset: Offset::new(9), record }).expect_err("must not be read");
        assert!(matches!(error, Error::Version { found: 2, .. }), "{error}");
    }
}
