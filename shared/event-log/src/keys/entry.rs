//! What a record of `keys` says. Nothing in it is secret: a wrapped key is worth nothing without what wraps it.
//!
//! | record key | value |
//! |---|---|
//! | owner (16 bytes), key id (16 bytes) | a wrapped key; a tombstone destroys it |
//! | handle (16 bytes), 16 × 0xFF | the floor of a subject that was forgotten: kept for good |
//! | `wrapping/EPOCH/NAME` | a wrapping key of that epoch, sealed with the root; in partition 0 |
//!
//! A wrapping key has a name of its own beside its epoch. Of two processes that make the first one at once both records
//! stay, whatever compaction does, and what either has wrapped can be opened.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use keyring::{KeyId, Minted, Owner, WRAPPED};
use memory_core::subject::TenantTag;
use memory_core::{Handle, Seq};
use serde::{Deserialize, Serialize};

use crate::line::{self, Unreadable, Value};
use crate::{Record, Timestamp, now};

const WRAPPING: &str = "wrapping/";
const FLOOR: [u8; 16] = [0xFF; 16];

/// A record of `keys`.
#[derive(Debug)]
pub(super) enum Entry {
    /// `None` when the wrapping key was destroyed.
    Wrapping {
        name: WrappingName,
        sealed: Option<SealedWrapping>,
    },
    Floor {
        subject: Handle,
        floor: Seq,
    },
    Key(Wrapped),
    /// The key was destroyed.
    Destroyed {
        owner: [u8; 16],
        id: KeyId,
    },
}

/// The name of a wrapping key. Of one epoch there may be several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WrappingName {
    pub(super) epoch: u32,
    pub(super) unique: u64,
}

impl fmt::Display for WrappingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{WRAPPING}{}/{:016x}", self.epoch, self.unique)
    }
}

/// A wrapping key, sealed with a root key.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealedWrapping {
    /// The fingerprint of the root.
    pub(super) root: [u8; 8],
    pub(super) wrapped: [u8; WRAPPED],
}

/// A key, wrapped with a wrapping key of this epoch.
#[derive(Clone, Debug)]
pub(super) struct Wrapped {
    pub(super) owner: Owner,
    pub(super) id: KeyId,
    pub(super) made: Timestamp,
    pub(super) epoch: u32,
    pub(super) wrapped: [u8; WRAPPED],
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Body {
    Wrapping { root: String, wrapped: String },
    Floor { floor: Seq },
    Subject { made: Timestamp, epoch: u32, wrapped: String },
    Tenant { made: Timestamp, epoch: u32, wrapped: String },
}

/// Why a record of `keys` is none.
#[derive(Debug)]
pub(super) enum Bad {
    Value(Unreadable),
    /// Its key, or what its value says, is of no kind that there is.
    Shape(&'static str),
}

impl Entry {
    pub(super) fn read(record: &Record) -> Result<Self, Bad> {
        let body: Option<Body> =
            record.value.as_deref().map(|value| Value::of(value).clear()).transpose().map_err(Bad::Value)?;
        if let Some(name) = wrapping_name(&record.key) {
            let sealed = match body {
                None => None,
                Some(Body::Wrapping { root, wrapped }) => {
                    let root = u64::from_str_radix(&root, 16).map_err(|_| Bad::Shape("the root's fingerprint"))?;
                    Some(SealedWrapping { root: root.to_be_bytes(), wrapped: bytes(&wrapped)? })
                }
                Some(Body::Floor { .. } | Body::Subject { .. } | Body::Tenant { .. }) => {
                    return Err(Bad::Shape("a value under the key of a wrapping key"));
                }
            };
            return Ok(Self::Wrapping { name, sealed });
        }
        let (owner, id) = record.key.split_first_chunk::<16>().ok_or(Bad::Shape("the key"))?;
        let id: [u8; 16] = id.try_into().map_err(|_| Bad::Shape("the key"))?;
        let (owner, id) = (*owner, KeyId::from_bytes(id));
        let key = |owner, made, epoch, wrapped: String| {
            Ok(Self::Key(Wrapped { owner, id, made, epoch, wrapped: bytes(&wrapped)? }))
        };
        match body {
            None => Ok(Self::Destroyed { owner, id }),
            Some(Body::Floor { floor }) if *id.as_bytes() == FLOOR => {
                Ok(Self::Floor { subject: Handle::from_bytes(owner), floor })
            }
            Some(Body::Subject { made, epoch, wrapped }) => {
                key(Owner::Subject(Handle::from_bytes(owner)), made, epoch, wrapped)
            }
            Some(Body::Tenant { made, epoch, wrapped }) => {
                key(Owner::Tenant(TenantTag::from_bytes(owner)), made, epoch, wrapped)
            }
            Some(Body::Floor { .. } | Body::Wrapping { .. }) => Err(Bad::Shape("a value under the key of a key")),
        }
    }
}

fn wrapping_name(key: &[u8]) -> Option<WrappingName> {
    // No hash and random bytes ever read like this from end to end.
    let (epoch, unique) = std::str::from_utf8(key).ok()?.strip_prefix(WRAPPING)?.split_once('/')?;
    Some(WrappingName { epoch: epoch.parse().ok()?, unique: u64::from_str_radix(unique, 16).ok()? })
}

fn bytes(text: &str) -> Result<[u8; WRAPPED], Bad> {
    let bytes = STANDARD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(Bad::Shape("a wrapped key"))
}

fn record(key: Vec<u8>, value: Option<&Body>) -> Record {
    Record { key, value: value.map(line::clear), headers: Vec::new(), timestamp: now() }
}

impl WrappingName {
    pub(super) fn put(&self, sealed: &SealedWrapping) -> Record {
        let root = format!("{:016x}", u64::from_be_bytes(sealed.root));
        let body = Body::Wrapping { root, wrapped: STANDARD.encode(sealed.wrapped) };
        record(self.to_string().into_bytes(), Some(&body))
    }

    pub(super) fn tombstone(&self) -> Record {
        record(self.to_string().into_bytes(), None)
    }
}

fn key_of(owner: &[u8; 16], id: &[u8; 16]) -> Vec<u8> {
    [owner.as_slice(), id].concat()
}

/// The record of a wrapped key.
pub(super) fn put(key: &Minted, epoch: u32, wrapped: [u8; WRAPPED]) -> Record {
    let (made, wrapped) = (key.made, STANDARD.encode(wrapped));
    let body = match key.owner {
        Owner::Subject(_) => Body::Subject { made, epoch, wrapped },
        Owner::Tenant(_) => Body::Tenant { made, epoch, wrapped },
    };
    record(key_of(key.owner.as_bytes(), key.id.as_bytes()), Some(&body))
}

/// The record that destroys a key.
pub(super) fn tombstone(owner: &[u8; 16], id: KeyId) -> Record {
    record(key_of(owner, id.as_bytes()), None)
}

/// The record that dooms all keys of a subject that seal from below the floor, those to come as well.
pub(super) fn floor(subject: Handle, floor: Seq) -> Record {
    record(key_of(subject.as_bytes(), &FLOOR), Some(&Body::Floor { floor }))
}
