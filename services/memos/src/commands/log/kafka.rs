//! Export from Kafka, and import into it.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use event_log::kafka::{KafkaLog, topics};
use event_log::{EventLog, Partition, Topic};

use crate::commands::log::archive::Counts;
use crate::commands::log::{export_log, import, open_archive};
use crate::settings::Settings;
use crate::{kafka_keys, restored, scan, secret};

/// Writes the archive of the log on Kafka.
pub(super) fn export(settings: &Settings, file: &Path) -> anyhow::Result<Counts> {
    let secret = secret::load(&settings.hash_secret_file())?;
    export_log(&open(settings)?, &secret, file)
}

/// Fills the topics on Kafka, which must hold nothing.
pub(super) fn import(settings: &Settings, file: &Path, out: &mut impl Write) -> anyhow::Result<Counts> {
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
    if let Some(topic) = scan::first_with_records(&log)? {
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
    let log: Arc<dyn EventLog> = Arc::new(log);
    // Where keys have not come yet, whoever brings them asks.
    if scan::has_records(&*log, &Topic::Keys)? {
        let (ring, _follower) = kafka_keys::open(settings, &log, Partition::all(log.partitions()))?;
        restored::forget_again_aloud(&*log, &ring, out)?;
    }
    Ok(counts)
}

fn open(settings: &Settings) -> anyhow::Result<KafkaLog> {
    let kafka = settings.kafka()?;
    KafkaLog::open(&kafka).with_context(|| format!("open the log at {}", kafka.bootstrap_servers))
}
