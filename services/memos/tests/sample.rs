//! What `make up` shows, with the real binary: the bundled sample becomes memories, and every question of the sample is
//! answered among the first three. A change of ranking or of salience that spoils the first minute fails here.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use memos_client::{Client, RecallRequest, ScoredView};
use serde_json::Value;

const INTERACTIONS: &str = include_str!("../sample/interactions.jsonl");
const QUESTIONS: &str = include_str!("../sample/questions.jsonl");

/// How long memos may take to print its next line; the sample itself takes a second or two.
const LINE_WITHIN: Duration = Duration::from_secs(60);
/// The answer is looked for among so many.
const FIRST: usize = 3;
/// What the sample prints last.
const LAST_LINE: &str = "Read the API in a browser";

/// A running `memos up --sample`, killed when the test is over.
struct Memos {
    child: Child,
    lines: Receiver<String>,
}

impl Memos {
    fn start(data: &Path, log: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_memos"))
            .args(["up", "--sample", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .args(["--set", &format!("logging.filter={log}")])
            // The root key of the tests, which is no user's.
            .env("XDG_CONFIG_HOME", env!("CARGO_TARGET_TMPDIR"))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let out = child.stdout.take().expect("standard output is piped");
        let (send, lines) = sync_channel(1_000);
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(LINE_WITHIN).expect("memos goes on printing")
    }

    /// Where it listens, and everything the sample prints.
    fn shown(&self) -> (String, Vec<String>) {
        let first = self.line();
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).expect("it says where it listens");
        let mut lines = Vec::new();
        while !lines.last().is_some_and(|line: &String| line.contains(LAST_LINE)) {
            lines.push(self.line());
        }
        (url.to_owned(), lines)
    }
}

impl Drop for Memos {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        self.child.wait().expect("it is ours");
    }
}

#[test]
fn it_stops_when_told_to_even_if_nobody_reads_its_log() {
    let data = tempfile::tempdir().expect("a directory");
    let mut memos = Memos::start(data.path(), "info");
    memos.shown();
    // From here on every line it logs fails with a broken pipe.
    drop(memos.child.stderr.take());
    let pid = i32::try_from(memos.child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is ours");
    // Its standard output ends when it does.
    assert_eq!(memos.lines.recv_timeout(LINE_WITHIN), Err(RecvTimeoutError::Disconnected), "it did not stop");
    assert!(memos.child.wait().expect("it is ours").success(), "it stopped in order");
}

fn values(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("the sample is JSON lines")).collect()
}

fn text(result: &ScoredView) -> &str {
    result.memory.as_ref().map(|memory| memory.text.as_str()).unwrap_or_default()
}

async fn answers(client: &Client, user: &str, question: &str) -> Vec<ScoredView> {
    let last = values(INTERACTIONS).iter().filter_map(|one| Some(one["time"].as_str()?.to_owned())).max();
    let request = RecallRequest {
        user_id: Some(user.to_owned()),
        query: question.to_owned(),
        limit: FIRST,
        // As the sample asks, so that no clock decides about this test.
        now: last.and_then(|last| memos_client::time::parse(&last)),
        ..RecallRequest::default()
    };
    client.recall(&request).await.expect("memos answers").results
}

#[tokio::test]
async fn every_question_of_the_sample_is_answered_by_a_memory() {
    let data = tempfile::tempdir().expect("a directory");
    let memos = Memos::start(data.path(), "warn");
    let (url, _) = memos.shown();
    let client = Client::new(&url, None).expect("an address");
    let questions = values(QUESTIONS);
    assert!(questions.len() >= 12, "only {} questions", questions.len());
    let mut wrong = Vec::new();
    for question in &questions {
        let named = |field: &str| question[field].as_str().expect("a question is texts");
        let results = answers(&client, named("user_id"), named("question")).await;
        if !results.iter().any(|result| text(result).contains(named("expect"))) {
            let texts: Vec<&str> = results.iter().map(text).collect();
            wrong.push(format!("{}\n  wants {}\n  got {texts:#?}", named("question"), named("expect")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_second_start_shows_the_same() {
    let data = tempfile::tempdir().expect("a directory");
    let first = Memos::start(data.path(), "warn").shown().1;
    let header = first.iter().find(|line| line.contains(" became ")).expect("a header");
    let count = format!("{} interactions", INTERACTIONS.lines().count());
    assert!(header.starts_with(&count) && header.contains("memories."), "{header}");
    let answers = |lines: &[String]| -> Vec<String> {
        lines.iter().take_while(|line| !line.starts_with("What to try next")).cloned().collect()
    };
    let memories = answers(&first).iter().filter(|line| line.contains(" memory (")).count();
    assert_eq!(memories, 10, "five questions with two memories each:\n{}", first.join("\n"));
    // The first memos was killed, not stopped; the same events are published again.
    let second = Memos::start(data.path(), "warn").shown().1;
    assert_eq!(answers(&second), answers(&first));
}
