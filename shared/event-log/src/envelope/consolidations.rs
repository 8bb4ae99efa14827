//! Records of `consolidations`: sealed with a key of the subject.

use keyring::{KeyId, Keyring, Owner};
use memory_core::{Consolidation, ConsolidationId, Generation, Interval, Rules, Seq, Subject, Trigger, Turn};
use serde::{Deserialize, Serialize};

use super::{Error, handle_of, opened, unreadable};
use crate::line::{self, Value};
use crate::{Record, Stored, Timestamp, Topic};

/// What of a window is read without a key: all but who says what. The rules are an operator's, and with them the events of
/// a window that was forgotten can still be folded as it was, for as long as they can be read.
#[derive(Serialize, Deserialize)]
struct Clear<R> {
    id: ConsolidationId,
    generation: Generation,
    key_since: Seq,
    from: Seq,
    to: Seq,
    trigger: Trigger,
    rules: R,
}

#[derive(Serialize)]
struct SealedRef<'a> {
    owner: Option<&'a Subject>,
    turns: &'a [Turn],
}

#[derive(Deserialize, Default)]
struct Sealed {
    owner: Option<Subject>,
    turns: Vec<Turn>,
}

/// A record for `consolidations`, sealed with a key of its subject. Without a key, when what it holds was forgotten, it says
/// where the window was and nothing else: the next one must not stand behind a gap.
///
/// # Errors
/// [`keyring::Error::Gone`].
pub fn consolidation(
    ring: &Keyring,
    key: Option<KeyId>,
    window: &Consolidation,
    now: Timestamp,
) -> Result<Record, keyring::Error> {
    let range = format!("{}-{}", window.from, window.to);
    let headers = vec![
        ("ce_id".to_owned(), Some(window.id.to_string().into_bytes())),
        (RANGE_HEADER.to_owned(), Some(range.into_bytes())),
    ];
    let &Consolidation { id, subject, generation, key_since, from, to, trigger, .. } = window;
    let clear = Clear { id, generation, key_since, from, to, trigger, rules: &window.rules };
    let sealed = SealedRef { owner: window.owner.as_ref(), turns: &window.turns };
    let place = (&Topic::Consolidations, subject.as_bytes().as_slice());
    let value = match key {
        Some(key) => line::seal((ring, key), place, &clear, &sealed)?,
        None => line::clear(&clear),
    };
    Ok(Record { key: subject.as_bytes().to_vec(), value: Some(value), headers, timestamp: now })
}

/// The header of a consolidation that tells `from-to` without decoding it.
const RANGE_HEADER: &str = "memos_range";

/// The sequence numbers of a consolidation, without decoding it; `None` when it does not tell.
#[must_use]
pub fn range_of(record: &Record) -> Option<Interval<Seq>> {
    let text = std::str::from_utf8(record.header(RANGE_HEADER)?).ok()?;
    let (from, to) = text.split_once('-')?;
    Interval::try_new(Seq::new(from.parse().ok()?), Seq::new(to.parse().ok()?))
}

/// Reads a record of `consolidations`; `None` for a tombstone. Where the key is gone, the window is empty and nobody's.
///
/// # Errors
/// [`Error`] when it is not one, or cannot be opened.
pub fn read_consolidation(ring: &Keyring, stored: &Stored) -> Result<Option<Consolidation>, Error> {
    const TOPIC: Topic = Topic::Consolidations;
    let Some(value) = &stored.record.value else { return Ok(None) };
    let subject = handle_of(TOPIC, stored)?;
    let value = Value::of(value);
    let clear: Clear<Rules> = value.clear().map_err(unreadable(TOPIC, stored.offset))?;
    let sealed: Option<Sealed> =
        if value.is_sealed() { opened(ring, Owner::Subject(subject), TOPIC, stored, value)? } else { None };
    let Sealed { owner, turns } = sealed.unwrap_or_default();
    let Clear { id, generation, key_since, from, to, trigger, rules } = clear;
    Ok(Some(Consolidation { id, subject, owner, generation, key_since, from, to, trigger, rules, turns }))
}
