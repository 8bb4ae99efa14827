//! Which records of a batch count. Only step numbers and record keys are looked at, so the whole batch is judged before
//! anything of it is written, and a gap leaves the store as it was.
//!
//! Of two records with one step number the first counts (law L05). A record that was read before is no loser: a log
//! that was imported is read from its beginning, a producer's retry can stand in it twice, and a tombstone for such a
//! record would take the step itself out of the log.

use std::collections::BTreeMap;

use event_log::Partition;
use memory_core::refold::StepGap;
use memory_core::step::Body;
use memory_core::{Handle, Invariant, StepNumber};

use crate::keys::{self, KeyKind};
use crate::{Error, Record, Store, Verdict};

impl Store {
    pub(crate) fn judge(&self, partition: Partition, records: &[Record]) -> Result<Vec<Verdict>, Error> {
        let mut judge = Judge { store: self, next: BTreeMap::new(), written: BTreeMap::new() };
        records.iter().map(|record| judge.record(partition, record)).collect()
    }
}

struct Judge<'a> {
    store: &'a Store,
    /// Step numbers as they are after the records so far.
    next: BTreeMap<Handle, StepNumber>,
    /// By key, whether the record of a step that counts is in the log after the records so far.
    written: BTreeMap<&'a [u8], bool>,
}

impl<'a> Judge<'a> {
    fn record(&mut self, partition: Partition, record: &'a Record) -> Result<Verdict, Error> {
        let Some(step) = &record.step else {
            self.written.insert(&record.key, false);
            return Ok(Verdict::Gone);
        };
        let subject = step.subject;
        let expected = match self.next.get(&subject) {
            Some(next) => *next,
            None => self.store.next_step(subject)?,
        };
        if step.number < expected {
            return Ok(if self.is_written(&record.key)? { Verdict::Known } else { Verdict::Lost });
        }
        if step.number > expected && !matches!(step.body, Body::Snapshot { part: 0, .. }) {
            return Err(Error::Gap {
                invariant: Invariant::StepsAreContiguous,
                partition,
                offset: record.offset,
                source: StepGap { subject, expected, found: step.number },
            });
        }
        self.next.insert(subject, step.number.next());
        self.written.insert(&record.key, true);
        Ok(Verdict::Applied)
    }

    fn is_written(&self, key: &[u8]) -> Result<bool, Error> {
        match self.written.get(key) {
            Some(written) => Ok(*written),
            None => self.store.get(KeyKind::StepWriter, &keys::step_writer(key)).map(|row| row.is_some()),
        }
    }
}
