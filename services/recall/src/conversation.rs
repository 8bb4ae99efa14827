//! The current conversation of one subject: the open window, and closed windows that no step covers yet.
//!
//! Windows come from two sides, from this fold and from the log, which may be ahead of it; steps and boundaries may be
//! ahead of both. The sequence number of a turn is what all of them agree on: whatever the order in which they come, a
//! turn is shown from the first place that has it and up to where steps cover it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use memory_core::forget::Scope;
use memory_core::working_memory::{Boundary, Outcome};
use memory_core::{
    Consolidation, Control, EventId, Handle, Interval, MemoryId, Recorded, Rules, Seq, Turn, WorkingMemory,
};

/// What folding an event meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Folded {
    /// It is part of the conversation until a step covers it.
    Open,
    /// It was counted before, or a step covers it already.
    Known,
    /// The owner of the partition buries it; here it is left out.
    Panicked,
}

#[derive(Debug)]
pub(crate) struct Conversation {
    memory: WorkingMemory,
    /// Closed windows above what is consolidated, oldest first. Boxed, since a queue has room for four at once and most
    /// conversations have none.
    pending: VecDeque<Box<Consolidation>>,
    /// Up to where steps cover the subject; they may be ahead of this fold.
    consolidated: Seq,
    /// Where this fold began; what lies below is in steps or in windows that only the log has.
    begun: Seq,
    /// When the last event was folded, on the recall thread's count of batches.
    pub(crate) touched: u64,
    /// It need not be asked before this batch whether it may leave RAM.
    pub(crate) asked_again: u64,
}

impl Conversation {
    pub(crate) const fn new(memory: WorkingMemory, consolidated: Seq) -> Self {
        let begun = memory.state().next;
        Self { memory, pending: VecDeque::new(), consolidated, begun, touched: 0, asked_again: 0 }
    }

    /// Whether windows are missing that were closed before this fold began: the log has them, since a boundary is
    /// written after its window, but they were not read yet.
    pub(crate) fn lacks_windows(&self) -> bool {
        if self.begun <= self.consolidated {
            return false;
        }
        let reaches =
            |known: Seq, window: &Consolidation| if window.from <= known { known.max(window.to) } else { known };
        self.pending.iter().map(Box::as_ref).fold(self.consolidated, reaches) < self.begun
    }

    /// Folds one event.
    pub(crate) fn apply(&mut self, rules: &Rules, recorded: &Recorded) -> Folded {
        let memory = &mut self.memory;
        let Ok(effects) = catch_unwind(AssertUnwindSafe(|| memory.apply(rules, recorded))) else {
            return Folded::Panicked;
        };
        for window in effects.closed {
            self.add_closed(window.consolidation);
        }
        match effects.outcome {
            Outcome::Accepted(seq) if seq >= self.consolidated => Folded::Open,
            Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Forgotten | Outcome::Stale => Folded::Known,
        }
    }

    /// Adds a closed window unless it is known; answers whether it was news.
    pub(crate) fn add_closed(&mut self, window: Consolidation) -> bool {
        let place = self.pending.partition_point(|known| known.from < window.from);
        let news = window.to > self.consolidated && self.is_free(place, window.from, window.to);
        if news {
            self.pending.insert(place, Box::new(window));
        }
        news
    }

    /// Whether a closed window of this range would be news. One that this fold has not come to is left to it.
    pub(crate) fn lacks(&self, range: Interval<Seq>) -> bool {
        let place = self.pending.partition_point(|known| known.from < range.from);
        range.to > self.consolidated
            && range.from < self.memory.window_from()
            && self.is_free(place, range.from, range.to)
    }

    /// Whether no pending window has any of this, where it would stand at `place`.
    fn is_free(&self, place: usize, from: Seq, to: Seq) -> bool {
        let before = place.checked_sub(1).and_then(|place| self.pending.get(place));
        before.is_none_or(|before| before.to <= from) && self.pending.get(place).is_none_or(|after| to <= after.from)
    }

    /// Takes it that the windows which it lacks will not come.
    pub(crate) const fn give_up_windows(&mut self) {
        self.begun = Seq::FIRST;
    }

    /// Drops what a step covers.
    pub(crate) fn cover(&mut self, to: Seq) {
        self.consolidated = self.consolidated.max(to);
        while self.pending.front().is_some_and(|window| window.to <= to) {
            self.pending.pop_front();
        }
    }

    /// Every turn from `consolidated` on, oldest first, without those that a later one of them forgets or corrects.
    pub(crate) fn turns(&self, consolidated: Seq) -> Vec<Turn> {
        // A window that the log told of may be one that this fold has not closed yet.
        let overlaps = self.pending.back().is_some_and(|last| last.to > self.memory.window_from());
        let is_closed = |seq| overlaps && self.pending.iter().any(|window| window.from <= seq && seq < window.to);
        let closed = self.pending.iter().flat_map(|window| &window.turns);
        let open = self.memory.window().iter().filter(|turn| !is_closed(turn.seq));
        let open = closed.chain(open).filter(|turn| turn.seq >= consolidated);
        let mut turns: Vec<Turn> = open.cloned().collect();
        let subject = self.memory.state().subject;
        let controls: Vec<(Seq, Control)> = turns
            .iter()
            .filter_map(|turn| Some((turn.seq, turn.event.control.as_deref()?)))
            .filter(|(_, control)| control.corrects().is_some() || control.forgets().is_some())
            .map(|(seq, control)| (seq, control.clone()))
            .collect();
        turns.retain(|turn| !controls.iter().any(|(seq, control)| *seq > turn.seq && takes(control, subject, turn)));
        turns
    }

    /// Every turn that no step covers, and maybe some that one does.
    fn all_turns(&self) -> impl Iterator<Item = &Turn> {
        self.pending.iter().flat_map(|window| &window.turns).chain(self.memory.window())
    }

    /// Whether a forget may be among the turns that no step covers.
    pub(crate) fn has_forget(&self) -> bool {
        self.all_turns().any(|turn| turn.event.control.as_deref().is_some_and(|control| control.forgets().is_some()))
    }

    /// Whether a later event forgets this one, and only the step is missing that takes it away.
    pub(crate) fn forgets(&self, event: &EventId) -> bool {
        let subject = self.memory.state().subject;
        let forgets = |later: &Turn, turn: &Turn| {
            let control = later.event.control.as_deref().filter(|control| control.forgets().is_some());
            later.seq > turn.seq && control.is_some_and(|control| takes(control, subject, turn))
        };
        let mut named = self.all_turns().filter(|turn| turn.event.id == *event);
        named.any(|turn| self.all_turns().any(|later| forgets(later, turn)))
    }

    /// [`shown_from`] of what is folded.
    pub(crate) fn shown_from(&self, floor: Seq) -> Seq {
        shown_from(self.memory.state(), floor)
    }

    pub(crate) const fn memory(&self) -> &WorkingMemory {
        &self.memory
    }

    /// Whether the store knows all that is here.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.memory.window().is_empty()
    }
}

/// From where on the turns of a conversation may be shown when the keys of its subject from below `floor` are dead. Once it has
/// folded the forget that killed them, that forget says what to hide: numbers below the floor may be of later turns, in data
/// that was restored from before it.
pub(crate) fn shown_from(state: &Boundary, floor: Seq) -> Seq {
    if state.key_since < floor { floor } else { Seq::FIRST }
}

/// Whether a control takes an earlier turn out of sight.
fn takes(control: &Control, subject: Handle, turn: &Turn) -> bool {
    let about = match turn.event.control.as_deref() {
        Some(Control::Correct { memory_id, .. }) => *memory_id,
        // What is forgotten hides memories until the step comes, also when something later is forgotten.
        Some(Control::Forget { .. }) => return false,
        Some(_) | None => MemoryId::of_event(subject, &turn.event.id),
    };
    match control {
        Control::Correct { memory_id, .. } => *memory_id == about,
        Control::Forget { scope: Scope::These { memories, .. }, .. } if memories.contains(&about) => true,
        Control::Forget { scope, .. } => scope.takes(subject, turn),
        Control::Remember { .. }
        | Control::Feedback { .. }
        | Control::Consent { .. }
        | Control::SessionEnd
        | Control::IdleTick { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use memory_core::{Offset, Subject, TenantId, Timestamp};
    use serde_json::json;

    use super::*;

    fn rules() -> Rules {
        Rules { window_turns_max: 2, ..Rules::default() }
    }

    fn alice() -> Subject {
        let tenant = TenantId::try_new("t").expect("a tenant");
        Subject::owner(&tenant, Some("alice"), None, None).expect("a user")
    }

    fn event(number: u64) -> Recorded {
        let value = json!({"id": format!("e{number}"), "user_id": "alice", "content": format!("number {number}")});
        testkit::events::recorded(&alice().tenant, Timestamp::from_seconds(1), Offset::new(number), &value)
    }

    fn fresh() -> WorkingMemory {
        WorkingMemory::new(alice().handle(&testkit::secret()), alice())
    }

    /// Three windows of two events each, and the state at the end of each.
    fn windows() -> (Vec<Consolidation>, Vec<Boundary>) {
        let mut memory = fresh();
        let closed = (0..6).flat_map(|number| memory.apply(&rules(), &event(number)).closed);
        closed.map(|closed| (closed.consolidation, closed.boundary)).unzip()
    }

    fn seqs(conversation: &Conversation) -> Vec<u64> {
        conversation.turns(Seq::FIRST).iter().map(|turn| turn.seq.get()).collect()
    }

    fn range(window: &Consolidation) -> Interval<Seq> {
        Interval { from: window.from, to: window.to }
    }

    // law: L06
    #[test]
    fn a_window_that_only_the_log_has_comes_after_those_that_the_fold_closed() {
        let (windows, boundaries) = windows();
        let mut conversation = Conversation::new(WorkingMemory::resume(boundaries[0].clone()), Seq::FIRST);
        assert!(conversation.lacks_windows());
        for number in 2..5 {
            conversation.apply(&rules(), &event(number));
        }
        assert_eq!(seqs(&conversation), [2, 3, 4], "the fold was faster than the log");
        assert!(conversation.lacks(range(&windows[0])) && conversation.lacks_windows());
        assert!(conversation.add_closed(windows[0].clone()) && !conversation.lacks_windows());
        assert!(!conversation.lacks(range(&windows[0])) && !conversation.add_closed(windows[0].clone()));
        assert_eq!(seqs(&conversation), [0, 1, 2, 3, 4]);
        conversation.cover(windows[0].to);
        assert_eq!(seqs(&conversation), [2, 3, 4]);
    }

    // law: L06
    #[test]
    fn a_window_that_the_fold_has_not_closed_yet_is_shown_once() {
        let (windows, _) = windows();
        let mut conversation = Conversation::new(fresh(), Seq::FIRST);
        conversation.apply(&rules(), &event(0));
        // Nobody had it in RAM when the log told of it.
        assert!(conversation.add_closed(windows[0].clone()));
        assert_eq!(seqs(&conversation), [0, 1]);
        for number in 1..3 {
            conversation.apply(&rules(), &event(number));
            assert_eq!(seqs(&conversation), (0..=number.max(1)).collect::<Vec<u64>>(), "folded up to {number}");
        }
        assert!(!conversation.lacks(range(&windows[1])), "what is still open here is left to the fold");
    }

    #[test]
    fn windows_that_never_come_are_given_up() {
        let (windows, boundaries) = windows();
        let mut conversation = Conversation::new(WorkingMemory::resume(boundaries[1].clone()), Seq::FIRST);
        conversation.add_closed(windows[1].clone());
        assert!(conversation.lacks_windows(), "there is a hole before it");
        conversation.give_up_windows();
        assert!(!conversation.lacks_windows());
        let mut conversation = Conversation::new(WorkingMemory::resume(boundaries[1].clone()), Seq::FIRST);
        conversation.cover(windows[1].to);
        assert!(!conversation.lacks_windows(), "a step covers them");
    }
}
