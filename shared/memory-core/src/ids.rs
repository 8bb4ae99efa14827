//! Identifiers. Those that memos makes derive from event ids (law L03), so a replay makes the same ones.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::subject::Handle;

/// The namespace of every id that memos derives. Never changes.
const NAMESPACE: Uuid = Uuid::from_bytes(*b"memos/ids/v1\0\0\0\0");

/// The longest event id, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 128;

/// Who published an event chose its id; it is unique within its subject.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Box<str>);

impl EventId {
    /// Takes an id of 1 to [`EVENT_ID_BYTES_MAX`] bytes without control characters; `None` otherwise.
    #[must_use]
    pub fn try_new(id: impl Into<String>) -> Option<Self> {
        let id = id.into();
        let fits = !id.is_empty() && id.len() <= EVENT_ID_BYTES_MAX && !id.chars().any(char::is_control);
        fits.then_some(Self(id.into()))
    }

    /// The id of the `index`-th event of a request that carried an idempotency key and no ids.
    #[must_use]
    pub fn of_request(subject: Handle, idempotency_key: &str, index: usize) -> Self {
        Self(
            derive(&[b"request", subject.as_bytes(), idempotency_key.as_bytes(), index.to_string().as_bytes()])
                .to_string()
                .into(),
        )
    }

    /// The id of the tick that says "nothing came after `last`".
    #[must_use]
    pub fn of_tick(subject: Handle, last: &Self) -> Self {
        Self(derive(&[b"tick", subject.as_bytes(), last.as_str().as_bytes()]).to_string().into())
    }

    /// The id of the event that repeats a forget which the log knows nothing of.
    #[must_use]
    pub fn of_repeated_forget(subject: Handle, floor: Seq) -> Self {
        Self(derive(&[b"forget again", subject.as_bytes(), &floor.get().to_be_bytes()]).to_string().into())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a subject's working memory remembers of an id to recognise a repeat: 8 bytes of a hash.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let hash = blake3::hash(self.0.as_bytes());
        u64::from_le_bytes(hash.as_bytes()[..8].try_into().expect("a hash has 32 bytes"))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        // The order of its bytes, compared as one number: maps of memories are searched for everything.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.0.as_u128().cmp(&other.0.as_u128())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl $name {
            #[must_use]
            pub const fn from_uuid(id: Uuid) -> Self {
                Self(id)
            }

            #[must_use]
            pub const fn as_uuid(&self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id! {
    /// Names a memory: UUIDv5 of the subject and the event that the memory began with.
    MemoryId
}

uuid_id! {
    /// Names a consolidation: UUIDv5 of subject, first and last event, rules and trigger.
    ConsolidationId
}

uuid_id! {
    /// Names a forget and what became of it: UUIDv5 of the subject and the event that asked for it.
    ReceiptId
}

impl ReceiptId {
    /// The receipt of the forget that `event` asks for.
    #[must_use]
    pub fn of_event(subject: Handle, event: &EventId) -> Self {
        Self(derive(&[b"receipt", subject.as_bytes(), event.as_str().as_bytes()]))
    }
}

impl MemoryId {
    /// The id of the memory that begins with `event`.
    #[must_use]
    pub fn of_event(subject: Handle, event: &EventId) -> Self {
        Self(derive(&[b"memory", subject.as_bytes(), event.as_str().as_bytes()]))
    }

    /// The id of a memory that is no event's alone: of a statement in one, of a session, of a topic.
    #[must_use]
    pub fn of_part(subject: Handle, whole: &str, part: &str) -> Self {
        Self(derive(&[b"part", subject.as_bytes(), whole.as_bytes(), part.as_bytes()]))
    }
}

impl ConsolidationId {
    /// The id of a window from `first` to `last`, closed by `trigger` under `rules`.
    #[must_use]
    pub fn of_window(subject: Handle, first: &EventId, last: &EventId, rules: &[u8], trigger: &str) -> Self {
        let parts: [&[u8]; 6] = [
            b"window",
            subject.as_bytes(),
            first.as_str().as_bytes(),
            last.as_str().as_bytes(),
            rules,
            trigger.as_bytes(),
        ];
        Self(derive(&parts))
    }
}

/// UUIDv5 over length-prefixed parts, so that no two different lists of parts can look alike.
fn derive(parts: &[&[u8]]) -> Uuid {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        let length = u32::try_from(part.len()).expect("parts of ids are short");
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(part);
    }
    Uuid::new_v5(&NAMESPACE, &bytes)
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident($raw:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name($raw);

        impl $name {
            pub const FIRST: Self = Self(0);

            #[must_use]
            pub const fn new(raw: $raw) -> Self {
                Self(raw)
            }

            #[must_use]
            pub const fn get(self) -> $raw {
                self.0
            }

            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0 + 1)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter! {
    /// Counts the accepted events of a subject, from 0.
    Seq(u64)
}
counter! {
    /// Counts a subject's lives: a forget ends one, the next event begins the next.
    Generation(u32)
}
counter! {
    /// Counts the steps of a subject, from 0.
    StepNumber(u64)
}
