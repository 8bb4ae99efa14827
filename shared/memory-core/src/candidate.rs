//! What the turns of a window state besides being said: facts, preferences and lessons that may become memories of their
//! own.
//!
//! They are found when a window closes, by the owner of the subject, where the turn before is at hand. They travel with
//! their turn, so whoever folds the kept turns again finds the same, even where the turn before was not kept. Only what
//! a person says of himself is read; recalled text and what an assistant says never is (law L07).
//!
//! A lesson says what was asked for and what came of it. So it holds words of earlier turns, which are its sources too; a
//! candidate whose earlier turns were taken back is taken out of its turn ([`Turn::without_orphans`]).

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::consolidation::Consolidation;
use crate::event::{EventType, Origin, Role};
use crate::extract::{self, Act, Statement};
use crate::ids::Seq;
use crate::memory::{Attribute, Kind};
use crate::text;
use crate::text::list::{List, lines};
use crate::text::scan::{Token, scan};
use crate::turn::Turn;

/// Statements of which one can be less sure are left out.
const CONFIDENCE_MIN: u16 = 500;
/// The most candidates of one turn.
const CANDIDATES_MAX: usize = 8;
/// The most bytes of another turn in a lesson.
const QUOTE_BYTES_MAX: usize = 300;

/// A correction in so few words only says that something is wrong.
const VAGUE_WORDS_MAX: usize = 3;

/// Whoever says of an answer that it worked or failed, in so few words, says no more than that.
const PLAIN_WORDS_MAX: usize = 8;

/// The outcomes of lessons.
const CORRECTED: &str = "corrected";
const FAILED: &str = "failed";
const WORKED: &str = "worked";

/// What is said of an answer that did, or did not, help, with the outcome of the lesson.
static TAKEN: LazyLock<List<&str>> =
    LazyLock::new(|| List::new(lines(include_str!("candidate/taken.txt")).map(|line| (line.entry, line.class))));

/// Something that a turn states.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    pub kind: Kind,
    pub text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<Attribute>,
    /// The value that it replaces, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<String>,
    /// Of this attribute there is one value at a time.
    #[serde(default)]
    pub single: bool,
    /// 0..=1000.
    pub confidence: u16,
    /// Earlier turns of the window whose words it holds, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<Seq>,
}

/// The redacting form: what kind it is, never what it says.
impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidate({:?}, {} bytes)", self.kind, self.text.len())
    }
}

impl Candidate {
    /// What tells it from the others of its turn, whichever of them are there.
    pub(crate) fn name(&self) -> String {
        let Some(Attribute { name, value, negated }) = &self.attribute else { return self.text.clone() };
        format!("{} {name} {negated} {value}", self.kind.as_str())
    }
}

impl Consolidation {
    /// The window with the candidates of its turns.
    #[must_use]
    pub fn with_candidates(mut self) -> Self {
        for place in 0..self.turns.len() {
            self.turns[place].candidates = of_turn(&self.turns, place);
        }
        self
    }
}

impl Turn {
    /// The turn without candidates that hold words of turns which the window has no more.
    pub(crate) fn without_orphans(&self, window: &[Self]) -> Cow<'_, Self> {
        let whole = |candidate: &Candidate| candidate.with.iter().all(|seq| window.iter().any(|turn| turn.seq == *seq));
        if self.candidates.iter().all(whole) {
            return Cow::Borrowed(self);
        }
        let mut turn = self.clone();
        turn.candidates.retain(whole);
        Cow::Owned(turn)
    }
}

fn of_turn(turns: &[Turn], place: usize) -> Vec<Candidate> {
    let turn = &turns[place];
    let event = &turn.event;
    if turn.unkept.is_some() || event.kind != EventType::Turn || event.origin != Origin::User {
        return Vec::new();
    }
    let content = event.content.text();
    let before = place.checked_sub(1).map(|before| &turns[before]).filter(|before| is_other_voice(before, turn));
    let said_before = before.map(|before| before.event.content.text());
    let mut candidates = Vec::new();
    let mut corrects = Correction::None;
    for statement in extract::statements(&content, said_before.as_deref()) {
        if statement.act == Act::Correction {
            corrects = corrects.max(Correction::of(&statement));
        }
        if statement.confidence >= CONFIDENCE_MIN {
            let mut candidate = of_statement(&content, statement);
            candidate.with =
                before.filter(|_| borrows(&candidate, &content)).map(|before| before.seq).into_iter().collect();
            candidates.push(candidate);
        }
    }
    candidates.extend(lesson(turns, place, &content, corrects));
    candidates.truncate(CANDIDATES_MAX);
    candidates
}

/// How far a turn says what would have been right.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Correction {
    /// Not at all: "that's wrong".
    None,
    /// In words that nobody took apart.
    Told,
    /// It names the one value that is right, or what it replaces.
    Precise,
}

impl Correction {
    fn of(statement: &Statement) -> Self {
        if statement.single || statement.old.is_some() {
            Self::Precise
        } else if statement.value.split_whitespace().nth(VAGUE_WORDS_MAX).is_some() {
            Self::Told
        } else {
            Self::None
        }
    }
}

/// Whether a short answer has its meaning from words of the turn before.
fn borrows(candidate: &Candidate, content: &str) -> bool {
    let own: Vec<String> = text::words(content).collect();
    let Candidate { attribute, old, .. } = candidate;
    let values = attribute.iter().map(|attribute| &attribute.value).chain(old);
    values.flat_map(|value| text::words(value)).any(|word| !own.contains(&word))
}

/// Whether it was said by somebody else in the same conversation, and may be learnt from.
fn is_other_voice(before: &Turn, turn: &Turn) -> bool {
    let (one, other) = (&before.event, &turn.event);
    before.unkept.is_none()
        && one.is_turn()
        && one.session_id == other.session_id
        && (one.role != other.role || one.speaker != other.speaker)
}

pub(crate) fn of_statement(content: &str, statement: Statement) -> Candidate {
    let Statement { act, attribute: name, value, old, negated, single, sentence, confidence } = statement;
    let kind = if act == Act::Preference { Kind::Preference } else { Kind::Fact };
    let text = content.get(sentence).unwrap_or(content).trim().to_owned();
    Candidate {
        kind,
        text,
        attribute: Some(Attribute { name, value, negated }),
        old,
        single,
        confidence,
        with: Vec::new(),
    }
}

/// What can be learnt from how the user takes an assistant's answer.
fn lesson(turns: &[Turn], place: usize, content: &str, corrects: Correction) -> Option<Candidate> {
    let answer = &turns[place.checked_sub(1)?];
    let turn = &turns[place];
    if answer.event.role != Role::Assistant || !is_other_voice(answer, turn) {
        return None;
    }
    let tokens = scan(content);
    let outcome = match corrects {
        Correction::Precise => CORRECTED,
        Correction::Told => taken(&tokens).unwrap_or(CORRECTED),
        Correction::None => taken(&tokens)?,
    };
    let is_task = |task: &&Turn| {
        let (event, own) = (&task.event, &turn.event);
        event.role == Role::User
            && event.is_turn()
            && task.unkept.is_none()
            && event.session_id == own.session_id
            && event.speaker == own.speaker
    };
    let task = turns[..place - 1].iter().rev().find(is_task)?;
    let asked = text::beginning(&task.event.content.text(), QUOTE_BYTES_MAX);
    // A correction says itself what is right; of the others the answer says what it was, and whoever tells more of it has
    // something to add.
    let told = text::beginning(content, QUOTE_BYTES_MAX);
    let (result, with) = if outcome == CORRECTED {
        (told, vec![task.seq])
    } else {
        let answered = text::beginning(&answer.event.content.text(), QUOTE_BYTES_MAX);
        let says_more = || tokens.iter().filter(|token| token.is_word).nth(PLAIN_WORDS_MAX).is_some();
        let more = corrects == Correction::Told || says_more();
        (if more { format!("{answered} — {told}") } else { answered }, vec![task.seq, answer.seq])
    };
    Some(Candidate {
        kind: Kind::Lesson,
        text: format!("{asked} — {outcome}: {result}"),
        attribute: Some(Attribute { name: "outcome".to_owned(), value: outcome.to_owned(), negated: false }),
        old: None,
        single: false,
        confidence: 700,
        with,
    })
}

/// How an answer was taken, where that is said in plain words. What failed has failed, whatever else is said.
fn taken(tokens: &[Token<'_>]) -> Option<&'static str> {
    let outcome_at = |at: usize| {
        let (_, outcome) = TAKEN.longest(&tokens[at..])?;
        let something_else = at > 0 && tokens[at - 1].is_word;
        Some(match outcome {
            "done" if something_else => CORRECTED,
            "done" => WORKED,
            outcome => outcome,
        })
    };
    let outcomes: Vec<&str> = (0..tokens.len()).filter_map(outcome_at).collect();
    if outcomes.contains(&FAILED) { Some(FAILED) } else { outcomes.first().copied() }
}
