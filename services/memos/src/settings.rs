//! All settings of the process: one struct per component, in the order of `default.toml`, which documents each of them.
//!
//! The numbers stand in two places on purpose: in `default.toml`, where people read them, and in `Default`, where tests
//! and tools take them. A test holds the two together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use event_log::InletName;
use event_log::kafka::topics::TopicSettings;
use event_log::kafka::{KafkaSettings, MembershipSettings};
use gateway::InletSettings;
use keyring::RootSource;
use memory_core::Rules;
use serde::{Deserialize, Serialize};
use service_runtime::{DiskSettings, Loaded, LogSettings, Sources};

use crate::cli::SettingsArgs;
use crate::secret;

mod domains;
mod process;

use domains::{ByTenant, Tenant};
pub(crate) use process::Process;

/// The documented defaults.
pub(crate) const DEFAULTS: &str = include_str!("../default.toml");

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// All settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Empty: none.
    pub(crate) domain: String,
    pub(crate) tenants: BTreeMap<String, Tenant>,
    /// What `domain` and `rules` of the tenants come to.
    #[serde(skip)]
    pub(crate) tenant_rules: ByTenant,
    pub(crate) gateway: gateway::Settings,
    pub(crate) data: Data,
    pub(crate) keys: Keys,
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
            domain: String::new(),
            tenants: BTreeMap::new(),
            tenant_rules: BTreeMap::new(),
            gateway: gateway::Settings { inlets: vec![events], ..gateway::Settings::default() },
            data: Data::default(),
            keys: Keys::default(),
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

/// `[keys]`: the root key, and the key file of the process that runs everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Keys {
    /// Empty: `memos/root.key` in the user's directory of settings.
    pub(crate) root_file: PathBuf,
    pub(crate) root_env: String,
    pub(crate) root_command: Vec<String>,
    /// Empty: beside the data directory.
    pub(crate) file: PathBuf,
    pub(crate) epoch_seconds: u32,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            root_file: PathBuf::new(),
            root_env: String::new(),
            root_command: Vec::new(),
            file: PathBuf::new(),
            epoch_seconds: 86_400,
        }
    }
}

impl Keys {
    /// How long one key of a tenant seals.
    pub(crate) fn epoch_seconds(&self) -> i64 {
        i64::from(self.epoch_seconds.max(1))
    }

    /// Whether the root key is in the file that all of a user's installations share.
    pub(crate) fn has_shared_root(&self) -> bool {
        self.root_file.as_os_str().is_empty() && self.root_env.is_empty() && self.root_command.is_empty()
    }

    fn check(&self) -> anyhow::Result<()> {
        let named = [!self.root_file.as_os_str().is_empty(), !self.root_env.is_empty(), !self.root_command.is_empty()];
        let count = named.into_iter().filter(|named| *named).count();
        anyhow::ensure!(count <= 1, "use one of `keys.root_file`, `keys.root_env` and `keys.root_command`");
        Ok(())
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
    let loaded = domains::load(sources).context("load the settings")?;
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
        ];
        for (key, value) in positive {
            anyhow::ensure!(value > 0, "`{key}` must be at least 1");
        }
        anyhow::ensure!(self.process.stop_timeout_seconds > 0, "`process.stop_timeout_seconds` must be at least 1");
        anyhow::ensure!((1..=4096).contains(&self.log.partitions), "`log.partitions` must be 1 to 4096");
        self.check_rules()?;
        self.keys.check()?;
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

    /// Where the root key comes from.
    ///
    /// # Errors
    /// When the settings name no place and the user has none for settings.
    pub(crate) fn root_source(&self) -> anyhow::Result<RootSource> {
        let Keys { root_file, root_env, root_command, .. } = &self.keys;
        Ok(if !root_env.is_empty() {
            RootSource::Env(root_env.clone())
        } else if !root_command.is_empty() {
            RootSource::Command(root_command.clone())
        } else if !root_file.as_os_str().is_empty() {
            RootSource::File(root_file.clone())
        } else {
            RootSource::File(user_settings()?.join("memos").join("root.key"))
        })
    }

    /// Where the keys of a process that runs everything are kept.
    ///
    /// # Errors
    /// When there is no current directory to find the data directory from.
    pub(crate) fn key_file(&self) -> anyhow::Result<PathBuf> {
        if !self.keys.file.as_os_str().is_empty() {
            return Ok(self.keys.file.clone());
        }
        let data = std::path::absolute(&self.data.dir).context("find the data directory")?;
        // Without a slash or dot at its end, which would put the file inside.
        let mut name = data.components().collect::<PathBuf>().into_os_string();
        name.push(".keys");
        Ok(PathBuf::from(name))
    }

    /// How long copies of events lie in the local log.
    pub(crate) fn copies(&self) -> recall::Copies {
        let kept = |days: u32| (days > 0).then(|| i64::from(days) * DAY_SECONDS);
        let days = &self.log.retention_days;
        let tombstones = i64::from(self.log.tombstone_days) * DAY_SECONDS;
        recall::Copies {
            interactions_seconds: kept(days.interactions),
            dead_letters_seconds: kept(days.dead_letters),
            compaction_seconds: i64::try_from(self.log.maintain_seconds).ok().map(|often| often + tombstones),
            epoch_seconds: self.keys.epoch_seconds(),
        }
    }

    /// The same for the topics of Kafka, as `memos topics` makes them.
    pub(crate) fn copies_on_kafka(&self) -> recall::Copies {
        let kept = |days: u64| i64::try_from(days).ok().filter(|days| *days > 0).map(|days| days * DAY_SECONDS);
        let topics = &self.topics;
        let hours = topics.max_compaction_lag_hours + topics.segment_hours + topics.tombstone_hours;
        recall::Copies {
            interactions_seconds: kept(topics.retention_days.interactions),
            dead_letters_seconds: kept(topics.retention_days.dead_letters),
            compaction_seconds: i64::try_from(hours * 3_600).ok(),
            epoch_seconds: self.keys.epoch_seconds(),
        }
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

/// The user's directory of settings.
fn user_settings() -> anyhow::Result<PathBuf> {
    let named = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let found = named("XDG_CONFIG_HOME").or_else(|| named("HOME").map(|home| home.join(".config")));
    found.context("there is no HOME to keep the root key in: say with `keys.root_file` where it is")
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
    use service_runtime::settings;

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
        let domains = domains::BUILT_IN.iter().flat_map(|(_, text)| text.lines());
        for line in DEFAULTS.lines().chain(domains) {
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
        settings.keys.root_file = PathBuf::from("root.key");
        settings.keys.root_env = "ROOT".to_owned();
        assert!(settings.check().expect_err("two roots").to_string().contains("keys.root_env"));
        let mut settings = Settings::default();
        settings.gateway.inlets[0].name = "A/B".to_owned();
        assert!(format!("{:#}", settings.check().expect_err("no name")).contains("A/B"));
    }

    #[test]
    fn the_keys_of_a_data_directory_lie_beside_it() {
        let beside = |dir: &str| {
            let mut settings = Settings::default();
            settings.data.dir = PathBuf::from(dir);
            settings.key_file().expect("a place")
        };
        assert_eq!(beside("/var/memos/data"), Path::new("/var/memos/data.keys"));
        assert_eq!(beside("/var/memos/data/./"), Path::new("/var/memos/data.keys"));
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(beside("data"), here.join("data.keys"));
        assert_eq!(beside(".").parent(), here.parent());
    }

    #[test]
    fn zero_days_keep_for_good() {
        let retention = RetentionDays { interactions: 0, ..RetentionDays::default() }.by_topic();
        assert_eq!(retention.interactions, event_log::Retention::FOREVER);
        assert_eq!(retention.dead_letters.age, Some(30 * DAY));
        assert!(retention.dead_letters.trims_unread && !retention.consolidations.trims_unread);
    }
}
