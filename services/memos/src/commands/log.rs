//! `memos log export|import`: how a log moves, to another machine or to another number of partitions.
//!
//! Both work on a log that no memos is running on, in a data directory or on Kafka. Only the log and the hash secret move, and
//! by `memos keys` the keys, which an archive must not hold: they could not be destroyed in it any more. Every store is
//! rebuilt from these, and what is remembered is the same to the last byte (law L06). Offsets are not: they name places
//! in one log, so whatever holds one is translated ([`offsets`]) or names its log and is ignored elsewhere.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use event_log::{EventLog, LocalLog, LocalLogSettings, Topic};
use memory_core::HashSecret;
use rustix::fs::{FlockOperation, flock};

use crate::cli::LogCommand;
use crate::commands::log::archive::{Archive, Counts};
use crate::{secret, settings};

mod archive;
mod export;
mod import;
mod kafka;
mod offsets;
mod working;

/// Exports or imports.
///
/// # Errors
/// When the directory or the file is not as it must be; a half-made result is never left under the wanted name.
pub(crate) fn run(command: &LogCommand, out: &mut impl Write) -> anyhow::Result<()> {
    match command {
        LogCommand::Export { file, kafka, settings } => {
            let settings = settings::load(settings)?.settings;
            let counts =
                if *kafka { kafka::export(&settings, file)? } else { export_directory(&settings.data.dir, file)? };
            // The archive itself may have gone to standard output.
            if file != Path::new("-") {
                writeln!(out, "exported {counts} to {}", file.display())?;
                let of = if *kafka { " --kafka" } else { "" };
                writeln!(
                    out,
                    "They are sealed, and their keys are not among them: `memos keys export{of}` writes those."
                )?;
            }
        }
        LogCommand::Import { file, kafka: true, partitions: _, settings } => {
            let settings = settings::load(settings)?.settings;
            let counts = kafka::import(&settings, file, out)?;
            writeln!(out, "imported {counts} into the log at {}", settings.kafka.bootstrap_servers)?;
            writeln!(out, "Before a service is started, bring their keys with `memos keys import --kafka`.")?;
        }
        LogCommand::Import { file, kafka: false, partitions, settings } => {
            let data = settings::load(settings)?.settings.data.dir;
            let (counts, partitions) = import_directory(file, *partitions, &data)?;
            writeln!(out, "imported {counts} into {}", data.display())?;
            writeln!(out, "Before memos is started on it, bring their keys with `memos keys import`.")?;
            if partitions != settings::load(settings)?.settings.log.partitions {
                writeln!(out, "start memos on it with --set log.partitions={partitions}")?;
            }
        }
    }
    Ok(())
}

fn export_directory(data: &Path, file: &Path) -> anyhow::Result<Counts> {
    let log_dir = settings::log_dir(data);
    let _stopped = keep_stopped(&log_dir)?;
    let secret = secret::load(&secret::beside(data))?;
    let log = LocalLog::open_read_only(&log_dir).with_context(|| format!("open the log in {}", log_dir.display()))?;
    export_log(&log, &secret, file)
}

/// Writes the archive of a log, which appears under its name when it is complete.
fn export_log(log: &dyn EventLog, secret: &HashSecret, file: &Path) -> anyhow::Result<Counts> {
    if file == Path::new("-") {
        return export::write(log, secret, std::io::stdout().lock());
    }
    let unfinished = sibling(file, ".unfinished");
    let mut options = OpenOptions::new();
    let created = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished);
    let created = created.with_context(|| format!("create {}", unfinished.display()))?;
    let counts = export::write(log, secret, BufWriter::new(&created))?;
    created.sync_all().with_context(|| format!("sync {}", unfinished.display()))?;
    fs::rename(&unfinished, file).with_context(|| format!("rename to {}", file.display()))?;
    sync_parent(file)?;
    Ok(counts)
}

/// Makes sure that no memos runs on the log, and keeps one from starting: a copy of a moving log could hold a
/// subject's state and lack the events behind it.
fn keep_stopped(log_dir: &Path) -> anyhow::Result<Option<File>> {
    let path = log_dir.join("LOCK");
    let Ok(file) = File::open(&path) else { return Ok(None) };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            anyhow::bail!("memos is running on {}: stop it first, so that the copy is complete", log_dir.display())
        }
        Err(errno) => Err(errno).with_context(|| format!("lock {}", path.display())),
    }
}

fn import_directory(file: &Path, partitions: Option<u32>, data: &Path) -> anyhow::Result<(Counts, u32)> {
    let empty = !data.exists() || fs::read_dir(data).is_ok_and(|mut entries| entries.next().is_none());
    anyhow::ensure!(empty, "{} is not empty: an import makes a data directory of its own", data.display());
    let archive = open_archive(file)?;
    let partitions = partitions.unwrap_or(archive.header.partitions);
    let unfinished = sibling(data, ".tmp");
    remove(&unfinished)?;
    let imported = import_into(archive, partitions, &unfinished).with_context(|| format!("import {}", file.display()));
    match imported {
        Ok(counts) => {
            fs::rename(&unfinished, data).with_context(|| format!("rename to {}", data.display()))?;
            sync_parent(data)?;
            Ok((counts, partitions))
        }
        Err(error) => {
            remove(&unfinished)?;
            Err(error)
        }
    }
}

fn open_archive(file: &Path) -> anyhow::Result<Archive<BufReader<Box<dyn Read>>>> {
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("open {}", file.display()))?)
    };
    Archive::open(BufReader::new(source)).with_context(|| format!("read {}", file.display()))
}

fn import_into(archive: Archive<impl std::io::BufRead>, partitions: u32, dir: &Path) -> anyhow::Result<Counts> {
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    secret::store(&secret::beside(dir), &archive.header.secret()?)?;
    let inlets = archive.header.topics.iter().filter_map(|topic| match topic {
        Topic::Inlet(name) => Some(name.clone()),
        Topic::Interactions
        | Topic::Consolidations
        | Topic::Working
        | Topic::Memories
        | Topic::Keys
        | Topic::Receipts
        | Topic::DeadLetters => None,
    });
    let settings = LocalLogSettings { partitions, inlets: inlets.collect(), ..LocalLogSettings::default() };
    let log = LocalLog::open(settings::log_dir(dir), settings).context("make the new log")?;
    let counts = import::run(archive, &log)?;
    log.close().context("close the new log")?;
    Ok(counts)
}

/// Removes what an import that was killed left behind. The name is ours alone.
fn remove(dir: &Path) -> anyhow::Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| format!("remove {}", dir.display()))?;
    }
    Ok(())
}

fn sibling(path: &Path, ending: &str) -> PathBuf {
    // A trailing slash or dot would put the sibling inside.
    let mut name = path.components().collect::<PathBuf>().into_os_string();
    name.push(ending);
    PathBuf::from(name)
}

fn sync_parent(path: &Path) -> anyhow::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let synced = File::open(parent).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("sync {}", parent.display()))
}

#[cfg(test)]
mod tests;
