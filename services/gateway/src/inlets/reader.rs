//! Reading inlets: judge, append, wait until durable, and only then commit.
//!
//! A crash in between repeats some records. That is harmless, because an event's id stands in the record itself
//! (law L03) and a dead letter's id follows from where the record was found. A record that cannot be taken goes to
//! `dead-letters` with its reason and stops nobody (law L11).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use event_log::dead_letter::{Coordinates, DeadLetter};
use event_log::inlet::{self, InletLimits};
use event_log::{Appended, Error, InletName, Limits, Record, Stored, Topic};
use memory_core::event::UnknownFields;
use memory_core::{Event, Offset, Partition, TenantId};
use service_runtime::Stop;

use crate::append::{ByPartition, add};
use crate::state::{State, now};

/// The consumer group whose positions the log keeps.
const GROUP: &str = "gateway";
/// What is read at once: enough to share an fsync, little enough to be repeated after a crash.
const BATCH: Limits = Limits { records: 1_024, bytes: 4 << 20 };
/// How long to wait for room in the log's queue before looking again.
const ROOM_PAUSE: Duration = Duration::from_millis(5);

/// Where one partition of an inlet stands.
#[derive(Debug)]
struct Place {
    inlet: InletName,
    tenant: TenantId,
    partition: Partition,
    /// Everything below was judged, and what came of it is durable.
    next: Offset,
    committed: Offset,
}

/// Reads all inlets of a gateway.
#[derive(Debug)]
pub struct InletReader {
    state: Arc<State>,
    places: Vec<Place>,
    stop: Stop,
}

/// What one round of reading found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records that are events on `interactions` now.
    pub accepted: usize,
    /// Records that are dead letters now.
    pub dead_lettered: usize,
}

/// What becomes of one batch.
#[derive(Debug, Default)]
struct Judged {
    events: ByPartition,
    letters: Vec<DeadLetter>,
    accepted: usize,
}

impl InletReader {
    /// A reader that continues at the committed positions. An inlet that was never read begins at its first record,
    /// and is committed there, so that retention knows of its reader.
    pub(crate) fn new(state: Arc<State>) -> Result<Self, Error> {
        let mut places = Vec::new();
        for inlet in state.bindings.names() {
            let Some(tenant) = state.bindings.tenant(inlet) else { continue };
            let topic = Topic::Inlet(inlet.clone());
            for partition in Partition::all(state.log.partitions()) {
                let next = match state.log.committed(GROUP, &topic, partition)? {
                    Some(committed) => committed,
                    None => {
                        let low = state.log.watermarks(&topic, partition)?.low;
                        state.log.commit(GROUP, &topic, partition, low)?;
                        low
                    }
                };
                let (inlet, tenant) = (inlet.clone(), tenant.clone());
                places.push(Place { inlet, tenant, partition, next, committed: next });
            }
        }
        Ok(Self { state, places, stop: Stop::new() })
    }

    /// Gives up waiting for room when this is stopped.
    pub(crate) fn stopped_by(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Whether the disk takes anything.
    pub(crate) fn is_writable(&self) -> bool {
        self.state.is_writable()
    }

    /// Blocks until something may have come since `generation`, or for `timeout`.
    pub(crate) fn wait(&self, generation: u64, timeout: Duration) -> u64 {
        self.state.log.wait(generation, timeout)
    }

    /// Takes one batch of every partition: when this returns, everything that came of it is durable. Nothing is
    /// committed yet.
    ///
    /// # Errors
    /// Those of the log. After one, a new reader continues at the committed positions.
    pub fn take(&mut self) -> Result<Taken, Error> {
        let mut taken = Taken::default();
        for index in 0..self.places.len() {
            let place = &self.places[index];
            let topic = Topic::Inlet(place.inlet.clone());
            let batch = self.state.log.read(&topic, place.partition, place.next, BATCH)?;
            if !batch.records.is_empty() {
                let judged = self.judge(place, &topic, batch.records);
                taken.accepted += judged.accepted;
                taken.dead_lettered += judged.letters.len();
                self.append(place.partition, judged)?;
            }
            self.places[index].next = batch.next;
        }
        Ok(taken)
    }

    /// Notes in the log how far this reader is.
    ///
    /// # Errors
    /// Those of the log.
    pub fn commit(&mut self) -> Result<(), Error> {
        for place in self.places.iter_mut().filter(|place| place.next != place.committed) {
            self.state.log.commit(GROUP, &Topic::Inlet(place.inlet.clone()), place.partition, place.next)?;
            place.committed = place.next;
        }
        Ok(())
    }

    fn judge(&self, place: &Place, topic: &Topic, records: Vec<Stored>) -> Judged {
        let mut judged = Judged::default();
        for Stored { offset, record } in records {
            match judge(&record) {
                Ok(event) => {
                    judged.accepted += 1;
                    let (log, secret) = (self.state.log.as_ref(), &self.state.secret);
                    // The record's own time is its arrival: a replay after a crash gives the same.
                    add(&mut judged.events, log, secret, &place.tenant, event, record.timestamp);
                }
                Err((reason, message)) => {
                    let (log, partition) = (self.state.log.id(), place.partition);
                    let found = Coordinates { log, topic: topic.clone(), partition, offset };
                    self.state.metrics.dead_letters.with_label_values(&[reason]).inc();
                    tracing::debug!(%topic, %partition, %offset, reason, "record became a dead letter");
                    judged.letters.push(DeadLetter::new(reason, message, found, record, now()));
                }
            }
        }
        judged
    }

    /// Appends what came of a batch, and waits until it is durable. Dead letters stay in their record's partition.
    fn append(&self, partition: Partition, judged: Judged) -> Result<(), Error> {
        let letters: Vec<Record> = judged.letters.iter().map(DeadLetter::to_record).collect();
        let dead_lettered = letters.len();
        let mut batches: Vec<(Topic, BTreeMap<Partition, Vec<Record>>)> = vec![(Topic::Interactions, judged.events)];
        if !letters.is_empty() {
            batches.push((Topic::DeadLetters, BTreeMap::from([(partition, letters)])));
        }
        let mut waiting = Vec::new();
        for (topic, by_partition) in batches {
            for (partition, records) in by_partition {
                waiting.push(self.append_with_room(&topic, partition, &records)?);
            }
        }
        waiting.into_iter().try_for_each(|appended| appended.wait().map(drop))?;
        let counted = |outcome: &str, count: usize| {
            let counter = self.state.metrics.inlet_records.with_label_values(&[outcome]);
            counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        };
        counted("accepted", judged.accepted);
        counted("dead_lettered", dead_lettered);
        Ok(())
    }

    /// A full queue makes the inlet wait: its records are safe where they are.
    fn append_with_room(&self, topic: &Topic, partition: Partition, records: &[Record]) -> Result<Appended, Error> {
        loop {
            match self.state.log.append(topic, partition, records.to_vec()) {
                Err(Error::Full { queued, limit }) => {
                    if self.stop.wait_for(ROOM_PAUSE) {
                        return Err(Error::Full { queued, limit });
                    }
                }
                other => return other,
            }
        }
    }
}

/// Judges one record; a refusal is a stable reason and what to change.
fn judge(record: &Record) -> Result<Event, (&'static str, String)> {
    let raw = inlet::parse(record, &InletLimits::default()).map_err(|refused| (refused.code(), refused.to_string()))?;
    Event::parse(&raw.json, UnknownFields::Ignore, None, record.timestamp)
        .map_err(|refused| (refused.code, refused.to_string()))
}
