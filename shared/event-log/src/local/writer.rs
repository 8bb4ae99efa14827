//! The one thread that writes.
//!
//! It takes everything that is queued, writes it with one write per partition, syncs every file it touched, and only
//! then publishes the records, tells the callers and wakes the readers. While it syncs, the next group gathers; so
//! the fsync is shared by more callers the slower it is.
//!
//! The first write or fsync that fails ends it for good. An fsync is never tried again: after a failed one the kernel
//! may have dropped the dirty pages, and a second one would succeed over a hole.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::local::Shared;
use crate::local::directory::create;
use crate::local::frame::encode;
use crate::local::partition::{Fresh, PartitionLog};
use crate::local::queue::{Request, Work, fail};
use crate::local::segment::{HEADER, Segment};
use crate::log::complete;
use crate::{Error, Offset, Stored};

/// How often positions are written, if they changed.
const POSITIONS_EVERY: Duration = Duration::from_secs(1);
/// An encoding buffer that grew beyond this is given back.
const BUFFER_KEPT: usize = 1 << 20;

/// Where the next record of a partition goes.
#[derive(Debug)]
pub(crate) struct Cursor {
    pub(crate) file: File,
    pub(crate) segment: Arc<Segment>,
    pub(crate) position: u64,
    pub(crate) next: Offset,
}

#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// One for each slot that has a segment.
    cursors: BTreeMap<usize, Cursor>,
    buffer: Vec<u8>,
    positions_written: Instant,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, cursors: BTreeMap<usize, Cursor>) -> Self {
        Self { shared, cursors, buffer: Vec::new(), positions_written: Instant::now() }
    }

    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let _guard = PanicGuard(&shared);
        loop {
            let mut work = shared.queue.take(POSITIONS_EVERY);
            let closing = work.closing;
            let written = self.write(&mut work).and_then(|()| self.write_positions(closing));
            if let Err(error) = written {
                let reason = error.chain();
                shared.stop(&reason);
                fail(work, &reason);
                return;
            }
            if closing {
                return;
            }
        }
    }

    /// Makes the work durable and then known. What is left in `work` after an error was not told anything yet.
    fn write(&mut self, work: &mut Work) -> Result<(), Error> {
        for roll in work.rolls.drain(..) {
            self.roll(roll.slot)?;
            complete(roll.completion, Ok(Vec::new()));
        }
        if work.requests.is_empty() {
            return Ok(());
        }
        let mut by_slot: BTreeMap<usize, Vec<&mut Request>> = BTreeMap::new();
        for request in &mut work.requests {
            by_slot.entry(request.slot).or_default().push(request);
        }
        let mut fresh = Vec::with_capacity(by_slot.len());
        for (slot, requests) in by_slot {
            fresh.push((slot, self.write_partition(slot, requests)?));
        }
        for (slot, _) in &fresh {
            let cursor = self.cursors.get(slot).expect("a cursor was made to write with");
            cursor.file.sync_data().map_err(Error::io("sync", &cursor.segment.path))?;
        }
        let bytes = work.requests.iter().map(|request| request.bytes).sum();
        let mut offsets: BTreeMap<usize, Offset> = BTreeMap::new();
        for (slot, fresh) in fresh {
            if let Some((first, _)) = fresh.records.first() {
                offsets.insert(slot, first.offset);
            }
            self.log(slot).publish(fresh);
        }
        self.shared.queue.durable(bytes);
        self.shared.generation.advance();
        for request in work.requests.drain(..) {
            let next = offsets.get_mut(&request.slot).expect("every request has a partition that was written");
            let first = next.get();
            let count = u64::try_from(request.count).expect("a count of records in memory");
            *next = Offset::new(first + count);
            complete(request.completion, Ok((first..first + count).map(Offset::new).collect()));
        }
        Ok(())
    }

    /// Writes one partition's records behind the ones it has, without syncing them.
    fn write_partition(&mut self, slot: usize, requests: Vec<&mut Request>) -> Result<Fresh, Error> {
        let limit = self.shared.settings.segment_bytes;
        if self.cursors.get(&slot).is_none_or(|cursor| cursor.position >= limit && cursor.position > HEADER) {
            self.roll(slot)?;
        }
        let cursor = self.cursors.get_mut(&slot).expect("rolling makes a cursor");
        self.buffer.clear();
        let mut fresh = Fresh::default();
        let mut next = cursor.next;
        for request in requests {
            for record in std::mem::take(&mut request.records) {
                let before = self.buffer.len();
                encode(&mut self.buffer, next, &record);
                let bytes = u64::try_from(self.buffer.len() - before).expect("a buffer in memory");
                fresh.records.push((Arc::new(Stored { offset: next, record }), bytes));
                next = next.next();
            }
        }
        cursor.file.write_all_at(&self.buffer, cursor.position).map_err(Error::io("write", &cursor.segment.path))?;
        cursor.position += u64::try_from(self.buffer.len()).expect("a buffer in memory");
        cursor.next = next;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_KEPT);
        Ok(fresh)
    }

    /// Begins a new segment. Everything in the one before is durable: it was synced with its last group.
    fn roll(&mut self, slot: usize) -> Result<(), Error> {
        let log = &self.shared.partitions[slot];
        let next = self.cursors.get(&slot).map_or(Offset::FIRST, |cursor| cursor.next);
        if self.cursors.get(&slot).is_some_and(|cursor| cursor.position == HEADER) {
            return Ok(());
        }
        create(&log.dir)?;
        let (segment, file) = Segment::create(&log.dir, next)?;
        let segment = Arc::new(segment);
        log.rolled(Arc::clone(&segment));
        self.cursors.insert(slot, Cursor { file, segment, position: HEADER, next });
        Ok(())
    }

    fn write_positions(&mut self, closing: bool) -> Result<(), Error> {
        if !closing && self.positions_written.elapsed() < POSITIONS_EVERY {
            return Ok(());
        }
        self.positions_written = Instant::now();
        self.shared.write_positions()
    }

    fn log(&self, slot: usize) -> &PartitionLog {
        &self.shared.partitions[slot]
    }
}

/// A writer that panics must not leave callers waiting and the log looking healthy.
struct PanicGuard<'a>(&'a Shared);

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop("the writer panicked");
        }
    }
}
