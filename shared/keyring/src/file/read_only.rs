//! A key file beside the process that writes it: its keys as they are, for commands that look.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use memory_core::{Handle, Seq};

use super::disk::Disk;
use super::read::Contents;
use super::{FileError, open_file, read};
use crate::vault::VaultError;
use crate::{KeyId, Keyring, Minted, Owner, RootSource, Roots, Vault};

/// How often a file is read again that seems to be damaged, because somebody may just be writing it.
const TRIES: u32 = 20;

/// Makes a ring of the keys of a file that another process may use. It sees what that one keeps and destroys later; it
/// cannot keep or destroy anything itself.
///
/// # Errors
/// When the file is not there, is another one's, is damaged, or is of another root.
pub fn open_read_only(path: &Path, source: &RootSource) -> Result<Keyring, FileError> {
    let roots = source.load().map_err(FileError::Root)?;
    let vault = ReadOnly { path: path.to_owned(), roots, disk: disk(path)?, seen: Mutex::default() };
    let (seen, found) = vault.read()?;
    *vault.seen.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    let failed = |error: crate::Error| read::io("load", path)(std::io::Error::other(error));
    let ring = Keyring::new(Box::new(vault)).map_err(failed)?;
    found.teach(&ring);
    Ok(ring)
}

pub(super) fn disk(path: &Path) -> Result<Disk, FileError> {
    open_file(path).map(Disk::new)
}

/// Reads again what seems to be damaged.
pub(super) fn steadily<T>(read: impl Fn() -> Result<T, FileError>) -> Result<T, FileError> {
    let mut tries = 1;
    loop {
        match read() {
            Err(FileError::Damaged { .. } | FileError::WrongRoot { .. }) if tries < TRIES => {
                tries += 1;
                std::thread::yield_now();
            }
            done => return done,
        }
    }
}

struct ReadOnly {
    path: PathBuf,
    roots: Roots,
    disk: Disk,
    /// When the file had last been written as it was read; none when it may have been written since.
    seen: Mutex<Option<SystemTime>>,
}

impl ReadOnly {
    fn read(&self) -> Result<(Option<SystemTime>, Contents), FileError> {
        // A time of writing tells two writes apart only when the clock has moved on.
        let steady = |written: &SystemTime| written.elapsed().is_ok_and(|age| age > Duration::from_secs(1));
        let seen = self.written()?.filter(steady);
        let found = steadily(|| {
            read::identity(&self.disk, &self.path)?;
            let places = read::places(&self.disk, &self.path, &self.roots)?;
            read::contents(&self.disk, &self.path, &places)
        })?;
        Ok((seen, found))
    }

    fn written(&self) -> Result<Option<SystemTime>, FileError> {
        let metadata = self.disk.file().metadata().map_err(read::io("read", &self.path))?;
        Ok(metadata.modified().ok())
    }

    fn refused(&self) -> VaultError {
        FileError::ReadOnly { path: self.path.clone() }.into()
    }
}

impl Vault for ReadOnly {
    fn keep(&self, _: &[Minted]) -> Result<(), VaultError> {
        Err(self.refused())
    }

    fn destroy(&self, _: Handle, _: Seq, _: &[KeyId]) -> Result<(), VaultError> {
        Err(self.refused())
    }

    fn destroy_epochs(&self, _: &[(Owner, KeyId)]) -> Result<(), VaultError> {
        Err(self.refused())
    }

    fn refresh(&self, ring: &Keyring, _: Owner) -> Result<(), VaultError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_some() && *seen == self.written()? {
            return Ok(());
        }
        let (now_seen, found) = self.read()?;
        let kept: HashSet<KeyId> = found.keys.iter().map(|key| key.id).collect();
        ring.all().iter().filter(|held| !kept.contains(&held.id)).for_each(|gone| ring.lose(gone.id));
        found.teach(ring);
        *seen = now_seen;
        Ok(())
    }

    fn is_fresh(&self, _: Owner) -> bool {
        true
    }
}

impl std::fmt::Debug for ReadOnly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ReadOnly({})", self.path.display())
    }
}
