//! The bytes of a key file.
//!
//! ```text
//! page 0      what it is: magic, format, the file's id, checksum
//! page 1, 2   places for a wrapping key: epoch, made, root id, wrapped, checksum
//! from 3 on   slots of 128 bytes: a key:   state 1, kind, epoch, owner, key id, made, wrapped, checksum
//!                                 a floor: state 2, kind, handle, sequence number, checksum
//! ```
//!
//! Zeros are an empty place or slot. A slot never straddles a sector (512 bytes), and the places lie in pages of their
//! own, so a write that a power cut tears leaves each of them old or new. Whatever is neither empty nor whole is damage.

use memory_core::{Handle, Seq, Timestamp};

use crate::wrap::{WRAPPED, Wrapping};
use crate::{KeyId, Minted, Owner, RootKey, Tampered};

/// Where places begin.
pub(super) const PLACES: [u64; 2] = [4096, 8192];
/// Where slots begin.
pub(super) const SLOTS_AT: u64 = 12_288;
/// Bytes of a slot.
pub(super) const SLOT: usize = 128;
/// The file grows by this many bytes, and is read and resealed in pieces of as many.
pub(super) const CHUNK: usize = 64 << 10;
/// Bytes of what says what the file is.
pub(super) const IDENTITY: usize = 8 + 4 + 16 + CHECK;
/// Bytes of a place.
pub(super) const PLACE: usize = 4 + 8 + 8 + WRAPPED + CHECK;

const CHECK: usize = 8;
const MAGIC: &[u8; 8] = b"memoskey";
const FORMAT: u32 = 1;
/// The state of a slot with a key.
pub(super) const USED: u8 = 1;
/// The state of a slot with a floor.
const FLOOR: u8 = 2;

/// What a place or a slot holds.
#[derive(Debug)]
pub(super) enum Held<T> {
    Nothing,
    Whole(T),
    Damaged,
}

/// Why a file is not a key file.
#[derive(Debug)]
pub(super) enum NotOurs {
    Other,
    Format(u32),
}

pub(super) fn write_identity(id: [u8; 16]) -> [u8; IDENTITY] {
    let mut out = Writer::<IDENTITY>::new();
    out.put(MAGIC).put(&FORMAT.to_be_bytes()).put(&id);
    out.checked()
}

pub(super) fn read_identity(bytes: &[u8; IDENTITY]) -> Result<[u8; 16], NotOurs> {
    let mut fields = checked(bytes).filter(|fields| fields.starts_with(MAGIC)).ok_or(NotOurs::Other)?;
    let _: [u8; 8] = take(&mut fields);
    match u32::from_be_bytes(take(&mut fields)) {
        FORMAT => Ok(take(&mut fields)),
        other => Err(NotOurs::Format(other)),
    }
}

/// A wrapping key as it is written.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) epoch: u32,
    pub(super) made: Timestamp,
    pub(super) root: [u8; 8],
    wrapped: [u8; WRAPPED],
}

impl Place {
    pub(super) const fn new(epoch: u32, made: Timestamp, root: [u8; 8], wrapped: [u8; WRAPPED]) -> Self {
        Self { epoch, made, root, wrapped }
    }

    pub(super) fn open(&self, root: &RootKey) -> Result<Wrapping, Tampered> {
        root.unwrap(self.epoch, &self.wrapped)
    }

    /// Whatever these bytes are, read as a place: only its root tells then whether they are one.
    pub(super) fn guess(bytes: &[u8; PLACE]) -> Self {
        let mut fields = bytes.as_slice();
        Self {
            epoch: u32::from_be_bytes(take(&mut fields)),
            made: Timestamp::from_micros(i64::from_be_bytes(take(&mut fields))),
            root: take(&mut fields),
            wrapped: take(&mut fields),
        }
    }

    pub(super) fn write(&self) -> [u8; PLACE] {
        let mut out = Writer::<PLACE>::new();
        out.put(&self.epoch.to_be_bytes()).put(&self.made.micros().to_be_bytes()).put(&self.root).put(&self.wrapped);
        out.checked()
    }

    pub(super) fn read(bytes: &[u8; PLACE]) -> Held<Self> {
        if is_zero(bytes) {
            return Held::Nothing;
        }
        if checked(bytes).is_some() { Held::Whole(Self::guess(bytes)) } else { Held::Damaged }
    }
}

/// A key as it is written.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) owner: Owner,
    pub(super) id: KeyId,
    pub(super) made: Timestamp,
    pub(super) epoch: u32,
    pub(super) wrapped: [u8; WRAPPED],
}

impl Slot {
    pub(super) fn open(&self, with: &Wrapping) -> Result<Minted, Tampered> {
        with.open(self.owner, self.id, self.made, &self.wrapped)
    }

    pub(super) fn write(&self) -> [u8; SLOT] {
        let mut out = Writer::<SLOT>::new();
        // Two bytes are left for a later format.
        out.put(&[USED, self.owner.kind(), 0, 0]).put(&self.epoch.to_be_bytes()).put(self.owner.as_bytes());
        out.put(self.id.as_bytes()).put(&self.made.micros().to_be_bytes()).put(&self.wrapped);
        out.put(&[0; KEY_REST]);
        out.checked()
    }

    /// The key that these bytes are, if their state says so; the checksum is not looked at.
    pub(super) fn of(mut fields: &[u8]) -> Option<Self> {
        let [USED, kind, 0, 0] = take(&mut fields) else { return None };
        let epoch = u32::from_be_bytes(take(&mut fields));
        let owner = Owner::from_parts(kind, take(&mut fields))?;
        let id = KeyId::from_bytes(take(&mut fields));
        let made = Timestamp::from_micros(i64::from_be_bytes(take(&mut fields)));
        Some(Self { owner, id, made, epoch, wrapped: take(&mut fields) })
    }
}

/// Up to where keys of a subject are dead, as it is written. There is nothing secret in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Floor {
    pub(super) subject: Handle,
    pub(super) floor: Seq,
}

impl Floor {
    pub(super) fn write(&self) -> [u8; SLOT] {
        let mut out = Writer::<SLOT>::new();
        let owner = Owner::Subject(self.subject);
        out.put(&[FLOOR, owner.kind(), 0, 0]).put(owner.as_bytes()).put(&self.floor.get().to_be_bytes());
        out.put(&[0; FLOOR_REST]);
        out.checked()
    }

    fn of(mut fields: &[u8]) -> Option<Self> {
        let [FLOOR, kind, 0, 0] = take(&mut fields) else { return None };
        let Owner::Subject(subject) = Owner::from_parts(kind, take(&mut fields))? else { return None };
        let floor = Seq::new(u64::from_be_bytes(take(&mut fields)));
        is_zero(fields).then_some(Self { subject, floor })
    }
}

/// Bytes of a slot with a key that say nothing.
const KEY_REST: usize = SLOT - 4 - 4 - 16 - 16 - 8 - WRAPPED - CHECK;
/// Bytes of a slot with a floor that say nothing.
const FLOOR_REST: usize = SLOT - 4 - 16 - 8 - CHECK;

/// What a slot holds.
#[derive(Debug)]
pub(super) enum Entry {
    Key(Slot),
    Floor(Floor),
}

impl Entry {
    pub(super) fn read(bytes: &[u8; SLOT]) -> Held<Self> {
        if is_zero(bytes) {
            return Held::Nothing;
        }
        let of = |fields| Slot::of(fields).map(Self::Key).or_else(|| Floor::of(fields).map(Self::Floor));
        checked(bytes).and_then(of).map_or(Held::Damaged, Held::Whole)
    }
}

/// Where a slot lies.
pub(super) const fn slot_at(index: u32) -> u64 {
    SLOTS_AT + index as u64 * SLOT as u64
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

struct Writer<const N: usize> {
    bytes: [u8; N],
    filled: usize,
}

impl<const N: usize> Writer<N> {
    const fn new() -> Self {
        Self { bytes: [0; N], filled: 0 }
    }

    fn put(&mut self, field: &[u8]) -> &mut Self {
        self.bytes[self.filled..self.filled + field.len()].copy_from_slice(field);
        self.filled += field.len();
        self
    }

    fn checked(mut self) -> [u8; N] {
        debug_assert_eq!(self.filled, N - CHECK, "the fields are all that is checked");
        let check = check(&self.bytes[..N - CHECK]);
        self.bytes[N - CHECK..].copy_from_slice(&check);
        self.bytes
    }
}

/// The fields before the checksum, when it is theirs.
fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (fields, found) = bytes.split_last_chunk::<CHECK>()?;
    (check(fields) == *found).then_some(fields)
}

fn check(fields: &[u8]) -> [u8; CHECK] {
    *blake3::hash(fields).as_bytes().first_chunk().expect("8 of 32 bytes")
}

fn take<const N: usize>(fields: &mut &[u8]) -> [u8; N] {
    let (field, rest) = fields.split_first_chunk().expect("the layout is as long as its fields");
    *fields = rest;
    *field
}

// A slot is a whole part of a sector and a chunk a whole number of slots; what is written is as long as its place.
const _: () = assert!(512_usize.is_multiple_of(SLOT) && CHUNK.is_multiple_of(SLOT) && SLOTS_AT.is_multiple_of(4096));
const _: () = assert!(KEY_REST < SLOT && PLACE <= 512);
