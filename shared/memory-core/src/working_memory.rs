//! Short-term memory of one subject: a fold over its events.
//!
//! The fold gives every accepted event the subject's next sequence number and gathers events in **one open
//! window**. A window closes whole: at a gap in event time, when it is full, at a very salient turn, at a control, at
//! the end of a session or at a tick. So every accepted event belongs to exactly one [`Consolidation`].
//!
//! [`WorkingMemory::boundary`] is the state at a window's end. A subject is loaded from its newest boundary and the
//! events after it, so passivating it at any moment changes nothing. Boundaries that were logged before a crash
//! stand, even if the rules have changed since: [`WorkingMemory::expect_window`] makes the fold end its window there.
//!
//! What was counted already is recognised by the fingerprints of the newest 1,024 event ids (law L03).

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::consolidation::{Consolidation, Owner, Trigger};
use crate::content::Content;
use crate::control::Control;
use crate::event::{Event, Recorded};
use crate::forget::Scope;
use crate::ids::{ConsolidationId, EventId, Generation, Seq};
use crate::position::{Interval, Offset};
use crate::rules::Rules;
use crate::salience;
use crate::subject::{Handle, Subject};
use crate::text;
use crate::time::Timestamp;
use crate::turn::{NotKept, Turn};

mod seen;
#[cfg(test)]
mod tests;

pub use seen::{SEEN_MAX, Seen};

/// The most bytes of content that working memory shows of closed windows.
const RECENT_BYTES_MAX: usize = 8 * 1024;

/// The short-term state of one subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkingMemory {
    state: Boundary,
    window: Vec<Turn>,
    window_bytes: usize,
    /// Windows that were logged before a restart, oldest first; they end where they ended.
    logged: VecDeque<Interval<Seq>>,
}

/// The state at a window's end: what `working` holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Boundary {
    pub subject: Handle,
    /// `None` when the subject was forgotten and nothing came since.
    pub owner: Option<Owner>,
    pub generation: Generation,
    /// What is derived of the events from here on is sealed with keys that seal from here on.
    pub key_since: Seq,
    /// When the last forget of everything arrived. What arrived before is forgotten, whenever it turns up.
    pub forgotten: Option<Timestamp>,
    /// The sequence number that the next accepted event gets.
    pub next: Seq,
    /// Whether the subject lets anything be remembered.
    pub remember: bool,
    pub seen: Seen,
    /// The last turns of closed windows, oldest first, to show a conversation that was just consolidated.
    pub recent: Vec<Turn>,
    pub last_event: Option<EventId>,
    /// The latest event time of a turn.
    pub last_time: Option<Timestamp>,
    /// Events of the subject below this offset of its partition of `interactions` are in this state.
    pub folded: Offset,
}

/// What of a boundary is written in the clear: it names nobody, and tells nothing of what was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skeleton {
    pub generation: Generation,
    pub next: Seq,
    pub key_since: Seq,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten: Option<Timestamp>,
    pub remember: bool,
    pub seen: Seen,
    pub folded: Offset,
}

/// What of a boundary is sealed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    pub owner: Option<Owner>,
    pub recent: Vec<Turn>,
    pub last_event: Option<EventId>,
    pub last_time: Option<Timestamp>,
}

impl Boundary {
    /// What is written in the clear, and what is sealed; `None` when there is nothing to seal.
    #[must_use]
    pub fn split(&self) -> (Skeleton, Option<Words>) {
        let skeleton = Skeleton {
            generation: self.generation,
            next: self.next,
            key_since: self.key_since,
            forgotten: self.forgotten,
            remember: self.remember,
            seen: self.seen.clone(),
            folded: self.folded,
        };
        let Self { owner, recent, last_event, last_time, .. } = self;
        let words = Words {
            owner: owner.clone(),
            recent: recent.clone(),
            last_event: last_event.clone(),
            last_time: *last_time,
        };
        (skeleton, Some(words).filter(|words| *words != Words::none()))
    }

    /// Whether there is something of it to seal.
    #[must_use]
    pub fn has_words(&self) -> bool {
        self.owner.is_some() || !self.recent.is_empty() || self.last_event.is_some() || self.last_time.is_some()
    }

    /// The boundary again; without its words when nobody can read them any more.
    #[must_use]
    pub fn join(subject: Handle, skeleton: Skeleton, words: Option<Words>) -> Self {
        let Words { owner, recent, last_event, last_time } = words.unwrap_or_else(Words::none);
        let Skeleton { generation, next, key_since, forgotten, remember, seen, folded } = skeleton;
        Self {
            subject,
            owner,
            generation,
            key_since,
            forgotten,
            next,
            remember,
            seen,
            recent,
            last_event,
            last_time,
            folded,
        }
    }

    /// Carries a forget out that was the last event before `next`: what follows has other keys. Only what is said is
    /// forgotten, not the wish to be remembered or not.
    fn forget(&mut self, scope: &Scope, arrived: Timestamp) {
        self.generation = scope.generation_after(self.generation);
        self.key_since = key_since_after(self.next, self.key_since);
        // Windows that are closed are shown from here; the kept ones are found in the bank.
        self.recent = Vec::new();
        if *scope == Scope::Everything {
            self.forgotten = Some(arrived);
            self.owner = None;
            self.last_event = None;
            self.last_time = None;
        }
    }
}

/// From where on the keys seal that come after a forget: behind it, and behind all keys that were used before it.
#[must_use]
pub fn key_since_after(next: Seq, before: Seq) -> Seq {
    next.max(before.next())
}

impl Words {
    const fn none() -> Self {
        Self { owner: None, recent: Vec::new(), last_event: None, last_time: None }
    }
}

/// What an event did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Accepted(Seq),
    /// The event id was among the newest 1,024, or the offset was folded before.
    Duplicate,
    /// It arrived before all that had arrived was forgotten.
    Forgotten,
    /// A tick that named an event which is no longer the last, or nothing to close.
    Stale,
}

/// What the owner of the subject must now do, in this order.
#[derive(Clone, Debug)]
pub struct Effects {
    pub outcome: Outcome,
    /// Windows that closed, oldest first; at most two.
    pub closed: Vec<Closed>,
}

/// A window that closed.
#[derive(Clone, Debug)]
pub struct Closed {
    pub consolidation: Consolidation,
    /// The state at its end.
    pub boundary: Boundary,
    /// It is on the log already; only the boundary is news.
    pub logged: bool,
}

impl WorkingMemory {
    /// The memory of a subject that has no events yet.
    #[must_use]
    pub fn new(subject: Handle, owner: Subject) -> Self {
        let mut memory = Self::unknown(subject);
        memory.state.owner = Some(owner);
        memory
    }

    /// The memory of a subject that has no events yet; the first one will tell whose it is.
    #[must_use]
    pub fn unknown(subject: Handle) -> Self {
        Self::resume(Boundary {
            subject,
            owner: None,
            generation: Generation::FIRST,
            key_since: Seq::FIRST,
            forgotten: None,
            next: Seq::FIRST,
            remember: true,
            seen: Seen::default(),
            recent: Vec::new(),
            last_event: None,
            last_time: None,
            folded: Offset::FIRST,
        })
    }

    /// The memory at a window's end; apply the events at and above [`Boundary::folded`] next.
    #[must_use]
    pub const fn resume(state: Boundary) -> Self {
        Self { state, window: Vec::new(), window_bytes: 0, logged: VecDeque::new() }
    }

    /// Says that this window stands on the log already. Windows are named in order; those below the state are ignored.
    pub fn expect_window(&mut self, window: Interval<Seq>) {
        let end = self.logged.back().map_or_else(|| self.window_from(), |last| last.to);
        if window.from >= end {
            self.logged.push_back(window);
        }
    }

    /// Folds one event of this subject.
    pub fn apply(&mut self, rules: &Rules, recorded: &Recorded) -> Effects {
        let event = &recorded.event;
        let fingerprint = event.id.fingerprint();
        if recorded.offset < self.state.folded || self.state.seen.contains(fingerprint) {
            return Effects { outcome: Outcome::Duplicate, closed: Vec::new() };
        }
        // Another forget has nothing to bring back, and whoever sent it waits for its receipt.
        let forgets = event.control.as_ref().is_some_and(|control| control.forgets().is_some());
        if !forgets && self.state.forgotten.is_some_and(|then| recorded.arrived < then) {
            return Effects { outcome: Outcome::Forgotten, closed: Vec::new() };
        }
        if self.is_stale_tick(event) {
            self.state.folded = recorded.offset.next();
            return Effects { outcome: Outcome::Stale, closed: Vec::new() };
        }
        let mut closed = Vec::new();
        if let Some(trigger) = self.ends_before(rules, event) {
            closed.push(self.close(rules, trigger));
        }
        if self.state.owner.is_none() {
            self.state.owner = event.subject(&recorded.tenant);
        }
        if let Some(Control::Forget { floor: Some(floor), .. }) = event.control.as_deref() {
            self.state.key_since = self.state.key_since.max(*floor);
        }
        let seq = self.take(rules, recorded, fingerprint);
        if let Some(trigger) = self.ends_after(rules, event) {
            closed.push(self.close(rules, trigger));
        }
        Effects { outcome: Outcome::Accepted(seq), closed }
    }

    fn is_stale_tick(&self, event: &Event) -> bool {
        match event.control.as_deref() {
            Some(Control::IdleTick { last }) => self.window.is_empty() || self.state.last_event.as_ref() != Some(last),
            _ => false,
        }
    }

    /// Adds the event to the open window.
    fn take(&mut self, rules: &Rules, recorded: &Recorded, fingerprint: u64) -> Seq {
        let seq = self.state.next;
        let turn = self.judge(rules, recorded, seq);
        if turn.event.is_turn() {
            self.state.last_time = self.state.last_time.max(Some(turn.event.time));
        }
        self.window_bytes += turn.event.content.bytes();
        if let Some(Control::Consent { remember }) = turn.event.control.as_deref() {
            self.state.remember = *remember;
        }
        self.state.seen.push(fingerprint);
        self.state.next = seq.next();
        self.state.last_event = Some(turn.event.id.clone());
        self.state.folded = recorded.offset.next();
        self.window.push(turn);
        seq
    }

    /// Weighs an event, and drops the words of what may not be kept.
    fn judge(&self, rules: &Rules, recorded: &Recorded, seq: Seq) -> Turn {
        let event = &recorded.event;
        let mut turn = Turn {
            seq,
            arrived: recorded.arrived,
            event: Arc::clone(event),
            salience: salience::of(event, self.before(event), rules),
            unkept: None,
            candidates: Vec::new(),
        };
        if !event.is_turn() {
            return turn;
        }
        turn.unkept = if !event.remember {
            Some(NotKept::NotWanted)
        } else if !self.state.remember {
            Some(NotKept::NoConsent)
        } else if event.recalled {
            Some(NotKept::Recalled)
        } else {
            None
        };
        if turn.unkept.is_none() {
            learn_only_the_new(&mut turn, self.before(event), rules);
        }
        if turn.unkept == Some(NotKept::NoConsent) {
            let mut bare = event.as_ref().clone();
            bare.content = Content::empty();
            bare.metadata = serde_json::Map::new();
            turn.event = Arc::new(bare);
        }
        if turn.unkept.is_some() {
            turn.salience = salience::Salience::default();
        }
        turn
    }

    /// The turn of the same session before this event, as far as working memory still shows it.
    fn before(&self, event: &Event) -> Option<&Event> {
        let shown = self.window.iter().rev().chain(self.state.recent.iter().rev());
        let last = shown.map(|turn| turn.event.as_ref()).find(|shown| shown.is_turn());
        last.filter(|last| last.session_id == event.session_id)
    }

    fn ends_before(&self, rules: &Rules, event: &Event) -> Option<Trigger> {
        if self.window.is_empty() || self.in_logged_window() {
            return None;
        }
        // Its window dies with the keys of what it forgets, so it is alone in it.
        if event.control.as_ref().is_some_and(|control| control.forgets().is_some()) {
            return Some(Trigger::Control);
        }
        let late = |last| event.time.seconds_since(last) > rules.gap_seconds;
        (event.is_turn() && self.state.last_time.is_some_and(late)).then_some(Trigger::Gap)
    }

    fn ends_after(&self, rules: &Rules, event: &Event) -> Option<Trigger> {
        let last = self.window.last()?;
        if let Some(window) = self.logged.front().filter(|window| window.from == self.window_from()) {
            return (window.to == self.state.next).then_some(Trigger::Control);
        }
        match event.control.as_deref() {
            Some(Control::SessionEnd) => return Some(Trigger::SessionEnd),
            Some(Control::IdleTick { .. }) => return Some(Trigger::Tick),
            Some(
                Control::Remember { .. }
                | Control::Correct { .. }
                | Control::Forget { .. }
                | Control::Feedback { .. }
                | Control::Consent { .. },
            ) => return Some(Trigger::Control),
            None => {}
        }
        if last.salience.total >= rules.salient_at {
            Some(Trigger::Salient)
        } else if self.window.len() >= rules.window_turns_max || self.window_bytes >= rules.window_bytes_max {
            Some(Trigger::Size)
        } else {
            None
        }
    }

    fn in_logged_window(&self) -> bool {
        self.logged.front().is_some_and(|window| window.from == self.window_from())
    }

    fn close(&mut self, rules: &Rules, trigger: Trigger) -> Closed {
        let from = self.window_from();
        let logged = self.in_logged_window();
        if logged {
            self.logged.pop_front();
        }
        let turns = std::mem::take(&mut self.window);
        self.window_bytes = 0;
        self.remember_recent(rules, &turns);
        let (Some(first), Some(last)) = (turns.first(), turns.last()) else {
            unreachable!("only a window with turns is closed");
        };
        let id = ConsolidationId::of_window(
            self.state.subject,
            &first.event.id,
            &last.event.id,
            &rules.canonical(),
            trigger.as_str(),
        );
        let consolidation = Consolidation {
            id,
            subject: self.state.subject,
            owner: self.state.owner.clone(),
            generation: self.state.generation,
            key_since: self.state.key_since,
            from,
            to: self.state.next,
            trigger,
            rules: rules.clone(),
            turns,
        };
        if let Some(forget) = consolidation.forget() {
            self.state.forget(forget.scope, forget.turn.arrived);
        }
        Closed { consolidation, boundary: self.state.clone(), logged }
    }

    fn remember_recent(&mut self, rules: &Rules, turns: &[Turn]) {
        let shown = turns.iter().filter(|turn| turn.event.is_turn() && turn.event.content.bytes() > 0);
        let shown: Vec<&Turn> = self.state.recent.iter().chain(shown).collect();
        let last = shown.len().saturating_sub(rules.recent_turns);
        self.state.recent = shown[last..].iter().copied().cloned().collect();
        let mut bytes: usize = self.state.recent.iter().map(|turn| turn.event.content.bytes()).sum();
        while bytes > RECENT_BYTES_MAX {
            bytes -= self.state.recent.remove(0).event.content.bytes();
        }
    }

    /// Where the open window begins.
    #[must_use]
    pub fn window_from(&self) -> Seq {
        self.window.first().map_or(self.state.next, |turn| turn.seq)
    }

    /// The turns of the open window, oldest first.
    #[must_use]
    pub fn window(&self) -> &[Turn] {
        &self.window
    }

    /// The last turns of closed windows, oldest first.
    #[must_use]
    pub fn recent(&self) -> &[Turn] {
        &self.state.recent
    }

    /// The state at the newest event, without the open window. It is a boundary only while no window is open.
    #[must_use]
    pub const fn state(&self) -> &Boundary {
        &self.state
    }
}

/// Strips what memos itself supplied; a turn of nothing else has nothing to learn from.
fn learn_only_the_new(turn: &mut Turn, before: Option<&Event>, rules: &Rules) {
    let content = turn.event.content.text();
    if content.contains(text::CONTEXT_OPEN) {
        let stripped = text::strip_context(&content);
        let mut event = turn.event.as_ref().clone();
        event.content = Content::Text(stripped);
        turn.salience = salience::of(&event, before, rules);
        turn.event = Arc::new(event);
    }
    if turn.event.content.text().trim().is_empty() {
        turn.unkept = Some(NotKept::NoText);
    }
}
