//! Nothing is ever briefly nowhere, and nothing twice: while windows close, boundaries are written and steps are
//! applied, every answer has every turn exactly once. Both in one process with the writers, where boundaries and steps
//! come in the order of the acts, and in recall's own process, where they come when its follower reads them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use event_log::Partition;
use memory_core::{Rules, Subject};
use memos_client::FoundType;
use recall::{Recall, Settings};
use testkit::{Random, events, wait_until};

use crate::kit::{DEADLINE, PARTITIONS, Running, Stage, ask, own_store, texts, user};

const TOPIC: &str = "garden tour";

fn rounds() -> usize {
    if std::env::var_os("MEMOS_TEST_LONG").is_some() { 180 } else { 80 }
}

/// Something worth keeping, unlike everything else that is said.
fn text(number: usize) -> String {
    format!("On my {TOPIC} I met friend number {number}, who lives at {number} Harbour Street in Lisbon.")
}

/// What is recallable of somebody.
struct Known {
    owner: Subject,
    texts: Mutex<Vec<String>>,
}

/// Asks once; everything that was recallable before is in the answer, once.
fn check(recall: &Recall, known: &Known) {
    let wanted = known.texts.lock().expect("nobody panicked").clone();
    let found = texts(&ask(recall, &known.owner, TOPIC));
    for text in &wanted {
        let places: Vec<FoundType> = found.iter().filter(|(_, other)| other == text).map(|(kind, _)| *kind).collect();
        assert_eq!(places.len(), 1, "`{text}` of {} of {} was found as {places:?}", wanted.len(), known.owner.id);
    }
}

/// One random act of the services that come after an event.
fn act(stage: &mut Stage, running: &Running, random: &mut Random) {
    let subject = *random.pick(&stage.handles());
    match random.below(3) {
        0 => stage.log_window(subject),
        1 => stage.log_boundary(subject),
        _ => stage.log_step(Partition::new(u32::try_from(random.below(u64::from(PARTITIONS))).expect("few")), running),
    };
}

fn rules() -> Rules {
    Rules { window_turns_max: 4, ..Rules::default() }
}

fn people() -> Vec<Known> {
    let names = ["alice", "bob", "carol"].into_iter();
    names.map(|name| Known { owner: user("t", name), texts: Mutex::default() }).collect()
}

// law: L06
#[test]
fn every_answer_has_every_turn_exactly_once() {
    for (seed, settings) in [(81, Settings::default()), (82, cramped())] {
        every_answer(seed, |stage| stage.recall(settings.clone()));
    }
}

// law: L06
#[test]
fn every_answer_of_recalls_own_process_has_every_turn_exactly_once() {
    for (seed, settings) in [(84, Settings::default()), (85, cramped())] {
        let dir = tempfile::tempdir().expect("a directory");
        every_answer(seed, |stage| stage.recall_alone(own_store(&dir, &stage.ring), settings.clone()));
    }
}

/// With little room, banks and conversations come and go all the time.
fn cramped() -> Settings {
    Settings { bank_bytes: 0, conversations_max: 0, batch_records: 3, ..Settings::default() }
}

fn every_answer(seed: u64, start: impl Fn(&Stage) -> Running) {
    let (mut stage, mut random, people) = (Stage::new(rules()), Random::new(seed), people());
    let running = start(&stage);
    let (done, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for known in &people {
            scope.spawn(|| {
                let stop_at_the_end = StopAtTheEnd(&done);
                while !done.load(Ordering::Relaxed) {
                    check(&running.recall, known);
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                drop(stop_at_the_end);
            });
        }
        let stop_at_the_end = StopAtTheEnd(&done);
        for number in 0..rounds() {
            if done.load(Ordering::Relaxed) {
                // Somebody found something missing, and panics.
                return;
            }
            let known = random.pick(&people);
            let text = text(number);
            let position = stage.say(&known.owner, events::turn(&text));
            running.reached(&position);
            known.texts.lock().expect("nobody panicked").push(text);
            (0..random.below(5)).for_each(|_| act(&mut stage, &running, &mut random));
            let asked = answers.load(Ordering::Relaxed);
            wait_until(DEADLINE, "somebody asks", || {
                answers.load(Ordering::Relaxed) > asked || done.load(Ordering::Relaxed)
            });
        }
        drop(stop_at_the_end);
    });
    stage.settle(&running);
    let found = texts(&running.ask(&people[0].owner, TOPIC));
    let memories = found.iter().filter(|(kind, _)| *kind == FoundType::Memory).count();
    assert!(memories >= rounds() / 6, "only {memories} memories");
    people.iter().for_each(|known| check(&running.recall, known));
    running.stop().expect("it was told to");
}

/// Lets all threads of the test end when one of them does.
struct StopAtTheEnd<'a>(&'a AtomicBool);

impl Drop for StopAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

// law: L06
#[test]
fn a_recall_that_starts_at_any_moment_has_every_turn_exactly_once() {
    starts_at_any_moment(83, |stage, _| stage.recall(Settings::default()));
}

// law: L06
#[test]
fn a_recall_that_goes_on_in_its_own_store_has_every_turn_exactly_once() {
    let dir = tempfile::tempdir().expect("a directory");
    starts_at_any_moment(86, |stage, _| stage.recall_alone(own_store(&dir, &stage.ring), cramped()));
}

// law: L06
#[test]
fn a_recall_whose_store_was_deleted_has_every_turn_exactly_once() {
    let dirs: Vec<_> = (0..=rounds()).map(|_| tempfile::tempdir().expect("a directory")).collect();
    starts_at_any_moment(87, |stage, start| {
        stage.recall_alone(own_store(&dirs[start], &stage.ring), Settings::default())
    });
}

/// Starts recall again and again; `start` hears how often it was called.
fn starts_at_any_moment(seed: u64, start: impl Fn(&Stage, usize) -> Running) {
    let (mut stage, mut random, people) = (Stage::new(rules()), Random::new(seed), people());
    let mut running = start(&stage, 0);
    for number in 0..rounds() {
        let known = random.pick(&people);
        let text = text(number);
        let position = stage.say(&known.owner, events::turn(&text));
        known.texts.lock().expect("nobody panicked").push(text);
        running.reached(&position);
        (0..random.below(5)).for_each(|_| act(&mut stage, &running, &mut random));
        if number % 4 == 0 {
            running.stop().expect("it was told to");
            running = start(&stage, number + 1);
            running.reached(&position);
        }
        people.iter().for_each(|known| check(&running.recall, known));
    }
    running.stop().expect("it was told to");
}
