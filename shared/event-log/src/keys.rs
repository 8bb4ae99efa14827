//! Keys that are kept in the log: the topic `keys`.
//!
//! Several processes need the same keys and none of them shares a disk with another, so the keys lie where everything else
//! lies: wrapped, in a compacted topic, in the partition of their subject. A tenant's keys, and the keys that wrap
//! ([`keyring::Wrapping`]), lie in partition 0, which everybody follows.
//!
//! To destroy a key is to write a tombstone over it; compaction does the rest. A tombstone alone would not do: a former
//! owner of the subject that has not heard of the forget may write a key of the old life behind it. So the *floor* of the
//! subject is written first, and stays for good. A key that seals from below it is dead for every reader in whatever order
//! the two are read, and is buried by whoever keeps house ([`Follower::bury_late`]).
//!
//! Nobody tells anybody of a destroyed key, so whoever uses keys looks again and again ([`Follower`]), and uses none of a
//! partition that it has not read for [`Settings::fresh`].

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use keyring::{Doomed, KeyId, Keyring, Minted, Nonces, Owner, RootName, Roots, Vault, VaultError, Wrapping};
use memory_core::{Handle, Seq};

use crate::line::{Unreadable, advice};
use crate::signal::lock;
use crate::{EventLog, FailureHook, Offset, Partition, Record, Topic};

mod entry;
mod followed;
mod follower;
mod rotation;
mod wrappings;

pub use follower::Follower;

use entry::{Bad, SealedWrapping, WrappingName};
use followed::{Followed, Reader};
use wrappings::Wrappings;

const ZERO: Partition = Partition::new(0);
/// Records that one append holds at most, so that it fits every queue.
const AT_ONCE: usize = 1_000;

/// What can go wrong with the topic of keys. None of it is to be tried again by the same process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{action} keys/{partition}")]
    Log {
        action: &'static str,
        partition: Partition,
        #[source]
        source: crate::Error,
    },
    #[error("keys/{partition} offset {offset} was written in format {found}; {}", advice(*found))]
    Version { partition: Partition, offset: Offset, found: u32 },
    #[error("keys/{partition} offset {offset} cannot be decoded")]
    Malformed {
        partition: Partition,
        offset: Offset,
        #[source]
        source: serde_json::Error,
    },
    #[error("keys/{partition} offset {offset} is no record of a key: {what} is not as it must be")]
    Shape { partition: Partition, offset: Offset, what: &'static str },
    #[error("keys/{partition} offset {offset} holds a key that was not wrapped here, or was changed")]
    Tampered { partition: Partition, offset: Offset },
    #[error("keys/{partition} offset {offset} is wrapped with epoch {epoch}, and there is no such wrapping key")]
    NoEpoch { partition: Partition, offset: Offset, epoch: u32 },
    #[error(
        "the wrapping key of epoch {epoch} is sealed with root key {has}, and this process has {ours}: give it that one, \
         below a newer one if the root is being replaced"
    )]
    Root { epoch: u32, has: RootName, ours: String },
    #[error("the log answers nothing for keys/{partition} offset {offset}, which is below its end")]
    Stuck { partition: Partition, offset: Offset },
    #[error("there is no wrapping key, although one was just written")]
    NoWrapping,
    #[error("read the random source of the operating system")]
    Random(#[source] getrandom::Error),
    #[error("make a keyring")]
    Ring(#[source] keyring::Error),
    #[error("start a thread that follows keys")]
    Thread(#[source] std::io::Error),
    #[error("whoever rotates was told to stop before it was done; it may be done again")]
    Stopped,
}

impl Error {
    fn bad(partition: Partition, offset: Offset, bad: Bad) -> Self {
        match bad {
            Bad::Value(Unreadable::Version(found)) => Self::Version { partition, offset, found },
            Bad::Value(Unreadable::Malformed(source)) => Self::Malformed { partition, offset, source },
            Bad::Shape(what) => Self::Shape { partition, offset, what },
        }
    }

    const fn tampered(partition: Partition, offset: Offset) -> Self {
        Self::Tampered { partition, offset }
    }
}

/// How the topic is followed.
#[derive(Debug)]
pub struct Settings {
    /// How often it is read. Default: every 2 seconds.
    pub every: Duration,
    /// Keys of a partition are used while it was read no longer ago. Default: 10 seconds.
    pub fresh: Duration,
    /// How long an append waits for room in a queue that is full. Default: 30 seconds.
    pub room: Duration,
    /// Called once, on the follower's thread, when it cannot go on. The process ends here.
    pub on_failure: FailureHook,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { every: seconds(2), fresh: seconds(10), room: seconds(30), on_failure: FailureHook::default() }
    }
}

/// The topic of keys as a [`Vault`].
#[derive(Debug)]
pub struct KeyTopic(Arc<Inner>);

struct Inner {
    log: Arc<dyn EventLog>,
    roots: Arc<Roots>,
    settings: Settings,
    nonces: Nonces,
    wrappings: Mutex<Wrappings>,
    partitions: RwLock<BTreeMap<Partition, Arc<Slot>>>,
    started: Instant,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let followed = self.partitions.read().unwrap_or_else(PoisonError::into_inner).len();
        write!(f, "Keys({followed} partitions of {})", self.log.id())
    }
}

/// A partition that is followed, and when it was read.
#[derive(Debug, Default)]
struct Slot {
    followed: Mutex<Followed>,
    /// Microseconds after the start, and one; 0 for never.
    read_at: AtomicU64,
}

impl KeyTopic {
    /// Makes a ring of the keys of these partitions, and of partition 0, and begins to follow them. Everything that is there
    /// has been read when it returns. The first who comes makes the first wrapping key.
    ///
    /// # Errors
    /// [`Error`]; of those [`Error::Root`] when the log is one of another root key.
    pub fn open(
        log: Arc<dyn EventLog>,
        roots: Arc<Roots>,
        partitions: impl IntoIterator<Item = Partition>,
        settings: Settings,
    ) -> Result<(Keyring, Follower), Error> {
        let inner = Arc::new(Inner {
            log,
            roots,
            settings,
            nonces: Nonces::new().map_err(Error::Random)?,
            wrappings: Mutex::default(),
            partitions: RwLock::default(),
            started: Instant::now(),
        });
        inner.agree()?;
        let ring = Keyring::new(Box::new(Self(Arc::clone(&inner)))).map_err(Error::Ring)?;
        inner.read(&ring, ZERO)?;
        for partition in partitions {
            inner.read(&ring, partition)?;
        }
        let follower = Follower::start(inner, ring.clone())?;
        Ok((ring, follower))
    }
}

impl Inner {
    /// Makes sure that there is a wrapping key. Of two that are made at once both stay, and both use the first.
    fn agree(&self) -> Result<(), Error> {
        let newest = {
            let mut wrappings = lock(&self.wrappings);
            wrappings.read(&*self.log, &self.roots)?;
            wrappings.newest()
        };
        if newest.is_some() {
            return Ok(());
        }
        self.begin_epoch(1)
    }

    fn begin_epoch(&self, epoch: u32) -> Result<(), Error> {
        let wrapping = Wrapping::random(epoch).map_err(Error::Random)?;
        let mut unique = [0; 8];
        getrandom::fill(&mut unique).map_err(Error::Random)?;
        let name = WrappingName { epoch, unique: u64::from_be_bytes(unique) };
        self.append(ZERO, vec![name.put(&SealedWrapping::of(self.roots.current(), &self.nonces, &wrapping))])?;
        let mut wrappings = lock(&self.wrappings);
        wrappings.read(&*self.log, &self.roots)?;
        if wrappings.newest().is_some_and(|newest| newest >= epoch) { Ok(()) } else { Err(Error::NoWrapping) }
    }

    fn partition_of(&self, owner: Owner) -> Partition {
        match owner {
            Owner::Subject(handle) => handle.partition(self.log.partitions()),
            Owner::Tenant(_) => ZERO,
        }
    }

    fn slot(&self, partition: Partition) -> Option<Arc<Slot>> {
        self.partitions.read().unwrap_or_else(PoisonError::into_inner).get(&partition).cloned()
    }

    /// Reads a partition to its present end; follows it from now on.
    fn read(&self, ring: &Keyring, partition: Partition) -> Result<(), Error> {
        let slot = match self.slot(partition) {
            Some(slot) => slot,
            None => {
                let mut all = self.partitions.write().unwrap_or_else(PoisonError::into_inner);
                Arc::clone(all.entry(partition).or_default())
            }
        };
        self.read_slot(ring, partition, &slot)
    }

    fn read_slot(&self, ring: &Keyring, partition: Partition, slot: &Slot) -> Result<(), Error> {
        let reader = Reader { log: &*self.log, ring, partition, wrappings: &self.wrappings };
        let mut followed = lock(&slot.followed);
        if followed.let_go {
            return Ok(());
        }
        let mut asked = reader.read(&mut followed)?;
        // What is wrapped with an epoch that is not known is of one that came since, or of one that is gone, and then the
        // key was wrapped anew before it went.
        if followed.waits() {
            self.read_wrappings()?;
            asked = reader.read(&mut followed)?;
            reader.settle(&mut followed)?;
        }
        let since = asked.saturating_duration_since(self.started).as_micros();
        slot.read_at.fetch_max(u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1), Ordering::AcqRel);
        Ok(())
    }

    /// Reads the wrapping keys to their present end.
    fn read_wrappings(&self) -> Result<(), Error> {
        lock(&self.wrappings).read(&*self.log, &self.roots)
    }

    fn is_fresh(&self, of: Owner) -> bool {
        let Some(slot) = self.slot(self.partition_of(of)) else { return false };
        let Some(read_at) = slot.read_at.load(Ordering::Acquire).checked_sub(1) else { return false };
        let age = self.started.elapsed().saturating_sub(Duration::from_micros(read_at));
        age < self.settings.fresh
    }

    /// Appends and waits until it is durable. A queue that is full is given time.
    fn append(&self, partition: Partition, records: Vec<Record>) -> Result<(), Error> {
        let appending = |source| Error::Log { action: "append to", partition, source };
        let deadline = Instant::now() + self.settings.room;
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let some: Vec<Record> = records.by_ref().take(AT_ONCE).collect();
            let mut seen = 0;
            let appended = loop {
                match self.log.append(&Topic::Keys, partition, some.clone()) {
                    Err(crate::Error::Full { .. }) if Instant::now() < deadline => {
                        seen = self.log.wait(seen, Duration::from_millis(50));
                    }
                    other => break other,
                }
            };
            appended.map_err(appending)?.wait().map_err(appending)?;
        }
        Ok(())
    }

    fn append_all(&self, by_partition: BTreeMap<Partition, Vec<Record>>) -> Result<(), Error> {
        by_partition.into_iter().try_for_each(|(partition, records)| self.append(partition, records))
    }

    /// Wraps keys with the newest epoch that was there when nobody could have forgotten them yet, and keeps them.
    fn keep(&self, keys: &[Minted]) -> Result<(), Error> {
        let mut wrapping = self.newest_wrapping()?;
        loop {
            let mut records: BTreeMap<Partition, Vec<Record>> = BTreeMap::new();
            for key in keys {
                let record = entry::put(key, wrapping.epoch(), wrapping.wrap(&self.nonces, key));
                records.entry(self.partition_of(key.owner)).or_default().push(record);
            }
            self.append_all(records)?;
            // Whoever rotates waits until everybody wraps with the new epoch, and then wraps anew what there is of older ones.
            // A key that took longer to become durable may have come behind that.
            let newest = self.newest_wrapping()?;
            if newest.epoch() == wrapping.epoch() {
                return Ok(());
            }
            wrapping = newest;
        }
    }

    /// What wraps new keys, as of [`Settings::fresh`] ago at most.
    fn newest_wrapping(&self) -> Result<Arc<Wrapping>, Error> {
        let mut wrappings = lock(&self.wrappings);
        if wrappings.read_at.is_none_or(|at| at.elapsed() >= self.settings.fresh) {
            wrappings.read(&*self.log, &self.roots)?;
        }
        wrappings.current().ok_or(Error::NoWrapping)
    }

    /// Writes the floors first: they doom also what is not known here.
    fn destroy(&self, doomed: &[Doomed]) -> Result<(), Error> {
        let mut dead: BTreeMap<Partition, BTreeSet<(Handle, KeyId)>> = BTreeMap::new();
        let mut records: BTreeMap<Partition, Vec<Record>> = BTreeMap::new();
        for Doomed { subject, floor, keys } in doomed {
            let partition = self.partition_of(Owner::Subject(*subject));
            let of_subject = self.doom(partition, *subject, *floor, keys);
            let tombstones = of_subject.iter().map(|id| entry::tombstone(subject.as_bytes(), *id));
            let all = std::iter::once(entry::floor(*subject, *floor)).chain(tombstones);
            records.entry(partition).or_default().extend(all);
            dead.entry(partition).or_default().extend(of_subject.iter().map(|id| (*subject, *id)));
        }
        self.append_all(records)?;
        for (partition, dead) in dead {
            let Some(slot) = self.slot(partition) else { continue };
            let mut followed = lock(&slot.followed);
            followed.late.retain(|one| !dead.contains(one));
        }
        Ok(())
    }

    /// The keys of a subject that are to die: these, and those that came late.
    fn doom(&self, partition: Partition, subject: Handle, floor: Seq, keys: &[KeyId]) -> Vec<KeyId> {
        let Some(slot) = self.slot(partition) else { return keys.to_vec() };
        // They are gone from the ring already. Should this fail, whoever tries again must still know of them.
        let mut followed = lock(&slot.followed);
        followed.late.extend(keys.iter().map(|id| (subject, *id)));
        let first = KeyId::from_bytes([0; 16]);
        let all = followed.late.range((subject, first)..).take_while(|(of, _)| *of == subject);
        all.map(|(_, id)| *id).filter(|id| id.since() < floor).collect()
    }

    fn bury_late(&self, ring: &Keyring, partition: Partition) -> Result<usize, Error> {
        let Some(slot) = self.slot(partition) else { return Ok(0) };
        let (late, lowered) = {
            let followed = lock(&slot.followed);
            (followed.late.clone(), followed.lowered.clone())
        };
        if late.is_empty() && lowered.is_empty() {
            return Ok(0);
        }
        let floors = lowered.iter().map(|subject| entry::floor(*subject, ring.floor(*subject)));
        let tombstones = late.iter().map(|(subject, id)| entry::tombstone(subject.as_bytes(), *id));
        self.append(partition, floors.chain(tombstones).collect())?;
        let mut followed = lock(&slot.followed);
        followed.late.retain(|one| !late.contains(one));
        followed.lowered.retain(|one| !lowered.contains(one));
        Ok(late.len())
    }
}

impl Vault for KeyTopic {
    fn keep(&self, keys: &[Minted]) -> Result<(), VaultError> {
        Ok(self.0.keep(keys)?)
    }

    fn destroy(&self, subject: Handle, floor: Seq, keys: &[KeyId]) -> Result<(), VaultError> {
        self.destroy_all(&[Doomed { subject, floor, keys: keys.to_vec() }])
    }

    fn destroy_all(&self, doomed: &[Doomed]) -> Result<(), VaultError> {
        Ok(self.0.destroy(doomed)?)
    }

    fn destroy_epochs(&self, keys: &[(Owner, KeyId)]) -> Result<(), VaultError> {
        let mut records: BTreeMap<Partition, Vec<Record>> = BTreeMap::new();
        for (owner, id) in keys {
            let record = entry::tombstone(owner.as_bytes(), *id);
            records.entry(self.0.partition_of(*owner)).or_default().push(record);
        }
        Ok(self.0.append_all(records)?)
    }

    fn refresh(&self, ring: &Keyring, of: Owner) -> Result<(), VaultError> {
        Ok(self.0.read(ring, self.0.partition_of(of))?)
    }

    fn bury_late(&self, ring: &Keyring, of: Owner) -> Result<usize, VaultError> {
        Ok(self.0.bury_late(ring, self.0.partition_of(of))?)
    }

    fn is_fresh(&self, of: Owner) -> bool {
        self.0.is_fresh(of)
    }
}
