//! Folding `interactions` from the very first event.

use std::collections::{BTreeMap, HashMap};

use event_log::{EventLog, Offset, Partition, Topic, envelope};
use keyring::Keyring;
use memory_core::consolidation::Rest;
use memory_core::forget::erase;
use memory_core::refold::Rows;
use memory_core::rules::FOLD_VERSION;
use memory_core::subject::TenantTag;
use memory_core::{Bank, Consolidation, Handle, Interval, Rules, Seq, WorkingMemory, consolidate};

use crate::scan::each;

/// What folding the whole history gave.
pub(super) enum Refolded {
    /// The beginning of the history is no longer there.
    Trimmed,
    /// Windows came out otherwise than they were recorded.
    Differs {
        differences: u64,
        first: String,
    },
    /// Every event is in its window, but another fold than this one weighed, read and decided.
    OtherFold {
        version: u32,
        events: u64,
    },
    Rows {
        rows: BTreeMap<Handle, Rows>,
        events: u64,
    },
}

/// The windows of a subject as they were recorded.
type Recorded = BTreeMap<Seq, Consolidation>;

/// Folds every event again, in the recorded windows and under the recorded rules, as far as each subject is consolidated.
pub(super) fn refold(
    log: &dyn EventLog,
    ring: &Keyring,
    partitions: &BTreeMap<Partition, Offset>,
    consolidated: &BTreeMap<Handle, Seq>,
) -> anyhow::Result<Refolded> {
    for &partition in partitions.keys() {
        for topic in [Topic::Interactions, Topic::Consolidations] {
            if log.watermarks(&topic, partition)?.low > Offset::FIRST {
                return Ok(Refolded::Trimmed);
            }
        }
    }
    let (rows, banks) = (BTreeMap::new(), HashMap::new());
    let mut folding = Folding { ring, rows, banks, events: 0, differences: 0, first: None, other_fold: None };
    for &partition in partitions.keys() {
        folding.partition(log, partition, consolidated)?;
    }
    let Folding { rows, events, differences, .. } = folding;
    Ok(match (folding.first, folding.other_fold) {
        (Some(first), _) => Refolded::Differs { differences, first },
        (None, Some(version)) => Refolded::OtherFold { version, events },
        (None, None) => Refolded::Rows { rows, events },
    })
}

struct Folding<'a> {
    ring: &'a Keyring,
    rows: BTreeMap<Handle, Rows>,
    /// Of the partition that is folded: to load one for every window would be quadratic.
    banks: HashMap<Handle, Bank>,
    events: u64,
    differences: u64,
    first: Option<String>,
    /// The version of a fold that made windows and is not this one.
    other_fold: Option<u32>,
}

impl Folding<'_> {
    fn partition(
        &mut self,
        log: &dyn EventLog,
        partition: Partition,
        consolidated: &BTreeMap<Handle, Seq>,
    ) -> anyhow::Result<()> {
        let recorded = recorded(log, self.ring, partition)?;
        self.banks.clear();
        let mut memories: HashMap<Handle, WorkingMemory> = HashMap::new();
        let none = Recorded::new();
        let end = log.watermarks(&Topic::Interactions, partition)?.high;
        each(log, &Topic::Interactions, partition, end, |stored| {
            let Some((subject, event)) = envelope::read_interaction(self.ring, stored)? else { return Ok(()) };
            self.events += 1;

            let windows = recorded.get(&subject).unwrap_or(&none);
            let memory = memories.entry(subject).or_insert_with(|| {
                let mut memory = WorkingMemory::unknown(subject);
                for window in windows.values() {
                    memory.expect_window(Interval { from: window.from, to: window.to });
                }
                memory
            });
            let rules = windows.get(&memory.window_from()).map_or_else(Rules::default, |window| window.rules.clone());
            for closed in memory.apply(&rules, &event).closed {
                if let Some(window) = windows.get(&closed.consolidation.from) {
                    let folded = closed.consolidation.with_candidates();
                    self.window(window, folded, consolidated.get(&subject).copied())?;
                }
            }
            Ok(())
        })
    }

    /// Compares a window with its record, and consolidates it as far as the store has.
    fn window(
        &mut self,
        recorded: &Consolidation,
        folded: Consolidation,
        consolidated: Option<Seq>,
    ) -> anyhow::Result<()> {
        // Of a window that was forgotten nothing can be read but its place and its rules. Its events can, as long as there is the
        // key of their day, and what comes of them must still be what the forget has left.
        let unreadable = recorded.turns.is_empty();
        let is_other_fold = recorded.rules.version != FOLD_VERSION;
        let same = if is_other_fold { same_events(&folded, recorded) } else { folded.turns == recorded.turns };
        if !(unreadable || same) || folded.to != recorded.to {
            self.differences += 1;
            let (subject, from) = (folded.subject, folded.from);
            self.first.get_or_insert_with(|| format!("of subject {subject} from {from}"));
            return Ok(());
        }
        if is_other_fold {
            self.other_fold = Some(recorded.rules.version);
        }
        // What it decided is nothing that this one can say again, nor what came of that.
        if self.other_fold.is_some() || consolidated.is_none_or(|next| recorded.to > next) {
            return Ok(());
        }
        // What closed it and how it was named is on record; the turns are what was folded just now.
        let window =
            Consolidation { id: recorded.id, trigger: recorded.trigger, rules: recorded.rules.clone(), ..folded };
        let rows = self.rows.entry(window.subject).or_default();
        let bank = self.banks.entry(window.subject).or_default();
        let steps = match window.forget() {
            Some(forget) => erase(rows, &window, forget, TenantTag::from_bytes([0; 16]), None),
            None => vec![consolidate(bank, &window, None)],
        };
        for step in steps {
            rows.apply(&step)?;
            if Bank::is_replaced_by(&step) {
                *bank = rows.bank();
            } else {
                bank.apply(&step);
            }
        }
        Ok(())
    }
}

/// Whether two windows have the same events, however they were weighed and read.
fn same_events(one: &Consolidation, other: &Consolidation) -> bool {
    let events = |window: &Consolidation| -> Vec<_> {
        window.turns.iter().map(|turn| (turn.seq, turn.arrived, turn.event.id.clone())).collect()
    };
    events(one) == events(other)
}

fn recorded(log: &dyn EventLog, ring: &Keyring, partition: Partition) -> anyhow::Result<HashMap<Handle, Recorded>> {
    let mut windows: HashMap<Handle, Recorded> = HashMap::new();
    let mut next: HashMap<Handle, Seq> = HashMap::new();
    let end = log.watermarks(&Topic::Consolidations, partition)?.high;
    each(log, &Topic::Consolidations, partition, end, |stored| {
        let Some(window) = envelope::read_consolidation(ring, stored)? else { return Ok(()) };
        let next = next.entry(window.subject).or_default();
        // Of two owners' windows the first that covers an event stands, and the rest of the other one does.
        if let Rest::News(window) | Rest::Gap(window) = window.rest(*next) {
            *next = window.to;
            windows.entry(window.subject).or_default().insert(window.from, window);
        }
        Ok(())
    })?;
    Ok(windows)
}

#[cfg(test)]
mod tests {
    use event_log::{MemLog, Record};
    use memory_core::{Subject, TenantId, Timestamp};
    use serde_json::json;
    use testkit::{events, seal};

    use super::*;

    const PARTITION: Partition = Partition::new(0);

    /// One window of two events, as it is recorded after `change`, folded again.
    fn refolded(change: impl Fn(&mut Consolidation)) -> Refolded {
        let (ring, log) = (testkit::ring(), MemLog::new(1));
        let append = |topic: &Topic, record: Record| {
            log.append(topic, PARTITION, vec![record]).expect("room").wait().expect("durable");
        };
        let tenant = TenantId::try_new("t").expect("a tenant");
        let owner = Subject::owner(&tenant, Some("alice"), None, None).expect("an owner");
        let handle = owner.handle(&testkit::secret());
        let mut working = WorkingMemory::new(handle, owner);
        for (place, mut value) in (0..).zip([events::turn("I moved to Berlin."), events::session_end()]) {
            (value["id"], value["user_id"]) = (json!(format!("e{place}")), json!("alice"));
            let arrived = Timestamp::from_seconds(1_700_000_000);
            let recorded = events::recorded(&tenant, arrived, Offset::new(place), &value);
            append(&Topic::Interactions, seal::interaction(&ring, handle, &recorded));
            for mut closed in working.apply(&Rules::default(), &recorded).closed {
                closed.consolidation = closed.consolidation.with_candidates();
                change(&mut closed.consolidation);
                append(&Topic::Consolidations, seal::window(&ring, &closed.consolidation));
            }
        }
        let ends = BTreeMap::from([(PARTITION, Offset::new(1))]);
        refold(&log, &ring, &ends, &BTreeMap::from([(handle, Seq::new(100))])).expect("it is readable")
    }

    fn read_less(window: &mut Consolidation) {
        window.turns[0].candidates.clear();
    }

    #[test]
    fn what_another_fold_read_otherwise_is_no_difference() {
        assert!(matches!(refolded(|_| ()), Refolded::Rows { events: 2, .. }));
        assert!(matches!(refolded(read_less), Refolded::Differs { differences: 1, .. }), "this fold reads more");
        let older = |window: &mut Consolidation| {
            read_less(window);
            window.rules.version = FOLD_VERSION - 1;
        };
        let before = FOLD_VERSION - 1;
        assert!(matches!(refolded(older), Refolded::OtherFold { version, events: 2 } if version == before));
    }

    #[test]
    fn an_event_that_another_fold_left_out_is_one() {
        let lossy = |window: &mut Consolidation| {
            window.turns.remove(0);
            window.rules.version = FOLD_VERSION - 1;
        };
        assert!(matches!(refolded(lossy), Refolded::Differs { differences: 1, .. }));
    }
}
