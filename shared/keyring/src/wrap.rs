//! Keys that seal keys, so that what is written down of a key is worth nothing without the root.
//!
//! There are two steps. The *root key* lies outside the data and seals the *wrapping key* of an epoch; that one seals the
//! keys of subjects and tenants. So a new root reseals one value, and a new wrapping epoch makes every older copy of a
//! wrapped key, in freed blocks or in backups, worthless as soon as the old wrapping key is gone. A wrapped key is bound to
//! whose it is, to its name, its time and its epoch: none can stand in the place of another.

use std::fmt;
use std::sync::Arc;

use memory_core::Timestamp;
use zeroize::Zeroizing;

use crate::cipher::{NONCE, Nonces, TAG};
use crate::{Key, KeyId, Minted, Owner, Tampered};

/// Bytes of a wrapped key: the nonce, the sealed key, what authenticates it.
pub const WRAPPED: usize = NONCE + Key::BYTES + TAG;

/// The key at the root of all others. It never lies in the data directory or in a log.
#[derive(Debug)]
pub struct RootKey {
    key: Key,
    id: [u8; 8],
}

impl RootKey {
    #[must_use]
    pub fn new(key: Key) -> Self {
        let print = blake3::derive_key("memos 2026 the fingerprint of a root key", key.as_bytes());
        let id = *print.first_chunk().expect("8 of 32 bytes");
        Self { key, id }
    }

    /// A new one from the random source of the operating system.
    ///
    /// # Errors
    /// When there is no such source.
    pub fn random() -> Result<Self, getrandom::Error> {
        Key::random().map(Self::new)
    }

    /// A fingerprint, which tells roots apart and is no secret.
    #[must_use]
    pub const fn id(&self) -> [u8; 8] {
        self.id
    }

    /// The fingerprint as people see it.
    #[must_use]
    pub fn name(&self) -> RootName {
        RootName(self.id)
    }

    pub(crate) const fn key(&self) -> &Key {
        &self.key
    }

    /// Seals a wrapping key; only this root opens it again, and only as one of the same epoch.
    #[must_use]
    pub fn wrap(&self, nonces: &Nonces, wrapping: &Wrapping) -> [u8; WRAPPED] {
        fixed(self.key.seal(nonces, &place_of_epoch(wrapping.epoch), wrapping.key.as_bytes()))
    }

    /// Opens what [`RootKey::wrap`] made.
    ///
    /// # Errors
    /// [`Tampered`] when it is of another root or epoch, or damaged.
    pub fn unwrap(&self, epoch: u32, wrapped: &[u8]) -> Result<Wrapping, Tampered> {
        Ok(Wrapping { epoch, key: open(&self.key, &place_of_epoch(epoch), wrapped)? })
    }
}

/// The fingerprint of a root key, as 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootName(pub [u8; 8]);

impl fmt::Display for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The key of an epoch, with which the keys of subjects and tenants are wrapped.
#[derive(Debug)]
pub struct Wrapping {
    epoch: u32,
    key: Key,
}

impl Wrapping {
    /// A new one from the random source of the operating system.
    ///
    /// # Errors
    /// When there is no such source.
    pub fn random(epoch: u32) -> Result<Self, getrandom::Error> {
        Ok(Self { epoch, key: Key::random()? })
    }

    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Seals a key, bound to all that is known of it.
    #[must_use]
    pub fn wrap(&self, nonces: &Nonces, minted: &Minted) -> [u8; WRAPPED] {
        let place = place_of_key(minted.owner, minted.id, minted.made, self.epoch);
        fixed(self.key.seal(nonces, &place, minted.key.as_bytes()))
    }

    /// Opens what [`Wrapping::wrap`] made of exactly this key.
    ///
    /// # Errors
    /// [`Tampered`] when it is another key, of another epoch, or damaged.
    pub fn unwrap(&self, owner: Owner, id: KeyId, made: Timestamp, wrapped: &[u8]) -> Result<Key, Tampered> {
        open(&self.key, &place_of_key(owner, id, made, self.epoch), wrapped)
    }

    /// As [`Wrapping::unwrap`], with all that was known of it.
    ///
    /// # Errors
    /// As [`Wrapping::unwrap`].
    pub fn open(&self, owner: Owner, id: KeyId, made: Timestamp, wrapped: &[u8]) -> Result<Minted, Tampered> {
        let key = Arc::new(self.unwrap(owner, id, made, wrapped)?);
        Ok(Minted { owner, id, made, key })
    }
}

fn open(with: &Key, place: &[u8], wrapped: &[u8]) -> Result<Key, Tampered> {
    let bytes = Zeroizing::new(with.open(place, wrapped)?);
    Key::from_slice(&bytes).ok_or(Tampered)
}

fn fixed(sealed: Vec<u8>) -> [u8; WRAPPED] {
    sealed.try_into().expect("a nonce, a key and a tag")
}

fn place_of_epoch(epoch: u32) -> Vec<u8> {
    [b"memos wrapping key".as_slice(), &epoch.to_be_bytes()].concat()
}

fn place_of_key(owner: Owner, id: KeyId, made: Timestamp, epoch: u32) -> Vec<u8> {
    let kind = [owner.kind()];
    [&kind, owner.as_bytes().as_slice(), id.as_bytes(), &made.micros().to_be_bytes(), &epoch.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use memory_core::subject::TenantTag;
    use memory_core::{Handle, Seq};

    use super::*;

    fn minted(owner: Owner) -> Minted {
        let key = Arc::new(Key::random().expect("a key"));
        Minted { owner, id: KeyId::new(Seq::new(3), [7; 8]), made: Timestamp::from_seconds(5), key }
    }

    #[test]
    fn a_wrapped_key_opens_only_as_what_it_is() {
        let (wrapping, nonces) = (Wrapping::random(4).expect("a key"), Nonces::new().expect("nonces"));
        let key = minted(Owner::Subject(Handle::from_bytes([1; 16])));
        let wrapped = wrapping.wrap(&nonces, &key);
        let open = |owner, id, made| wrapping.unwrap(owner, id, made, &wrapped);
        assert_eq!(open(key.owner, key.id, key.made).expect("it opens").as_bytes(), key.key.as_bytes());
        let tenant = Owner::Tenant(TenantTag::from_bytes([1; 16]));
        assert!(open(tenant, key.id, key.made).is_err(), "another kind");
        assert!(open(Owner::Subject(Handle::from_bytes([2; 16])), key.id, key.made).is_err(), "another owner");
        assert!(open(key.owner, KeyId::new(Seq::new(3), [8; 8]), key.made).is_err(), "another name");
        assert!(open(key.owner, key.id, Timestamp::from_seconds(6)).is_err(), "another time");
        let other = Wrapping { epoch: 5, key: Key::new(*wrapping.key.as_bytes()) };
        assert!(other.unwrap(key.owner, key.id, key.made, &wrapped).is_err(), "another epoch");
        assert!(wrapping.unwrap(key.owner, key.id, key.made, &wrapped[1..]).is_err(), "too short");
    }

    #[test]
    fn a_wrapping_key_opens_only_with_its_root_and_as_its_epoch() {
        let (root, nonces) = (RootKey::random().expect("a key"), Nonces::new().expect("nonces"));
        let wrapping = Wrapping::random(4).expect("a key");
        let wrapped = root.wrap(&nonces, &wrapping);
        let again = root.unwrap(4, &wrapped).expect("it opens");
        assert_eq!(again.key.as_bytes(), wrapping.key.as_bytes());
        assert!(root.unwrap(5, &wrapped).is_err(), "another epoch");
        assert!(RootKey::random().expect("a key").unwrap(4, &wrapped).is_err(), "another root");
        assert_eq!(root.name().to_string().len(), 16);
        assert_eq!(RootKey::new(Key::new(*root.key().as_bytes())).id(), root.id());
    }
}
