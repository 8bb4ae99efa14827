//! What an owner reads before it folds anything: the states at window ends, and the windows that were logged after them.

use std::collections::HashMap;

use event_log::envelope::{self, OpenFrom};
use event_log::{EventLog, Limits, Offset, Partition, Topic};
use memory_core::position::lost;
use memory_core::{Handle, Interval, Seq};
use memory_store::Store;

use crate::Error;

/// Windows on the log whose boundaries may not have been written, by subject, oldest first.
pub(crate) type Logged = HashMap<Handle, Vec<Interval<Seq>>>;

/// Brings the table of a partition up to the end of `working`, as every reader of that topic does.
pub(crate) fn catch_up_table(log: &dyn EventLog, store: &Store, partition: Partition) -> Result<(), Error> {
    loop {
        let from = store.position(log.id(), &Topic::Working, partition)?;
        let batch = log.read(&Topic::Working, partition, from, Limits::default())?;
        if batch.next == from {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(batch.records.len());
        for stored in &batch.records {
            rows.extend(envelope::read_working(stored)?);
        }
        store.apply_working(log.id(), partition, &rows, batch.next)?;
    }
}

/// Where to begin, and the windows that stand on the log already.
pub(crate) fn restore(log: &dyn EventLog, store: &Store, partition: Partition) -> Result<(OpenFrom, Logged), Error> {
    catch_up_table(log, store, partition)?;
    let marker = store.open_from(log.id(), partition)?;
    let low = log.watermarks(&Topic::Interactions, partition)?.low;
    if let Some(gone) = lost(marker.interactions, low) {
        return Err(Error::Lost { partition, position: gone.from, low });
    }
    let mut logged = Logged::new();
    let mut next = marker.consolidations.max(log.watermarks(&Topic::Consolidations, partition)?.low);
    loop {
        let batch = log.read(&Topic::Consolidations, partition, next, Limits::default())?;
        if batch.next == next {
            break;
        }
        next = batch.next;
        for stored in &batch.records {
            let subject = envelope::subject_of(&stored.record);
            if let (Some(subject), Some(range)) = (subject, envelope::range_of(&stored.record)) {
                logged.entry(subject).or_default().push(range);
            }
        }
    }
    Ok((marker, logged))
}

/// The events of one subject in `[from, to)` of its partition, for building an actor again.
pub(crate) fn events_of(
    log: &dyn EventLog,
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
                events.extend(envelope::read_interaction(stored)?.map(|(_, recorded)| recorded));
            }
        }
    }
    Ok(events)
}
