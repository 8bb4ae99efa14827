//! What recall holds of one partition, behind one lock that is only ever held briefly.
//!
//! A partition restores before it serves: until recall has read everything that was on the log when it started, an
//! answer could lack what another instance would know, so there is none.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use event_log::{EventLog, LogId, Offset, Partition as Number, Topic};
use memory_core::step::Body;
use memory_core::subject::TenantTag;
use memory_core::working_memory::Boundary;
use memory_core::{
    Bank, Consolidation, Control, EventId, Handle, ReceiptId, Recorded, Rules, Seq, Step, Timestamp, Turn,
    WorkingMemory,
};
use memory_store::{Error, Store};

use crate::conversation::{Conversation, Folded};
use crate::warm::Warm;

/// Batches after which a conversation is looked at again that could not leave.
const ASK_AGAIN_BATCHES: u64 = 16;

/// How a partition is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Another instance serves it.
    Elsewhere,
    /// It reads what was on the log when recall started; `None` before it has asked how much that is.
    Restoring(Option<Ends>),
    Serving,
}

/// The ends of a partition's topics at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    pub(crate) memories: Offset,
    pub(crate) working: Offset,
    pub(crate) interactions: Offset,
    pub(crate) consolidations: Offset,
}

impl Ends {
    pub(crate) fn now(log: &dyn EventLog, partition: Number) -> Result<Self, event_log::Error> {
        let end = |topic| log.watermarks(&topic, partition).map(|marks| marks.high);
        Ok(Self {
            memories: end(Topic::Memories)?,
            working: end(Topic::Working)?,
            interactions: end(Topic::Interactions)?,
            consolidations: end(Topic::Consolidations)?,
        })
    }
}

#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) phase: Phase,
    /// The follower of this process has read `memories` and `working` to where they ended when it started.
    pub(crate) tables_read: bool,
    /// Up to where closed windows were read.
    pub(crate) windows: Offset,
    /// Boxed, so that a table that grows does not hold twice what is in it.
    conversations: HashMap<Handle, Box<Conversation>>,
    /// Whose an event is that no step covers yet.
    events: HashMap<(TenantTag, u64), Handle>,
    /// Forgets that no step has carried out yet.
    forgets: HashMap<(TenantTag, ReceiptId), Accepted>,
    warm: Warm,
    /// Everything below this offset of `interactions` can be recalled.
    pub(crate) folded: Offset,
    batches: u64,
}

/// A forget that is on the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub(crate) subject: Handle,
    /// What it takes, in a word.
    pub(crate) scope: &'static str,
    pub(crate) at: Timestamp,
}

/// What an answer is made from: the bank and the turns that no step of it covers.
pub(crate) struct View {
    pub(crate) bank: Arc<Bank>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) folded: Offset,
}

impl Partition {
    pub(crate) fn new(bank_bytes: usize, phase: Phase) -> Self {
        Self {
            phase,
            tables_read: false,
            windows: Offset::FIRST,
            conversations: HashMap::new(),
            events: HashMap::new(),
            forgets: HashMap::new(),
            warm: Warm::new(bank_bytes),
            folded: Offset::FIRST,
            batches: 0,
        }
    }

    pub(crate) fn conversation(&self, subject: Handle) -> Option<&Conversation> {
        self.conversations.get(&subject).map(Box::as_ref)
    }

    /// The conversation of a subject, loaded from its boundary when it is not here.
    pub(crate) fn load(&mut self, log: LogId, store: &Store, subject: Handle) -> Result<&Conversation, Error> {
        match self.conversations.entry(subject) {
            Entry::Occupied(conversation) => Ok(conversation.into_mut()),
            Entry::Vacant(place) => {
                let memory = match store.boundary(log, subject)? {
                    Some(boundary) => WorkingMemory::resume(boundary),
                    None => WorkingMemory::unknown(subject),
                };
                Ok(place.insert(Box::new(Conversation::new(memory, store.consolidated(subject)?))))
            }
        }
    }

    /// Folds one event of a conversation that was loaded.
    pub(crate) fn apply(&mut self, rules: &Rules, subject: Handle, tag: TenantTag, recorded: &Recorded) -> Folded {
        let Some(conversation) = self.conversations.get_mut(&subject) else { return Folded::Known };
        conversation.touched = self.batches;
        let folded = conversation.apply(rules, recorded);
        if folded == Folded::Open
            && let Some(scope) = recorded.event.control.as_deref().and_then(Control::forgets)
        {
            let receipt = ReceiptId::of_event(subject, &recorded.event.id);
            self.forgets.insert((tag, receipt), Accepted { subject, scope: scope.as_str(), at: recorded.arrived });
        }
        if folded == Folded::Open {
            self.events.insert((tag, recorded.event.id.fingerprint()), subject);
        }
        folded
    }

    /// Adds a closed window that only the log told of.
    pub(crate) fn add_closed(&mut self, subject: Handle, tag: Option<TenantTag>, window: Consolidation) {
        let Some(conversation) = self.conversations.get_mut(&subject) else { return };
        let events: Vec<u64> = window.turns.iter().map(|turn| turn.event.id.fingerprint()).collect();
        // A step may have covered it in the meantime; then nobody would take its events out again.
        if conversation.add_closed(window)
            && let Some(tag) = tag
        {
            self.events.extend(events.into_iter().map(|event| ((tag, event), subject)));
        }
    }

    /// Takes it that the windows which a conversation lacks will not come; answers whether it lacked any.
    pub(crate) fn give_up_windows(&mut self, subject: Handle) -> bool {
        let Some(conversation) = self.conversations.get_mut(&subject) else { return false };
        let lacked = conversation.lacks_windows();
        conversation.give_up_windows();
        lacked
    }

    /// Ends a batch of events.
    pub(crate) const fn folded(&mut self, next: Offset) {
        self.folded = next;
        self.batches += 1;
    }

    /// Drops conversations of which the store knows everything: those that have rested for `rest` batches, and any while
    /// there are more than `conversations_max`. It looks at `most` at most, since the lock is held meanwhile.
    ///
    /// A step may cover a window before its boundary is written, and a conversation that is loaded from an older
    /// boundary would lack the events between; so a conversation stays until the store has its boundary. And the
    /// boundary may be ahead of this fold, of windows that were left to this fold to close: loaded from that one, the
    /// conversation would lack those windows; so it stays until the fold is where the boundary is.
    pub(crate) fn rest(
        &mut self,
        log: LogId,
        store: &Store,
        rest: u64,
        conversations_max: usize,
        most: usize,
    ) -> Result<(), Error> {
        let now = self.batches;
        let full = self.conversations.len() > conversations_max;
        let may_leave = |conversation: &Conversation| {
            conversation.is_idle() && conversation.asked_again <= now && (full || conversation.touched + rest <= now)
        };
        let candidates = self.conversations.iter().filter(|(_, conversation)| may_leave(conversation));
        let candidates: Vec<Handle> = candidates.map(|(subject, _)| *subject).take(most).collect();
        for subject in candidates {
            let Some(conversation) = self.conversations.get_mut(&subject) else { continue };
            let next = conversation.memory().state().next;
            let folded = self.folded;
            let knows = |boundary: Boundary| boundary.next >= next && boundary.folded <= folded;
            if store.boundary(log, subject)?.is_some_and(knows) {
                self.conversations.remove(&subject);
            } else {
                conversation.asked_again = now + ASK_AGAIN_BATCHES;
            }
        }
        Ok(())
    }

    /// Takes a step over: the bank has it and the windows it covers are no longer open, in one moment.
    pub(crate) fn step(&mut self, step: &Step, tag: Option<TenantTag>) {
        self.warm.apply(step);
        if let Some(erased) = step.erased() {
            let mut left: Vec<u64> = Vec::new();
            if let Some(conversation) = self.conversations.get_mut(&step.subject) {
                conversation.cover(erased.next);
                left = conversation.turns(erased.next).iter().map(|turn| turn.event.id.fingerprint()).collect();
            }
            // What came after it is not consolidated.
            self.events.retain(|(_, event), subject| *subject != step.subject || left.contains(event));
            self.forgets.remove(&(erased.tenant, erased.receipt));
            return;
        }
        let Body::Changes { to, .. } = &step.body else { return };
        if let Some(conversation) = self.conversations.get_mut(&step.subject) {
            conversation.cover(*to);
        }
        for event in tag.into_iter().flat_map(|tag| step.events().map(move |event| (tag, event.fingerprint()))) {
            self.events.remove(&event);
        }
    }

    /// A forget that is accepted and not carried out yet.
    pub(crate) fn accepted(&self, tag: TenantTag, receipt: ReceiptId) -> Option<Accepted> {
        self.forgets.get(&(tag, receipt)).copied()
    }

    /// Whose an event is that is not consolidated yet.
    pub(crate) fn subject_of_event(&self, tag: TenantTag, event: &EventId) -> Option<Handle> {
        self.events.get(&(tag, event.fingerprint())).copied()
    }

    pub(crate) fn warm(&mut self, subject: Handle, floor: Seq) -> Option<Arc<Bank>> {
        self.warm.get(subject, floor)
    }

    pub(crate) fn insert_warm(&mut self, subject: Handle, floor: Seq, bank: Arc<Bank>) {
        self.warm.insert(subject, floor, bank);
    }

    /// The bank with the turns that it does not cover. Where keys from below `floor` are dead, those are not shown either.
    pub(crate) fn view(&self, subject: Handle, floor: Seq, bank: Arc<Bank>) -> View {
        let conversation = self.conversation(subject);
        let turns = conversation.map(|of| of.turns(bank.next().max(of.shown_from(floor)))).unwrap_or_default();
        View { bank, turns, folded: self.folded }
    }

    pub(crate) fn conversations(&self) -> usize {
        self.conversations.len()
    }

    pub(crate) const fn bank_bytes(&self) -> usize {
        self.warm.bytes()
    }
}

#[cfg(test)]
mod tests {
    use event_log::MemLog;
    use event_log::envelope::Working;
    use memory_core::{Offset as Position, Subject, TenantId, Timestamp};
    use serde_json::json;

    use super::*;

    // law: L06
    #[test]
    fn a_conversation_stays_until_the_fold_is_where_its_boundary_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::open(dir.path(), testkit::secret(), testkit::ring(), &memory_store::Settings::default());
        let store = store.expect("a store");
        let log = MemLog::new(1).id();
        let rules = Rules { window_turns_max: 2, ..Rules::default() };
        let tenant = TenantId::try_new("t").expect("a tenant");
        let alice = Subject::owner(&tenant, Some("alice"), None, None).expect("a user");
        let (subject, tag) = (alice.handle(&testkit::secret()), tenant.tag(&testkit::secret()));
        let event = |number: u64| {
            let value = json!({"id": format!("e{number}"), "user_id": "alice", "content": format!("number {number}")});
            testkit::events::recorded(&tenant, Timestamp::from_seconds(1), Position::new(number), &value)
        };
        // The owner of the partition has closed two windows, and written the boundary of the second.
        let mut owner = WorkingMemory::new(subject, alice);
        let closed: Vec<_> = (0..4).flat_map(|number| owner.apply(&rules, &event(number)).closed).collect();
        let boundary = Box::new(closed[1].boundary.clone());
        let mut partition = Partition::new(0, Phase::Serving);
        let fold = |partition: &mut Partition, numbers: std::ops::Range<u64>, covered: usize| {
            for number in numbers.clone() {
                partition.load(log, &store, subject).expect("it is readable");
                partition.apply(&rules, subject, tag, &event(number));
            }
            partition.conversations.get_mut(&subject).expect("it is here").cover(closed[covered].consolidation.to);
            partition.folded(Offset::new(numbers.end));
        };
        fold(&mut partition, 0..2, 0);
        testkit::seal::make_key(store.ring(), subject, boundary.key_since);
        let row = Working::Boundary { log, boundary };
        store.apply_working(log, Number::new(0), &[row], Offset::new(1)).expect("it is taken");
        partition.rest(log, &store, 0, 0, 10).expect("it is readable");
        assert_eq!(partition.conversations(), 1, "the second window is left to this fold to close");
        partition.batches += ASK_AGAIN_BATCHES;
        fold(&mut partition, 2..4, 1);
        partition.rest(log, &store, 0, 0, 10).expect("it is readable");
        assert_eq!(partition.conversations(), 0, "the store knows everything");
    }
}
