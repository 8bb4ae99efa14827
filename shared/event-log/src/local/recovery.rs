//! What is in the directory when a log is opened.
//!
//! Of every segment the header is read, and the newest one of each partition is checked to its end, because only
//! there can a crash have interrupted something. It is also synced before its records count as durable: a process
//! that was killed may have written them and not have lived to sync them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::local::directory::{Description, read_if_present, sync_dir};
use crate::local::files::Files;
use crate::local::frame::any_frame_in;
use crate::local::partition::{Active, PartitionLog, State};
use crate::local::queue::Queue;
use crate::local::segment::{Segment, Stop, base_of};
use crate::local::settings::{FailureHook, LocalLogSettings};
use crate::local::writer::Cursor;
use crate::local::{Cursors, Noted, POSITIONS, Shared};
use crate::positions::Positions;
use crate::signal::Generation;
use crate::{Error, InletName, Offset, Partition, Topic};

/// A reader beside a writer may find the list of files outdated this often before it gives up.
const RELIST: usize = 16;

/// What may be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The writer: remove leftovers, cut off an unfinished append.
    Repair,
    /// A reader: nothing.
    LookOnly,
}

impl Shared {
    pub(super) fn recover(
        dir: &Path,
        description: Description,
        settings: LocalLogSettings,
        on_failure: FailureHook,
        mode: Mode,
    ) -> Result<(Self, Cursors), Error> {
        let topics = topics(dir, &settings)?;
        let mut partitions = Vec::new();
        let mut cursors = BTreeMap::new();
        for topic in &topics {
            let topic_dir = dir.join(topic.to_string());
            for partition in (0..settings.partitions).map(Partition::new) {
                let dir = topic_dir.join(partition.to_string());
                let (state, cursor) = partition_state(&dir, mode)?;
                if let Some(cursor) = cursor {
                    cursors.insert(partitions.len(), cursor);
                }
                partitions.push(PartitionLog::new(topic.clone(), partition, dir, settings.tail_bytes, state));
            }
            if mode == Mode::Repair && topic_dir.is_dir() {
                sync_dir(&topic_dir)?;
            }
        }
        if mode == Mode::Repair {
            sync_dir(dir)?;
        }
        let shared = Self {
            dir: dir.to_owned(),
            id: description.id,
            topics,
            partitions,
            queue: Queue::new(settings.queue_bytes),
            files: Files::new(settings.open_files),
            settings,
            generation: Generation::default(),
            positions: Mutex::new(Noted { positions: positions(dir)?, changed: false }),
            maintenance: Mutex::default(),
            on_failure,
        };
        Ok((shared, cursors))
    }
}

/// The fixed topics, the inlets of the settings, and the inlets that have a directory.
fn topics(dir: &Path, settings: &LocalLogSettings) -> Result<Vec<Topic>, Error> {
    let mut inlets = settings.inlets.clone();
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let name = entry.map_err(Error::io("list", dir))?.file_name();
        let inlet = name.to_str().and_then(|name| name.strip_prefix("inlet.")).map(InletName::try_new);
        inlets.extend(inlet.and_then(Result::ok));
    }
    Ok(Topic::all(&inlets))
}

fn positions(dir: &Path) -> Result<Positions, Error> {
    let path = dir.join(POSITIONS);
    let Some(text) = read_if_present(&path)? else { return Ok(Positions::default()) };
    serde_json::from_slice(&text).map_err(|error| Error::Corrupt {
        file: path,
        position: 0,
        offset: Offset::FIRST,
        detail: error.to_string(),
    })
}

fn partition_state(dir: &Path, mode: Mode) -> Result<(State, Option<Cursor>), Error> {
    if !dir.is_dir() {
        return Ok((State::default(), None));
    }
    let Listed { mut segments, superseded } = list(dir, mode)?;
    if mode == Mode::Repair {
        for segment in superseded {
            fs::remove_file(&segment.path).map_err(Error::io("remove", &segment.path))?;
        }
        sync_dir(dir)?;
    }
    let Some(newest) = segments.pop() else { return Ok((State::default(), None)) };
    let newest = Arc::new(newest);
    let (active, cursor) = recover_newest(newest, mode)?;
    let closed = segments.into_iter().map(Arc::new).collect();
    Ok((State::new(closed, active), cursor))
}

struct Listed {
    segments: Vec<Segment>,
    superseded: Vec<Segment>,
}

/// The segments, checked against each other. Beside a writer the list may be outdated before it is read: then again.
fn list(dir: &Path, mode: Mode) -> Result<Listed, Error> {
    let once = || {
        let mut segments = open_all(dir, mode)?;
        let superseded = remove_superseded(&mut segments);
        check_order(&segments)?;
        Ok(Listed { segments, superseded })
    };
    let relists = if mode == Mode::LookOnly { RELIST } else { 0 };
    for _ in 0..relists {
        if let Ok(listed) = once() {
            return Ok(listed);
        }
    }
    once()
}

/// Opens all segments, by rising base offset, and removes what an interrupted rewrite left behind.
fn open_all(dir: &Path, mode: Mode) -> Result<Vec<Segment>, Error> {
    let mut found: Vec<(Offset, PathBuf)> = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let path = entry.map_err(Error::io("list", dir))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if let Some(base) = base_of(name) {
            found.push((base, path));
        } else if mode == Mode::Repair && name.ends_with(".log.tmp") {
            tracing::info!(file = %path.display(), "removing what an interrupted rewrite left");
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
    }
    found.sort();
    found.into_iter().map(|(base, path)| Segment::open(path, base)).collect()
}

/// A compacted segment stands for everything up to its end. Segments within that were merged into it, and a crash
/// came before they were removed.
fn remove_superseded(segments: &mut Vec<Segment>) -> Vec<Segment> {
    let mut covered = Offset::FIRST;
    let (kept, superseded) = std::mem::take(segments).into_iter().partition(|segment| {
        let superseded = segment.base < covered;
        if let (false, Some(span)) = (superseded, segment.span) {
            covered = span.end;
        }
        !superseded
    });
    *segments = kept;
    superseded
}

fn check_order(segments: &[Segment]) -> Result<(), Error> {
    let behind = segments.iter().skip(1).map(|segment| Some(segment.base)).chain([None]);
    for (segment, behind) in segments.iter().zip(behind) {
        let Some(span) = segment.span else { continue };
        if behind != Some(span.end) {
            let detail = format!("the segment that begins at offset {} is missing", span.end);
            return Err(segment.corrupt(0, segment.base, detail));
        }
    }
    Ok(())
}

fn recover_newest(segment: Arc<Segment>, mode: Mode) -> Result<(Active, Option<Cursor>), Error> {
    let path = segment.path.clone();
    let file = match mode {
        Mode::Repair => File::options().read(true).write(true).open(&path).map_err(Error::io("open", &path))?,
        Mode::LookOnly => segment.reopen()?,
    };
    let length = file.metadata().map_err(Error::io("inspect", &path))?.len();
    let (index, stop) = segment.scan(&file, length)?;
    if let Some(stop) = stop {
        judge_tail(&segment, &file, &stop, index.next, length)?;
        if mode == Mode::Repair {
            tracing::warn!(
                file = %path.display(),
                position = stop.position,
                bytes = length - stop.position,
                offset = index.next.get(),
                detail = stop.detail,
                "cutting an unfinished append off the end of the log"
            );
            file.set_len(stop.position).map_err(Error::io("shorten", &path))?;
        }
    }
    let cursor = match mode {
        Mode::Repair => {
            file.sync_all().map_err(Error::io("sync", &path))?;
            Some(Cursor { file, segment: Arc::clone(&segment), position: index.end, next: index.next })
        }
        Mode::LookOnly => None,
    };
    Ok((Active { segment, index }, cursor))
}

/// Whether the bytes from where the scan stopped are an unfinished append, and not damage.
fn judge_tail(segment: &Segment, file: &File, stop: &Stop, expected: Offset, length: u64) -> Result<(), Error> {
    let damage = |detail: String| Err(segment.corrupt(stop.position, expected, detail));
    if !stop.unreadable {
        return damage(stop.detail.clone());
    }
    let size = usize::try_from(length - stop.position).expect("a segment fits into memory");
    let mut tail = vec![0; size];
    file.read_exact_at(&mut tail, stop.position).map_err(Error::io("read", &segment.path))?;
    if any_frame_in(&tail[1..], expected) {
        return damage(format!("{}, and whole frames follow", stop.detail));
    }
    Ok(())
}
