//! The thread that follows `interactions` and `consolidations`.
//!
//! It shares nothing with whoever follows `memories` and `working` but the store and the partition's lock, and they
//! may be ahead of each other in any way. What keeps every turn in sight:
//!
//! - A step only ever takes turns out of the conversation that the bank has by then: the store is written first, the
//!   conversation is told afterwards, and an answer leaves out what its bank covers.
//! - A boundary is written after its window. So when a conversation is loaded from a boundary that this fold has not
//!   come to, the windows before it are on the log, and they are read before the position is published.
//! - Windows that are left to this fold to close stay its business: their conversation does not leave RAM before.

use std::time::{Duration, Instant};

use event_log::{Limits, Offset, Partition, Topic, envelope, now};
use memory_core::position::lost;
use memory_core::{Handle, Interval, Seq};
use service_runtime::State;

use crate::NAME;
use crate::api::Recall;
use crate::conversation::Folded;
use crate::error::Error;
use crate::partition::{Ends, Phase};

/// How long to wait for news before looking whether to stop.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// Batches after which a conversation that the store knows leaves RAM.
const REST_BATCHES: u64 = 256;
/// Conversations that may leave RAM after a batch beyond one for each of its events.
const REST_AT_ONCE: usize = 64;
/// How often the end of a partition is asked for, to say how far behind recall is.
const LAG_EVERY: Duration = Duration::from_secs(1);

/// Whose turn it is to be reported: one after the other, since each takes a question to the log.
#[derive(Debug)]
pub(crate) struct Reports {
    count: usize,
    next: usize,
    due: Instant,
}

impl Reports {
    pub(crate) fn of(count: usize) -> Self {
        Self { count: count.max(1), next: 0, due: Instant::now() }
    }

    /// The place of the one to report now, if any.
    pub(crate) fn due(&mut self) -> Option<usize> {
        let now = Instant::now();
        if now < self.due {
            return None;
        }
        self.due = now + LAG_EVERY / u32::try_from(self.count).unwrap_or(u32::MAX);
        let place = self.next;
        self.next = (place + 1) % self.count;
        Some(place)
    }
}

/// One partition on its way: restored in its turn, then folded for ever.
struct Lane {
    partition: Partition,
    ends: Ends,
    /// Where it stands, once the tables of the store are as new as the log was.
    place: Option<Place>,
    serving: bool,
}

/// Where recall stands in one partition.
struct Place {
    partition: Partition,
    interactions: Offset,
    consolidations: Offset,
}

pub(crate) fn run(recall: &Recall) -> Result<(), Error> {
    let parts = recall.parts();
    parts.health.set(NAME, State::Starting);
    let mut lanes = Vec::with_capacity(parts.served.len());
    for partition in &parts.served {
        let ends = Ends::now(&*parts.log, *partition)?;
        recall.lock(*partition).phase = Phase::Restoring(Some(ends));
        recall.metrics().serving.with_label_values(&[&partition.to_string()]).set(0);
        lanes.push(Lane { partition: *partition, ends, place: None, serving: false });
    }
    let (mut ready, mut seen) = (false, 0);
    let mut reports = Reports::of(lanes.len());
    while !parts.stop.is_stopped() {
        let mut busy = false;
        for lane in &mut lanes {
            busy |= lane.turn(recall)?;
        }
        if !ready && lanes.iter().all(|lane| lane.serving) {
            parts.health.set(NAME, State::Ready);
            tracing::info!(partitions = lanes.len(), "recall serves");
            ready = true;
        }
        if let Some(lane) = reports.due().and_then(|place| lanes.get(place)) {
            report(recall, lane);
        }
        if !busy {
            seen = parts.log.wait(seen, IDLE_WAIT);
        }
    }
    Ok(())
}

impl Lane {
    /// One batch; `false` when there was nothing to do.
    fn turn(&mut self, recall: &Recall) -> Result<bool, Error> {
        let Some(place) = &mut self.place else {
            let restored = recall.tables_are_read(self.partition, &self.ends)?;
            if restored {
                self.place = Some(begin(recall, self.partition)?);
            }
            return Ok(restored);
        };
        let busy = turn(recall, place, self.serving)?;
        // A log that was asked for its end and then has nothing more to read was read to that end.
        let at_the_end =
            place.interactions >= self.ends.interactions && place.consolidations >= self.ends.consolidations;
        if !self.serving && (at_the_end || !busy) {
            self.serving = true;
            recall.lock(self.partition).phase = Phase::Serving;
            recall.metrics().serving.with_label_values(&[&self.partition.to_string()]).set(1);
            tracing::info!(partition = %self.partition, "partition serves");
            recall.publish();
        }
        Ok(busy)
    }
}

/// Loads the windows that were closed and not consolidated, and finds where open windows begin.
fn begin(recall: &Recall, partition: Partition) -> Result<Place, Error> {
    let parts = recall.parts();
    let marker = parts.store.open_from(parts.log.id(), partition)?;
    // The tables tell of other topics, which may not be the ones any more that they were.
    marker.read.check(&*parts.log, partition)?;
    parts.store.check_anchor(&*parts.log, &Topic::Consolidations, partition)?;
    let low = parts.log.watermarks(&Topic::Interactions, partition)?.low;
    if let Some(gone) = lost(marker.interactions, low) {
        return Err(Error::Lost { partition, position: gone.from, low });
    }
    let consolidated = parts.store.position(parts.log.id(), &Topic::Consolidations, partition)?;
    let low = parts.log.watermarks(&Topic::Consolidations, partition)?.low;
    let mut state = recall.lock(partition);
    state.folded = marker.interactions;
    state.windows = consolidated.max(low);
    Ok(Place { partition, interactions: marker.interactions, consolidations: consolidated.max(low) })
}

fn turn(recall: &Recall, place: &mut Place, serving: bool) -> Result<bool, Error> {
    let parts = recall.parts();
    let limits = Limits { records: parts.settings.batch_records, bytes: parts.settings.batch_bytes };
    let batch = parts.log.read(&Topic::Interactions, place.partition, place.interactions, limits)?;
    let mut events = Vec::with_capacity(batch.records.len());
    for stored in &batch.records {
        events.extend(parts.interactions.read(parts.store.ring(), place.partition, stored)?);
    }
    let mut lacking = Vec::new();
    if !events.is_empty() {
        let mut state = recall.lock(place.partition);
        for (subject, recorded) in &events {
            if state.load(parts.log.id(), &parts.store, *subject)?.lacks_windows() {
                lacking.push(*subject);
            }
            if state.apply(parts.rules.tenant(&recorded.tenant), *subject, recall.tag(&recorded.tenant), recorded)
                == Folded::Panicked
            {
                recall.metrics().panics.inc();
                tracing::warn!(partition = %place.partition, offset = %recorded.offset, "folding an event panicked; it is left out");
            }
        }
    }
    // These come before the position is published: what was just loaded may lack windows that only the log tells of.
    let windows = follow_windows(recall, place, lacking)?;
    if batch.next == place.interactions {
        return Ok(windows);
    }
    place.interactions = batch.next;
    let mut state = recall.lock(place.partition);
    state.folded(batch.next);
    let most = events.len() + REST_AT_ONCE;
    state.rest(parts.log.id(), &parts.store, REST_BATCHES, parts.settings.conversations_max, most)?;
    drop(state);
    recall.publish();
    // What is read again after a start was recallable long ago.
    if serving {
        let now = now();
        for (_, recorded) in &events {
            let micros = now.micros().saturating_sub(recorded.arrived.micros()).max(0);
            recall.metrics().event_to_recallable.observe(micros as f64 / 1e6);
        }
    }
    Ok(true)
}

/// Reads the windows that closed, and keeps those that neither the fold nor a step has told of. `lacking` are subjects
/// that are known to have windows on the log that were not read.
fn follow_windows(recall: &Recall, place: &mut Place, mut lacking: Vec<Handle>) -> Result<bool, Error> {
    let parts = recall.parts();
    let mut busy = false;
    let mut asked = false;
    loop {
        if !lacking.is_empty() && !asked {
            // Others wrote them: only a log that was asked for its end tells of all that they wrote.
            parts.log.watermarks(&Topic::Consolidations, place.partition)?;
            asked = true;
        }
        let batch = parts.log.read(&Topic::Consolidations, place.partition, place.consolidations, Limits::default())?;
        if batch.next == place.consolidations {
            parts.log.release(NAME, &Topic::Consolidations, place.partition, batch.next)?;
            complain(recall, place.partition, &lacking);
            return Ok(busy);
        }
        busy = true;
        for stored in &batch.records {
            let Some(subject) = envelope::subject_of(&stored.record) else { continue };
            let Some(range) = envelope::range_of(&stored.record) else { continue };
            if !wants(recall, place.partition, subject, range)? {
                continue;
            }
            if let Some(window) = envelope::read_consolidation(parts.store.ring(), stored)? {
                let mut state = recall.lock(place.partition);
                state.load(parts.log.id(), &parts.store, subject)?;
                let tag = window.owner.as_ref().map(|owner| recall.tag(&owner.tenant));
                state.add_closed(subject, tag, window);
                if state.conversation(subject).is_some_and(|conversation| conversation.lacks_windows()) {
                    lacking.push(subject);
                    asked = false;
                }
            }
        }
        place.consolidations = batch.next;
        recall.lock(place.partition).windows = batch.next;
    }
}

/// Says so when windows are gone that no step covers: then the turns in them cannot be found until one does.
fn complain(recall: &Recall, partition: Partition, lacking: &[Handle]) {
    for subject in lacking {
        if recall.lock(partition).give_up_windows(*subject) {
            tracing::error!(%partition, %subject, "closed windows are neither consolidated nor on the log any more");
        }
    }
}

/// Whether a window is news: mostly the fold has just closed the same one.
fn wants(recall: &Recall, partition: Partition, subject: Handle, range: Interval<Seq>) -> Result<bool, Error> {
    if let Some(conversation) = recall.lock(partition).conversation(subject) {
        return Ok(conversation.lacks(range));
    }
    Ok(range.to > recall.parts().store.consolidated(subject)?)
}

/// Shows how far behind a partition is. A log that does not say where it ends right now changes nothing.
fn report(recall: &Recall, lane: &Lane) {
    let metrics = recall.metrics();
    let label = lane.partition.to_string();
    let state = recall.lock(lane.partition);
    metrics.conversations.with_label_values(&[&label]).set(i64::try_from(state.conversations()).unwrap_or(i64::MAX));
    metrics.bank_bytes.set(i64::try_from(state.bank_bytes()).unwrap_or(i64::MAX));
    let folded = state.folded;
    drop(state);
    if let Ok(marks) = recall.parts().log.watermarks(&Topic::Interactions, lane.partition) {
        let lag = marks.high.get().saturating_sub(folded.get());
        metrics.lag.with_label_values(&[&label]).set(i64::try_from(lag).unwrap_or(i64::MAX));
    }
}
