//! Rows of subjects in RAM, and folding kept sources again.
//!
//! [`Rows`] is the reference store: the fold of steps without a database. `memos verify` builds it from the log and
//! compares it with what RocksDB holds; tests use it as the oracle.
//!
//! [`refold`] folds the sources that are left once more, in the windows they were recorded in and under the rules
//! that held then. It is how an event is taken back later: fold without it.

use std::collections::{BTreeMap, BTreeSet};

use crate::bank::Bank;
use crate::consolidate::consolidate;
use crate::consolidation::Consolidation;
use crate::forget::erase;
use crate::ids::{EventId, Seq, StepNumber};
use crate::rules::Rules;
use crate::step::{Body, Change, Consumed, Row, RowKey, Step, SubjectRow, WindowRow};
use crate::subject::{Handle, TenantTag};
use crate::time::Timestamp;
use crate::turn::Turn;
use crate::vector::Embed;

/// All rows of one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    rows: BTreeMap<RowKey, Row>,
    next_step: StepNumber,
    /// Parts of a snapshot that is not complete yet.
    parts: Vec<Row>,
}

/// A step that does not follow the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("step {found} of subject {subject} follows step {expected}")]
pub struct StepGap {
    pub subject: Handle,
    pub expected: StepNumber,
    pub found: StepNumber,
}

impl Rows {
    /// Takes over one step. A step that is there already is skipped; of two with one number the first counts.
    ///
    /// # Errors
    /// [`StepGap`] when steps between are missing; a snapshot's first part may follow anything.
    pub fn apply(&mut self, step: &Step) -> Result<bool, StepGap> {
        let begins_snapshot = matches!(step.body, Body::Snapshot { part: 0, .. });
        if step.number < self.next_step {
            return Ok(false);
        }
        if step.number > self.next_step && !begins_snapshot {
            return Err(StepGap { subject: step.subject, expected: self.next_step, found: step.number });
        }
        match &step.body {
            Body::Changes { changes, .. } => changes.iter().for_each(|change| self.change(change)),
            Body::Snapshot { part, parts, rows, .. } => {
                if *part == 0 {
                    self.parts.clear();
                }
                self.parts.extend(rows.iter().cloned());
                if part + 1 == *parts {
                    let rows = std::mem::take(&mut self.parts);
                    self.rows = rows.into_iter().map(|row| (row.key(), row)).collect();
                }
            }
        }
        self.next_step = step.number.next();
        Ok(true)
    }

    fn change(&mut self, change: &Change) {
        match change {
            Change::Put(row) => {
                self.rows.insert(row.key(), row.clone());
            }
            Change::Delete(key) => {
                self.rows.remove(key);
            }
        }
    }

    /// The rows of a subject as a store gives them.
    #[must_use]
    pub fn from_rows(next_step: StepNumber, rows: impl IntoIterator<Item = Row>) -> Self {
        Self { rows: rows.into_iter().map(|row| (row.key(), row)).collect(), next_step, parts: Vec::new() }
    }

    /// All rows, in key order.
    pub fn iter(&self) -> impl Iterator<Item = &Row> {
        self.rows.values()
    }

    /// The steps of the next window: what it changes, or, for a forget, what is left.
    #[must_use]
    pub fn decide(&self, window: &Consolidation, tenant: TenantTag, consumed: Option<Consumed>) -> Vec<Step> {
        match window.forget() {
            Some(forget) => erase(self, window, forget, tenant, consumed),
            None => vec![consolidate(&self.bank(), window, consumed)],
        }
    }

    /// Puts a row in the place of the one with its key.
    pub(crate) fn put(&mut self, row: Row) {
        self.rows.insert(row.key(), row);
    }

    /// What is known of the subject as a whole.
    #[must_use]
    pub fn subject(&self) -> Option<&SubjectRow> {
        match self.rows.get(&RowKey::Subject) {
            Some(Row::Subject(row)) => Some(row),
            _ => None,
        }
    }

    #[must_use]
    pub const fn next_step(&self) -> StepNumber {
        self.next_step
    }

    #[must_use]
    pub fn bank(&self) -> Bank {
        Bank::load(self.next_step, self.rows.values().cloned())
    }

    /// What was remembered at `at`: the kept sources that had arrived by then, folded again. What has been forgotten since, or was
    /// never kept, is not in it; nor is what has expired until `now`.
    #[must_use]
    pub fn as_of(&self, subject: Handle, at: Timestamp, now: Timestamp) -> Self {
        let late = self.sources().into_values().filter(|turn| turn.arrived > at);
        let mut known = refold(subject, self, &late.map(|turn| turn.event.id.clone()).collect());
        known.rows.retain(|_, row| !matches!(row, Row::Memory(memory) if memory.has_expired(now)));
        known
    }

    /// As [`Rows::bank`], ready to be ranked.
    #[must_use]
    pub fn ranked_bank(&self, embed: &'static dyn Embed) -> Bank {
        Bank::load_ranked(self.next_step, self.rows.values().cloned(), embed)
    }

    fn sources(&self) -> BTreeMap<Seq, &Turn> {
        let turns = self.rows.values().filter_map(|row| if let Row::Source(turn) = row { Some(turn) } else { None });
        turns.map(|turn| (turn.seq, turn)).collect()
    }

    fn windows(&self) -> Vec<&WindowRow> {
        self.rows.values().filter_map(|row| if let Row::Window(window) = row { Some(window) } else { None }).collect()
    }

    fn rules(&self, fingerprint: u64) -> Option<&Rules> {
        match self.rows.get(&RowKey::Rules(fingerprint)) {
            Some(Row::Rules(row)) => Some(&row.rules),
            _ => None,
        }
    }
}

/// Folds the kept sources of a subject again, without the events in `without`.
///
/// What is no source (fates of events that were not kept, the subject row, windows whose sources a deletion took) is
/// carried over.
#[must_use]
pub fn refold(subject: Handle, rows: &Rows, without: &BTreeSet<EventId>) -> Rows {
    let mut folded = Rows::default();
    let Some(Row::Subject(subject_row)) = rows.rows.get(&RowKey::Subject).cloned() else { return folded };
    let sources = rows.sources();
    // Kept beside the rows: to load it for every window would be quadratic.
    let mut bank = Bank::default();
    let mut emptied = BTreeSet::new();
    for window in rows.windows() {
        let Some(rules) = rows.rules(window.rules) else { continue };
        let kept: Vec<&Turn> = sources.range(window.from..window.to).map(|(_, turn)| *turn).collect();
        let turns: Vec<Turn> =
            kept.iter().filter(|turn| !without.contains(&turn.event.id)).map(|turn| (*turn).clone()).collect();
        if turns.is_empty() {
            if !kept.is_empty() {
                emptied.insert(window.from);
            }
            continue;
        }
        let consolidation = Consolidation {
            id: window.consolidation,
            subject,
            owner: subject_row.owner.clone(),
            generation: subject_row.generation,
            key_since: Seq::FIRST,
            from: window.from,
            to: window.to,
            trigger: window.trigger,
            rules: rules.clone(),
            turns,
        };
        let step = consolidate(&bank, &consolidation, None);
        bank.apply(&step);
        folded.apply(&step).expect("the bank gave the number of this step");
    }
    let refolded = |row: &Row| folded.rows.contains_key(&row.key());
    let carried = rows.rows.values().filter(|row| match row {
        Row::Fate(fate) => !without.contains(&fate.event_id) && !refolded(row),
        Row::Window(window) => !emptied.contains(&window.from) && !refolded(row),
        Row::Rules(_) => emptied.is_empty() && !refolded(row),
        Row::Subject(_) => true,
        Row::Memory(_) | Row::Revision(_) | Row::Source(_) => false,
    });
    let carried: Vec<Row> = carried.cloned().collect();
    for row in carried {
        folded.rows.insert(row.key(), row);
    }
    folded.next_step = rows.next_step;
    folded
}
