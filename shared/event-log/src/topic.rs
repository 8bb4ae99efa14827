//! The topics of a log.
//!
//! The set is closed except for the inlets, whose names the operator chooses. A topic's name is also the name of
//! its directory in the local log, which is why an inlet's name may hold so few characters.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

const INLET_PREFIX: &str = "inlet.";

/// Which of the log's streams a record belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Topic {
    /// Turns and control events that were judged and accepted.
    Interactions,
    /// Closed windows.
    Consolidations,
    /// Subjects' states at the ends of their windows. Compacted.
    Working,
    /// The steps of long-term memory. Compacted.
    Memories,
    /// The keys of subjects and tenants, wrapped. Compacted: what is tombstoned is destroyed.
    Keys,
    /// What administration and forgetting did.
    Receipts,
    /// What could not be taken, and why.
    DeadLetters,
    /// What one group of product services publishes.
    Inlet(InletName),
}

impl Topic {
    /// The topics every log has, in the order in which they are listed.
    pub const FIXED: [Self; 7] = [
        Self::Interactions,
        Self::Consolidations,
        Self::Working,
        Self::Memories,
        Self::Keys,
        Self::Receipts,
        Self::DeadLetters,
    ];

    /// Whether only the newest record of each key is kept.
    #[must_use]
    pub const fn compacted(&self) -> bool {
        match self {
            Self::Working | Self::Memories | Self::Keys => true,
            Self::Interactions | Self::Consolidations | Self::Receipts | Self::DeadLetters | Self::Inlet(_) => false,
        }
    }

    /// The topics of a log with these inlets: the fixed ones first, then the inlets by name.
    pub(crate) fn all(inlets: &[InletName]) -> Vec<Self> {
        let mut named: Vec<Self> = inlets.iter().cloned().map(Self::Inlet).collect();
        named.sort();
        named.dedup();
        Self::FIXED.into_iter().chain(named).collect()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interactions => f.write_str("interactions"),
            Self::Consolidations => f.write_str("consolidations"),
            Self::Working => f.write_str("working"),
            Self::Memories => f.write_str("memories"),
            Self::Keys => f.write_str("keys"),
            Self::Receipts => f.write_str("receipts"),
            Self::DeadLetters => f.write_str("dead-letters"),
            Self::Inlet(name) => write!(f, "{INLET_PREFIX}{name}"),
        }
    }
}

impl FromStr for Topic {
    type Err = InvalidTopic;

    fn from_str(name: &str) -> Result<Self, InvalidTopic> {
        if let Some(inlet) = name.strip_prefix(INLET_PREFIX) {
            return InletName::try_new(inlet).map(Self::Inlet);
        }
        Self::FIXED
            .into_iter()
            .find(|topic| topic.to_string() == name)
            .ok_or_else(|| InvalidTopic::Unknown { name: name.to_owned() })
    }
}

impl TryFrom<String> for Topic {
    type Error = InvalidTopic;

    fn try_from(name: String) -> Result<Self, InvalidTopic> {
        name.parse()
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.to_string()
    }
}

/// The name of an inlet: 1 to 64 characters out of `a-z`, `0-9`, `-` and `_`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InletName(String);

impl InletName {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    /// [`InvalidTopic::Inlet`] when it is empty, too long or holds another character.
    pub fn try_new(name: &str) -> Result<Self, InvalidTopic> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if begins_well && name.len() <= Self::MAX_LENGTH && name.chars().all(allowed) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidTopic::Inlet { name: name.to_owned() })
        }
    }

    /// The name without the topic's prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InletName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<String> for InletName {
    type Error = InvalidTopic;

    fn try_from(name: String) -> Result<Self, InvalidTopic> {
        Self::try_new(&name)
    }
}

impl From<InletName> for String {
    fn from(name: InletName) -> Self {
        name.0
    }
}

/// Why a name is not a topic's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopic {
    /// No topic is called that.
    #[error("there is no topic `{name}`")]
    Unknown { name: String },
    /// The name of the inlet breaks the rules of [`InletName`].
    #[error(
        "`{name}` cannot name an inlet: use 1 to 64 characters out of a-z, 0-9, - and _, beginning with a letter or digit"
    )]
    Inlet { name: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_topic_is_found_again_by_its_name() {
        let inlets = [InletName::try_new("support-chat").expect("a good name")];
        for topic in Topic::all(&inlets) {
            assert_eq!(topic.to_string().parse(), Ok(topic));
        }
        assert_eq!("doors".parse::<Topic>(), Err(InvalidTopic::Unknown { name: "doors".to_owned() }));
    }

    #[test]
    fn an_inlet_cannot_climb_out_of_the_directory() {
        for name in ["", "..", "../x", "a/b", "A", "-a", "a.b", &"x".repeat(65)] {
            assert!(InletName::try_new(name).is_err(), "{name} was accepted");
        }
    }
}
