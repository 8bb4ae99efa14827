//! The command line. What `--help` says is written here and nowhere else: one sentence in the list of commands, more
//! under the command itself, and always an example that works as it stands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use uuid::Uuid;

/// Where a server listens unless it was told otherwise.
pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:8888";

/// A memory operating system for AI.
///
/// Publish what happens between people and their AI; memos decides what is worth remembering, keeps it, and answers
/// what the model should know right now.
#[derive(Debug, Parser)]
#[command(name = "memos", version, subcommand_required = true, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Begin with `memos up --sample`, then `memos recall --user maria \"What is her delivery address now?\"`."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What memos can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run memos: every service in one process.
    ///
    /// It keeps its own log on this disk and serves the HTTP API until it is stopped (Ctrl-C or SIGTERM). Whatever it
    /// acknowledged is durable, so it may be killed at any time. Without API keys it serves this machine only.
    Up(UpArgs),
    /// Publish interactions from a file of JSON lines.
    ///
    /// There is one interaction on each line. A line that is refused is reported as FILE:LINE: field: message, and the
    /// others go on; the exit code is 1 then. Interactions that have an id may be published again: a repeat is taken
    /// once.
    Publish(PublishArgs),
    /// Ask what the model should know about somebody; without a question, run the service that answers.
    ///
    /// With a question it prints what was found, best first, with its score (0 to 1), the day it is about and the events
    /// it came from.
    ///
    /// Without one it is the recall service over Kafka: it follows the log into a store of its own and answers gateways.
    /// Which partitions it holds follows from recall.ordinal, recall.instances and recall.replication_factor.
    Recall(RecallArgs),
    /// Run the gateway over Kafka: the HTTP API, and the inlets that product services publish to.
    ///
    /// It keeps nothing, so there may be any number of them. It asks the instances of recall that gateway.recall names.
    #[command(after_help = "Example: memos gateway --listen 127.0.0.1:8888 --config memos.toml")]
    Gateway(ServiceArgs),
    /// Run working memory over Kafka: one actor for every active person, agent or session.
    ///
    /// Several of them share the partitions; one that ends is replaced by the others within the session timeout.
    #[command(after_help = "Example: memos working-memory --data ./working-memory --config memos.toml")]
    WorkingMemory(ServiceArgs),
    /// Run the consolidator over Kafka: the only writer of long-term memory.
    ///
    /// Several of them share the partitions; one that ends is replaced by the others within the session timeout.
    #[command(after_help = "Example: memos consolidator --data ./consolidator --config memos.toml")]
    Consolidator(ServiceArgs),
    /// Make the topics on Kafka, or see whether they are as they must be.
    ///
    /// Makes what is missing, changes nothing that is there, and prints what differs; the exit code is 1 then. It also
    /// gives the log its name, and makes the hash secret and the root key where there are none: copy both files to every
    /// service. It may be run again at any time.
    Topics(TopicsArgs),
    /// Publish the bundled sample to a running memos and ask it a few questions.
    #[command(after_help = "Example: memos sample --url http://127.0.0.1:8888")]
    Sample(ServerArgs),
    /// Show the settings in force and where each of them came from.
    ///
    /// The output is itself a settings file, except that secrets are not shown. With --defaults, prints the documented
    /// defaults instead.
    Config(ConfigArgs),
    /// List what could not be taken, or take it again.
    #[command(subcommand)]
    DeadLetters(DeadLettersCommand),
    /// Make API keys for tenants.
    #[command(subcommand)]
    ApiKey(ApiKeyCommand),
    /// Move a log: write it to a file, or make a data directory from one.
    #[command(subcommand)]
    Log(LogCommand),
    /// Make, replace, move or count the keys that everything is sealed with.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Print everything memos remembers, in an order that is the same after every rebuild.
    ///
    /// There is one JSON value on each line. It may run beside memos: it prints what is stored at that moment.
    Dump(DumpArgs),
    /// Rebuild everything from the log and compare it with what is stored.
    ///
    /// Also checks that every memory names where it came from. Nothing is changed; the exit code is 1 when something is
    /// wrong. It may run beside memos: what arrives meanwhile is not looked at.
    Verify(VerifyArgs),
}

/// Where settings come from.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SettingsArgs {
    /// A TOML file with the settings that differ from the defaults.
    #[arg(long, value_name = "FILE", env = "MEMOS_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, such as `--set logging.filter=debug`; may be repeated. `memos config` lists them all.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// The data directory: short for `--set data.dir=DIR`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

impl SettingsArgs {
    /// The flags as `key=value`, the strongest last: one with a name of its own is easier to see than a `--set`.
    pub(crate) fn flags(&self) -> Vec<String> {
        let data = self.data.as_ref().map(|dir| format!("data.dir={}", dir.display()));
        self.set.iter().cloned().chain(data).collect()
    }
}

/// Which server to talk to.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// The address of memos.
    #[arg(long, value_name = "URL", env = "MEMOS_URL", default_value = DEFAULT_URL)]
    pub(crate) url: String,
    /// The API key, where memos wants one (see `memos api-key new`).
    #[arg(long, value_name = "KEY", env = "MEMOS_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
}

/// Flags of `memos up`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: memos up --data ./data --sample")]
pub(crate) struct UpArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Address and port of the HTTP API: short for `--set gateway.listen=ADDR`.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Publish the bundled sample once memos is ready, ask a few questions, and go on serving.
    #[arg(long)]
    pub(crate) sample: bool,
}

impl UpArgs {
    /// Where the settings come from, with the flags that only `up` has.
    pub(crate) fn settings(&self) -> SettingsArgs {
        let mut settings = self.settings.clone();
        settings.set.extend(self.listen.as_ref().map(|listen| format!("gateway.listen={listen}")));
        settings
    }
}

/// A service that runs over Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Gateway,
    WorkingMemory,
    Consolidator,
    Recall,
}

impl Service {
    /// Its name on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::WorkingMemory => "working-memory",
            Self::Consolidator => "consolidator",
            Self::Recall => "recall",
        }
    }

    /// The setting that says where it listens.
    const fn listen(self) -> &'static str {
        match self {
            Self::Gateway => "gateway.listen",
            Self::WorkingMemory => "working_memory.listen",
            Self::Consolidator => "consolidator.listen",
            Self::Recall => "recall.server.listen",
        }
    }
}

/// Flags of a service.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServiceArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Address and port to listen on: short for the `listen` of the service's section.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

impl ServiceArgs {
    /// Where the settings come from, with the flags that only services have.
    pub(crate) fn settings(&self, service: Service) -> SettingsArgs {
        let mut settings = self.settings.clone();
        settings.set.extend(self.listen.as_ref().map(|listen| format!("{}={listen}", service.listen())));
        settings
    }
}

/// Flags of `memos topics`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: memos topics --config memos.toml")]
pub(crate) struct TopicsArgs {
    /// Make nothing, only look.
    #[arg(long)]
    pub(crate) verify: bool,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// Flags of `memos publish`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: memos publish --wait interactions.jsonl")]
pub(crate) struct PublishArgs {
    /// The file; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Wait until everything published can be recalled.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Interactions in one request.
    #[arg(long, value_name = "COUNT", default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) batch: u16,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Flags of `memos recall`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: memos recall --user alice \"Where does she live?\"")]
#[command(group = clap::ArgGroup::new("owner").multiple(true).args(["user", "agent", "session"]).requires("question"))]
pub(crate) struct RecallArgs {
    /// The question, in plain words. Without one this is the service.
    #[arg(value_name = "QUESTION", requires = "owner")]
    pub(crate) question: Option<String>,
    #[command(flatten)]
    pub(crate) service: ServiceArgs,
    /// Whose memory to ask.
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// The agent whose memory to ask, where no user is named.
    #[arg(long, value_name = "ID")]
    pub(crate) agent: Option<String>,
    /// The session whose memory to ask, where neither is named.
    #[arg(long, value_name = "ID")]
    pub(crate) session: Option<String>,
    /// How many results at most.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) limit: u16,
    /// Print the whole answer as JSON.
    #[arg(long, conflicts_with = "context")]
    pub(crate) json: bool,
    /// Print the ready block of text for a prompt instead.
    #[arg(long)]
    pub(crate) context: bool,
    /// How long the block may be, in words and punctuation marks.
    #[arg(long, value_name = "TOKENS", default_value_t = 1000)]
    pub(crate) budget: usize,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

/// Flags of `memos config`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: memos config --defaults > memos.toml")]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Print the documented defaults.
    #[arg(long)]
    pub(crate) defaults: bool,
}

/// `memos dead-letters …`
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersCommand {
    /// List what could not be taken, newest first.
    #[command(after_help = "Example: memos dead-letters list --limit 10")]
    List {
        /// How many at most.
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: usize,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Take dead letters again, after the cause was removed.
    #[command(group = clap::ArgGroup::new("which").required(true).args(["id", "reason", "all"]))]
    #[command(after_help = "Example: memos dead-letters replay --reason missing_field")]
    Replay {
        /// The id that the list shows; may be repeated.
        #[arg(long, value_name = "ID")]
        id: Vec<Uuid>,
        /// All those with this reason.
        #[arg(long, value_name = "REASON")]
        reason: Option<String>,
        /// All of them.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
}

/// `memos api-key …`
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Make a key for a tenant. It is shown once; memos keeps only a hash of it.
    #[command(after_help = "Example: memos api-key new --tenant acme")]
    New {
        /// The tenant that everything done with the key belongs to.
        #[arg(long, value_name = "NAME")]
        tenant: String,
        /// The public part of the key, which shows in the settings; random when left out.
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
}

/// `memos log …`
#[derive(Debug, Subcommand)]
pub(crate) enum LogCommand {
    /// Write all topics of a log to a file.
    ///
    /// The file is JSON lines with a checksum at its end. Stop memos first, so that the copy is complete. The file holds
    /// everything memos knows, sealed, and the hash secret: keep it as safe as the data directory. It holds no keys: they
    /// travel in a file of their own (`memos keys export`), which can be removed when it has served its purpose.
    #[command(
        after_help = "Example: memos log export --data ./data memos-log.jsonl\nExample: memos log export --kafka memos-log.jsonl"
    )]
    Export {
        /// The file; `-` writes to standard output.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The log on Kafka that the settings name, instead of the one in the data directory.
        #[arg(long)]
        kafka: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Make a new log from such a file.
    ///
    /// The data directory must not exist yet, or be empty; it appears only when the whole file was read and its checksum
    /// is right. On Kafka the topics are made where they are missing and must hold no records; an import that fails half
    /// way says so, and its topics have to be deleted before the next try. Offsets may differ from those in the old log;
    /// what memos remembers does not.
    ///
    /// What was said is sealed: bring its keys with `memos keys import` before anything is started on the new log.
    #[command(
        after_help = "Example: memos log import --data ./copy --partitions 8 memos-log.jsonl\nExample: memos log import --kafka memos-log.jsonl"
    )]
    Import {
        /// The file; `-` reads standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Into the log on Kafka that the settings name, with as many partitions as they say.
        #[arg(long, conflicts_with = "partitions")]
        kafka: bool,
        /// Partitions of the new log; by default as many as the old one had.
        #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=4096))]
        partitions: Option<u32>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

/// `memos keys …`
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make the root key, where there is none.
    ///
    /// Without it nothing that memos keeps can be read: keep a copy in a safe place. `memos up` does this by itself with its
    /// first data directory.
    #[command(after_help = "Example: memos keys init --root-file /etc/memos/root.key")]
    Init {
        /// The file to make; by default the one that the settings name.
        #[arg(long, value_name = "FILE")]
        root_file: Option<PathBuf>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Replace the root key.
    ///
    /// Makes a new root key in front of the old one, wraps the keys of the data directory with it, and then removes the old
    /// one. It may run beside memos, and be run again after it was interrupted. In the file that the settings name by
    /// default, which other data directories may share, the old root key stays until --drop-old. Where the root key comes
    /// from the environment or from a command, put the new one in front of the old one there, and then run this.
    ///
    /// On Kafka every service needs the new file before it is started the next time.
    #[command(after_help = "Example: memos keys rotate --data ./data\nExample: memos keys rotate --kafka --wrapping")]
    Rotate {
        /// Remove older root keys from the shared file too. What was not wrapped again by then is lost.
        #[arg(long)]
        drop_old: bool,
        /// Replace the wrapping key first, so that no older copy of a key can be opened without the old root key. In a data
        /// directory memos does this by itself every day, and has to be stopped for this; on Kafka it takes half a minute.
        #[arg(long)]
        wrapping: bool,
        /// The keys on Kafka, in the log that the settings name.
        #[arg(long)]
        kafka: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Write all keys, wrapped with the root key, to a file outside the data directory.
    ///
    /// It is needed to move between one process and separate services. It may run beside memos. The file outlives keys that
    /// are destroyed later, and so undoes forgetting for who has the root key: remove it when it has served its purpose.
    #[command(
        after_help = "Example: memos keys export --data ./data memos-keys.jsonl\nExample: memos keys export --kafka memos-keys.jsonl"
    )]
    Export {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The keys on Kafka, in the log that the settings name.
        #[arg(long)]
        kafka: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Take over the keys of such a file.
    ///
    /// The root key has to be the same, or the old one has to stand below it. Keys that are there already stay as they are,
    /// and what is forgotten on either side stays forgotten. It may be run again after it was interrupted.
    #[command(
        after_help = "Example: memos keys import --data ./copy memos-keys.jsonl\nExample: memos keys import --kafka memos-keys.jsonl"
    )]
    Import {
        /// The file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Into the log on Kafka that the settings name; `memos topics` or `memos log import --kafka` has made its topics.
        #[arg(long)]
        kafka: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Show how many keys there are, and what they are wrapped with. Nothing secret is shown.
    #[command(after_help = "Example: memos keys list --data ./data\nExample: memos keys list --kafka")]
    List {
        /// The keys on Kafka, in the log that the settings name.
        #[arg(long)]
        kafka: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

/// Flags of `memos dump`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: memos dump --data ./data --hash\nExample: memos dump --kafka --data ./recall-0 --hash"
)]
pub(crate) struct DumpArgs {
    /// Print only the hash of the dump.
    #[arg(long)]
    pub(crate) hash: bool,
    /// The keys are on Kafka, in the log that the settings name: for the data directory of a service.
    #[arg(long)]
    pub(crate) kafka: bool,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// Flags of `memos verify`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Example: memos verify --data ./data\nExample: memos verify --kafka --data ./recall-0")]
pub(crate) struct VerifyArgs {
    /// The log on Kafka that the settings name. The data directory may hold the store of a consolidator or of recall,
    /// which is compared in the partitions that it has wholly read; without a store only the log itself is looked at.
    #[arg(long)]
    pub(crate) kafka: bool,
    /// Only look whether a forget is what its receipt says: that no key, no row and no readable record of it is left.
    #[arg(long, value_name = "ID")]
    pub(crate) receipt: Option<Uuid>,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_every_flag_says_what_it_is() {
        fn check(command: &clap::Command) {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(about.len() > 15, "{} says nothing about itself", command.get_name());
            for argument in command.get_arguments() {
                assert!(argument.get_help().is_some(), "{} {} has no help", command.get_name(), argument.get_id());
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }

    #[test]
    fn named_flags_are_settings() {
        let cli = Cli::try_parse_from(["memos", "up", "--data", "/d", "--listen", "127.0.0.1:1", "--set", "a.b=1"]);
        let Command::Up(up) = cli.expect("a good line").command else { panic!("another command") };
        assert_eq!(up.settings().flags(), ["a.b=1", "gateway.listen=127.0.0.1:1", "data.dir=/d"]);
        assert!(!up.sample);
    }

    #[test]
    fn a_replay_must_say_of_what() {
        assert!(Cli::try_parse_from(["memos", "dead-letters", "replay"]).is_err());
        assert!(Cli::try_parse_from(["memos", "dead-letters", "replay", "--all"]).is_ok());
        assert!(Cli::try_parse_from(["memos", "dead-letters", "replay", "--id", "x"]).is_err());
        let id = "01980000-0000-7000-8000-000000000000";
        assert!(Cli::try_parse_from(["memos", "dead-letters", "replay", "--id", id, "--id", id]).is_ok());
        assert!(Cli::try_parse_from(["memos", "recall", "question"]).is_err(), "nobody is named");
    }
}
