//! The one value on the log that holds an offset of the log it lies in: a subject's state on `working`.

use anyhow::Context;
use event_log::{LogId, Offset, Record, Stored, envelope};

/// Rewrites the coordinates of a record of `working` for another log; `None` when it says nothing there.
///
/// A state says that the subject's events below an offset of its partition of `interactions` are in it, and names the log
/// that this offset belongs to. In the new log the same events end at `place(offset)`. What names a third log was ignored
/// in the old one already, and stays as it is. How far a partition is folded is no subject's: the reader in the new log
/// finds it out by reading from the beginning. No key is needed: the words of a state stay sealed.
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
    // Only the states of subjects are keyed by one.
    if envelope::subject_of(&row.record).is_none() {
        return Ok(None);
    }
    let moved = envelope::moved(&row, old, new, place).context("read a record of `working`")?;
    Ok(Some(moved.unwrap_or(row.record)))
}

#[cfg(test)]
mod tests {
    use event_log::envelope::{OpenFrom, Working};
    use keyring::Keyring;
    use memory_core::{HashSecret, Seq, Subject, TenantId, Timestamp, WorkingMemory};
    use uuid::Uuid;

    use super::*;

    const OLD: LogId = LogId::new(Uuid::from_u128(1));
    const NEW: LogId = LogId::new(Uuid::from_u128(2));
    const OTHER: LogId = LogId::new(Uuid::from_u128(3));

    fn boundary(log: LogId, folded: u64) -> Working {
        let tenant = TenantId::try_new("t").expect("a tenant");
        let owner = Subject::owner(&tenant, Some("u"), None, None).expect("an owner");
        let mut boundary = WorkingMemory::new(owner.handle(&HashSecret::new([1; 32])), owner).state().clone();
        boundary.folded = Offset::new(folded);
        Working::Boundary { log, boundary: Box::new(boundary) }
    }

    fn row(ring: &Keyring, working: &Working) -> Record {
        let Working::Boundary { boundary, .. } = working else { unreachable!("it is a boundary") };
        let keys = ring.of_subjects(&[(boundary.subject, Seq::FIRST)], Timestamp::EPOCH).expect("a key");
        envelope::working(ring, keys[0], working.clone(), Timestamp::EPOCH).expect("it is sealed")
    }

    fn translated(record: Record) -> anyhow::Result<Option<Record>> {
        let place = |offset: Offset| Offset::new(offset.get() + 100);
        translate_working_row(Stored { offset: Offset::new(5), record }, OLD, NEW, place)
    }

    #[test]
    fn the_offset_moves_with_the_log_it_belongs_to() {
        let ring = Keyring::in_memory().expect("a ring");
        let read = |record: Record| {
            let stored = Stored { offset: Offset::FIRST, record };
            envelope::read_working(&ring, &stored).expect("it opens").expect("no tombstone")
        };
        let moved = translated(row(&ring, &boundary(OLD, 7))).expect("a row").expect("it says something");
        assert_eq!(read(moved), boundary(NEW, 107), "and its words are still there");
        let of_another = row(&ring, &boundary(OTHER, 7));
        assert_eq!(translated(of_another.clone()).expect("a row"), Some(of_another.clone()));
        let tombstone = Record { value: None, headers: Vec::new(), ..of_another };
        assert_eq!(translated(tombstone.clone()).expect("a tombstone"), Some(tombstone));
        let open = Working::Open { log: OLD, partition: event_log::Partition::new(0), marker: OpenFrom::default() };
        let open = envelope::working(&ring, None, open, Timestamp::EPOCH).expect("nothing is sealed");
        assert_eq!(translated(open).expect("a row"), None);
    }

    #[test]
    fn a_row_of_another_shape_is_an_error() {
        let ring = Keyring::in_memory().expect("a ring");
        let mut record = row(&ring, &boundary(OLD, 7));
        record.headers[0].1 = Some(b"{}".to_vec());
        assert!(translated(record).is_err());
    }
}
