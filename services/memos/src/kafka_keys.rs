//! The keys of services that share a log over Kafka: they lie in its topic `keys`, and the root key is a file that every
//! service has a copy of.

use std::sync::Arc;

use anyhow::Context;
use event_log::kafka::KafkaLog;
use event_log::keys::{self, Follower, KeyTopic, Settings as TopicSettings};
use event_log::{EventLog, FailureHook, Limits, Partition, Stored, Topic, envelope};
use keyring::{Keyring, RootSource};
use service_runtime::fatal;

use crate::keys::no_core_dumps;
use crate::settings::Settings;

/// Opens the log that the settings name.
///
/// # Errors
/// When it cannot be opened.
pub(crate) fn open_log(settings: &Settings) -> anyhow::Result<Arc<dyn EventLog>> {
    let kafka = settings.kafka()?;
    let log = KafkaLog::open(&kafka).with_context(|| format!("open the log at {}", kafka.bootstrap_servers))?;
    Ok(Arc::new(log))
}

/// Reads the keys of these partitions and of all tenants, and follows them as long as the follower lives.
///
/// # Errors
/// When the root key is missing or not the one of this log, when the topic cannot be read, and when the log was moved here
/// without its keys: whoever went on then would take everything for forgotten.
pub(crate) fn follow(
    settings: &Settings,
    log: &Arc<dyn EventLog>,
    partitions: impl IntoIterator<Item = Partition>,
) -> anyhow::Result<(Keyring, Follower)> {
    let (ring, follower) = open(settings, log, partitions)?;
    if ring.epochs().is_empty() && has_sealed_events(&**log)? {
        // Somebody may just have published the very first event; its key was there before it.
        follower.follow(Partition::new(0)).context("read the keys of the log")?;
        anyhow::ensure!(
            !ring.epochs().is_empty(),
            "the log holds events whose keys are not here: bring them with `memos keys import --kafka`"
        );
    }
    Ok((ring, follower))
}

/// As [`follow`], for who brings keys or looks after them. The first who comes makes the wrapping key of the log.
///
/// # Errors
/// As [`follow`], but for a log without its keys.
pub(crate) fn open(
    settings: &Settings,
    log: &Arc<dyn EventLog>,
    partitions: impl IntoIterator<Item = Partition>,
) -> anyhow::Result<(Keyring, Follower)> {
    // Nobody who opens keys can forget it.
    no_core_dumps()?;
    let source = settings.root_source()?;
    source.check_outside(&settings.data.dir)?;
    let roots = source.load().context(
        "services that share a log share its root key: `memos topics` makes it once; copy that file to every service",
    )?;
    let on_failure = FailureHook::new(|reason: &str| fatal(format_args!("the keys cannot be followed: {reason}")));
    let following = TopicSettings { on_failure, ..TopicSettings::default() };
    let opened = KeyTopic::open(Arc::clone(log), Arc::new(roots), partitions, following);
    let (ring, follower) = opened.map_err(|error| explained(error, &source))?;
    ring.set_epoch_seconds(settings.keys.epoch_seconds());
    Ok((ring, follower))
}

fn explained(error: keys::Error, source: &RootSource) -> anyhow::Error {
    let what = if matches!(error, keys::Error::Root { .. }) {
        format!("the root key from {source} is not the one of this log: copy that one to every service")
    } else {
        "read the keys of the log".to_owned()
    };
    anyhow::Error::new(error).context(what)
}

/// Whether there are sealed events. A key of a tenant outlives everything that it has sealed.
fn has_sealed_events(log: &dyn EventLog) -> anyhow::Result<bool> {
    for partition in Partition::all(log.partitions()) {
        let first = first_records(log, &Topic::Interactions, partition)?;
        if first.iter().any(|stored| envelope::sealed_with(&stored.record).is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether anything was ever written to the topic of keys.
///
/// # Errors
/// When that cannot be known.
pub(crate) fn has_begun(log: &dyn EventLog) -> anyhow::Result<bool> {
    Ok(!first_records(log, &Topic::Keys, Partition::new(0))?.is_empty())
}

/// The records that a partition begins with. What tells one log from another is none.
fn first_records(log: &dyn EventLog, topic: &Topic, partition: Partition) -> anyhow::Result<Vec<Stored>> {
    let mut at = log.watermarks(topic, partition)?.low;
    loop {
        let batch = log.read(topic, partition, at, Limits::default()).with_context(|| format!("read {topic}"))?;
        if !batch.records.is_empty() || batch.next == at {
            return Ok(batch.records);
        }
        at = batch.next;
    }
}
