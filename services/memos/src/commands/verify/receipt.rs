//! `memos verify --receipt`: whether a forget is what its receipt says.
//!
//! It believes nothing of the receipt but what was to be forgotten, and looks itself: for keys, for rows, and through every
//! topic for records of the subject from before, which of them can still be opened, and when that ends.

use std::io::Write;

use anyhow::Context;
use event_log::{EventLog, Partition, Stored, Topic, envelope};
use keyring::Keyring;
use memory_core::forget::Stage;
use memory_core::{Handle, ReceiptId, Seq, Timestamp};
use memory_store::{ReceiptRow, Store};

use super::Report;
use crate::scan::each;

/// Verifies one receipt against the store, the log and the keys.
pub(super) fn verify(
    id: ReceiptId,
    store: Option<&Store>,
    log: &dyn EventLog,
    ring: &Keyring,
    report: &mut Report<'_, impl Write>,
) -> anyhow::Result<()> {
    let row = find(id, store, log)?.with_context(|| format!("there is no receipt {id} here"))?;
    let (subject, floor) = (row.subject, row.erased.floor);
    let stage = row.stage();
    report.line(
        stage == Stage::Verified,
        &format!(
            "receipt {id}: {} of subject {subject}, {} memories from {} sources, is {}",
            row.erased.scope,
            row.erased.memories,
            row.erased.sources,
            stage.as_str()
        ),
    )?;
    let keys = ring.of_subject(subject).into_iter().filter(|key| key.since() < floor).count();
    report.line(keys == 0, &format!("keys: {keys} from before the forget"))?;
    if let Some(store) = store {
        let rows = store.rows_sealed_below(subject, floor)?;
        report.line(rows == 0, &format!("store: {rows} rows from before the forget"))?;
    }
    for topic in [Topic::Consolidations, Topic::Working, Topic::Memories] {
        let (dead, readable) = derived(log, ring, &topic, subject, floor)?;
        let text = format!("{topic}: {dead} records from before that nobody can open, {readable} that somebody can");
        report.line(readable == 0, &text)?;
    }
    let left = events(log, ring, subject, row.erased.accepted)?;
    report.line(true, &format!("interactions: {left} events from before, masked; they die with the keys of their days"))
}

fn find(id: ReceiptId, store: Option<&Store>, log: &dyn EventLog) -> anyhow::Result<Option<ReceiptRow>> {
    if let Some(store) = store {
        for row in store.receipts() {
            let row = row?;
            if row.erased.receipt == id {
                return Ok(Some(row));
            }
        }
    }
    let mut found: Option<ReceiptRow> = None;
    for partition in Partition::all(log.partitions()) {
        let end = log.watermarks(&Topic::Receipts, partition)?.high;
        each(log, &Topic::Receipts, partition, end, |stored| {
            let receipt = envelope::read_receipt(stored)?.filter(|receipt| receipt.erased.receipt == id);
            if let Some(receipt) = receipt {
                found
                    .get_or_insert_with(|| ReceiptRow::begun(receipt.subject, receipt.erased.clone()))
                    .reached(&receipt);
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// How many records of a derived topic are sealed with a key of before: those that are dead, and those that are not.
fn derived(
    log: &dyn EventLog,
    ring: &Keyring,
    topic: &Topic,
    subject: Handle,
    floor: Seq,
) -> anyhow::Result<(u64, u64)> {
    let (mut dead, mut readable) = (0, 0);
    of_subject(log, topic, subject, |stored| {
        if let Some(key) = envelope::sealed_with(&stored.record).filter(|key| key.since() < floor) {
            if ring.is_held(key) {
                readable += 1;
            } else {
                dead += 1;
            }
        }
        Ok(())
    })?;
    Ok((dead, readable))
}

/// How many events from before are still on the log, and readable for whoever has the key of their day.
fn events(log: &dyn EventLog, ring: &Keyring, subject: Handle, accepted: Timestamp) -> anyhow::Result<u64> {
    let mut left = 0;
    of_subject(log, &Topic::Interactions, subject, |stored| {
        let readable = envelope::sealed_with(&stored.record).is_some_and(|key| ring.is_held(key));
        left += u64::from(readable && stored.record.timestamp < accepted);
        Ok(())
    })?;
    Ok(left)
}

fn of_subject(
    log: &dyn EventLog,
    topic: &Topic,
    subject: Handle,
    mut see: impl FnMut(&Stored) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let partition = subject.partition(log.partitions());
    let end = log.watermarks(topic, partition)?.high;
    each(log, topic, partition, end, |stored| match envelope::subject_of(&stored.record) {
        Some(of) if of == subject => see(stored),
        Some(_) | None => Ok(()),
    })
}
