//! Writes the topics of a log into an archive: all of them but `keys`. A key that lay in an archive could not be destroyed any
//! more, so keys never leave the place where they are kept.

use std::io::Write;

use anyhow::Context;
use event_log::{EventLog, Limits, Partition, Topic};
use memory_core::HashSecret;

use crate::commands::log::archive::{Commit, Counts, Header, Writer};

/// Writes the archive of `log`.
pub(super) fn write(log: &dyn EventLog, secret: &HashSecret, out: impl Write) -> anyhow::Result<Counts> {
    let topics: Vec<Topic> = log.topics().into_iter().filter(|topic| *topic != Topic::Keys).collect();
    let header = Header::new(log.id(), log.partitions(), secret, topics.clone(), commits(log, &topics)?);
    let mut writer = Writer::begin(out, &header)?;
    for topic in &topics {
        for partition in Partition::all(log.partitions_of(topic)) {
            write_partition(log, topic, partition, &mut writer)
                .with_context(|| format!("export {topic}/{partition}"))?;
        }
    }
    writer.finish()
}

/// How far the gateway had come in each inlet. Everything below was judged and stands on another topic already.
fn commits(log: &dyn EventLog, topics: &[Topic]) -> anyhow::Result<Vec<Commit>> {
    let mut commits = Vec::new();
    for topic in topics.iter().filter(|topic| matches!(topic, Topic::Inlet(_))) {
        for partition in Partition::all(log.partitions_of(topic)) {
            let next = log.committed(gateway::INLET_GROUP, topic, partition).context("read a committed position")?;
            commits.extend(next.map(|next| Commit { topic: topic.clone(), partition, next }));
        }
    }
    Ok(commits)
}

fn write_partition(
    log: &dyn EventLog,
    topic: &Topic,
    partition: Partition,
    writer: &mut Writer<impl Write>,
) -> anyhow::Result<()> {
    let range = log.watermarks(topic, partition)?;
    let mut at = range.low;
    while at < range.high {
        let batch = log.read(topic, partition, at, Limits::default())?;
        for stored in &batch.records {
            writer.record(topic, partition, stored)?;
        }
        anyhow::ensure!(batch.next > at, "the log answers nothing at offset {at}, below its end {}", range.high);
        at = batch.next;
    }
    Ok(())
}
