//! Reading inlets: judge, append, wait until durable, and only then commit.
//!
//! A crash in between repeats some records. That is harmless: an event's id stands in the record itself (law L03), a
//! dead letter's id follows from where the record was found, and working memory takes an id once among a subject's
//! newest events. So of one subject only so many are taken before the log has confirmed the position behind them
//! ([`SUBJECT_MAX`]). A record that cannot be taken goes to `dead-letters` with its reason and stops nobody (law L11).
//!
//! Order: one thread reads a partition in order, appends what came of it in that order, and reads on only when all of
//! it is durable. When an append fails, the same records are read and appended again before any later one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use event_log::dead_letter::{Coordinates, DeadLetter};
use event_log::inlet::InletLimits;
use event_log::{Appended, Error, Limits, Offset, Record, Stored, Topic};
use memory_core::subject::{ID_BYTES_MAX, TenantTag};
use memory_core::{Handle, Partition};
use memos_client::inlet::TENANT;
use service_runtime::Stop;

use super::error::InletError;
use super::places::{Place, Places};
use super::{InletOwnership, arrived, sealed};
use crate::append::{ByPartition, add};
use crate::sealing::{INSTALLATION, Sealer};
use crate::state::{State, now};

/// What is read of one partition at once.
const BATCH: Limits = Limits { records: 1_024, bytes: 2 << 20 };
/// What one round reads of all partitions: enough to share the wait for durability, little enough to hold in memory and
/// to be repeated after a crash.
const ROUND: Limits = Limits { records: 4_096, bytes: 16 << 20 };
/// Events of one subject behind the last confirmed position, and so what a crash may repeat of it. Two gateways that die
/// at once still repeat fewer than working memory knows.
const SUBJECT_MAX: u32 = 500;
/// Subjects that are counted before a position has to be confirmed. Until it is, others wait.
const SUBJECTS: usize = 20_000;
/// How long to wait for room in the log's queue before looking again.
const ROOM_PAUSE: Duration = Duration::from_millis(5);
/// How often to look, before the owners must be asked again.
const ROOM_TRIES: u32 = 1_000;

/// Reads the inlets of a gateway.
#[derive(Debug)]
pub struct InletReader {
    state: Arc<State>,
    places: Places,
    /// The place that a round begins with: another one each time, so that a busy partition starves nobody.
    first: usize,
    /// Events by subject since the position was confirmed last.
    subjects: BTreeMap<Handle, u32>,
    /// One of them has had its share, or they are too many to count.
    share_used: bool,
    stop: Stop,
}

/// What one round of reading found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Records that are events on `interactions` now.
    pub accepted: usize,
    /// Records that are dead letters now.
    pub dead_lettered: usize,
}

/// What becomes of one round.
#[derive(Debug, Default)]
struct Round {
    events: ByPartition,
    letters: ByPartition,
    taken: Taken,
    /// Dead letters by the code of the reason.
    reasons: BTreeMap<&'static str, u64>,
    subjects: BTreeMap<Handle, u32>,
    share_used: bool,
    records: usize,
    bytes: usize,
    /// Where each place continues once all of it is durable.
    next: Vec<(usize, Offset)>,
}

impl InletReader {
    /// A reader that continues at the committed positions of what it is given.
    pub(crate) fn new(state: Arc<State>, ownership: InletOwnership) -> Self {
        Self {
            state,
            places: Places::new(ownership),
            first: 0,
            subjects: BTreeMap::new(),
            share_used: false,
            stop: Stop::new(),
        }
    }

    /// Gives up waiting for room when this is stopped.
    pub(crate) fn stopped_by(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Whether the disk takes anything.
    pub(crate) fn is_writable(&self) -> bool {
        self.state.is_writable()
    }

    /// Blocks until something may have come since `generation`, or for `timeout`.
    pub(crate) fn wait(&self, generation: u64, timeout: Duration) -> u64 {
        self.state.log.wait(generation, timeout)
    }

    /// Takes over what this gateway was assigned, and gives up what it no longer owns; to be called between rounds.
    ///
    /// # Errors
    /// Those of the log and of the owners.
    pub fn follow(&mut self) -> Result<(), Error> {
        let followed = self.places.follow(self.state.log.as_ref());
        let owned = i64::try_from(self.places.owned.len()).unwrap_or(i64::MAX);
        self.state.metrics.inlet_partitions.set(owned);
        followed
    }

    /// Takes one batch of every partition it owns: when this returns, everything that came of it is durable. Nothing
    /// is committed yet. Less than there is, when a subject waits for [`InletReader::commit`].
    ///
    /// # Errors
    /// [`InletError`]. Nothing was passed then, and the next call reads the same records again.
    pub fn take(&mut self) -> Result<Taken, InletError> {
        self.follow()?;
        let mut round = Round { subjects: std::mem::take(&mut self.subjects), ..Round::default() };
        let taken = self.take_round(&mut round);
        self.share_used |= round.share_used;
        self.subjects = round.subjects;
        taken
    }

    fn take_round(&mut self, round: &mut Round) -> Result<Taken, InletError> {
        let count = self.places.owned.len();
        for index in (0..count).map(|step| self.first.wrapping_add(step) % count) {
            self.read(index, round)?;
            if round.is_full() {
                break;
            }
        }
        self.first = self.first.wrapping_add(1);
        if !self.places.are_ours(self.state.log.as_ref())? {
            // Somebody else reads these records now.
            return Ok(Taken::default());
        }
        self.append(std::mem::take(&mut round.events), std::mem::take(&mut round.letters))?;
        for &(index, next) in &round.next {
            self.places.owned[index].next = Some(next);
        }
        self.count(round.taken, &round.reasons);
        Ok(round.taken)
    }

    /// Notes in the log how far this reader is. A subject that waits for it waits on if the log did not take it; the next
    /// call tries again.
    ///
    /// # Errors
    /// Those of the log.
    pub fn commit(&mut self) -> Result<(), Error> {
        if self.places.commit(self.state.log.as_ref(), self.share_used)? {
            self.share_used = false;
            self.subjects.clear();
        }
        Ok(())
    }

    /// Notes how far it is, and waits until the log has it: before the partitions are left to others in good order.
    ///
    /// # Errors
    /// Those of the log. Nothing is lost by them; the next owner repeats some records.
    pub fn close(mut self) -> Result<(), Error> {
        self.places.commit(self.state.log.as_ref(), true).map(drop)
    }

    /// Reads and judges one batch. A record whose key is gone is no record any more.
    fn read(&self, index: usize, round: &mut Round) -> Result<(), InletError> {
        let place = &self.places.owned[index];
        let Some(from) = place.next else { return Ok(()) };
        let batch = self.state.log.read(&place.topic, place.partition, from, BATCH)?;
        for Stored { offset, record } in batch.records {
            let taken = !round.is_full()
                && match sealed::open(&self.state.sealing.ring, &place.topic, record)? {
                    Some(record) => self.judge(place, offset, record, round)?,
                    None => true,
                };
            if !taken {
                round.next.push((index, offset));
                return Ok(());
            }
        }
        round.next.push((index, batch.next));
        Ok(())
    }

    /// Judges one record. False when it has to wait, because its subject has had its share or is one too many.
    fn judge(&self, place: &Place, offset: Offset, record: Record, round: &mut Round) -> Result<bool, InletError> {
        let bytes = record.weight();
        match self.state.bindings.judge(&place.inlet, &record) {
            Ok((tenant, event)) => {
                let subject = event.subject(&tenant).expect("a judged event has an owner");
                let handle = subject.handle(&self.state.secret);
                let had = round.subjects.get(&handle).copied();
                if had.map_or(round.subjects.len() >= SUBJECTS, |had| had >= SUBJECT_MAX) {
                    round.share_used = true;
                    return Ok(false);
                }
                let tag = tenant.tag(&self.state.secret);
                let (ring, key) = (&self.state.sealing.ring, self.state.sealing.key(tag)?);
                let sealer = Sealer { ring, key, tag, tenant: &tenant };
                round.subjects.insert(handle, had.unwrap_or_default() + 1);
                round.taken.accepted += 1;
                // The record's own time is its arrival: a replay after a crash gives the same.
                let (log, secret, arrived) = (self.state.log.as_ref(), &self.state.secret, arrived(&record));
                add(&mut round.events, log, secret, sealer, &event, arrived)?;
            }
            Err(refusal) => {
                let (log, partition) = (self.state.log.id(), place.partition);
                let (topic, reason) = (&place.topic, refusal.reason);
                tracing::debug!(%topic, %partition, %offset, reason, "record became a dead letter");
                *round.reasons.entry(reason).or_default() += 1;
                let tag = self.letters_of(place, &record);
                let found = Coordinates { log, topic: topic.clone(), partition, offset };
                let letter = DeadLetter::new(reason, refusal.message, found, kept(record), now());
                let letter = letter.to_record(&self.state.sealing.ring, self.state.sealing.key(tag)?, tag)?;
                // In the order of the records that one producer has to look at, as far as there are partitions.
                let partition = Partition::new(partition.get() % self.state.log.partitions().max(1));
                round.letters.entry(partition).or_default().push(letter);
                round.taken.dead_lettered += 1;
            }
        }
        round.records += 1;
        round.bytes += bytes;
        Ok(true)
    }

    /// Whose key seals a record's letter: its tenant's, or where that is not known, the installation's.
    fn letters_of(&self, place: &Place, record: &Record) -> TenantTag {
        let named = record.header(TENANT).and_then(|value| std::str::from_utf8(value).ok());
        let tenant = self.state.bindings.known(&place.inlet, named);
        tenant.map_or(INSTALLATION, |tenant| tenant.tag(&self.state.secret))
    }

    /// Appends what came of a round, and waits until it is durable.
    fn append(&self, events: ByPartition, letters: ByPartition) -> Result<(), Error> {
        let mut waiting = VecDeque::new();
        for (topic, by_partition) in [(Topic::Interactions, events), (Topic::DeadLetters, letters)] {
            for (partition, records) in by_partition {
                self.append_with_room(&topic, partition, records, &mut waiting)?;
            }
        }
        waiting.into_iter().try_for_each(|appended| appended.wait().map(drop))
    }

    /// Appends records of one partition. A full queue makes the inlet wait: its records are safe where they are.
    fn append_with_room(
        &self,
        topic: &Topic,
        partition: Partition,
        records: Vec<Record>,
        waiting: &mut VecDeque<Appended>,
    ) -> Result<(), Error> {
        let mut left = VecDeque::from([records]);
        let mut tries = 0;
        while let Some(records) = left.pop_front() {
            match self.state.log.append(topic, partition, records.clone()) {
                Ok(appended) => waiting.push_back(appended),
                // More than the queue holds at all: in halves, the first one first.
                Err(Error::TooLarge { .. }) if records.len() > 1 => {
                    let mut front = records;
                    let back = front.split_off(front.len() / 2);
                    left.push_front(back);
                    left.push_front(front);
                }
                Err(full @ Error::Full { .. }) => {
                    left.push_front(records);
                    // Room comes when something became durable: what this round waits for anyway, or others' appends.
                    if let Some(first) = waiting.pop_front() {
                        drop(first.wait()?);
                        continue;
                    }
                    tries += 1;
                    if tries > ROOM_TRIES || self.stop.wait_for(ROOM_PAUSE) {
                        return Err(full);
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn count(&self, taken: Taken, reasons: &BTreeMap<&'static str, u64>) {
        for (reason, count) in reasons {
            self.state.metrics.dead_letters.with_label_values(&[*reason]).inc_by(*count);
        }
        for (outcome, count) in [("accepted", taken.accepted), ("dead_lettered", taken.dead_lettered)] {
            let counter = self.state.metrics.inlet_records.with_label_values(&[outcome]);
            counter.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
        }
    }
}

impl Round {
    fn is_full(&self) -> bool {
        self.records >= ROUND.records || self.bytes >= ROUND.bytes
    }
}

/// What of a refused record is kept. One that is larger than an inlet takes may be too large for our own topic, too;
/// its letter says where it lies and keeps no bytes of it.
fn kept(record: Record) -> Record {
    // Apart from each other: escaped in a letter, a byte of a header's name may become six.
    let value = record.value.as_ref().map_or(0, Vec::len);
    if value <= InletLimits::default().max_bytes && record.weight() - value <= HEADERS_MAX {
        return record;
    }
    let mut headers = record.headers;
    headers.retain(|(name, value)| name == TENANT && value.as_ref().is_some_and(|value| value.len() <= ID_BYTES_MAX));
    headers.truncate(1);
    Record { key: Vec::new(), value: None, headers, timestamp: record.timestamp }
}

/// Bytes of key and headers that are kept beside a value of the largest size.
const HEADERS_MAX: usize = 64 << 10;
