//! Fills a new log from an archive.
//!
//! Every record goes to the partition of its subject, which its key begins with, so the new log may have another number
//! of partitions; the order of a subject's records stays. What is not keyed by a subject (inlets, dead letters that
//! came without one) keeps its partition, modulo the new number.
//!
//! Two things are left out because they say nothing in the new log: records of an inlet that were judged already, and
//! rows of `working` that belong to a partition and not to a subject.

use std::collections::BTreeMap;
use std::io::BufRead;

use anyhow::Context;
use event_log::{EventLog, Offset, Partition, Record, Stored, Topic, envelope};

use crate::commands::log::archive::{Archive, Archived, Counts, Header};
use crate::commands::log::offsets::Offsets;
use crate::commands::log::working::translate_working_row;

/// Bytes that wait to be appended together.
const BATCH_BYTES: usize = 4 << 20;

/// Fills `log`, which is empty.
pub(super) fn run(mut archive: Archive<impl BufRead>, log: &dyn EventLog) -> anyhow::Result<Counts> {
    let header = archive.header.clone();
    let mut import =
        Import { log, header, offsets: Offsets::default(), batch: Batch::default(), counts: Counts::default() };
    while let Some(archived) = archive.next()? {
        import.take(archived)?;
    }
    import.append()?;
    Ok(import.counts)
}

struct Import<'a> {
    log: &'a dyn EventLog,
    header: Header,
    offsets: Offsets,
    batch: Batch,
    counts: Counts,
}

/// Records of one old partition, by their new one.
#[derive(Default)]
struct Batch {
    source: Option<(Topic, Partition)>,
    records: BTreeMap<Partition, (Vec<Offset>, Vec<Record>)>,
    bytes: usize,
}

impl Import<'_> {
    fn take(&mut self, archived: Archived) -> anyhow::Result<()> {
        self.counts.records += 1;
        let source = (archived.topic.clone(), archived.partition);
        if self.batch.source.as_ref() != Some(&source) || self.batch.bytes >= BATCH_BYTES {
            self.append()?;
            self.batch.source = Some(source);
        }
        let offset = archived.stored.offset;
        if self.is_done_with(&archived) {
            self.counts.skipped += 1;
            return Ok(());
        }
        let to = route(&archived, self.log.partitions_of(&archived.topic));
        let Some(record) = self.translate(&archived.topic, archived.partition, to, archived.stored)? else {
            self.counts.skipped += 1;
            return Ok(());
        };
        self.batch.bytes += record.weight();
        let (offsets, records) = self.batch.records.entry(to).or_default();
        offsets.push(offset);
        records.push(record);
        Ok(())
    }

    fn translate(
        &self,
        topic: &Topic,
        from: Partition,
        to: Partition,
        stored: Stored,
    ) -> anyhow::Result<Option<Record>> {
        if *topic != Topic::Working {
            return Ok(Some(stored.record));
        }
        let offset = stored.offset;
        let place = |position| self.offsets.translate(from, to, position);
        translate_working_row(stored, self.header.log, self.log.id(), place)
            .with_context(|| format!("translate {topic}/{from} offset {offset}"))
    }

    /// Whether the gateway has judged this record of an inlet, so that what became of it stands on another topic.
    fn is_done_with(&self, archived: &Archived) -> bool {
        self.header.commits.iter().any(|commit| {
            let here = commit.topic == archived.topic && commit.partition == archived.partition;
            here && archived.stored.offset < commit.next
        })
    }

    fn append(&mut self) -> anyhow::Result<()> {
        let Batch { source, records, bytes: _ } = std::mem::take(&mut self.batch);
        let Some((topic, from)) = source else { return Ok(()) };
        let mut waiting = Vec::new();
        for (to, (old, records)) in records {
            let appended = self.log.append(&topic, to, records).with_context(|| format!("append to {topic}/{to}"))?;
            waiting.push((to, old, appended));
        }
        for (to, old, appended) in waiting {
            let new = appended.wait().with_context(|| format!("append to {topic}/{to}"))?;
            if topic == Topic::Interactions {
                old.into_iter().zip(new).for_each(|(old, new)| self.offsets.note((from, old), (to, new)));
            }
        }
        Ok(())
    }
}

/// The partition of a record in a log with `partitions` of them.
fn route(archived: &Archived, partitions: u32) -> Partition {
    let kept = Partition::new(archived.partition.get() % partitions);
    match archived.topic {
        Topic::Interactions | Topic::Consolidations | Topic::Working | Topic::Memories | Topic::Receipts => {
            let subject = envelope::subject_of(&archived.stored.record);
            subject.map_or(kept, |subject| subject.partition(partitions))
        }
        // Keyed by whoever published it, or by an id; nobody looks for it by partition. Keys are in no archive.
        Topic::Keys | Topic::DeadLetters | Topic::Inlet(_) => kept,
    }
}
