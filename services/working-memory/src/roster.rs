//! Which subjects of a partition are in RAM, which wait on disk with an open window, and who was used last.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use actix::Addr;
use event_log::{Offset, Timestamp};
use memory_core::Handle;

use crate::actor::SubjectActor;

/// What the owner knows of a subject that is in RAM or has an open window.
pub(crate) struct Entry {
    /// `None` while the subject is spilled.
    pub(crate) actor: Option<Addr<SubjectActor>>,
    pub(crate) open_since: Option<Offset>,
    /// When its last event arrived.
    pub(crate) last_arrived: Timestamp,
    /// A tick was appended for its last event.
    pub(crate) ticked: bool,
    used: u64,
}

#[derive(Default)]
pub(crate) struct Roster {
    entries: HashMap<Handle, Entry>,
    by_use: BTreeMap<u64, Handle>,
    open: BTreeSet<(Offset, Handle)>,
    clock: u64,
}

impl Roster {
    pub(crate) fn get(&self, subject: Handle) -> Option<&Entry> {
        self.entries.get(&subject)
    }

    /// How many actors there are.
    pub(crate) fn active(&self) -> usize {
        self.by_use.len()
    }

    /// Puts an actor in, or marks it as just used.
    pub(crate) fn activate(&mut self, subject: Handle, actor: Addr<SubjectActor>) {
        self.clock += 1;
        let entry = self.entries.entry(subject).or_insert(Entry {
            actor: None,
            open_since: None,
            last_arrived: Timestamp::EPOCH,
            ticked: false,
            used: 0,
        });
        self.by_use.remove(&entry.used);
        entry.actor = Some(actor);
        entry.used = self.clock;
        self.by_use.insert(self.clock, subject);
    }

    /// Notes what a subject looks like after its events.
    pub(crate) fn folded(&mut self, subject: Handle, open_since: Option<Offset>, last_arrived: Timestamp) {
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        if let Some(before) = entry.open_since.take() {
            self.open.remove(&(before, subject));
        }
        entry.open_since = open_since;
        entry.last_arrived = last_arrived;
        entry.ticked = false;
        if let Some(since) = open_since {
            self.open.insert((since, subject));
        }
    }

    pub(crate) fn ticked(&mut self, subject: Handle) {
        if let Some(entry) = self.entries.get_mut(&subject) {
            entry.ticked = true;
        }
    }

    /// Takes the actor of a subject out; a subject with an open window stays known.
    pub(crate) fn passivate(&mut self, subject: Handle) {
        let Some(entry) = self.entries.get_mut(&subject) else { return };
        self.by_use.remove(&entry.used);
        entry.actor = None;
        if entry.open_since.is_none() {
            self.entries.remove(&subject);
        }
    }

    /// The actor that was not used for longest.
    pub(crate) fn least_recent(&self) -> Option<Handle> {
        self.by_use.first_key_value().map(|(_, subject)| *subject)
    }

    /// Where the oldest open window begins.
    pub(crate) fn oldest_open(&self) -> Option<Offset> {
        self.open.first().map(|(offset, _)| *offset)
    }

    /// Actors whose last event arrived before `then`.
    pub(crate) fn idle_since(&self, then: Timestamp) -> Vec<Handle> {
        let idle = self.entries.iter().filter(|(_, entry)| entry.actor.is_some() && entry.last_arrived < then);
        idle.map(|(subject, _)| *subject).collect()
    }

    /// Subjects with an open window whose last event arrived before `then`, and that got no tick for it yet.
    pub(crate) fn due_for_a_tick(&self, then: Timestamp) -> Vec<Handle> {
        let open = self.open.iter().filter_map(|(_, subject)| self.entries.get(subject).map(|entry| (subject, entry)));
        open.filter(|(_, entry)| !entry.ticked && entry.last_arrived < then).map(|(subject, _)| *subject).collect()
    }
}
