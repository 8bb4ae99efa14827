//! Keys in a file of slots, for a process that has its log and its store on one disk.
//!
//! A key that is destroyed must be gone from the disk, so a slot is overwritten where it lies, and the file is never
//! rewritten or replaced: that would leave the old blocks, with all keys, among the free ones. Some disks and file systems
//! write elsewhere all the same, and backups hold what they hold. Therefore all keys are wrapped, and the *wrapping key*
//! is replaced every day and after every thousand destroyed keys: whatever old copies of wrapped keys there are, nothing
//! opens them any more, and what is left of the old wrapping key needs the root key, which is not in the file.
//!
//! The file lies outside the data directory, so that a copy of the data does not bring its keys along.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memory_core::{Handle, Seq, Timestamp};

use self::disk::Disk;
pub use self::error::FileError;
use self::layout::{Entry, Held, PLACES, Place};
pub use self::read_only::open_read_only;
pub use self::salvage::salvage;
use self::state::State;
use crate::root::{parent, sync_dir};
use crate::vault::VaultError;
use crate::wrap::Wrapping;
use crate::{Doomed, KeyId, Keyring, Minted, Nonces, Owner, RootName, RootSource, Roots, Vault};

mod disk;
mod error;
mod layout;
mod read;
mod read_only;
mod salvage;
mod state;

/// Destroyed keys after which the wrapping key is replaced.
const DESTROYED_MAX: u64 = 1_000;
/// Seconds after which the wrapping key is replaced.
const LASTS_SECONDS: i64 = 24 * 60 * 60;

/// Tells key files apart; made with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId([u8; 16]);

impl FileId {
    /// Parses the 32 hexadecimal digits that [`fmt::Display`] writes.
    #[must_use]
    pub fn parse(hex: &str) -> Option<Self> {
        let number = (hex.len() == 32).then(|| u128::from_str_radix(hex, 16).ok())??;
        Some(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// What [`KeyFile::maintain`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maintained {
    Nothing,
    /// The wrapping key is wrapped with another root now.
    NewRoot,
    /// There is a new wrapping key.
    Rotated,
}

/// An open key file. Clones share it; the first write that fails ends all of them.
#[derive(Clone)]
pub struct KeyFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    id: FileId,
    source: RootSource,
    nonces: Nonces,
    /// Held by who changes wrapping keys.
    turn: Mutex<()>,
    state: Mutex<State>,
}

impl KeyFile {
    /// Makes a key file without keys, durably and readable by its owner only.
    ///
    /// # Errors
    /// [`FileError::Exists`]; when there is no root, or the disk refuses.
    pub fn create(path: &Path, source: &RootSource, now: Timestamp) -> Result<FileId, FileError> {
        let roots = source.load().map_err(FileError::Root)?;
        let nonces = Nonces::new().map_err(FileError::Random)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id).map_err(FileError::Random)?;
        let (wrapping, root) = (Wrapping::random(1).map_err(FileError::Random)?, roots.current());
        let place = Place::new(wrapping.epoch(), now, root.id(), root.wrap(&nonces, &wrapping));
        let mut name = path.as_os_str().to_owned();
        name.push(".new");
        let new = PathBuf::from(name);
        let write = || -> std::io::Result<()> {
            std::fs::create_dir_all(parent(path))?;
            match std::fs::remove_file(&new) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&new)?;
            file.set_len(read::LENGTH_MIN)?;
            let disk = Disk::new(file);
            disk.write(0, &layout::write_identity(id))?;
            disk.write(PLACES[0], &place.write())?;
            disk.file().sync_all()?;
            // A link, unlike a rename, never takes the place of another file.
            let linked = std::fs::hard_link(&new, path);
            std::fs::remove_file(&new)?;
            linked?;
            sync_dir(parent(path))
        };
        write().map_err(|error| {
            let exists = error.kind() == ErrorKind::AlreadyExists;
            if exists { FileError::Exists { path: path.to_owned() } } else { read::io("make", path)(error) }
        })?;
        Ok(FileId(id))
    }

    /// Opens a key file for this process alone, finishes what a crash interrupted, and makes a ring of its keys.
    ///
    /// # Errors
    /// When the file is not there, is another one's, is damaged, or is of another root.
    pub fn open(path: &Path, source: RootSource) -> Result<(Keyring, Self), FileError> {
        let roots = source.load().map_err(FileError::Root)?;
        let file = opened(path, OpenOptions::new().read(true).write(true).open(path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(read::io("lock", path)(error)),
        }
        let disk = Disk::new(file);
        let id = read::identity(&disk, path)?;
        let mut places = read::places(&disk, path, &roots)?;
        let found = read::contents(&disk, path, &places)?;
        let waste = places.waste.take();
        let (current, former) = (places.current, places.former);
        let state = State { disk, current, former, slots: found.slots.clone(), destroyed: 0, failed: false };
        let nonces = Nonces::new().map_err(FileError::Random)?;
        let (turn, state, path) = (Mutex::default(), Mutex::new(state), path.to_owned());
        let opened = Self(Arc::new(Inner { path, id, source, nonces, turn, state }));
        opened.resume(waste, &roots)?;
        let ring = Keyring::new(Box::new(opened.clone())).map_err(|error| opened.no_ring(error))?;
        found.teach(&ring);
        Ok((ring, opened))
    }

    fn resume(&self, waste: Option<usize>, roots: &Roots) -> Result<(), FileError> {
        if let Some(at) = waste {
            self.with("repair", |state| state.clear(at))?;
        }
        self.finish_rotation()?;
        self.with("destroy keys in", State::bury_doomed)?;
        if self.state().current.place.root != roots.current().id() {
            self.rewrap_root(roots)?;
        }
        Ok(())
    }

    fn no_ring(&self, error: crate::Error) -> FileError {
        read::io("load", &self.0.path)(std::io::Error::other(error))
    }

    /// Which key file it is.
    #[must_use]
    pub fn id(&self) -> FileId {
        self.0.id
    }

    /// Replaces the wrapping key, and reads the root anew for it. Keys can be used, kept and destroyed meanwhile.
    ///
    /// # Errors
    /// When the root cannot be read, which changes nothing; when the disk refuses, and then nothing is written any more.
    pub fn rotate_wrapping(&self, now: Timestamp) -> Result<(), FileError> {
        let roots = self.0.source.load().map_err(FileError::Root)?;
        let turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        // One thing at a time: a crash then leaves either two roots or two epochs, never a mixture.
        if self.state().current.place.root != roots.current().id() {
            self.with("change the root of", |state| state.change_root(&self.0.nonces, roots.current()))?;
        }
        self.with("rotate", |state| state.begin_rotation(&self.0.nonces, roots.current(), now))?;
        self.finish_rotation()?;
        drop(turn);
        Ok(())
    }

    fn finish_rotation(&self) -> Result<(), FileError> {
        for chunk in 0.. {
            if !self.with("rotate", |state| state.rotate_chunk(&self.0.nonces, chunk))? {
                break;
            }
        }
        self.with("rotate", State::finish_rotation)
    }

    /// Wraps the wrapping key with the first of these roots.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn rewrap_root(&self, roots: &Roots) -> Result<(), FileError> {
        let turn = self.0.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.with("change the root of", |state| state.change_root(&self.0.nonces, roots.current()))?;
        drop(turn);
        Ok(())
    }

    /// What has to be done from time to time; to be called every minute or so. Takes over a new root where it comes from a
    /// file, and replaces the wrapping key when it is a day old or has seen a thousand keys destroyed.
    ///
    /// # Errors
    /// As [`KeyFile::rotate_wrapping`]; [`KeyFile::is_failed`] tells the two cases apart.
    pub fn maintain(&self, now: Timestamp) -> Result<Maintained, FileError> {
        let (made, destroyed, root) = {
            let state = self.state();
            (state.current.place.made, state.destroyed, state.current.place.root)
        };
        // A clock that was set back must not put it off.
        let lasted = now.seconds_since(made).abs() >= LASTS_SECONDS;
        if lasted || destroyed >= DESTROYED_MAX {
            self.rotate_wrapping(now)?;
            return Ok(Maintained::Rotated);
        }
        match &self.0.source {
            // The file may have been put away since the start; it is needed again only for a new wrapping key.
            RootSource::File(path) if path.exists() => {
                let roots = self.0.source.load().map_err(FileError::Root)?;
                if roots.current().id() == root {
                    return Ok(Maintained::Nothing);
                }
                self.rewrap_root(&roots)?;
                Ok(Maintained::NewRoot)
            }
            RootSource::File(_) | RootSource::Env(_) | RootSource::Command(_) => Ok(Maintained::Nothing),
        }
    }

    /// Whether a write has failed. The process has to end then: nothing is kept or destroyed any more.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.state().failed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(
        &self,
        what: &'static str,
        change: impl FnOnce(&mut State) -> std::io::Result<T>,
    ) -> Result<T, FileError> {
        let mut state = self.state();
        if state.failed {
            return Err(FileError::Failed { path: self.0.path.clone() });
        }
        let changed = change(&mut state);
        state.failed = changed.is_err();
        changed.map_err(read::io(what, &self.0.path))
    }
}

impl Vault for KeyFile {
    fn keep(&self, keys: &[Minted]) -> Result<(), VaultError> {
        Ok(self.with("keep keys in", |state| state.keep(&self.0.nonces, keys))?)
    }

    fn destroy(&self, subject: Handle, floor: Seq, keys: &[KeyId]) -> Result<(), VaultError> {
        self.destroy_all(&[Doomed { subject, floor, keys: keys.to_vec() }])
    }

    fn destroy_all(&self, doomed: &[Doomed]) -> Result<(), VaultError> {
        Ok(self.with("destroy keys in", |state| state.destroy_subjects(doomed))?)
    }

    fn destroy_epochs(&self, keys: &[(Owner, KeyId)]) -> Result<(), VaultError> {
        Ok(self.with("destroy keys in", |state| state.destroy(keys))?)
    }

    fn refresh(&self, _: &Keyring, _: Owner) -> Result<(), VaultError> {
        // Nobody else writes it.
        Ok(())
    }

    fn is_fresh(&self, _: Owner) -> bool {
        true
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({})", self.0.path.display())
    }
}

/// What can be told of a key file without its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    pub id: FileId,
    /// The roots that its wrapping keys are wrapped with: one, or two while a rotation goes on.
    pub roots: Vec<RootName>,
    /// When the youngest wrapping key was made.
    pub made: Timestamp,
    /// How many keys are wrapped in which epoch.
    pub epochs: BTreeMap<u32, u64>,
    pub subjects: u64,
    pub subject_keys: u64,
    pub tenants: u64,
    pub tenant_keys: u64,
    /// Subjects of which it is known up to where their keys are dead.
    pub floors: u64,
}

impl Summary {
    /// Looks into a key file, which another process may use.
    ///
    /// # Errors
    /// When it is not there, not a key file, or damaged.
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let disk = read_only::disk(path)?;
        read_only::steadily(|| Self::read(&disk, path))
    }

    fn read(disk: &Disk, path: &Path) -> Result<Self, FileError> {
        let id = read::identity(disk, path)?;
        let whole = read::standing(disk, path)?.into_iter().filter_map(|held| match held {
            Held::Whole(place) => Some(place),
            Held::Nothing | Held::Damaged => None,
        });
        let mut places: Vec<Place> = whole.collect();
        places.sort_by_key(|place| place.epoch);
        let newest = places.last().ok_or_else(|| read::damaged(path, "no wrapping key stands in it"))?;
        let mut summary = Self {
            id,
            roots: places.iter().map(|place| RootName(place.root)).collect(),
            made: newest.made,
            epochs: BTreeMap::new(),
            subjects: 0,
            subject_keys: 0,
            tenants: 0,
            tenant_keys: 0,
            floors: 0,
        };
        summary.roots.dedup();
        let mut owners = BTreeSet::new();
        read::slots(disk, path, |_, slot| {
            let slot = match slot {
                None => return,
                Some(Entry::Floor(_)) => {
                    summary.floors += 1;
                    return;
                }
                Some(Entry::Key(slot)) => slot,
            };
            *summary.epochs.entry(slot.epoch).or_default() += 1;
            let (keys, distinct) = match slot.owner {
                Owner::Subject(_) => (&mut summary.subject_keys, &mut summary.subjects),
                Owner::Tenant(_) => (&mut summary.tenant_keys, &mut summary.tenants),
            };
            *keys += 1;
            *distinct += u64::from(owners.insert(slot.owner));
        })?;
        Ok(summary)
    }
}

/// The id of a key file, which another process may use.
///
/// # Errors
/// When it is not there, or not a key file.
pub fn id_of(path: &Path) -> Result<FileId, FileError> {
    read::identity(&read_only::disk(path)?, path)
}

fn open_file(path: &Path) -> Result<File, FileError> {
    opened(path, File::open(path))
}

fn opened(path: &Path, file: std::io::Result<File>) -> Result<File, FileError> {
    file.map_err(|error| {
        let missing = error.kind() == ErrorKind::NotFound;
        if missing { FileError::Missing { path: path.to_owned() } } else { read::io("open", path)(error) }
    })
}

#[cfg(test)]
mod tests;
