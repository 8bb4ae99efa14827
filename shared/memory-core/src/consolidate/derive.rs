//! Memories that are read out of turns: what a turn states becomes a fact, a preference or a lesson beside the memory of
//! the turn itself.
//!
//! What is stated again reinforces. What says otherwise **supersedes**: of an attribute with one value at a time every other
//! value, of the rest what is now denied or was denied before. Both stay, each with the time for which it holds, and the
//! later *event* wins, whichever arrived first.

use super::Draft;
use crate::candidate::{self, Candidate};
use crate::extract;
use crate::ids::MemoryId;
use crate::lists::Listed;
use crate::memory::{Kind, Memory, Source, Status};
use crate::similar::Signature;
use crate::step::Fate;
use crate::text;
use crate::time::Timestamp;
use crate::turn::{NotKept, Turn};

/// Terms by which a value may be longer than another that it is about.
const MORE_TERMS: usize = 2;
/// Values that are so alike, in 1/1000, are one.
const SAME_AT: u16 = 800;

impl Draft<'_> {
    /// Adopts what a turn states; returns what became of the turn.
    ///
    /// Of a turn that is not worth a memory only lessons are: "that worked" says nothing alone, and all about what it was
    /// said to.
    pub(super) fn adopt_all(&mut self, turn: &Turn, fate: Fate) -> Fate {
        let lessons_only = fate == Fate::NotKept(NotKept::LowSalience);
        let mut fate = fate;
        for candidate in turn.candidates.iter().filter(|candidate| !lessons_only || candidate.kind == Kind::Lesson) {
            let adopted = self.adopt(turn, candidate);
            let kept = |fate: &Fate| matches!(fate, Fate::Kept(_) | Fate::Merged(_));
            fate = adopted.filter(|adopted| !kept(&fate) && kept(adopted)).unwrap_or(fate);
        }
        fate
    }

    fn adopt(&mut self, turn: &Turn, candidate: &Candidate) -> Option<Fate> {
        let window = self.window;
        let with: Vec<&Turn> =
            candidate.with.iter().filter_map(|seq| window.turns.iter().find(|turn| turn.seq == *seq)).collect();
        let memory = self.memory_of(turn, candidate, &with);
        if let Some(known) = self.stated_before(&memory) {
            with.into_iter().for_each(|other| self.put_source(other));
            return Some(self.state_again(turn, known));
        }
        if !self.make_room(turn, &memory) {
            return None;
        }
        let id = memory.id;
        with.into_iter().for_each(|other| self.put_source(other));
        self.put_source(turn);
        self.supersede(turn, memory, candidate);
        Some(Fate::Kept(id))
    }

    fn memory_of(&self, turn: &Turn, candidate: &Candidate, with: &[&Turn]) -> Memory {
        let subject = self.window.subject;
        let mut memory = Memory::of_turn(subject, turn, candidate.kind, candidate.text.clone());
        memory.part_of = Some(memory.id);
        memory.id = MemoryId::of_part(subject, turn.event.id.as_str(), &candidate.name());
        memory.attribute.clone_from(&candidate.attribute);
        memory.confidence = candidate.confidence;
        memory.emotion = None;
        memory.entities = extract::entities(&candidate.text);
        memory.sources = with.iter().map(|turn| Source::of(turn)).chain([Source::of(turn)]).collect();
        // It is trusted as little as the least of what it was made of.
        memory.origin = with.iter().map(|turn| turn.event.origin).fold(memory.origin, std::cmp::min);
        memory
    }

    /// A memory that says the same.
    fn stated_before(&self, memory: &Memory) -> Option<MemoryId> {
        let attribute = memory.attribute.as_ref()?;
        if memory.kind == Kind::Lesson {
            let signature = Signature::of(&memory.text);
            let merge_at = self.window.rules.merge_at;
            return self.bank.most_alike(&signature, merge_at, |known| {
                known.kind == Kind::Lesson && known.status == Status::Active && known.attribute == memory.attribute
            });
        }
        let value = Value::of(&attribute.value);
        let same = |known: &&Memory| {
            known.status == Status::Active
                && is_of_same_voice(known, memory)
                && known
                    .attribute
                    .as_ref()
                    .is_some_and(|own| own.negated == attribute.negated && value.is_same_as(&own.value))
        };
        let near = self.near(&attribute.name, attribute.denies(), &value, value.shared_with_same()).into_iter();
        near.filter(same).map(|known| known.id).min()
    }

    /// The memories with an attribute of this name that deny their value or do not, and whose value has so many of the terms of
    /// this one, at least one.
    fn near(&self, name: &str, denies: bool, value: &Value<'_>, least: usize) -> Vec<&Memory> {
        let terms = &value.signature.terms;
        if terms.is_empty() {
            return self.bank.listed(Listed::attribute(name)).collect();
        }
        let lists: Vec<Listed> = terms.iter().map(|term| Listed::value(name, denies, *term)).collect();
        self.bank.on_lists(&lists, least.max(1))
    }

    fn state_again(&mut self, turn: &Turn, id: MemoryId) -> Fate {
        let Some(mut memory) = self.bank.get(id).cloned() else { return Fate::NoSuchMemory };
        memory.reinforced = memory.reinforced.saturating_add(1);
        memory.updated_at = memory.updated_at.max(turn.arrived);
        memory.valid_from = memory.valid_from.min(turn.event.time);
        self.add_source(turn, &mut memory);
        self.put_memory(memory);
        Fate::Merged(id)
    }

    /// Keeps a statement, and ends what it contradicts, or is ended by what was said later already.
    pub(super) fn supersede(&mut self, turn: &Turn, mut memory: Memory, candidate: &Candidate) {
        let against = self.contradicted(&memory, candidate);
        let after = memory.valid_from;
        let next = against.iter().filter_map(|known| Some((next_said(known, after)?, known))).min_by_key(|(at, _)| *at);
        if let Some((end, later)) = next {
            self.outdate(turn, &memory, later, end);
            memory.status = Status::Superseded;
            memory.superseded_by = Some(later.id);
            memory.valid_to = Some(end);
        }
        // What had ended at a value that came later, but was told before this one, ends where this one begins.
        let earlier: Vec<Memory> = against.iter().filter(|known| next_said(known, after).is_none()).cloned().collect();
        for mut known in earlier {
            self.outdate(turn, &known, &memory, after);
            known.status = Status::Superseded;
            known.superseded_by = Some(memory.id);
            known.valid_to = Some(after);
            self.put_revised(turn, known.text.clone(), known);
        }
        self.put_memory(memory);
    }

    /// The memory of a turn that says nothing but what no longer holds, holds no longer.
    fn outdate(&mut self, turn: &Turn, known: &Memory, by: &Memory, end: Timestamp) {
        let whole = known.part_of.and_then(|id| self.bank.get(id)).filter(|whole| whole.text.trim() == known.text);
        let holds = |whole: &&Memory| whole.valid_to.is_none_or(|until| until > end);
        if let Some(mut whole) = whole.filter(holds).cloned() {
            whole.valid_to = Some(end);
            whole.superseded_by = by.part_of.filter(|id| self.bank.get(*id).is_some()).or(Some(by.id));
            self.put_revised(turn, whole.text.clone(), whole);
        }
    }

    /// The statements that hold when this one begins, or later, and cannot hold beside it; by id.
    fn contradicted(&self, memory: &Memory, candidate: &Candidate) -> Vec<Memory> {
        let Some(attribute) = memory.attribute.as_ref().filter(|_| memory.kind != Kind::Lesson) else {
            return Vec::new();
        };
        // Of an attribute with one value at a time any other value is against it.
        let others = candidate.single.then(|| self.bank.listed(Listed::attribute(&attribute.name)));
        let (value, old) = (Value::of(&attribute.value), candidate.old.as_deref().map(Value::of));
        let replaced = old.iter().flat_map(|old| {
            let stances = [true, false].into_iter();
            stances.flat_map(|denies| self.near(&attribute.name, denies, old, old.shared_with_same()))
        });
        let names = stances(&attribute.name).into_iter();
        let opposite =
            names.flat_map(|name| self.near(name, !attribute.denies(), &value, value.shared_with_what_it_is_about()));
        let contradicts = |known: &Memory| {
            let Some(own) = &known.attribute else { return false };
            if old.as_ref().is_some_and(|old| own.name == attribute.name && old.is_same_as(&own.value)) {
                return true;
            }
            if own.denies() != attribute.denies() {
                return value.is_about(&own.value);
            }
            candidate.single
                && !attribute.negated
                && !own.negated
                && own.name == attribute.name
                && !value.is_same_as(&own.value)
        };
        let mut against: Vec<Memory> = replaced
            .chain(opposite)
            .chain(others.into_iter().flatten())
            .filter(|known| {
                holds_after(known, memory.valid_from) && is_of_same_voice(known, memory) && contradicts(known)
            })
            .cloned()
            .collect();
        against.sort_unstable_by_key(|known| known.id);
        against.dedup_by_key(|known| known.id);
        against
    }
}

/// The names under which the opposite is told, and the name itself.
fn stances(name: &str) -> Vec<&str> {
    const FEELINGS: [&str; 4] = ["likes", "dislikes", "prefers", "hobby"];
    if FEELINGS.contains(&name) { FEELINGS.to_vec() } else { vec![name] }
}

/// Whether a statement holds at some time from then on. What was read out of words that were corrected never held.
fn holds_after(memory: &Memory, then: Timestamp) -> bool {
    let from = memory.valid_from.max(then);
    memory.status == Status::Active
        || memory.status == Status::Superseded && memory.valid_to.is_some_and(|end| end > from)
}

/// When what a memory states began to hold, or was said again, first after a time.
fn next_said(memory: &Memory, after: Timestamp) -> Option<Timestamp> {
    let said = memory.sources.iter().map(|source| source.time).chain([memory.valid_from]);
    said.filter(|at| *at > after).min()
}

/// Two people who speak of themselves do not contradict each other.
fn is_of_same_voice(known: &Memory, memory: &Memory) -> bool {
    known.kind != Kind::Lesson && known.origin == memory.origin && known.speaker == memory.speaker
}

/// A value that others are compared with.
struct Value<'a> {
    text: &'a str,
    signature: Signature,
}

impl<'a> Value<'a> {
    fn of(text: &'a str) -> Self {
        Self { text, signature: Signature::of(text) }
    }

    fn is_same_as(&self, other: &str) -> bool {
        text::words(self.text).eq(text::words(other)) || self.signature.likeness(&Signature::of(other)) >= SAME_AT
    }

    /// "meat" and "meat every day" are about the same; a whole sentence that has the word besides is about more.
    fn is_about(&self, other: &str) -> bool {
        let (one, other) = (&self.signature.terms, &text::distinct_terms(other));
        let (few, many) = if one.len() < other.len() { (one, other) } else { (other, one) };
        !few.is_empty()
            && many.len() <= few.len() + MORE_TERMS
            && few.iter().all(|term| many.binary_search(term).is_ok())
    }

    /// How many of its terms another value has at least that is the same.
    fn shared_with_same(&self) -> usize {
        (self.signature.terms.len() * usize::from(SAME_AT)).div_ceil(1_000)
    }

    /// How many of its terms another value has at least that is about the same.
    fn shared_with_what_it_is_about(&self) -> usize {
        self.signature.terms.len().saturating_sub(MORE_TERMS)
    }
}

/// What a wish to remember states: the first statement in its words.
pub(super) fn stated(kind: Kind, text: &str) -> Option<Candidate> {
    let statement = extract::statements(text, None).into_iter().next()?;
    matches!(kind, Kind::Fact | Kind::Preference).then(|| candidate::of_statement(text, statement))
}
