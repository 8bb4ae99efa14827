//! The thread that follows `memories` and `working` where no other part of the process does: in recall's own process.
//!
//! Recall's store is one more replica, resumed from the positions that it holds itself (law L02); when it was deleted it
//! is built again from the beginning of `memories`. Recall reads only: records that lost against an earlier one are
//! for their writers to bury.

use std::time::Duration;

use event_log::{Partition, Topic};
use memory_store::Replica;

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
        catch_up(replica, *partition)?;
        recall.lock(*partition).tables_read = true;
        tracing::info!(%partition, "long-term memory is restored");
        if parts.stop.is_stopped() {
            return Ok(());
        }
    }
    let mut seen = 0;
    let mut reports = Reports::of(parts.served.len());
    while !parts.stop.is_stopped() {
        for partition in &parts.served {
            catch_up(replica, *partition)?;
        }
        if let Some(partition) = reports.due().and_then(|place| parts.served.get(place)) {
            report(recall, *partition)?;
        }
        seen = parts.log.wait(seen, IDLE_WAIT);
    }
    Ok(())
}

fn catch_up(replica: &Replica, partition: Partition) -> Result<(), Error> {
    replica.catch_up_working(partition)?;
    drop(replica.catch_up(partition)?);
    Ok(())
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
