//! The thread that follows `interactions` and `consolidations`.

use std::time::Duration;

use event_log::{Limits, Offset, Partition, Topic, envelope};
use memory_core::position::lost;
use memory_core::{Handle, Interval, Seq};
use service_runtime::State;

use crate::NAME;
use crate::api::Recall;
use crate::conversation::Folded;
use crate::error::Error;

/// How long to wait for news before looking whether to stop.
const IDLE_WAIT: Duration = Duration::from_millis(100);
/// Batches after which a conversation that the store knows leaves RAM.
const REST_BATCHES: u64 = 256;
/// Conversations that may leave RAM after a batch beyond one for each of its events.
const REST_AT_ONCE: usize = 64;

/// Where recall stands in one partition.
struct Place {
    partition: Partition,
    interactions: Offset,
    consolidations: Offset,
}

pub(crate) fn run(recall: &Recall) -> Result<(), Error> {
    let parts = recall.parts();
    parts.health.set(NAME, State::Starting);
    let mut places = Vec::new();
    for partition in Partition::all(parts.log.partitions()) {
        places.push(begin(recall, partition)?);
    }
    let mut ready = false;
    let mut seen = 0;
    while !parts.stop.is_stopped() {
        let mut busy = false;
        for place in &mut places {
            busy |= turn(recall, place)?;
        }
        if !busy {
            if !ready {
                // Ready is who has once been at the end of every partition.
                parts.health.set(NAME, State::Ready);
                tracing::info!(partitions = places.len(), "recall runs");
                ready = true;
            }
            seen = parts.log.wait(seen, IDLE_WAIT);
        }
    }
    Ok(())
}

/// Loads the windows that were closed and not consolidated, and finds where open windows begin.
fn begin(recall: &Recall, partition: Partition) -> Result<Place, Error> {
    let parts = recall.parts();
    let marker = parts.store.open_from(parts.log.id(), partition)?;
    let low = parts.log.watermarks(&Topic::Interactions, partition)?.low;
    if let Some(gone) = lost(marker.interactions, low) {
        return Err(Error::Lost { partition, position: gone.from, low });
    }
    let consolidated = parts.store.position(parts.log.id(), &Topic::Consolidations, partition)?;
    let low = parts.log.watermarks(&Topic::Consolidations, partition)?.low;
    Ok(Place { partition, interactions: marker.interactions, consolidations: consolidated.max(low) })
}

fn turn(recall: &Recall, place: &mut Place) -> Result<bool, Error> {
    let parts = recall.parts();
    let limits = Limits { records: parts.settings.batch_records, bytes: parts.settings.batch_bytes };
    let batch = parts.log.read(&Topic::Interactions, place.partition, place.interactions, limits)?;
    let mut events = Vec::with_capacity(batch.records.len());
    for stored in &batch.records {
        events.extend(parts.interactions.read(place.partition, stored)?);
    }
    {
        let mut state = recall.lock(place.partition);
        for (subject, recorded) in &events {
            let owner = || recorded.event.subject(&recorded.tenant);
            state.load(parts.log.id(), &parts.store, *subject, owner)?;
            if state.apply(&parts.rules, *subject, recall.tag(&recorded.tenant), recorded) == Folded::Panicked {
                recall.metrics().panics.inc();
                tracing::warn!(partition = %place.partition, offset = %recorded.offset, "folding an event panicked; it is left out");
            }
        }
    }
    // A boundary that was just loaded may lie above windows that only the log tells of; so these come before the
    // position is published.
    let windows = follow_windows(recall, place)?;
    // A start publishes as well: what lies below its first position is recallable, though nothing of it was folded.
    if batch.next == recall.lock(place.partition).folded {
        return Ok(windows);
    }
    place.interactions = batch.next;
    let mut state = recall.lock(place.partition);
    state.folded(batch.next);
    let most = events.len() + REST_AT_ONCE;
    state.rest(parts.log.id(), &parts.store, REST_BATCHES, parts.settings.conversations_max, most)?;
    report(recall, place, &state)?;
    drop(state);
    recall.publish();
    Ok(true)
}

/// Reads the windows that closed, and keeps those that neither the fold nor a step has told of.
fn follow_windows(recall: &Recall, place: &mut Place) -> Result<bool, Error> {
    let parts = recall.parts();
    let mut busy = false;
    loop {
        let batch = parts.log.read(&Topic::Consolidations, place.partition, place.consolidations, Limits::default())?;
        if batch.next == place.consolidations {
            parts.log.release(NAME, &Topic::Consolidations, place.partition, batch.next)?;
            return Ok(busy);
        }
        busy = true;
        for stored in &batch.records {
            let Some(subject) = envelope::subject_of(&stored.record) else { continue };
            let Some(range) = envelope::range_of(&stored.record) else { continue };
            if !wants(recall, place.partition, subject, range)? {
                continue;
            }
            if let Some(window) = envelope::read_consolidation(stored)? {
                let mut state = recall.lock(place.partition);
                let owner = window.owner.clone();
                state.load(parts.log.id(), &parts.store, subject, || Some(owner))?;
                state.add_closed(subject, recall.tag(&window.owner.tenant), window);
            }
        }
        place.consolidations = batch.next;
    }
}

/// Whether a window is news: mostly the fold has just closed the same one.
fn wants(recall: &Recall, partition: Partition, subject: Handle, range: Interval<Seq>) -> Result<bool, Error> {
    if let Some(conversation) = recall.lock(partition).conversation(subject) {
        return Ok(conversation.lacks(range));
    }
    Ok(range.to > recall.parts().store.consolidated(subject)?)
}

fn report(recall: &Recall, place: &Place, state: &crate::partition::Partition) -> Result<(), Error> {
    let metrics = recall.metrics();
    let label = place.partition.to_string();
    let high = recall.parts().log.watermarks(&Topic::Interactions, place.partition)?.high;
    let lag = high.get().saturating_sub(place.interactions.get());
    metrics.lag.with_label_values(&[&label]).set(i64::try_from(lag).unwrap_or(i64::MAX));
    metrics.conversations.with_label_values(&[&label]).set(i64::try_from(state.conversations()).unwrap_or(i64::MAX));
    metrics.bank_bytes.set(i64::try_from(state.bank_bytes()).unwrap_or(i64::MAX));
    Ok(())
}
