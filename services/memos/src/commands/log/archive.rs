//! The file that a log travels in: JSON lines, so that it can be looked at, and a checksum over all of them.
//!
//! ```text
//! {"format":"memos-log","version":1,"log":"…","partitions":2,"hash_secret":"…","topics":["interactions",…],"commits":[…]}
//! {"topic":"interactions","partition":0,"offset":0,"timestamp":…,"key":"…","headers":[["ce_id","…"]],"value":"…"}
//! …
//! {"records":417,"blake3":"…"}
//! ```
//!
//! Keys, values and header values are base64; `null` stays `null`, so a tombstone is not an empty value. Topics come
//! one after the other in the order of the header, their partitions in order, and records in the order of offsets.

use std::fmt;
use std::io::{BufRead, Read as _, Write};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use event_log::{LogId, Offset, Partition, Record, Stored, Timestamp, Topic};
use memory_core::HashSecret;
use serde::{Deserialize, Serialize};

use crate::secret;

/// What the first line says it is.
const FORMAT: &str = "memos-log";
/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
/// The longest line that is read, in bytes: the log holds at most 1 GiB in one append, and base64 adds a third.
const LINE_BYTES_MAX: u64 = 3 << 29;

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    format: String,
    version: u32,
    /// The log that the records come from.
    pub(super) log: LogId,
    pub(super) partitions: u32,
    hash_secret: String,
    pub(super) topics: Vec<Topic>,
    /// How far the stateless readers of inlets had come.
    pub(super) commits: Vec<Commit>,
}

/// The position of a consumer group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Commit {
    pub(super) topic: Topic,
    pub(super) partition: Partition,
    pub(super) next: Offset,
}

impl Header {
    pub(super) fn new(
        log: LogId,
        partitions: u32,
        secret: &HashSecret,
        topics: Vec<Topic>,
        commits: Vec<Commit>,
    ) -> Self {
        let hash_secret = secret::hex(secret.as_bytes());
        Self { format: FORMAT.to_owned(), version: VERSION, log, partitions, hash_secret, topics, commits }
    }

    /// The hash secret behind every handle in the archive.
    pub(super) fn secret(&self) -> anyhow::Result<HashSecret> {
        secret::parse(&self.hash_secret).context("the hash secret in the first line is not 64 hexadecimal digits")
    }
}

/// A line with a record.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordLine {
    topic: Topic,
    partition: Partition,
    offset: Offset,
    timestamp: Timestamp,
    key: String,
    headers: Vec<(String, Option<String>)>,
    value: Option<String>,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trailer {
    records: u64,
    blake3: String,
}

/// How much was written or read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) records: u64,
    /// Of those, not taken into the new log, because they say nothing in it.
    pub(super) skipped: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} records", self.records)?;
        if self.skipped > 0 { write!(f, " ({} of them done with and left out)", self.skipped) } else { Ok(()) }
    }
}

/// Writes an archive.
pub(super) struct Writer<W> {
    out: W,
    hasher: blake3::Hasher,
    records: u64,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    pub(super) fn begin(out: W, header: &Header) -> anyhow::Result<Self> {
        let mut writer = Self { out, hasher: blake3::Hasher::new(), records: 0, line: Vec::new() };
        writer.line(header)?;
        Ok(writer)
    }

    pub(super) fn record(&mut self, topic: &Topic, partition: Partition, stored: &Stored) -> anyhow::Result<()> {
        let record = &stored.record;
        let text = |bytes: &Vec<u8>| STANDARD.encode(bytes);
        self.records += 1;
        self.line(&RecordLine {
            topic: topic.clone(),
            partition,
            offset: stored.offset,
            timestamp: record.timestamp,
            key: text(&record.key),
            headers: record.headers.iter().map(|(name, value)| (name.clone(), value.as_ref().map(text))).collect(),
            value: record.value.as_ref().map(text),
        })
    }

    pub(super) fn finish(mut self) -> anyhow::Result<Counts> {
        let trailer = Trailer { records: self.records, blake3: self.hasher.finalize().to_hex().to_string() };
        self.line(&trailer)?;
        self.out.flush().context("write the end of the archive")?;
        Ok(Counts { records: self.records, skipped: 0 })
    }

    fn line(&mut self, line: &impl Serialize) -> anyhow::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, line)?;
        self.line.push(b'\n');
        self.hasher.update(&self.line);
        self.out.write_all(&self.line).context("write the archive")
    }
}

/// A record with the place it had.
#[derive(Debug)]
pub(super) struct Archived {
    pub(super) topic: Topic,
    pub(super) partition: Partition,
    pub(super) stored: Stored,
}

/// Reads an archive.
pub(super) struct Archive<R> {
    pub(super) header: Header,
    source: R,
    hasher: blake3::Hasher,
    records: u64,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Archive<R> {
    /// Reads the first line.
    pub(super) fn open(mut source: R) -> anyhow::Result<Self> {
        /// The version is judged first: a newer release may have changed the rest.
        #[derive(Deserialize)]
        struct Version {
            format: String,
            version: u32,
        }
        let mut line = Vec::new();
        read_line(&mut source, &mut line)?;
        let version: Version = serde_json::from_slice(&line).context("the first line is not that of a memos log")?;
        anyhow::ensure!(version.format == FORMAT, "the file holds `{}` and not `{FORMAT}`", version.format);
        let known = version.version == VERSION;
        anyhow::ensure!(known, "the file has version {}, and this release reads version {VERSION}", version.version);
        let header: Header = serde_json::from_slice(&line).context("read the first line")?;
        anyhow::ensure!(header.partitions > 0, "the first line names no partitions");
        let mut hasher = blake3::Hasher::new();
        hasher.update(&line);
        Ok(Self { header, source, hasher, records: 0, line, number: 1 })
    }

    /// The next record; `None` after the last one, when count and checksum were found right.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Archived>> {
        read_line(&mut self.source, &mut self.line)?;
        self.number += 1;
        anyhow::ensure!(!self.line.is_empty(), "the file ends after line {} without its checksum", self.number - 1);
        match serde_json::from_slice::<RecordLine>(&self.line) {
            Ok(line) => {
                self.hasher.update(&self.line);
                self.records += 1;
                let number = self.number;
                archived(line).with_context(|| format!("read line {number}")).map(Some)
            }
            Err(error) => {
                let trailer: Trailer = serde_json::from_slice(&self.line)
                    .map_err(|_| error)
                    .with_context(|| format!("line {} is neither a record nor the end", self.number))?;
                self.check(&trailer)?;
                Ok(None)
            }
        }
    }

    fn check(&mut self, trailer: &Trailer) -> anyhow::Result<()> {
        let (found, hash) = (self.records, self.hasher.finalize().to_hex());
        anyhow::ensure!(trailer.records == found, "the file has {found} records and should have {}", trailer.records);
        anyhow::ensure!(trailer.blake3 == hash.as_str(), "the checksum is wrong: the file was changed or damaged");
        read_line(&mut self.source, &mut self.line)?;
        anyhow::ensure!(self.line.is_empty(), "the file goes on after its checksum");
        Ok(())
    }
}

/// Reads a line with its end into `line`, which is empty at the end of the file.
fn read_line(source: &mut impl BufRead, line: &mut Vec<u8>) -> anyhow::Result<()> {
    line.clear();
    source.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', line).context("read the archive")?;
    Ok(())
}

fn archived(line: RecordLine) -> anyhow::Result<Archived> {
    let bytes = |text: String| STANDARD.decode(text).context("decode base64");
    let headers = line.headers.into_iter().map(|(name, value)| Ok((name, value.map(bytes).transpose()?)));
    let record = Record {
        key: bytes(line.key)?,
        value: line.value.map(bytes).transpose()?,
        headers: headers.collect::<anyhow::Result<_>>()?,
        timestamp: line.timestamp,
    };
    Ok(Archived { topic: line.topic, partition: line.partition, stored: Stored { offset: line.offset, record } })
}
