//! Which records of a batch count. Only what they say of their place is looked at, so a whole batch is judged before
//! anything of it is written, and what one batch judges the next one knows: in batches of any size, after a restart at any
//! record, every reader of a log comes to the same verdicts.
//!
//! A record that was read before is no loser: a log that was imported is read from its beginning, a producer's retry can
//! stand in it twice, and a tombstone for such a record would take the step itself out of the log.

use std::collections::BTreeMap;

use memory_core::Handle;
use memory_core::step::Body;

use crate::chain::{Chain, Link, Place};
use crate::keys::{self, KeyKind};
use crate::{Error, Record, Store, Verdict};

impl Store {
    pub(crate) fn judge(&self, records: &[Record]) -> Result<Vec<Verdict>, Error> {
        let mut judge = Judge { store: self, chains: BTreeMap::new(), written: BTreeMap::new() };
        records.iter().map(|record| judge.record(record)).collect()
    }
}

struct Judge<'a> {
    store: &'a Store,
    /// Chains as they are after the records so far.
    chains: BTreeMap<Handle, Chain>,
    /// By key, whether the record of a step that counts is in the log after the records so far.
    written: BTreeMap<&'a [u8], bool>,
}

impl<'a> Judge<'a> {
    fn record(&mut self, record: &'a Record) -> Result<Verdict, Error> {
        let Some(link) = record.link() else {
            self.written.insert(&record.key, false);
            return Ok(Verdict::Gone);
        };
        let Some(step) = &record.step else { return Ok(Verdict::Gone) };
        let chain = match self.chains.get(&step.subject) {
            Some(chain) => *chain,
            None => self.store.step_numbers(step.subject)?.chain,
        };
        Ok(match chain.place(&link) {
            Place::Next => {
                self.chains.insert(step.subject, chain.then(&link));
                self.written.insert(&record.key, true);
                Verdict::Applied
            }
            Place::Taken if self.is_written(&record.key)? => Verdict::Known,
            Place::Taken | Place::Astray => Verdict::Lost,
            Place::Missing => Verdict::Unconnected { expected: chain.next },
        })
    }

    fn is_written(&self, key: &[u8]) -> Result<bool, Error> {
        match self.written.get(key) {
            Some(written) => Ok(*written),
            None => self.store.get(KeyKind::StepWriter, &keys::step_writer(key)).map(|row| row.is_some()),
        }
    }
}

impl Record {
    /// Its place in the chain of its subject; `None` for a tombstone.
    #[must_use]
    pub fn link(&self) -> Option<Link> {
        let step = self.step.as_ref()?;
        let writer = event_log::envelope::writer_of(&self.key).unwrap_or_default();
        let begins_snapshot = matches!(step.body, Body::Snapshot { part: 0, .. });
        Some(Link { number: step.number, writer, after: self.after, begins_snapshot })
    }
}
