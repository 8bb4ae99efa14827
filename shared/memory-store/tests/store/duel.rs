//! Several writers at random, against a model that knows which record every record was decided on.
//!
//! The model has no numbers and no names: a record counts if the record that its writer had seen last of the subject is
//! the one that counts. Its log is then read in batches of any size, with restarts, and as compaction leaves it at any
//! moment; every reader must come to the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use event_log::envelope::{self, After};
use event_log::{LogId, Offset, Stored, Timestamp};
use memory_core::refold::Rows;
use memory_core::step::{Body, Change, Consumed, Fate, FateRow, Row};
use memory_core::{EventId, Handle, MemoryId, Step, StepNumber};
use memory_store::{Record, Store, Verdict};
use testkit::Random;
use uuid::Uuid;

use crate::kit::{ONE, open, ring, sealed};

const LOG: LogId = LogId::new(Uuid::from_u128(10));
const SUBJECTS: u8 = 2;

/// The place of a record in the log of the model.
type Id = usize;

/// What the model knows of a record.
struct Known {
    /// The record that counted for the subject when this was decided, own ones not yet read back among them.
    on: Option<Id>,
    subject: Handle,
    step: Option<Step>,
    counts: bool,
}

/// What a writer has of a subject: the chain of records it believes in, and their rows.
#[derive(Clone, Default)]
struct View {
    /// The last record of the chain.
    last: Option<Id>,
    /// The last one that was read back.
    after: Option<After>,
    rows: Rows,
}

struct Writer {
    name: Uuid,
    views: BTreeMap<Handle, View>,
    /// Decided and not written yet: the record, what it was decided on, and whether that is the record before it here.
    waiting: VecDeque<(Stored, Step, Option<Id>)>,
    /// Of each subject, the newest own record that was written and not read back.
    written: BTreeMap<Handle, Id>,
    tombstones: VecDeque<Vec<u8>>,
}

struct World {
    random: Random,
    log: Vec<Stored>,
    known: Vec<Known>,
    writers: Vec<Writer>,
    names: u128,
    /// The last record that counts, and the rows, by subject.
    truth: BTreeMap<Handle, (Option<Id>, Rows)>,
    /// Keys of steps that a complete snapshot replaced.
    replaced: BTreeSet<Vec<u8>>,
}

fn subject(number: u8) -> Handle {
    Handle::from_bytes([number; 16])
}

impl World {
    fn new(seed: u64, writers: usize) -> Self {
        let mut world = Self {
            random: Random::new(seed),
            log: Vec::new(),
            known: Vec::new(),
            writers: Vec::new(),
            names: 0,
            truth: BTreeMap::new(),
            replaced: BTreeSet::new(),
        };
        for _ in 0..writers {
            let name = world.name();
            let (views, waiting, written) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
            world.writers.push(Writer { name, views, waiting, written, tombstones: VecDeque::new() });
        }
        world
    }

    fn name(&mut self) -> Uuid {
        self.names += 1;
        Uuid::from_u128(self.names)
    }

    fn act(&mut self) {
        let writer = self.random.index(self.writers.len());
        match self.random.below(8) {
            0 => self.read(writer),
            1 | 2 if self.writers[writer].waiting.is_empty() => {
                // Who begins a batch has read back what it wrote before.
                self.read(writer);
                if self.random.below(6) == 0 { self.restate(writer) } else { self.decide(writer) }
            }
            3..=6 => self.write(writer),
            _ => self.bury(writer),
        }
    }

    /// A batch of steps, each on the ones before it.
    fn decide(&mut self, writer: usize) {
        for _ in 0..=self.random.below(4) {
            let of = subject(u8::try_from(self.random.below(u64::from(SUBJECTS))).expect("few"));
            let row = Row::Fate(FateRow {
                event_id: EventId::try_new(format!("e{}", self.random.below(6))).expect("an id"),
                fate: Fate::Kept(MemoryId::from_uuid(Uuid::from_u128(u128::from(self.random.below(1 << 40))))),
            });
            let body = Body::Changes {
                consolidation: memory_core::ConsolidationId::from_uuid(Uuid::nil()),
                from: memory_core::Seq::FIRST,
                to: memory_core::Seq::FIRST,
                changes: vec![Change::Put(row)],
            };
            self.queue(writer, of, body);
        }
    }

    /// A snapshot of one subject in parts.
    fn restate(&mut self, writer: usize) {
        let of = subject(u8::try_from(self.random.below(u64::from(SUBJECTS))).expect("few"));
        let rows: Vec<Row> =
            self.writers[writer].views.get(&of).into_iter().flat_map(|view| view.rows.iter().cloned()).collect();
        let parts = 1 + u32::try_from(self.random.below(4)).expect("few");
        let share = rows.len().div_ceil(parts as usize).max(1);
        for part in 0..parts {
            let rows = rows.iter().skip(part as usize * share).take(share).cloned().collect();
            self.queue(writer, of, Body::Snapshot { part, parts, rows, erased: None });
        }
    }

    fn queue(&mut self, writer: usize, of: Handle, body: Body) {
        let Writer { name, views, waiting, .. } = &mut self.writers[writer];
        let view = views.entry(of).or_default();
        let consumed =
            Some(Consumed { log: LOG.uuid(), partition: ONE, next: Offset::new(self.log.len() as u64), anchor: None });
        let step = Step { subject: of, number: view.rows.next_step(), body, consumed };
        let record = sealed(&step, *name, view.after);
        assert!(view.rows.apply(&step).expect("it follows"));
        waiting.push_back((Stored { offset: Offset::FIRST, record }, step, view.last));
    }

    /// Appends the next record of a batch. What others append comes in between.
    fn write(&mut self, writer: usize) {
        let Some((stored, step, seen)) = self.writers[writer].waiting.pop_front() else { return };
        let of = step.subject;
        let on = self.writers[writer].written.get(&of).copied().or(seen);
        let (last, rows) = self.truth.entry(of).or_default();
        let id = self.log.len();
        let counts = *last == on;
        if counts {
            *last = Some(id);
            assert!(rows.apply(&step).expect("it follows"), "the model and the numbers agree");
            if let Body::Snapshot { part, parts, .. } = &step.body
                && part + 1 == *parts
            {
                let first = StepNumber::new(step.number.get() - u64::from(*part));
                let steps = self.known.iter().zip(&self.log);
                let before = steps.filter(|(known, _)| {
                    known.subject == of && known.counts && known.step.as_ref().is_some_and(|step| step.number < first)
                });
                self.replaced.extend(before.map(|(_, stored)| stored.record.key.clone()));
            }
        }
        self.writers[writer].written.insert(of, id);
        self.known.push(Known { on, subject: of, step: Some(step), counts });
        self.log.push(Stored { offset: Offset::new(id as u64), record: stored.record });
    }

    /// Reads the log to its end. Who finds that a step of it lost forgets what it decided and goes on under a new name.
    fn read(&mut self, writer: usize) {
        if !self.writers[writer].waiting.is_empty() {
            return;
        }
        let name = self.writers[writer].name;
        let lost = self.of(name).any(|id| !self.known[id].counts);
        let Writer { views, written, .. } = &mut self.writers[writer];
        written.clear();
        views.clear();
        for (of, (last, rows)) in &self.truth {
            let after = last.map(|id| After {
                number: self.known[id].step.as_ref().expect("a step").number,
                writer: envelope::writer_of(&self.log[id].record.key).expect("a writer"),
            });
            views.insert(*of, View { last: *last, after, rows: rows.clone() });
        }
        if lost {
            self.writers[writer].name = self.name();
        }
        self.find_dead(writer);
    }

    fn of(&self, name: Uuid) -> impl Iterator<Item = Id> {
        let by = move |(_, stored): &(Id, &Stored)| {
            envelope::writer_of(&stored.record.key) == Some(name) && stored.record.value.is_some()
        };
        self.log.iter().enumerate().filter(by).map(|(id, _)| id)
    }

    /// What a reader knows to be dead: losers before anything that was replaced.
    fn find_dead(&mut self, writer: usize) {
        if self.random.below(3) > 0 {
            return;
        }
        let steps = || self.known.iter().zip(&self.log).filter(|(known, _)| known.step.is_some());
        let losers = steps().filter(|(known, _)| !known.counts).map(|(_, stored)| stored.record.key.clone());
        let counting = steps().filter(|(known, _)| known.counts).map(|(_, stored)| stored.record.key.clone());
        let replaced = counting.filter(|key| self.replaced.contains(key));
        // Some stop after the losers, or in the middle.
        let dead: Vec<Vec<u8>> = losers.chain(replaced).collect();
        let some = if self.random.below(2) == 0 { dead.len() } else { self.random.index(dead.len() + 1) };
        self.writers[writer].tombstones = dead.into_iter().take(some).collect();
    }

    fn bury(&mut self, writer: usize) {
        let Some(key) = self.writers[writer].tombstones.pop_front() else { return };
        let of = Handle::from_bytes(key[..16].try_into().expect("a key"));
        let record = envelope::step_tombstone(key, Timestamp::EPOCH);
        self.known.push(Known { on: None, subject: of, step: None, counts: false });
        self.log.push(Stored { offset: Offset::new(self.log.len() as u64), record });
    }

    /// What compaction of everything up to `end` leaves, with or without the tombstones themselves.
    fn compacted(&self, end: usize, tombstones: bool) -> Vec<Stored> {
        let newest: BTreeMap<&[u8], Id> =
            self.log[..end].iter().enumerate().map(|(id, stored)| (stored.record.key.as_slice(), id)).collect();
        let stays = |(id, stored): &(Id, &Stored)| {
            *id >= end || newest[stored.record.key.as_slice()] == *id && (tombstones || stored.record.value.is_some())
        };
        self.log.iter().enumerate().filter(stays).map(|(_, stored)| stored.clone()).collect()
    }

    fn expected(&self) -> BTreeMap<Handle, Rows> {
        self.truth.iter().map(|(of, (_, rows))| (*of, rows.clone())).collect()
    }
}

/// Reads a log in batches of random sizes, opening the store anew now and then; answers the verdicts by offset.
fn read(dir: &std::path::Path, log: &[Stored], random: &mut Random, most: usize) -> (Store, BTreeMap<u64, Verdict>) {
    let records: Vec<Record> = log.iter().map(|stored| Record::read(ring(), stored).expect("it reads")).collect();
    let (mut store, mut verdicts, mut rest) = (open(dir), BTreeMap::new(), records.as_slice());
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(rest.len().min(1 + random.index(most)));
        let next = batch.last().expect("a record").offset.next();
        let judged = store.apply(LOG, ONE, batch, next, None).expect("it applies");
        verdicts.extend(batch.iter().map(|record| record.offset.get()).zip(judged));
        rest = later;
        if random.below(40) == 0 {
            drop(store);
            store = open(dir);
        }
    }
    (store, verdicts)
}

fn assert_rows(store: &Store, expected: &BTreeMap<Handle, Rows>, context: &str) {
    for (of, rows) in expected {
        let found = store.rows(*of).expect("rows");
        assert!(found.iter().eq(rows.iter()), "{context}: the rows of {of} are others");
        assert_eq!(found.next_step(), rows.next_step(), "{context}: {of}");
    }
}

fn duel(seed: u64, writers: usize, acts: usize) -> World {
    let mut world = World::new(seed, writers);
    for _ in 0..acts {
        world.act();
    }
    world
}

// law: L05, L06
#[test]
fn writers_at_random_are_judged_as_the_model_does_in_batches_of_any_size() {
    let (mut lost_by_number, mut lost_astray) = (0, 0);
    for seed in 0..14 {
        let world = duel(seed, 2 + usize::from(seed % 2 == 1), 300);
        for most in [1, 5, 1_000] {
            let dir = tempfile::tempdir().expect("a directory");
            let (store, verdicts) = read(dir.path(), &world.log, &mut Random::new(seed), most);
            assert_rows(&store, &world.expected(), &format!("seed {seed}, batches of {most}"));
            for (id, known) in world.known.iter().enumerate() {
                let wanted = match (&known.step, known.counts) {
                    (None, _) => Verdict::Gone,
                    (Some(_), true) => Verdict::Applied,
                    (Some(_), false) => Verdict::Lost,
                };
                assert_eq!(verdicts[&(id as u64)], wanted, "seed {seed}, batches of {most}, record {id}");
            }
        }
        for known in world.known.iter().filter(|known| known.step.is_some() && !known.counts) {
            match known.on {
                Some(on) if !world.known[on].counts => lost_astray += 1,
                Some(_) | None => lost_by_number += 1,
            }
        }
    }
    assert!(lost_by_number > 150 && lost_astray > 80, "{lost_by_number} and {lost_astray} steps lost");
}

// law: L05, L06
#[test]
fn whoever_reads_what_compaction_left_comes_to_the_same_and_harms_nothing() {
    let (mut removed, mut unconnected) = (0, 0);
    for seed in 100..114 {
        let world = duel(seed, 3, 400);
        let mut random = Random::new(seed);
        for _ in 0..8 {
            let (end, tombstones) = (random.index(world.log.len() + 1), random.below(2) == 0);
            let log = world.compacted(end, tombstones);
            removed += world.log.len() - log.len();
            let context = format!("seed {seed}, compacted to {end}, with tombstones: {tombstones}");
            let dir = tempfile::tempdir().expect("a directory");
            let (store, verdicts) = read(dir.path(), &log, &mut random, 20);
            assert_rows(&store, &world.expected(), &context);
            assert_eq!(store.missing(ONE, 1).expect("it reads"), None, "{context}");
            for (id, verdict) in verdicts {
                let known = &world.known[usize::try_from(id).expect("few")];
                let key = &world.log[usize::try_from(id).expect("few")].record.key;
                match verdict {
                    // Whoever owns the partition will bury it.
                    Verdict::Lost => assert!(!known.counts || world.replaced.contains(key), "{context}, record {id}"),
                    Verdict::Unconnected { .. } => {
                        unconnected += 1;
                        assert!(!known.counts || world.replaced.contains(key), "{context}, record {id}");
                    }
                    Verdict::Applied => assert!(known.counts, "{context}, record {id}"),
                    Verdict::Known => panic!("{context}, record {id} stands there once"),
                    Verdict::Gone => {}
                }
            }
        }
    }
    assert!(removed > 1_000 && unconnected > 20, "{removed} were removed, {unconnected} did not connect");
}
