//! Keys in the log: what was kept is found again, what was destroyed is not, whoever reads, in whatever order, and whenever
//! somebody crashed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use event_log::keys::{Error, Follower, KeyTopic, Settings};
use event_log::{EventLog, FailureHook, Limits, MemLog, MemLogSettings, Offset, Partition, Record, Timestamp, Topic};
use keyring::{Key, KeyId, Keyring, Owner, RootKey, Roots};
use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq};
use testkit::{BrittleLog, wait_until};

const PARTITIONS: u32 = 3;
const LONG: Duration = Duration::from_secs(3_600);
const DEADLINE: Duration = Duration::from_secs(20);
const NOW: Timestamp = Timestamp::EPOCH;
/// When a key of a tenant that was made now is old.
const LATER: Timestamp = Timestamp::from_seconds(1 << 30);
const TENANT: TenantTag = TenantTag::from_bytes([200; 16]);

fn log() -> Arc<BrittleLog> {
    let settings = MemLogSettings {
        partitions: PARTITIONS,
        tombstone_retention: Duration::ZERO,
        queue_bytes: 64 << 10,
        ..MemLogSettings::default()
    };
    Arc::new(BrittleLog::new(MemLog::with_settings(settings)))
}

fn root(number: u8) -> RootKey {
    RootKey::new(Key::new([number; 32]))
}

fn roots(number: u8) -> Arc<Roots> {
    Arc::new(Roots::new(root(number), Vec::new()))
}

/// Follows nothing by itself: a test says when.
fn still() -> Settings {
    Settings { every: LONG, fresh: LONG, ..Settings::default() }
}

/// A process that follows every partition.
fn open_with(log: &Arc<BrittleLog>, roots: Arc<Roots>, settings: Settings) -> Result<(Keyring, Follower), Error> {
    KeyTopic::open(Arc::clone(log) as Arc<dyn EventLog>, roots, Partition::all(PARTITIONS), settings)
}

fn open(log: &Arc<BrittleLog>) -> (Keyring, Follower) {
    open_with(log, roots(1), still()).expect("the topic opens")
}

fn subject(number: u8) -> Handle {
    Handle::from_bytes([number; 16])
}

fn mint(ring: &Keyring, number: u8, since: u64) -> KeyId {
    ring.of_subjects(&[(subject(number), Seq::new(since))], NOW).expect("a key")[0].expect("it is not forgotten here")
}

fn refresh(ring: &Keyring) {
    (0..3).for_each(|number| ring.refresh(Owner::Subject(subject(number))).expect("it reads"));
}

/// Compacts, with no pity for tombstones.
fn compact(log: &BrittleLog) {
    log.inner().maintain(Timestamp::from_seconds(1 << 40)).expect("it compacts");
}

fn records(log: &BrittleLog) -> Vec<Record> {
    let read = |partition| log.inner().read(&Topic::Keys, partition, Offset::FIRST, Limits::default());
    let all = Partition::all(PARTITIONS).flat_map(|partition| read(partition).expect("it reads").records);
    all.map(|stored| stored.record).collect()
}

/// The keys of which the topic still has a copy.
fn kept(log: &BrittleLog) -> Vec<KeyId> {
    let of = |record: &Record| record.value.as_ref().and_then(|_| record.key.get(16..)?.try_into().ok());
    let ids = records(log).iter().filter_map(of).map(KeyId::from_bytes).collect::<Vec<_>>();
    ids.into_iter().filter(|id| id.as_bytes() != &[0xFF; 16]).collect()
}

#[test]
fn whoever_opens_the_topic_has_the_keys_that_were_kept() {
    let log = log();
    let (first, _one) = open(&log);
    let (second, _two) = open(&log);
    let ids: Vec<KeyId> = (0..9).map(|number| mint(&first, number, 0)).collect();
    let day = first.epoch(TENANT, NOW).expect("a key");
    let sealed = first.seal(ids[4], b"row", b"text").expect("it is held");
    // One that is already there looks again when it meets a key that it does not know.
    let opened = second.open(Owner::Subject(subject(4)), b"row", &sealed).expect("it is whole");
    assert_eq!(opened, Some(b"text".to_vec()));
    let (third, _three) = open(&log);
    for (number, id) in (0..).zip(&ids) {
        assert_eq!(third.of_subject(subject(number)), [*id]);
    }
    assert_eq!((third.len(), third.epochs()), (10, vec![(TENANT, NOW, day)]));
    for key in third.all() {
        let same = first.all().into_iter().find(|known| known.id == key.id).expect("it is the same key");
        assert_eq!((same.owner, same.made, same.key.as_bytes()), (key.owner, key.made, key.key.as_bytes()));
        for record in records(&log) {
            let bytes = record.value.expect("nothing was destroyed");
            assert!(!bytes.windows(32).any(|window| window == key.key.as_bytes()), "a key lies there unwrapped");
        }
    }
}

// law: L09
#[test]
fn a_key_that_was_destroyed_is_gone_for_everybody_and_from_the_topic() {
    let log = log();
    let (first, _one) = open(&log);
    let (second, _two) = open(&log);
    let dead = [mint(&first, 1, 0), mint(&first, 1, 3)];
    let alive = [mint(&first, 1, 8), mint(&first, 4, 0)];
    let days = [first.epoch(TENANT, NOW).expect("a key"), first.epoch(TENANT, LATER).expect("a key")];
    refresh(&second);
    assert_eq!(second.len(), 6);
    assert_eq!(first.destroy(subject(1), Seq::new(8)).expect("it is destroyed"), 2);
    first.destroy_epochs(&[(TENANT, days[0])]).expect("it is destroyed");
    refresh(&second);
    let (third, _three) = open(&log);
    compact(&log);
    let (fourth, follower) = open(&log);
    for ring in [&first, &second, &third, &fourth] {
        assert!(dead.iter().chain(&days[..1]).all(|id| !ring.is_held(*id)));
        assert!(alive.iter().chain(&days[1..]).all(|id| ring.is_held(*id)));
        assert_eq!(ring.floor(subject(1)), Seq::new(8), "the floor stays for good");
    }
    let mut kept = kept(&log);
    kept.sort_unstable();
    let mut expected = [alive[0], alive[1], days[1]];
    expected.sort_unstable();
    assert_eq!(kept, expected);
    assert_eq!(follower.bury_late(subject(1).partition(PARTITIONS)).expect("nothing to do"), 0);
}

// law: L09
#[test]
fn a_key_that_comes_behind_the_forget_is_born_dead_and_buried() {
    let log = log();
    let (zombie, _former) = open(&log);
    let (owner, house) = open(&log);
    let known = mint(&owner, 1, 0);
    owner.destroy(subject(1), Seq::new(5)).expect("it is destroyed");
    // The former owner has heard of nothing.
    let late = mint(&zombie, 1, 4);
    let next = mint(&owner, 1, 5);
    assert!(zombie.is_held(late), "it does not know better");
    refresh(&zombie);
    refresh(&owner);
    let (fresh, _other) = open(&log);
    for ring in [&zombie, &owner, &fresh] {
        assert_eq!(ring.of_subject(subject(1)), [next]);
        assert!(!ring.is_held(known) && !ring.is_held(late));
    }
    let partition = subject(1).partition(PARTITIONS);
    assert_eq!(house.bury_late(partition).expect("it is buried"), 1);
    assert_eq!(house.bury_late(partition).expect("nothing to do"), 0);
    compact(&log);
    assert_eq!(kept(&log), [next]);
    let (again, _one) = open(&log);
    assert_eq!(again.of_subject(subject(1)), [next]);
}

// law: L09
#[test]
fn in_whatever_order_they_are_read_a_doomed_key_is_dead() {
    // What three processes wrote of one forget, in every order that a log can have them in.
    let log_of_all = log();
    let (ring, _follower) = open(&log_of_all);
    let (zombie, _former) = open(&log_of_all);
    let first = mint(&ring, 1, 0);
    ring.destroy(subject(1), Seq::new(5)).expect("it is destroyed");
    let late = mint(&zombie, 1, 4);
    let partition = subject(1).partition(PARTITIONS);
    let all: Vec<Record> = records(&log_of_all);
    let (wrapping, all): (Vec<_>, Vec<_>) = all.into_iter().partition(|record| record.key.len() != 32);
    assert_eq!((wrapping.len(), all.len()), (1, 4), "two keys, a floor and a tombstone");
    for order in orders(all.len()) {
        let log = log();
        let put = |partition, record: &Record| {
            log.inner().append(&Topic::Keys, partition, vec![record.clone()]).expect("room").wait().expect("durable");
        };
        put(Partition::new(0), &wrapping[0]);
        order.iter().for_each(|index| put(partition, &all[*index]));
        let (ring, house) = open(&log);
        assert!(!ring.is_held(first) && !ring.is_held(late), "{order:?}");
        house.bury_late(partition).expect("it is buried");
        compact(&log);
        assert_eq!(kept(&log), [], "{order:?}");
    }
}

/// Every order of the numbers below `count`.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let insert = |order: Vec<usize>| {
        (0..count).map(move |at| {
            let mut order = order.clone();
            order.insert(at, last);
            order
        })
    };
    orders(last).into_iter().flat_map(insert).collect()
}

#[test]
fn a_floor_that_was_written_behind_a_higher_one_is_put_right() {
    let log = log();
    let (zombie, _former) = open(&log);
    let (owner, house) = open(&log);
    owner.destroy(subject(1), Seq::new(9)).expect("it is destroyed");
    zombie.destroy(subject(1), Seq::new(4)).expect("it is destroyed");
    refresh(&owner);
    house.bury_late(subject(1).partition(PARTITIONS)).expect("it is put right");
    compact(&log);
    assert_eq!(open(&log).0.floor(subject(1)), Seq::new(9));
}

#[test]
fn processes_that_begin_at_once_understand_each_other() {
    let log = log();
    log.inner().hold();
    let rings: Vec<(Keyring, Follower)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(|| open(&log))).collect();
        wait_until(DEADLINE, "both have written a wrapping key", || log.appends(&Topic::Keys) == 2);
        log.inner().resume();
        threads.into_iter().map(|thread| thread.join().expect("it opens")).collect()
    });
    let ids: Vec<KeyId> = (0..).zip(&rings).map(|(number, (ring, _))| mint(ring, number, 0)).collect();
    assert_eq!(records(&log).iter().filter(|record| record.key.len() != 32).count(), 2, "neither replaces the other");
    compact(&log);
    let (third, _follower) = open(&log);
    for (ring, _) in rings.iter().chain([&(third, open(&log).1)]) {
        refresh(ring);
        assert!(ids.iter().all(|id| ring.is_held(*id)));
    }
}

#[test]
fn another_root_key_is_refused_and_changes_nothing() {
    let log = log();
    drop(open(&log));
    let before = records(&log);
    let error = open_with(&log, roots(2), still()).expect_err("it is another root");
    assert!(matches!(error, Error::Root { epoch: 1, .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains(&root(1).name().to_string()) && text.contains(&root(2).name().to_string()), "{text}");
    assert_eq!(records(&log), before);
}

#[test]
fn a_new_root_reseals_the_wrapping_keys_and_then_the_old_one_is_not_needed() {
    let log = log();
    let (ring, _follower) = open(&log);
    let id = mint(&ring, 1, 0);
    let both = Arc::new(Roots::new(root(2), vec![root(1)]));
    let (_, operator) = open_with(&log, both, still()).expect("the older root opens");
    operator.rewrap_root().expect("it is resealed");
    operator.rewrap_root().expect("there is nothing left to do");
    let (new, _new) = open_with(&log, roots(2), still()).expect("the new root opens");
    assert!(new.is_held(id));
    compact(&log);
    assert!(matches!(open_with(&log, roots(1), still()), Err(Error::Root { .. })));
    // One that is there already has the wrapping key, and goes on.
    let next = mint(&ring, 2, 0);
    refresh(&new);
    assert!(new.is_held(next));
}

#[test]
fn a_rotation_leaves_no_key_that_an_older_wrapping_key_opens() {
    let log = log();
    let (ring, follower) = open(&log);
    let asks = Settings { every: LONG, fresh: Duration::ZERO, ..Settings::default() };
    let (other, _other) = open_with(&log, roots(1), asks).expect("it opens");
    let mut ids: Vec<KeyId> = (0..9).map(|number| mint(&ring, number, 0)).collect();
    ids.push(ring.epoch(TENANT, NOW).expect("a key"));
    let dead = ids.remove(2);
    ring.destroy(subject(2), Seq::new(1)).expect("it is destroyed");
    let before = records(&log);
    assert_eq!(follower.rotate_wrapping(Duration::ZERO).expect("it rotates"), 2);
    // One that had heard of nothing asks before it wraps.
    ids.push(mint(&other, 20, 0));
    compact(&log);
    for record in records(&log) {
        assert!(!before.contains(&record) || record.key.ends_with(&[0xFF; 16]), "{:?} was left", record.key);
    }
    let (fresh, again) = open(&log);
    assert!(ids.iter().all(|id| fresh.is_held(*id)) && !fresh.is_held(dead));
    refresh(&ring);
    assert!(ids.iter().all(|id| ring.is_held(*id)));
    assert_eq!(again.rotate_wrapping(Duration::ZERO).expect("once more"), 3);
    compact(&log);
    assert_eq!(open(&log).0.len(), ids.len());
}

#[test]
fn a_key_of_a_dead_epoch_that_nobody_used_stops_nobody() {
    let log = log();
    let (deaf, _deaf) = open(&log);
    let (ring, follower) = open(&log);
    let id = mint(&ring, 1, 0);
    follower.rotate_wrapping(Duration::ZERO).expect("it rotates");
    // It asks for nothing for an hour, and was given no time to.
    mint(&deaf, 4, 0);
    let (fresh, again) = open(&log);
    assert_eq!((fresh.of_subject(subject(1)), fresh.of_subject(subject(4))), (vec![id], vec![]));
    again.rotate_wrapping(Duration::ZERO).expect("it buries what nobody can open");
    compact(&log);
    assert_eq!(kept(&log), [id]);
}

#[test]
fn keys_are_fresh_while_their_partition_is_read() {
    let log = log();
    let (owner, other) = (Owner::Subject(subject(1)), Owner::Subject(subject(2)));
    let brief = Settings { every: LONG, fresh: Duration::from_millis(100), ..Settings::default() };
    let followed = [subject(1).partition(PARTITIONS)];
    let (ring, follower) =
        KeyTopic::open(Arc::clone(&log) as Arc<dyn EventLog>, roots(1), followed, brief).expect("ok");
    assert!(!ring.is_fresh(other), "nobody follows that partition");
    wait_until(DEADLINE, "it was read long ago", || !ring.is_fresh(owner) && !ring.is_fresh(Owner::Tenant(TENANT)));
    // On a machine that stands still even this may be long ago when it is asked.
    wait_until(DEADLINE, "it was read just now", || {
        ring.refresh(owner).expect("it reads");
        ring.is_fresh(owner)
    });
    let (writer, _writer) = open(&log);
    let id = mint(&writer, 2, 0);
    follower.follow(subject(2).partition(PARTITIONS)).expect("it reads");
    assert!(ring.is_held(id));
    follower.unfollow(subject(2).partition(PARTITIONS));
    assert!(!ring.is_held(id) && !ring.is_fresh(other));
    follower.follow(subject(2).partition(PARTITIONS)).expect("it reads");
    assert!(ring.is_held(id));
    follower.stop().expect("nothing went wrong");
}

#[test]
fn a_follower_hears_of_others_by_itself_and_says_when_it_cannot() {
    let log = log();
    let said = Arc::new(Mutex::new(String::new()));
    let hook = Arc::clone(&said);
    let on_failure = FailureHook::new(move |why| *hook.lock().expect("no panic") = why.to_owned());
    let quick = Settings { every: Duration::from_millis(5), on_failure, ..Settings::default() };
    let (ring, follower) = open_with(&log, roots(1), quick).expect("it opens");
    let (writer, _writer) = open(&log);
    let id = mint(&writer, 1, 0);
    wait_until(DEADLINE, "it heard of the key", || ring.is_held(id));
    writer.destroy(subject(1), Seq::new(1)).expect("it is destroyed");
    wait_until(DEADLINE, "it heard of its end", || !ring.is_held(id));
    assert!(ring.is_fresh(Owner::Subject(subject(1))));
    log.break_after(0);
    // It asks where the end is and reads only what is new.
    let rest = Record { key: vec![7; 32], ..Record::default() };
    log.inner().append(&Topic::Keys, Partition::new(1), vec![rest]).expect("room").wait().expect("durable");
    wait_until(DEADLINE, "it says so", || !said.lock().expect("no panic").is_empty());
    let error = follower.stop().expect_err("it could not go on");
    assert!(matches!(error, Error::Log { action: "read", .. }), "{error}");
    assert!(said.lock().expect("no panic").contains("a test broke it"));
}

#[test]
fn a_full_queue_is_given_time_but_not_for_ever() {
    let log = log();
    let settings = Settings { room: Duration::from_millis(50), ..still() };
    let (ring, _follower) = open_with(&log, roots(1), settings).expect("it opens");
    let (patient, _patient) = open(&log);
    log.inner().hold();
    let filler = Record { value: Some(vec![0; (64 << 10) - 100]), ..Record::default() };
    let waiting = log.inner().append(&Topic::Receipts, Partition::new(0), vec![filler]).expect("it just fits");
    let error = ring.of_subjects(&[(subject(1), Seq::FIRST)], NOW).expect_err("there is no room");
    let text = format!("{:?}", error);
    assert!(text.contains("Full"), "{text}");
    assert!(ring.of_subject(subject(1)).is_empty(), "a key that is not durable is not used");
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| mint(&patient, 1, 0));
        let before = log.refusals();
        wait_until(DEADLINE, "it was refused", || log.refusals() > before);
        log.inner().resume();
        let id = keeping.join().expect("there is room now");
        assert!(patient.is_held(id));
    });
    waiting.wait().expect("it is durable");
}

/// What a process was told is done.
#[derive(Debug, Default)]
struct Told {
    kept: BTreeMap<KeyId, Vec<u8>>,
    destroyed: Vec<KeyId>,
    /// The end of these was begun and not confirmed.
    doomed: Vec<KeyId>,
}

impl Told {
    fn keep(&mut self, ring: &Keyring, id: KeyId) {
        self.kept.insert(id, ring.seal(id, b"row", b"text").expect("it is held"));
    }

    fn begin_to_destroy(&mut self, ids: &[KeyId]) {
        self.kept.retain(|id, _| !ids.contains(id));
        self.doomed = ids.to_vec();
    }
}

fn one(ids: Vec<Option<KeyId>>) -> KeyId {
    ids[0].expect("it is not forgotten")
}

/// All that is done with keys, once; it may end at any call.
fn live(log: &Arc<BrittleLog>, told: &mut Told) -> Result<(), Box<dyn std::error::Error>> {
    let both = Arc::new(Roots::new(root(2), vec![root(1)]));
    let (ring, follower) = open_with(log, both, still())?;
    for number in 1..=4 {
        told.keep(&ring, one(ring.of_subjects(&[(subject(number), Seq::new(1))], NOW)?));
    }
    told.keep(&ring, ring.epoch(TENANT, NOW)?);
    told.keep(&ring, ring.epoch(TENANT, LATER)?);
    let (_, _, day) = ring.epochs()[0];
    for dead in [1, 2] {
        let ids = ring.of_subject(subject(dead));
        told.begin_to_destroy(&ids);
        ring.destroy(subject(dead), Seq::new(2))?;
        told.destroyed.append(&mut told.doomed);
        told.keep(&ring, one(ring.of_subjects(&[(subject(dead), Seq::new(2))], NOW)?));
    }
    told.begin_to_destroy(&[day]);
    ring.destroy_epochs(&[(TENANT, day)])?;
    told.destroyed.append(&mut told.doomed);
    follower.rotate_wrapping(Duration::ZERO)?;
    follower.rewrap_root()?;
    told.keep(&ring, one(ring.of_subjects(&[(subject(5), Seq::new(1))], NOW)?));
    Ok(())
}

// law: L09
#[test]
fn a_crash_at_any_call_loses_no_key_and_brings_none_back() {
    let completed = AtomicUsize::new(0);
    for calls in 0.. {
        let (log, mut told) = (log(), Told::default());
        // The log was of the old root.
        drop(open(&log));
        log.break_after(calls);
        let ended = live(&log, &mut told);
        log.mend();
        for compacted in [false, true] {
            if compacted {
                compact(&log);
            }
            let both = Arc::new(Roots::new(root(2), vec![root(1)]));
            let (ring, follower) = open_with(&log, both, still()).expect("whatever happened, it opens");
            let owner = |id: &KeyId| ring.all().into_iter().find(|key| key.id == *id).map(|key| key.owner);
            for (id, sealed) in &told.kept {
                let owner = owner(id).unwrap_or_else(|| panic!("after {calls} calls {id} is lost: {told:?}"));
                assert_eq!(ring.open(owner, b"row", sealed).expect("it is whole"), Some(b"text".to_vec()));
            }
            assert!(told.destroyed.iter().all(|id| !ring.is_held(*id)), "after {calls} calls: {told:?}");
            // Whatever was broken off can be done again.
            let is_kept = |id: &KeyId| told.kept.contains_key(id) && id.since() < Seq::new(2);
            for number in [1, 2].into_iter().filter(|number| !ring.of_subject(subject(*number)).iter().any(is_kept)) {
                ring.destroy(subject(number), Seq::new(2)).expect("it is destroyed");
            }
            follower.rotate_wrapping(Duration::ZERO).expect("it rotates");
            follower.rewrap_root().expect("it is resealed");
        }
        compact(&log);
        let (ring, _follower) = open_with(&log, roots(2), still()).expect("the new root is enough");
        assert!(told.kept.keys().all(|id| ring.is_held(*id)), "after {calls} calls: {told:?}");
        assert!(told.destroyed.iter().all(|id| !ring.is_held(*id) && !kept(&log).contains(id)));
        if ended.is_ok() {
            completed.store(usize::try_from(calls).expect("few"), Ordering::Relaxed);
            break;
        }
    }
    let moments = completed.into_inner();
    assert!(moments > 20, "there were only {moments} moments to crash at");
}
