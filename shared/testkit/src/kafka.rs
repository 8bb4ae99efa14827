//! A real Apache Kafka for tests: one broker, which is its own controller, with folders and ports of its own.
//!
//! What memos does over Kafka hangs on what Kafka really does when a member vanishes, a log is compacted or a broker
//! comes back, so nothing here stands in for it. `deploy/setup.sh test` puts the jars and Java in place; where they
//! are missing a test fails and says so.
//!
//! A start takes about a second: the classes come out of an archive that the first start on a machine makes
//! (`install`), and the folder is formatted from a copy. Still, a test binary shares one broker in a `LazyLock` and
//! gives every test its own topic prefix; only a test that hurts a broker starts one for itself.
//!
//! No broker outlives the process that started it, however that ends (`guard`).

mod certificates;
mod guard;
mod install;
mod ports;
mod probe;
mod settings;

pub use certificates::Certificates;
pub use install::{console_tool, python};
pub use ports::free as free_port;
pub use settings::{BrokerOptions, Listener};

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::wait_until;
use guard::Guard;
use install::Installation;
use ports::Ports;

/// Many times what it takes on a machine with other things to do.
const START_DEADLINE: Duration = Duration::from_secs(90);
const STOP_DEADLINE: Duration = Duration::from_secs(60);

/// A running broker. Dropping it kills it and removes its data.
#[derive(Debug)]
pub struct Broker {
    installation: Installation,
    folder: PathBuf,
    ports: Ports,
    bootstrap: String,
    certificates: Option<Certificates>,
    process: Mutex<Process>,
    started_in: Duration,
    /// Last, so that it clears up after the process is gone.
    guard: Guard,
}

#[derive(Debug, Default)]
struct Process {
    child: Option<Child>,
    paused: bool,
}

impl Broker {
    /// Starts a broker with a plaintext listener and waits until it answers.
    ///
    /// # Panics
    /// When Kafka or Java is missing, and with the broker's log when it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&BrokerOptions::default())
    }

    /// Starts a broker with more listeners, users or settings. The plaintext listener is always there.
    ///
    /// # Panics
    /// As [`Broker::start`].
    #[must_use]
    pub fn start_with(options: &BrokerOptions) -> Self {
        let installation = Installation::find();
        installation.make_class_archive(|installation| {
            let broker = Self::launch_new(installation.clone(), &BrokerOptions::default());
            broker.stop();
        });
        Self::launch_new(installation.with_class_archive(), options)
    }

    fn launch_new(installation: Installation, options: &BrokerOptions) -> Self {
        let began = Instant::now();
        // The guard removes the folder, also where a process ends without dropping anything.
        let folder = TempDir::with_prefix("memos-kafka-").expect("a temporary folder can be made").keep();
        let guard = Guard::start(&folder);
        let ports = Ports::choose(&options.listeners);
        let certificates = options.needs_certificates().then(|| Certificates::make(&folder.join("certificates")));
        fs::write(folder.join("server.properties"), settings::properties(&folder, &ports, options))
            .expect("the broker's settings can be written");
        installation.format(&folder, options);
        let mut broker = Self {
            installation,
            folder,
            bootstrap: ports.address(None),
            ports,
            certificates,
            process: Mutex::default(),
            started_in: Duration::ZERO,
            guard,
        };
        broker.launch();
        broker.started_in = began.elapsed();
        broker
    }

    /// `127.0.0.1:port` of the plaintext listener. It stays the same over a restart.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `127.0.0.1:port` of a listener that the options asked for.
    ///
    /// # Panics
    /// When they did not.
    #[must_use]
    pub fn bootstrap_of(&self, listener: Listener) -> String {
        self.ports.address(Some(listener))
    }

    /// The certificates, where a listener uses TLS.
    ///
    /// # Panics
    /// When none does.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        self.certificates.as_ref().expect("a broker has certificates if one of its listeners uses TLS")
    }

    /// How long it took until the broker answered, formatting included.
    #[must_use]
    pub const fn started_in(&self) -> Duration {
        self.started_in
    }

    /// The folder with the topics' partitions in it, for a look at what really lies on the disk.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        settings::data(&self.folder)
    }

    /// The process id of the running broker.
    ///
    /// # Panics
    /// When it is not running.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process().child.as_ref().expect("the broker is running").id()
    }

    /// Stops the process where it stands (SIGSTOP): its sockets stay open and nothing answers.
    pub fn pause(&self) {
        let mut process = self.process();
        process.signal(Signal::STOP);
        process.paused = true;
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&self) {
        let mut process = self.process();
        process.signal(Signal::CONT);
        process.paused = false;
    }

    /// Kills the process (SIGKILL) and waits until it is gone. Its folders stay. Nothing happens if it is not running.
    pub fn kill(&self) {
        self.process().kill(&self.guard);
    }

    /// Asks the process to stop (SIGTERM) and waits until it has. Nothing happens if it is not running.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn stop(&self) {
        let mut process = self.process();
        let Some(pid) = process.child.as_ref().map(Child::id) else { return };
        if process.paused {
            process.signal(Signal::CONT);
        }
        process.signal(Signal::TERM);
        let mut child = process.child.take().expect("it was there a moment ago");
        wait_until(STOP_DEADLINE, &format!("the broker with process id {pid} stopped"), || has_ended(&mut child));
        process.paused = false;
        self.guard.watch(None);
    }

    /// Stops the broker, unless it is stopped or killed already, and starts it again with its folders and ports.
    ///
    /// After a [`Broker::kill`] this takes as long as the controller believes in the old process: three seconds.
    ///
    /// # Panics
    /// With the broker's log when it does not start.
    pub fn restart(&self) {
        self.stop();
        self.launch();
    }

    /// What the broker has written to its log so far, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.log_file()).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Runs one of Kafka's console tools until it ends. `--bootstrap-server` is the caller's to give, for some tools
    /// read files and have none.
    ///
    /// # Panics
    /// When Java does not run. That the tool failed is told by the output.
    #[must_use]
    pub fn tool<A: AsRef<std::ffi::OsStr>>(&self, main_class: &str, args: impl IntoIterator<Item = A>) -> Output {
        self.installation.java(main_class, &self.folder).args(args).output().expect("java runs, for it runs the broker")
    }

    /// Makes a topic, with settings such as `("cleanup.policy", "compact")`.
    ///
    /// # Panics
    /// With what the tool says when the topic is not made.
    pub fn create_topic(&self, name: &str, partitions: u32, settings: &[(&str, &str)]) {
        let partitions = partitions.to_string();
        let mut args = vec!["--bootstrap-server", self.bootstrap(), "--create", "--topic", name];
        args.extend(["--partitions", &partitions, "--replication-factor", "1"]);
        let settings: Vec<String> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        args.extend(settings.iter().flat_map(|setting| ["--config", setting.as_str()]));
        let output = self.tool("org.apache.kafka.tools.TopicCommand", args);
        assert!(output.status.success(), "topic {name} was not made: {output:?}");
    }

    fn launch(&self) {
        let mut process = self.process();
        assert!(process.child.is_none(), "the broker is running already");
        let child = self
            .command()
            .spawn()
            .unwrap_or_else(|error| panic!("java does not start: {error}. Run deploy/setup.sh test"));
        self.guard.watch(Some(child.id()));
        process.child = Some(child);
        let began = Instant::now();
        let (mut ended, mut answers) = (false, false);
        wait_until(START_DEADLINE * 2, "the broker had started or given up", || {
            ended = process.child.as_mut().is_some_and(has_ended);
            answers = !ended && probe::answers(&self.bootstrap);
            ended || answers || began.elapsed() > START_DEADLINE
        });
        assert!(!ended, "the broker ended while it started. Its log:\n{}", self.log());
        assert!(answers, "the broker does not answer. Its log:\n{}", self.log());
    }

    fn command(&self) -> Command {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file());
        let log: File = log.expect("the broker's log can be written");
        let mut command = self.installation.java("kafka.Kafka", &self.folder);
        command
            .arg(self.folder.join("server.properties"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a file can be opened twice"))
            .stdout(log);
        command
    }

    fn log_file(&self) -> PathBuf {
        self.folder.join("broker.log")
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        // A test that panicked while it held the lock has left nothing half done: the process runs or it does not.
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("the broker is running");
        let pid = Pid::from_child(child);
        kill_process(pid, signal).expect("our own child can be sent a signal until it was waited for");
    }

    fn kill(&mut self, guard: &Guard) {
        let Some(mut child) = self.child.take() else { return };
        // An error means that it is gone already, which is what was asked for.
        drop(child.kill());
        drop(child.wait());
        self.paused = false;
        guard.watch(None);
    }
}

fn has_ended(child: &mut Child) -> bool {
    child.try_wait().expect("our own child can be waited for").is_some()
}

/// A file or folder as text, for settings and arguments that are text.
fn text(path: &Path) -> &str {
    path.to_str().expect("temporary folders and tool folders have names in UTF-8")
}
