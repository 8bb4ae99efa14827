//! Where readers stand: the commits of stateless groups and the releases of stateful readers.
//!
//! Both say up to where a topic was read, so both hold retention back. A reader that is known for one partition of a
//! topic counts as standing at the beginning of the others: it will come to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Offset, Partition, Topic};

type ByPartition = BTreeMap<Partition, Offset>;
type ByReader = BTreeMap<String, BTreeMap<Topic, ByPartition>>;

/// All known positions, in the form in which the local log stores them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Positions {
    commits: ByReader,
    releases: ByReader,
}

impl Positions {
    pub(crate) fn commit(&mut self, group: &str, topic: &Topic, partition: Partition, next: Offset) {
        entry(&mut self.commits, group, topic).insert(partition, next);
    }

    pub(crate) fn committed(&self, group: &str, topic: &Topic, partition: Partition) -> Option<Offset> {
        self.commits.get(group)?.get(topic)?.get(&partition).copied()
    }

    pub(crate) fn release(&mut self, reader: &str, topic: &Topic, partition: Partition, up_to: Offset) {
        let at = entry(&mut self.releases, reader, topic).entry(partition).or_default();
        *at = up_to.max(*at);
    }

    /// The lowest position of all readers of this topic; `None` when nobody is known to read it.
    pub(crate) fn unread_from(&self, topic: &Topic, partition: Partition) -> Option<Offset> {
        let readers = self.commits.values().chain(self.releases.values());
        readers
            .filter_map(|topics| topics.get(topic))
            .map(|partitions| partitions.get(&partition).copied().unwrap_or(Offset::FIRST))
            .min()
    }
}

fn entry<'a>(readers: &'a mut ByReader, name: &str, topic: &Topic) -> &'a mut ByPartition {
    // Readers commit often and their names rarely change: look before allocating a key.
    if !readers.contains_key(name) {
        readers.insert(name.to_owned(), BTreeMap::new());
    }
    readers.get_mut(name).expect("was inserted above").entry(topic.clone()).or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_reader_counts_also_where_it_has_not_been_yet() {
        let (zero, one) = (Partition::new(0), Partition::new(1));
        let mut positions = Positions::default();
        assert_eq!(positions.unread_from(&Topic::Interactions, zero), None);
        positions.release("recall", &Topic::Interactions, zero, Offset::new(9));
        positions.commit("gateway", &Topic::Interactions, zero, Offset::new(4));
        assert_eq!(positions.unread_from(&Topic::Interactions, zero), Some(Offset::new(4)));
        assert_eq!(positions.unread_from(&Topic::Interactions, one), Some(Offset::FIRST));
        positions.release("recall", &Topic::Interactions, zero, Offset::new(2));
        positions.commit("gateway", &Topic::Interactions, zero, Offset::new(20));
        assert_eq!(
            positions.unread_from(&Topic::Interactions, zero),
            Some(Offset::new(9)),
            "a release never goes back"
        );
    }
}
