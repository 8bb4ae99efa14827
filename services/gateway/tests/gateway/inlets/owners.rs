//! Which gateway reads what, in which order, and what is repeated when one of them ends.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use event_log::ownership::{Change, Ownership, Revoked};
use event_log::{Error, EventLog, Offset, Record, now};
use gateway::{InletOwnership, InletReader, Taken};
use memory_core::{Partition, Timestamp};
use serde_json::{Value, json};
use service_runtime::Stop;

use super::{ARRIVED, letters, record, until};
use crate::support::{Fate, Parted, TestLog, inlet_topic, log, settings};

/// Owners by script.
#[derive(Clone, Debug, Default)]
struct Script(Arc<Mutex<VecDeque<Change>>>);

impl Ownership for Script {
    fn next(&mut self, _timeout: Duration) -> Result<Option<Change>, Error> {
        Ok(self.0.lock().expect("no panic").pop_front())
    }
}

impl Script {
    fn assign(&self, partitions: &[u32]) {
        let partitions = partitions.iter().copied().map(Partition::new).collect();
        self.0.lock().expect("no panic").push_back(Change::Assigned(partitions));
    }

    /// Answers the end that hears when it was given up.
    fn revoke(&self, partitions: &[u32], lost: bool) -> mpsc::Receiver<()> {
        let (revoked, hears) = Revoked::new(partitions.iter().copied().map(Partition::new).collect(), lost);
        self.0.lock().expect("no panic").push_back(Change::Revoked(revoked));
        hears
    }

    fn ownership(&self, parted: &Parted) -> InletOwnership {
        let owner = || Box::new(self.clone()) as Box<dyn Ownership>;
        parted.gateway.inlets().map(|inlet| (inlet.clone(), owner())).collect()
    }

    fn reader(&self, parted: &Parted) -> InletReader {
        parted.gateway.inlet_reader(self.ownership(parted)).expect("all are owned")
    }
}

fn turn(id: &str, user: &str) -> Value {
    json!({ "id": id, "user_id": user, "content": id })
}

fn append(log: &TestLog, partition: u32, records: Vec<Record>) {
    let appended = log.inner.append(&inlet_topic(), Partition::new(partition), records).expect("there is room");
    assert!(!appended.wait().expect("is durable").is_empty());
}

fn turns(user: &str, count: usize) -> Vec<Record> {
    (0..count).map(|number| record(&turn(&format!("{user}-{number:04}"), user), &[])).collect()
}

fn committed(log: &TestLog, partition: u32) -> Option<Offset> {
    log.committed("gateway", &inlet_topic(), Partition::new(partition)).expect("a topic")
}

/// The ids of a user's events in the order of the log, each where it stands first.
fn first_ids(log: &TestLog, user: &str) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let events = log.events().into_iter().filter(|recorded| recorded.event.user_id.as_deref() == Some(user));
    events.map(|recorded| recorded.event.id.to_string()).filter(|id| seen.insert(id.clone())).collect()
}

fn ids_of(user: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{user}-{number:04}")).collect()
}

#[test]
fn only_what_is_owned_is_read_and_the_next_owner_continues_behind_it() {
    let log = log(1 << 20);
    for partition in 0..4 {
        append(&log, partition, vec![record(&turn(&format!("p{partition}"), "u"), &[])]);
    }
    let (one, two) = (Parted::new(settings(), Arc::clone(&log)), Parted::new(settings(), Arc::clone(&log)));
    let (owner_of_one, owner_of_two) = (Script::default(), Script::default());
    let (mut first, mut second) = (owner_of_one.reader(&one), owner_of_two.reader(&two));
    assert_eq!(first.take().expect("the log works"), Taken::default(), "nothing is its own yet");
    owner_of_one.assign(&[0, 1]);
    owner_of_two.assign(&[2]);
    assert_eq!(first.take().expect("the log works").accepted, 2);
    assert_eq!(second.take().expect("the log works").accepted, 1);
    assert_eq!(log.event_ids(), ["p0", "p1", "p2"]);

    let hears = owner_of_one.revoke(&[1], false);
    assert_eq!(hears.try_recv(), Err(mpsc::TryRecvError::Empty), "not before it was looked at");
    assert_eq!(committed(&log, 1), Some(Offset::FIRST), "taken, and not yet noted");
    first.follow().expect("the log works");
    assert_eq!(hears.try_recv(), Err(mpsc::TryRecvError::Disconnected), "it may be another's now");
    assert_eq!(committed(&log, 1), Some(Offset::new(1)), "noted before it was given up");
    append(&log, 1, vec![record(&turn("later", "u"), &[])]);
    owner_of_two.assign(&[1]);
    assert_eq!(first.take().expect("the log works"), Taken::default());
    assert_eq!(second.take().expect("the log works").accepted, 1);
    assert_eq!(log.event_ids(), ["later", "p0", "p1", "p2"], "nothing twice");
}

#[test]
fn what_was_lost_is_not_noted_and_no_position_goes_back() {
    let log = log(1 << 20);
    append(&log, 0, turns("u", 3));
    let parted = Parted::new(settings(), Arc::clone(&log));
    let owner = Script::default();
    let mut reader = owner.reader(&parted);
    owner.assign(&[0]);
    assert_eq!(reader.take().expect("the log works").accepted, 3);
    let hears = owner.revoke(&[0], true);
    reader.follow().expect("the log works");
    assert_eq!(hears.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    assert_eq!(committed(&log, 0), Some(Offset::FIRST), "its new owner says where it stands");

    owner.assign(&[0]);
    assert_eq!(reader.take().expect("the log works").accepted, 3, "all of it comes again");
    log.commit("gateway", &inlet_topic(), Partition::new(0), Offset::new(9)).expect("a topic");
    drop(owner.revoke(&[0], false));
    reader.follow().expect("the log works");
    assert_eq!(committed(&log, 0), Some(Offset::new(9)), "somebody else was further already");
}

#[test]
fn one_subject_has_a_share_of_each_round_and_starves_nobody() {
    let log = log(8 << 20);
    append(&log, 0, turns("loud", 1_200));
    append(&log, 1, turns("loud-too", 3));
    append(&log, 2, turns("quiet", 3));
    let parted = Parted::new(settings(), Arc::clone(&log));
    let mut reader = parted.reader();
    let taken = reader.take().expect("the log works");
    assert_eq!(taken.accepted, 506, "what may come twice of a subject is fewer than its newest 1,024");
    let mut accepted = taken.accepted;
    assert_eq!(reader.take().expect("the log works").accepted, 0, "it waits until that is noted");
    while accepted < 1_206 {
        reader.commit().expect("the log works");
        let taken = reader.take().expect("the log works");
        assert!(taken.accepted > 0);
        accepted += taken.accepted;
    }
    assert_eq!(first_ids(&log, "loud"), ids_of("loud", 1_200));
    assert_eq!(log.events().len(), 1_206, "nothing twice");
}

// law: L03
#[test]
fn an_append_that_fails_is_repeated_in_order() {
    for fate in [Fate::Lost, Fate::Unknown] {
        let log = log(1 << 20);
        let users = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let mixed =
            (0..40).flat_map(|number| users.map(|user| record(&turn(&format!("{user}-{number:04}"), user), &[])));
        append(&log, 0, mixed.collect());
        let parted = Parted::new(settings(), Arc::clone(&log));
        let mut reader = parted.reader();
        // One partition of a round fails and the others do not; and again, another one.
        for fates in [vec![Fate::Durable, fate], vec![fate]] {
            log.fates.lock().expect("no panic").extend(fates);
            reader.take().expect_err("it is told");
            reader.commit().expect("the log works");
            assert_eq!(committed(&log, 0), Some(Offset::FIRST), "only what is durable is noted");
        }
        assert_eq!(reader.take().expect("the log works").accepted, 320);
        reader.commit().expect("the log works");
        assert_eq!(committed(&log, 0), Some(Offset::new(320)));
        for user in users {
            assert_eq!(first_ids(&log, user), ids_of(user, 40), "{user}, {fate:?}");
        }
    }
}

#[test]
fn a_full_and_slow_log_delays_the_inlet_and_reorders_nothing() {
    let log = log(24 << 10);
    let parted = Parted::new(settings(), Arc::clone(&log));
    for chunk in turns("u", 600).chunks(20) {
        append(&log, 2, chunk.to_vec());
    }
    log.inner.hold();
    let stop = Stop::new();
    let worker = parted.gateway.inlet_worker(parted.gateway.all_inlets(), stop.clone()).expect("a thread");
    // It is held until the queue takes no more; then, again and again, what waits becomes durable.
    let probe = || log.inner.append(&inlet_topic(), Partition::new(3), vec![record(&json!(1), &[]); 40]);
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while probe().is_ok() {
        assert!(std::time::Instant::now() < deadline, "the queue never filled");
    }
    while first_ids(&log, "u").len() < 600 {
        assert!(std::time::Instant::now() < deadline, "not in time");
        log.inner.resume();
        log.inner.hold();
    }
    log.inner.resume();
    stop.stop();
    worker.join().expect("the thread ends");
    let ids: Vec<String> = log.events().iter().map(|recorded| recorded.event.id.to_string()).collect();
    assert_eq!(ids, ids_of("u", 600), "in order, and nothing twice");
}

#[test]
fn a_record_that_is_too_large_stops_nobody() {
    let log = log(64 << 20);
    let large = Record { value: Some(vec![b'x'; 3 << 20]), ..record(&json!({}), &[]) };
    append(&log, 0, vec![large, record(&turn("behind", "u"), &[])]);
    let parted = Parted::new(settings(), Arc::clone(&log));
    let mut reader = parted.reader();
    assert_eq!(reader.take().expect("the log works"), Taken { accepted: 0, dead_lettered: 1 });
    assert_eq!(reader.take().expect("the log works"), Taken { accepted: 1, dead_lettered: 0 });
    let letter = letters(&log).remove(0);
    assert_eq!((letter.reason.as_str(), letter.original.value), ("too_large", None), "only its place is kept");
    assert_eq!(letter.found.offset, Offset::FIRST);
}

#[test]
fn headers_that_would_swell_in_a_letter_are_not_kept() {
    let log = log(64 << 20);
    let swells = Record { headers: vec![("\u{1}".repeat(200 << 10), None)], ..record(&json!({}), &[]) };
    append(&log, 0, vec![swells]);
    let parted = Parted::new(settings(), Arc::clone(&log));
    assert_eq!(parted.reader().take().expect("the log works"), Taken { accepted: 0, dead_lettered: 1 });
    let letter = letters(&log).remove(0);
    assert!(letter.original.headers.is_empty() && letter.original.value.is_none(), "only its place is kept");
}

#[test]
fn nobody_arrives_in_the_future() {
    let log = log(1 << 20);
    // What a topic says whose times are its producers' own, of whom one counts in other units.
    let ahead = Timestamp::from_micros(now().micros() * 1_000);
    append(&log, 0, vec![Record { timestamp: ahead, ..record(&turn("ahead", "u"), &[]) }]);
    let parted = Parted::new(settings(), Arc::clone(&log));
    assert_eq!(parted.reader().take().expect("the log works").accepted, 1);
    assert!(log.events()[0].arrived <= now(), "its window would be closed by no silence");
}

#[test]
fn a_record_that_is_sent_in_again_has_the_arrival_of_the_first_time() {
    let log = log(1 << 20);
    let at = |id: &str, arrived: &str| Record {
        headers: vec![("memos_arrived".to_owned(), Some(arrived.as_bytes().to_vec()))],
        ..record(&turn(id, "u"), &[])
    };
    let later = (ARRIVED.micros() + 1).to_string();
    append(&log, 0, vec![at("again", "1000000"), at("future", &later), at("nonsense", "soon")]);
    let parted = Parted::new(settings(), Arc::clone(&log));
    assert_eq!(parted.reader().take().expect("the log works").accepted, 3);
    let arrived: Vec<Timestamp> = log.events().iter().map(|recorded| recorded.arrived).collect();
    assert_eq!(arrived, [Timestamp::from_micros(1_000_000), ARRIVED, ARRIVED]);
}

#[test]
fn the_worker_gives_up_what_is_revoked_while_it_waits() {
    let log = log(1 << 20);
    let parted = Parted::new(settings(), Arc::clone(&log));
    let owner = Script::default();
    owner.assign(&[0, 1, 2, 3]);
    let stop = Stop::new();
    let worker = parted.gateway.inlet_worker(owner.ownership(&parted), stop.clone()).expect("a thread");
    append(&log, 3, turns("u", 2));
    until(&log, |log| log.event_ids().len() == 2);
    let hears = owner.revoke(&[3], false);
    assert_eq!(hears.recv_timeout(Duration::from_secs(10)), Err(mpsc::RecvTimeoutError::Disconnected));
    assert_eq!(committed(&log, 3), Some(Offset::new(2)));
    // On a nearly full disk nothing is taken, and yet partitions are given up.
    parted.writable.store(false, std::sync::atomic::Ordering::Relaxed);
    let hears = owner.revoke(&[0], false);
    assert_eq!(hears.recv_timeout(Duration::from_secs(10)), Err(mpsc::RecvTimeoutError::Disconnected));
    stop.stop();
    worker.join().expect("the thread ends");
}

#[test]
fn every_inlet_has_an_owner_and_no_other_has() {
    let parted = Parted::new(settings(), log(1 << 20));
    let refused = parted.gateway.inlet_reader(InletOwnership::new()).expect_err("nobody would read it");
    assert!(refused.to_string().contains("support"), "{refused}");
    let mut ownership = parted.gateway.all_inlets();
    let other = event_log::InletName::try_new("other").expect("a name");
    ownership.insert(other, Box::new(Script::default()));
    let refused = parted.gateway.inlet_reader(ownership).expect_err("nobody knows whose it is");
    assert!(refused.to_string().contains("other"), "{refused}");
}
