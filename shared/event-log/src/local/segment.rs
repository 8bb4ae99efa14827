//! One file of a partition.
//!
//! It begins with a header of 40 bytes: magic, version, base offset, and for a compacted segment the offset at which
//! it ends and how many records it holds. Frames follow. A segment that was never compacted is dense, and the
//! segment behind it begins where it ends; a compacted one counts its records. So in both kinds a frame that
//! disappears is noticed, and not only one that was damaged.
//!
//! The index of a segment is sparse and lives in memory. For the newest segment it grows with the appends; for the
//! others it is built, and every frame checked, when they are first read.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::local::directory::{sync_dir, temporary};
use crate::local::frame::{FrameError, Frames};
use crate::signal::lock;
use crate::{Error, Offset, Timestamp};

pub(crate) const HEADER: u64 = 40;
const HEADER_BYTES: usize = 40;
const MAGIC: [u8; 8] = *b"memoslog";
const VERSION: u32 = 1;
/// One index entry for so many bytes: a read parses at most this much to find its first record, and a segment of
/// 64 MiB needs 64 KiB of index.
const INDEX_EVERY: u64 = 16 << 10;
/// How much a scan reads at once.
const SCAN_CHUNK: usize = 1 << 20;

/// What a compacted segment stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// One past the last offset it covers, whether or not that record survived.
    pub(crate) end: Offset,
    pub(crate) records: u64,
}

/// A segment file.
#[derive(Debug)]
pub(crate) struct Segment {
    /// Tells this file from another one that had the same name before. Never reused.
    pub(crate) number: u64,
    pub(crate) path: PathBuf,
    pub(crate) base: Offset,
    /// `None`: never compacted.
    pub(crate) span: Option<Span>,
    inode: u64,
    /// `None` until first needed, and for the newest segment of a partition.
    index: Mutex<Option<Arc<Index>>>,
}

/// What is known of the frames in a segment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    entries: Vec<(Offset, u64)>,
    /// Where the last frame ends.
    pub(crate) end: u64,
    /// One past the last record.
    pub(crate) next: Offset,
    pub(crate) records: u64,
    pub(crate) first_at: Option<Timestamp>,
    pub(crate) newest_at: Option<Timestamp>,
    pub(crate) oldest_tombstone: Option<Timestamp>,
}

/// Where a scan had to end, when it was not the end of the file.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) position: u64,
    pub(crate) detail: String,
    /// Whether the bytes are no frame, as an interrupted append leaves them. Otherwise a whole frame stands where it
    /// does not belong.
    pub(crate) unreadable: bool,
}

pub(crate) fn file_name(base: Offset) -> String {
    format!("{:020}.log", base.get())
}

/// The base offset in a segment's file name; `None` for other files.
pub(crate) fn base_of(name: &str) -> Option<Offset> {
    let digits = name.strip_suffix(".log")?;
    (digits.len() == 20).then(|| digits.parse().ok().map(Offset::new)).flatten()
}

impl Segment {
    fn new(path: PathBuf, base: Offset, span: Option<Span>, file: &File) -> Result<Self, Error> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let inode = file.metadata().map_err(Error::io("inspect", &path))?.ino();
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { number, path, base, span, inode, index: Mutex::new(None) })
    }

    /// Makes an empty segment, durable under its name before this returns.
    pub(crate) fn create(dir: &Path, base: Offset) -> Result<(Self, File), Error> {
        let path = dir.join(file_name(base));
        let temporary = temporary(&path);
        let file = File::create(&temporary).map_err(Error::io("create", &temporary))?;
        let header = header(base, None);
        file.write_all_at(&header, 0).and_then(|()| file.sync_all()).map_err(Error::io("write", &temporary))?;
        std::fs::rename(&temporary, &path).map_err(Error::io("name", &path))?;
        sync_dir(dir)?;
        Ok((Self::new(path, base, None, &file)?, file))
    }

    /// What a compaction wrote to `file`, known under `path` from now on.
    pub(crate) fn rewritten(path: PathBuf, base: Offset, span: Span, file: &File, index: Index) -> Result<Self, Error> {
        let segment = Self::new(path, base, Some(span), file)?;
        *lock(&segment.index) = Some(Arc::new(index));
        Ok(segment)
    }

    /// Opens an existing file by its header.
    pub(crate) fn open(path: PathBuf, base: Offset) -> Result<Self, Error> {
        let file = File::open(&path).map_err(Error::io("open", &path))?;
        let span = read_header(&file, &path, base)?;
        Self::new(path, base, span, &file)
    }

    /// A handle for reading, if the name still leads to this segment.
    pub(crate) fn reopen(&self) -> Result<File, Error> {
        let changed = || Error::Changed { file: self.path.clone() };
        let file = File::open(&self.path).map_err(|error| {
            if error.kind() == std::io::ErrorKind::NotFound { changed() } else { Error::io("open", &self.path)(error) }
        })?;
        let inode = file.metadata().map_err(Error::io("inspect", &self.path))?.ino();
        if inode == self.inode { Ok(file) } else { Err(changed()) }
    }

    /// The index of a closed segment that ends where the offset `until` begins, built on first use.
    pub(crate) fn index(&self, file: &File, until: Offset) -> Result<Arc<Index>, Error> {
        let mut known = lock(&self.index);
        if let Some(index) = known.as_ref() {
            return Ok(Arc::clone(index));
        }
        let index = Arc::new(self.scan_closed(file, until)?);
        *known = Some(Arc::clone(&index));
        Ok(index)
    }

    /// Gives a segment that is being closed the index that grew with it.
    pub(crate) fn close(&self, index: Index) {
        *lock(&self.index) = Some(Arc::new(index));
    }

    /// Checks every frame of a closed segment.
    pub(crate) fn scan_closed(&self, file: &File, until: Offset) -> Result<Index, Error> {
        // The header is read again because a bit may have flipped in it since the log was opened.
        let span = read_header(file, &self.path, self.base)?;
        let length = file.metadata().map_err(Error::io("inspect", &self.path))?.len();
        let (index, stop) = self.scan(file, length)?;
        if let Some(stop) = stop {
            return Err(self.corrupt(stop.position, index.next, stop.detail));
        }
        let missing = match span {
            Some(span) if span.end != until => Some(format!("it ends at offset {} and {until} was expected", span.end)),
            Some(span) if span.records != index.records => {
                Some(format!("it holds {} records and {} were written", index.records, span.records))
            }
            Some(_) => None,
            None if index.next != until => Some(format!("the records from {} to {until} are missing", index.next)),
            None => None,
        };
        match missing {
            Some(detail) => Err(self.corrupt(index.end, index.next, detail)),
            None => Ok(index),
        }
    }

    /// Checks the frames up to the byte `length`, and says where it had to stop before that.
    pub(crate) fn scan(&self, file: &File, length: u64) -> Result<(Index, Option<Stop>), Error> {
        let mut index = Index::empty(self.base);
        let mut frames = Frames::new(file, HEADER, length.max(HEADER), SCAN_CHUNK);
        loop {
            match frames.next() {
                Ok(None) => return Ok((index, None)),
                Ok(Some((position, frame))) => {
                    if let Some(detail) = self.misplaced(&index, frame.offset) {
                        return Ok((index, Some(Stop { position, detail, unreadable: false })));
                    }
                    let bytes = u64::try_from(frame.bytes().len()).unwrap_or(u64::MAX);
                    index.note(frame.offset, bytes, frame.timestamp, frame.tombstone());
                }
                Err(FrameError::Io(error)) => return Err(Error::io("read", &self.path)(error)),
                Err(FrameError::Bad { position, flaw }) => {
                    return Ok((index, Some(Stop { position, detail: flaw.to_string(), unreadable: true })));
                }
            }
        }
    }

    fn misplaced(&self, index: &Index, offset: Offset) -> Option<String> {
        match self.span {
            None if offset != index.next => Some(format!("offset {offset} stands where {} belongs", index.next)),
            Some(span) if offset < index.next || offset >= span.end => {
                Some(format!("offset {offset} stands between {} and {}", index.next, span.end))
            }
            None | Some(_) => None,
        }
    }

    pub(crate) fn corrupt(&self, position: u64, offset: Offset, detail: String) -> Error {
        Error::Corrupt { file: self.path.clone(), position, offset, detail }
    }
}

impl Index {
    pub(crate) fn empty(base: Offset) -> Self {
        Self { end: HEADER, next: base, ..Self::default() }
    }

    /// Notes the frame that begins at `end`.
    pub(crate) fn note(&mut self, offset: Offset, bytes: u64, at: Timestamp, tombstone: bool) {
        if self.entries.last().is_none_or(|(_, position)| self.end - position >= INDEX_EVERY) {
            self.entries.push((offset, self.end));
        }
        self.end += bytes;
        self.next = offset.next();
        self.records += 1;
        self.first_at = self.first_at.or(Some(at));
        self.newest_at = self.newest_at.max(Some(at));
        if tombstone {
            self.oldest_tombstone = Some(self.oldest_tombstone.map_or(at, |oldest| oldest.min(at)));
        }
    }

    /// A position at or before the first frame whose offset is at least `from`.
    pub(crate) fn seek(&self, from: Offset) -> u64 {
        let after = self.entries.partition_point(|(offset, _)| *offset <= from);
        after.checked_sub(1).and_then(|at| self.entries.get(at)).map_or(HEADER, |(_, position)| *position)
    }
}

/// The bytes at the beginning of a segment.
pub(crate) fn header(base: Offset, span: Option<Span>) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    bytes[12..20].copy_from_slice(&base.get().to_le_bytes());
    let (end, records) = span.map_or((0, 0), |span| (span.end.get(), span.records));
    bytes[20..28].copy_from_slice(&end.to_le_bytes());
    bytes[28..36].copy_from_slice(&records.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..36]);
    bytes[36..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

fn read_header(file: &File, path: &Path, base: Offset) -> Result<Option<Span>, Error> {
    let corrupt = |detail: &str| Error::Corrupt {
        file: path.to_owned(),
        position: 0,
        offset: base,
        detail: format!("the header {detail}"),
    };
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(corrupt("is cut off")),
        Err(error) => return Err(Error::io("read", path)(error)),
    }
    let u64_at = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    let u32_at = |at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_le_bytes);
    if bytes[..8] != MAGIC {
        return Err(corrupt("is not one of a log segment"));
    }
    if crc32c::crc32c(&bytes[..36]) != u32_at(36) {
        return Err(corrupt("does not match its checksum"));
    }
    if u32_at(8) != VERSION {
        return Err(Error::UnknownVersion { file: path.to_owned(), version: u32_at(8), known: VERSION });
    }
    if u64_at(12) != base.get() {
        return Err(corrupt("names another offset than the file"));
    }
    let (end, records) = (u64_at(20), u64_at(28));
    Ok((end != 0).then_some(Span { end: Offset::new(end), records }))
}
