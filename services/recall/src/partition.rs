//! What recall holds of one partition, behind one lock that is only ever held briefly.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use event_log::{LogId, Offset};
use memory_core::step::Body;
use memory_core::subject::TenantTag;
use memory_core::{Bank, Consolidation, EventId, Handle, Recorded, Rules, Step, Turn, WorkingMemory};
use memory_store::{Error, Store};

use crate::conversation::{Conversation, Folded};
use crate::warm::Warm;

/// Batches after which a conversation is looked at again that could not leave.
const ASK_AGAIN_BATCHES: u64 = 16;

#[derive(Debug)]
pub(crate) struct Partition {
    /// Boxed, so that a table that grows does not hold twice what is in it.
    conversations: HashMap<Handle, Box<Conversation>>,
    /// Whose an event is that no step covers yet.
    events: HashMap<(TenantTag, u64), Handle>,
    warm: Warm,
    /// Everything below this offset of `interactions` can be recalled.
    pub(crate) folded: Offset,
    batches: u64,
}

/// What an answer is made from: the bank and the turns that no step of it covers.
pub(crate) struct View {
    pub(crate) bank: Arc<Bank>,
    pub(crate) turns: Vec<Turn>,
    pub(crate) folded: Offset,
}

impl Partition {
    pub(crate) fn new(bank_bytes: usize) -> Self {
        Self {
            conversations: HashMap::new(),
            events: HashMap::new(),
            warm: Warm::new(bank_bytes),
            folded: Offset::FIRST,
            batches: 0,
        }
    }

    pub(crate) fn conversation(&self, subject: Handle) -> Option<&Conversation> {
        self.conversations.get(&subject).map(Box::as_ref)
    }

    /// The conversation of a subject, loaded from its boundary when it is not here.
    pub(crate) fn load(
        &mut self,
        log: LogId,
        store: &Store,
        subject: Handle,
        owner: impl FnOnce() -> Option<memory_core::Subject>,
    ) -> Result<Option<&Conversation>, Error> {
        if let Entry::Vacant(place) = self.conversations.entry(subject) {
            let memory = match store.boundary(log, subject)? {
                Some(boundary) => WorkingMemory::resume(boundary),
                None => match owner() {
                    Some(owner) => WorkingMemory::new(subject, owner),
                    None => return Ok(None),
                },
            };
            place.insert(Box::new(Conversation::new(memory, store.consolidated(subject)?)));
        }
        Ok(self.conversations.get(&subject).map(Box::as_ref))
    }

    /// Folds one event of a conversation that was loaded.
    pub(crate) fn apply(&mut self, rules: &Rules, subject: Handle, tag: TenantTag, recorded: &Recorded) -> Folded {
        let Some(conversation) = self.conversations.get_mut(&subject) else { return Folded::Known };
        conversation.touched = self.batches;
        let folded = conversation.apply(rules, recorded);
        if folded == Folded::Open {
            self.events.insert((tag, recorded.event.id.fingerprint()), subject);
        }
        folded
    }

    /// Adds a closed window that only the log told of.
    pub(crate) fn add_closed(&mut self, subject: Handle, tag: TenantTag, window: Consolidation) {
        let Some(conversation) = self.conversations.get_mut(&subject) else { return };
        let events: Vec<u64> = window.turns.iter().map(|turn| turn.event.id.fingerprint()).collect();
        // A step may have covered it in the meantime; then nobody would take its events out again.
        if conversation.add_closed(window) {
            self.events.extend(events.into_iter().map(|event| ((tag, event), subject)));
        }
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
    /// boundary would lack the events between; so a conversation stays until the store has its boundary.
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
            if store.boundary(log, subject)?.is_some_and(|boundary| boundary.next >= next) {
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
        let Body::Changes { to, .. } = &step.body else { return };
        if let Some(conversation) = self.conversations.get_mut(&step.subject) {
            conversation.cover(*to);
        }
        for event in tag.into_iter().flat_map(|tag| step.events().map(move |event| (tag, event.fingerprint()))) {
            self.events.remove(&event);
        }
    }

    /// Whose an event is that is not consolidated yet.
    pub(crate) fn subject_of_event(&self, tag: TenantTag, event: &EventId) -> Option<Handle> {
        self.events.get(&(tag, event.fingerprint())).copied()
    }

    pub(crate) fn warm(&mut self, subject: Handle) -> Option<Arc<Bank>> {
        self.warm.get(subject)
    }

    pub(crate) fn insert_warm(&mut self, subject: Handle, bank: Arc<Bank>) {
        self.warm.insert(subject, bank);
    }

    pub(crate) fn view(&self, subject: Handle, bank: Arc<Bank>) -> View {
        let turns =
            self.conversations.get(&subject).map(|conversation| conversation.turns(bank.next())).unwrap_or_default();
        View { bank, turns, folded: self.folded }
    }

    pub(crate) fn conversations(&self) -> usize {
        self.conversations.len()
    }

    pub(crate) const fn bank_bytes(&self) -> usize {
        self.warm.bytes()
    }
}
