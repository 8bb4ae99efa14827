//! What is known of words, by their hashes: those are compared at once, and nearly every word of a text is looked up several
//! times.

#![expect(clippy::disallowed_types, reason = "the map of a table cannot be walked, so that its order cannot matter")]

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};

/// The hash of no byte.
pub(crate) const HASH_OF_NOTHING: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a, which goes on byte by byte.
pub(crate) const fn hash_on(state: u64, byte: u8) -> u64 {
    (state ^ byte as u64).wrapping_mul(0x0000_0100_0000_01b3)
}

/// FNV-1a of a word.
pub(crate) fn hash(word: &str) -> u64 {
    word.bytes().fold(HASH_OF_NOTHING, hash_on)
}

/// Values by keys of which only the hash is kept: another word with the hash of a key is taken for it.
#[derive(Debug)]
pub(crate) struct Table<V>(HashMap<u64, V, BuildHasherDefault<Hashed>>);

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<V> Table<V> {
    pub(crate) fn get(&self, word: &str) -> Option<&V> {
        self.at(hash(word))
    }

    /// The value of the key with this hash.
    pub(crate) fn at(&self, hash: u64) -> Option<&V> {
        self.0.get(&hash)
    }

    pub(crate) fn entry(&mut self, word: &str) -> Entry<'_, u64, V> {
        self.0.entry(hash(word))
    }
}

/// Keeps the last of those with one key.
impl<V> FromIterator<(u64, V)> for Table<V> {
    fn from_iter<I: IntoIterator<Item = (u64, V)>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// The hash of what is a hash.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        unreachable!("the keys are numbers, not {} bytes", bytes.len());
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
