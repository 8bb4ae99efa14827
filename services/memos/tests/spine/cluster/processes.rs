//! A memos of separate processes over one broker.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use testkit::kafka::{Broker, free_port};

use crate::harness::{DumpText, Server, memos, run, try_run};

/// The broker of the tests that do it no harm.
pub(crate) static BROKER: LazyLock<Broker> = LazyLock::new(Broker::start);

/// After so long without a sign of life a process loses what it owns.
pub(crate) const SESSION: Duration = Duration::from_secs(3);

/// How many of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) gateways: usize,
    pub(crate) working_memories: usize,
    pub(crate) consolidators: usize,
    pub(crate) recalls: usize,
}

impl Size {
    pub(crate) const ONE: Self = Self { gateways: 1, working_memories: 1, consolidators: 1, recalls: 1 };
    pub(crate) const TWO: Self = Self { gateways: 2, working_memories: 2, consolidators: 2, recalls: 2 };
}

/// The processes, by their names (`recall-0`, `consolidator-1`, …), and what they share.
pub(crate) struct Cluster {
    root: PathBuf,
    size: Size,
    ports: BTreeMap<String, u16>,
    settings: Vec<String>,
    /// Whether harm is done for which a process ends by itself; otherwise that is a fault.
    pub(crate) may_end: bool,
    pub(crate) servers: BTreeMap<String, Server>,
}

impl Cluster {
    /// Writes the settings of a memos whose topics begin with `prefix`. Every instance of recall holds every partition, so
    /// the store of each of them is all of long-term memory. Nothing is made or started yet.
    pub(crate) fn new(broker: &Broker, root: &Path, prefix: &str, seed: u64, size: Size) -> Self {
        let root = root.join(prefix);
        std::fs::create_dir(&root).expect("a directory of its own");
        std::fs::write(root.join("hash.secret"), format!("{seed:064x}\n")).expect("a hash secret");
        let names = [
            ("gateway", size.gateways),
            ("working-memory", size.working_memories),
            ("consolidator", size.consolidators),
            ("recall", size.recalls),
        ];
        // One more of each may join later.
        let name = |(kind, count): (&'static str, usize)| (0..count + 4).map(move |number| format!("{kind}-{number}"));
        let ports: BTreeMap<String, u16> = names.into_iter().flat_map(name).map(|name| (name, free_port())).collect();
        let urls: Vec<String> = (0..size.recalls)
            .map(|number| format!("\"http://127.0.0.1:{}\"", ports[&format!("recall-{number}")]))
            .collect();
        let recalls = size.recalls;
        let text = format!(
            "[kafka]\nbootstrap_servers = \"{}\"\ntopic_prefix = \"{prefix}.\"\n\
             [topics]\nreplication_factor = 1\nmin_insync_replicas = 1\n\
             [topics.extra.memories]\n\"min.cleanable.dirty.ratio\" = \"0.01\"\n\"segment.ms\" = \"3000\"\n\"max.compaction.lag.ms\" = \"1000\"\n\
             [group]\nsession_timeout_ms = {}\n\
             [data]\nhash_secret_file = \"{}\"\n\
             [recall]\ninstances = {recalls}\nreplication_factor = {recalls}\n\
             [gateway.recall]\nreplication_factor = {recalls}\nurls = [{}]\n",
            broker.bootstrap(),
            SESSION.as_millis(),
            root.join("hash.secret").display(),
            urls.join(", "),
        );
        std::fs::write(root.join("memos.toml"), text).expect("the settings are written");
        Self { root, size, ports, settings: Vec::new(), may_end: false, servers: BTreeMap::new() }
    }

    /// Adds settings for every process that is started from now on.
    pub(crate) fn set(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
    }

    /// The arguments that name the settings.
    pub(crate) fn config(&self) -> Vec<String> {
        let file = self.root.join("memos.toml").display().to_string();
        let set = self.settings.iter().flat_map(|setting| ["--set".to_owned(), setting.clone()]);
        ["--config".to_owned(), file].into_iter().chain(set).collect()
    }

    /// The data directory of a process.
    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A command of memos with these settings, which must succeed.
    #[track_caller]
    pub(crate) fn run(&self, name: &str, arguments: &[&str]) -> String {
        let config = self.config();
        let config: Vec<&str> = config.iter().map(String::as_str).collect();
        run(&self.dir(name), &[arguments, &config].concat())
    }

    /// Makes the topics.
    #[track_caller]
    pub(crate) fn make_topics(&self) {
        let text = self.run("topics", &["topics"]);
        assert!(text.contains("created") && text.contains(" 0 differences"), "{text}");
    }

    /// Starts every process and waits until all are ready.
    #[track_caller]
    pub(crate) fn start(&mut self) {
        let Size { gateways, working_memories, consolidators, recalls } = self.size;
        for (kind, count) in [
            ("recall", recalls),
            ("consolidator", consolidators),
            ("working-memory", working_memories),
            ("gateway", gateways),
        ] {
            (0..count).for_each(|number| self.launch(&format!("{kind}-{number}")));
        }
        self.wait_until_ready();
    }

    #[track_caller]
    pub(crate) fn wait_until_ready(&self) {
        self.servers.values().for_each(Server::wait_until_ready);
    }

    /// Starts one process, and waits for nothing but its first line.
    #[track_caller]
    pub(crate) fn launch(&mut self, name: &str) {
        let (kind, number) = name.rsplit_once('-').expect("a kind and a number");
        let mut arguments = self.config();
        let listen = format!("127.0.0.1:{}", self.ports[name]);
        arguments.extend(["--listen".to_owned(), listen, "--set".to_owned(), format!("group.instance={name}")]);
        if kind == "recall" {
            arguments.extend(["--set".to_owned(), format!("recall.ordinal={number}")]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let server = Server::spawn(kind, &self.dir(name), &arguments);
        self.servers.insert(name.to_owned(), server);
    }

    pub(crate) fn server(&self, name: &str) -> &Server {
        &self.servers[name]
    }

    /// Takes a process out, to be killed or stopped.
    pub(crate) fn take(&mut self, name: &str) -> Server {
        self.servers.remove(name).expect("it runs")
    }

    /// Starts again what has ended by itself, as an orchestrator would: a zombie may find that it was expelled, and who
    /// missed the brokers may begin anew a while later.
    #[track_caller]
    pub(crate) fn revive(&mut self) {
        let ended: Vec<String> =
            self.servers.iter_mut().filter_map(|(name, server)| server.has_ended().then(|| name.clone())).collect();
        for name in ended {
            let last_words = self.take(&name).last_words();
            assert!(self.may_end, "{name} ended by itself:\n{last_words}");
            eprintln!("{name} ended by itself and is started again:\n{last_words}");
            self.launch(&name);
        }
    }

    /// Stops everything in good order.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let mut names: Vec<String> = self.servers.keys().cloned().collect();
        names.sort_by_key(|name| !name.starts_with("gateway"));
        names.iter().for_each(|name| self.take(name).stop());
    }

    /// The hash of what an instance has stored.
    #[track_caller]
    pub(crate) fn hash(&self, name: &str) -> String {
        let text = self.run(name, &["dump", "--hash", "--kafka"]);
        text.lines().next().expect("the first line is the hash").to_owned()
    }

    #[track_caller]
    pub(crate) fn dump(&self, name: &str) -> DumpText {
        DumpText::parse(&self.run(name, &["dump", "--kafka"]))
    }

    /// `memos verify` against the log; every line must be good.
    #[track_caller]
    pub(crate) fn verify(&self, name: &str) {
        let config = self.config();
        let config: Vec<&str> = config.iter().map(String::as_str).collect();
        let output = try_run(&self.dir(name), &[&["verify", "--kafka"], config.as_slice()].concat());
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        let complete = report.contains("`interactions` again: hash") && report.contains("`memories` again: hash");
        assert!(complete && output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The binary with the settings of a cluster, for commands that are expected to fail.
pub(crate) fn command(cluster: &Cluster, name: &str, arguments: &[&str]) -> std::process::Output {
    let mut command = memos();
    command.args(arguments).args(cluster.config()).arg("--data").arg(cluster.dir(name));
    command.output().expect("memos runs")
}
