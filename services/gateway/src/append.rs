//! From judged events to durable ones.
//!
//! A request that concerns several partitions is still taken as a whole. The log can refuse only before it has
//! queued anything of an append, so the first refusal turns the request away; once one part is queued, the others
//! wait for room instead. And nothing is answered before all of them are durable (law L01).

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::rt::time::{Instant, sleep};
use event_log::{Appended, Error as LogError, EventLog, Record, Topic, envelope};
use memory_core::{Event, HashSecret, Partition, TenantId, Timestamp};
use memos_client::{Accepted, EventStatus, Position, PublishResponse};

use crate::problem::{Code, Problem};
use crate::sealing::Sealer;
use crate::state::State;
use crate::wait::Wait;

/// How often a part of a request that is already half queued looks for room.
const ROOM_PAUSE: Duration = Duration::from_millis(5);

/// Records by the partition they go to, each in the order of the events.
pub(crate) type ByPartition = BTreeMap<Partition, Vec<Record>>;

/// Adds an event's record, sealed. The subject names its key and its partition.
pub(crate) fn add(
    records: &mut ByPartition,
    log: &dyn EventLog,
    secret: &HashSecret,
    sealer: Sealer<'_>,
    event: &Event,
    arrived: Timestamp,
) -> Result<(), keyring::Error> {
    let Sealer { ring, key, tag, tenant } = sealer;
    let subject = event.subject(tenant).expect("a judged event has an owner");
    let handle = subject.handle(secret);
    let record = envelope::interaction(ring, key, tag, handle, tenant, arrived, event)?;
    records.entry(handle.partition(log.partitions())).or_default().push(record);
    Ok(())
}

/// Appends events of one request, waits until they are durable, and then for what the request asked for.
pub(crate) async fn publish(
    state: &State,
    tenant: &TenantId,
    events: Vec<Event>,
    arrived: Timestamp,
    wait: Wait,
) -> Result<PublishResponse, Problem> {
    let position = take(state, tenant, &events, arrived).await?;
    let status = if wait.reached(state, &position).await { EventStatus::Recallable } else { EventStatus::Accepted };
    let accepted = |event: Event| Accepted { id: event.id.as_str().to_owned(), status };
    Ok(PublishResponse { results: events.into_iter().map(accepted).collect(), position })
}

/// Seals and appends events of one request, and answers where they end when they are durable.
pub(crate) async fn take(
    state: &State,
    tenant: &TenantId,
    events: &[Event],
    arrived: Timestamp,
) -> Result<Position, Problem> {
    let appended = seal_and_append(state, tenant, events, arrived).await;
    let outcome = if appended.is_ok() { "accepted" } else { "turned_away" };
    let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
    state.metrics.interactions.with_label_values(&[outcome]).inc_by(count);
    appended
}

async fn seal_and_append(
    state: &State,
    tenant: &TenantId,
    events: &[Event],
    arrived: Timestamp,
) -> Result<Position, Problem> {
    let tag = tenant.tag(&state.secret);
    let key = state.sealing.key_soon(tag).await?;
    let sealer = Sealer { ring: &state.sealing.ring, key, tag, tenant };
    let mut records = ByPartition::new();
    for event in events {
        add(&mut records, state.log.as_ref(), &state.secret, sealer, event, arrived)?;
    }
    append(state, &Topic::Interactions, records).await
}

/// Appends records to a topic and answers where they end when all of them are durable.
pub(crate) async fn append(state: &State, topic: &Topic, records: ByPartition) -> Result<Position, Problem> {
    let deadline = Instant::now() + state.settings.limits.query_timeout();
    let mut waiting: Vec<(Partition, Appended)> = Vec::with_capacity(records.len());
    for (partition, records) in records {
        let appended = if waiting.is_empty() {
            state.log.append(topic, partition, records)?
        } else {
            append_with_room(state, topic, partition, records, deadline).await?
        };
        waiting.push((partition, appended));
    }
    let mut position = Position::new(state.log.id().uuid());
    for (partition, appended) in waiting {
        if let Some(last) = appended.await?.last() {
            position.cover(partition, last.next());
        }
    }
    Ok(position)
}

/// Appends a further part of a request, which waits for room until the deadline.
async fn append_with_room(
    state: &State,
    topic: &Topic,
    partition: Partition,
    records: Vec<Record>,
    deadline: Instant,
) -> Result<Appended, Problem> {
    loop {
        match state.log.append(topic, partition, records.clone()) {
            Err(LogError::Full { .. }) if Instant::now() < deadline => sleep(ROOM_PAUSE).await,
            Err(LogError::Full { .. }) => return Err(half_taken()),
            other => return Ok(other?),
        }
    }
}

fn half_taken() -> Problem {
    let message = "part of the request was taken; send it again with the same ids or the same Idempotency-Key";
    Problem::new(Code::Overloaded, message).retry_after(1)
}
