//! Where a publish ended, as one opaque token. A client hands it back (`at_least`) to read its own writes.
//!
//! It names its log, because an offset of one log says nothing in another, and it may name several partitions,
//! because one request may concern several subjects.

use std::collections::BTreeMap;
use std::fmt;

use memory_core::{Offset, Partition};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use utoipa::PartialSchema;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

/// The most partitions a token may name: more than any log has, and a bound on what a hostile one costs.
const PARTITIONS_MAX: usize = 4096;
/// The first part of a token: its version.
const VERSION: &str = "p1";

/// A place in `interactions`: everything below `next` of each named partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The log in which the offsets mean something.
    pub log: Uuid,
    /// By partition, the offset after the last record that is covered.
    pub next: BTreeMap<Partition, Offset>,
}

impl Position {
    /// A position that covers nothing yet.
    #[must_use]
    pub const fn new(log: Uuid) -> Self {
        Self { log, next: BTreeMap::new() }
    }

    /// Covers `partition` up to `next`, unless it covers more already.
    pub fn cover(&mut self, partition: Partition, next: Offset) {
        let at = self.next.entry(partition).or_insert(next);
        *at = next.max(*at);
    }

    /// The smallest position that covers both; `None` when they are of different logs.
    #[must_use]
    pub fn merge(mut self, other: &Self) -> Option<Self> {
        if self.log != other.log {
            return None;
        }
        other.next.iter().for_each(|(partition, next)| self.cover(*partition, *next));
        Some(self)
    }

    /// The token: letters, digits, `.` and `-` only, so that it fits a URL as it is.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut token = format!("{VERSION}.{}", self.log.simple());
        for (partition, next) in &self.next {
            token.push_str(&format!(".{partition}-{next}"));
        }
        token
    }

    /// Reads a token; `None` when it is not one.
    #[must_use]
    pub fn decode(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        if parts.next()? != VERSION {
            return None;
        }
        let mut position = Self::new(Uuid::try_parse(parts.next()?).ok()?);
        for part in parts {
            let (partition, next) = part.split_once('-')?;
            let (partition, next) = (Partition::new(partition.parse().ok()?), Offset::new(next.parse().ok()?));
            if position.next.len() == PARTITIONS_MAX || position.next.insert(partition, next).is_some() {
                return None;
            }
        }
        Some(position)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

impl Serialize for Position {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.encode())
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let token = String::deserialize(deserializer)?;
        Self::decode(&token).ok_or_else(|| de::Error::custom("must be a position that memos answered"))
    }
}

impl PartialSchema for Position {
    fn schema() -> RefOr<Schema> {
        let described = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("An opaque token. It names its log; hand it back as at_least to read your own writes."));
        described.build().into()
    }
}

impl ToSchema for Position {}

#[cfg(test)]
mod tests {
    use super::*;

    fn position(log: u128, next: &[(u32, u64)]) -> Position {
        let next = next.iter().map(|(p, o)| (Partition::new(*p), Offset::new(*o))).collect();
        Position { log: Uuid::from_u128(log), next }
    }

    #[test]
    fn a_token_reads_back() {
        for wanted in [position(7, &[]), position(7, &[(0, 1)]), position(u128::MAX, &[(0, 12), (11, u64::MAX)])] {
            let token = wanted.encode();
            assert!(token.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-'), "{token}");
            assert_eq!(Position::decode(&token), Some(wanted));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let log = Uuid::from_u128(7).simple();
        for token in
            ["", "p1", "p1.x", "p2.7", &format!("p1.{log}.1"), &format!("p1.{log}.1-x"), &format!("p1.{log}.1-2.1-3")]
        {
            assert_eq!(Position::decode(token), None, "{token}");
        }
    }

    #[test]
    fn a_merge_covers_both() {
        let both = position(7, &[(0, 5), (1, 2)]).merge(&position(7, &[(1, 9), (2, 1)]));
        assert_eq!(both, Some(position(7, &[(0, 5), (1, 9), (2, 1)])));
        assert_eq!(position(7, &[]).merge(&position(8, &[])), None);
    }
}
