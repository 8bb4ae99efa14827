//! The log in a directory: segments with checksums, one writer, group commit.
//!
//! The parts: [`directory`] says which log this is and keeps a second writer out; [`frame`] and [`segment`] are the
//! format; [`queue`] and [`writer`] make appends durable; [`partition`] is what readers see; [`recovery`] finds out at
//! open what is there; [`maintenance`] removes what is no longer needed.
//!
//! After a crash the end of the newest segment may hold half an append. If nothing readable follows it, it is cut
//! off: it was never acknowledged. Everything else that does not read as it was written is corruption, and named with
//! file, position and offset. A machine that loses power in the middle of one large write may leave a hole *before* a
//! whole frame; that cannot be told from damage to acknowledged records, so the log refuses to guess.

pub(crate) mod settings;

mod directory;
mod files;
mod frame;
mod maintenance;
mod partition;
mod queue;
mod recovery;
mod segment;
mod writer;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::local::files::Files;
use crate::local::partition::PartitionLog;
use crate::local::queue::{Queue, Request};
use crate::local::settings::{FailureHook, LocalLogSettings};
use crate::local::writer::Writer;
use crate::log::complete;
use crate::positions::Positions;
use crate::signal::{Generation, lock};
use crate::{
    Appended, Error, EventLog, Limits, LogId, Maintained, Offset, Partition, ReadBatch, Record, Timestamp, Topic,
    Watermarks,
};

const POSITIONS: &str = "positions.json";

/// An [`EventLog`] in a directory.
///
/// One process writes; others may read beside it ([`LocalLog::open_read_only`]). Dropping it closes it.
#[derive(Debug)]
pub struct LocalLog {
    shared: Arc<Shared>,
    read_only: bool,
    writer: Mutex<Option<JoinHandle<()>>>,
    /// Held until everything is written.
    lock: Mutex<Option<File>>,
}

/// What reading every segment found.
#[derive(Debug, Default)]
pub struct Checked {
    pub segments: u64,
    pub records: u64,
    pub bytes: u64,
    /// One for each segment that is not what was written. Empty is good.
    pub problems: Vec<Error>,
}

/// What the callers and the writer share.
#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    id: LogId,
    settings: LocalLogSettings,
    topics: Vec<Topic>,
    /// All partitions of the first topic, then of the second, …
    partitions: Vec<PartitionLog>,
    queue: Queue,
    files: Files,
    generation: Generation,
    positions: Mutex<Noted>,
    maintenance: Mutex<()>,
    on_failure: FailureHook,
}

/// The positions, and whether the file lags behind them.
#[derive(Debug, Default)]
struct Noted {
    positions: Positions,
    changed: bool,
}

impl LocalLog {
    /// Opens the log in `dir` for writing, and makes it if there is none.
    ///
    /// # Errors
    /// [`Error::Locked`] when another process writes to it, [`Error::PartitionCount`] when it has another number of
    /// partitions, [`Error::Corrupt`] and [`Error::UnknownVersion`] with the file, [`Error::Setting`], [`Error::Io`].
    pub fn open(dir: impl AsRef<Path>, settings: LocalLogSettings) -> Result<Self, Error> {
        Self::open_with(dir, settings, FailureHook::default())
    }

    /// Like [`open`](Self::open), and calls `on_failure` once when the log stops because a write or an fsync failed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        dir: impl AsRef<Path>,
        settings: LocalLogSettings,
        on_failure: FailureHook,
    ) -> Result<Self, Error> {
        settings.validate()?;
        let dir = dir.as_ref();
        directory::create(dir)?;
        let lock = directory::lock(dir)?;
        let description = match directory::describe(dir)? {
            Some(description) => description,
            None => directory::found(dir, settings.partitions)?,
        };
        if description.partitions != settings.partitions {
            let (has, asked) = (description.partitions, settings.partitions);
            return Err(Error::PartitionCount { dir: dir.to_owned(), has, asked });
        }
        let verify = settings.verify_on_open;
        let (shared, cursors) = Shared::recover(dir, description, settings, on_failure, recovery::Mode::Repair)?;
        let shared = Arc::new(shared);
        let writer = Writer::new(Arc::clone(&shared), cursors);
        let thread = std::thread::Builder::new()
            .name("log-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(Error::io("start the writer of", dir))?;
        let log = Self { shared, read_only: false, writer: Mutex::new(Some(thread)), lock: Mutex::new(Some(lock)) };
        if verify && let Some(problem) = log.check()?.problems.into_iter().next() {
            return Err(problem);
        }
        Ok(log)
    }

    /// Opens the log in `dir` as it is now, also beside a process that writes to it: takes no lock, repairs nothing,
    /// ends where an append is unfinished, and does not see what is appended later.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is no log, [`Error::Corrupt`] and [`Error::UnknownVersion`] with the file,
    /// [`Error::Io`]. A later read answers [`Error::Changed`] when the writer has removed what it needs.
    pub fn open_read_only(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let dir = dir.as_ref();
        let description = directory::describe(dir)?.ok_or_else(|| Error::Missing { dir: dir.to_owned() })?;
        let settings = LocalLogSettings { partitions: description.partitions, ..LocalLogSettings::default() };
        let mode = recovery::Mode::LookOnly;
        let (shared, _) = Shared::recover(dir, description, settings, FailureHook::default(), mode)?;
        Ok(Self { shared: Arc::new(shared), read_only: true, writer: Mutex::new(None), lock: Mutex::new(None) })
    }

    /// Reads every segment and compares it with its checksums. Appends go on meanwhile.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be read; what is wrong with the content is in the answer.
    pub fn check(&self) -> Result<Checked, Error> {
        self.shared.check()
    }

    /// Writes and syncs what is queued and the positions, and ends the writer. Later appends are refused; reading
    /// goes on. Calling it again does nothing.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the log had failed, or fails now.
    pub fn close(&self) -> Result<(), Error> {
        self.shared.queue.close();
        let thread = lock(&self.writer).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            return Err(Error::Stopped { reason: "the writer panicked".to_owned() });
        }
        lock(&self.lock).take();
        self.shared.failure_as_error()
    }

    /// The directory of the log.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.shared.dir
    }

    fn writable(&self) -> Result<(), Error> {
        if self.read_only { Err(Error::ReadOnly) } else { Ok(()) }
    }
}

impl Drop for LocalLog {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!(error = error.chain(), dir = %self.shared.dir.display(), "the log ended with a failure");
        }
    }
}

impl EventLog for LocalLog {
    fn id(&self) -> LogId {
        self.shared.id
    }

    fn partitions(&self) -> u32 {
        self.shared.settings.partitions
    }

    fn append(&self, topic: &Topic, partition: Partition, records: Vec<Record>) -> Result<Appended, Error> {
        self.writable()?;
        let slot = self.shared.slot(topic, partition)?;
        let bytes: usize = records.iter().map(Record::weight).sum();
        let limit = self.shared.queue.limit();
        if bytes > limit {
            return Err(Error::TooLarge { topic: topic.clone(), partition, bytes, limit });
        }
        let (completion, appended) = Appended::channel();
        if records.is_empty() {
            self.shared.failure_as_error()?;
            complete(completion, Ok(Vec::new()));
            return Ok(appended);
        }
        let count = records.len();
        self.shared.queue.push(Request { slot, records, count, bytes, completion })?;
        Ok(appended)
    }

    fn read(&self, topic: &Topic, partition: Partition, from: Offset, limits: Limits) -> Result<ReadBatch, Error> {
        let slot = self.shared.slot(topic, partition)?;
        self.shared.partitions[slot].read(from, limits, &self.shared.files)
    }

    fn watermarks(&self, topic: &Topic, partition: Partition) -> Result<Watermarks, Error> {
        let slot = self.shared.slot(topic, partition)?;
        Ok(self.shared.partitions[slot].watermarks())
    }

    fn wait(&self, seen: u64, timeout: Duration) -> u64 {
        self.shared.generation.wait(seen, timeout)
    }

    fn commit(&self, group: &str, topic: &Topic, partition: Partition, next: Offset) -> Result<(), Error> {
        self.writable()?;
        self.shared.slot(topic, partition)?;
        self.shared.note(|positions| positions.commit(group, topic, partition, next));
        Ok(())
    }

    fn committed(&self, group: &str, topic: &Topic, partition: Partition) -> Result<Option<Offset>, Error> {
        self.shared.slot(topic, partition)?;
        Ok(lock(&self.shared.positions).positions.committed(group, topic, partition))
    }

    fn release(&self, reader: &str, topic: &Topic, partition: Partition, up_to: Offset) -> Result<(), Error> {
        self.writable()?;
        self.shared.slot(topic, partition)?;
        self.shared.note(|positions| positions.release(reader, topic, partition, up_to));
        Ok(())
    }

    fn maintain(&self, now: Timestamp) -> Result<Maintained, Error> {
        self.writable()?;
        self.shared.maintain(now)
    }

    fn topics(&self) -> Vec<Topic> {
        self.shared.topics.clone()
    }

    fn failure(&self) -> Option<String> {
        self.shared.queue.failure()
    }
}

impl Shared {
    fn slot(&self, topic: &Topic, partition: Partition) -> Result<usize, Error> {
        let partitions = self.settings.partitions;
        // A handful of topics: walking over them is faster than a map.
        let place =
            self.topics.iter().position(|t| t == topic).ok_or_else(|| Error::UnknownTopic { topic: topic.clone() })?;
        if partition.get() >= partitions {
            return Err(Error::UnknownPartition { topic: topic.clone(), partition, partitions });
        }
        let index = |number: u32| usize::try_from(number).expect("a u32 is an index here");
        Ok(place * index(partitions) + index(partition.get()))
    }

    fn note(&self, change: impl FnOnce(&mut Positions)) {
        let mut noted = lock(&self.positions);
        change(&mut noted.positions);
        noted.changed = true;
    }

    fn write_positions(&self) -> Result<(), Error> {
        let mut noted = lock(&self.positions);
        if !noted.changed {
            return Ok(());
        }
        noted.changed = false;
        let text = serde_json::to_vec(&noted.positions).expect("names and numbers are always JSON");
        drop(noted);
        directory::replace(&self.dir.join(POSITIONS), &text)
    }

    fn stop(&self, reason: &str) {
        if self.queue.stop(reason) {
            tracing::error!(reason, dir = %self.dir.display(), "the log has stopped");
            self.generation.advance();
            self.on_failure.call(reason);
        }
    }

    fn failure_as_error(&self) -> Result<(), Error> {
        self.queue.failure().map_or(Ok(()), |reason| Err(Error::Stopped { reason }))
    }

    fn check(&self) -> Result<Checked, Error> {
        let mut checked = Checked::default();
        for log in &self.partitions {
            let (closed, active) = log.with(|state| {
                let closed: Vec<_> =
                    state.closed.iter().enumerate().map(|(at, s)| (Arc::clone(s), state.until(at))).collect();
                (closed, state.active.as_ref().map(|a| (Arc::clone(&a.segment), a.index.end)))
            });
            for (segment, until) in closed {
                match segment.reopen() {
                    Ok(file) => checked.count(segment.scan_closed(&file, until))?,
                    // Trimmed or compacted since the list was made: gone with good reason.
                    Err(Error::Changed { .. })
                        if !log.with(|s| s.closed.iter().any(|c| c.number == segment.number)) => {}
                    Err(error) => checked.count(Err(error))?,
                }
            }
            if let Some((segment, end)) = active {
                let scanned = segment.reopen().and_then(|file| segment.scan(&file, end));
                checked.count(scanned.and_then(|(index, stop)| match stop {
                    Some(stop) => Err(segment.corrupt(stop.position, index.next, stop.detail)),
                    None => Ok(index),
                }))?;
            }
        }
        Ok(checked)
    }
}

impl Checked {
    fn count(&mut self, scanned: Result<segment::Index, Error>) -> Result<(), Error> {
        self.segments += 1;
        match scanned {
            Ok(index) => {
                self.records += index.records;
                self.bytes += index.end;
            }
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(problem) => self.problems.push(problem),
        }
        Ok(())
    }
}

/// The cursors of the partitions that have a segment, by slot.
type Cursors = BTreeMap<usize, writer::Cursor>;
