//! A memory on the wire.

use std::collections::BTreeMap;
use std::fmt;

use memory_core::emotion::Emotion;
use memory_core::memory::{Attribute, Source};
use memory_core::salience::Parts;
use memory_core::{Kind, Memory, Origin, Role, Status, Subject, SubjectKind, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::score;

/// Something about a subject that was judged worth keeping.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MemoryView {
    pub id: Uuid,
    pub user_id: Option<String>,
    pub agent_id: Option<String>,
    pub app_id: Option<String>,
    pub session_id: Option<String>,
    #[schema(value_type = String, example = "fact")]
    pub kind: Kind,
    pub text: String,
    /// What it says as a name and a value, where that is known.
    pub attribute: Option<AttributeView>,
    /// When what it tells happened.
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub event_time: Timestamp,
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub valid_from: Timestamp,
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub valid_to: Option<Timestamp>,
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// active, superseded, quarantined or archived.
    #[schema(value_type = String, example = "active")]
    pub status: Status,
    pub superseded_by: Option<Uuid>,
    /// The memory of the turn that this was read out of, or of the newest that it sums up.
    #[serde(default)]
    pub part_of: Option<Uuid>,
    /// 0 to 1.
    pub salience: f64,
    /// What that was made of when it was said, each 0 to 1; small talk counts against it.
    #[serde(default)]
    pub salience_parts: BTreeMap<String, f64>,
    /// 0 to 1.
    pub confidence: f64,
    /// How it was felt, where that is known.
    pub emotion: Option<EmotionView>,
    /// user, assistant, tool or third_party.
    #[schema(value_type = String, example = "user")]
    pub origin: Origin,
    /// 0 (somebody else's text) to 3 (the user's own word).
    pub trust: u8,
    pub pinned: bool,
    /// Health and safety may depend on it: it never makes room for something else.
    #[serde(default)]
    pub critical: bool,
    /// The events it came from, oldest first.
    pub sources: Vec<SourceView>,
    /// How often it was said again.
    pub reinforced: u32,
    pub tags: Vec<String>,
    pub entities: Vec<String>,
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    pub version: u32,
}

/// The redacting form: which memory it is, never what it says or of whom.
impl fmt::Debug for MemoryView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryView")
            .field("id", &self.id)
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("version", &self.version)
            .field("bytes", &self.text.len())
            .field("sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}

/// What a memory says, as a name and a value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttributeView {
    #[schema(example = "home_city")]
    pub name: String,
    #[schema(example = "Berlin")]
    pub value: String,
    /// It is said not to be so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
}

impl AttributeView {
    #[must_use]
    pub fn of(attribute: &Attribute) -> Self {
        let Attribute { name, value, negated } = attribute;
        Self { name: name.clone(), value: value.clone(), negated: *negated }
    }
}

/// The redacting form: how long it is.
impl fmt::Debug for AttributeView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AttributeView({} bytes)", self.name.len() + self.value.len())
    }
}

/// How something was felt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EmotionView {
    /// -1 (bad) to 1 (good).
    pub valence: f64,
    /// 0 (calm) to 1.
    pub arousal: f64,
}

impl EmotionView {
    #[must_use]
    pub fn of(emotion: Emotion) -> Self {
        Self { valence: f64::from(emotion.valence) / 1_000.0, arousal: score(emotion.arousal) }
    }
}

/// One event that a memory came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceView {
    pub event_id: String,
    #[schema(value_type = String, example = "user")]
    pub role: Role,
    #[serde(with = "crate::time")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
}

/// Those that are there.
fn parts(parts: &Parts) -> BTreeMap<String, f64> {
    let some = parts.named().into_iter().filter(|(_, part)| *part > 0);
    some.map(|(name, part)| (name.to_owned(), score(part))).collect()
}

impl MemoryView {
    /// The view of a memory that `subject` owns.
    #[must_use]
    pub fn of(memory: &Memory, subject: &Subject) -> Self {
        let owner = |kind, id: &Option<String>| id.clone().or_else(|| owner_id(subject, kind));
        Self {
            id: memory.id.as_uuid(),
            user_id: owner_id(subject, SubjectKind::User),
            agent_id: owner(SubjectKind::Agent, &memory.agent_id),
            app_id: memory.app_id.clone(),
            session_id: owner(SubjectKind::Session, &memory.session_id),
            kind: memory.kind,
            text: memory.text.clone(),
            attribute: memory.attribute.as_ref().map(AttributeView::of),
            event_time: memory.event_time,
            valid_from: memory.valid_from,
            valid_to: memory.valid_to,
            created_at: memory.created_at,
            updated_at: memory.updated_at,
            expires_at: memory.expiry(),
            status: memory.status,
            superseded_by: memory.superseded_by.map(|id| id.as_uuid()),
            part_of: memory.part_of.map(|id| id.as_uuid()),
            salience: score(memory.salience),
            salience_parts: parts(&memory.salience_parts),
            confidence: score(memory.confidence),
            emotion: memory.emotion.map(EmotionView::of),
            origin: memory.origin,
            trust: memory.origin.trust(),
            pinned: memory.pinned,
            critical: memory.critical,
            sources: memory.sources.iter().map(SourceView::of).collect(),
            reinforced: memory.reinforced,
            tags: memory.tags.clone(),
            entities: memory.entities.clone(),
            metadata: memory.metadata.clone(),
            version: memory.version,
        }
    }
}

impl SourceView {
    /// The view of one source.
    #[must_use]
    pub fn of(source: &Source) -> Self {
        Self { event_id: source.event_id.as_str().to_owned(), role: source.role, time: source.time }
    }
}

/// The subject's id where the subject is of this kind.
pub(crate) fn owner_id(subject: &Subject, kind: SubjectKind) -> Option<String> {
    (subject.kind == kind).then(|| subject.id.clone())
}
