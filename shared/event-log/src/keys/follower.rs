//! The thread that follows the topic of keys, and what an operator or an owner asks of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use keyring::{Keyring, Owner, RootName};

use super::{Error, Inner, rotation};
use crate::Partition;
use crate::signal::lock;

/// Follows the topic until it is stopped or dropped.
#[derive(Debug)]
pub struct Follower {
    inner: Arc<Inner>,
    ring: Keyring,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

#[derive(Debug, Default)]
pub(super) struct Stop {
    told: Mutex<bool>,
    heard: Condvar,
}

impl Stop {
    fn tell(&self) {
        *lock(&self.told) = true;
        self.heard.notify_all();
    }

    /// Waits, and answers whether it was told to stop.
    pub(super) fn wait(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut told = lock(&self.told);
        while !*told {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            told = self.heard.wait_timeout(told, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *told
    }
}

impl Follower {
    pub(super) fn start(inner: Arc<Inner>, ring: Keyring) -> Result<Self, Error> {
        let stop = Arc::new(Stop::default());
        let run = {
            let (inner, ring, stop) = (Arc::clone(&inner), ring.clone(), Arc::clone(&stop));
            move || {
                let ended = follow(&inner, &ring, &stop);
                if let Err(error) = &ended {
                    inner.settings.on_failure.call(&chain(error));
                }
                ended
            }
        };
        let thread = std::thread::Builder::new().name("keys".to_owned()).spawn(run).map_err(Error::Thread)?;
        Ok(Self { inner, ring, stop, thread: Some(thread) })
    }

    /// Follows this partition too. All that is there has been read when it returns.
    ///
    /// # Errors
    /// [`Error`].
    pub fn follow(&self, partition: Partition) -> Result<(), Error> {
        self.inner.read(&self.ring, partition)
    }

    /// Follows this partition no longer and lets go of the keys of its subjects. Partition 0 is followed all the same.
    pub fn unfollow(&self, partition: Partition) {
        if partition == super::ZERO {
            return;
        }
        let slot = self.inner.partitions.write().unwrap_or_else(PoisonError::into_inner).remove(&partition);
        let Some(slot) = slot else { return };
        lock(&slot.followed).let_go = true;
        for key in self.ring.all() {
            if matches!(key.owner, Owner::Subject(_)) && self.inner.partition_of(key.owner) == partition {
                self.ring.lose(key.id);
            }
        }
    }

    /// Destroys the keys of this partition that came behind the forget of their subject, and answers how many they were.
    /// For whoever owns the partition, from time to time.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn bury_late(&self, partition: Partition) -> Result<usize, Error> {
        self.inner.bury_late(&self.ring, partition)
    }

    /// Every epoch that there is a wrapping key of, with the root keys that these are sealed with, as it was read last.
    #[must_use]
    pub fn wrapping_epochs(&self) -> Vec<(u32, RootName)> {
        lock(&self.inner.wrappings).epochs().into_iter().map(|(epoch, root)| (epoch, RootName(root))).collect()
    }

    /// Begins a new epoch of wrapping, wraps every key anew, and destroys the older wrapping keys; answers the epoch. All
    /// older copies of wrapped keys are worthless then. `settle` is how long the other processes have to hear of the new
    /// epoch: more than their [`super::Settings::fresh`], twice is good. It may be broken off at any moment and done again.
    ///
    /// # Errors
    /// [`Error`].
    pub fn rotate_wrapping(&self, settle: Duration) -> Result<u32, Error> {
        rotation::rotate(&self.inner, &self.stop, settle)
    }

    /// Seals the wrapping keys with the current root. It may be broken off at any moment and done again.
    ///
    /// # Errors
    /// [`Error`].
    pub fn rewrap_root(&self) -> Result<(), Error> {
        let records = {
            let mut wrappings = lock(&self.inner.wrappings);
            wrappings.read(&*self.inner.log, &self.inner.roots)?;
            wrappings.resealed(&self.inner.roots, &self.inner.nonces)
        };
        self.inner.append(super::ZERO, records)?;
        self.inner.read_wrappings()
    }

    /// Stops following.
    ///
    /// # Errors
    /// What ended the following before.
    pub fn stop(mut self) -> Result<(), Error> {
        self.join().unwrap_or(Ok(()))
    }

    fn join(&mut self) -> Option<Result<(), Error>> {
        self.stop.tell();
        let ended = self.thread.take()?.join();
        Some(ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.stop.tell();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the thread that follows keys has panicked");
        }
    }
}

fn follow(inner: &Inner, ring: &Keyring, stop: &Stop) -> Result<(), Error> {
    while !stop.wait(inner.settings.every) {
        inner.read_wrappings()?;
        let followed: BTreeMap<_, _> = inner.partitions.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (partition, slot) in followed {
            inner.read_slot(ring, partition, &slot)?;
        }
    }
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
