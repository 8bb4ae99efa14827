//! Everything of a bank that does not depend on the question, kept ready while steps come in.
//!
//! Texts have the slots of the bank's index. Neighbours are the kept memories with the nearest sequence numbers in the
//! same session, and a window is a text with its four neighbours on either side, the farther ones at half weight. What
//! depends on the whole bank (mean lengths, how rare a term is, who is beside whom) is brought up to date once per
//! step, in [`Shelf::settle`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::bits::{log2_milli, rarity};
use super::said::{Said, Traits};
use super::vocabulary::Vocabulary;
use crate::event::Role;
use crate::ids::{MemoryId, Seq};
use crate::memory::Memory;
use crate::text::Term;
use crate::text::language::Language;
use crate::text::lexis::Lexicon;
use crate::time::Timestamp;
use crate::vector::{DIMENSION, Embed, Vector};

/// BM25's k1 and b, in 1/1000.
pub(super) const K1: u64 = 1_200;
const B: u64 = 750;
/// Neighbours on either side, and their weights in halves: the text itself, then by distance.
pub(super) const REACH: usize = 4;
pub(super) const WINDOW: [u32; REACH + 1] = [2, 2, 2, 1, 1];
/// Where there is no neighbour.
const NOBODY: u32 = u32::MAX;

/// One text with its place, and what of its memory counts for ranking.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) traits: Traits,
    terms: Box<[Term]>,
    words: Box<[u32]>,
    language: Option<Language>,
    session: Option<String>,
    pub(super) seq: Seq,
    /// A number of [`Shelf::speakers`].
    pub(super) speaker: Option<u32>,
    pub(super) id: Option<MemoryId>,
    pub(super) time: Timestamp,
    /// From when on it holds no longer.
    pub(super) until: Option<Timestamp>,
    /// What holds since then.
    pub(super) heir: Option<MemoryId>,
    /// In days: see [`super::half_life`].
    pub(super) half_life: i64,
    pub(super) salience: u16,
    pub(super) reinforcement: u16,
}

/// Where a text stands and whose it is.
#[derive(Clone)]
pub(super) struct Place<'a> {
    pub(super) session: Option<&'a str>,
    pub(super) seq: Seq,
    pub(super) speaker: Option<&'a str>,
    pub(super) role: Role,
    pub(super) id: Option<MemoryId>,
    pub(super) time: Timestamp,
    /// From when on it holds no longer.
    pub(super) until: Option<Timestamp>,
    /// What holds since then.
    pub(super) heir: Option<MemoryId>,
    /// In days: see [`super::half_life`].
    pub(super) half_life: i64,
    pub(super) salience: u16,
    pub(super) reinforcement: u16,
}

impl Entry {
    /// Whether it holds no longer.
    pub(super) fn has_ended(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// The memories of a bank, ready to be ranked. What was read out of others, or sums them up, is apart: it would count
/// their words twice, and stand between neighbours. It is measured with the others.
#[derive(Clone, Debug)]
pub struct Shelves {
    pub(super) said: Shelf,
    pub(super) derived: Shelf,
}

impl Shelves {
    pub(crate) fn new(embed: &'static dyn Embed) -> Self {
        Self { said: Shelf::new(embed), derived: Shelf::new(embed) }
    }

    /// Puts a memory at a slot, instead of what was there.
    pub(crate) fn put(&mut self, slot: usize, memory: &Memory, lexicon: &mut Lexicon) {
        self.remove(slot);
        let shelf = if memory.part_of.is_none() { &mut self.said } else { &mut self.derived };
        shelf.put(slot, memory, lexicon);
    }

    /// Takes the memory at a slot away.
    pub(crate) fn remove(&mut self, slot: usize) {
        self.said.remove(slot);
        self.derived.remove(slot);
    }

    pub(crate) fn settle(&mut self) {
        self.said.settle(None);
        self.derived.settle(Some(&self.said));
    }

    pub(crate) fn weight(&self) -> usize {
        self.said.weight() + self.derived.weight()
    }
}

/// Texts with all that ranking needs of them: of a bank, or the turns that are not consolidated yet.
#[derive(Clone)]
pub(crate) struct Shelf {
    embed: &'static dyn Embed,
    pub(super) entries: Vec<Option<Entry>>,
    pub(super) vectors: Vec<[i8; DIMENSION]>,
    pub(super) sum: Vec<i64>,
    postings: BTreeMap<Term, Vec<(u32, u16)>>,
    pub(super) vocabulary: Vocabulary,
    sessions: BTreeMap<Option<String>, BTreeSet<(Seq, u32)>>,
    moved: BTreeSet<Option<String>>,
    /// Per slot, the neighbours before (nearest first) and after.
    near: Vec<[[u32; REACH]; 2]>,
    /// Per slot, in 1/1000: what length adds to BM25's denominator, for the text and for its window.
    pub(super) norms: Vec<u32>,
    pub(super) window_norms: Vec<u32>,
    /// Per slot, in millionths: how rare its terms are in the mean.
    pub(super) rare: Vec<u32>,
    /// Who speaks: a number, and in how many texts. A number is given once and never again.
    pub(super) speakers: BTreeMap<String, (u32, u32)>,
    speakers_ever: u32,
    /// The first and the last day on which something was said.
    pub(super) days: Option<(i32, i32)>,
    languages: BTreeMap<Language, u32>,
    live: u32,
}

/// Not the words of a person in every log.
impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf({} texts)", self.live)
    }
}

impl Shelf {
    pub(crate) fn new(embed: &'static dyn Embed) -> Self {
        Self {
            embed,
            entries: Vec::new(),
            vectors: Vec::new(),
            sum: vec![0; DIMENSION],
            postings: BTreeMap::new(),
            vocabulary: Vocabulary::default(),
            sessions: BTreeMap::new(),
            moved: BTreeSet::new(),
            near: Vec::new(),
            norms: Vec::new(),
            window_norms: Vec::new(),
            rare: Vec::new(),
            speakers: BTreeMap::new(),
            speakers_ever: 0,
            days: None,
            languages: BTreeMap::new(),
            live: 0,
        }
    }

    fn put(&mut self, slot: usize, memory: &Memory, lexicon: &mut Lexicon) {
        let repeats = i64::from(memory.reinforced) + i64::from(memory.useful);
        let place = Place {
            session: memory.session_id.as_deref(),
            seq: memory.sources.first().map_or(Seq::FIRST, |source| source.seq),
            speaker: memory.speaker.as_deref(),
            role: memory.role,
            id: Some(memory.id),
            time: memory.event_time,
            until: memory.valid_to,
            heir: memory.superseded_by,
            half_life: super::half_life(memory),
            salience: if memory.pinned { 1_000 } else { memory.salience },
            reinforcement: u16::try_from((repeats * 200).clamp(0, 1_000)).expect("clamped to 1000"),
        };
        self.add(slot, &memory.text, &place, lexicon);
    }

    pub(super) fn add(&mut self, slot: usize, content: &str, place: &Place<'_>, lexicon: &mut Lexicon) {
        self.remove(slot);
        let said = Said::of(content, place.time, place.role, lexicon, self.embed);
        if self.entries.len() <= slot {
            self.entries.resize(slot + 1, None);
            self.vectors.resize(slot + 1, [0; DIMENSION]);
            self.near.resize(slot + 1, [[NOBODY; REACH]; 2]);
        }
        let at = u32::try_from(slot).expect("a bank is far smaller than 2^32");
        for (term, count) in &said.terms {
            self.postings.entry(*term).or_default().push((at, *count));
        }
        let words =
            said.words.into_iter().map(|(word, term)| self.vocabulary.add(word, term, at, self.embed)).collect();
        self.vectors[slot] = said.vector.0;
        self.sum.iter_mut().zip(said.vector.0).for_each(|(sum, x)| *sum += i64::from(x));
        let session = place.session.map(str::to_owned);
        self.sessions.entry(session.clone()).or_default().insert((place.seq, at));
        self.moved.insert(session.clone());
        let speaker = place.speaker.map(|speaker| self.speaker(speaker));
        if let Some(language) = said.language {
            *self.languages.entry(language).or_default() += 1;
        }
        self.live += 1;
        self.entries[slot] = Some(Entry {
            traits: said.traits,
            terms: said.terms.iter().map(|(term, _)| *term).collect(),
            words,
            language: said.language,
            session,
            seq: place.seq,
            speaker,
            id: place.id,
            time: place.time,
            until: place.until,
            heir: place.heir,
            half_life: place.half_life,
            salience: place.salience,
            reinforcement: place.reinforcement,
        });
    }

    /// The number of a speaker, who has one text more.
    fn speaker(&mut self, name: &str) -> u32 {
        let ever = &mut self.speakers_ever;
        let (number, texts) = self.speakers.entry(name.to_owned()).or_insert_with(|| {
            *ever += 1;
            (*ever - 1, 0)
        });
        *texts += 1;
        *number
    }

    pub(super) const fn speakers_ever(&self) -> u32 {
        self.speakers_ever
    }

    /// Takes the text at a slot away, if there is one.
    pub(crate) fn remove(&mut self, slot: usize) {
        let Some(entry) = self.entries.get_mut(slot).and_then(Option::take) else { return };
        let at = u32::try_from(slot).expect("a bank is far smaller than 2^32");
        for term in &entry.terms {
            if let Some(list) = self.postings.get_mut(term) {
                list.retain(|(used, _)| *used != at);
                if list.is_empty() {
                    self.postings.remove(term);
                }
            }
        }
        self.vocabulary.remove(&entry.words, at);
        self.sum.iter_mut().zip(self.vectors[slot]).for_each(|(sum, x)| *sum -= i64::from(x));
        self.vectors[slot] = Vector::ZERO.0;
        if let Some(session) = self.sessions.get_mut(&entry.session) {
            session.remove(&(entry.seq, at));
            if session.is_empty() {
                self.sessions.remove(&entry.session);
            }
        }
        self.moved.insert(entry.session);
        if let Some(speaker) = entry.speaker {
            self.speakers.retain(|_, (number, texts)| {
                *texts -= u32::from(*number == speaker);
                *texts > 0
            });
        }
        if let Some(texts) = entry.language.and_then(|language| self.languages.get_mut(&language)) {
            *texts -= 1;
        }
        self.live -= 1;
    }

    /// Brings up to date what depends on more than one text. Turns that are ranked `beside` a bank are measured with it.
    pub(crate) fn settle(&mut self, beside: Option<&Self>) {
        for session in std::mem::take(&mut self.moved) {
            self.seat(session);
        }
        self.measure(beside);
        self.weigh_terms(beside);
        let days = || self.entries.iter().flatten().map(|entry| entry.traits.day);
        self.days = days().min().zip(days().max());
    }

    /// Who is beside whom in a session.
    fn seat(&mut self, session: Option<String>) {
        let Some(seats) = self.sessions.get(&session) else { return };
        let order: Vec<u32> = seats.iter().map(|(_, slot)| *slot).collect();
        for (i, slot) in order.iter().enumerate() {
            let mut near = [[NOBODY; REACH]; 2];
            for distance in 1..=REACH {
                near[0][distance - 1] = i.checked_sub(distance).map_or(NOBODY, |j| order[j]);
                near[1][distance - 1] = order.get(i + distance).copied().unwrap_or(NOBODY);
            }
            self.near[*slot as usize] = near;
        }
    }

    fn measure(&mut self, beside: Option<&Self>) {
        let lengths: Vec<u64> = self.entries.iter().map(|entry| length(entry.as_ref())).collect();
        let windows: Vec<u64> = (0..lengths.len())
            .map(|slot| {
                let around: u64 = self.around(slot).map(|(other, weight)| u64::from(weight) * lengths[other]).sum();
                around + u64::from(WINDOW[0]) * lengths[slot]
            })
            .collect();
        // Most windows are whole, and then hold twelve halves of a mean text.
        let (texts, length, window) = beside.map_or((0, 0, 0), |bank| {
            let lengths: u64 = bank.entries.iter().map(|entry| length(entry.as_ref())).sum();
            (u64::from(bank.live), lengths, lengths * 12)
        });
        let live = u64::from(self.live) + texts;
        let of_live = |all: &[u64]| -> u64 {
            all.iter().zip(&self.entries).filter(|(_, entry)| entry.is_some()).map(|(length, _)| *length).sum()
        };
        let mean = ((of_live(&lengths) + length) * 1_000 / live.max(1)).max(1_000);
        let window_mean = ((of_live(&windows) + window) * 1_000 / live.max(1)).max(1_000);
        let norm = |length: &u64, mean: u64| {
            u32::try_from(K1 * (1_000 - B + B * length * 1_000 / mean) / 1_000).unwrap_or(u32::MAX / 2)
        };
        self.norms = lengths.iter().map(|length| norm(length, mean)).collect();
        self.window_norms = windows.iter().map(|length| norm(length, window_mean)).collect();
    }

    fn weigh_terms(&mut self, beside: Option<&Self>) {
        let texts = u64::from(self.live) + beside.map_or(0, |bank| u64::from(bank.live));
        let mut sums = vec![0_u64; self.entries.len()];
        for (term, list) in &self.postings {
            let having = list.len() as u64 + beside.map_or(0, |bank| bank.postings(*term).len() as u64);
            let rarity = rarity(texts, having);
            list.iter().for_each(|(slot, _)| sums[*slot as usize] += rarity);
        }
        let most = log2_milli(texts + 1, 1).max(1);
        let mean = |(sum, entry): (&u64, &Option<Entry>)| {
            let terms = entry.as_ref().map_or(0, |entry| entry.terms.len() as u64).max(1);
            u32::try_from(sum * 1_000_000 / (terms * most)).unwrap_or(u32::MAX)
        };
        self.rare = sums.iter().zip(&self.entries).map(mean).collect();
    }

    /// The texts that have the term, and how often.
    pub(super) fn postings(&self, term: Term) -> &[(u32, u16)] {
        self.postings.get(&term).map_or(&[], Vec::as_slice)
    }

    /// The neighbours of a text, each with its weight in halves.
    pub(super) fn around(&self, slot: usize) -> impl Iterator<Item = (usize, u32)> + '_ {
        let sides = self.near[slot].iter().flat_map(|side| side.iter().zip(&WINDOW[1..]));
        sides.filter(|(other, _)| **other != NOBODY).map(|(other, weight)| (*other as usize, *weight))
    }

    /// The text just after this one.
    pub(super) fn after(&self, slot: usize) -> Option<usize> {
        let next = self.near[slot][1][0];
        (next != NOBODY).then_some(next as usize)
    }

    pub(super) const fn live(&self) -> u32 {
        self.live
    }

    pub(super) fn embed(&self) -> &'static dyn Embed {
        self.embed
    }

    /// The language of most texts.
    pub(super) fn language(&self) -> Language {
        let most = self.languages.iter().max_by_key(|(language, count)| (**count, std::cmp::Reverse(**language)));
        most.map_or_else(Language::default, |(language, _)| *language)
    }

    /// Roughly how many bytes it takes in RAM.
    pub(crate) fn weight(&self) -> usize {
        let entries: usize = self
            .entries
            .iter()
            .flatten()
            .map(|entry| 8 * entry.terms.len() + 4 * entry.words.len() + 8 * entry.traits.spans.len())
            .sum();
        let postings: usize = self.postings.values().map(|list| 48 + 8 * list.capacity()).sum();
        let per_slot = size_of::<Option<Entry>>() + DIMENSION + size_of::<[[u32; REACH]; 2]>() + 12 + 64;
        entries + postings + per_slot * self.entries.capacity() + self.vocabulary.weight()
    }
}

fn length(entry: Option<&Entry>) -> u64 {
    entry.map_or(0, |entry| u64::from(entry.traits.length))
}
