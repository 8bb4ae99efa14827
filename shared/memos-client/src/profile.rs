//! What somebody is like, on the wire.

use std::fmt;

use memory_core::memory::Memory;
use memory_core::profile::{Baseline, Companion, Mood, Profile, Style, Topic, Week, sources_of};
use memory_core::{EventId, MemoryId, Origin, Subject, SubjectKind, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::memory::{AttributeView, EmotionView, owner_id};
use crate::{score, time};

/// What is known of somebody at one time, drawn from what is remembered of them. Every entry names its newest events, at
/// most eight.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProfileView {
    pub user_id: Option<String>,
    pub agent_id: Option<String>,
    pub session_id: Option<String>,
    /// The time that it is told as of.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub now: Timestamp,
    /// By the name of their attribute, of one name the newest first; at most 64.
    pub facts: Vec<StatementView>,
    pub preferences: Vec<StatementView>,
    /// What somebody is after (the attributes goal, plan and commitment), newest first; at most 64.
    pub goals: Vec<StatementView>,
    /// What comes up on two days or more, on the most days first; at most 20.
    pub topics: Vec<TopicView>,
    pub emotion: MoodView,
    /// How somebody speaks; null where no turn of theirs is remembered.
    pub style: Option<StyleView>,
}

/// The redacting form: how much is known, never what or of whom.
impl fmt::Debug for ProfileView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProfileView")
            .field("now", &self.now)
            .field("facts", &self.facts)
            .field("preferences", &self.preferences)
            .field("goals", &self.goals)
            .field("topics", &self.topics)
            .field("emotion", &self.emotion)
            .field("style", &self.style)
            .finish_non_exhaustive()
    }
}

/// One thing that is so.
#[derive(Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StatementView {
    pub memory_id: Uuid,
    /// What it says as a name and a value, where that is known.
    pub attribute: Option<AttributeView>,
    pub text: String,
    /// Since when it is so.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// 0 to 1.
    pub confidence: f64,
    /// user, assistant, tool or third_party.
    #[schema(value_type = String, example = "user")]
    pub origin: Origin,
    pub pinned: bool,
    pub sources: Vec<String>,
}

/// The redacting form: which memory it is.
impl fmt::Debug for StatementView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StatementView({})", self.memory_id)
    }
}

/// Something that comes up again and again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TopicView {
    #[schema(example = "Anna")]
    pub name: String,
    /// On how many different days (UTC) it came up.
    pub days: u32,
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub first: Timestamp,
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub last: Timestamp,
    /// The newest memories of it, at most eight.
    pub memory_ids: Vec<Uuid>,
    pub sources: Vec<String>,
}

/// The redacting form: how often it came up.
impl fmt::Debug for TopicView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicView({} days)", self.days)
    }
}

/// How somebody feels, as far as their words tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MoodView {
    /// The mean of all that was said with feeling; null where nothing was.
    pub baseline: Option<BaselineView>,
    /// Those of the last twelve weeks in which anything was said with feeling, oldest first.
    pub weeks: Vec<WeekView>,
    /// rising, falling or steady over these weeks; null for fewer than three of them.
    #[schema(example = "steady")]
    pub trend: Option<String>,
    /// Words that come up when the mood is low, and seldom otherwise; at most five.
    pub goes_with_low: Vec<CompanionView>,
    /// The same of a high one.
    pub goes_with_high: Vec<CompanionView>,
}

/// A mean of feelings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BaselineView {
    #[serde(flatten)]
    pub felt: EmotionView,
    /// Of how many sayings it is the mean.
    pub count: u32,
    pub sources: Vec<String>,
}

/// One week.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WeekView {
    /// As ISO 8601 names it.
    #[schema(example = "2026-W19")]
    pub week: String,
    /// Its Monday, 00:00 UTC.
    #[serde(with = "time")]
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// -1 (bad) to 1 (good).
    pub valence: f64,
    pub count: u32,
    pub sources: Vec<String>,
}

/// A word that comes with a mood.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CompanionView {
    #[schema(example = "deadline")]
    pub word: String,
    /// In how many sayings of that mood.
    pub count: u32,
    pub memory_ids: Vec<Uuid>,
    pub sources: Vec<String>,
}

/// The redacting form: how often it comes up.
impl fmt::Debug for CompanionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompanionView({} times)", self.count)
    }
}

/// How somebody speaks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StyleView {
    /// Of how many sayings it is drawn: the newest thousand at most.
    pub turns: u32,
    /// The commonest, as ISO 639-1 names it; null where nothing tells.
    #[schema(example = "en")]
    pub language: Option<String>,
    /// Words of a saying, on average.
    pub words: u32,
    /// 0 (casual) to 1 (formal); 0.5 where nothing tells.
    pub formality: f64,
    /// The share of sayings with an emoji, 0 to 1.
    pub emoji: f64,
    pub sources: Vec<String>,
}

impl ProfileView {
    /// The view of a subject's profile.
    #[must_use]
    pub fn of(subject: &Subject, profile: &Profile<'_>, now: Timestamp) -> Self {
        let statements = |memories: &[&Memory]| memories.iter().map(|memory| StatementView::of(memory)).collect();
        Self {
            user_id: owner_id(subject, SubjectKind::User),
            agent_id: owner_id(subject, SubjectKind::Agent),
            session_id: owner_id(subject, SubjectKind::Session),
            now,
            facts: statements(&profile.facts),
            preferences: statements(&profile.preferences),
            goals: statements(&profile.goals),
            topics: profile.topics.iter().map(TopicView::of).collect(),
            emotion: MoodView::of(&profile.mood),
            style: profile.style.as_ref().map(StyleView::of),
        }
    }
}

impl StatementView {
    fn of(memory: &Memory) -> Self {
        Self {
            memory_id: memory.id.as_uuid(),
            attribute: memory.attribute.as_ref().map(AttributeView::of),
            text: memory.text.clone(),
            since: memory.valid_from,
            confidence: score(memory.confidence),
            origin: memory.origin,
            pinned: memory.pinned,
            sources: names(&sources_of(memory)),
        }
    }
}

impl TopicView {
    fn of(topic: &Topic) -> Self {
        let Topic { name, days, first, last, memories, sources } = topic;
        Self {
            name: name.clone(),
            days: *days,
            first: *first,
            last: *last,
            memory_ids: uuids(memories),
            sources: names(sources),
        }
    }
}

impl MoodView {
    fn of(mood: &Mood) -> Self {
        let companions = |found: &[Companion]| found.iter().map(CompanionView::of).collect();
        Self {
            baseline: mood.baseline.as_ref().map(BaselineView::of),
            weeks: mood.weeks.iter().map(WeekView::of).collect(),
            trend: mood.trend.map(|trend| trend.as_str().to_owned()),
            goes_with_low: companions(&mood.low),
            goes_with_high: companions(&mood.high),
        }
    }
}

impl BaselineView {
    fn of(baseline: &Baseline) -> Self {
        Self { felt: EmotionView::of(baseline.felt), count: baseline.count, sources: names(&baseline.sources) }
    }
}

impl WeekView {
    fn of(week: &Week) -> Self {
        let Week { from, valence, count, sources } = week;
        Self {
            week: iso_week(*from),
            from: *from,
            valence: f64::from(*valence) / 1_000.0,
            count: *count,
            sources: names(sources),
        }
    }
}

impl CompanionView {
    fn of(companion: &Companion) -> Self {
        let Companion { word, count, memories, sources } = companion;
        Self { word: word.clone(), count: *count, memory_ids: uuids(memories), sources: names(sources) }
    }
}

impl StyleView {
    fn of(style: &Style) -> Self {
        let Style { turns, language, words, formality, emoji, sources } = style;
        Self {
            turns: *turns,
            language: language.map(str::to_owned),
            words: *words,
            formality: score(*formality),
            emoji: score(*emoji),
            sources: names(sources),
        }
    }
}

fn names(events: &[EventId]) -> Vec<String> {
    events.iter().map(|event| event.as_str().to_owned()).collect()
}

fn uuids(memories: &[MemoryId]) -> Vec<Uuid> {
    memories.iter().map(MemoryId::as_uuid).collect()
}

/// The name of the week that begins then.
fn iso_week(monday: Timestamp) -> String {
    let time = jiff::Timestamp::from_microsecond(monday.micros()).unwrap_or_default();
    let week = time.to_zoned(jiff::tz::TimeZone::UTC).date().iso_week_date();
    format!("{}-W{:02}", week.year(), week.week())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_have_the_names_of_iso_8601() {
        for (monday, name) in [("2026-05-04T00:00:00Z", "2026-W19"), ("2024-12-30T00:00:00Z", "2025-W01")] {
            assert_eq!(iso_week(time::parse(monday).expect("a time")), name);
        }
    }
}
