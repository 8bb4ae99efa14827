//! Looking through `dead-letters` and sending some of them in again.
//!
//! A replay is a new append of the original record to where it came from, with its arrival: what had arrived before
//! a forget stays forgotten. Replays may repeat, because the event's id decides what is new.
//!
//! Letters are sealed with keys of a day. One whose key is gone is no letter any more; one of a subject that was forgotten
//! after it arrived is neither shown nor sent in again. What is sent in again is sealed anew, with the key of today.

use std::collections::BTreeSet;

use event_log::dead_letter::DeadLetter;
use event_log::{Limits, Offset, Partition, Record, Topic, Watermarks, envelope};
use memory_core::{Handle, TenantId};
use memos_client::DeadLetterView;
use uuid::Uuid;

use crate::inlets::{ARRIVED, arrived, sealed};
use crate::problem::{Code, Problem};
use crate::sealing::INSTALLATION;
use crate::state::State;

mod whose;

use whose::Forgotten;

/// The header that counts replays.
const REPLAYS: &str = "memos_replays";
/// Records of one read.
const CHUNK: u64 = 256;
/// Records of one partition that a list looks through at most, newest first.
const LOOKED_THROUGH_MAX: u64 = 10_000;

/// The newest dead letters of a tenant, newest first. Blocks on the log.
pub(crate) fn newest(state: &State, tenant: &TenantId, limit: usize) -> Result<Vec<DeadLetterView>, Problem> {
    let (mut letters, mut forgotten) = (Vec::new(), Forgotten::new(state, tenant));
    for partition in Partition::all(state.log.partitions()) {
        let Watermarks { low, high } = state.log.watermarks(&Topic::DeadLetters, partition)?;
        let floor = low.get().max(high.get().saturating_sub(LOOKED_THROUGH_MAX));
        let (mut end, mut found) = (high.get(), Vec::new());
        while end > floor && found.len() < limit {
            let begin = floor.max(end.saturating_sub(CHUNK));
            for letter in read(state, partition, Offset::new(begin), Offset::new(end))?.into_iter().rev() {
                if whose::tenant(state, &letter).as_ref() == Some(tenant) && !forgotten.hides(&letter)? {
                    found.push(letter);
                }
            }
            end = begin;
        }
        letters.extend(found);
    }
    letters.sort_by(|left, right| right.made.cmp(&left.made).then_with(|| right.id.cmp(&left.id)));
    // A crash may have written a letter twice.
    let mut seen = BTreeSet::new();
    letters.retain(|letter| seen.insert(letter.id));
    letters.truncate(limit);
    Ok(letters.iter().map(view).collect())
}

/// Which dead letters to replay.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) tenant: TenantId,
    /// All when `None`.
    pub(crate) ids: Option<BTreeSet<Uuid>>,
    /// Any when `None`.
    pub(crate) reason: Option<String>,
}

/// Appends dead letters again, one batch after the other, and answers how many. Only what was there at the beginning
/// is looked at: what is refused again is a new letter behind it. Blocks on the log.
pub(crate) fn replay(state: &State, wanted: &Wanted) -> Result<usize, Problem> {
    let (mut seen, mut forgotten) = (BTreeSet::new(), Forgotten::new(state, &wanted.tenant));
    for partition in Partition::all(state.log.partitions()) {
        let Watermarks { low, high } = state.log.watermarks(&Topic::DeadLetters, partition)?;
        let mut begin = low;
        while begin < high {
            let end = high.min(Offset::new(begin.get() + CHUNK));
            let mut waiting = Vec::new();
            for letter in read(state, partition, begin, end)? {
                if wanted.takes(state, &letter) && !forgotten.hides(&letter)? && seen.insert(letter.id) {
                    let (topic, partition, record) = again(state, &letter)?;
                    waiting.push(state.log.append(&topic, partition, vec![record])?);
                }
            }
            for appended in waiting {
                drop(appended.wait()?);
            }
            begin = end;
        }
    }
    match wanted.ids.as_ref().and_then(|ids| ids.difference(&seen).next()) {
        None => Ok(seen.len()),
        Some(id) => Err(Problem::field(Code::DeadLetterNotFound, "ids", format!("there is no dead letter {id}"))),
    }
}

impl Wanted {
    fn takes(&self, state: &State, letter: &DeadLetter) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.contains(&letter.id))
            && self.reason.as_ref().is_none_or(|reason| *reason == letter.reason)
            && whose::tenant(state, letter).as_ref() == Some(&self.tenant)
    }
}

/// The dead letters of `[begin, end)` whose keys are still there.
fn read(state: &State, partition: Partition, begin: Offset, end: Offset) -> Result<Vec<DeadLetter>, Problem> {
    let (mut from, mut letters) = (begin, Vec::new());
    while from < end {
        let batch = state.log.read(&Topic::DeadLetters, partition, from, Limits::default())?;
        for stored in batch.records.iter().filter(|stored| stored.offset < end) {
            let letter = DeadLetter::from_record(&state.sealing.ring, &stored.record).map_err(|error| {
                tracing::error!(%partition, offset = %stored.offset, %error, "failed to read a dead letter");
                Problem::new(Code::Internal, "a dead letter cannot be read; the log of memos says which")
            })?;
            if envelope::sealed_with(&stored.record).is_some_and(|key| state.sealing.ring.is_held(key)) {
                letters.push(letter);
            }
        }
        if batch.next <= from {
            break;
        }
        from = batch.next;
    }
    Ok(letters)
}

/// The record to append again, and where: in the same order as the letters of its subject or producer.
fn again(state: &State, letter: &DeadLetter) -> Result<(Topic, Partition, Record), Problem> {
    let topic = letter.found.topic.clone();
    let partitions = state.log.partitions_of(&topic).max(1);
    match &topic {
        Topic::Interactions => {
            let (handle, record) = resealed(state, letter)?;
            Ok((topic, handle.partition(partitions), noted(record, &letter.original)))
        }
        Topic::Inlet(_) => {
            let mut record = noted(letter.original.clone(), &letter.original);
            if state.seal_inlets {
                let key = state.sealing.key(INSTALLATION)?;
                record = sealed::seal(&state.sealing.ring, key, &state.secret, &topic, &record)?;
            }
            // A letter of another log may come from a partition that this one does not have.
            Ok((topic, Partition::new(letter.found.partition.get() % partitions), record))
        }
        Topic::Consolidations
        | Topic::Working
        | Topic::Memories
        | Topic::Keys
        | Topic::Receipts
        | Topic::DeadLetters => {
            Err(Problem::new(Code::DeadLetterNotFound, format!("records of {topic} cannot be sent in again")))
        }
    }
}

/// The interaction of a letter, sealed with a key that is as young as the record's new place in the log.
fn resealed(state: &State, letter: &DeadLetter) -> Result<(Handle, Record), Problem> {
    let missing = || Problem::new(Code::DeadLetterNotFound, "what the letter holds cannot be read any more");
    let recorded = whose::interaction(state, letter).ok_or_else(missing)?;
    let handle = letter.original.key.as_slice().try_into().map(Handle::from_bytes).map_err(|_| missing())?;
    let (ring, tag) = (&state.sealing.ring, recorded.tenant.tag(&state.secret));
    let key = state.sealing.key(tag)?;
    let record = envelope::interaction(ring, key, tag, handle, &recorded.tenant, recorded.arrived, recorded.event)?;
    Ok((handle, record))
}

/// The record with notes on its first arrival and on how often it was sent in.
fn noted(mut record: Record, original: &Record) -> Record {
    let notes = [(REPLAYS, (replays(original) + 1).to_string()), (ARRIVED, arrived(original).micros().to_string())];
    for (note, text) in notes {
        record.headers.retain(|(name, _)| name != note);
        record.headers.push((note.to_owned(), Some(text.into_bytes())));
    }
    record
}

fn replays(record: &Record) -> u32 {
    let count = record.header(REPLAYS).and_then(|value| std::str::from_utf8(value).ok());
    count.and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn view(letter: &DeadLetter) -> DeadLetterView {
    DeadLetterView {
        id: letter.id,
        topic: letter.found.topic.to_string(),
        partition: letter.found.partition.get(),
        offset: letter.found.offset.get(),
        reason: letter.reason.clone(),
        message: letter.message.clone(),
        arrived: arrived(&letter.original),
        made: letter.made,
        bytes: letter.original.value.as_ref().map_or(0, Vec::len),
        replays: replays(&letter.original),
    }
}
