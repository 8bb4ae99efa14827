//! Reading a topic from its beginning.

use anyhow::Context;
use event_log::{EventLog, Limits, Offset, Partition, Stored, Topic};

/// Calls `see` with every record of a partition below `end`.
pub(crate) fn each(
    log: &dyn EventLog,
    topic: &Topic,
    partition: Partition,
    end: Offset,
    mut see: impl FnMut(&Stored) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut next = log.watermarks(topic, partition)?.low;
    while next < end {
        let batch = match log.read(topic, partition, next, Limits::default()) {
            // Retention goes on meanwhile.
            Err(event_log::Error::Lost { low, .. }) if low > next => {
                next = low;
                continue;
            }
            read => read?,
        };
        for stored in batch.records.iter().filter(|stored| stored.offset < end) {
            see(stored).with_context(|| format!("{topic} partition {partition} offset {}", stored.offset))?;
        }
        if batch.next == next {
            break;
        }
        next = batch.next;
    }
    Ok(())
}
