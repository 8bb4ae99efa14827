//! A record on disk.
//!
//! ```text
//! length u32 | crc u32 | offset u64 | timestamp i64 | key | headers | value
//! ```
//! All numbers are little endian. `length` counts what follows the checksum, and the checksum (CRC32C) covers exactly
//! that. Key, header names and values are a u32 length and the bytes; a null value has the length `u32::MAX`, which
//! keeps it apart from an empty one. Headers begin with their count.
//!
//! [`Frames`] walks over them in a file. It never trusts a length further than the end of the range it was given, so
//! a flipped bit costs an error and not memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::{Offset, Record, Stored, Timestamp};

/// Bytes before what the checksum covers.
pub(crate) const PREFIX: usize = 8;
/// Offset, timestamp, and the lengths of an empty key, no headers and no value.
const SMALLEST_BODY: usize = 28;
const NULL: u32 = u32::MAX;

/// What is wrong with the bytes at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("the file ends within a frame")]
    Short,
    #[error("the length of the frame is impossible")]
    Length,
    #[error("the checksum does not match")]
    Checksum,
    #[error("the frame is not well formed")]
    Malformed,
}

/// A checked frame in a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    bytes: &'a [u8],
    pub(crate) offset: Offset,
    pub(crate) timestamp: Timestamp,
    pub(crate) key: &'a [u8],
    headers: &'a [u8],
    header_count: u32,
    value: Option<&'a [u8]>,
}

/// Appends a record's frame to `buffer`. A record is smaller than a queue, and a queue than 1 GiB, so no length
/// reaches [`NULL`].
pub(crate) fn encode(buffer: &mut Vec<u8>, offset: Offset, record: &Record) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; PREFIX]);
    buffer.extend_from_slice(&offset.get().to_le_bytes());
    buffer.extend_from_slice(&record.timestamp.micros().to_le_bytes());
    put(buffer, &record.key);
    buffer.extend_from_slice(&length(record.headers.len()).to_le_bytes());
    for (name, value) in &record.headers {
        put(buffer, name.as_bytes());
        put_nullable(buffer, value.as_deref());
    }
    put_nullable(buffer, record.value.as_deref());
    let body = length(buffer.len() - start - PREFIX);
    let crc = crc32c::crc32c(&buffer[start + PREFIX..]);
    buffer[start..start + 4].copy_from_slice(&body.to_le_bytes());
    buffer[start + 4..start + PREFIX].copy_from_slice(&crc.to_le_bytes());
}

impl<'a> Frame<'a> {
    /// The frame at the beginning of `bytes`, which reach to the end of what may belong to it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Flaw> {
        let body_length = body_length(bytes, bytes.len())?;
        let body = bytes.get(PREFIX..PREFIX + body_length).ok_or(Flaw::Short)?;
        let expected = u32::from_le_bytes(bytes[4..PREFIX].try_into().map_err(|_| Flaw::Short)?);
        if crc32c::crc32c(body) != expected {
            return Err(Flaw::Checksum);
        }
        let bytes = &bytes[..PREFIX + body_length];
        Self::fields(bytes, body).ok_or(Flaw::Malformed)
    }

    fn fields(bytes: &'a [u8], body: &'a [u8]) -> Option<Self> {
        let mut rest = body;
        let offset = Offset::new(u64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?));
        let timestamp = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest, 8)?.try_into().ok()?));
        let key = take_sized(&mut rest)?;
        let header_count = take_u32(&mut rest)?;
        let before = rest;
        for _ in 0..header_count {
            std::str::from_utf8(take_sized(&mut rest)?).ok()?;
            take_nullable(&mut rest)?;
        }
        let headers = &before[..before.len() - rest.len()];
        let value = take_nullable(&mut rest)?;
        rest.is_empty().then_some(Self { bytes, offset, timestamp, key, headers, header_count, value })
    }

    /// The whole frame, as it lies in the file.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn tombstone(&self) -> bool {
        self.value.is_none()
    }

    pub(crate) fn to_stored(self) -> Stored {
        let mut rest = self.headers;
        let mut headers = Vec::new();
        for _ in 0..self.header_count {
            // `fields` walked over the same bytes, so both are there.
            let (Some(name), Some(value)) = (take_sized(&mut rest), take_nullable(&mut rest)) else { break };
            headers.push((String::from_utf8_lossy(name).into_owned(), value.map(<[u8]>::to_vec)));
        }
        let value = self.value.map(<[u8]>::to_vec);
        Stored {
            offset: self.offset,
            record: Record { key: self.key.to_vec(), value, headers, timestamp: self.timestamp },
        }
    }
}

/// Whether a whole frame with an offset of at least `expected` begins anywhere in `bytes`. Offsets rise by one, so
/// one that is further away than there are bytes is noise; asking that first keeps the search linear.
pub(crate) fn any_frame_in(bytes: &[u8], expected: Offset) -> bool {
    let limit = u64::try_from(bytes.len()).map_or(u64::MAX, |length| expected.get().saturating_add(length));
    (0..bytes.len().saturating_sub(PREFIX + SMALLEST_BODY - 1)).any(|start| {
        let here = &bytes[start..];
        let offset = here[PREFIX..PREFIX + 8].try_into().map_or(u64::MAX, u64::from_le_bytes);
        (expected.get()..limit).contains(&offset) && Frame::parse(here).is_ok()
    })
}

/// Why [`Frames`] could not go on.
#[derive(Debug)]
pub(crate) enum FrameError {
    Io(io::Error),
    Bad { position: u64, flaw: Flaw },
}

/// Walks over the frames in a range of a file.
#[derive(Debug)]
pub(crate) struct Frames<'f> {
    file: &'f File,
    /// Where the next frame begins.
    position: u64,
    end: u64,
    chunk: usize,
    buffer: Vec<u8>,
    start: usize,
}

impl<'f> Frames<'f> {
    /// Over `[position, end)`, read in pieces of `chunk` bytes.
    pub(crate) fn new(file: &'f File, position: u64, end: u64, chunk: usize) -> Self {
        Self { file, position, end, chunk, buffer: Vec::new(), start: 0 }
    }

    /// The next frame and where it begins; `None` at the end of the range.
    pub(crate) fn next(&mut self) -> Result<Option<(u64, Frame<'_>)>, FrameError> {
        let position = self.position;
        let left = usize::try_from(self.end - position).unwrap_or(usize::MAX);
        if left == 0 {
            return Ok(None);
        }
        let bad = |flaw| FrameError::Bad { position, flaw };
        self.fill(PREFIX.min(left)).map_err(FrameError::Io)?;
        let whole = PREFIX + body_length(&self.buffer[self.start..], left).map_err(bad)?;
        self.fill(whole).map_err(FrameError::Io)?;
        let from = self.start;
        self.start += whole;
        self.position += u64::try_from(whole).unwrap_or(u64::MAX);
        let frame = Frame::parse(&self.buffer[from..from + whole]).map_err(bad)?;
        Ok(Some((position, frame)))
    }

    /// Makes at least `needed` bytes available at `start`.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        let available = self.buffer.len() - self.start;
        if available >= needed {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let target = needed.max(self.chunk.min(left));
        self.buffer.resize(target, 0);
        let at = self.position + u64::try_from(available).unwrap_or(u64::MAX);
        self.file.read_exact_at(&mut self.buffer[available..], at)
    }
}

/// The body's length, if it fits into the `left` bytes from the beginning of the frame.
fn body_length(bytes: &[u8], left: usize) -> Result<usize, Flaw> {
    let field = bytes.get(..4).ok_or(Flaw::Short)?;
    let body = u32::from_le_bytes(field.try_into().map_err(|_| Flaw::Short)?);
    let body = usize::try_from(body).map_err(|_| Flaw::Length)?;
    if body < SMALLEST_BODY {
        return Err(Flaw::Length);
    }
    if left < PREFIX || left - PREFIX < body {
        return Err(Flaw::Short);
    }
    Ok(body)
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a frame is smaller than the queue, and the queue than 1 GiB")
}

fn put(buffer: &mut Vec<u8>, bytes: &[u8]) {
    buffer.extend_from_slice(&length(bytes.len()).to_le_bytes());
    buffer.extend_from_slice(bytes);
}

fn put_nullable(buffer: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => put(buffer, bytes),
        None => buffer.extend_from_slice(&NULL.to_le_bytes()),
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    Some(head)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    Some(u32::from_le_bytes(take(rest, 4)?.try_into().ok()?))
}

fn take_sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_u32(rest)?).ok()?;
    take(rest, length)
}

/// The outer `None` is a malformed frame, the inner one a null.
#[expect(clippy::option_option, reason = "the two answers are different and both are needed")]
fn take_nullable<'a>(rest: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = take_u32(rest)?;
    if length == NULL {
        return Some(None);
    }
    take(rest, usize::try_from(length).ok()?).map(Some)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records() -> impl Strategy<Value = Record> {
        let bytes = || proptest::collection::vec(any::<u8>(), 0..64);
        let headers = proptest::collection::vec(("[a-z-]{0,12}", proptest::option::of(bytes())), 0..4);
        (bytes(), proptest::option::of(bytes()), headers, any::<i64>()).prop_map(|(key, value, headers, at)| Record {
            key,
            value,
            headers,
            timestamp: Timestamp::from_micros(at),
        })
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(record in records(), offset in any::<u64>()) {
            let mut buffer = Vec::new();
            encode(&mut buffer, Offset::new(offset), &record);
            let frame = Frame::parse(&buffer).expect("a whole frame");
            prop_assert_eq!(frame.bytes().len(), buffer.len());
            prop_assert_eq!(frame.to_stored(), Stored { offset: Offset::new(offset), record });
        }

        #[test]
        fn one_flipped_bit_is_seen(record in records(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
            let mut buffer = Vec::new();
            encode(&mut buffer, Offset::new(7), &record);
            let place = at.index(buffer.len());
            buffer[place] ^= 1 << bit;
            prop_assert!(Frame::parse(&buffer).is_err());
        }

        #[test]
        fn noise_is_never_a_frame(noise in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(Frame::parse(&noise).is_err());
        }
    }
}
