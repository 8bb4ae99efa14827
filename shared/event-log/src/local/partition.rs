//! What readers see of one partition: its segments, where it begins and ends, and its newest records in memory.
//!
//! The writer publishes here after the fsync, and only here; a record that is in the file and not yet published does
//! not exist for a reader. Everything slow happens outside the lock: it is held to look up a segment and take a
//! handle on it, and to swap segments.

use std::collections::VecDeque;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::local::files::Files;
use crate::local::frame::{FrameError, Frames};
use crate::local::segment::{Index, Segment};
use crate::signal::lock;
use crate::{Error, Limits, Offset, Partition, ReadBatch, Stored, Topic, Watermarks};

/// How much a read takes from the file at least; small reads of neighbouring records then share a system call.
const READ_CHUNK: usize = 64 << 10;
const LARGEST_CHUNK: usize = 1 << 20;

#[derive(Debug)]
pub(crate) struct PartitionLog {
    pub(crate) topic: Topic,
    pub(crate) partition: Partition,
    pub(crate) dir: PathBuf,
    tail_bytes: usize,
    state: Mutex<State>,
}

/// The segments, oldest first. Without an active one the partition has never been written to.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) closed: Vec<Arc<Segment>>,
    pub(crate) active: Option<Active>,
    tail: Tail,
}

/// The segment that is being written, and its durable part.
#[derive(Debug)]
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    pub(crate) index: Index,
}

/// The newest records, without holes, up to a number of bytes.
#[derive(Debug, Default)]
struct Tail {
    records: VecDeque<Arc<Stored>>,
    bytes: usize,
}

/// Records that have just become durable, with the bytes of their frames.
#[derive(Debug, Default)]
pub(crate) struct Fresh {
    pub(crate) records: Vec<(Arc<Stored>, u64)>,
}

/// Where a read finds its records.
enum Source {
    Nothing,
    Memory(Vec<Arc<Stored>>),
    File { segment: Arc<Segment>, file: Arc<File>, until: Offset, open_part: Option<(u64, u64)> },
}

impl State {
    pub(crate) fn new(closed: Vec<Arc<Segment>>, active: Active) -> Self {
        Self { closed, active: Some(active), tail: Tail::default() }
    }

    /// The readable range.
    pub(crate) fn watermarks(&self) -> Watermarks {
        let Some(active) = &self.active else { return Watermarks::default() };
        let low = self.closed.first().map_or(active.segment.base, |first| first.base);
        Watermarks { low, high: active.index.next }
    }

    /// Where the closed segment at this place ends: at the beginning of the one behind it.
    pub(crate) fn until(&self, place: usize) -> Offset {
        let behind = self.closed.get(place + 1).or_else(|| self.active.as_ref().map(|active| &active.segment));
        behind.map_or(Offset::FIRST, |segment| segment.base)
    }

    /// Forgets the records below `offset` that are kept in memory.
    pub(crate) fn forget_below(&mut self, offset: Offset) {
        while self.tail.records.front().is_some_and(|stored| stored.offset < offset) {
            self.tail.pop();
        }
    }
}

impl Tail {
    fn pop(&mut self) {
        if let Some(gone) = self.records.pop_front() {
            self.bytes -= gone.record.weight();
        }
    }

    fn push(&mut self, stored: Arc<Stored>, limit: usize) {
        self.bytes += stored.record.weight();
        self.records.push_back(stored);
        while self.bytes > limit {
            self.pop();
        }
    }

    /// The records from `from` on, if it is among them.
    fn get(&self, from: Offset, limits: Limits) -> Option<Vec<Arc<Stored>>> {
        let first = self.records.front().filter(|first| first.offset <= from)?;
        let start = usize::try_from(from.get() - first.offset.get()).ok()?;
        let mut room = Room::new(limits);
        Some(self.records.range(start..).take_while(|stored| room.takes(stored)).map(Arc::clone).collect())
    }
}

impl PartitionLog {
    pub(crate) fn new(topic: Topic, partition: Partition, dir: PathBuf, tail_bytes: usize, state: State) -> Self {
        Self { topic, partition, dir, tail_bytes, state: Mutex::new(state) }
    }

    /// Looks at, or changes, the segments. Must not do anything slow.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut lock(&self.state))
    }

    pub(crate) fn watermarks(&self) -> Watermarks {
        self.with(|state| state.watermarks())
    }

    /// Closes the active segment, if there is one, and goes on with a new one.
    pub(crate) fn rolled(&self, segment: Arc<Segment>) {
        self.with(|state| {
            let index = Index::empty(segment.base);
            if let Some(old) = state.active.replace(Active { segment, index }) {
                old.segment.close(old.index);
                state.closed.push(old.segment);
            }
        });
    }

    /// Makes durable records readable.
    pub(crate) fn publish(&self, fresh: Fresh) {
        self.with(|state| {
            let Some(active) = state.active.as_mut() else { return };
            for (stored, bytes) in fresh.records {
                active.index.note(stored.offset, bytes, stored.record.timestamp, stored.record.value.is_none());
                state.tail.push(stored, self.tail_bytes);
            }
        });
    }

    pub(crate) fn read(&self, from: Offset, limits: Limits, files: &Files) -> Result<ReadBatch, Error> {
        let mut from = from;
        loop {
            let batch = match self.source(from, limits, files)? {
                Source::Nothing => return Ok(ReadBatch { records: Vec::new(), next: from }),
                Source::Memory(records) => {
                    let next = records.last().map_or(from, |last| last.offset.next());
                    let records = records.iter().map(|stored| Stored::clone(stored)).collect();
                    return Ok(ReadBatch { records, next });
                }
                Source::File { segment, file, until, open_part } => {
                    let (position, end) = match open_part {
                        Some(part) => part,
                        None => {
                            let index = segment.index(&file, until)?;
                            (index.seek(from), index.end)
                        }
                    };
                    read_file(&segment, &file, (position, end), from, until, limits)?
                }
            };
            // Compaction may have left nothing of a segment: the answer lies further on.
            if !batch.records.is_empty() {
                return Ok(batch);
            }
            from = batch.next;
        }
    }

    fn source(&self, from: Offset, limits: Limits, files: &Files) -> Result<Source, Error> {
        let state = lock(&self.state);
        let Watermarks { low, high } = state.watermarks();
        let (topic, partition) = (self.topic.clone(), self.partition);
        if from < low {
            return Err(Error::Lost { topic, partition, from, low });
        }
        if from > high {
            return Err(Error::Beyond { topic, partition, from, high });
        }
        if from == high {
            return Ok(Source::Nothing);
        }
        if let Some(records) = state.tail.get(from, limits) {
            return Ok(Source::Memory(records));
        }
        let Some(active) = &state.active else { return Ok(Source::Nothing) };
        if from >= active.segment.base {
            let segment = Arc::clone(&active.segment);
            let open_part = Some((active.index.seek(from), active.index.end));
            return Ok(Source::File { file: files.get(&segment)?, segment, until: high, open_part });
        }
        let after = state.closed.partition_point(|segment| segment.base <= from);
        let place = after.saturating_sub(1);
        let segment = Arc::clone(&state.closed[place]);
        Ok(Source::File { file: files.get(&segment)?, segment, until: state.until(place), open_part: None })
    }
}

fn read_file(
    segment: &Segment,
    file: &File,
    (position, end): (u64, u64),
    from: Offset,
    until: Offset,
    limits: Limits,
) -> Result<ReadBatch, Error> {
    let chunk = limits.bytes.saturating_add(limits.bytes / 8).clamp(READ_CHUNK, LARGEST_CHUNK);
    let mut frames = Frames::new(file, position, end, chunk);
    let mut room = Room::new(limits);
    let mut batch = ReadBatch { records: Vec::new(), next: from };
    loop {
        let frame = match frames.next() {
            Ok(None) => return Ok(ReadBatch { next: until, ..batch }),
            Ok(Some((_, frame))) if frame.offset < from => continue,
            Ok(Some((_, frame))) => frame,
            Err(FrameError::Io(error)) => return Err(Error::io("read", &segment.path)(error)),
            Err(FrameError::Bad { position, flaw }) => {
                return Err(segment.corrupt(position, batch.next, flaw.to_string()));
            }
        };
        let stored = frame.to_stored();
        if !room.takes(&stored) {
            return Ok(batch);
        }
        batch.next = stored.offset.next();
        batch.records.push(stored);
    }
}

/// What is left of a read's limits. The first record always fits.
struct Room {
    limits: Limits,
    records: usize,
    bytes: usize,
}

impl Room {
    fn new(limits: Limits) -> Self {
        Self { limits, records: 0, bytes: 0 }
    }

    fn takes(&mut self, stored: &Stored) -> bool {
        self.bytes += stored.record.weight();
        let fits = self.records == 0 || (self.records < self.limits.records && self.bytes <= self.limits.bytes);
        self.records += 1;
        fits
    }
}
