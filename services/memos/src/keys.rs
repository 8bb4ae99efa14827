//! The keys of an installation: where the root key and the key file are, and that the data has the keys it was written with.
//!
//! Both lie outside the data directory, so that a copy of the data brings no key along. The price is that they can be lost or
//! mixed up, and memos must then never begin with fresh ones: everything that is kept would read as forgotten. So the data
//! directory holds the id of its key file, and a file that is missing or is another one is refused. Fresh keys are made
//! only where there is nothing yet that was sealed.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use event_log::now;
use keyring::file::{self, FileError, FileId, Maintained};
use keyring::root::{self, is_inside};
use keyring::{KeyFile, Keyring, RootError, RootSource};
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};
use service_runtime::{Stop, fatal};

use crate::embedded::store_dir;
use crate::settings::Settings;

/// How often somebody looks whether the wrapping key has to be replaced, or there is another root.
const MAINTAIN_EVERY: Duration = Duration::from_secs(10);

/// Keeps keys out of core dumps and from other processes of the same user. To be called before any key is loaded; whoever
/// opens a key file here need not.
///
/// # Errors
/// When the operating system refuses.
pub(crate) fn no_core_dumps() -> anyhow::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).context("turn off core dumps")?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).context("turn off core dumps")
}

/// Opens the key file for this process, and makes it where nothing was kept yet.
///
/// # Errors
/// When the root key or the key file is missing, is not the right one, or lies in the data directory.
pub(crate) fn open_file(settings: &Settings) -> anyhow::Result<(Keyring, KeyFile)> {
    let (path, source) = places(settings)?;
    let data = &settings.data.dir;
    std::fs::create_dir_all(data).with_context(|| format!("create the data directory {}", data.display()))?;
    match known(data)? {
        Some(id) => check(&path, data, id)?,
        None => {
            let used = settings.log_dir().exists() || store_dir(data).exists();
            anyhow::ensure!(
                !used,
                "{} holds data whose keys are not here: bring them with `memos keys import`",
                data.display()
            );
            begin(&path, &source, data)?;
        }
    }
    open(&path, source)
}

/// As [`open_file`], for keys that come from elsewhere: the data may be here before them.
///
/// # Errors
/// As [`open_file`].
pub(crate) fn open_for_import(settings: &Settings) -> anyhow::Result<(Keyring, KeyFile)> {
    let (path, source) = places(settings)?;
    let data = &settings.data.dir;
    std::fs::create_dir_all(data).with_context(|| format!("create the data directory {}", data.display()))?;
    match known(data)? {
        Some(id) => check(&path, data, id)?,
        None => begin(&path, &source, data)?,
    }
    open(&path, source)
}

/// Opens the keys of a data directory beside the process that uses them.
///
/// # Errors
/// As [`open_file`].
pub(crate) fn open_read_only(settings: &Settings) -> anyhow::Result<Keyring> {
    let (path, source) = places(settings)?;
    if let Some(id) = known(&settings.data.dir)? {
        check(&path, &settings.data.dir, id)?;
    }
    file::open_read_only(&path, &source).with_context(|| format!("open the keys in {}", path.display()))
}

fn open(path: &Path, source: RootSource) -> anyhow::Result<(Keyring, KeyFile)> {
    KeyFile::open(path, source).with_context(|| format!("open the keys in {}", path.display()))
}

/// Where the keys are, before they are loaded: the key file and the source of the root key, neither of which may lie in the data directory.
fn places(settings: &Settings) -> anyhow::Result<(PathBuf, RootSource)> {
    // Nobody who opens keys can forget it.
    no_core_dumps()?;
    let (path, source, data) = (settings.key_file()?, settings.root_source()?, &settings.data.dir);
    source.check_outside(data)?;
    let inside = is_inside(&path, data).with_context(|| format!("look for {}", path.display()))?;
    anyhow::ensure!(
        !inside,
        "the key file {} lies in the data directory, whose every copy would bring its keys along: set `keys.file`",
        path.display()
    );
    Ok((path, source))
}

/// Makes the keys of a data directory that has none; what a start that was killed has made already is taken.
fn begin(path: &Path, source: &RootSource, data: &Path) -> anyhow::Result<()> {
    if !path.exists() {
        if let RootSource::File(file) = source {
            match root::init(file) {
                Ok(root) => tracing::warn!(
                    file = %file.display(), root = %root.name(),
                    "made a root key: keep a copy in a safe place, without it nothing that memos keeps can be read"
                ),
                Err(RootError::Exists { .. }) => {}
                Err(error) => return Err(error).context("make a root key"),
            }
        }
        match KeyFile::create(path, source, now()) {
            Ok(id) => tracing::info!(file = %path.display(), %id, "made a key file"),
            Err(FileError::Exists { .. }) => {}
            Err(error) => return Err(error).context("make a key file"),
        }
    }
    let id = file::id_of(path)?;
    remember(data, id).with_context(|| format!("write {}", id_file(data).display()))
}

fn check(path: &Path, data: &Path, wanted: FileId) -> anyhow::Result<()> {
    let lost =
        "put it back, or name it in `keys.file`; if it is lost, nothing in the data directory can be read any more";
    let found = match file::id_of(path) {
        Err(FileError::Missing { .. }) => {
            anyhow::bail!("{} needs its key file {}, which is not there: {lost}", data.display(), path.display())
        }
        found => found?,
    };
    anyhow::ensure!(
        found == wanted,
        "{} needs the key file with id {wanted}, and {} is another one ({found}): {lost}",
        data.display(),
        path.display()
    );
    Ok(())
}

/// Where a data directory says which key file it needs.
fn id_file(data: &Path) -> PathBuf {
    data.join("keyring.id")
}

fn known(data: &Path) -> anyhow::Result<Option<FileId>> {
    let path = id_file(data);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let id = FileId::parse(text.trim());
            id.with_context(|| format!("{} is damaged: it holds no id of a key file", path.display())).map(Some)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read {}", path.display())),
    }
}

fn remember(data: &Path, id: FileId) -> std::io::Result<()> {
    let (path, new) = (id_file(data), data.join("keyring.id.new"));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&new)?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    std::fs::rename(&new, &path)?;
    File::open(data)?.sync_all()
}

/// Replaces wrapping keys when it is time, and takes over a new root, on a thread of its own.
///
/// # Errors
/// When the thread cannot be started.
pub(crate) fn maintain(file: KeyFile, stop: Stop) -> std::io::Result<JoinHandle<()>> {
    let run = move || {
        let mut told = String::new();
        while !stop.wait_for(MAINTAIN_EVERY) {
            match file.maintain(now()) {
                Ok(Maintained::Nothing) => {}
                Ok(Maintained::NewRoot) => tracing::info!("the keys are wrapped with another root key"),
                Ok(Maintained::Rotated) => tracing::info!("the wrapping key was replaced"),
                Err(error) if file.is_failed() => {
                    fatal(format_args!("the keys cannot be written: {:#}", anyhow::Error::new(error)));
                }
                Err(error) => {
                    let text = format!("{:#}", anyhow::Error::new(error));
                    if text != told {
                        tracing::error!(error = text, "replace the wrapping key");
                        told = text;
                    }
                }
            }
        }
    };
    std::thread::Builder::new().name("key-maintenance".to_owned()).spawn(run)
}

#[cfg(test)]
mod tests {
    use memory_core::{Handle, Seq};

    use super::*;

    fn settings(dir: &Path) -> Settings {
        let mut settings = Settings::default();
        settings.data.dir = dir.join("data");
        settings.keys.root_file = dir.join("root.key");
        settings
    }

    fn refused(settings: &Settings) -> String {
        format!("{:#}", open_file(settings).map(|(ring, _)| ring).expect_err("it is refused"))
    }

    #[test]
    fn keys_are_made_once_and_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = settings(dir.path());
        let (ring, file) = open_file(&settings).expect("they are made");
        ring.of_subjects(&[(Handle::from_bytes([1; 16]), Seq::new(1))], now()).expect("a key");
        assert!(dir.path().join("data.keys").exists() && dir.path().join("root.key").exists());
        assert!(refused(&settings).contains("another process"), "a second one is kept out");
        assert_eq!(open_read_only(&settings).expect("a reader is not").len(), 1);
        drop((ring, file));
        std::fs::create_dir(settings.log_dir()).expect("a log");
        assert_eq!(open_file(&settings).expect("they are found").0.len(), 1);
    }

    #[test]
    fn data_without_its_keys_is_refused_and_gets_no_fresh_ones() {
        let dir = tempfile::tempdir().expect("a directory");
        let settings = settings(dir.path());
        drop(open_file(&settings).expect("they are made"));
        let (file, away) = (dir.path().join("data.keys"), dir.path().join("away"));
        std::fs::rename(&file, &away).expect("it is moved");
        let text = refused(&settings);
        assert!(text.contains("data.keys, which is not there") && !file.exists(), "{text}");
        KeyFile::create(&file, &settings.root_source().expect("a source"), now()).expect("another one");
        let text = refused(&settings);
        assert!(text.contains("is another one"), "{text}");
        assert!(open_read_only(&settings).is_err());
        std::fs::rename(&away, &file).expect("it is put back");
        drop(open_file(&settings).expect("it is the right one"));
        // A log that came from elsewhere.
        std::fs::remove_file(id_file(&settings.data.dir)).expect("no id");
        std::fs::create_dir(settings.log_dir()).expect("a log");
        let text = refused(&settings);
        assert!(text.contains("memos keys import"), "{text}");
        drop(open_for_import(&settings).expect("they may come"));
        drop(open_file(&settings).expect("and stay"));
        // Without its root a key file is nothing.
        std::fs::remove_file(dir.path().join("root.key")).expect("it is lost");
        assert!(refused(&settings).contains("memos keys init"));
    }

    #[test]
    fn keys_in_the_data_directory_are_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut inside = settings(dir.path());
        inside.keys.root_file = inside.data.dir.join("root.key");
        assert!(refused(&inside).contains("keys.root_file"));
        let mut inside = settings(dir.path());
        inside.keys.file = inside.data.dir.join("keys");
        assert!(refused(&inside).contains("keys.file"));
        assert!(!inside.data.dir.exists() && !dir.path().join("root.key").exists(), "nothing was made");
    }
}
