//! A subject that hears events, and a whole population of them.

use std::collections::BTreeMap;

use memory_core::dump::{self, DumpHash};
use memory_core::refold::Rows;
use memory_core::step::{Fate, Row};
use memory_core::working_memory::Outcome;
use memory_core::{
    Consolidation, EventId, Handle, MemoryId, Offset, Recorded, Rules, Step, Subject, TenantId, Timestamp,
    WorkingMemory,
};
use serde_json::{Value, json};

use crate::{events, secret};

/// A subject that folds events and consolidates each window as it closes.
#[derive(Clone, Debug)]
pub struct Person {
    owner: Subject,
    pub working: WorkingMemory,
    pub rules: Rules,
    /// The rows after all steps so far.
    pub rows: Rows,
    /// Every window that closed, oldest first.
    pub consolidations: Vec<Consolidation>,
    /// What became of all [`Person::consolidations`]: of most of them one step, of a forget a snapshot. They name no position:
    /// nothing was read from a log.
    pub steps: Vec<Step>,
    heard: u64,
}

impl Person {
    /// A user of a tenant.
    ///
    /// # Panics
    /// When a name is not allowed.
    #[must_use]
    pub fn new(tenant: &str, user: &str) -> Self {
        let tenant = TenantId::try_new(tenant).expect("a tenant's name");
        Self::owning(Subject::owner(&tenant, Some(user), None, None).expect("a user was named"))
    }

    /// A subject of any kind, under the default rules.
    #[must_use]
    pub fn owning(owner: Subject) -> Self {
        Self {
            working: WorkingMemory::new(owner.handle(&secret()), owner.clone()),
            owner,
            rules: Rules::default(),
            rows: Rows::default(),
            consolidations: Vec::new(),
            steps: Vec::new(),
            heard: 0,
        }
    }

    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.working.state().subject
    }

    #[must_use]
    pub const fn tenant(&self) -> &TenantId {
        &self.owner.tenant
    }

    /// Folds an event that was recorded elsewhere.
    ///
    /// # Panics
    /// When the fold contradicts itself.
    pub fn hear(&mut self, recorded: &Recorded) -> Outcome {
        // What it says next comes after what it heard.
        self.heard = self.heard.max(recorded.offset.get() + 1);
        let effects = self.working.apply(&self.rules, recorded);
        for closed in effects.closed {
            let window = closed.consolidation.with_candidates();
            let steps = self.rows.decide(&window, self.owner.tenant.tag(&secret()), None);
            for step in &steps {
                self.rows.apply(step).expect("the rows gave the number of this step");
            }
            self.consolidations.push(window);
            self.steps.extend(steps);
        }
        effects.outcome
    }

    /// Folds an event in the outside form ([`events`]). Unless it names them, the id is `e0`, `e1`, … and the owner this
    /// person; each arrives a second after the last.
    ///
    /// # Panics
    /// When the gateway would refuse it.
    pub fn say(&mut self, mut value: Value) -> EventId {
        let owner = self.owner.clone();
        let field = format!("{}_id", owner.kind.as_str());
        let object = value.as_object_mut().expect("an event is an object");
        object.entry("id").or_insert_with(|| json!(format!("e{}", self.heard)));
        object.entry(field).or_insert_with(|| json!(owner.id));
        let arrived = Timestamp::from_seconds(1_000_000).plus_seconds(i64::try_from(self.heard).expect("few events"));
        let recorded = events::recorded(&owner.tenant, arrived, Offset::new(self.heard), &value);
        self.hear(&recorded);
        recorded.event.id.clone()
    }

    /// Says something; answers the id of the memory that it becomes if it is kept as a new one.
    pub fn tell(&mut self, text: &str) -> MemoryId {
        let event = self.say(events::turn(text));
        MemoryId::of_event(self.handle(), &event)
    }

    /// Ends the session, which closes the window.
    pub fn end(&mut self) {
        self.say(events::session_end());
    }

    /// What became of an event; `None` before a step covers it.
    #[must_use]
    pub fn fate(&self, event: &EventId) -> Option<Fate> {
        self.rows.iter().find_map(|row| match row {
            Row::Fate(fate) if fate.event_id == *event => Some(fate.fate),
            Row::Subject(_)
            | Row::Memory(_)
            | Row::Revision(_)
            | Row::Source(_)
            | Row::Window(_)
            | Row::Rules(_)
            | Row::Fate(_) => None,
        })
    }
}

/// What a history came to.
#[derive(Clone, Debug, Default)]
pub struct Folded {
    pub people: BTreeMap<Handle, Person>,
    /// Every step, in the order in which the windows closed.
    pub steps: Vec<Step>,
}

impl Folded {
    /// The hash of the canonical dump: what every store of this history must have.
    #[must_use]
    pub fn hash(&self) -> DumpHash {
        // Whoever has no step yet has no rows, and stands in no store.
        let known = self.people.iter().filter(|(_, person)| !person.steps.is_empty());
        dump::of(known.map(|(handle, person)| (handle, &person.rows))).hash()
    }
}

/// Folds a history as one straight line.
///
/// # Panics
/// When an event has no owner.
#[must_use]
pub fn fold(history: &[(Handle, Recorded)]) -> Folded {
    let mut folded = Folded::default();
    for (handle, recorded) in history {
        let person = folded.people.entry(*handle).or_insert_with(|| {
            Person::owning(recorded.event.subject(&recorded.tenant).expect("a judged event has an owner"))
        });
        let before = person.steps.len();
        person.hear(recorded);
        folded.steps.extend_from_slice(&person.steps[before..]);
    }
    folded
}
