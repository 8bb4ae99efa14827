//! All settings of the process: one struct per component, in the order of `default.toml`, which documents each of them.
//!
//! The numbers stand in two places on purpose: in `default.toml`, where people read them, and in `Default`, where tests
//! and tools take them. A test holds the two together.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use event_log::InletName;
use event_log::kafka::topics::TopicSettings;
use event_log::kafka::{KafkaSettings, MembershipSettings};
use gateway::InletSettings;
use memory_core::Rules;
use serde::{Deserialize, Serialize};
use service_runtime::{DiskSettings, Loaded, LogSettings, Sources, settings};

use crate::cli::SettingsArgs;
use crate::secret;

/// The documented defaults.
pub(crate) const DEFAULTS: &str = include_str!("../default.toml");

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) gateway: gateway::Settings,
    pub(crate) data: Data,
    pub(crate) log: Log,
    pub(crate) kafka: KafkaSettings,
    pub(crate) topics: TopicSettings,
    pub(crate) group: Group,
    pub(crate) working_memory: WorkingMemory,
    pub(crate) consolidator: Consolidator,
    pub(crate) recall: Recall,
    pub(crate) rules: Rules,
    pub(crate) disk: DiskSettings,
    pub(crate) process: Process,
    pub(crate) logging: LogSettings,
}

impl Default for Settings {
    fn default() -> Self {
        // A process that runs everything has one inlet to begin with; a gateway by itself has only those it is given.
        let events = InletSettings::bound("events", "default");
        Self {
            gateway: gateway::Settings { inlets: vec![events], ..gateway::Settings::default() },
            data: Data::default(),
            log: Log::default(),
            kafka: KafkaSettings::default(),
            topics: TopicSettings::default(),
            group: Group::default(),
            working_memory: WorkingMemory::default(),
            consolidator: Consolidator::default(),
            recall: Recall::default(),
            rules: Rules::default(),
            disk: DiskSettings::default(),
            process: Process::default(),
            logging: LogSettings::default(),
        }
    }
}

/// `[process]`: how it ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Process {
    stop_timeout_seconds: u64,
}

impl Default for Process {
    fn default() -> Self {
        Self { stop_timeout_seconds: 25 }
    }
}

impl Process {
    pub(crate) const fn stop_timeout(&self) -> Duration {
        Duration::from_secs(self.stop_timeout_seconds)
    }
}

/// `[data]`: where everything is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    pub(crate) dir: PathBuf,
    /// Empty: `hash.secret` in the data directory.
    pub(crate) hash_secret_file: PathBuf,
}

impl Default for Data {
    fn default() -> Self {
        Self { dir: PathBuf::from("data"), hash_secret_file: PathBuf::new() }
    }
}

/// `[log]`: the local log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) partitions: u32,
    pub(crate) segment_bytes: u64,
    pub(crate) queue_bytes: usize,
    pub(crate) tombstone_days: u32,
    pub(crate) maintain_seconds: u64,
    pub(crate) retention_days: RetentionDays,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            partitions: 2,
            segment_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            tombstone_days: 1,
            maintain_seconds: 60,
            retention_days: RetentionDays::default(),
        }
    }
}

/// `[log.retention_days]`: 0 keeps records for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionDays {
    pub(crate) interactions: u32,
    pub(crate) consolidations: u32,
    pub(crate) inlets: u32,
    pub(crate) dead_letters: u32,
    pub(crate) receipts: u32,
}

impl Default for RetentionDays {
    fn default() -> Self {
        Self { interactions: 7, consolidations: 7, inlets: 7, dead_letters: 30, receipts: 0 }
    }
}

/// A port of this machine.
fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// `[group]`: how the separate services share the partitions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) instance: String,
    pub(crate) session_timeout_ms: u64,
    pub(crate) drain_timeout_ms: u64,
}

impl Default for Group {
    fn default() -> Self {
        Self { instance: String::new(), session_timeout_ms: 10_000, drain_timeout_ms: 60_000 }
    }
}

impl Group {
    /// Membership of this group.
    pub(crate) fn membership(&self, group: &str) -> MembershipSettings {
        let instance = (!self.instance.is_empty()).then(|| self.instance.clone());
        MembershipSettings {
            session_timeout: Duration::from_millis(self.session_timeout_ms),
            drain_timeout: Duration::from_millis(self.drain_timeout_ms),
            ..MembershipSettings::new(group, instance)
        }
    }
}

/// `[working_memory]`: the actors of active subjects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkingMemory {
    pub(crate) listen: SocketAddr,
    pub(crate) batch_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) active_max: usize,
    pub(crate) passivate_after_seconds: u64,
    pub(crate) idle_tick_seconds: u64,
}

impl Default for WorkingMemory {
    fn default() -> Self {
        let working_memory::Settings {
            batch_records,
            batch_bytes,
            active_max,
            passivate_after_seconds,
            idle_tick_seconds,
        } = Default::default();
        let listen = loopback(8890);
        Self { listen, batch_records, batch_bytes, active_max, passivate_after_seconds, idle_tick_seconds }
    }
}

impl WorkingMemory {
    /// The same in the words of the component.
    pub(crate) fn settings(&self) -> working_memory::Settings {
        let Self { listen: _, batch_records, batch_bytes, active_max, passivate_after_seconds, idle_tick_seconds } =
            *self;
        working_memory::Settings { batch_records, batch_bytes, active_max, passivate_after_seconds, idle_tick_seconds }
    }
}

/// `[consolidator]`: the writer of long-term memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Consolidator {
    pub(crate) listen: SocketAddr,
    pub(crate) batch_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) bank_bytes: usize,
    pub(crate) snapshot_every: u64,
}

impl Default for Consolidator {
    fn default() -> Self {
        let consolidator::Settings { batch_records, batch_bytes, bank_bytes, snapshot_every } = Default::default();
        let listen = loopback(8891);
        Self { listen, batch_records, batch_bytes, bank_bytes, snapshot_every }
    }
}

impl Consolidator {
    /// The same in the words of the component.
    pub(crate) fn settings(&self) -> consolidator::Settings {
        let Self { listen: _, batch_records, batch_bytes, bank_bytes, snapshot_every } = *self;
        consolidator::Settings { batch_records, batch_bytes, bank_bytes, snapshot_every }
    }
}

/// `[recall]`: the answering of queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recall {
    pub(crate) ordinal: u32,
    pub(crate) instances: u32,
    pub(crate) replication_factor: u32,
    pub(crate) bank_bytes: usize,
    pub(crate) conversations_max: usize,
    pub(crate) batch_records: usize,
    pub(crate) batch_bytes: usize,
    pub(crate) server: recall::server::ServerSettings,
}

impl Default for Recall {
    fn default() -> Self {
        let recall::Settings { bank_bytes, conversations_max, batch_records, batch_bytes } = Default::default();
        Self {
            ordinal: 0,
            instances: 1,
            replication_factor: 1,
            bank_bytes,
            conversations_max,
            batch_records,
            batch_bytes,
            server: recall::server::ServerSettings::default(),
        }
    }
}

impl Recall {
    /// The same in the words of the component.
    pub(crate) fn settings(&self) -> recall::Settings {
        let &Self { bank_bytes, conversations_max, batch_records, batch_bytes, .. } = self;
        recall::Settings { bank_bytes, conversations_max, batch_records, batch_bytes }
    }
}

/// Loads the settings in force for these flags.
///
/// # Errors
/// When a source cannot be read, or holds a key or value that is not one; the message names both.
pub(crate) fn load(args: &SettingsArgs) -> anyhow::Result<Loaded<Settings>> {
    let mut sources = Sources::of_process(DEFAULTS);
    sources.file.clone_from(&args.config);
    sources.flags = args.flags();
    let loaded: Loaded<Settings> = settings::load(&sources).context("load the settings")?;
    loaded.settings.check().context("check the settings")?;
    Ok(loaded)
}

impl Settings {
    /// Refuses what no component could work with, in the words of the settings.
    fn check(&self) -> anyhow::Result<()> {
        let limits = &self.gateway.limits;
        let positive = [
            ("gateway.workers", self.gateway.workers),
            ("gateway.limits.connections", limits.connections),
            ("gateway.limits.body_bytes", limits.body_bytes),
            ("gateway.limits.interactions", limits.interactions),
            ("gateway.limits.in_flight_bytes", limits.in_flight_bytes),
            ("gateway.limits.json_depth", limits.json_depth),
            ("log.queue_bytes", self.log.queue_bytes),
            ("working_memory.active_max", self.working_memory.active_max),
            ("working_memory.batch_records", self.working_memory.batch_records),
            ("working_memory.batch_bytes", self.working_memory.batch_bytes),
            ("consolidator.batch_records", self.consolidator.batch_records),
            ("consolidator.batch_bytes", self.consolidator.batch_bytes),
            ("recall.batch_records", self.recall.batch_records),
            ("recall.batch_bytes", self.recall.batch_bytes),
            ("rules.window_turns_max", self.rules.window_turns_max),
            ("rules.bank_max", self.rules.bank_max),
        ];
        for (key, value) in positive {
            anyhow::ensure!(value > 0, "`{key}` must be at least 1");
        }
        anyhow::ensure!(self.process.stop_timeout_seconds > 0, "`process.stop_timeout_seconds` must be at least 1");
        anyhow::ensure!((1..=4096).contains(&self.log.partitions), "`log.partitions` must be 1 to 4096");
        self.inlet_names()?;
        Ok(())
    }

    /// The inlets' names, which are topics of the log.
    ///
    /// # Errors
    /// When one of them cannot name a topic.
    pub(crate) fn inlet_names(&self) -> anyhow::Result<Vec<InletName>> {
        let name = |inlet: &InletSettings| InletName::try_new(&inlet.name).context("use `gateway.inlets`");
        self.gateway.inlets.iter().map(name).collect()
    }

    /// Where the hash secret is.
    pub(crate) fn hash_secret_file(&self) -> PathBuf {
        let file = &self.data.hash_secret_file;
        if file.as_os_str().is_empty() { secret::beside(&self.data.dir) } else { file.clone() }
    }

    /// The settings of the log over Kafka, with the inlets that the gateway names.
    ///
    /// # Errors
    /// As [`inlet_names`](Self::inlet_names).
    pub(crate) fn kafka(&self) -> anyhow::Result<KafkaSettings> {
        Ok(KafkaSettings { inlets: self.inlet_names()?, ..self.kafka.clone() })
    }

    /// The directory that holds the log, beside long-term memory and the hash secret.
    pub(crate) fn log_dir(&self) -> PathBuf {
        log_dir(&self.data.dir)
    }
}

/// Where the log lies in a data directory.
pub(crate) fn log_dir(data: &Path) -> PathBuf {
    data.join("log")
}

impl RetentionDays {
    /// The same in the words of the log.
    pub(crate) fn by_topic(&self) -> event_log::RetentionByTopic {
        use event_log::Retention;
        let age = |days: u32| (days > 0).then(|| DAY * days);
        let once_read = |days| age(days).map_or(Retention::FOREVER, Retention::once_read);
        let by_age = |days| age(days).map_or(Retention::FOREVER, Retention::by_age);
        event_log::RetentionByTopic {
            interactions: once_read(self.interactions),
            consolidations: once_read(self.consolidations),
            receipts: by_age(self.receipts),
            dead_letters: by_age(self.dead_letters),
            inlets: once_read(self.inlets),
        }
    }
}

impl Log {
    /// How long a deletion stays in a compacted topic.
    pub(crate) fn tombstone_retention(&self) -> Duration {
        DAY * self.tombstone_days
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let sources = Sources { defaults: DEFAULTS, ..Sources::default() };
        let loaded: Loaded<Settings> = settings::load(&sources).expect("the defaults load");
        assert_eq!(loaded.settings, Settings::default());
        loaded.settings.check().expect("the defaults are good");
    }

    #[test]
    fn every_key_of_the_defaults_is_explained() {
        // A key is explained by a comment right above it, or above the run of keys that it ends.
        let mut explained = false;
        for line in DEFAULTS.lines() {
            if line.starts_with('#') {
                explained = true;
            } else if line.is_empty() {
                explained = false;
            } else if let Some((key, _)) = line.split_once(" = ") {
                assert!(explained, "`{key}` is not explained");
            }
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_name() {
        let mut settings = Settings::default();
        settings.log.partitions = 0;
        assert!(settings.check().expect_err("no partitions").to_string().contains("log.partitions"));
        let mut settings = Settings::default();
        settings.recall.batch_records = 0;
        assert!(settings.check().expect_err("no events").to_string().contains("recall.batch_records"));
        let mut settings = Settings::default();
        settings.gateway.inlets[0].name = "A/B".to_owned();
        assert!(format!("{:#}", settings.check().expect_err("no name")).contains("A/B"));
    }

    #[test]
    fn zero_days_keep_for_good() {
        let retention = RetentionDays { interactions: 0, ..RetentionDays::default() }.by_topic();
        assert_eq!(retention.interactions, event_log::Retention::FOREVER);
        assert_eq!(retention.dead_letters.age, Some(30 * DAY));
        assert!(retention.dead_letters.trims_unread && !retention.consolidations.trims_unread);
    }
}
