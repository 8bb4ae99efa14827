//! What recall holds of one partition, behind one lock that is only ever held briefly.

use std::collections::HashMap;
use std::sync::Arc;

use event_log::{LogId, Offset};
use memory_core::step::Body;
use memory_core::subject::TenantTag;
use memory_core::{Bank, Consolidation, EventId, Handle, Recorded, Rules, Step, Turn, WorkingMemory};
use memory_store::{Error, Store};

use crate::conversation::{Conversation, Folded};
use crate::warm::Warm;

#[derive(Debug)]
pub(crate) struct Partition {
    conversations: HashMap<Handle, Conversation>,
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
        self.conversations.get(&subject)
    }

    /// The conversation of a subject, loaded from its boundary when it is not here.
    pub(crate) fn load(
        &mut self,
        log: LogId,
        store: &Store,
        subject: Handle,
        owner: impl FnOnce() -> Option<memory_core::Subject>,
    ) -> Result<Option<&Conversation>, Error> {
        if !self.conversations.contains_key(&subject) {
            let memory = match store.boundary(log, subject)? {
                Some(boundary) => WorkingMemory::resume(boundary),
                None => match owner() {
                    Some(owner) => WorkingMemory::new(subject, owner),
                    None => return Ok(None),
                },
            };
            self.conversations.insert(subject, Conversation::new(memory, store.consolidated(subject)?));
        }
        Ok(self.conversations.get(&subject))
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
        for turn in &window.turns {
            self.events.insert((tag, turn.event.id.fingerprint()), subject);
        }
        conversation.add_closed(window);
    }

    /// Ends a batch of events: what idles leaves once there are too many.
    pub(crate) fn folded(&mut self, next: Offset, conversations_max: usize) {
        self.folded = next;
        self.batches += 1;
        if self.conversations.len() > conversations_max {
            self.conversations.retain(|_, conversation| !conversation.is_idle());
        }
    }

    /// Drops conversations that have rested for many batches and of which the store knows everything.
    pub(crate) fn rest(&mut self, batches: u64) {
        let now = self.batches;
        self.conversations.retain(|_, conversation| !conversation.is_idle() || conversation.touched + batches > now);
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
        let turns = self.conversations.get(&subject).map(|conversation| conversation.turns(bank.next())).unwrap_or_default();
        View { bank, turns, folded: self.folded }
    }

    pub(crate) fn conversations(&self) -> usize {
        self.conversations.len()
    }

    pub(crate) const fn bank_bytes(&self) -> usize {
        self.warm.bytes()
    }
}
