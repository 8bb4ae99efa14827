//! Data of before a forget, under keys of after it: a backup was put back, or an archive was imported.
//!
//! The keys that a forget destroyed stay destroyed, so nothing derived can be read. But the forget itself is not on the log:
//! events of a window that was open can still be opened with the key of their day, and what the subject says from now on would
//! be sealed with keys that are dead. So the forget is said again, as an event, before anything else is taken in. It takes
//! everything: whatever was kept of the subject then is unreadable already.

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::Context;
use event_log::{EventLog, Partition, Record, Stored, Topic, envelope, now};
use keyring::Keyring;
use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq};

use crate::scan::each;

/// Records that one append holds at most.
const APPEND_MAX: usize = 1_000;

/// Appends the forgets of which the ring knows and the log does not, and answers how many. `is_known` says whether
/// keys of a subject seal from there on, as far as that can be said without reading the log; a no costs a look at all steps.
///
/// # Errors
/// When the log cannot be read or written.
pub(crate) fn forget_again(
    log: &dyn EventLog,
    ring: &Keyring,
    is_known: impl Fn(Handle, Seq) -> anyhow::Result<bool>,
) -> anyhow::Result<usize> {
    let mut lacking: BTreeMap<Partition, BTreeMap<Handle, Seq>> = BTreeMap::new();
    for (subject, floor) in ring.floors() {
        if !is_known(subject, floor)? {
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

/// The same for a log on Kafka that keys or records were brought to, of which no store is at hand.
///
/// # Errors
/// As [`forget_again`].
pub(crate) fn forget_again_aloud(log: &dyn EventLog, ring: &Keyring, out: &mut impl Write) -> anyhow::Result<()> {
    let again = forget_again(log, ring, |_, _| Ok(false))?;
    if again > 0 {
        writeln!(out, "the log is from before {again} subjects were forgotten: they are forgotten in it as well")?;
    }
    Ok(())
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

#[cfg(test)]
mod tests {
    use event_log::{Limits, MemLog, Offset};
    use memory_core::Control;
    use memory_core::forget::Scope;
    use memory_core::step::Step;
    use testkit::{fold, lively_history, seal};
    use uuid::Uuid;

    use super::*;

    fn again(log: &dyn EventLog, ring: &Keyring) -> usize {
        forget_again(log, ring, |_, _| Ok(false)).expect("the log takes it")
    }

    // law: L09
    #[test]
    fn only_what_the_log_does_not_know_of_is_forgotten_again() {
        let folded = fold(&lively_history(11, 6, 400));
        let (whole, before, ring) = (MemLog::new(2), MemLog::new(2), Keyring::in_memory().expect("a ring"));
        let mut since: BTreeMap<Handle, Seq> = BTreeMap::new();
        for step in &folded.steps {
            let since = since.entry(step.subject).or_insert(Seq::FIRST);
            let erased = step.erased();
            *since = erased.map_or(*since, |erased| erased.floor);
            let record = seal::step(&ring, *since, step, Uuid::nil(), None);
            let partition = step.subject.partition(2);
            let append = |log: &MemLog| log.append(&Topic::Memories, partition, vec![record.clone()]);
            append(&whole).expect("room").wait().expect("durable");
            if erased.is_none() {
                append(&before).expect("room").wait().expect("durable");
            }
        }
        for (subject, floor) in folded.steps.iter().filter_map(|step: &Step| Some((step.subject, step.erased()?.floor)))
        {
            ring.destroy(subject, floor).expect("it is destroyed");
        }
        assert!(ring.floors().len() > 2, "somebody is forgotten");
        assert_eq!(again(&whole, &ring), 0, "whoever has the snapshots knows");
        let empty = MemLog::new(2);
        assert_eq!(again(&empty, &ring), ring.floors().len());
        for partition in Partition::all(2) {
            let batch =
                empty.read(&Topic::Interactions, partition, Offset::FIRST, Limits::default()).expect("it reads");
            for stored in &batch.records {
                let (subject, event) =
                    envelope::read_interaction(&ring, stored).expect("an event").expect("no tombstone");
                let told = Control::Forget { scope: Scope::Everything, floor: Some(ring.floor(subject)) };
                assert_eq!(event.event.control.as_deref(), Some(&told));
            }
        }
        // What came after the last forget is sealed from there on, and says so as well.
        let silent = folded.people.iter().filter(|(_, person)| {
            let last = person.steps.iter().rposition(|step| step.erased().is_some());
            last.is_some_and(|last| last + 1 == person.steps.len())
        });
        assert_eq!(again(&before, &ring), silent.count());
    }
}
