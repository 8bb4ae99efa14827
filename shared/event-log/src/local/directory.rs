//! The directory of a log: its description, the lock that keeps a second writer out, and files that are either the
//! old or the new ones.
//!
//! ```text
//! DIR/log.json        which log this is and how many partitions it has
//! DIR/LOCK            held by the process that writes
//! DIR/positions.json  commits and releases
//! DIR/TOPIC/PARTITION/BASE.log
//! ```

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::{Error, LogId};

/// The layout this release writes, and the newest it reads.
const FORMAT: u32 = 1;

/// What `log.json` says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) format: u32,
    pub(crate) id: LogId,
    pub(crate) partitions: u32,
}

/// Takes the writer's lock, which the kernel releases when the process ends however it ends.
pub(crate) fn lock(dir: &Path) -> Result<File, Error> {
    let path = dir.join("LOCK");
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let owner = fs::read_to_string(&path).unwrap_or_default();
            let owner = owner.trim();
            let owner = if owner.is_empty() { String::new() } else { format!(" (process {owner})") };
            return Err(Error::Locked { dir: dir.to_owned(), owner });
        }
        Err(errno) => return Err(Error::io("lock", &path)(errno.into())),
    }
    // Only there to be named in the refusal of a second writer.
    file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(Error::io("write", &path))?;
    Ok(file)
}

/// Makes the directory and its parents, and makes them durable.
pub(crate) fn create(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(Error::io("create", dir)(error)),
    }
    sync_dir(parent.unwrap_or_else(|| Path::new(".")))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), Error> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(Error::io("sync", dir))
}

/// Replaces a file so that a crash leaves either the old or the new content.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<(), Error> {
    let temporary = temporary(path);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(Error::io("write", &temporary))?;
    fs::rename(&temporary, path).map_err(Error::io("replace", path))?;
    sync_dir(path.parent().unwrap_or_else(|| Path::new(".")))
}

/// The name under which a file is prepared.
pub(crate) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}

/// Reads `log.json`; `None` when there is none.
pub(crate) fn describe(dir: &Path) -> Result<Option<Description>, Error> {
    let path = dir.join("log.json");
    let Some(text) = read_if_present(&path)? else { return Ok(None) };
    /// The version is judged first: a newer release may have changed the rest.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let corrupt = |error: serde_json::Error| Error::Corrupt {
        file: path.clone(),
        position: 0,
        offset: crate::Offset::FIRST,
        detail: error.to_string(),
    };
    let version: Version = serde_json::from_slice(&text).map_err(corrupt)?;
    if version.format != FORMAT {
        return Err(Error::UnknownVersion { file: path, version: version.format, known: FORMAT });
    }
    serde_json::from_slice(&text).map(Some).map_err(corrupt)
}

/// Describes a new log. A directory that already holds topics without a description lost it, and is not a new log.
pub(crate) fn found(dir: &Path, partitions: u32) -> Result<Description, Error> {
    let path = dir.join("log.json");
    for entry in fs::read_dir(dir).map_err(Error::io("list", dir))? {
        let entry = entry.map_err(Error::io("list", dir))?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.parse::<crate::Topic>().is_ok()) {
            return Err(Error::Corrupt {
                file: path,
                position: 0,
                offset: crate::Offset::FIRST,
                detail: "the file is missing and the directory holds topics".to_owned(),
            });
        }
    }
    let description = Description { format: FORMAT, id: LogId::random(), partitions };
    let text = serde_json::to_vec_pretty(&description).expect("numbers and a UUID are always JSON");
    replace(&path, &text)?;
    Ok(description)
}

pub(crate) fn read_if_present(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    }
}
