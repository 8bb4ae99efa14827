//! `memos keys`: making, replacing, moving and counting keys. None of them is ever shown.
//!
//! A root key is replaced in three steps, each of which may be the last before a crash, and each of which a repetition finds
//! done: the new one is put in front of the old one, the wrapping key is wrapped with the new one, the old one is removed.
//! Only the process that uses the key file writes it; where that is another one, it sees the new root by itself, and this
//! command waits until it has. On Kafka ([`kafka`]) anybody may write.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use event_log::now;
use keyring::archive::{self, Contents, Counts};
use keyring::file::{FileError, Summary};
use keyring::root::{self, is_inside};
use keyring::{KeyFile, Keyring, RootKey, RootName, RootSource, Roots};

use crate::cli::KeysCommand;
use crate::settings::Settings;
use crate::{kafka_keys, keys, settings};

mod kafka;

/// How long a process that runs may take to see a new root: several of its rounds.
const TAKE_OVER: Duration = Duration::from_secs(120);

/// What is to be replaced.
#[derive(Clone, Copy, Debug, Default)]
struct Rotation {
    /// The wrapping key, before the root key.
    wrapping: bool,
    /// Older root keys go also from the file that other data may share.
    drop_old: bool,
}

/// Does what was asked.
///
/// # Errors
/// When a key or a file is not as it must be.
pub(crate) fn run(command: &KeysCommand, out: &mut impl Write) -> anyhow::Result<()> {
    let (KeysCommand::Init { settings, .. }
    | KeysCommand::Rotate { settings, .. }
    | KeysCommand::Export { settings, .. }
    | KeysCommand::Import { settings, .. }
    | KeysCommand::List { settings, .. }) = command;
    let settings = settings::load(settings)?.settings;
    keys::no_core_dumps()?;
    match command {
        KeysCommand::Init { root_file, .. } => init(&settings, root_file.clone(), out),
        KeysCommand::Rotate { drop_old, wrapping, kafka, .. } => {
            let rotation = Rotation { wrapping: *wrapping, drop_old: *drop_old };
            if *kafka {
                kafka::rotate(&settings, &kafka_keys::open_log(&settings)?, rotation, kafka::SETTLE, out)
            } else {
                rotate(&settings, rotation, TAKE_OVER, out)
            }
        }
        KeysCommand::Export { file, kafka: true, .. } => {
            kafka::export(&settings, &kafka_keys::open_log(&settings)?, file, out)
        }
        KeysCommand::Export { file, kafka: false, .. } => export(&settings, file, out),
        KeysCommand::Import { file, kafka: true, .. } => {
            kafka::import(&settings, &kafka_keys::open_log(&settings)?, file, out)
        }
        KeysCommand::Import { file, kafka: false, .. } => import(&settings, file, out),
        KeysCommand::List { kafka: true, .. } => kafka::list(&settings, &kafka_keys::open_log(&settings)?, out),
        KeysCommand::List { kafka: false, .. } => list(&settings.key_file()?, out),
    }
}

fn init(settings: &Settings, file: Option<PathBuf>, out: &mut impl Write) -> anyhow::Result<()> {
    let source = file.map_or_else(|| settings.root_source(), |file| Ok(RootSource::File(file)))?;
    let RootSource::File(file) = &source else {
        anyhow::bail!("the root key comes from {source}: `openssl rand -hex 32` prints one to put there")
    };
    source.check_outside(&settings.data.dir)?;
    let root = root::init(file)?;
    writeln!(out, "made the root key {} in {}", root.name(), file.display())?;
    writeln!(out, "Without it nothing that memos keeps can be read: keep a copy in a safe place.")?;
    Ok(())
}

fn rotate(settings: &Settings, rotation: Rotation, wait: Duration, out: &mut impl Write) -> anyhow::Result<()> {
    let (path, source) = (settings.key_file()?, settings.root_source()?);
    source.check_outside(&settings.data.dir)?;
    // Whatever is wrong with the key file shows before anything is changed.
    Summary::of(&path)?;
    if rotation.wrapping {
        replace_wrapping(&path, &source)?;
        writeln!(out, "the keys in {} are wrapped with a new wrapping key", path.display())?;
    }
    let roots = put_new_root(&source, out)?;
    let current = roots.current().name();
    take_over(&path, &source, current, wait)?;
    writeln!(out, "the keys in {} are wrapped with the root key {current}", path.display())?;
    remove_old_roots(settings, &source, &roots, rotation, out)
}

fn replace_wrapping(path: &Path, source: &RootSource) -> anyhow::Result<()> {
    match KeyFile::open(path, source.clone()) {
        Ok((_ring, file)) => file.rotate_wrapping(now()).context("replace the wrapping key"),
        Err(FileError::Locked { .. }) => anyhow::bail!(
            "the process that uses {} replaces its wrapping key by itself, every day and after a thousand destroyed keys; \
             stop it to do that now",
            path.display()
        ),
        Err(error) => Err(error).context("replace the wrapping key"),
    }
}

/// The first step of a new root: it stands in front of the old one, unless one does already.
fn put_new_root(source: &RootSource, out: &mut impl Write) -> anyhow::Result<Roots> {
    let roots = source.load()?;
    let RootSource::File(file) = source else { return Ok(roots) };
    if !roots.older().is_empty() {
        return Ok(roots);
    }
    let next = RootKey::random().context("make a root key")?;
    root::replace(file, &[&next, roots.current()])?;
    writeln!(out, "made the root key {} in {}", next.name(), file.display())?;
    Ok(source.load()?)
}

/// The last step: nothing here needs the old root any more.
fn remove_old_roots(
    settings: &Settings,
    source: &RootSource,
    roots: &Roots,
    rotation: Rotation,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    match source {
        RootSource::File(file) if rotation.drop_old || !settings.keys.has_shared_root() => {
            root::replace(file, &[roots.current()])?;
            writeln!(out, "removed older root keys from {}: keep a copy of it in a safe place", file.display())?;
        }
        RootSource::File(file) => {
            let text = "other data directories may still need the old root key in";
            writeln!(out, "{text} {}: `memos keys rotate --drop-old` removes it", file.display())?;
        }
        RootSource::Env(_) | RootSource::Command(_) => {
            writeln!(out, "older root keys can be removed from {source} now, if no other data needs them")?;
        }
    }
    Ok(())
}

/// Wraps the wrapping key with the current root, or waits until the process that uses the key file has.
fn take_over(path: &Path, source: &RootSource, current: RootName, wait: Duration) -> anyhow::Result<()> {
    // A file that is opened takes over the current root.
    let opened = match KeyFile::open(path, source.clone()) {
        Err(FileError::Locked { .. }) => None,
        opened => Some(opened.context("wrap the keys with the new root key")?),
    };
    drop(opened);
    let until = Instant::now() + wait;
    while Summary::of(path)?.roots != [current] {
        match source {
            RootSource::File(_) => anyhow::ensure!(
                Instant::now() < until,
                "the process that uses {} has not taken over the new root key: see what it logs, then run this again",
                path.display()
            ),
            RootSource::Env(_) | RootSource::Command(_) => anyhow::bail!(
                "another process uses {}, and knows only the old root key: restart it, then run this again",
                path.display()
            ),
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

fn export(settings: &Settings, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    refuse_inside(settings, file)?;
    write_file(&keys::open_read_only(settings)?, settings.root_source()?.load()?.current(), file, out)
}

/// Writes the file of keys, which appears under its name when it is complete.
fn write_file(ring: &Keyring, root: &RootKey, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(".unfinished");
    let unfinished = PathBuf::from(name);
    let mut options = OpenOptions::new();
    let created = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let created = created.with_context(|| format!("create {}", unfinished.display()))?;
    let Counts { keys, floors } = archive::write(ring, root, BufWriter::new(&created))?;
    created.sync_all().with_context(|| format!("sync {}", unfinished.display()))?;
    std::fs::rename(&unfinished, file).with_context(|| format!("rename to {}", file.display()))?;
    writeln!(out, "exported {keys} keys to {}, wrapped with the root key {}", file.display(), root.name())?;
    writeln!(out, "and what is known of {floors} subjects of whom something was forgotten")?;
    writeln!(out, "Remove the file when it has served its purpose: it keeps what is forgotten from now on readable.")?;
    Ok(())
}

fn import(settings: &Settings, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let found = read_file(settings, file)?;
    let (ring, _held) = keys::open_for_import(settings)?;
    take_in(found, &ring, &settings.key_file()?.display().to_string(), out)
}

fn read_file(settings: &Settings, file: &Path) -> anyhow::Result<Contents> {
    refuse_inside(settings, file)?;
    let roots = settings.root_source()?.load()?;
    let from = File::open(file).with_context(|| format!("open {}", file.display()))?;
    archive::read(&roots, BufReader::new(from)).with_context(|| format!("read {}", file.display()))
}

fn take_in(found: Contents, ring: &Keyring, place: &str, out: &mut impl Write) -> anyhow::Result<()> {
    let all = found.counts();
    let new = found.adopt(ring)?;
    writeln!(out, "imported {} of {} keys into {place}; the others were there or are forgotten", new.keys, all.keys)?;
    writeln!(
        out,
        "and what was not known of {} of {} subjects of whom something was forgotten",
        new.floors, all.floors
    )?;
    Ok(())
}

fn refuse_inside(settings: &Settings, file: &Path) -> anyhow::Result<()> {
    let inside = is_inside(file, &settings.data.dir).with_context(|| format!("look for {}", file.display()))?;
    anyhow::ensure!(!inside, "{} lies in the data directory, whose copies must bring no keys along", file.display());
    Ok(())
}

fn list(path: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let summary = Summary::of(path)?;
    writeln!(out, "key file         {} ({})", path.display(), summary.id)?;
    let roots: Vec<String> = summary.roots.iter().map(ToString::to_string).collect();
    writeln!(out, "root key         {}", roots.join(", "))?;
    writeln!(out, "keys of subjects {} (of {} subjects)", summary.subject_keys, summary.subjects)?;
    writeln!(out, "keys of tenants  {} (of {} tenants)", summary.tenant_keys, summary.tenants)?;
    writeln!(out, "forgotten        something of {} subjects", summary.floors)?;
    for (epoch, count) in &summary.epochs {
        writeln!(out, "wrapping epoch   {epoch}: {count} keys")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
