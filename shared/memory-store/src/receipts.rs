//! What became of forgets: the fold of `receipts`, and of the snapshots that carry forgets out.
//!
//! A forget is pending from the snapshot on that erases, until its receipt says that somebody has verified it. Both are
//! read from the log, in any order, so whoever owns the partition next knows what is to be completed.

use std::collections::BTreeMap;

use event_log::{LogId, Offset, Partition, Topic};
use memory_core::forget::{Erased, Receipt, Stage};
use memory_core::subject::TenantTag;
use memory_core::{Handle, ReceiptId, Seq, Timestamp};
use rocksdb::WriteBatch;
use serde::{Deserialize, Serialize};

use crate::keys::{self, KeyKind};
use crate::read::position_bytes;
use crate::{Error, Store, codec};

/// How far a forget has come, and when it got there. The first to say so stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptRow {
    pub subject: Handle,
    pub erased: Erased,
    /// Keys that were destroyed.
    pub keys: u64,
    pub key_destroyed: Option<Timestamp>,
    pub erased_at: Option<Timestamp>,
    pub verified: Option<Timestamp>,
}

impl ReceiptRow {
    /// A forget of which no stage but the first is known.
    #[must_use]
    pub const fn begun(subject: Handle, erased: Erased) -> Self {
        Self { subject, erased, keys: 0, key_destroyed: None, erased_at: None, verified: None }
    }

    /// The last stage that was reached.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        match self {
            Self { verified: Some(_), .. } => Stage::Verified,
            Self { erased_at: Some(_), .. } => Stage::Erased,
            Self { key_destroyed: Some(_), .. } => Stage::KeyDestroyed,
            Self { .. } => Stage::Accepted,
        }
    }

    /// Notes a stage.
    pub fn reached(&mut self, receipt: &Receipt) {
        let at = Some(receipt.at);
        match receipt.stage {
            Stage::Accepted => {}
            Stage::KeyDestroyed => {
                if self.key_destroyed.is_none() {
                    self.keys = receipt.keys;
                }
                self.key_destroyed = self.key_destroyed.or(at);
            }
            Stage::Erased => self.erased_at = self.erased_at.or(at),
            Stage::Verified => self.verified = self.verified.or(at),
        }
    }
}

impl Store {
    /// Folds records of one partition of `receipts` that was read up to `next`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn apply_receipts(
        &self,
        log: LogId,
        partition: Partition,
        receipts: &[Receipt],
        next: Offset,
    ) -> Result<(), Error> {
        let mut write = WriteBatch::default();
        let mut rows: BTreeMap<Vec<u8>, ReceiptRow> = BTreeMap::new();
        for receipt in receipts {
            let key = keys::receipt(receipt.erased.tenant, receipt.erased.receipt);
            let mut row = match rows.remove(&key) {
                Some(row) => row,
                None => self
                    .receipt(receipt.erased.tenant, receipt.erased.receipt)?
                    .unwrap_or_else(|| ReceiptRow::begun(receipt.subject, receipt.erased.clone())),
            };
            row.reached(receipt);
            if row.verified.is_some() {
                write.delete_cf(self.family(KeyKind::Pending), keys::pending(row.subject, row.erased.floor));
            }
            rows.insert(key, row);
        }
        for (key, row) in &rows {
            write.put_cf(self.family(KeyKind::Receipt), key, codec::encode(row));
        }
        let key = keys::position(&Topic::Receipts, partition);
        write.put_cf(self.family(KeyKind::Position), key, position_bytes(log, next));
        self.db.write(write).map_err(|source| Error::Io { what: "write", source })
    }

    /// A tenant's receipt; `None` when the tenant has none of this name, whoever else has, or no snapshot has erased yet.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn receipt(&self, tenant: TenantTag, receipt: ReceiptId) -> Result<Option<ReceiptRow>, Error> {
        let found = self.get(KeyKind::Receipt, &keys::receipt(tenant, receipt))?;
        found.map(|bytes| codec::decode(KeyKind::Receipt, nobody(), &bytes)).transpose()
    }

    /// All receipts, of every tenant: for who looks for one without knowing whose it is.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`].
    pub fn receipts(&self) -> impl Iterator<Item = Result<ReceiptRow, Error>> {
        let rows = self.scan(KeyKind::Receipt, &KeyKind::Receipt.bytes());
        rows.map(|row| codec::decode(KeyKind::Receipt, nobody(), &row?.1))
    }

    /// The forgets of a partition that are not done, each subject's in their order.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Row`], [`Error::Key`].
    pub fn pending(&self, partition: Partition, partitions: u32) -> Result<Vec<ReceiptRow>, Error> {
        let mut pending = Vec::new();
        for row in self.scan(KeyKind::Pending, &KeyKind::Pending.bytes()) {
            let (key, value) = row?;
            let subject = keys::subject_in(KeyKind::Pending, &key)?;
            if subject.partition(partitions) == partition {
                let (tenant, receipt) = codec::decode(KeyKind::Pending, subject, &value)?;
                pending.extend(self.receipt(tenant, receipt)?);
            }
        }
        Ok(pending)
    }

    /// How many stored rows of a subject are sealed with a key that seals from below `floor`, or cannot be opened at all:
    /// what an erased subject must have none of.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn rows_sealed_below(&self, subject: Handle, floor: Seq) -> Result<u64, Error> {
        let kinds = keys::ROW_KINDS.into_iter().chain([KeyKind::SnapshotPart, KeyKind::Boundary, KeyKind::Spill]);
        let mut found = 0;
        for kind in kinds {
            for row in self.scan(kind, &keys::of_subject(kind, subject)) {
                let (_, value) = row?;
                found += u64::from(codec::key_of(&value).is_some_and(|id| id.since() < floor));
            }
        }
        Ok(found)
    }
}

const fn nobody() -> Handle {
    Handle::from_bytes([0; Handle::BYTES])
}
