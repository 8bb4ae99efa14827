//! What an owner writes: closed windows and the states at their ends, each sealed with a key of its subject.
//!
//! A key is made durable before anything is sealed with it. A key that is destroyed meanwhile says that somebody else has
//! carried out a forget which is still to be read here; what it would have sealed is left out.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use event_log::envelope::{self, Working};
use event_log::{Appended, Offset, Record, Timestamp, Topic, anchor, now};
use keyring::{KeyId, Keyring};
use memory_core::subject::TenantTag;
use memory_core::working_memory::{Boundary, Closed};
use memory_core::{Handle, Seq};

use super::{FULL_WAIT, Owner};
use crate::error::Error;

impl Owner {
    /// Windows first, states second, each durable before the next (law L02).
    pub(super) async fn log_windows(&mut self, closed: Vec<Closed>) -> Result<(), Error> {
        if closed.is_empty() {
            return Ok(());
        }
        let now = now();
        let keys = self.keys_of(&closed).await?;
        let ring = self.parts.ring();
        let mut fresh: Vec<Record> = Vec::with_capacity(closed.len());
        for window in closed.iter().filter(|window| !window.logged) {
            let window = &window.consolidation;
            let key = keys.get(&(window.subject, window.key_since)).copied();
            let record = match unless_gone(envelope::consolidation(ring, key, window, now))? {
                Some(record) => record,
                // All of it was forgotten. Mostly its owner of that time has logged it and this is a repeat; in a log that was
                // restored it keeps the windows after it from standing behind a gap.
                None => envelope::consolidation(ring, None, window, now)?,
            };
            fresh.push(record);
        }
        if let Some(last) = fresh.last().cloned() {
            let offsets = self.append(&Topic::Consolidations, fresh).await?;
            let newest = offsets.last().map(|offset| anchor::of(*offset, &last));
            self.read.consolidations = self.read.consolidations.max(newest);
        }
        let mut boundaries: HashMap<Handle, Boundary> = HashMap::new();
        for window in closed {
            self.metrics.windows.with_label_values(&[window.consolidation.trigger.as_str()]).inc();
            boundaries.insert(window.boundary.subject, window.boundary);
        }
        let rows = boundaries.into_values().map(|boundary| self.row_of(boundary, &keys, now));
        let rows = rows.collect::<Result<Vec<Record>, Error>>()?;
        self.append(&Topic::Working, rows).await?;
        Ok(self.replica.catch_up_working(self.partition)?)
    }

    /// The keys of windows and of the states at their ends, made durable before they are used.
    async fn keys_of(&self, closed: &[Closed]) -> Result<Keys, Error> {
        let mut wanted: BTreeSet<(Handle, Seq)> = BTreeSet::new();
        for window in closed {
            wanted.insert((window.consolidation.subject, window.consolidation.key_since));
            if window.boundary.has_words() {
                wanted.insert((window.boundary.subject, window.boundary.key_since));
            }
        }
        let wanted: Vec<(Handle, Seq)> = wanted.into_iter().collect();
        let asked = wanted.clone();
        let keys = self.ask_ring(move |ring| ring.of_subjects(&asked, now())).await?;
        Ok(wanted.into_iter().zip(keys).filter_map(|(of, key)| Some((of, key?))).collect())
    }

    /// The key of a subject that seals from there on; `None` where that is forgotten.
    pub(super) async fn key_of(&self, of: (Handle, Seq)) -> Result<Option<KeyId>, Error> {
        Ok(self.ask_ring(move |ring| ring.of_subjects(&[of], now())).await?.pop().flatten())
    }

    /// The key of a tenant that seals now.
    pub(super) async fn epoch(&self, tenant: TenantTag) -> Result<KeyId, Error> {
        self.ask_ring(move |ring| ring.epoch(tenant, now())).await
    }

    /// Asks for keys on a thread that may block: one that is made must be durable, which takes as long as a sync or a
    /// broker, and may wait for no runtime.
    async fn ask_ring<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Keyring) -> Result<T, keyring::Error> + Send + 'static,
    ) -> Result<T, Error> {
        let ring = self.parts.ring().clone();
        let asked = tokio::task::spawn_blocking(move || ask(&ring)).await;
        Ok(asked.expect("asking for keys does not panic, and is not cancelled")?)
    }

    /// A row of `working`; what was forgotten since is left out of it.
    fn row_of(&self, boundary: Boundary, keys: &Keys, now: Timestamp) -> Result<Record, Error> {
        let (ring, log) = (self.parts.ring(), self.parts.log.id());
        if boundary.has_words()
            && let Some(key) = keys.get(&(boundary.subject, boundary.key_since))
        {
            let row = Working::Boundary { log, boundary: Box::new(boundary.clone()) };
            if let Some(record) = unless_gone(envelope::working(ring, Some(*key), row, now))? {
                return Ok(record);
            }
        }
        let (skeleton, _) = boundary.split();
        let bare = Boundary::join(boundary.subject, skeleton, None);
        Ok(envelope::working(ring, None, Working::Boundary { log, boundary: Box::new(bare) }, now)?)
    }

    /// Writes rows of `working` again that a former owner has written an older one over: compaction would keep that one.
    pub(super) async fn write_again(&mut self) -> Result<(), Error> {
        self.parts.log.watermarks(&Topic::Working, self.partition)?;
        self.replica.catch_up_working(self.partition)?;
        let overwritten = self.parts.store.overwritten(self.partition)?;
        let (log, now) = (self.parts.log.id(), now());
        let mut rows = Vec::new();
        for subject in &overwritten.boundaries {
            if let Some(boundary) = self.parts.store.boundary(log, *subject)? {
                let of = (boundary.subject, boundary.key_since);
                let key = self.key_of(of).await?;
                rows.push(self.row_of(boundary, &key.map(|key| (of, key)).into_iter().collect(), now)?);
            }
        }
        if overwritten.marker {
            let marker = self.parts.store.open_from(log, self.partition)?;
            rows.push(envelope::working(
                self.parts.ring(),
                None,
                Working::Open { log, partition: self.partition, marker },
                now,
            )?);
        }
        if rows.is_empty() {
            return Ok(());
        }
        tracing::warn!(partition = %self.partition, rows = rows.len(), "a former owner wrote older rows; they are written over");
        self.metrics.written_again.inc_by(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        self.append(&Topic::Working, rows).await?;
        Ok(self.replica.catch_up_working(self.partition)?)
    }

    pub(super) async fn append(&self, topic: &Topic, records: Vec<Record>) -> Result<Vec<Offset>, Error> {
        loop {
            match self.parts.log.append(topic, self.partition, records.clone()) {
                Ok(appended) => return Ok(resolve(appended).await?),
                Err(event_log::Error::Full { .. }) => tokio::time::sleep(FULL_WAIT).await,
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The keys of subjects that seal from a sequence number on.
type Keys = BTreeMap<(Handle, Seq), KeyId>;

/// `None` when the key was destroyed just now: somebody else has carried out a forget that is still to be read here.
fn unless_gone(sealed: Result<Record, keyring::Error>) -> Result<Option<Record>, Error> {
    match sealed {
        Ok(record) => Ok(Some(record)),
        Err(keyring::Error::Gone { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn resolve(appended: Appended) -> Result<Vec<Offset>, event_log::Error> {
    appended.await
}
