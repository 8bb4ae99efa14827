//! Conversations with questions, as LoCoMo writes them (Maharana et al. 2024).
//!
//! A file is a list of conversations. Each has a `sample_id`, a `conversation` with `session_1`, `session_2`, … (lists
//! of turns) and `session_N_date_time`, and a list `qa` of questions. A turn has `dia_id`, `speaker`, `text` and perhaps
//! a `blip_caption` (what is to be seen in a picture); a question has `question`, `answer`, `evidence` (ids of turns)
//! and `category`. Read besides, because LoCoMo only knows two people: a turn's `role`. Without one everybody is a user
//! with a name; with one it is that, and a speaker who is called like his role has no name.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use anyhow::{Context, anyhow, bail, ensure};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use serde_json::{Map, Value};

/// How times of sessions are written, as in "1:56 pm on 8 May, 2023".
const DATE_FORMATS: [&str; 2] = ["%I:%M %p on %d %B, %Y", "%Y-%m-%dT%H:%M:%SZ"];
/// The time between two turns. A session stays on its day.
const STEP: SignedDuration = SignedDuration::from_secs(1);

static EVIDENCE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"D(\d+):(\d+)").expect("a good expression"));

/// One conversation: all that one user's memory holds.
#[derive(Clone, Debug)]
pub struct Conversation {
    pub id: String,
    /// In the order in which they were said.
    pub turns: Vec<Turn>,
    pub questions: Vec<Question>,
}

/// One turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// `D3:4`: the fourth turn of the third session.
    pub id: String,
    pub session: u32,
    /// The session's time as the file writes it.
    pub date: String,
    /// The session's time and a second for every turn before it.
    pub time: Timestamp,
    pub speaker: String,
    /// user, assistant, system or tool; `None` where people talk with each other.
    pub role: Option<String>,
    pub text: String,
    pub caption: String,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Question {
    /// Its place in the file's list.
    pub index: usize,
    pub text: String,
    pub answer: String,
    /// 1 several turns are needed, 2 about time, 3 to be inferred, 4 one turn is enough, 5 the memory has no answer.
    pub category: String,
    /// The turns that answer it. Ids that the conversation does not have are left out.
    pub evidence: Vec<String>,
}

impl Turn {
    /// What was said, with what is to be seen.
    #[must_use]
    pub fn content(&self) -> String {
        let Self { text, caption, .. } = self;
        if caption.is_empty() { text.clone() } else { format!("{text} [image: {caption}]").trim_start().to_owned() }
    }

    /// Who speaks, unless that is only the role.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let is_role = self.role.as_ref().is_some_and(|role| role.eq_ignore_ascii_case(&self.speaker));
        Some(self.speaker.as_str()).filter(|name| !name.is_empty() && !is_role)
    }
}

/// Reads a file.
///
/// # Errors
/// The file cannot be read, or is something else; the message says where.
pub fn read(path: &Path) -> anyhow::Result<Vec<Conversation>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
    parse(&text).with_context(|| format!("read the conversations of {}", path.display()))
}

/// Reads the text of a file.
///
/// # Errors
/// As [`read`].
pub fn parse(text: &str) -> anyhow::Result<Vec<Conversation>> {
    let file: Vec<Map<String, Value>> = serde_json::from_str(text).context("read JSON")?;
    let conversations: Vec<Conversation> = file.iter().map(conversation).collect::<Result<_, _>>()?;
    let ids: BTreeSet<&str> = conversations.iter().map(|one| one.id.as_str()).collect();
    ensure!(ids.len() == conversations.len(), "two conversations have the same `sample_id`");
    Ok(conversations)
}

fn conversation(value: &Map<String, Value>) -> anyhow::Result<Conversation> {
    let id = string(value, "sample_id").context("a conversation has no `sample_id`")?;
    let sessions = value.get("conversation").and_then(Value::as_object);
    let sessions = sessions.with_context(|| format!("{id} has no `conversation`"))?;
    let turns = turns(sessions).with_context(|| format!("read the turns of {id}"))?;
    let known: BTreeSet<&str> = turns.iter().map(|turn| turn.id.as_str()).collect();
    ensure!(known.len() == turns.len(), "two turns of {id} have the same `dia_id`");
    let list = value.get("qa").and_then(Value::as_array).with_context(|| format!("{id} has no `qa`"))?;
    let questions = list
        .iter()
        .enumerate()
        .map(|(index, one)| question(index, one, &known).with_context(|| format!("read question {index} of {id}")));
    let questions = questions.collect::<Result<_, _>>()?;
    Ok(Conversation { id, turns, questions })
}

fn turns(sessions: &Map<String, Value>) -> anyhow::Result<Vec<Turn>> {
    let number = |key: &str| key.strip_prefix("session_").and_then(|rest| rest.parse::<u32>().ok());
    let mut numbers: Vec<(u32, &str)> = sessions.keys().filter_map(|key| Some((number(key)?, key.as_str()))).collect();
    numbers.sort_unstable();
    let mut turns = Vec::new();
    for (session, key) in numbers {
        let said = sessions[key].as_array().ok_or_else(|| anyhow!("{key} is no list"))?;
        let date = string(sessions, &format!("{key}_date_time")).unwrap_or_default();
        let begin = time(&date).with_context(|| format!("read {key}_date_time"))?;
        for (place, one) in (0..).zip(said) {
            let field = |name: &str| one.as_object().and_then(|one| string(one, name));
            turns.push(Turn {
                id: field("dia_id").with_context(|| format!("turn {place} of {key} has no `dia_id`"))?,
                session,
                date: date.clone(),
                time: begin + STEP * place,
                speaker: field("speaker").with_context(|| format!("turn {place} of {key} has no `speaker`"))?,
                role: field("role"),
                text: field("text").unwrap_or_default(),
                caption: field("blip_caption").unwrap_or_default(),
            });
        }
    }
    Ok(turns)
}

fn question(index: usize, value: &Value, known: &BTreeSet<&str>) -> anyhow::Result<Question> {
    let value = value.as_object().context("it is no object")?;
    let text = string(value, "question").context("it has no `question`")?;
    let category = string(value, "category").context("it has no `category`")?;
    let answer = string(value, "answer").or_else(|| string(value, "adversarial_answer")).unwrap_or_default();
    let mut evidence = Vec::new();
    for named in value.get("evidence").and_then(Value::as_array).into_iter().flatten() {
        // LoCoMo has slips such as "D:11:26" and several ids in one text.
        let named = named.as_str().unwrap_or_default().replace("D:", "D");
        for id in EVIDENCE.captures_iter(&named) {
            let part = |at: usize| id[at].parse::<u32>().context("an id of a turn is two numbers");
            let id = format!("D{}:{}", part(1)?, part(2)?);
            if known.contains(id.as_str()) && !evidence.contains(&id) {
                evidence.push(id);
            }
        }
    }
    Ok(Question { index, text, answer, category, evidence })
}

/// A text, or a number as text.
fn string(value: &Map<String, Value>, name: &str) -> Option<String> {
    match value.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn time(text: &str) -> anyhow::Result<Timestamp> {
    let Some(civil) = DATE_FORMATS.iter().find_map(|format| DateTime::strptime(format, text).ok()) else {
        bail!("`{text}` is not a time like \"1:56 pm on 8 May, 2023\"")
    };
    Ok(TimeZone::UTC.to_timestamp(civil)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r#"[{"sample_id": "c-1", "conversation": {
        "speaker_a": "Ada",
        "session_10": [{"dia_id": "D10:1", "speaker": "assistant", "role": "assistant", "text": "Later."}],
        "session_10_date_time": "2023-06-01T09:00:00Z",
        "session_2": [{"dia_id": "D2:1", "speaker": "Ada", "text": "Look!", "blip_caption": "a cat"},
                      {"dia_id": "D2:2", "speaker": "Ben", "text": "Nice."}],
        "session_2_date_time": "1:56 pm on 8 May, 2023"},
      "qa": [{"question": "What?", "answer": 2022, "evidence": ["D2:01; D:10:1", "D2:1", "D9:9"], "category": 4},
             {"question": "Who?", "adversarial_answer": "x", "category": 5}]}]"#;

    #[test]
    fn a_conversation_is_read_in_order() {
        let read = parse(FILE).expect("good data");
        let turns = &read[0].turns;
        let ids: Vec<&str> = turns.iter().map(|turn| turn.id.as_str()).collect();
        assert_eq!(ids, ["D2:1", "D2:2", "D10:1"]);
        let times: Vec<String> = turns.iter().map(|turn| turn.time.to_string()).collect();
        assert_eq!(times, ["2023-05-08T13:56:00Z", "2023-05-08T13:56:01Z", "2023-06-01T09:00:00Z"]);
        assert_eq!(turns[0].content(), "Look! [image: a cat]");
        assert_eq!((turns[0].name(), turns[2].name()), (Some("Ada"), None));
    }

    #[test]
    fn evidence_is_read_through_slips_and_unknown_ids_are_dropped() {
        let read = parse(FILE).expect("good data");
        let questions = &read[0].questions;
        assert_eq!(questions[0].evidence, ["D2:1", "D10:1"]);
        assert_eq!((questions[0].answer.as_str(), questions[0].category.as_str()), ("2022", "4"));
        assert_eq!((questions[1].index, questions[1].evidence.len()), (1, 0));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let wrong = |text: &str| format!("{:#}", parse(text).expect_err("it is wrong"));
        assert!(wrong("[{}]").contains("sample_id"));
        assert!(wrong(&FILE.replace("1:56 pm on", "noon of")).contains("session_2_date_time"));
        assert!(wrong(&FILE.replace("D2:2", "D2:1")).contains("same `dia_id`"));
    }
}
