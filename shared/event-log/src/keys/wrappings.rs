//! The wrapping keys of a log: which there are, and which one wraps what is made now.
//!
//! They lie in partition 0 and are read by themselves, apart from the keys there, because who keeps a key must know the
//! newest epoch first. New keys are wrapped with the newest epoch's first record. Every other record is held to open what
//! somebody else has wrapped with it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use keyring::{Minted, Nonces, Roots, Wrapping};

use super::entry::{Entry, SealedWrapping, Wrapped, WrappingName};
use super::{Error, ZERO};
use crate::{EventLog, Limits, Offset, Record, Topic};

/// What was read of wrapping keys, in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Wrappings {
    next: Option<Offset>,
    held: Vec<Held>,
    pub(super) read_at: Option<Instant>,
}

#[derive(Debug)]
struct Held {
    name: WrappingName,
    root: [u8; 8],
    /// `None` when it is sealed with a root that this process does not have.
    wrapping: Option<Arc<Wrapping>>,
}

impl Wrappings {
    /// Reads to the present end.
    pub(super) fn read(&mut self, log: &dyn EventLog, roots: &Roots) -> Result<(), Error> {
        let reading = |source| Error::Log { action: "read", partition: ZERO, source };
        let asked = Instant::now();
        let marks = log.watermarks(&Topic::Keys, ZERO).map_err(reading)?;
        let mut next = self.next.unwrap_or(marks.low);
        while next < marks.high {
            let batch = log.read(&Topic::Keys, ZERO, next, Limits::default()).map_err(reading)?;
            for stored in &batch.records {
                let entry = Entry::read(&stored.record).map_err(|bad| Error::bad(ZERO, stored.offset, bad))?;
                match entry {
                    Entry::Wrapping { name, sealed: Some(sealed) } => {
                        self.put(name, &sealed, roots).map_err(|_| Error::tampered(ZERO, stored.offset))?;
                    }
                    Entry::Wrapping { name, sealed: None } => self.held.retain(|held| held.name != name),
                    Entry::Floor { .. } | Entry::Key(_) | Entry::Destroyed { .. } => {}
                }
            }
            if batch.next == next {
                return Err(Error::Stuck { partition: ZERO, offset: next });
            }
            next = batch.next;
            self.next = Some(next);
        }
        if let Some(held) = self.held.iter().find(|held| held.wrapping.is_none()) {
            let ours = roots.iter().map(|root| root.name().to_string()).collect::<Vec<_>>().join(", ");
            return Err(Error::Root { epoch: held.name.epoch, has: keyring::RootName(held.root), ours });
        }
        self.read_at = Some(asked);
        Ok(())
    }

    fn put(&mut self, name: WrappingName, sealed: &SealedWrapping, roots: &Roots) -> Result<(), keyring::Tampered> {
        let known = self.held.iter_mut().find(|held| held.name == name);
        if let Some(Held { root, wrapping: Some(_), .. }) = known {
            // Resealed with another root: it is the same key.
            *root = sealed.root;
            return Ok(());
        }
        let open = |root: &keyring::RootKey| root.unwrap(name.epoch, &sealed.wrapped).map(Arc::new);
        let wrapping = roots.find(sealed.root).map(open).transpose()?;
        match known {
            Some(held) => (held.root, held.wrapping) = (sealed.root, wrapping),
            None => self.held.push(Held { name, root: sealed.root, wrapping }),
        }
        Ok(())
    }

    /// The newest epoch.
    pub(super) fn newest(&self) -> Option<u32> {
        self.held.iter().map(|held| held.name.epoch).max()
    }

    /// Every epoch that there is a wrapping key of, with the roots that these are sealed with.
    pub(super) fn epochs(&self) -> BTreeSet<(u32, [u8; 8])> {
        self.held.iter().map(|held| (held.name.epoch, held.root)).collect()
    }

    /// What wraps new keys: of the newest epoch, the first.
    pub(super) fn current(&self) -> Option<Arc<Wrapping>> {
        let newest = self.newest()?;
        self.of(newest).next().cloned()
    }

    fn of(&self, epoch: u32) -> impl Iterator<Item = &Arc<Wrapping>> {
        self.held.iter().filter(move |held| held.name.epoch == epoch).filter_map(|held| held.wrapping.as_ref())
    }

    /// Opens a key; `None` when its epoch is not there.
    pub(super) fn open(&self, key: &Wrapped) -> Option<Result<Minted, keyring::Tampered>> {
        let mut last = None;
        for wrapping in self.of(key.epoch) {
            match wrapping.open(key.owner, key.id, key.made, &key.wrapped) {
                Ok(minted) => return Some(Ok(minted)),
                Err(tampered) => last = Some(Err(tampered)),
            }
        }
        last
    }

    /// The records that destroy every wrapping key of an epoch before this one.
    pub(super) fn tombstones_below(&self, epoch: u32) -> Vec<Record> {
        self.held.iter().filter(|held| held.name.epoch < epoch).map(|held| held.name.tombstone()).collect()
    }

    /// The records that seal with the current root what is sealed with older ones, in the order of the log.
    pub(super) fn resealed(&self, roots: &Roots, nonces: &Nonces) -> Vec<Record> {
        let current = roots.current();
        if self.held.iter().all(|held| held.root == current.id()) {
            return Vec::new();
        }
        // All of them: so they keep their order, and the first of an epoch stays the first.
        let opened = self.held.iter().filter_map(|held| Some((held.name, held.wrapping.as_ref()?)));
        opened.map(|(name, wrapping)| name.put(&SealedWrapping::of(current, nonces, wrapping))).collect()
    }
}

impl SealedWrapping {
    pub(super) fn of(root: &keyring::RootKey, nonces: &Nonces, wrapping: &Wrapping) -> Self {
        Self { root: root.id(), wrapped: root.wrap(nonces, wrapping) }
    }
}
