//! The current conversation of one subject: the open window, and closed windows that no step covers yet.
//!
//! Windows come from two sides, from this fold and from the log, which may be ahead of it; steps and boundaries may be
//! ahead of both. The sequence number of a turn is what all of them agree on: whatever the order in which they come, a
//! turn is shown from the first place that has it and up to where steps cover it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use memory_core::working_memory::Outcome;
use memory_core::{Consolidation, Control, Interval, MemoryId, Recorded, Rules, Seq, Turn, WorkingMemory};

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
            |known: Seq, window: &Box<Consolidation>| if window.from <= known { known.max(window.to) } else { known };
        self.pending.iter().fold(self.consolidated, reaches) < self.begun
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
            Outcome::Accepted(_) | Outcome::Duplicate | Outcome::Stale => Folded::Known,
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

    /// Every turn from `consolidated` on, oldest first, without those that a later one of them deletes or corrects.
    pub(crate) fn turns(&self, consolidated: Seq) -> Vec<Turn> {
        // A window that the log told of may be one that this fold has not closed yet.
        let overlaps = self.pending.back().is_some_and(|last| last.to > self.memory.window_from());
        let is_closed = |seq| overlaps && self.pending.iter().any(|window| window.from <= seq && seq < window.to);
        let closed = self.pending.iter().flat_map(|window| &window.turns);
        let open = self.memory.window().iter().filter(|turn| !is_closed(turn.seq));
        let open = closed.chain(open).filter(|turn| turn.seq >= consolidated);
        let mut turns: Vec<Turn> = open.cloned().collect();
        let changed: Vec<(MemoryId, Seq)> =
            turns.iter().filter_map(|turn| Some((turn.event.control.as_ref()?.changes()?, turn.seq))).collect();
        if !changed.is_empty() {
            let subject = self.memory.state().subject;
            turns.retain(|turn| {
                let about = match turn.event.control.as_deref() {
                    Some(Control::Correct { memory_id, .. }) => *memory_id,
                    Some(_) | None => MemoryId::of_event(subject, &turn.event.id),
                };
                !changed.iter().any(|(memory, seq)| *memory == about && *seq > turn.seq)
            });
        }
        turns
    }

    pub(crate) const fn memory(&self) -> &WorkingMemory {
        &self.memory
    }

    /// Whether the store knows all that is here.
    pub(crate) fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.memory.window().is_empty()
    }
}
