//! Sealing and opening with one key.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a nonce.
pub(crate) const NONCE: usize = 12;
/// Bytes that authenticate a ciphertext.
pub(crate) const TAG: usize = 16;

/// A key. It is wiped when it is dropped, and shows itself to nobody.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Key([u8; 32]);

impl Key {
    pub const BYTES: usize = 32;

    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A key from the random source of the operating system.
    ///
    /// # Errors
    /// When there is no such source.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut key = Self([0; 32]);
        getrandom::fill(&mut key.0)?;
        Ok(key)
    }

    /// The key with these bytes; `None` when they are not [`Key::BYTES`].
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut key = Self([0; Self::BYTES]);
        (bytes.len() == Self::BYTES).then(|| key.0.copy_from_slice(bytes))?;
        Some(key)
    }

    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The nonce and the ciphertext of `plain`, bound to `place`.
    #[must_use]
    pub fn seal(&self, nonces: &Nonces, place: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(NONCE + plain.len() + TAG);
        self.seal_into(nonces, place, plain, &mut sealed);
        sealed
    }

    /// As [`Key::seal`], behind what `sealed` holds already.
    pub fn seal_into(&self, nonces: &Nonces, place: &[u8], plain: &[u8], sealed: &mut Vec<u8>) {
        let nonce = nonces.next();
        sealed.extend_from_slice(&nonce);
        let cipher = Aes256GcmSiv::new(&self.0.into());
        let payload = Payload { msg: plain, aad: place };
        let text =
            cipher.encrypt(&Nonce::from(nonce), payload).expect("what is sealed is far below the cipher's limit");
        sealed.extend_from_slice(&text);
    }

    /// Opens what [`Key::seal`] made.
    ///
    /// # Errors
    /// [`Tampered`] when it was sealed with another key or for another place, or is damaged.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Tampered> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or(Tampered)?;
        let cipher = Aes256GcmSiv::new(&self.0.into());
        cipher.decrypt(&Nonce::from(*nonce), Payload { msg: text, aad: place }).map_err(|_| Tampered)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

/// What was sealed with another key or for another place, or is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value is not what was written in its place")]
pub struct Tampered;

/// Nonces that never repeat within a process: 4 random bytes of it, and a count from a random beginning. Should two processes
/// meet at one nonce and one key, the cipher shows no more than whether what they sealed is the same.
#[derive(Debug)]
pub struct Nonces {
    process: [u8; 4],
    count: AtomicU64,
}

impl Nonces {
    /// # Errors
    /// When the operating system has no random source.
    pub fn new() -> Result<Self, getrandom::Error> {
        let (mut process, mut begin) = ([0; 4], [0; 8]);
        getrandom::fill(&mut process)?;
        getrandom::fill(&mut begin)?;
        Ok(Self { process, count: AtomicU64::new(u64::from_be_bytes(begin)) })
    }

    fn next(&self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[..4].copy_from_slice(&self.process);
        nonce[4..].copy_from_slice(&self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        nonce
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_with_its_key_and_in_its_place() {
        let (key, nonces) = (Key::random().expect("a key"), Nonces::new().expect("nonces"));
        let sealed = key.seal(&nonces, b"here", b"hello");
        assert_eq!(key.open(b"here", &sealed), Ok(b"hello".to_vec()));
        assert_eq!(key.open(b"there", &sealed), Err(Tampered));
        assert_eq!(Key::random().expect("a key").open(b"here", &sealed), Err(Tampered));
        for bit in 0..sealed.len() * 8 {
            let mut damaged = sealed.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(b"here", &damaged), Err(Tampered), "bit {bit}");
        }
        assert_eq!(key.open(b"here", &sealed[..20]), Err(Tampered));
        assert_ne!(sealed, key.seal(&nonces, b"here", b"hello"), "a nonce was used twice");
    }
}
