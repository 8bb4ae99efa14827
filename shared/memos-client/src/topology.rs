//! Which instances of recall hold which partitions.
//!
//! It is arithmetic over the number of instances and the replication factor, known to recall and to the gateway alike:
//! nobody has to ask anybody who serves a subject, and no group has to agree on it.

use memory_core::Partition;

/// How partitions are spread over the instances of recall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Topology {
    instances: u32,
    factor: u32,
}

impl Topology {
    /// One instance that holds everything.
    pub const SINGLE: Self = Self { instances: 1, factor: 1 };

    /// `instances` of recall, `factor` of which hold each partition; `None` unless 1 ≤ factor ≤ instances.
    #[must_use]
    pub const fn try_new(instances: u32, factor: u32) -> Option<Self> {
        if 1 <= factor && factor <= instances { Some(Self { instances, factor }) } else { None }
    }

    /// How many instances there are.
    #[must_use]
    pub const fn instances(self) -> u32 {
        self.instances
    }

    /// How many of them hold each partition.
    #[must_use]
    pub const fn factor(self) -> u32 {
        self.factor
    }

    /// The ordinals of the instances that hold a partition.
    pub fn instances_of(self, partition: Partition) -> impl Iterator<Item = u32> + Clone {
        let first = partition.get() % self.instances;
        (0..self.factor).map(move |k| (first + k) % self.instances)
    }

    /// Whether the instance with this ordinal holds a partition.
    #[must_use]
    pub fn holds(self, ordinal: u32, partition: Partition) -> bool {
        self.instances_of(partition).any(|instance| instance == ordinal)
    }

    /// Which of a log's partitions the instance with this ordinal holds.
    #[must_use]
    pub fn partitions_of(self, ordinal: u32, partitions: u32) -> Vec<Partition> {
        Partition::all(partitions).filter(|partition| self.holds(ordinal, *partition)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_is_held_by_as_many_instances_as_asked_for() {
        for instances in 1..=7 {
            for factor in 1..=instances {
                let topology = Topology::try_new(instances, factor).expect("within bounds");
                for partition in Partition::all(12) {
                    let mut holders: Vec<u32> = topology.instances_of(partition).collect();
                    holders.sort_unstable();
                    holders.dedup();
                    assert_eq!(holders.len(), usize::try_from(factor).expect("few"), "{topology:?} {partition}");
                    let held = |ordinal| topology.partitions_of(ordinal, 12).contains(&partition);
                    assert!((0..instances).all(|ordinal| held(ordinal) == holders.contains(&ordinal)));
                }
            }
        }
        for (instances, factor) in [(0, 0), (0, 1), (2, 0), (2, 3)] {
            assert_eq!(Topology::try_new(instances, factor), None);
        }
    }
}
