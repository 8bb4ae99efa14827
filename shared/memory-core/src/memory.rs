//! A memory: something about a subject that was judged worth keeping, with the events it came from.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use crate::emotion::Emotion;
use crate::event::{Origin, Role};
use crate::ids::{EventId, MemoryId, Seq};
use crate::salience::Parts;
use crate::subject::Handle;
use crate::time::Timestamp;
use crate::turn::Turn;

/// The most sources a memory names. Further repeats only raise [`Memory::reinforced`].
pub const SOURCES_MAX: usize = 64;
/// Full confidence: nothing was inferred, it is what was said.
const CONFIDENCE_OF_WORDS: u16 = 1_000;

/// What kind of memory it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Episode,
    Fact,
    Preference,
    Lesson,
    Pattern,
    Summary,
}

impl Kind {
    pub const NAMES: &str = "episode, fact, preference, lesson, pattern, summary";

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "episode" => Some(Self::Episode),
            "fact" => Some(Self::Fact),
            "preference" => Some(Self::Preference),
            "lesson" => Some(Self::Lesson),
            "pattern" => Some(Self::Pattern),
            "summary" => Some(Self::Summary),
            _ => None,
        }
    }

    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Episode => "episode",
            Self::Fact => "fact",
            Self::Preference => "preference",
            Self::Lesson => "lesson",
            Self::Pattern => "pattern",
            Self::Summary => "summary",
        }
    }
}

/// What a memory's standing is. A deleted memory has no row at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Active,
    Superseded,
    Quarantined,
    Archived,
}

impl Status {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Superseded => "superseded",
            Self::Quarantined => "quarantined",
            Self::Archived => "archived",
        }
    }
}

/// One event that a memory came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    pub event_id: EventId,
    /// The event's sequence number: where its kept turn stands.
    pub seq: Seq,
    pub role: Role,
    pub time: Timestamp,
}

impl Source {
    #[must_use]
    pub fn of(turn: &Turn) -> Self {
        Self { event_id: turn.event.id.clone(), seq: turn.seq, role: turn.event.role, time: turn.event.time }
    }
}

/// What a memory says as a name and a value: `home_city`, `Berlin`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    /// In `snake_case`.
    pub name: String,
    /// In the words in which it was said.
    pub value: String,
    /// It is said not to be so: `eat`, `meat`, negated.
    #[serde(default, skip_serializing_if = "is_no")]
    pub negated: bool,
}

impl Attribute {
    /// Whether it speaks against its value: it is denied, or disliked, and not both.
    #[must_use]
    pub fn denies(&self) -> bool {
        self.negated != (self.name == "dislikes")
    }
}

/// The redacting form: how long it is.
impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attribute({} bytes)", self.name.len() + self.value.len())
    }
}

/// One memory of a subject. Scores are 0..=1000.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub id: MemoryId,
    pub kind: Kind,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<Attribute>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
    /// When what it tells happened.
    pub event_time: Timestamp,
    pub valid_from: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_to: Option<Timestamp>,
    /// When memos took the first event of it.
    pub created_at: Timestamp,
    /// When memos took the last event that changed it.
    pub updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// Until when the rules keep it, unless it is pinned or critical.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retained_until: Option<Timestamp>,
    /// Days in which it becomes half as recent.
    #[serde(default = "days_of_before")]
    pub half_life_days: u16,
    pub status: Status,
    /// The memory of the turn that it was read out of, or of the newest of those that it sums up. Nothing for what tells in
    /// its own words what somebody said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_of: Option<MemoryId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<MemoryId>,
    pub salience: u16,
    /// What its salience was made of when it was said.
    #[serde(default, skip_serializing_if = "Parts::is_nothing")]
    pub salience_parts: Parts,
    pub confidence: u16,
    /// How it was felt, where the words tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emotion: Option<Emotion>,
    pub origin: Origin,
    #[serde(default)]
    pub pinned: bool,
    /// Health and safety may depend on it: it never makes room for something else.
    #[serde(default, skip_serializing_if = "is_no")]
    pub critical: bool,
    /// Oldest first, at most [`SOURCES_MAX`].
    pub sources: Vec<Source>,
    /// How often it was said again.
    #[serde(default)]
    pub reinforced: u32,
    /// Reports that it was useful, less reports that it was not.
    #[serde(default)]
    pub useful: i32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// People, places and things that it names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub metadata: Map<String, Value>,
    /// 1 for a new memory; one more with every change of its text or standing.
    pub version: u32,
}

impl Memory {
    /// What a turn told, in its words or in others that say the same.
    #[must_use]
    pub fn of_turn(subject: Handle, turn: &Turn, kind: Kind, text: String) -> Self {
        let event = &turn.event;
        Self {
            id: MemoryId::of_event(subject, &event.id),
            kind,
            text,
            attribute: None,
            agent_id: event.agent_id.clone(),
            app_id: event.app_id.clone(),
            session_id: event.session_id.clone(),
            role: event.role,
            speaker: event.speaker.clone(),
            event_time: event.time,
            valid_from: event.time,
            valid_to: None,
            created_at: turn.arrived,
            updated_at: turn.arrived,
            expires_at: None,
            retained_until: None,
            half_life_days: days_of_before(),
            status: Status::Active,
            part_of: None,
            superseded_by: None,
            salience: turn.salience.total,
            salience_parts: turn.salience.parts,
            confidence: CONFIDENCE_OF_WORDS,
            emotion: None,
            origin: event.origin,
            pinned: false,
            critical: turn.is_critical(),
            sources: vec![Source::of(turn)],
            reinforced: 0,
            useful: 0,
            tags: event.tags.clone(),
            entities: Vec::new(),
            metadata: event.metadata.clone(),
            version: 1,
        }
    }

    /// Whether it may still be recalled at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.status == Status::Active && !self.has_expired(now)
    }

    /// Whether its time is over. That is judged when it is read; the rows go with the next window of the subject.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expiry().is_some_and(|end| end <= now)
    }

    /// When its time is over: as was asked when it was told, or as the rules want.
    #[must_use]
    pub fn expiry(&self) -> Option<Timestamp> {
        let retained = self.retained_until.filter(|_| !self.pinned && !self.critical);
        self.expires_at.into_iter().chain(retained).min()
    }

    /// Roughly how many bytes it takes in RAM.
    #[must_use]
    pub fn weight(&self) -> usize {
        let sources: usize = self.sources.iter().map(|source| source.event_id.as_str().len() + 48).sum();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 24).sum();
        let entities: usize = self.entities.iter().map(|entity| entity.len() + 24).sum();
        let attribute = self.attribute.as_ref().map_or(0, |one| one.name.len() + one.value.len());
        440 + self.text.len() + attribute + sources + tags + entities + 96 * self.metadata.len()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({}, {:?}, version {}, {} bytes)", self.id, self.kind, self.version, self.text.len())
    }
}

/// What a memory said before a change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub memory_id: MemoryId,
    /// The version that this was.
    pub version: u32,
    pub text: String,
    /// When it stopped being the current version.
    pub until: Timestamp,
    /// The event that changed it.
    pub changed_by: EventId,
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revision({} version {})", self.memory_id, self.version)
    }
}

/// Of memories that were written before there were half-lives.
const fn days_of_before() -> u16 {
    30
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_no(flag: &bool) -> bool {
    !*flag
}
