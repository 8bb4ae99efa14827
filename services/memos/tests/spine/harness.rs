//! What every module of this crate stands on: the binary as a child process, and the few questions asked of it.
//!
//! Nothing in here sleeps: it waits for conditions with a deadline. Whatever is random comes from a seed that is
//! printed first; `MEMOS_SEED=…` runs the same again, and `MEMOS_TEST_LONG=1` runs with the full counts.
//! `MEMOS_TEST_EDGE=1` holds each memos to one processor, and to [`EDGE_KIB`] of RAM.

use std::fs::File;
use std::future::Future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use memos_client::{Client, ClientError, EventStatus, Owner};
use rustix::process::{Pid, Signal, kill_process};
use testkit::Random;

#[path = "harness/archive.rs"]
mod archive;
#[path = "harness/dump.rs"]
mod dump;
#[path = "harness/ledger.rs"]
mod ledger;
#[path = "harness/load.rs"]
mod load;
#[path = "harness/publisher.rs"]
mod publisher;
#[path = "harness/scan.rs"]
mod scan;

pub(crate) use archive::{ArchiveText, keys_of_events};
pub(crate) use dump::DumpText;
pub(crate) use ledger::Ledger;
pub(crate) use load::Load;
pub(crate) use publisher::{Interrupted, Publisher, Way};
pub(crate) use scan::{Canaries, Found, canary};
pub(crate) use testkit::wait_until;

/// How long anything may take that is bound to happen. Far more than it takes on a slow machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// What an edge device has for memos, its peak counted, code and mapped files included.
const EDGE_KIB: u64 = 256 * 1_024;

/// Whether memos has to do with what an edge device has.
fn is_edge() -> bool {
    std::env::var_os("MEMOS_TEST_EDGE").is_some_and(|value| value == "1")
}

/// The tenant of a server without keys.
pub(crate) const TENANT: &str = "default";

/// Whether the full counts were asked for.
pub(crate) fn is_long() -> bool {
    std::env::var_os("MEMOS_TEST_LONG").is_some_and(|value| value == "1")
}

/// The seed of a run: the one of `MEMOS_SEED`, or a new one. It is printed, with what the run was configured to do.
pub(crate) fn seed(test: &str, configuration: &str) -> u64 {
    let given = std::env::var("MEMOS_SEED").ok().map(|text| text.parse().expect("MEMOS_SEED is a number"));
    let seed = given.unwrap_or_else(|| {
        let bytes = *uuid::Uuid::now_v7().as_bytes();
        u64::from_le_bytes(bytes[8..].try_into().expect("half of a UUID is 8 bytes")) >> 16
    });
    eprintln!("{test}: MEMOS_SEED={seed}, {configuration}");
    seed
}

/// A data directory with a hash secret of this seed, so that the same seed means the same handles and partitions.
pub(crate) fn data_dir(root: &Path, name: &str, seed: u64) -> PathBuf {
    let dir = root.join(name);
    std::fs::create_dir(&dir).expect("a new data directory");
    std::fs::write(dir.join("hash.secret"), format!("{seed:064x}\n")).expect("a hash secret");
    dir
}

/// A running `memos up`. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
    child: Child,
    /// Held open, so that the child can go on writing.
    stdout: BufReader<ChildStdout>,
    log: PathBuf,
}

impl Server {
    /// Starts memos on a data directory and a free loopback port, with further arguments, and waits until it is ready.
    /// Standard error goes to a file beside the directory; its end is shown when the test fails.
    #[track_caller]
    pub(crate) fn start(dir: &Path, extra: &[&str]) -> Self {
        let server = Self::start_unready(dir, extra);
        server.wait_until_ready();
        server
    }

    /// The same, without waiting for more than the first line.
    #[track_caller]
    pub(crate) fn start_unready(dir: &Path, extra: &[&str]) -> Self {
        Self::spawn("up", dir, &[&["--listen", "127.0.0.1:0"], extra].concat())
    }

    /// Starts `memos NAME` on a data directory with these arguments, and waits for its first line.
    #[track_caller]
    pub(crate) fn spawn(name: &str, dir: &Path, arguments: &[&str]) -> Self {
        let log = dir.with_extension("stderr");
        let stderr = File::options().append(true).create(true).open(&log).expect("a file for standard error");
        let mut command = memos();
        command.arg(name).arg("--data").arg(dir).args(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("memos starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("it was piped"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its standard output");
        let address = line.split_once("listens on ").and_then(|(_, rest)| rest.split_whitespace().next());
        let Some(url) = address.map(str::to_owned) else {
            panic!("memos did not start: `{line}`, {:?}\n{}", child.wait(), tail(&log));
        };
        Self { url, child, stdout, log }
    }

    #[track_caller]
    pub(crate) fn wait_until_ready(&self) {
        wait_until(DEADLINE, "memos is ready", || self.is_ready());
    }

    pub(crate) fn is_ready(&self) -> bool {
        block_on(self.client().health()).is_ok_and(|health| health.ready)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url, None).expect("its address")
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most that the process ever had in RAM.
    #[track_caller]
    pub(crate) fn peak_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its state");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a running process has it");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number of KiB")
    }

    #[track_caller]
    fn assert_fits(&self) {
        if is_edge() {
            let peak = self.peak_kib();
            eprintln!("memos took {peak} KiB at its peak");
            assert!(peak <= EDGE_KIB, "an edge device has {EDGE_KIB} KiB, and memos took {peak}");
        }
    }

    /// SIGSTOP: the process is there and does nothing, as on a machine that was suspended.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("the id of a process");
        kill_process(pid, signal).expect("a running process takes signals");
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }

    /// The end of its standard error.
    pub(crate) fn last_words(&self) -> String {
        tail(&self.log)
    }

    /// SIGKILL: what a power cut would be, without the loss of what was only written and not synced.
    #[track_caller]
    pub(crate) fn kill9(mut self) {
        self.assert_fits();
        self.child.kill().expect("a running process can be killed");
        self.child.wait().expect("its end");
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGTERM, and waits until it has stopped in good order.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        self.assert_fits();
        self.terminate();
        wait_until(DEADLINE, "memos has stopped", || self.child.try_wait().expect("its state").is_some());
        let status = self.child.wait().expect("its end");
        assert!(status.success(), "memos ended with {status}\n{}", tail(&self.log));
    }

    /// As [`Server::stop`]; answers what it wrote to standard output after its first line, and all of standard error.
    #[track_caller]
    pub(crate) fn stop_and_read(mut self) -> (String, String) {
        self.assert_fits();
        self.terminate();
        let mut written = String::new();
        self.stdout.read_to_string(&mut written).expect("its standard output");
        let status = self.child.wait().expect("its end");
        assert!(status.success(), "memos ended with {status}\n{}", tail(&self.log));
        (written, std::fs::read_to_string(&self.log).expect("its standard error is text"))
    }

    /// The sum of a metric over all its labels, or with the labels in its name; 0 when there is none, or nobody answers.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = try_get(&self.url, "/metrics").unwrap_or_default();
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        let named = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']));
        text.lines().filter(named).filter_map(value).sum()
    }

    /// The sequence number that a user's next event gets, as working memory shows it.
    pub(crate) fn next_seq(&self, user: &str) -> u64 {
        let view = block_on(self.client().working_memory(Owner::User(user)));
        view.expect("working memory answers").next_seq
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            eprintln!("standard error of memos ends with:\n{}", tail(&self.log));
        }
    }
}

/// The end of a text file.
fn tail(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Runs a future on this thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// A plain GET, for what the client does not read.
pub(crate) fn get(url: &str, path: &str) -> String {
    try_get(url, path).expect("memos answers")
}

fn try_get(url: &str, path: &str) -> std::io::Result<String> {
    exchange(url, &format!("GET {path}"), &[], "", DEADLINE)
}

/// A plain POST; answers the status.
pub(crate) fn post(
    url: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
    timeout: Duration,
) -> std::io::Result<u16> {
    let answer = exchange(url, &format!("POST {path}"), headers, body, timeout)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

/// Sends a request and reads the answer; each piece of it must come within the time.
fn exchange(url: &str, line: &str, headers: &[(&str, &str)], body: &str, timeout: Duration) -> std::io::Result<String> {
    let address = url.strip_prefix("http://").expect("a plain address");
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(timeout))?;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The binary.
pub(crate) fn memos() -> Command {
    let binary = env!("CARGO_BIN_EXE_memos");
    let mut command = Command::new(if is_edge() { "taskset" } else { binary });
    if is_edge() {
        command.args(["--cpu-list", "0", binary]);
    }
    // Whoever runs the tests may have settings of their own.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MEMOS")) {
        command.env_remove(name);
    }
    // The root key of the tests, which is no user's.
    command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// Runs a command of memos on a data directory; it must succeed.
#[track_caller]
pub(crate) fn run(dir: &Path, arguments: &[&str]) -> String {
    let output = try_run(dir, arguments);
    let text = String::from_utf8(output.stdout).expect("memos writes UTF-8");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "memos {} ended with {}:\n{text}{errors}", arguments.join(" "), output.status);
    text
}

/// Runs a command of memos on a data directory.
pub(crate) fn try_run(dir: &Path, arguments: &[&str]) -> Output {
    memos().args(arguments).arg("--data").arg(dir).output().expect("memos runs")
}

/// The hash of the canonical dump.
#[track_caller]
pub(crate) fn hash(dir: &Path) -> String {
    let text = run(dir, &["dump", "--hash"]);
    text.lines().next().expect("the first line is the hash").to_owned()
}

/// `memos verify`: every line must be good.
#[track_caller]
pub(crate) fn verify(dir: &Path) {
    let report = run(dir, &["verify"]);
    let complete = report.contains("`interactions` again: hash") && report.contains("`memories` again: hash");
    assert!(complete, "something was left out:\n{report}");
    assert!(report.lines().all(|line| line.starts_with("ok ")), "{report}");
}

/// Removes long-term memory and every other state that can be rebuilt.
pub(crate) fn delete_store(dir: &Path) {
    std::fs::remove_dir_all(dir.join("store")).expect("there was a store");
}

/// Waits until every one of these events has a status of this kind.
#[track_caller]
pub(crate) fn wait_for_status<'a>(
    server: &Server,
    events: impl IntoIterator<Item = &'a str>,
    what: &str,
    reached: impl Fn(EventStatus) -> bool,
) {
    let client = server.client();
    for event in events {
        wait_until(DEADLINE, &format!("event {event} {what}"), || status(&client, event).is_some_and(&reached));
    }
}

/// Waits until every one of these events has a final status.
#[track_caller]
pub(crate) fn wait_until_final<'a>(server: &Server, events: impl IntoIterator<Item = &'a str>) {
    wait_for_status(server, events, "has a final status", is_final);
}

/// What became of an event; `None` when memos does not know it, or not yet.
#[track_caller]
pub(crate) fn status(client: &Client, event: &str) -> Option<EventStatus> {
    match block_on(client.event(event)) {
        Ok(view) => Some(view.status),
        Err(ClientError::Refused { .. }) => None,
        Err(error @ (ClientError::Transport { .. } | ClientError::Answer { .. } | ClientError::Address { .. })) => {
            panic!("memos does not answer: {error}")
        }
    }
}

/// Whether an event has come to its end.
pub(crate) fn is_final(status: EventStatus) -> bool {
    use EventStatus::{Accepted, DeadLettered, Forgotten, Kept, Merged, NotKept, Recallable};
    match status {
        Accepted | Recallable => false,
        Kept | Merged | NotKept | DeadLettered | Forgotten => true,
    }
}

/// A number in `from..to`.
pub(crate) fn between(random: &mut Random, from: u64, to: u64) -> u64 {
    from + random.below(to - from)
}
