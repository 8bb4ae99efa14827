//! Where the records of `interactions` went: from their partition and offset in the old log to those in the new one.
//!
//! Records of one old partition keep their order in every new one, so it is enough to remember runs: stretches in
//! which old and new offsets rise together. An import into as many partitions needs a handful of them; one into other
//! partitions needs one per change of subject.

use std::collections::BTreeMap;

use event_log::{Offset, Partition};

/// `count` records from `old` on went to `new` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    old: u64,
    new: u64,
    count: u64,
}

/// The map.
#[derive(Clone, Debug, Default)]
pub(super) struct Offsets {
    runs: BTreeMap<(Partition, Partition), Vec<Run>>,
    /// By new partition, the offset after its last record.
    ends: BTreeMap<Partition, Offset>,
}

impl Offsets {
    /// Notes where one record went. Records of an old partition come in the order of their offsets.
    pub(super) fn note(&mut self, from: (Partition, Offset), to: (Partition, Offset)) {
        let (old, new) = (from.1.get(), to.1.get());
        let runs = self.runs.entry((from.0, to.0)).or_default();
        match runs.last_mut() {
            Some(run) if run.old + run.count == old && run.new + run.count == new => run.count += 1,
            Some(_) | None => runs.push(Run { old, new, count: 1 }),
        }
        self.ends.insert(to.0, to.1.next());
    }

    /// The position in the new partition that divides a subject's events as `position` divided them in the old one:
    /// what was below is below, what was not is not. It holds for subjects that went from the one partition to the
    /// other.
    pub(super) fn translate(&self, from: Partition, to: Partition, position: Offset) -> Offset {
        let runs = self.runs.get(&(from, to)).map(Vec::as_slice).unwrap_or_default();
        let behind = runs.partition_point(|run| run.old + run.count <= position.get());
        match runs.get(behind) {
            // In a gap between runs, the next record is the first that is not below.
            Some(run) => Offset::new(run.new + position.get().saturating_sub(run.old)),
            None => self.ends.get(&to).copied().unwrap_or(Offset::FIRST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Partition = Partition::new(0);
    const B: Partition = Partition::new(1);

    type Place = (Partition, u64);

    fn noted(notes: &[(Place, Place)]) -> Offsets {
        let mut offsets = Offsets::default();
        for (from, to) in notes {
            offsets.note((from.0, Offset::new(from.1)), (to.0, Offset::new(to.1)));
        }
        offsets
    }

    #[test]
    fn a_position_divides_the_same_records_in_the_new_log() {
        // Old partition 0 held records 5, 6, 9 and 12; 6 went elsewhere.
        let offsets =
            noted(&[((A, 5), (A, 0)), ((A, 6), (B, 0)), ((A, 9), (A, 1)), ((A, 12), (A, 2)), ((B, 3), (A, 3))]);
        for (old, new) in [(0, 0), (5, 0), (6, 1), (9, 1), (10, 2), (12, 2), (13, 4), (99, 4)] {
            assert_eq!(offsets.translate(A, A, Offset::new(old)), Offset::new(new), "position {old}");
        }
        assert_eq!(offsets.translate(B, A, Offset::new(3)), Offset::new(3));
        assert_eq!(offsets.translate(A, B, Offset::new(7)), Offset::new(1));
        assert_eq!(offsets.translate(B, B, Offset::new(7)), Offset::new(1), "none of its events is left");
        assert_eq!(Offsets::default().translate(A, A, Offset::new(7)), Offset::FIRST);
    }

    #[test]
    fn a_copy_partition_by_partition_is_one_run() {
        let notes: Vec<_> = (0..1000).map(|n| ((A, n + 40), (A, n))).collect();
        let offsets = noted(&notes);
        assert_eq!(offsets.runs[&(A, A)], [Run { old: 40, new: 0, count: 1000 }]);
    }
}
