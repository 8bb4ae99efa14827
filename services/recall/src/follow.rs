//! The thread that follows `memories` and `working` where no other part of the process does: in recall's own process.
//!
//! Recall's store is one more replica, resumed from the positions that it holds itself (law L02); when it was deleted it
//! is built again from the beginning of `memories`. Recall reads only: records that lost against an earlier one are
//! for their writers to bury.

use std::time::Duration;

use event_log::{Partition, Topic};
use memory_store::Replica;
use service_runtime::Stop;

use crate::api::Recall;
use crate::error::Error;
use crate::fold::Reports;

/// How long to wait for news before looking whether to stop.
const IDLE_WAIT: Duration = Duration::from_millis(100);

pub(crate) fn run(recall: &Recall, replica: &Replica) -> Result<(), Error> {
    let parts = recall.parts();
    for partition in &parts.served {
        // It asks the log where it ends as well: what follows reads at least up to there.
        replica.begin(*partition)?;
        if !catch_up(replica, *partition, &parts.stop)? {
            return Ok(());
        }
        recall.lock(*partition).tables_read = true;
        tracing::info!(%partition, "long-term memory is restored");
    }
    let mut seen = 0;
    let mut reports = Reports::of(parts.served.len());
    while !parts.stop.is_stopped() {
        let mut busy = false;
        for partition in &parts.served {
            busy |= replica.advance_working(*partition)?;
            busy |= replica.advance(*partition)?.is_some();
            busy |= replica.advance_receipts(*partition)?;
        }
        if let Some(partition) = reports.due().and_then(|place| parts.served.get(place)) {
            report(recall, *partition)?;
        }
        if !busy {
            seen = parts.log.wait(seen, IDLE_WAIT);
        }
    }
    Ok(())
}

/// Reads both to the end; `false` when told to stop before that.
fn catch_up(replica: &Replica, partition: Partition, stop: &Stop) -> Result<bool, Error> {
    while !stop.is_stopped() {
        if !replica.advance_working(partition)? && replica.advance(partition)?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Shows how far behind the store is. A log that does not say where it ends right now changes nothing.
fn report(recall: &Recall, partition: Partition) -> Result<(), Error> {
    let parts = recall.parts();
    for topic in [Topic::Memories, Topic::Working] {
        let read = parts.store.position(parts.log.id(), &topic, partition)?;
        if let Ok(marks) = parts.log.watermarks(&topic, partition) {
            let lag = i64::try_from(marks.high.get().saturating_sub(read.get())).unwrap_or(i64::MAX);
            let labels = [topic.to_string(), partition.to_string()];
            recall.metrics().replica_lag.with_label_values(&labels).set(lag);
        }
    }
    Ok(())
}
