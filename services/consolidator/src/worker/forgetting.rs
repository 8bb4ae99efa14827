//! Carrying out forgets, and destroying the keys of old days.
//!
//! The order is: a snapshot of what is left, then the keys, then tombstones for the steps before it, then a look at what is
//! there, then the receipt. Each is durable before the next, and each may be done again. That a forget is not done is written
//! in the store with the snapshot, so whoever owns the partition next goes on where this one stopped (law L09).

use std::time::{Duration, Instant};

use event_log::{EventLog, Limits, Partition, Timestamp, Topic, envelope, now};
use keyring::Owner;
use memory_core::Handle;
use memory_core::forget::{Receipt, Stage};
use memory_core::step::Step;
use memory_core::subject::TenantTag;
use memory_store::{ReceiptRow, StepNumbers};

use super::{Decided, Forgetting, Worker, append};
use crate::error::Error;

/// How often the keys of old days are looked at.
const EPOCHS_ROUND: Duration = Duration::from_secs(10);

impl Worker {
    /// Carries a forget out on what is stored. Where another writer was first, it is read and decided again.
    pub(super) fn forget(&mut self, partition: Partition, forget: &Forgetting) -> Result<(), Error> {
        let Forgetting { window, offset, consumed } = forget;
        let subject = window.subject;
        let rows = self.store.rows(subject)?;
        let StepNumbers { chain, tenant, consolidated, .. } = self.store.step_numbers(subject)?;
        if consolidated != window.from {
            return Ok(());
        }
        let tenant = window.owner.as_ref().map(|owner| self.store.tag(&owner.tenant)).or(tenant);
        let tenant = tenant.unwrap_or_else(|| TenantTag::from_bytes([0; 16]));
        let steps = rows.decide(window, tenant, Some(consumed.clone()));
        // A skeleton needs no key: of who is forgotten none is left at all.
        let key = if steps.iter().all(Step::is_bare) {
            None
        } else {
            let since = steps.iter().find_map(Step::erased).map_or(window.to, |erased| erased.floor);
            self.store.ring().of_subjects(&[(subject, since)], now())?.pop().flatten()
        };
        let decided: Vec<Decided> = steps.into_iter().map(|step| Decided { step, after: chain.after(), key }).collect();
        let applied = self.append_and_apply(partition, &decided)?;
        self.banks.forget(|of| of == subject);
        if applied {
            self.next.insert(partition, offset.next());
            self.metrics.windows.with_label_values(&["new"]).inc();
            self.complete_forgets(partition)?;
        }
        Ok(())
    }

    /// Completes the forgets of a partition that have a snapshot and no receipt yet.
    pub(super) fn complete_forgets(&mut self, partition: Partition) -> Result<(), Error> {
        while self.replica.advance_receipts(partition)? {}
        for row in self.store.pending(partition, self.log.partitions())? {
            self.complete_forget(partition, row)?;
        }
        Ok(())
    }

    fn complete_forget(&mut self, partition: Partition, row: ReceiptRow) -> Result<(), Error> {
        let (subject, floor) = (row.subject, row.erased.floor);
        let mut reached: Vec<Receipt> = Vec::new();
        let mut reach = |stage, keys: u64| {
            let erased = row.erased.clone();
            reached.push(Receipt { subject, stage, at: now(), keys, erased });
        };
        // Every time: a former owner may have made a key since.
        let keys = self.store.ring().destroy(subject, floor)?;
        if row.key_destroyed.is_none() {
            reach(Stage::KeyDestroyed, u64::try_from(keys).unwrap_or(u64::MAX));
        }
        let buried = row.erased_at.is_some() || self.bury_replaced(partition, &row)?;
        if buried {
            if row.erased_at.is_none() {
                reach(Stage::Erased, 0);
            }
            if self.nothing_is_left(&row)? {
                reach(Stage::Verified, 0);
            }
        }
        if reached.is_empty() {
            return Ok(());
        }
        for receipt in &reached {
            self.metrics.forgets.with_label_values(&[receipt.erased.scope.as_str(), receipt.stage.as_str()]).inc();
            tracing::info!(%subject, receipt = %receipt.erased.receipt, stage = receipt.stage.as_str(), "forgetting");
        }
        let now = now();
        let records = reached.iter().map(|receipt| envelope::receipt(receipt, now)).collect();
        append(&*self.log, &Topic::Receipts, partition, records)?;
        while self.replica.advance_receipts(partition)? {}
        Ok(())
    }

    /// Tombstones for the steps that the snapshot replaced; `false` while some that lost to them must stay.
    fn bury_replaced(&mut self, partition: Partition, row: &ReceiptRow) -> Result<bool, Error> {
        let from = self.store.step_numbers(row.subject)?.snapshot_from;
        let replaced = self.store.step_records(row.subject, from)?;
        let mut buried = self.settled_losers(partition, Some(row.subject))?;
        let all = self.store.losers(Some(row.subject))?.len() == buried.len();
        if all {
            buried.extend(replaced);
        }
        self.bury(partition, buried)?;
        Ok(all)
    }

    /// Looks for what must not be there: a key, a row, a step of the time before.
    fn nothing_is_left(&self, row: &ReceiptRow) -> Result<bool, Error> {
        let (subject, floor) = (row.subject, row.erased.floor);
        let ring = self.store.ring();
        ring.refresh(Owner::Subject(subject))?;
        let keys = ring.of_subject(subject).into_iter().filter(|id| id.since() < floor).count();
        // The table of working memory follows its own topic, and may be a moment behind.
        let rows = self.store.rows_sealed_below(subject, floor)?;
        let steps = self.store.step_records(subject, self.store.step_numbers(subject)?.snapshot_from)?.len();
        if keys > 0 || rows > 0 || steps > 0 {
            tracing::debug!(%subject, keys, rows, steps, "a forget is not verified yet");
        }
        Ok(keys == 0 && rows == 0 && steps == 0)
    }

    /// Destroys keys that a former owner of subjects has made since they were forgotten.
    pub(super) fn bury_late_keys(&self, partition: Partition) -> Result<(), Error> {
        // Keys are kept by partition, and this handle is of that one.
        let any = Handle::from_bytes(u128::from(partition.get()).to_be_bytes());
        let buried = self.store.ring().bury_late(Owner::Subject(any))?;
        if buried > 0 {
            tracing::warn!(%partition, keys = buried, "keys of a life that was forgotten came late, and are destroyed");
        }
        Ok(())
    }

    /// Destroys keys of days of which the log holds nothing any more. The owner of the first partition does it for all.
    pub(super) fn destroy_old_epochs(&mut self) -> Result<(), Error> {
        if self.looked_at_epochs.elapsed() < EPOCHS_ROUND || !self.next.contains_key(&Partition::new(0)) {
            return Ok(());
        }
        self.looked_at_epochs = Instant::now();
        let ring = self.store.ring();
        // No gateway seals with a key for longer than an epoch; as long again is for what was under way, and for clocks.
        let lasts = ring.epoch_seconds().saturating_mul(2);
        let old: Vec<_> = ring.epochs().into_iter().filter(|(_, made, _)| now().seconds_since(*made) > lasts).collect();
        if old.is_empty() {
            return Ok(());
        }
        let Some(oldest) = oldest_sealed(&*self.log)? else { return Ok(()) };
        let dead: Vec<_> = old
            .into_iter()
            .filter(|(_, made, _)| oldest.seconds_since(*made) > lasts)
            .map(|(tenant, _, id)| (tenant, id))
            .collect();
        if !dead.is_empty() {
            ring.destroy_epochs(&dead)?;
            tracing::info!(keys = dead.len(), "keys of days that the log has let go of are destroyed");
            self.metrics.epochs_destroyed.inc_by(u64::try_from(dead.len()).unwrap_or(u64::MAX));
        }
        Ok(())
    }
}

/// When the oldest record that is sealed with a tenant's key was made; the present where there is none. `None` when a
/// partition cannot be read right now.
fn oldest_sealed(log: &dyn EventLog) -> Result<Option<Timestamp>, Error> {
    let mut oldest = now();
    let one = Limits { records: 1, bytes: 1 };
    for topic in log.topics() {
        let sealed = match topic {
            Topic::Interactions | Topic::DeadLetters | Topic::Inlet(_) => true,
            Topic::Consolidations | Topic::Working | Topic::Memories | Topic::Keys | Topic::Receipts => false,
        };
        for partition in Partition::all(log.partitions_of(&topic)).filter(|_| sealed) {
            let low = log.watermarks(&topic, partition)?.low;
            match log.read(&topic, partition, low, one) {
                Ok(batch) => {
                    // On an inlet of Kafka stands what products write, which no key of ours has sealed.
                    let first = batch.records.first().filter(|first| envelope::sealed_with(&first.record).is_some());
                    oldest = first.map_or(oldest, |first| oldest.min(first.record.timestamp));
                }
                // It was trimmed in between.
                Err(event_log::Error::Lost { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Some(oldest))
}
