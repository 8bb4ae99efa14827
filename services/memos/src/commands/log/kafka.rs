//! Export from Kafka, and import into it.

use std::path::Path;

use anyhow::Context;
use event_log::kafka::{KafkaLog, topics};
use event_log::{EventLog, Partition, Topic};

use crate::commands::log::archive::Counts;
use crate::commands::log::{export_log, import, open_archive};
use crate::secret;
use crate::settings::Settings;

/// Writes the archive of the log on Kafka.
pub(super) fn export(settings: &Settings, file: &Path) -> anyhow::Result<Counts> {
    let secret = secret::load(&settings.hash_secret_file())?;
    export_log(&open(settings)?, &secret, file)
}

/// Fills the topics on Kafka, which must hold nothing.
pub(super) fn import(settings: &Settings, file: &Path) -> anyhow::Result<Counts> {
    let archive = open_archive(file)?;
    let (path, secret) = (settings.hash_secret_file(), archive.header.secret()?);
    let other = path.exists() && secret::load(&path)?.as_bytes() != secret.as_bytes();
    anyhow::ensure!(!other, "{} is another secret than the archive's: name a new file", path.display());
    let kafka = settings.kafka()?;
    topics::ensure(&kafka, &settings.topics)
        .with_context(|| format!("set up the topics at {}", kafka.bootstrap_servers))?;
    let log = open(settings)?;
    if let Some(topic) = archive.header.topics.iter().find(|topic| !log.topics().contains(topic)) {
        anyhow::bail!(
            "the archive has {topic}, which is not in gateway.inlets: add it, or its records would have no place"
        );
    }
    secret::agree(&log, &secret).context("use the archive's hash secret")?;
    if let Some(topic) = first_with_records(&log)? {
        anyhow::bail!(
            "{topic} holds records: an import fills a log of its own. Delete the topics, or set kafka.topic_prefix"
        );
    }
    let counts = import::run(archive, &log).context(
        "the import is incomplete; delete the topics before the next one, for nothing in them can be told from the whole",
    )?;
    if !path.exists() {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
        }
        secret::store(&path, &secret)?;
    }
    Ok(counts)
}

fn open(settings: &Settings) -> anyhow::Result<KafkaLog> {
    let kafka = settings.kafka()?;
    KafkaLog::open(&kafka).with_context(|| format!("open the log at {}", kafka.bootstrap_servers))
}

/// A topic that is not empty, where there is one. What every new log begins with does not count: it is not read. Keys do not
/// either: they may come before the records or after them.
fn first_with_records(log: &dyn EventLog) -> anyhow::Result<Option<String>> {
    for topic in log.topics().into_iter().filter(|topic| *topic != Topic::Keys) {
        for partition in Partition::all(log.partitions_of(&topic)) {
            let mut at = log.watermarks(&topic, partition)?.low;
            loop {
                let batch = log.read(&topic, partition, at, event_log::Limits::default())?;
                if batch.records.iter().any(|stored| !secret::is_check(&stored.record)) {
                    return Ok(Some(topic.to_string()));
                }
                if batch.next == at {
                    break;
                }
                at = batch.next;
            }
        }
    }
    Ok(None)
}
