//! Records of `interactions`: sealed with a tenant's key of the day, which dies when the log has let go of that day.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use keyring::{KeyId, Keyring, Owner};
use memory_core::forget::Scope;
use memory_core::subject::TenantTag;
use memory_core::{Content, Control, Event, EventId, EventType, Handle, Origin, Recorded, Role, Seq, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::Map;

use super::{Error, handle_of, opened, unreadable};
use crate::line::{self, Value};
use crate::{Offset, Partition, Record, Stored, Timestamp, Topic};

/// What of an interaction is read without a key.
#[derive(Serialize, Deserialize)]
struct Clear {
    id: EventId,
    #[serde(rename = "type")]
    kind: EventType,
    arrived: Timestamp,
    tenant: TenantTag,
}

#[derive(Serialize)]
struct SealedRef<'a> {
    tenant: &'a TenantId,
    event: &'a Event,
}

#[derive(Deserialize)]
struct Sealed {
    tenant: TenantId,
    event: Event,
}

/// A record for `interactions`, sealed with a key of the tenant.
///
/// # Errors
/// [`keyring::Error::Gone`].
pub fn interaction(
    ring: &Keyring,
    key: KeyId,
    tag: TenantTag,
    subject: Handle,
    tenant: &TenantId,
    arrived: Timestamp,
    event: impl Borrow<Event>,
) -> Result<Record, keyring::Error> {
    let event = event.borrow();
    let headers = vec![
        ("ce_id".to_owned(), Some(event.id.as_str().as_bytes().to_vec())),
        ("ce_type".to_owned(), Some(b"memos.interaction.v1".to_vec())),
    ];
    let clear = Clear { id: event.id.clone(), kind: event.kind, arrived, tenant: tag };
    let place = (&Topic::Interactions, subject.as_bytes().as_slice());
    let value = line::seal((ring, key), place, &clear, &SealedRef { tenant, event })?;
    Ok(Record { key: subject.as_bytes().to_vec(), value: Some(value), headers, timestamp: arrived })
}

/// Reads a record of `interactions`; `None` for a tombstone. Where the key is gone, nothing is left of the event but its
/// id, its type and its arrival, and the tenant is called by its tag.
///
/// # Errors
/// [`Error`] when it is not one, or cannot be opened.
pub fn read_interaction(ring: &Keyring, stored: &Stored) -> Result<Option<(Handle, Recorded)>, Error> {
    const TOPIC: Topic = Topic::Interactions;
    let Some(value) = &stored.record.value else { return Ok(None) };
    let subject = handle_of(TOPIC, stored)?;
    let value = Value::of(value);
    let clear: Clear = value.clear().map_err(unreadable(TOPIC, stored.offset))?;
    let (arrived, offset) = (clear.arrived, stored.offset);
    let sealed: Option<Sealed> = opened(ring, Owner::Tenant(clear.tenant), TOPIC, stored, value)?;
    let Sealed { tenant, event } = sealed.unwrap_or_else(|| gone(clear));
    Ok(Some((subject, Recorded { tenant, arrived, offset, event: event.into() })))
}

/// What is left of an event when its key is gone.
fn gone(clear: Clear) -> Sealed {
    let Clear { id, kind, arrived, tenant } = clear;
    let tenant = named(tenant);
    // Whatever it asked for was done while it could be read. Now it only says that something was said.
    let control = match kind {
        EventType::Turn | EventType::Note => None,
        EventType::Remember
        | EventType::Correct
        | EventType::Delete
        | EventType::Forget
        | EventType::Feedback
        | EventType::Consent
        | EventType::SessionEnd
        | EventType::IdleTick => Some(Box::new(Control::SessionEnd)),
    };
    let event = Event { kind, remember: false, control, ..silent(id, arrived) };
    Sealed { tenant, event }
}

/// An event in which nobody says anything.
fn silent(id: EventId, time: Timestamp) -> Event {
    Event {
        id,
        kind: EventType::Turn,
        user_id: None,
        agent_id: None,
        app_id: None,
        session_id: None,
        role: Role::System,
        speaker: None,
        content: Content::empty(),
        time,
        origin: Origin::Assistant,
        remember: true,
        recalled: false,
        tags: Vec::new(),
        metadata: Map::new(),
        control: None,
    }
}

/// The tick that says nothing came after `last`, as a record for `interactions`.
///
/// # Errors
/// [`keyring::Error::Gone`].
pub fn tick(
    ring: &Keyring,
    key: KeyId,
    tag: TenantTag,
    subject: Handle,
    tenant: &TenantId,
    last: &Event,
    now: Timestamp,
) -> Result<Record, keyring::Error> {
    let event = Event {
        kind: EventType::IdleTick,
        user_id: last.user_id.clone(),
        agent_id: last.agent_id.clone(),
        session_id: last.session_id.clone(),
        control: Some(Box::new(Control::IdleTick { last: last.id.clone() })),
        ..silent(EventId::of_tick(subject, &last.id), last.time)
    };
    interaction(ring, key, tag, subject, tenant, now, event)
}

/// The forget of everything that a log knows nothing of, since it is from before it, as a record for `interactions`: what the
/// subject's keys from below `floor` have sealed is dead.
///
/// # Errors
/// [`keyring::Error::Gone`].
pub fn forget_again(
    ring: &Keyring,
    key: KeyId,
    tag: TenantTag,
    subject: Handle,
    floor: Seq,
    now: Timestamp,
) -> Result<Record, keyring::Error> {
    let event = Event {
        kind: EventType::Forget,
        control: Some(Box::new(Control::Forget { scope: Scope::Everything, floor: Some(floor) })),
        ..silent(EventId::of_repeated_forget(subject, floor), now)
    };
    interaction(ring, key, tag, subject, &named(tag), now, event)
}

/// The tenant of a record of `interactions`, without any key; `None` when it is none.
#[must_use]
pub fn tenant_of(record: &Record) -> Option<TenantTag> {
    Value::of(record.value.as_deref()?).clear::<Clear>().ok().map(|clear| clear.tenant)
}

/// A tenant of whom no more is known.
fn named(tag: TenantTag) -> TenantId {
    TenantId::try_new(tag.to_string()).expect("digits are a good name")
}

/// Reads interactions for several folds of one process, so that an event is opened, decoded and held once (a decision of
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

    /// Reads a record of this partition of `interactions`; `None` for a tombstone. As [`read_interaction`].
    ///
    /// # Errors
    /// [`Error`] when it is not one, or cannot be opened.
    pub fn read(
        &self,
        ring: &Keyring,
        partition: Partition,
        stored: &Stored,
    ) -> Result<Option<(Handle, Recorded)>, Error> {
        let place = (partition, stored.offset);
        if let Some(known) = self.held().events.get(&place) {
            return Ok(Some(known.clone()));
        }
        let Some(read) = read_interaction(ring, stored)? else { return Ok(None) };
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
