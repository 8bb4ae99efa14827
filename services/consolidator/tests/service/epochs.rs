//! Keys of tenants die when the log has let go of what they sealed, and not before.

use std::sync::Arc;
use std::time::Duration;

use event_log::{
    EventLog, MemLog, MemLogSettings, Offset, Partition, Retention, RetentionByTopic, Topic, envelope, now,
};
use keyring::KeyId;
use memory_core::{TenantId, Timestamp};
use serde_json::json;
use testkit::{BrittleLog, Person, events, wait_until};

use crate::forgetting::all;
use crate::kit::{DEADLINE, PARTITIONS, home, settings, start};

const DAY: i64 = 24 * 60 * 60;

fn tenant() -> TenantId {
    TenantId::try_new("t").expect("a tenant")
}

/// Publishes what somebody said so many days ago, sealed with the key of that day.
fn publish(log: &BrittleLog, days_ago: i64, user: &str) -> KeyId {
    let then = now().plus_seconds(-days_ago * DAY);
    let tag = tenant().tag(&testkit::secret());
    let key = log.ring().epoch(tag, then).expect("a key");
    let subject = Person::new("t", user).handle();
    let value = json!({"id": format!("{user}-{days_ago}"), "user_id": user, "content": "I moved to Berlin."});
    let recorded = events::recorded(&tenant(), then, Offset::FIRST, &value);
    let record = envelope::interaction(log.ring(), key, tag, subject, &tenant(), then, &*recorded.event);
    let record = record.expect("its key is alive");
    let appended = log.inner().append(&Topic::Interactions, subject.partition(PARTITIONS), vec![record]);
    appended.expect("there is room").wait().expect("it is durable");
    key
}

/// Every record that is there can be read.
fn assert_readable(log: &BrittleLog, count: usize) {
    let events = all(log, &Topic::Interactions);
    assert_eq!(events.len(), count);
    for stored in events {
        let (_, recorded) = envelope::read_interaction(log.ring(), &stored).expect("it reads").expect("an event");
        assert!(recorded.event.user_id.is_some(), "{:?} has lost its key", recorded.event);
    }
}

fn let_go_of_what_is_old(log: &BrittleLog, at: Timestamp) {
    for partition in Partition::all(PARTITIONS) {
        let high = log.watermarks(&Topic::Interactions, partition).expect("it exists").high;
        log.release("everybody", &Topic::Interactions, partition, high).expect("it exists");
    }
    log.maintain(at).expect("it trims");
}

/// In every partition the oldest record counts, and a partition that is empty says nothing.
// law: L09
#[test]
fn a_key_dies_when_the_log_holds_nothing_that_it_sealed() {
    let retention = RetentionByTopic {
        interactions: Retention::by_age(Duration::from_secs(9 * 24 * 60 * 60)),
        ..RetentionByTopic::default()
    };
    let settings_of_log = MemLogSettings { partitions: PARTITIONS, retention, ..MemLogSettings::default() };
    let log = Arc::new(BrittleLog::new(MemLog::with_settings(settings_of_log)));
    let mut users = (0..100).map(|number| format!("u{number}"));
    let mut of = |partition| {
        let mut found =
            users.by_ref().filter(|user| Person::new("t", user).handle().partition(PARTITIONS) == partition);
        found.next().expect("one of so many")
    };
    let (one, other) = (of(Partition::new(0)), of(Partition::new(1)));
    // Two days and their ends lie between the first and the second, and less between the second and the third.
    let oldest = publish(&log, 14, &other);
    let old = publish(&log, 8, &one);
    let younger = publish(&log, 6, &other);
    let today = publish(&log, 0, &one);
    let home = home(&log);
    let service = start(&log, &home, settings(16));
    let looked =
        || Partition::all(PARTITIONS).all(|partition| log.read_to(&Topic::Interactions, partition) > Offset::FIRST);
    wait_until(DEADLINE, "it has looked", looked);
    // A look ends before the next thing is read, and the next look is far away.
    let waits = log.waits();
    wait_until(DEADLINE, "it looks for news again", || log.waits() > waits + 1);
    assert!([oldest, old, younger, today].iter().all(|key| log.ring().is_held(*key)), "what it sealed is there");
    assert_readable(&log, 4);
    let_go_of_what_is_old(&log, now());
    assert_readable(&log, 3);
    wait_until(DEADLINE, "the key is destroyed", || !log.ring().is_held(oldest));
    assert!([old, younger, today].iter().all(|key| log.ring().is_held(*key)), "what they sealed is there");
    assert_readable(&log, 3);
    assert_eq!(service.metric("memos_epoch_keys_destroyed_total"), 1);
    service.stop().expect("it was told to");
}
