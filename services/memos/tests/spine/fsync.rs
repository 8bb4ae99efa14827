//! Acknowledged means durable, as the kernel sees it.
//!
//! A process that is killed cannot show a missing fsync, because the kernel still has what was written. So memos runs
//! under `strace`, and the order of its system calls is read: before an answer `202` goes out that names an event, the
//! file of `interactions` that took the event's bytes was synced. The reader of the trace is shown bad traces as well.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use memos_client::{Client, ClientSettings};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Server, block_on, is_long, verify, wait_until};

#[path = "fsync/trace.rs"]
mod trace;

use trace::{Call, calls, violations};

/// What every event id of these tests begins with; nothing else on any disk or wire does.
const CANARY: &str = "canary-";

/// A memos under `strace`.
struct Traced {
    url: String,
    /// memos itself: the tracer stands aside.
    child: Child,
    trace: PathBuf,
    stderr: PathBuf,
}

impl Traced {
    fn start(data: &Path, inject: Option<&str>) -> Self {
        let (trace, stderr) = (data.with_extension("trace"), data.with_extension("traced.stderr"));
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-y", "-s", "65536", "-e"]);
        command.arg("trace=fdatasync,fsync,write,writev,pwrite64,pwritev,sendto,sendmsg");
        command.args(inject.map(|what| format!("--inject={what}")));
        command.arg("-o").arg(&trace).arg(env!("CARGO_BIN_EXE_memos"));
        command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(data);
        // The root key of the tests, which is no user's.
        command.env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"));
        let errors = std::fs::File::create(&stderr).expect("a file for standard error");
        let mut child = command.stdout(Stdio::piped()).stderr(errors).spawn().expect("strace is installed");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it was piped");
        BufReader::new(stdout).read_line(&mut line).expect("its standard output");
        let url = line.strip_prefix("memos listens on ").and_then(|rest| rest.split_whitespace().next());
        let url = url.unwrap_or_else(|| panic!("memos did not start: {}", text(&stderr))).to_owned();
        let traced = Self { url, child, trace, stderr };
        let client = traced.client();
        wait_until(DEADLINE, "memos is ready", || block_on(client.health()).is_ok_and(|health| health.ready));
        traced
    }

    /// A client that asks once: what fails is to be seen.
    fn client(&self) -> Client {
        let settings = ClientSettings { attempts: 1, ..ClientSettings::default() };
        Client::with_settings(&self.url, None, settings).expect("its address")
    }

    fn stop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("the id of a process");
        kill_process(pid, Signal::TERM).expect("a running process can be told to stop");
    }

    /// Waits for its end; answers its exit code, its last words and the whole trace.
    fn ended(mut self) -> (Option<i32>, String, String) {
        wait_until(DEADLINE, "memos has ended", || self.child.try_wait().expect("its state").is_some());
        let status = self.child.wait().expect("its end");
        // strace pads the number of a process to five places, so the line is not compared as it stands.
        let id = self.child.id().to_string();
        let is_end = |line: &str| line.split_whitespace().next() == Some(&id) && line.contains("+++ exited with");
        wait_until(DEADLINE, "the trace is complete", || text(&self.trace).lines().any(is_end));
        (status.code(), text(&self.stderr), text(&self.trace))
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn text(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn event(number: usize) -> Value {
    let user = format!("user-{}", number % 5);
    json!({"id": format!("{CANARY}{number:04}"), "user_id": user, "content": format!("I keep key {number} in Lisbon.")})
}

/// Publishes events in requests of one to three until one is not acknowledged; answers the acknowledged ids.
fn publish(client: &Client, most: usize) -> Vec<String> {
    let (mut acknowledged, mut next) = (Vec::new(), 0);
    while next < most {
        let events: Vec<Value> = (next..next + 1 + next % 3).map(event).collect();
        next += events.len();
        let Ok(answer) = block_on(client.publish(&events)) else { break };
        acknowledged.extend(answer.results.into_iter().map(|result| result.id));
    }
    acknowledged
}

/// The ids that acknowledgements in a trace name.
fn acknowledged(calls: &[Call]) -> usize {
    calls.iter().filter(|call| call.is_acknowledgement()).map(|call| call.canaries(CANARY).len()).sum()
}

// law: L01
#[test]
fn no_event_is_acknowledged_before_it_is_synced() {
    let root = tempfile::tempdir().expect("a directory");
    let mut memos = Traced::start(&root.path().join("data"), None);
    let count = if is_long() { 2_000 } else { 50 };
    let sent = publish(&memos.client(), count);
    assert!(sent.len() >= count);
    memos.stop();
    let (code, stderr, trace) = memos.ended();
    assert_eq!(code, Some(0), "{stderr}");
    let calls = calls(&trace);
    assert_eq!(acknowledged(&calls), sent.len(), "every acknowledgement was seen");
    assert_eq!(violations(&calls, CANARY), Vec::<String>::new());
    // The same run without its syncs is one that must not be believed.
    let unsynced: Vec<Call> = calls.into_iter().filter(|call| !call.is_sync()).collect();
    assert_eq!(violations(&unsynced, CANARY).len(), sent.len());
}

// law: L01
#[test]
fn a_sync_that_never_reached_the_kernel_is_noticed() {
    let root = tempfile::tempdir().expect("a directory");
    // strace answers in the kernel's place.
    let mut memos = Traced::start(&root.path().join("data"), Some("fdatasync:retval=0"));
    let sent = publish(&memos.client(), 10);
    memos.stop();
    let (_, stderr, trace) = memos.ended();
    assert!(sent.len() >= 10, "{stderr}");
    assert_eq!(violations(&calls(&trace), CANARY).len(), sent.len());
}

/// Breaks a system call from some time on. memos must end by itself, and lose nothing that it acknowledged.
fn breaks(inject: &str, error: &str) {
    let root = tempfile::tempdir().expect("a directory");
    let data = root.path().join("data");
    let memos = Traced::start(&data, Some(inject));
    let sent = publish(&memos.client(), 5_000);
    assert!(!sent.is_empty() && sent.len() < 5_000, "{} events were acknowledged under {inject}", sent.len());
    let (code, stderr, trace) = memos.ended();
    assert_eq!(code, Some(70), "{stderr}");
    let last = stderr.lines().rfind(|line| line.contains("stopping at once")).unwrap_or_default();
    assert!(last.contains("the log cannot be written") && last.contains(error), "{stderr}");
    let calls = calls(&trace);
    assert!(calls.iter().any(Call::was_injected), "{inject} never happened");
    assert_eq!(violations(&calls, CANARY), Vec::<String>::new());
    let server = Server::start(&data, &[]);
    let client = server.client();
    for id in &sent {
        block_on(client.event(id)).unwrap_or_else(|error| panic!("{id} was acknowledged and is lost: {error}"));
    }
    let again: Vec<Value> = (0..sent.len()).map(event).collect();
    block_on(client.publish(&again)).expect("it takes events again, and these once more");
    server.stop();
    verify(&data);
}

// law: L12
#[test]
fn a_failed_sync_ends_the_process_and_loses_nothing() {
    breaks("fdatasync:error=EIO:when=25+", "os error 5");
}

// law: L12
#[test]
fn a_full_disk_ends_the_process_and_loses_nothing() {
    breaks("pwrite64:error=ENOSPC:when=25+", "os error 28");
}
