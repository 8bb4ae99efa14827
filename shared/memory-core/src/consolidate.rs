//! What a closed window does to a bank: which turns become memories, which repeat one, which change one.
//!
//! `consolidate(&Bank, &Consolidation) -> Step` is the whole decision. It is taken once, by the consolidator, and
//! written down as the rows it changes; everybody else applies the rows.

use std::collections::BTreeSet;

use crate::bank::Bank;
use crate::candidate::Candidate;
use crate::consolidation::Consolidation;
use crate::control::Control;
use crate::emotion::{self, Emotion, Tone};
use crate::event::EventType;
use crate::extract;
use crate::ids::{MemoryId, Seq};
use crate::memory::{Kind, Memory, Revision, SOURCES_MAX, Source, Status};
use crate::salience;
use crate::similar::Signature;
use crate::step::{Body, Change, Consumed, Fate, FateRow, Row, RowKey, RulesRow, Step, SubjectRow, WindowRow};
use crate::turn::{NotKept, Turn};

mod derive;
mod evict;
mod note;
mod overlay;
mod session;
#[cfg(test)]
mod tests;

use evict::REMOVED_MAX;
use overlay::Overlay;

/// The salience of what somebody asked to be remembered.
const SALIENCE_OF_WISH: u16 = 1_000;
const DAY_SECONDS: i64 = 24 * 3_600;

/// Decides what a window does to a bank.
///
/// The window must begin at [`Bank::next`]; the caller has seen to that.
#[must_use]
pub fn consolidate(bank: &Bank, window: &Consolidation, consumed: Option<Consumed>) -> Step {
    let mut draft =
        Draft { bank: Overlay::new(bank), window, changes: Vec::new(), kept: BTreeSet::new(), removable: REMOVED_MAX };
    draft.expire(bank);
    for turn in &window.turns {
        draft.fold(turn);
    }
    draft.close_session();
    Step { subject: window.subject, number: bank.next_step(), body: draft.finish(), consumed }
}

/// The decision as it grows: turns of one window see what earlier turns of it did.
struct Draft<'a> {
    bank: Overlay<'a>,
    window: &'a Consolidation,
    changes: Vec<Change>,
    /// The turns of the window that are kept as sources.
    kept: BTreeSet<Seq>,
    /// How many more memories may go.
    removable: usize,
}

impl Draft<'_> {
    fn fold(&mut self, turn: &Turn) {
        let turn = &*turn.without_orphans(&self.window.turns);
        let fate = match turn.event.control.as_deref() {
            Some(control) => self.obey(turn, control),
            None => self.learn(turn),
        };
        let fate = self.adopt_all(turn, fate);
        self.changes.push(Change::Put(Row::Fate(FateRow { event_id: turn.event.id.clone(), fate })));
    }

    fn obey(&mut self, turn: &Turn, control: &Control) -> Fate {
        match control {
            Control::Remember { kind, text, valid_from, expires_at, pinned } => {
                let mut memory = Memory::of_turn(self.window.subject, turn, *kind, text.clone());
                memory.salience = SALIENCE_OF_WISH;
                memory.valid_from = valid_from.unwrap_or(memory.valid_from);
                memory.expires_at = *expires_at;
                memory.pinned = *pinned;
                memory.entities = extract::entities(text);
                let stated = derive::stated(*kind, text);
                memory.attribute = stated.as_ref().and_then(|stated| stated.attribute.clone());
                self.keep(turn, memory, stated.as_ref())
            }
            Control::Correct { memory_id, text } => self.correct(turn, *memory_id, text),
            Control::Feedback { memory_ids, useful } => self.hear(turn, memory_ids, *useful),
            // A forget has a window of its own, which is not decided here: see `forget::erase`.
            Control::Forget { .. } | Control::Consent { .. } | Control::SessionEnd | Control::IdleTick { .. } => {
                Fate::Applied
            }
        }
    }

    fn learn(&mut self, turn: &Turn) -> Fate {
        let keep_at = self.window.rules.keep_at;
        if let Some(reason) = turn.unkept {
            return Fate::NotKept(reason);
        }
        let least = least_salience(turn, keep_at);
        if turn.salience.total < least && turn.event.kind == EventType::Turn {
            return Fate::NotKept(NotKept::LowSalience);
        }
        let text = turn.event.content.text();
        let parts = if turn.event.kind == EventType::Note { note::parts(&text) } else { vec![text.as_ref()] };
        let whole = parts.len() == 1;
        let mut fate = None;
        for (place, part) in parts.into_iter().enumerate() {
            let mut memory = Memory::of_turn(self.window.subject, turn, Kind::Episode, part.to_owned());
            if place > 0 {
                memory.id = MemoryId::of_part(self.window.subject, turn.event.id.as_str(), &format!("note {place}"));
            }
            // An allergy on the third page of a letter makes that page critical, and no other.
            memory.critical &= whole || salience::is_critical(part, &self.window.rules);
            memory.entities = extract::entities(part);
            memory.emotion = felt(part);
            let became = self.keep(turn, memory, None);
            fate.get_or_insert(became);
        }
        fate.unwrap_or(Fate::NotKept(NotKept::NoText))
    }

    /// Keeps a memory, which ends what contradicts it, or lets it reinforce one that says the same.
    fn keep(&mut self, turn: &Turn, memory: Memory, stated: Option<&Candidate>) -> Fate {
        let signature = Signature::of(&memory.text);
        if let Some(known) =
            self.bank.most_alike(&signature, self.window.rules.merge_at, |other| may_merge(&memory, other))
        {
            return self.reinforce(turn, known, &memory);
        }
        if !self.make_room(turn, &memory) {
            return Fate::NotKept(NotKept::BankFull);
        }
        let id = memory.id;
        self.put_source(turn);
        match stated {
            Some(stated) => self.supersede(turn, memory, stated),
            None => self.put_memory(memory),
        }
        Fate::Kept(id)
    }

    fn reinforce(&mut self, turn: &Turn, id: MemoryId, repeat: &Memory) -> Fate {
        let Some(mut memory) = self.bank.get(id).cloned() else { return Fate::NoSuchMemory };
        memory.reinforced = memory.reinforced.saturating_add(1);
        memory.updated_at = memory.updated_at.max(turn.arrived);
        memory.salience = memory.salience.max(repeat.salience);
        memory.pinned |= repeat.pinned;
        memory.critical |= repeat.critical;
        self.add_source(turn, &mut memory);
        self.put_memory(memory);
        Fate::Merged(id)
    }

    /// Makes a turn a source of a memory. Of too many the second goes, never the one that the memory began with.
    fn add_source(&mut self, turn: &Turn, memory: &mut Memory) {
        if memory.sources.len() >= SOURCES_MAX {
            let dropped = memory.sources.remove(1);
            let is_used =
                |other: &Memory| other.id != memory.id && other.sources.iter().any(|source| source.seq == dropped.seq);
            if !self.bank.memories().any(is_used) {
                self.changes.push(Change::Delete(RowKey::Source(dropped.seq)));
            }
        }
        memory.sources.push(Source::of(turn));
        self.put_source(turn);
    }

    fn correct(&mut self, turn: &Turn, id: MemoryId, text: &str) -> Fate {
        let Some(mut memory) = self.bank.get(id).cloned() else { return Fate::NoSuchMemory };
        let before = std::mem::replace(&mut memory.text, text.to_owned());
        self.add_source(turn, &mut memory);
        self.read_again(&mut memory);
        let derived = |known: &&Memory| {
            known.part_of == Some(id)
                && matches!(known.status, Status::Active | Status::Superseded)
                && known.valid_to != Some(known.valid_from)
                && !matches!(known.kind, Kind::Pattern | Kind::Summary)
        };
        let derived: Vec<Memory> = self.bank.memories().filter(derived).cloned().collect();
        for mut known in derived {
            // It was read out of words that were wrong, so it never held.
            known.status = Status::Superseded;
            known.superseded_by = Some(id);
            known.valid_to = Some(known.valid_from);
            self.put_revised(turn, known.text.clone(), known);
        }
        self.put_revised(turn, before, memory);
        Fate::Merged(id)
    }

    /// Reads out of a memory's words what is known of it beside them.
    fn read_again(&self, memory: &mut Memory) {
        memory.entities = extract::entities(&memory.text);
        memory.critical |= salience::is_critical(&memory.text, &self.window.rules);
        match memory.kind {
            Kind::Episode => memory.emotion = felt(&memory.text),
            Kind::Fact | Kind::Preference => {
                memory.attribute = derive::stated(memory.kind, &memory.text).and_then(|stated| stated.attribute);
            }
            Kind::Lesson | Kind::Pattern | Kind::Summary => {}
        }
    }

    fn hear(&mut self, turn: &Turn, ids: &[MemoryId], useful: bool) -> Fate {
        let mut heard = false;
        for id in ids {
            let Some(mut memory) = self.bank.get(*id).cloned() else { continue };
            memory.useful = memory.useful.saturating_add(if useful { 1 } else { -1 });
            memory.updated_at = memory.updated_at.max(turn.arrived);
            self.put_memory(memory);
            heard = true;
        }
        if heard {
            self.put_source(turn);
            Fate::Applied
        } else {
            Fate::NoSuchMemory
        }
    }

    fn put_memory(&mut self, mut memory: Memory) {
        let rules = &self.window.rules;
        memory.half_life_days = rules.half_life_days.of(memory.kind);
        let newest = memory.sources.iter().map(|source| source.time).max().unwrap_or(memory.event_time);
        let days = i64::from(rules.retention_days.of(memory.kind));
        memory.retained_until = (days > 0).then(|| newest.plus_seconds(days * DAY_SECONDS));
        self.bank.changed(memory.clone());
        self.changes.push(Change::Put(Row::Memory(memory)));
    }

    /// Writes down that a memory no longer says what it did: the version before, and the one after.
    fn put_revised(&mut self, turn: &Turn, before: String, mut memory: Memory) {
        let revision = Revision {
            memory_id: memory.id,
            version: memory.version,
            text: before,
            until: turn.arrived,
            changed_by: turn.event.id.clone(),
        };
        memory.version += 1;
        memory.updated_at = memory.updated_at.max(turn.arrived);
        self.changes.push(Change::Put(Row::Revision(revision)));
        self.put_memory(memory);
    }

    fn put_source(&mut self, turn: &Turn) {
        self.kept.insert(turn.seq);
        let turn = turn.without_orphans(&self.window.turns).into_owned();
        self.changes.push(Change::Put(Row::Source(turn)));
    }

    fn finish(mut self) -> Body {
        let window = self.window;
        if !self.kept.is_empty() {
            let rules = RulesRow { rules: window.rules.clone() };
            let row = WindowRow {
                from: window.from,
                to: window.to,
                consolidation: window.id,
                trigger: window.trigger,
                rules: window.rules.fingerprint(),
            };
            self.changes.push(Change::Put(Row::Window(row)));
            self.changes.push(Change::Put(Row::Rules(rules)));
        }
        let owner = window.owner.clone().or_else(|| self.bank.owner().cloned());
        let forgotten = self.bank.forgotten();
        let subject = SubjectRow { owner, generation: window.generation, next: window.to, forgotten };
        self.changes.push(Change::Put(Row::Subject(subject)));
        Body::Changes { consolidation: window.id, from: window.from, to: window.to, changes: self.changes }
    }
}

/// The salience that a turn needs to be kept. What states something needs half as much, and what may end what is known needs
/// none: without it memory would go on saying what holds no longer.
fn least_salience(turn: &Turn, keep_at: u16) -> u16 {
    let ends = |candidate: &Candidate| {
        candidate.single || candidate.old.is_some() || candidate.attribute.as_ref().is_some_and(|own| own.negated)
    };
    if turn.candidates.iter().any(ends) {
        0
    } else if turn.candidates.is_empty() {
        keep_at
    } else {
        keep_at / 2
    }
}

/// How it was felt, where the words tell.
fn felt(text: &str) -> Option<Emotion> {
    Some(emotion::of(text)).filter(|felt| felt.tone() != Tone::None)
}

/// Only the same voice can repeat itself: an assistant saying it again never reinforces what a user said (law L07).
fn may_merge(new: &Memory, known: &Memory) -> bool {
    known.status == Status::Active
        && known.part_of.is_none()
        // What holds no longer, said again, holds anew.
        && known.valid_to.is_none()
        && known.kind == new.kind
        && known.origin == new.origin
        && known.speaker == new.speaker
        && known.expires_at == new.expires_at
}
