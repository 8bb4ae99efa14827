//! The one value on the log that holds an offset of the log it lies in: a subject's state on `working`.

use anyhow::Context;
use event_log::envelope::{self, Working};
use event_log::{LogId, Offset, Record, Stored};

/// Rewrites the coordinates of a record of `working` for another log; `None` when it says nothing there.
///
/// A state says that the subject's events below `folded` of its partition of `interactions` are in it, and names the
/// log that this offset belongs to. In the new log the same events end at `place(folded)`. What names a third log was
/// ignored in the old one already, and stays as it is. How far a partition is folded is no subject's: the reader in the
/// new log finds it out by reading from the beginning.
///
/// # Errors
/// When the record is not one that working-memory writes. It is better to have no new log than one in which a
/// subject's events are folded twice or never.
pub(super) fn translate_working_row(
    row: Stored,
    old: LogId,
    new: LogId,
    place: impl Fn(Offset) -> Offset,
) -> anyhow::Result<Option<Record>> {
    match envelope::read_working(&row).context("read a record of `working`")? {
        Some(Working::Boundary { log, mut boundary }) if log == old => {
            boundary.folded = place(boundary.folded);
            Ok(Some(envelope::working(Working::Boundary { log: new, boundary }, row.record.timestamp)))
        }
        Some(Working::Open { .. }) => Ok(None),
        Some(Working::Boundary { .. }) | None => Ok(Some(row.record)),
    }
}

#[cfg(test)]
mod tests {
    use event_log::envelope::OpenFrom;
    use memory_core::{HashSecret, Subject, TenantId, Timestamp, WorkingMemory};
    use uuid::Uuid;

    use super::*;

    const OLD: LogId = LogId::new(Uuid::from_u128(1));
    const NEW: LogId = LogId::new(Uuid::from_u128(2));
    const OTHER: LogId = LogId::new(Uuid::from_u128(3));

    fn row(log: LogId, folded: u64) -> Record {
        let tenant = TenantId::try_new("t").expect("a tenant");
        let owner = Subject::owner(&tenant, Some("u"), None, None).expect("an owner");
        let mut boundary = WorkingMemory::new(owner.handle(&HashSecret::new([1; 32])), owner).state().clone();
        boundary.folded = Offset::new(folded);
        envelope::working(Working::Boundary { log, boundary: Box::new(boundary) }, Timestamp::EPOCH)
    }

    fn translated(record: Record) -> anyhow::Result<Option<Record>> {
        let place = |offset: Offset| Offset::new(offset.get() + 100);
        translate_working_row(Stored { offset: Offset::new(5), record }, OLD, NEW, place)
    }

    #[test]
    fn the_offset_moves_with_the_log_it_belongs_to() {
        assert_eq!(translated(row(OLD, 7)).expect("a row"), Some(row(NEW, 107)));
        assert_eq!(translated(row(OTHER, 7)).expect("a row"), Some(row(OTHER, 7)));
        let tombstone = Record { value: None, ..row(OLD, 7) };
        assert_eq!(translated(tombstone.clone()).expect("a tombstone"), Some(tombstone));
        let open = Working::Open { log: OLD, partition: event_log::Partition::new(0), marker: OpenFrom::default() };
        assert_eq!(translated(envelope::working(open, Timestamp::EPOCH)).expect("a row"), None);
    }

    #[test]
    fn a_row_of_another_shape_is_an_error() {
        assert!(translated(Record { value: Some(b"{}".to_vec()), ..row(OLD, 7) }).is_err());
    }
}
