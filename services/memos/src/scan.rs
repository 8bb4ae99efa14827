//! Reading a topic from its beginning.

use anyhow::Context;
use event_log::{EventLog, Limits, Offset, Partition, Stored, Topic};

use crate::secret;

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

/// A topic that is not empty, where there is one. What every new log begins with does not count: it is not read. Keys do not
/// either: they may come before the records or after them.
pub(crate) fn first_with_records(log: &dyn EventLog) -> anyhow::Result<Option<Topic>> {
    for topic in log.topics().into_iter().filter(|topic| *topic != Topic::Keys) {
        if has_records(log, &topic)? {
            return Ok(Some(topic));
        }
    }
    Ok(None)
}

/// Whether a topic holds anything but what every new log begins with.
pub(crate) fn has_records(log: &dyn EventLog, topic: &Topic) -> anyhow::Result<bool> {
    for partition in Partition::all(log.partitions_of(topic)) {
        let mut at = log.watermarks(topic, partition)?.low;
        loop {
            let batch = log.read(topic, partition, at, Limits::default())?;
            if batch.records.iter().any(|stored| !secret::is_check(&stored.record)) {
                return Ok(true);
            }
            if batch.next == at {
                break;
            }
            at = batch.next;
        }
    }
    Ok(false)
}
