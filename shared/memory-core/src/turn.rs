//! A turn of a window: an accepted event with its sequence number and its salience.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::candidate::Candidate;
use crate::event::{Event, EventType, Origin};
use crate::ids::Seq;
use crate::salience::{self, Salience};
use crate::time::Timestamp;

/// An accepted event of a subject, turns and controls alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub seq: Seq,
    pub arrived: Timestamp,
    /// Shared: the open window and the recent turns of working memory hold the same event.
    #[serde(with = "shared")]
    pub event: Arc<Event>,
    pub salience: Salience,
    /// Why it will not be kept, where that is known before the bank is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unkept: Option<NotKept>,
    /// What it states, found when its window closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<Candidate>,
}

impl Turn {
    /// Whether health and safety may depend on it. Only the user's own word can be, and a note that somebody wrote for this
    /// memory, as a doctor does: what others say must not be able to fill a bank with what never makes room.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        let trusted = match self.event.origin {
            Origin::User => true,
            Origin::Assistant | Origin::Tool => self.event.kind == EventType::Note,
            Origin::ThirdParty => false,
        };
        trusted && self.salience.parts.safety >= salience::CRITICAL_AT
    }
}

/// Why a turn did not become a memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotKept {
    /// Its salience was below the rule.
    LowSalience,
    /// It said `remember: false`.
    NotWanted,
    /// The subject's consent was withdrawn.
    NoConsent,
    /// memos had supplied it itself.
    Recalled,
    /// The subject's bank was full.
    BankFull,
    /// Nothing was left to learn from: no text.
    NoText,
    /// It was kept, and had to make room in a full bank.
    Evicted,
    /// It was kept for as long as the rules keep it.
    Expired,
}

impl NotKept {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LowSalience => "low_salience",
            Self::NotWanted => "not_wanted",
            Self::NoConsent => "no_consent",
            Self::Recalled => "recalled",
            Self::BankFull => "bank_full",
            Self::NoText => "no_text",
            Self::Evicted => "evicted",
            Self::Expired => "expired",
        }
    }
}

/// An event on the log is not shared; in RAM it is.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::event::Event;

    pub(super) fn serialize<S: Serializer>(event: &Arc<Event>, serializer: S) -> Result<S::Ok, S::Error> {
        event.as_ref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Event>, D::Error> {
        Event::deserialize(deserializer).map(Arc::new)
    }
}
