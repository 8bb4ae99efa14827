//! Removing what is no longer needed: closed segments that are too old and read by everybody, and in compacted topics
//! the records that a newer one replaced.
//!
//! Compaction copies the frames that stay, byte for byte, into a new file and puts it in the place of the old one by
//! renaming. Small neighbours are merged: the new file takes the name of the first and says in its header up to where
//! it stands for the others, which are removed afterwards. Whatever moment a crash picks, what is found is either the
//! old segments, or the new one with leftovers that its header declares void.
//!
//! Segments are rewritten oldest first. A tombstone that is dropped therefore never outlives in an older segment the
//! value it deleted.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::sync::Arc;

use crate::compaction::{Newest, TombstoneRule};
use crate::local::Shared;
use crate::local::directory::{sync_dir, temporary};
use crate::local::frame::{Frame, FrameError, Frames};
use crate::local::partition::PartitionLog;
use crate::local::queue::Roll;
use crate::local::segment::{HEADER, Index, Segment, Span, header};
use crate::retention::before;
use crate::signal::lock;
use crate::{Appended, Error, Maintained, Offset, Timestamp};

const CHUNK: usize = 1 << 20;

/// A closed segment with what a compaction knows of it.
struct Candidate {
    segment: Arc<Segment>,
    file: File,
    until: Offset,
    index: Arc<Index>,
    kept_records: u64,
    kept_bytes: u64,
}

impl Shared {
    pub(super) fn maintain(&self, now: Timestamp) -> Result<Maintained, Error> {
        let _alone = lock(&self.maintenance);
        self.failure_as_error()?;
        let done = self.close_old_segments(now).and_then(|()| {
            let mut done = Maintained::default();
            for log in &self.partitions {
                done.add(if log.topic.compacted() { self.compact(log, now)? } else { self.trim(log, now)? });
            }
            Ok(done)
        });
        // Half a change to the files is a failed write like any other. Damage is for the caller to report.
        if let Err(error @ Error::Io { .. }) = &done {
            self.stop(&error.chain());
        }
        done
    }

    fn close_old_segments(&self, now: Timestamp) -> Result<(), Error> {
        let older_than = before(now, self.settings.segment_age);
        for (slot, log) in self.partitions.iter().enumerate() {
            let old = log.with(|state| {
                state.active.as_ref().and_then(|active| active.index.first_at).is_some_and(|first| first < older_than)
            });
            if old {
                let (completion, closed) = Appended::channel();
                self.queue.roll(Roll { slot, completion })?;
                closed.wait()?;
            }
        }
        Ok(())
    }

    fn trim(&self, log: &PartitionLog, now: Timestamp) -> Result<Maintained, Error> {
        let mut done = Maintained::default();
        let retention = self.settings.retention.of(&log.topic);
        let Some(age) = retention.age else { return Ok(done) };
        let unread = lock(&self.positions).positions.unread_from(&log.topic, log.partition);
        let stop = match unread {
            _ if retention.trims_unread => Offset::new(u64::MAX),
            Some(unread) => unread,
            None => return Ok(done),
        };
        loop {
            let first = log.with(|state| state.closed.first().map(|first| (Arc::clone(first), state.until(0))));
            let Some((segment, until)) = first else { break };
            if until > stop {
                break;
            }
            let index = segment.index(&segment.reopen()?, until)?;
            if index.newest_at.is_some_and(|newest| newest >= before(now, age)) {
                break;
            }
            log.with(|state| {
                state.closed.remove(0);
                state.forget_below(until);
            });
            self.files.forget(&segment);
            fs::remove_file(&segment.path).map_err(Error::io("remove", &segment.path))?;
            sync_dir(&log.dir)?;
            done.trimmed_records += index.records;
            done.freed_bytes += index.end;
        }
        Ok(done)
    }

    fn compact(&self, log: &PartitionLog, now: Timestamp) -> Result<Maintained, Error> {
        let unread_from = lock(&self.positions).positions.unread_from(&log.topic, log.partition);
        let rule = TombstoneRule { older_than: before(now, self.settings.tombstone_retention), unread_from };
        let mut candidates = candidates(log)?;
        if !self.worthwhile(&candidates, &rule) {
            return Ok(Maintained::default());
        }
        let newest = newest(log, &candidates)?;
        for candidate in &mut candidates {
            candidate.weigh(&newest, &rule)?;
        }
        let mut done = Maintained::default();
        for group in groups(candidates, self.settings.segment_bytes) {
            done.add(self.rewrite(log, group, &newest, &rule)?);
        }
        Ok(done)
    }

    /// Whether enough was appended since the last time, or a tombstone's time is over.
    fn worthwhile(&self, candidates: &[Candidate], rule: &TombstoneRule) -> bool {
        let bytes = |of: &dyn Fn(&Candidate) -> bool| -> u64 {
            candidates.iter().filter(|c| of(c)).map(|candidate| candidate.index.end).sum()
        };
        let dirty = bytes(&|candidate| candidate.segment.span.is_none());
        let total = bytes(&|_| true);
        let over = |candidate: &Candidate| {
            candidate.index.oldest_tombstone.is_some_and(|at| rule.is_over(at, candidate.segment.base))
        };
        (dirty > 0 && dirty * 100 >= total * self.settings.compact_dirty_percent) || candidates.iter().any(over)
    }

    /// Puts one new segment in the place of a group of neighbours.
    fn rewrite(
        &self,
        log: &PartitionLog,
        group: Vec<Candidate>,
        newest: &Newest,
        rule: &TombstoneRule,
    ) -> Result<Maintained, Error> {
        let mut done = Maintained::default();
        let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(done) };
        let records: u64 = group.iter().map(|candidate| candidate.kept_records).sum();
        let removed = group.iter().map(|candidate| candidate.index.records).sum::<u64>() - records;
        if removed == 0 && group.len() == 1 && first.segment.span.is_some() {
            return Ok(done);
        }
        let (base, path) = (first.segment.base, first.segment.path.clone());
        let span = Span { end: last.until, records };
        let prepared = temporary(&path);
        let file = File::create(&prepared).map_err(Error::io("create", &prepared))?;
        let mut index = Index::empty(base);
        let mut out = BufWriter::with_capacity(CHUNK, &file);
        out.write_all(&header(base, Some(span))).map_err(Error::io("write", &prepared))?;
        for candidate in &group {
            candidate.each(|frame| {
                if newest.keeps_frame(frame, rule) {
                    out.write_all(frame.bytes()).map_err(Error::io("write", &prepared))?;
                    index.note(frame.offset, size(frame), frame.timestamp, frame.tombstone());
                }
                Ok(())
            })?;
        }
        out.flush().and_then(|()| file.sync_all()).map_err(Error::io("write", &prepared))?;
        drop(out);
        done.compacted_records = removed;
        let old_bytes: u64 = group.iter().map(|candidate| candidate.index.end).sum();
        done.freed_bytes = old_bytes.saturating_sub(index.end);
        let segment = Arc::new(Segment::rewritten(path.clone(), base, span, &file, index)?);
        log.with(|state| {
            // Under the lock, so that whoever opens the file by this name opens the one the list describes.
            fs::rename(&prepared, &path).map_err(Error::io("replace", &path))?;
            let start = state.closed.partition_point(|segment| segment.base < base);
            state.closed.splice(start..start + group.len(), [segment]);
            state.forget_below(span.end);
            Ok(())
        })?;
        sync_dir(&log.dir)?;
        for (place, candidate) in group.iter().enumerate() {
            self.files.forget(&candidate.segment);
            if place > 0 {
                let path = &candidate.segment.path;
                fs::remove_file(path).map_err(Error::io("remove", path))?;
            }
        }
        sync_dir(&log.dir)?;
        Ok(done)
    }
}

impl Newest {
    fn keeps_frame(&self, frame: &Frame<'_>, rule: &TombstoneRule) -> bool {
        self.keeps(frame.key, frame.offset, frame.tombstone().then_some(frame.timestamp), rule)
    }
}

impl Candidate {
    /// Counts what would stay.
    fn weigh(&mut self, newest: &Newest, rule: &TombstoneRule) -> Result<(), Error> {
        let (mut records, mut bytes) = (0, 0);
        self.each(|frame| {
            if newest.keeps_frame(frame, rule) {
                records += 1;
                bytes += size(frame);
            }
            Ok(())
        })?;
        (self.kept_records, self.kept_bytes) = (records, bytes);
        Ok(())
    }

    fn each(&self, visit: impl FnMut(&Frame<'_>) -> Result<(), Error>) -> Result<(), Error> {
        each(&self.segment, &self.file, self.index.end, visit)
    }
}

/// The closed segments. Nobody else renames or removes any while the maintenance lock is held.
fn candidates(log: &PartitionLog) -> Result<Vec<Candidate>, Error> {
    let closed: Vec<_> = log.with(|state| {
        state.closed.iter().enumerate().map(|(place, segment)| (Arc::clone(segment), state.until(place))).collect()
    });
    let candidate = |(segment, until): (Arc<Segment>, Offset)| {
        let file = segment.reopen()?;
        let index = segment.index(&file, until)?;
        Ok(Candidate { segment, file, until, index, kept_records: 0, kept_bytes: 0 })
    };
    closed.into_iter().map(candidate).collect()
}

/// The newest record of each key, the open segment's included.
fn newest(log: &PartitionLog, candidates: &[Candidate]) -> Result<Newest, Error> {
    let mut newest = Newest::default();
    for candidate in candidates {
        candidate.each(|frame| {
            newest.see(frame.key, frame.offset);
            Ok(())
        })?;
    }
    let open = log.with(|state| state.active.as_ref().map(|active| (Arc::clone(&active.segment), active.index.end)));
    if let Some((segment, end)) = open {
        each(&segment, &segment.reopen()?, end, |frame| {
            newest.see(frame.key, frame.offset);
            Ok(())
        })?;
    }
    Ok(newest)
}

/// Neighbours that fit into one segment together.
fn groups(candidates: Vec<Candidate>, segment_bytes: u64) -> Vec<Vec<Candidate>> {
    let mut groups: Vec<Vec<Candidate>> = Vec::new();
    let mut bytes = 0;
    for candidate in candidates {
        bytes += candidate.kept_bytes;
        match groups.last_mut() {
            Some(group) if bytes <= segment_bytes => group.push(candidate),
            Some(_) | None => {
                bytes = candidate.kept_bytes;
                groups.push(vec![candidate]);
            }
        }
    }
    groups
}

fn each(
    segment: &Segment,
    file: &File,
    end: u64,
    mut visit: impl FnMut(&Frame<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut frames = Frames::new(file, HEADER, end, CHUNK);
    let mut next = segment.base;
    loop {
        match frames.next() {
            Ok(None) => return Ok(()),
            Ok(Some((_, frame))) => {
                next = frame.offset.next();
                visit(&frame)?;
            }
            Err(FrameError::Io(error)) => return Err(Error::io("read", &segment.path)(error)),
            Err(FrameError::Bad { position, flaw }) => return Err(segment.corrupt(position, next, flaw.to_string())),
        }
    }
}

fn size(frame: &Frame<'_>) -> u64 {
    u64::try_from(frame.bytes().len()).unwrap_or(u64::MAX)
}
