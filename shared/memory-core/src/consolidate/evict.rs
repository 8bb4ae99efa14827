//! What goes again: memories whose time is over, and from a full bank what is worth least.
//!
//! Worth is salience, raised by repetition and by reported use and lowered by age; what was superseded is worth least.
//! What is pinned, or what health and safety may depend on, never goes. A hundredth of the bank goes at once, so that a
//! full bank is not searched for every turn.

use std::collections::BTreeSet;

use super::Draft;
use crate::bank::Bank;
use crate::ids::{MemoryId, Seq};
use crate::memory::{Memory, Status};
use crate::step::{Change, Fate, FateRow, Row, RowKey};
use crate::time::Timestamp;
use crate::turn::{NotKept, Turn};

/// The most memories that one window removes: its step must fit into a record of the log. What is over is not told any more, and
/// goes with a later one.
pub(super) const REMOVED_MAX: usize = 2_000;
/// Age at which a memory is worth this much less, in seconds and in 1/1000 of salience.
const AGE_SECONDS: i64 = 30 * 24 * 3_600;
const AGE_COSTS: i64 = 50;
const AGE_COSTS_MOST: i64 = 500;
/// What one repetition, or one report of use, is worth; at most five of them count.
const REPEAT: i64 = 100;

impl Draft<'_> {
    /// Whether there is room for a memory, if need be after others have gone.
    pub(super) fn make_room(&mut self, turn: &Turn, memory: &Memory) -> bool {
        let most = self.window.rules.bank_max;
        if self.bank.len() < most || self.removable == 0 {
            return true;
        }
        let now = turn.event.time;
        let mut worth: Vec<(i64, MemoryId)> =
            self.bank.memories().filter(|known| may_go(known)).map(|known| (worth(known, now), known.id)).collect();
        worth.sort_unstable();
        worth.truncate(((most / 100).max(1) + self.bank.len() - most).min(self.removable));
        if worth.is_empty() || may_go(memory) && worth[0].0 > self::worth(memory, now) {
            return false;
        }
        self.remove(worth.into_iter().map(|(_, id)| id).collect(), NotKept::Evicted);
        true
    }

    /// Removes the memories whose time is over when the window arrived.
    pub(super) fn expire(&mut self, bank: &Bank) {
        if let Some(last) = self.window.turns.last() {
            self.remove(bank.expired(last.arrived).take(self.removable).collect(), NotKept::Expired);
        }
    }

    /// Removes memories, and the turns that only they had as a source.
    fn remove(&mut self, ids: BTreeSet<MemoryId>, why: NotKept) {
        if ids.is_empty() {
            return;
        }
        self.removable -= ids.len();
        let mut sources: Vec<_> = Vec::new();
        for id in &ids {
            let Some(memory) = self.bank.get(*id).cloned() else { continue };
            self.bank.removed(*id);
            self.changes.push(Change::Delete(RowKey::Memory(*id)));
            self.changes.extend((1..memory.version).map(|version| Change::Delete(RowKey::Revision(*id, version))));
            sources.extend(memory.sources);
        }
        let used: BTreeSet<Seq> =
            self.bank.memories().flat_map(|memory| &memory.sources).map(|source| source.seq).collect();
        for source in sources.into_iter().filter(|source| !used.contains(&source.seq)) {
            self.changes.push(Change::Delete(RowKey::Source(source.seq)));
            let fate = Fate::NotKept(why);
            self.changes.push(Change::Put(Row::Fate(FateRow { event_id: source.event_id, fate })));
        }
    }
}

const fn may_go(memory: &Memory) -> bool {
    !memory.pinned && !memory.critical
}

fn worth(memory: &Memory, now: Timestamp) -> i64 {
    let repeats = (i64::from(memory.reinforced) + i64::from(memory.useful)).clamp(-5, 5);
    let age = now.seconds_since(memory.event_time).max(0) / AGE_SECONDS;
    let superseded = if memory.status == Status::Active { 0 } else { 1_000 };
    i64::from(memory.salience) + REPEAT * repeats - (AGE_COSTS * age).min(AGE_COSTS_MOST) - superseded
}
