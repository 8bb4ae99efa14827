//! Nothing is ever briefly nowhere, and nothing twice: while windows close, boundaries are written and steps are
//! applied, every answer has every turn exactly once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use event_log::Partition;
use memory_core::{Rules, Subject};
use memos_client::FoundType;
use recall::{Recall, Settings};
use testkit::{Random, events, wait_until};

use crate::kit::{DEADLINE, PARTITIONS, Running, Stage, ask, texts, user};

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
    let roomy = Settings::default();
    let cramped = Settings { bank_bytes: 0, conversations_max: 0, batch_records: 3, ..Settings::default() };
    for (seed, settings) in [(81, roomy), (82, cramped)] {
        let (mut stage, mut random, people) = (Stage::new(rules()), Random::new(seed), people());
        let running = stage.recall(settings);
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
    let (mut stage, mut random, people) = (Stage::new(rules()), Random::new(83), people());
    let mut running = stage.recall(Settings::default());
    for number in 0..rounds() {
        let known = random.pick(&people);
        let text = text(number);
        let position = stage.say(&known.owner, events::turn(&text));
        known.texts.lock().expect("nobody panicked").push(text);
        running.reached(&position);
        (0..random.below(5)).for_each(|_| act(&mut stage, &running, &mut random));
        if number % 4 == 0 {
            running.stop().expect("it was told to");
            running = stage.recall(Settings::default());
            running.reached(&position);
        }
        people.iter().for_each(|known| check(&running.recall, known));
    }
    running.stop().expect("it was told to");
}
