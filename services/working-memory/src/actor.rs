//! The actor of one subject. It receives, folds and reports; it does no IO and knows no clock.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResult};
use event_log::Offset;
use memory_core::working_memory::{Closed, Outcome};
use memory_core::{Event, Recorded, RulesOf, TenantId, WorkingMemory};

use crate::Fold;

/// Messages that may wait for an actor. An owner asks for one thing at a time; the rest is headroom.
const MAILBOX: usize = 4;

pub(crate) struct SubjectActor {
    memory: WorkingMemory,
    rules: Arc<RulesOf>,
    fold: Fold,
    /// Where the first event of the open window stands.
    open_since: Option<Offset>,
}

impl SubjectActor {
    pub(crate) const fn new(
        memory: WorkingMemory,
        open_since: Option<Offset>,
        rules: Arc<RulesOf>,
        fold: Fold,
    ) -> Self {
        Self { memory, rules, fold, open_since }
    }
}

impl Actor for SubjectActor {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        context.set_mailbox_capacity(MAILBOX);
    }
}

/// Fold these events, in this order.
#[derive(Message)]
#[rtype(result = "Folded")]
pub(crate) struct Apply(pub(crate) Vec<Recorded>);

/// What became of a list of events.
#[derive(Default)]
pub(crate) struct Folded {
    pub(crate) closed: Vec<Closed>,
    pub(crate) accepted: u64,
    pub(crate) duplicates: u64,
    pub(crate) forgotten: u64,
    pub(crate) stale: u64,
    pub(crate) open_since: Option<Offset>,
}

impl Handler<Apply> for SubjectActor {
    type Result = MessageResult<Apply>;

    fn handle(&mut self, Apply(events): Apply, _: &mut Context<Self>) -> Self::Result {
        let mut folded = Folded::default();
        for recorded in &events {
            let effects = (self.fold)(&mut self.memory, self.rules.tenant(&recorded.tenant), recorded);
            match effects.outcome {
                Outcome::Accepted(_) => folded.accepted += 1,
                Outcome::Duplicate => folded.duplicates += 1,
                Outcome::Forgotten => folded.forgotten += 1,
                Outcome::Stale => folded.stale += 1,
            }
            if self.memory.window().is_empty() {
                self.open_since = None;
            } else if self.open_since.is_none() || !effects.closed.is_empty() {
                self.open_since = Some(recorded.offset);
            }
            let read = |closed: Closed| Closed { consolidation: closed.consolidation.with_candidates(), ..closed };
            folded.closed.extend(effects.closed.into_iter().map(read));
        }
        folded.open_since = self.open_since;
        MessageResult(folded)
    }
}

/// Say what a tick must name that closes the open window now, if one is open.
#[derive(Message)]
#[rtype(result = "Option<LastEvent>")]
pub(crate) struct LastOfWindow;

/// The last event of an open window, and whose it is.
pub(crate) struct LastEvent {
    pub(crate) tenant: TenantId,
    pub(crate) event: Arc<Event>,
}

impl Handler<LastOfWindow> for SubjectActor {
    type Result = Option<LastEvent>;

    fn handle(&mut self, _: LastOfWindow, _: &mut Context<Self>) -> Self::Result {
        let tenant = self.memory.state().owner.as_ref()?.tenant.clone();
        let last = self.memory.window().last()?;
        Some(LastEvent { tenant, event: Arc::clone(&last.event) })
    }
}

/// Give your state away and stop.
#[derive(Message)]
#[rtype(result = "WorkingMemory")]
pub(crate) struct Passivate;

impl Handler<Passivate> for SubjectActor {
    type Result = MessageResult<Passivate>;

    fn handle(&mut self, _: Passivate, context: &mut Context<Self>) -> Self::Result {
        actix::ActorContext::stop(context);
        let empty = WorkingMemory::unknown(self.memory.state().subject);
        MessageResult(std::mem::replace(&mut self.memory, empty))
    }
}
