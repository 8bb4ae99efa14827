//! What an owner reads before it folds anything: the states at window ends, and the windows that were logged after them.

use std::collections::HashMap;

use event_log::anchor;
use event_log::envelope::{self, OpenFrom};
use event_log::{EventLog, Limits, Offset, Partition, Topic};
use keyring::Keyring;
use memory_core::position::lost;
use memory_core::{Handle, Interval, Seq};
use memory_store::Replica;
use tokio::task::yield_now;

use crate::Error;

/// Windows on the log whose boundaries may not have been written, by subject, oldest first.
pub(crate) type Logged = HashMap<Handle, Vec<Interval<Seq>>>;

/// Where to begin, and the windows that stand on the log already. Whatever else the thread has to do gets its turn
/// between two batches; `None` when it is to end before all is read.
pub(crate) async fn restore(
    replica: &Replica,
    partition: Partition,
    limits: Limits,
    ends: impl Fn() -> bool,
) -> Result<Option<(OpenFrom, Logged)>, Error> {
    let (log, store) = (replica.log(), replica.store());
    if ends() {
        return Ok(None);
    }
    // It looks how far the topics go, so that what a former owner wrote is read.
    replica.begin(partition)?;
    while replica.advance_working(partition)? {
        yield_now().await;
        if ends() {
            return Ok(None);
        }
    }
    let mut marker = store.open_from(log.id(), partition)?;
    marker.read.check(&**log, partition)?;
    let low = log.watermarks(&Topic::Interactions, partition)?.low;
    if let Some(gone) = lost(marker.interactions, low) {
        return Err(Error::Lost { partition, position: gone.from, low });
    }
    let mut logged = Logged::new();
    let mut next = marker.consolidations.max(log.watermarks(&Topic::Consolidations, partition)?.low);
    loop {
        let batch = log.read(&Topic::Consolidations, partition, next, limits)?;
        if batch.next == next {
            return Ok(Some((marker, logged)));
        }
        next = batch.next;
        let newest = batch.records.last().map(|stored| anchor::of(stored.offset, &stored.record));
        marker.read.consolidations = marker.read.consolidations.max(newest);
        for stored in &batch.records {
            let subject = envelope::subject_of(&stored.record);
            if let (Some(subject), Some(range)) = (subject, envelope::range_of(&stored.record)) {
                follow(logged.entry(subject).or_default(), range);
            }
        }
        yield_now().await;
        if ends() {
            return Ok(None);
        }
    }
}

/// Adds a window as the consolidator takes it: what earlier windows cover already is a repeat, and the rest stands.
fn follow(windows: &mut Vec<Interval<Seq>>, window: Interval<Seq>) {
    let end = windows.last().map_or(window.from, |last| last.to);
    windows.extend(rest(window, end));
}

/// What of a window lies at or above a position; `None` when nothing.
pub(crate) fn rest(window: Interval<Seq>, position: Seq) -> Option<Interval<Seq>> {
    (window.to > position).then(|| Interval { from: window.from.max(position), to: window.to })
}

/// The events of one subject in `[from, to)` of its partition, for building an actor again.
pub(crate) fn events_of(
    log: &dyn EventLog,
    ring: &Keyring,
    partition: Partition,
    subject: Handle,
    from: Offset,
    to: Offset,
) -> Result<Vec<memory_core::Recorded>, Error> {
    let mut events = Vec::new();
    let mut next = from;
    while next < to {
        let batch = log.read(&Topic::Interactions, partition, next, Limits::default())?;
        if batch.next == next {
            break;
        }
        next = batch.next;
        for stored in batch.records.iter().filter(|stored| stored.offset < to) {
            if envelope::subject_of(&stored.record) == Some(subject) {
                events.extend(envelope::read_interaction(ring, stored)?.map(|(_, recorded)| recorded));
            }
        }
    }
    Ok(events)
}
