//! Sealing and opening with one key.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a nonce.
pub(crate) const NONCE: usize = 24;
/// Bytes that authenticate a ciphertext.
pub(crate) const TAG: usize = 16;

/// Whether this build seals at all. One that does not is for measuring what sealing costs, and for nothing else.
pub const SEALS: bool = !cfg!(feature = "unsealed");

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
        if !SEALS {
            return sealed.extend_from_slice(plain);
        }
        let nonce = nonces.next();
        sealed.extend_from_slice(&nonce);
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        let payload = Payload { msg: plain, aad: place };
        let text =
            cipher.encrypt(&XNonce::from(nonce), payload).expect("what is sealed is far below the cipher's limit");
        sealed.extend_from_slice(&text);
    }

    /// Opens what [`Key::seal`] made.
    ///
    /// # Errors
    /// [`Tampered`] when it was sealed with another key or for another place, or is damaged.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Tampered> {
        if !SEALS {
            return Ok(sealed.to_vec());
        }
        let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or(Tampered)?;
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        cipher.decrypt(&XNonce::from(*nonce), Payload { msg: text, aad: place }).map_err(|_| Tampered)
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

/// Nonces that never repeat: 16 random bytes of this process, and a count.
#[derive(Debug)]
pub struct Nonces {
    process: [u8; 16],
    count: AtomicU64,
}

impl Nonces {
    /// # Errors
    /// When the operating system has no random source.
    pub fn new() -> Result<Self, getrandom::Error> {
        let mut process = [0; 16];
        getrandom::fill(&mut process)?;
        Ok(Self { process, count: AtomicU64::new(0) })
    }

    fn next(&self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        nonce[..16].copy_from_slice(&self.process);
        nonce[16..].copy_from_slice(&self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes());
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
