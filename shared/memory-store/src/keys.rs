//! The keys of rows. Each begins with the two bytes of its kind; a kind's bytes never change and are never used again.
//!
//! What people said or are called stands in no key: an event's id, which products choose, is hashed.
//!
//! A key of a subject's row can only be made from its [`Handle`], and one of an index only from a [`TenantTag`]: there
//! is no way to write a key that reaches over a tenant's border (law L08).

use memory_core::step::RowKey;
use memory_core::subject::TenantTag;
use memory_core::{EventId, Handle, HashSecret, MemoryId, ReceiptId, Seq};
use uuid::Uuid;

use event_log::{Partition, Topic};

use crate::Error;

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Subject,
    Memory,
    Revision,
    Source,
    Window,
    Rules,
    Fate,
    /// The numbers of a subject's next step and of the one after its last snapshot.
    NextStep,
    /// Who wrote a step: what a tombstone for it must name.
    StepWriter,
    /// A step that lost and is not buried yet.
    Loser,
    /// A writer of which a step has lost in a partition.
    LostWriter,
    /// A subject with a step that does not connect to those before it.
    Unconnected,
    /// A part of a snapshot that is not complete yet.
    SnapshotPart,
    /// From a tenant's memory id to its subject.
    MemoryIndex,
    /// From a tenant's event id to its subjects.
    EventIndex,
    /// How far a topic was read.
    Position,
    /// The newest record of a topic that was read.
    Anchor,
    /// What became of a forget.
    Receipt,
    /// A forget that is not done.
    Pending,
    /// A subject's state at a window's end.
    Boundary,
    /// A passivated subject with an open window; only valid within one run.
    Spill,
    /// From where a partition of `interactions` must be read.
    OpenFrom,
    /// A row of `working` that an older one was written over.
    Overwritten,
}

impl KeyKind {
    pub(crate) const fn bytes(self) -> [u8; 2] {
        match self {
            Self::Subject => *b"sb",
            Self::Memory => *b"me",
            Self::Revision => *b"re",
            Self::Source => *b"so",
            Self::Window => *b"wi",
            Self::Rules => *b"ru",
            Self::Fate => *b"fa",
            Self::NextStep => *b"ns",
            Self::StepWriter => *b"sw",
            Self::Loser => *b"lo",
            Self::LostWriter => *b"lw",
            Self::Unconnected => *b"un",
            Self::SnapshotPart => *b"sp",
            Self::MemoryIndex => *b"im",
            Self::EventIndex => *b"ie",
            Self::Position => *b"po",
            Self::Anchor => *b"an",
            Self::Receipt => *b"rc",
            Self::Pending => *b"fp",
            Self::Boundary => *b"wm",
            Self::Spill => *b"ws",
            Self::OpenFrom => *b"wo",
            Self::Overwritten => *b"wv",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Subject => "subject",
            Self::Memory => "memory",
            Self::Revision => "revision",
            Self::Source => "source",
            Self::Window => "window",
            Self::Rules => "rules",
            Self::Fate => "fate",
            Self::NextStep => "next-step",
            Self::StepWriter => "step-writer",
            Self::Loser => "loser",
            Self::LostWriter => "lost-writer",
            Self::Unconnected => "unconnected",
            Self::SnapshotPart => "snapshot-part",
            Self::MemoryIndex => "memory-index",
            Self::EventIndex => "event-index",
            Self::Position => "position",
            Self::Anchor => "anchor",
            Self::Receipt => "receipt",
            Self::Pending => "pending",
            Self::Boundary => "boundary",
            Self::Spill => "spill",
            Self::OpenFrom => "open-from",
            Self::Overwritten => "overwritten",
        }
    }
}

/// The kinds of a subject's rows, in the order of the canonical dump.
pub(crate) const ROW_KINDS: [KeyKind; 7] = [
    KeyKind::Subject,
    KeyKind::Memory,
    KeyKind::Revision,
    KeyKind::Source,
    KeyKind::Window,
    KeyKind::Rules,
    KeyKind::Fate,
];

/// The common beginning of all keys of one kind of one subject.
pub(crate) fn of_subject(kind: KeyKind, subject: Handle) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&kind.bytes());
    key.extend_from_slice(subject.as_bytes());
    key
}

pub(crate) fn row(secret: &HashSecret, subject: Handle, row: &RowKey) -> (KeyKind, Vec<u8>) {
    let (kind, suffix): (KeyKind, Vec<u8>) = match row {
        RowKey::Subject => (KeyKind::Subject, Vec::new()),
        RowKey::Memory(id) => (KeyKind::Memory, id.as_uuid().as_bytes().to_vec()),
        RowKey::Revision(id, version) => {
            (KeyKind::Revision, [id.as_uuid().as_bytes().as_slice(), &version.to_be_bytes()].concat())
        }
        RowKey::Source(seq) => (KeyKind::Source, seq_bytes(*seq)),
        RowKey::Window(seq) => (KeyKind::Window, seq_bytes(*seq)),
        RowKey::Rules(fingerprint) => (KeyKind::Rules, fingerprint.to_be_bytes().to_vec()),
        RowKey::Fate(event) => (KeyKind::Fate, secret.hash_of_event(event).to_vec()),
    };
    let mut key = of_subject(kind, subject);
    key.extend_from_slice(&suffix);
    (kind, key)
}

fn seq_bytes(seq: Seq) -> Vec<u8> {
    seq.get().to_be_bytes().to_vec()
}

pub(crate) fn revisions_of(subject: Handle, memory: MemoryId) -> Vec<u8> {
    let mut key = of_subject(KeyKind::Revision, subject);
    key.extend_from_slice(memory.as_uuid().as_bytes());
    key
}

pub(crate) fn memory_index(tenant: TenantTag, memory: MemoryId) -> Vec<u8> {
    index(KeyKind::MemoryIndex, tenant, memory.as_uuid().as_bytes())
}

/// All subjects of the tenant that have an event of this id.
pub(crate) fn event_index_prefix(secret: &HashSecret, tenant: TenantTag, event: &EventId) -> Vec<u8> {
    index(KeyKind::EventIndex, tenant, &secret.hash_of_event(event))
}

pub(crate) fn receipt(tenant: TenantTag, receipt: ReceiptId) -> Vec<u8> {
    index(KeyKind::Receipt, tenant, receipt.as_uuid().as_bytes())
}

/// A forget of a subject that dooms the keys below `floor`.
pub(crate) fn pending(subject: Handle, floor: Seq) -> Vec<u8> {
    let mut key = of_subject(KeyKind::Pending, subject);
    key.extend_from_slice(&floor.get().to_be_bytes());
    key
}

/// The index row that stands beside a row of a subject; `None` for the kinds that are not indexed.
pub(crate) fn index_of(tenant: TenantTag, subject: Handle, kind: KeyKind, key: &[u8]) -> Option<(KeyKind, Vec<u8>)> {
    let name = key.get(2 + Handle::BYTES..)?;
    match kind {
        KeyKind::Memory => Some((KeyKind::MemoryIndex, index(KeyKind::MemoryIndex, tenant, name))),
        KeyKind::Fate => {
            let mut key = index(KeyKind::EventIndex, tenant, name);
            key.extend_from_slice(subject.as_bytes());
            Some((KeyKind::EventIndex, key))
        }
        KeyKind::Subject
        | KeyKind::Revision
        | KeyKind::Source
        | KeyKind::Window
        | KeyKind::Rules
        | KeyKind::NextStep
        | KeyKind::StepWriter
        | KeyKind::Loser
        | KeyKind::LostWriter
        | KeyKind::Unconnected
        | KeyKind::SnapshotPart
        | KeyKind::MemoryIndex
        | KeyKind::EventIndex
        | KeyKind::Position
        | KeyKind::Anchor
        | KeyKind::Receipt
        | KeyKind::Pending
        | KeyKind::Boundary
        | KeyKind::Spill
        | KeyKind::OpenFrom
        | KeyKind::Overwritten => None,
    }
}

fn index(kind: KeyKind, tenant: TenantTag, id: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(64);
    key.extend_from_slice(&kind.bytes());
    key.extend_from_slice(tenant.as_bytes());
    key.extend_from_slice(id);
    key
}

pub(crate) fn position(topic: &Topic, partition: Partition) -> Vec<u8> {
    [&KeyKind::Position.bytes(), partition.get().to_be_bytes().as_slice(), topic.to_string().as_bytes()].concat()
}

pub(crate) fn anchor(topic: &Topic, partition: Partition) -> Vec<u8> {
    [&KeyKind::Anchor.bytes(), partition.get().to_be_bytes().as_slice(), topic.to_string().as_bytes()].concat()
}

pub(crate) fn open_from(partition: Partition) -> Vec<u8> {
    [KeyKind::OpenFrom.bytes().as_slice(), &partition.get().to_be_bytes()].concat()
}

/// The row that remembers a step's record: the same bytes as the record's key, behind the kind.
pub(crate) fn step_writer(record_key: &[u8]) -> Vec<u8> {
    [KeyKind::StepWriter.bytes().as_slice(), record_key].concat()
}

/// The row that remembers a step that lost, in the same way.
pub(crate) fn loser(record_key: &[u8]) -> Vec<u8> {
    [KeyKind::Loser.bytes().as_slice(), record_key].concat()
}

pub(crate) fn lost_writer(writer: Uuid, partition: Partition) -> Vec<u8> {
    [KeyKind::LostWriter.bytes().as_slice(), writer.as_bytes(), &partition.get().to_be_bytes()].concat()
}

/// Whatever of a partition of `working` an older row was written over: a subject's boundary, or the partition's marker.
pub(crate) fn overwritten(partition: Partition, subject: Option<Handle>) -> Vec<u8> {
    let mut key = [KeyKind::Overwritten.bytes().as_slice(), &partition.get().to_be_bytes()].concat();
    key.extend(subject.iter().flat_map(|subject| subject.as_bytes()));
    key
}

/// The subject that a key of a subject's row belongs to.
pub(crate) fn subject_in(kind: KeyKind, key: &[u8]) -> Result<Handle, Error> {
    let bytes: Option<[u8; 16]> = key.get(2..2 + Handle::BYTES).and_then(|bytes| bytes.try_into().ok());
    bytes.map(Handle::from_bytes).ok_or_else(|| Error::Key { kind: kind.name(), length: key.len() })
}

/// The subject at the end of the key of an event's index, or that a memory's index leads to.
pub(crate) fn subject_at_end(kind: KeyKind, bytes: &[u8]) -> Result<Handle, Error> {
    let handle = bytes.last_chunk().copied().map(Handle::from_bytes);
    handle.ok_or_else(|| Error::Key { kind: kind.name(), length: bytes.len() })
}

/// A log's name as stored bytes.
pub(crate) fn log_bytes(log: Uuid) -> [u8; 16] {
    *log.as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    // law: L08
    #[test]
    fn no_two_kinds_share_their_bytes_and_bytes_never_change() {
        let kinds = [
            KeyKind::Subject,
            KeyKind::Memory,
            KeyKind::Revision,
            KeyKind::Source,
            KeyKind::Window,
            KeyKind::Rules,
            KeyKind::Fate,
            KeyKind::NextStep,
            KeyKind::StepWriter,
            KeyKind::Loser,
            KeyKind::LostWriter,
            KeyKind::Unconnected,
            KeyKind::SnapshotPart,
            KeyKind::MemoryIndex,
            KeyKind::EventIndex,
            KeyKind::Position,
            KeyKind::Anchor,
            KeyKind::Receipt,
            KeyKind::Pending,
            KeyKind::Boundary,
            KeyKind::Spill,
            KeyKind::OpenFrom,
            KeyKind::Overwritten,
        ];
        let joined: Vec<String> =
            kinds.iter().map(|kind| String::from_utf8(kind.bytes().to_vec()).expect("ASCII")).collect();
        assert_eq!(joined.join(" "), "sb me re so wi ru fa ns sw lo lw un sp im ie po an rc fp wm ws wo wv");
    }
}
