//! Data of before a forget, under keys of after it: a backup was put back, or an archive was imported.
//!
//! The keys that a forget destroyed stay destroyed, so nothing derived can be read. But the forget itself is not on the log:
//! events of a window that was open can still be opened with the key of their day, and what the subject says from now on would
//! be sealed with keys that are dead. So the forget is said again, as an event, before anything else is taken in. It takes
//! everything: whatever was kept of the subject then is unreadable already.

use std::collections::BTreeMap;

use anyhow::Context;
use event_log::{EventLog, Partition, Record, Stored, Topic, envelope, now};
use keyring::Keyring;
use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq};

use crate::scan::each;

/// Records that one append holds at most.
const APPEND_MAX: usize = 1_000;

/// Appends the forgets of which the ring knows and the log does not, and answers how many. `known` says from where on keys
/// seal of a subject as far as that is known without reading the log; less than the truth costs a look at all steps.
///
/// # Errors
/// When the log cannot be read or written.
pub(crate) fn forget_again(
    log: &dyn EventLog,
    ring: &Keyring,
    known: impl Fn(Handle) -> anyhow::Result<Seq>,
) -> anyhow::Result<usize> {
    let mut lacking: BTreeMap<Partition, BTreeMap<Handle, Seq>> = BTreeMap::new();
    for (subject, floor) in ring.floors() {
        if known(subject)? < floor {
            lacking.entry(subject.partition(log.partitions())).or_default().insert(subject, floor);
        }
    }
    let mut count = 0;
    for (partition, mut floors) in lacking {
        drop_known(log, ring, partition, &mut floors)?;
        if !floors.is_empty() {
            count += floors.len();
            append(log, ring, partition, &floors).context("forget once more what was forgotten in a later log")?;
        }
    }
    if count > 0 {
        tracing::warn!(
            subjects = count,
            "this data is from before they were forgotten; they are forgotten in it as well"
        );
    }
    Ok(count)
}

/// Drops the subjects whose forget is on the log: a snapshot is there before any key is destroyed.
fn drop_known(
    log: &dyn EventLog,
    ring: &Keyring,
    partition: Partition,
    floors: &mut BTreeMap<Handle, Seq>,
) -> anyhow::Result<()> {
    each(log, &Topic::Memories, partition, log.watermarks(&Topic::Memories, partition)?.high, |stored| {
        let Some(subject) = envelope::subject_of(&stored.record) else { return Ok(()) };
        let Some(floor) = floors.get(&subject).copied() else { return Ok(()) };
        if sealed_from(ring, stored)? >= floor {
            floors.remove(&subject);
        }
        Ok(())
    })
}

/// From where on the keys seal that a step says to be alive.
fn sealed_from(ring: &Keyring, stored: &Stored) -> anyhow::Result<Seq> {
    let key = envelope::sealed_with(&stored.record).map_or(Seq::FIRST, |id| id.since());
    let step = envelope::read_step(ring, stored)?;
    Ok(step.as_ref().and_then(|step| step.erased()).map_or(key, |erased| key.max(erased.floor)))
}

fn append(
    log: &dyn EventLog,
    ring: &Keyring,
    partition: Partition,
    floors: &BTreeMap<Handle, Seq>,
) -> anyhow::Result<()> {
    let mut tenants: BTreeMap<Handle, TenantTag> = BTreeMap::new();
    each(log, &Topic::Interactions, partition, log.watermarks(&Topic::Interactions, partition)?.high, |stored| {
        let subject = envelope::subject_of(&stored.record).filter(|subject| floors.contains_key(subject));
        if let (Some(subject), Some(tenant)) = (subject, envelope::tenant_of(&stored.record)) {
            tenants.insert(subject, tenant);
        }
        Ok(())
    })?;
    let record = |(subject, floor): (&Handle, &Seq)| -> anyhow::Result<Record> {
        // Of whom nothing is on the log there is nothing to hide; no tenant has that name.
        let tenant = tenants.get(subject).copied().unwrap_or_else(|| TenantTag::from_bytes([0; 16]));
        let key = ring.epoch(tenant, now())?;
        Ok(envelope::forget_again(ring, key, tenant, *subject, *floor, now())?)
    };
    let records = floors.iter().map(record).collect::<anyhow::Result<Vec<Record>>>()?;
    for some in records.chunks(APPEND_MAX) {
        log.append(&Topic::Interactions, partition, some.to_vec())?.wait()?;
    }
    Ok(())
}
