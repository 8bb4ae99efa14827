//! The names of keys. A name says whose events a key may seal; it is no secret.

use std::fmt;

use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq};
use serde::{Deserialize, Serialize};

/// Whose key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// Seals what is derived of a subject.
    Subject(Handle),
    /// Seals what a tenant's products publish, for a day.
    Tenant(TenantTag),
}

impl Owner {
    /// The number of the kind in what is written down.
    #[must_use]
    pub const fn kind(&self) -> u8 {
        match self {
            Self::Subject(_) => 1,
            Self::Tenant(_) => 2,
        }
    }

    /// Reads an owner back; `None` for the number of no kind.
    #[must_use]
    pub const fn from_parts(kind: u8, bytes: [u8; 16]) -> Option<Self> {
        match kind {
            1 => Some(Self::Subject(Handle::from_bytes(bytes))),
            2 => Some(Self::Tenant(TenantTag::from_bytes(bytes))),
            3.. | 0 => None,
        }
    }

    /// The hash that stands for the owner in places that are not secret.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Subject(handle) => handle.as_bytes(),
            Self::Tenant(tag) => tag.as_bytes(),
        }
    }
}

/// Names one key: from which sequence number of its subject on it seals, and 8 random bytes.
///
/// A forget at sequence number *s* dooms every key of the subject that seals from *s* on or before, those included that a
/// former owner makes later because it has not heard of it. So the name alone tells whether a key must be dead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 16]);

impl KeyId {
    pub const BYTES: usize = 16;

    #[must_use]
    pub fn new(since: Seq, unique: [u8; 8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&since.get().to_be_bytes());
        bytes[8..].copy_from_slice(&unique);
        Self(bytes)
    }

    /// The first sequence number that it may seal; 0 for a tenant's key.
    #[must_use]
    pub fn since(&self) -> Seq {
        Seq::new(u64::from_be_bytes(*self.0.first_chunk().expect("8 of 16 bytes")))
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for KeyId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let number = (hex.len() == 32).then(|| u128::from_str_radix(&hex, 16).ok()).flatten();
        number
            .map(|number| Self(number.to_be_bytes()))
            .ok_or_else(|| serde::de::Error::custom("a key's name is 32 hexadecimal digits"))
    }
}
