//! What a reader gets to see, and what it is told when it cannot.

use std::time::{Duration, Instant};

use event_log::kafka::{KafkaLog, KafkaSettings};
use event_log::{Error, EventLog, Limits, Offset, Partition, Topic, conformance};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminOptions;
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use testkit::wait_until;

use crate::kit::{BROKER, admin, blocking, new_log, open, read_to_end, record, settings, values};

const ZERO: Partition = Partition::new(0);
const PATIENT: Duration = Duration::from_secs(30);

fn inlet() -> Topic {
    Topic::Inlet(conformance::inlet())
}

#[test]
fn what_another_process_wrote_is_seen_after_asking_where_it_ends() {
    let settings = settings(BROKER.bootstrap());
    let (writer, reader) = (new_log(&settings), open(&settings));
    assert_eq!(writer.id(), reader.id());
    for round in 0..20 {
        let before = reader.watermarks(&Topic::Working, ZERO).expect("the broker says").high;
        let records = (0..50).map(|i| record("k", &format!("{round}.{i}"))).collect();
        writer.append(&Topic::Working, ZERO, records).expect("there is room").wait().expect("it is durable");
        let read = values(&read_to_end(&reader, &Topic::Working, ZERO, before));
        assert_eq!(read, (0..50).map(|i| format!("{round}.{i}")).collect::<Vec<_>>());
    }
}

#[test]
fn a_reader_at_the_end_is_woken_by_what_others_write() {
    let settings = settings(BROKER.bootstrap());
    let (writer, reader) = (new_log(&settings), open(&settings));
    let mut next = reader.watermarks(&Topic::Interactions, ZERO).expect("the broker says").high;
    for value in ["first", "second", "third"] {
        let seen = reader.wait(0, Duration::ZERO);
        let batch = reader.read(&Topic::Interactions, ZERO, next, Limits::default()).expect("the end can be read");
        assert_eq!((batch.records.len(), batch.next), (0, next));
        let began = Instant::now();
        writer
            .append(&Topic::Interactions, ZERO, vec![record("k", value)])
            .expect("there is room")
            .wait()
            .expect("it is durable");
        let mut generation = seen;
        let mut read = Vec::new();
        while read.is_empty() {
            assert!(began.elapsed() < PATIENT, "nothing came");
            generation = reader.wait(generation, PATIENT);
            let batch = reader.read(&Topic::Interactions, ZERO, next, Limits::default()).expect("it can be read");
            next = batch.next;
            read.extend(batch.records);
        }
        assert_eq!(values(&read), [value]);
    }
}

#[test]
fn a_small_buffer_reads_as_much_as_a_large_one() {
    let settings = KafkaSettings { prefetch_bytes: 64 << 10, ..settings(BROKER.bootstrap()) };
    let log = new_log(&settings);
    let from = log.watermarks(&Topic::Consolidations, ZERO).expect("the broker says").high;
    let text = "x".repeat(2000);
    for batch in 0..20 {
        let records = (0..100).map(|i| record(&text, &format!("{}", batch * 100 + i))).collect();
        log.append(&Topic::Consolidations, ZERO, records).expect("there is room").wait().expect("it is durable");
    }
    let read = values(&read_to_end(&open(&settings), &Topic::Consolidations, ZERO, from));
    assert_eq!(read, (0..2000).map(|i| i.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_reader_that_rested_finds_its_place_when_it_comes_back() {
    let settings = KafkaSettings { prefetch_bytes: 64 << 10, ..settings(BROKER.bootstrap()) };
    let log = new_log(&settings);
    let mut next = log.watermarks(&Topic::Consolidations, ZERO).expect("the broker says").high;
    let text = "x".repeat(2000);
    let mut read = Vec::new();
    for batch in 0..30 {
        let records = (0..50).map(|i| record(&text, &format!("{}", batch * 50 + i))).collect();
        log.append(&Topic::Consolidations, ZERO, records).expect("there is room").wait().expect("it is durable");
        // Reads less than comes, so that the buffer is full most of the time.
        let few = Limits { records: 20, bytes: 1 << 20 };
        let batch = log.read(&Topic::Consolidations, ZERO, next, few).expect("it can be read");
        next = batch.next;
        read.extend(batch.records);
    }
    read.extend(read_to_end(&log, &Topic::Consolidations, ZERO, next));
    assert_eq!(values(&read), (0..1500).map(|i| i.to_string()).collect::<Vec<_>>());
}

fn producer(extra: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", BROKER.bootstrap());
    for (name, value) in extra {
        config.set(*name, *value);
    }
    config.create().expect("the settings are good")
}

#[test]
fn the_markers_of_foreign_transactions_are_holes_and_what_was_aborted_is_not_read() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    let topic = log.name_of(&inlet()).expect("the log has it").to_owned();
    let foreign = producer(&[("transactional.id", &topic)]);
    foreign.init_transactions(PATIENT).expect("the broker does transactions");
    for (value, commits) in [("kept", true), ("aborted", false), ("kept, too", true), ("aborted, too", false)] {
        foreign.begin_transaction().expect("there is none");
        let to = BaseRecord::<str, str>::to(&topic).partition(0).payload(value);
        foreign.send(to).map_err(|(error, _)| error).expect("there is room");
        foreign.flush(PATIENT).expect("it arrives");
        if commits { foreign.commit_transaction(PATIENT) } else { foreign.abort_transaction(PATIENT) }
            .expect("it ends");
    }
    let mut read = Vec::new();
    wait_until(PATIENT, "all markers are below the end", || {
        log.watermarks(&inlet(), ZERO).expect("the broker says").high == Offset::new(8)
    });
    read.extend(read_to_end(&log, &inlet(), ZERO, Offset::FIRST));
    assert_eq!(values(&read), ["kept", "kept, too"]);
    let late = Offset::new(6);
    let batch = log.read(&inlet(), ZERO, late, Limits::default()).expect("it can be read");
    assert_eq!((batch.records.len(), batch.next), (0, Offset::new(8)), "only an aborted record and its marker");
}

#[test]
fn a_foreign_record_is_read_as_it_is() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    let topic = log.name_of(&inlet()).expect("the log has it").to_owned();
    let foreign = producer(&[]);
    let headers = OwnedHeaders::new().insert(rdkafka::message::Header { key: "a", value: Some("b") });
    let to = BaseRecord::<str, str>::to(&topic).partition(1).payload("no key").headers(headers);
    foreign.send(to).map_err(|(error, _)| error).expect("there is room");
    foreign.send(BaseRecord::<str, str>::to(&topic).partition(1).key("no value")).map_err(|(e, _)| e).expect("room");
    foreign.flush(PATIENT).expect("it arrives");
    let read = read_to_end(&log, &inlet(), Partition::new(1), Offset::FIRST);
    assert_eq!(read.len(), 2);
    assert_eq!((read[0].record.key.len(), read[0].record.header("a")), (0, Some(&b"b"[..])));
    assert_eq!(read[1].record.value, None);
    let age = event_log::now().micros() - read[0].record.timestamp.micros();
    assert!((0..600_000_000).contains(&age), "the time is the broker's, in microseconds: {age} ago");
}

/// Removes the records below an offset, as retention does.
fn delete_below(log: &KafkaLog, topic: &Topic, partition: Partition, below: u64) {
    let mut list = rdkafka::TopicPartitionList::new();
    let number = i32::try_from(partition.get()).expect("a small number");
    let at = rdkafka::Offset::Offset(i64::try_from(below).expect("a small number"));
    list.add_partition_offset(log.name_of(topic).expect("it is known"), number, at).expect("an offset");
    let options = AdminOptions::new();
    blocking(admin(BROKER.bootstrap()).delete_records(&list, &options)).expect("the broker deletes");
}

#[test]
fn what_was_trimmed_under_a_reader_is_lost_and_not_skipped() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    let topic = Topic::Interactions;
    for i in 0..100 {
        log.append(&topic, ZERO, vec![record("k", &i.to_string())]).expect("there is room").wait().expect("durable");
    }
    let reader = open(&KafkaSettings { prefetch_bytes: 200, ..settings });
    let batch = reader.read(&topic, ZERO, Offset::new(1), Limits { records: 1, bytes: 1 }).expect("it can be read");
    assert_eq!(values(&batch.records), ["0"]);
    delete_below(&log, &topic, ZERO, 90);
    let mut next = batch.next;
    let error = loop {
        match reader.read(&topic, ZERO, next, Limits::default()) {
            Ok(batch) => {
                assert!(batch.records.first().is_none_or(|first| first.offset == next), "nothing is skipped");
                assert!(next < Offset::new(90), "it came through");
                next = batch.next;
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Lost { low, .. } if low == Offset::new(90)), "{error}");
    assert!(reader.read(&topic, ZERO, Offset::new(95), Limits::default()).is_ok());
    let beyond = reader.read(&topic, ZERO, Offset::new(102), Limits::default());
    assert!(matches!(beyond, Err(Error::Beyond { high, .. }) if high == Offset::new(101)), "{beyond:?}");
}

#[test]
fn commits_are_seen_by_another_process_and_releases_never_go_back() {
    let settings = settings(BROKER.bootstrap());
    let (one, two) = (new_log(&settings), open(&settings));
    one.append(&inlet(), ZERO, vec![record("k", "v"); 10]).expect("there is room").wait().expect("durable");
    one.commit("gateway", &inlet(), ZERO, Offset::new(4)).expect("it is noted");
    assert_eq!(one.committed("gateway", &inlet(), ZERO).expect("the broker says"), Some(Offset::new(4)));
    assert_eq!(two.committed("gateway", &inlet(), ZERO).expect("the broker says"), Some(Offset::new(4)));
    one.release("recall", &inlet(), ZERO, Offset::new(7)).expect("it is noted");
    one.release("recall", &inlet(), ZERO, Offset::new(5)).expect("it is noted");
    wait_until(PATIENT, "the release was committed", || {
        two.committed("recall", &inlet(), ZERO).expect("the broker says") == Some(Offset::new(7))
    });
}

#[test]
fn an_inlet_may_have_another_count_of_partitions_and_grow() {
    let settings = settings(BROKER.bootstrap());
    let name = format!("{}inlet.conformance", settings.topic_prefix);
    BROKER.create_topic(&name, 5, &[]);
    let log = new_log(&settings);
    assert_eq!(log.partitions_of(&inlet()), 5);
    assert_eq!(log.partitions_of(&Topic::Memories), 2);
    let four = Partition::new(4);
    log.append(&inlet(), four, vec![record("k", "v")]).expect("there is room").wait().expect("durable");
    assert_eq!(read_to_end(&log, &inlet(), four, Offset::FIRST).len(), 1);
    let grown = rdkafka::admin::NewPartitions::new(&name, 7);
    blocking(admin(BROKER.bootstrap()).create_partitions([&grown], &AdminOptions::new())).expect("they are made");
    let six = Partition::new(6);
    wait_until(PATIENT, "the new partitions are known", || log.watermarks(&inlet(), six).is_ok());
    log.append(&inlet(), six, vec![record("k", "v")]).expect("there is room").wait().expect("durable");
    assert_eq!(read_to_end(&log, &inlet(), six, Offset::FIRST).len(), 1);
}

#[test]
fn statistics_tell_of_every_client() {
    let settings = settings(BROKER.bootstrap());
    let log = new_log(&settings);
    log.append(&Topic::Receipts, ZERO, vec![record("k", "v"); 3]).expect("there is room").wait().expect("durable");
    read_to_end(&log, &Topic::Receipts, ZERO, Offset::FIRST);
    wait_until(PATIENT, "five seconds are over", || log.statistics().len() >= 2);
    let all = log.statistics();
    let of = |client: &str| all.iter().find(|one| one.client.starts_with(client)).expect("it reports").clone();
    assert_eq!(of("producer").sent_records, 3);
    assert!(of("producer").brokers.iter().any(|broker| broker.up));
    let consumer = of("consumer.");
    assert_eq!(consumer.received_records, 4, "with the certificate of birth");
    assert!(consumer.partitions.iter().any(|p| p.partition == 0 && p.topic.ends_with("receipts")));
}
