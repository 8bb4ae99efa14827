//! Recall that holds some of the partitions: what is elsewhere, or not restored yet, is never taken for missing.

use std::sync::Arc;

use event_log::{EventLog, Limits, Partition, Topic};
use memory_core::{EventId, MemoryId, Rules, Subject};
use memos_client::port::{ListRequest, RecallApi, ReplicaApi};
use memos_client::{Position, Reach};
use recall::{Error, PartitionState, Parts, Settings};
use serde_json::json;
use testkit::{StoppableLog, events, wait_until};

use crate::kit::{DEADLINE, PARTITIONS, Stage, block_on, own_store, question, texts, user};

const HERE: Partition = Partition::new(0);
const ELSEWHERE: Partition = Partition::new(1);

/// Somebody of this partition.
fn of(partition: Partition) -> Subject {
    let mut people = (0..100).map(|number| user("t", &format!("u{number}")));
    let found = people.find(|owner| owner.handle(&testkit::secret()).partition(PARTITIONS) == partition);
    found.expect("one of so many is in it")
}

fn event(id: &str) -> EventId {
    EventId::try_new(id).expect("an id")
}

fn list() -> ListRequest {
    ListRequest { limit: 10, cursor: None, kinds: Vec::new(), filters: None, include_inactive: false }
}

/// Both people have told one thing, which is a memory now; and one event each is still open.
fn told() -> (Stage, Subject, Subject) {
    let mut stage = Stage::new(Rules::default());
    let embedded = stage.recall(Settings::default());
    let (here, elsewhere) = (of(HERE), of(ELSEWHERE));
    for (owner, name) in [(&here, "here"), (&elsewhere, "elsewhere")] {
        let mut value = events::turn(&format!("I live in the house named {name}, near Lisbon."));
        value["id"] = json!(name);
        stage.say(owner, value);
        embedded.reached(&stage.say(owner, events::session_end()));
        stage.settle(&embedded);
        let mut value = events::turn(&format!("My street is called {name} as well, in Lisbon."));
        value["id"] = json!(format!("open-{name}"));
        embedded.reached(&stage.say(owner, value));
    }
    embedded.stop().expect("it was told to");
    (stage, here, elsewhere)
}

#[test]
fn what_is_elsewhere_is_not_missing() {
    let (stage, here, elsewhere) = told();
    let dir = tempfile::tempdir().expect("a directory");
    let running = stage.restoring(stage.parts(own_store(&dir, &stage.ring), Settings::default(), vec![HERE]));
    wait_until(DEADLINE, "it serves", || running.health.is_ready());
    assert_eq!(running.recall.partitions(), [(HERE, PartitionState::Serving)]);
    assert_eq!(texts(&running.ask(&here, "Lisbon")).len(), 2);

    let refused = [
        block_on(running.recall.recall(&elsewhere.tenant, question(&elsewhere, "Lisbon"))).expect_err("not here"),
        block_on(running.recall.memories(&elsewhere, list())).expect_err("not here"),
        block_on(running.recall.working_memory(&elsewhere)).expect_err("not here"),
        block_on(running.recall.profile(&elsewhere, None)).expect_err("not here"),
    ];
    let mut position = Position::new(stage.log.id().uuid());
    position.cover(ELSEWHERE, event_log::Offset::new(1));
    let reached = block_on(running.recall.reached(&position, Reach::One, DEADLINE)).expect_err("at once: not here");
    for error in refused.into_iter().chain([reached]) {
        assert_eq!((error.code, error.invalid), ("not_served_here", false));
        assert!(error.retry_after_seconds > 0 && error.message.contains("partition 1"), "{error}");
    }

    let id = |owner: &Subject, name: &str| MemoryId::of_event(owner.handle(&testkit::secret()), &event(name));
    let (recall, tenant) = (&running.recall, &here.tenant);
    let known = id(&here, "here");
    assert!(block_on(recall.memory(tenant, known)).expect("an answer").is_some());
    assert!(block_on(recall.history_within(tenant, known, &[HERE])).expect("an answer").is_some());
    assert!(block_on(recall.event(tenant, &event("here"))).expect("an answer").is_some());
    assert!(block_on(recall.event(tenant, &event("open-here"))).expect("an answer").is_some());
    // One that is elsewhere is not missing, and one that is nowhere may be elsewhere.
    for unknown in [id(&elsewhere, "elsewhere"), id(&here, "nothing")] {
        assert_eq!(block_on(recall.memory(tenant, unknown)).expect_err("who knows").code, "not_served_here");
        assert_eq!(block_on(recall.history(tenant, unknown)).expect_err("who knows").code, "not_served_here");
        assert_eq!(block_on(recall.memory_within(tenant, unknown, &[HERE])), Ok(None));
        let both = [HERE, ELSEWHERE];
        assert_eq!(
            block_on(recall.memory_within(tenant, unknown, &both)).expect_err("who knows").code,
            "not_served_here"
        );
    }
    for unknown in ["elsewhere", "open-elsewhere", "nothing"] {
        assert_eq!(block_on(recall.event(tenant, &event(unknown))).expect_err("who knows").code, "not_served_here");
        assert_eq!(block_on(recall.event_within(tenant, &event(unknown), &[HERE])), Ok(None));
    }
    let nonsense = [Partition::new(4_000_000)];
    assert_eq!(
        block_on(recall.event_within(tenant, &event("x"), &nonsense)).expect_err("none").code,
        "not_served_here"
    );
    running.stop().expect("it was told to");
}

#[test]
fn a_partition_that_restores_says_how_far_it_is() {
    let (stage, here, _) = told();
    let dir = tempfile::tempdir().expect("a directory");
    let parts = stage.parts(own_store(&dir, &stage.ring), Settings::default(), vec![HERE]);
    let (stop, health) = (parts.stop.clone(), parts.health.clone());
    let (metrics, store) = (parts.metrics.clone(), parts.store.clone());
    // Nobody follows `memories` and `working` for it yet.
    let (recall, listener) = recall::prepare(parts);
    let running = recall::start(recall).expect("a thread");
    let ends = [Topic::Memories, Topic::Working, Topic::Interactions, Topic::Consolidations];
    let end = |topic: &Topic| stage.log.watermarks(topic, HERE).expect("it exists").high.get();
    let behind: u64 = ends.iter().map(end).sum();
    let restoring = || running.recall.partitions() == [(HERE, PartitionState::Restoring { behind: Some(behind) })];
    wait_until(DEADLINE, "it has looked", restoring);
    let refused = block_on(running.recall.recall(&here.tenant, question(&here, "Lisbon"))).expect_err("not yet");
    assert_eq!((refused.code, refused.invalid), ("restoring", false));
    assert!(refused.retry_after_seconds > 0, "{refused}");
    let message = format!("partition 0 is being restored: {behind} records behind");
    assert_eq!(refused.message, message);
    let id = MemoryId::of_event(here.handle(&testkit::secret()), &event("here"));
    assert_eq!(
        block_on(running.recall.memory_within(&here.tenant, id, &[HERE])).expect_err("not yet").code,
        "restoring"
    );
    let waited = block_on(running.recall.reached(&stage.end(), Reach::One, std::time::Duration::from_millis(5)));
    assert_eq!(waited.expect_err("not yet").code, "not_served_here", "of partition 1");
    assert!(!health.is_ready());
    assert!(metrics.render().contains("memos_recall_partition_serving{partition=\"0\"} 0"));

    let log: Arc<dyn EventLog> = Arc::<event_log::MemLog>::clone(&stage.log);
    let mut replica = memory_store::Replica::new(log, store, Limits::default());
    replica.listen(listener);
    replica.catch_up_working(HERE).expect("it is readable");
    replica.catch_up(HERE).expect("it is readable");
    wait_until(DEADLINE, "it serves", || health.is_ready());
    assert_eq!(texts(&block_on(running.recall.recall(&here.tenant, question(&here, "Lisbon"))).expect("now")).len(), 2);
    assert!(metrics.render().contains("memos_recall_partition_serving{partition=\"0\"} 1"));
    stop.stop();
    running.fold.join().expect("no panic").expect("it was told to");
}

#[test]
fn a_stop_is_heard_between_two_batches_of_a_restore() {
    let (stage, ..) = told();
    let dir = tempfile::tempdir().expect("a directory");
    let one_by_one = Settings { batch_records: 1, ..Settings::default() };
    let parts = stage.parts(own_store(&dir, &stage.ring), one_by_one, vec![HERE]);
    let log = Arc::new(StoppableLog::new(parts.log));
    let store = Arc::clone(&parts.store);
    log.stop_after(1);
    let running = stage.restoring(Parts { log: Arc::<StoppableLog>::clone(&log), ..parts });
    wait_until(DEADLINE, "it stands still", || log.stands_still());
    running.stop.stop();
    log.go_on();
    running.stop().expect("it was told to");
    let read = store.position(log.id(), &Topic::Memories, HERE).expect("it reads");
    assert!(read < log.watermarks(&Topic::Memories, HERE).expect("watermarks").high, "it read everything first");
}

#[test]
fn recall_refuses_partitions_that_are_none() {
    let stage = Stage::new(Rules::default());
    let dir = tempfile::tempdir().expect("a directory");
    let start =
        |served| recall::start_alone(stage.parts(own_store(&dir, &stage.ring), Settings::default(), served)).map(drop);
    assert!(matches!(start(Vec::new()), Err(Error::NothingToServe)));
    let wrong = start(vec![HERE, Partition::new(PARTITIONS)]);
    assert!(matches!(wrong, Err(Error::NoSuchPartition { partitions: PARTITIONS, .. })), "{wrong:?}");
}

/// After a long absence the open windows that its store knows of may be gone from the log.
#[test]
fn positions_that_are_gone_from_the_log_are_named() {
    let mut stage = Stage::new(Rules::default());
    let here = of(HERE);
    let dir = tempfile::tempdir().expect("a directory");
    let running = stage.recall_alone(own_store(&dir, &stage.ring), Settings::default());
    for _ in 0..3 {
        running.reached(&stage.say(&here, events::turn("I live near Lisbon.")));
    }
    running.stop().expect("it was told to");
    // Somebody else has read it, and it is too old.
    let log = &stage.log;
    let high = log.watermarks(&Topic::Interactions, HERE).expect("it exists").high;
    log.release("somebody", &Topic::Interactions, HERE, high).expect("it exists");
    log.maintain(event_log::now().plus_seconds(100 * 24 * 3_600)).expect("it trims");
    assert!(log.watermarks(&Topic::Interactions, HERE).expect("it exists").low.get() > 0, "it was trimmed");
    let running = stage.restoring(stage.parts(own_store(&dir, &stage.ring), Settings::default(), vec![HERE]));
    wait_until(DEADLINE, "it stops", || running.is_finished());
    let error = running.stop().expect_err("what it needs is gone");
    assert!(matches!(error, Error::Lost { partition: HERE, .. }), "{error}");
    assert!(error.to_string().contains("partition 0 begins at offset 3"), "{error}");
}

/// Topics that somebody deleted and made again hold other records at the same offsets. A recall that knows the log from
/// its own store stops, and so does one that begins with an empty store: `working` and `memories` tell of both topics.
#[test]
fn a_topic_that_was_made_anew_and_has_grown_past_the_position_is_named() {
    for topic in [Topic::Interactions, Topic::Consolidations] {
        let (stage, here, _) = told();
        let log = &stage.log;
        let (known, fresh) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        let start = |dir| {
            let running = stage.restoring(stage.parts(own_store(dir, &stage.ring), Settings::default(), vec![HERE]));
            wait_until(DEADLINE, "it serves or stops", || running.is_finished() || running.health.is_ready());
            running
        };
        for _ in 0..2 {
            let running = start(&known);
            assert_eq!(texts(&running.ask(&here, "Lisbon")).len(), 2);
            running.stop().expect("it is the same topic");
        }
        let old = log.read(&topic, HERE, event_log::Offset::FIRST, Limits::default()).expect("it reads").records;
        log.recreate(&topic, HERE);
        // Readable, later, and other records.
        for stored in old.iter().cycle().skip(1).take(3 * old.len()) {
            let headers = vec![("again".to_owned(), None)];
            let record = event_log::Record { headers, ..stored.record.clone() };
            log.append(&topic, HERE, vec![record]).expect("there is room").wait().expect("it is durable");
        }
        for dir in [&known, &fresh] {
            let running = start(dir);
            let error = running.stop().expect_err("other records are there");
            let text = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
            let text: Vec<String> = text.map(ToString::to_string).collect();
            let named = format!("{topic}/0 holds another record at offset");
            assert!(text.iter().any(|line| line.starts_with(&named)), "{text:?}");
        }
    }
}
