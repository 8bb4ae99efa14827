//! What is asked for by its id alone: memories, events and receipts. Of which partition they are is not known, so "missing" is
//! only said of partitions that are here, restored, and of which it is known what was forgotten.

use std::sync::Arc;

use memory_core::forget::Scope;
use memory_core::rank::Masks;
use memory_core::step::Fate;
use memory_core::{Bank, EventId, Handle, MemoryId, ReceiptId, Subject, TenantId};
use memos_client::port::{Owned, Unavailable};
use memos_client::{EventStatus, EventStatusView, MemoryView, ReceiptView, RevisionView};

use super::{Recall, broken};
use crate::conversation::Conversation;
use crate::receipt;

impl Recall {
    /// All partitions of the log: where something may be of which only the id is known.
    pub(super) fn everywhere(&self) -> Vec<event_log::Partition> {
        event_log::Partition::all(self.0.parts.log.partitions()).collect()
    }

    /// "Missing" is only said of partitions that are here, and restored.
    pub(super) fn missing<T>(&self, within: &[event_log::Partition]) -> Result<Option<T>, Unavailable> {
        within.iter().try_for_each(|partition| self.check_serves(*partition))?;
        Ok(None)
    }

    /// A tenant's memory with its owner; `None` when it is missing, deleted, or somebody else's (law L08).
    pub(super) fn find(
        &self,
        tenant: &TenantId,
        id: MemoryId,
        within: &[event_log::Partition],
    ) -> Result<Option<Located>, Unavailable> {
        match self.find_here(tenant, id)? {
            Some(found) => Ok(Some(found)),
            None => self.missing(within),
        }
    }

    pub(super) fn find_here(&self, tenant: &TenantId, id: MemoryId) -> Result<Option<Located>, Unavailable> {
        let Some(handle) = self.0.parts.store.subject_of_memory(self.tag(tenant), id).map_err(broken)? else {
            return Ok(None);
        };
        self.check_serves(self.partition_of(handle))?;
        let view = self.view(handle)?;
        if view.bank.get(id).is_none_or(|memory| Masks::of(&view.turns, &view.bank).forget(memory)) {
            return Ok(None);
        }
        let Some(owner) = view.bank.owner().filter(|owner| owner.tenant == *tenant).cloned() else { return Ok(None) };
        Ok(Some((owner, handle, view.bank)))
    }

    pub(super) fn status(
        &self,
        tenant: &TenantId,
        id: &EventId,
        within: &[event_log::Partition],
    ) -> Result<Option<EventStatusView>, Unavailable> {
        match self.status_here(tenant, id)? {
            Some(found) => Ok(Some(found)),
            None => self.missing(within),
        }
    }

    pub(super) fn status_here(&self, tenant: &TenantId, id: &EventId) -> Result<Option<EventStatusView>, Unavailable> {
        let tag = self.tag(tenant);
        for subject in self.0.parts.store.subjects_of_event(tag, id).map_err(broken)? {
            let partition = self.partition_of(subject);
            self.check_serves(partition)?;
            // Asked before the fate: a forget that a step carries out in between is in that already. Without any, the bank
            // need not be loaded.
            let may_be = self.lock(partition).conversation(subject).is_some_and(Conversation::has_forget);
            if let Some(fate) = self.0.parts.store.fate(subject, id).map_err(broken)? {
                let fate = if may_be && self.is_forgotten(subject, id, fate)? { Fate::Deleted } else { fate };
                return Ok(Some(status_of(id, fate)));
            }
        }
        let open = |partition: &event_log::Partition| {
            let state = self.lock(*partition);
            let subject = state.subject_of_event(tag, id)?;
            let forgotten = state.conversation(subject).is_some_and(|conversation| conversation.forgets(id));
            Some((*partition, forgotten))
        };
        let Some((partition, forgotten)) = self.0.parts.served.iter().find_map(open) else { return Ok(None) };
        self.check_serves(partition)?;
        let status = if forgotten { EventStatus::Forgotten } else { EventStatus::Recallable };
        Ok(Some(EventStatusView { id: id.as_str().to_owned(), status, reason: None, memory_id: None, position: None }))
    }

    /// Whether an event that a step covers is one of those that a later event forgets, though no step says so yet.
    fn is_forgotten(&self, subject: Handle, id: &EventId, fate: Fate) -> Result<bool, Unavailable> {
        let view = self.view(subject)?;
        let scopes = || view.turns.iter().filter_map(|turn| turn.event.control.as_deref()?.forgets());
        let names = |scope: &Scope| match scope {
            Scope::Everything => true,
            // Of what was not kept nothing is left to forget, and the step will say so.
            Scope::These { events, .. } => events.contains(id) && !matches!(fate, Fate::NotKept(_)),
            Scope::Matching(_) => false,
        };
        if scopes().any(names) {
            return Ok(true);
        }
        let masks = Masks::of(&view.turns, &view.bank);
        Ok(match fate {
            Fate::Kept(memory) | Fate::Merged(memory) => {
                scopes().next().is_some() && view.bank.get(memory).is_none_or(|memory| masks.forget(memory))
            }
            Fate::NotKept(_) | Fate::Applied | Fate::NoSuchMemory | Fate::Deleted => false,
        })
    }

    /// A receipt as the store has it, or of a forget that is still to be carried out.
    pub(super) fn receipt_here(
        &self,
        tenant: &TenantId,
        id: ReceiptId,
        within: &[event_log::Partition],
    ) -> Result<Option<ReceiptView>, Unavailable> {
        let (tag, copies) = (self.tag(tenant), &self.0.parts.copies);
        if let Some(row) = self.0.parts.store.receipt(tag, id).map_err(broken)? {
            return Ok(Some(receipt::of_row(&row, copies)));
        }
        let accepted = |partition: &event_log::Partition| self.lock(*partition).accepted(tag, id);
        match self.0.parts.served.iter().find_map(accepted) {
            Some(accepted) => Ok(Some(receipt::of_accepted(id, &accepted, copies))),
            // A step may have carried it out in between.
            None => match self.0.parts.store.receipt(tag, id).map_err(broken)? {
                Some(row) => Ok(Some(receipt::of_row(&row, copies))),
                None => self.missing(within),
            },
        }
    }

    pub(super) fn revisions(
        &self,
        tenant: &TenantId,
        id: MemoryId,
        within: &[event_log::Partition],
    ) -> Result<Option<Vec<RevisionView>>, Unavailable> {
        let Some((_, handle, bank)) = self.find(tenant, id, within)? else { return Ok(None) };
        let revisions = self.0.parts.store.revisions(handle, id).map_err(broken)?;
        let mut views: Vec<RevisionView> = revisions.iter().map(RevisionView::of).collect();
        views.extend(bank.get(id).map(RevisionView::current));
        Ok(Some(views))
    }
}

/// A memory's owner, and the bank it is in.
pub(super) type Located = (Subject, Handle, Arc<Bank>);

pub(super) fn owned((subject, _, bank): Located, id: MemoryId) -> Option<Owned<MemoryView>> {
    let value = MemoryView::of(bank.get(id)?, &subject);
    Some(Owned { subject, value })
}

fn status_of(id: &EventId, fate: Fate) -> EventStatusView {
    let (status, reason, memory_id) = match fate {
        Fate::Kept(memory) => (EventStatus::Kept, None, Some(memory)),
        Fate::Merged(memory) => (EventStatus::Merged, None, Some(memory)),
        Fate::NotKept(reason) => (EventStatus::NotKept, Some(reason.as_str()), None),
        Fate::Applied => (EventStatus::Kept, Some("applied"), None),
        Fate::NoSuchMemory => (EventStatus::NotKept, Some("no_such_memory"), None),
        Fate::Deleted => (EventStatus::Forgotten, None, None),
    };
    EventStatusView {
        id: id.as_str().to_owned(),
        status,
        reason: reason.map(str::to_owned),
        memory_id: memory_id.map(|id| id.as_uuid()),
        position: None,
    }
}
