//! Topics as they were made, and topics that are not the ones they were.

use event_log::kafka::topics::{self, State};
use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::{Error, ErrorKind, EventLog, Offset, Partition, Record, Topic, anchor};
use rdkafka::admin::AdminOptions;
use testkit::wait_until;

use crate::kit::{BROKER, admin, blocking, new_log, open, read_to_end, record, settings, topic_settings};

const ZERO: Partition = Partition::new(0);

#[test]
fn topics_are_made_once_and_looked_at_after_that() {
    let settings = settings(BROKER.bootstrap());
    let wanted = topic_settings();
    let missing = topics::verify(&settings, &wanted).expect("the broker says");
    assert_eq!(missing.len(), Topic::FIXED.len() + 1);
    assert!(missing.iter().all(|finding| finding.state == State::Missing && finding.found == "missing"));
    let unopened = KafkaLog::open(&settings);
    assert!(matches!(unopened, Err(Error::NoTopic { .. })), "{unopened:?}");
    let made = topics::ensure(&settings, &wanted).expect("they can be made");
    assert_eq!(made.iter().filter(|finding| finding.state == State::Created).count(), Topic::FIXED.len() + 1);
    let id = open(&settings).id();
    for findings in [topics::ensure(&settings, &wanted), topics::verify(&settings, &wanted)] {
        let findings = findings.expect("they are there");
        let other: Vec<_> = findings.iter().filter(|finding| finding.state != State::Ok).collect();
        assert!(other.is_empty(), "{other:?}");
    }
    assert_eq!(open(&settings).id(), id, "the log keeps its name");
}

#[test]
fn what_differs_is_reported_and_not_changed() {
    let settings = settings(BROKER.bootstrap());
    let mut other = topic_settings();
    other.retention_days.interactions = 2;
    topics::ensure(&settings, &other).expect("they can be made");
    for _ in 0..2 {
        let findings = topics::ensure(&settings, &topic_settings()).expect("they are there");
        let differs: Vec<_> = findings.iter().filter(|finding| finding.state == State::Differs).collect();
        assert_eq!(differs.len(), 1, "{differs:?}");
        assert_eq!((differs[0].what.as_str(), differs[0].found.as_str()), ("retention.ms", "172800000"));
        assert!(differs[0].topic.ends_with("interactions"));
    }
}

#[test]
fn another_count_of_partitions_is_an_error() {
    let settings = settings(BROKER.bootstrap());
    new_log(&settings);
    let more = KafkaSettings { partitions: 3, ..settings };
    let asked = |error: Option<Error>| matches!(error, Some(Error::TopicPartitions { has: 2, asked: 3, .. }));
    assert!(asked(KafkaLog::open(&more).err()));
    assert!(asked(topics::ensure(&more, &topic_settings()).err()));
    assert!(asked(topics::verify(&more, &topic_settings()).err()));
}

#[test]
fn processes_that_set_up_the_topics_at_once_agree_on_the_name() {
    let settings = settings(BROKER.bootstrap());
    let ids: Vec<_> = std::thread::scope(|scope| {
        let one = || {
            topics::ensure(&settings, &topic_settings()).expect("they can be made");
            open(&settings).id()
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert!(ids.windows(2).all(|two| two[0] == two[1]), "{ids:?}");
    let log = open(&settings);
    assert_eq!(log.id(), ids[0]);
    assert_eq!(read_to_end(&log, &Topic::Memories, ZERO, Offset::FIRST), [], "certificates are not read");
}

fn delete(settings: &KafkaSettings, topic: &Topic) {
    let name = format!("{}{topic}", settings.topic_prefix);
    let options = AdminOptions::new();
    blocking(admin(BROKER.bootstrap()).delete_topics(&[&name], &options)).expect("it is deleted");
    wait_until(std::time::Duration::from_secs(30), "the topic is gone", || {
        let found = topics::verify(settings, &topic_settings()).expect("the broker says");
        found.iter().any(|finding| finding.topic == name && finding.found == "missing")
    });
}

#[test]
fn a_compacted_topic_that_was_made_anew_stops_everybody() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    log.append(&Topic::Interactions, ZERO, vec![record("k", "v")]).expect("there is room").wait().expect("durable");
    drop(log);
    delete(&settings, &Topic::Working);
    let created_anew = |error: Option<Error>| {
        let error = error.expect("it is not the topic it was");
        assert!(matches!(&error, Error::CreatedAnew { name, .. } if name.ends_with("working")), "{error}");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    };
    for _ in 0..2 {
        // The topic is there again, and still not what it was.
        created_anew(topics::ensure(&settings, &topic_settings()).err());
        created_anew(KafkaLog::open(&settings).err());
    }
}

#[test]
fn another_logs_topic_under_the_same_name_is_recognised() {
    let settings = settings(BROKER.bootstrap());
    new_log(&settings);
    for topic in [Topic::Memories, Topic::Working, Topic::Keys] {
        delete(&settings, &topic);
    }
    // With all of them gone nothing says which log it was, so the other topics have to: they are not empty.
    let refused = topics::ensure(&settings, &topic_settings());
    assert!(matches!(refused, Err(Error::CreatedAnew { .. })), "{refused:?}");
}

#[test]
fn a_setting_up_that_was_interrupted_is_completed() {
    let settings = settings(BROKER.bootstrap());
    let name = |topic: &Topic| format!("{}{topic}", settings.topic_prefix);
    BROKER.create_topic(&name(&Topic::Memories), 2, &[("cleanup.policy", "compact")]);
    BROKER.create_topic(&name(&Topic::Interactions), 2, &[]);
    topics::ensure(&settings, &topic_settings()).expect("the rest is made");
    let log = open(&settings);
    log.append(&Topic::Memories, ZERO, vec![record("k", "v")]).expect("there is room").wait().expect("durable");
    assert_eq!(read_to_end(&log, &Topic::Memories, ZERO, Offset::FIRST).len(), 1);
}

#[test]
fn a_position_of_a_topic_that_was_made_anew_is_beyond_it() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    let topic = Topic::DeadLetters;
    log.append(&topic, ZERO, vec![record("k", "v"); 10]).expect("there is room").wait().expect("durable");
    let position = log.watermarks(&topic, ZERO).expect("the broker says").high;
    drop(log);
    delete(&settings, &topic);
    topics::ensure(&settings, &topic_settings()).expect("it is made anew");
    let read = open(&settings).read(&topic, ZERO, position, event_log::Limits::default());
    assert!(matches!(read, Err(Error::Beyond { .. })), "{read:?}");
}

/// Once it has grown past the position, only what was read tells.
#[test]
fn another_record_in_the_place_of_one_that_was_read_is_found_out() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    let topic = Topic::Interactions;
    let headers = vec![("a".to_owned(), Some(b"1".to_vec())), ("b".to_owned(), None)];
    let last = Record { headers, ..record("k", "last") };
    let append = |log: &KafkaLog, records| {
        log.append(&topic, ZERO, records).expect("there is room").wait().expect("durable").pop().expect("one")
    };
    let offset = append(&log, vec![record("k", "v"), record("k", "v"), last.clone()]);
    let known = anchor::of(offset, &last);
    anchor::check(&log, &topic, ZERO, &known).expect("what is read is what was written");
    drop(log);
    anchor::check(&open(&settings), &topic, ZERO, &known).expect("it is the same topic");
    delete(&settings, &topic);
    topics::ensure(&settings, &topic_settings()).expect("it is made anew");
    let log = open(&settings);
    append(&log, vec![record("k", "new"); 9]);
    let error = anchor::check(&log, &topic, ZERO, &known).expect_err("another record is there");
    assert!(
        matches!(&error, Error::Replaced { topic: Topic::Interactions, offset: at, .. } if *at == offset),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn a_topic_that_is_deleted_under_a_reader_is_an_error() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    let topic = Topic::Receipts;
    read_to_end(&log, &topic, ZERO, Offset::FIRST);
    delete(&settings, &topic);
    let gone = log.watermarks(&topic, ZERO);
    assert!(matches!(gone, Err(Error::NoTopic { .. })), "{gone:?}");
    let gone = log.read(&topic, ZERO, Offset::FIRST, event_log::Limits::default());
    assert!(matches!(gone, Err(Error::NoTopic { .. })), "{gone:?}");
}
