//! Which events a subject has counted: the fingerprints of its newest ids, in a ring.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many ids are remembered.
pub const SEEN_MAX: usize = 1_024;

/// The fingerprints of the newest [`SEEN_MAX`] event ids, oldest first. 8 bytes each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen(VecDeque<u64>);

impl Seen {
    /// A linear scan: 1,024 numbers in a row are quicker to look at than a tree is to walk.
    #[must_use]
    pub fn contains(&self, fingerprint: u64) -> bool {
        let (front, back) = self.0.as_slices();
        front.contains(&fingerprint) || back.contains(&fingerprint)
    }

    pub fn push(&mut self, fingerprint: u64) {
        if self.0.len() == SEEN_MAX {
            self.0.pop_front();
        }
        self.0.push_back(fingerprint);
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use std::fmt::Write;
        let mut hex = String::with_capacity(16 * self.0.len());
        for fingerprint in &self.0 {
            write!(hex, "{fingerprint:016x}").expect("a string takes whatever is written to it");
        }
        serializer.serialize_str(&hex)
    }
}

impl<'de> Deserialize<'de> for Seen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hex = String::deserialize(deserializer)?;
        let bad = || serde::de::Error::custom("fingerprints are 16 hexadecimal digits each");
        if !hex.is_ascii() || !hex.len().is_multiple_of(16) {
            return Err(bad());
        }
        let mut seen = VecDeque::with_capacity(hex.len() / 16);
        for start in (0..hex.len()).step_by(16) {
            seen.push_back(u64::from_str_radix(&hex[start..start + 16], 16).map_err(|_| bad())?);
        }
        Ok(Self(seen))
    }
}
