//! Keys at a real broker: they are found again, and what was destroyed is gone once the topic was compacted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use event_log::kafka::topics;
use event_log::keys::{Follower, KeyTopic, Settings};
use event_log::{EventLog, Offset, Partition, Timestamp, Topic, conformance};
use keyring::{Key, Keyring, Owner, RootKey, Roots};
use memory_core::{Handle, Seq};
use testkit::wait_until;

use crate::kit::{BROKER, open, read_to_end, settings, topic_settings};

const LONG: Duration = Duration::from_secs(60);

fn keys(log: &Arc<dyn EventLog>) -> (Keyring, Follower) {
    let roots = Arc::new(Roots::new(RootKey::new(Key::new([1; 32])), Vec::new()));
    let all = Partition::all(conformance::PARTITIONS);
    KeyTopic::open(Arc::clone(log), roots, all, Settings::default()).expect("the topic opens")
}

#[test]
fn a_destroyed_key_is_gone_from_the_broker_once_the_topic_was_compacted() {
    let settings = settings(BROKER.bootstrap());
    let mut wanted = topic_settings();
    let brief = [
        ("segment.ms", "300"),
        ("delete.retention.ms", "1000"),
        ("max.compaction.lag.ms", "500"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    let brief: BTreeMap<String, String> =
        brief.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    wanted.extra.insert(Topic::Keys, brief);
    topics::ensure(&settings, &wanted).expect("the topics can be made");
    let log: Arc<dyn EventLog> = Arc::new(open(&settings));
    let (ring, _follower) = keys(&log);
    let subjects: Vec<Handle> = (0..6).map(|number| Handle::from_bytes([number; 16])).collect();
    let since: Vec<(Handle, Seq)> = subjects.iter().map(|subject| (*subject, Seq::FIRST)).collect();
    let ids = ring.of_subjects(&since, Timestamp::EPOCH).expect("keys");
    let ids: Vec<_> = ids.into_iter().map(|id| id.expect("it is not forgotten")).collect();

    // Another process has them, and hears of the end of one by itself.
    let elsewhere: Arc<dyn EventLog> = Arc::new(open(&settings));
    let (other, _other) = keys(&elsewhere);
    assert!(ids.iter().all(|id| other.is_held(*id)));
    assert_eq!(ring.destroy(subjects[0], Seq::new(3)).expect("it is destroyed"), 1);
    wait_until(LONG, "the other process heard of it", || !other.is_held(ids[0]));
    assert!(other.is_fresh(Owner::Subject(subjects[0])));

    let partition = subjects[0].partition(conformance::PARTITIONS);
    let key = [subjects[0].as_bytes().as_slice(), ids[0].as_bytes()].concat();
    // What is compacted is closed segments, so something has to be written behind.
    let mut number = 0_u128;
    wait_until(LONG, "the broker has compacted the key away", || {
        number += 1;
        let same_partition = (number + 1_000) * u128::from(conformance::PARTITIONS) + u128::from(partition.get());
        let behind = Handle::from_bytes(same_partition.to_be_bytes());
        ring.of_subjects(&[(behind, Seq::FIRST)], Timestamp::EPOCH).expect("a key");
        let fresh: Arc<dyn EventLog> = Arc::new(open(&settings));
        let all = read_to_end(&*fresh, &Topic::Keys, partition, Offset::FIRST);
        all.iter().all(|stored| stored.record.key != key || stored.record.value.is_none())
    });
    let fresh: Arc<dyn EventLog> = Arc::new(open(&settings));
    let (reader, _reader) = keys(&fresh);
    assert!(!reader.is_held(ids[0]));
    assert_eq!(reader.floor(subjects[0]), Seq::new(3));
    assert!(ids[1..].iter().all(|id| reader.is_held(*id)));
}
