//! What an operator does, and what memos says when it is done wrong.

use std::path::Path;
use std::process::Output;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use memos_client::{Client, RecallRequest};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Server, block_on, hash, is_long, memos, run, try_run, verify, wait_until};
use crate::hostile::http::{post_json, send};

#[path = "operations/tenants.rs"]
pub(crate) mod tenants;

const SAMPLE: &str = include_str!("../../sample/interactions.jsonl");

fn turn(id: &str, user: &str, content: &str) -> Value {
    json!({"id": id, "user_id": user, "content": content})
}

/// Runs a command that must be refused; answers what it says.
#[track_caller]
fn refused(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "it was not refused: {}{errors}", String::from_utf8_lossy(&output.stdout));
    assert!(!errors.contains("panicked"), "{errors}");
    errors
}

/// `memos up` where it must not start.
#[track_caller]
fn refused_up(data: &Path, extra: &[&str]) -> String {
    refused(&try_run(data, &[&["up", "--listen", "127.0.0.1:0"], extra].concat()))
}

fn publish(server: &Server, events: &[Value]) {
    block_on(server.client().publish(events)).expect("memos takes good events");
}

/// A data directory with something in it, and its path within `root`.
fn used(root: &Path) -> std::path::PathBuf {
    let data = root.join("data");
    let server = Server::start(&data, &[]);
    publish(&server, &[turn("one", "alice", "I moved to Lisbon in May."), turn("two", "alice", "I like it there.")]);
    wait_until(DEADLINE, "it is recallable", || server.next_seq("alice") == 2);
    server.stop();
    data
}

#[test]
fn a_second_memos_on_the_same_directory_is_refused_by_name() {
    let root = tempfile::tempdir().expect("a directory");
    let data = used(root.path());
    let server = Server::start(&data, &[]);
    let said = refused_up(&data, &[]);
    // The keys of the directory, which lie beside it, are what is asked for first.
    assert!(said.contains(&format!("another process uses the key file {}.keys", data.display())), "{said}");
    publish(&server, &[turn("three", "alice", "The first one goes on.")]);
    server.stop();
}

// law: L01
#[test]
fn a_stop_under_load_loses_nothing_and_the_next_start_is_quick() {
    let root = tempfile::tempdir().expect("a directory");
    let data = root.path().join("data");
    let server = Server::start(&data, &[]);
    let acknowledged = Mutex::new(Vec::new());
    let enough = if is_long() { 20_000 } else { 2_000 };
    std::thread::scope(|scope| {
        for producer in 0..4 {
            let (client, acknowledged) = (server.client(), &acknowledged);
            scope.spawn(move || {
                for request in 0_u64.. {
                    let id = |place: u64| format!("p{producer}-{}", request * 5 + place);
                    let user = format!("user-{}", request % 9);
                    let one = |place| turn(&id(place), &user, &format!("I paid {request} euros in Lisbon, {place}."));
                    // A refusal or a broken connection is what a stop looks like from here.
                    if block_on(client.publish(&(0..5).map(one).collect::<Vec<Value>>())).is_err() {
                        return;
                    }
                    acknowledged.lock().expect("nobody panicked").extend((0..5).map(id));
                }
            });
        }
        wait_until(DEADLINE, "there is load", || acknowledged.lock().expect("nobody panicked").len() >= enough);
        server.stop();
    });
    let began = Instant::now();
    let server = Server::start(&data, &[]);
    assert!(began.elapsed() < Duration::from_secs(10), "the next start took {:?}", began.elapsed());
    let client = server.client();
    let acknowledged = acknowledged.into_inner().expect("nobody panicked");
    block_on(async {
        for id in &acknowledged {
            client.event(id).await.unwrap_or_else(|error| panic!("{id} was acknowledged and is lost: {error}"));
        }
    });
    server.stop();
    verify(&data);
}

#[test]
fn a_misspelt_setting_is_an_error_that_names_the_nearest() {
    let config = |arguments: &[&str]| memos().arg("config").args(arguments).output().expect("memos runs");
    for (wrong, nearest) in [
        ("gateway.listne=127.0.0.1:1", "gateway.listen"),
        ("recal.bank_bytes=1", "recall.bank_bytes"),
        ("rules.keepat=1", "rules.keep_at"),
    ] {
        let said = refused(&config(&["--set", wrong]));
        let key = wrong.split_once('=').expect("a key").0;
        assert!(said.contains(key) && said.contains(nearest), "{said}");
    }
    let root = tempfile::tempdir().expect("a directory");
    let file = root.path().join("memos.toml");
    std::fs::write(&file, "[log]\npartition = 3\n").expect("a file");
    let said = refused(&config(&["--config", &file.display().to_string()]));
    assert!(said.contains("log.partition") && said.contains("log.partitions") && said.contains("memos.toml"), "{said}");
}

#[test]
fn it_listens_beyond_this_machine_only_with_keys() {
    let root = tempfile::tempdir().expect("a directory");
    let data = root.path().join("data");
    let output = try_run(&data, &["up", "--listen", "0.0.0.0:0"]);
    let said = refused(&output);
    assert!(said.contains("0.0.0.0") && said.contains("key"), "{said}");
}

// law: L12
#[test]
fn a_full_disk_stops_the_writes_and_not_the_answers() {
    let root = tempfile::tempdir().expect("a directory");
    let data = used(root.path());
    let server = Server::start(&data, &["--set", "disk.min_free_bytes=4611686018427387904"]);
    let event = json!({"interactions": [turn("three", "alice", "I have a dog.")]});
    for (path, body) in [
        ("/v1/interactions", event.clone()),
        ("/v1/inlets/events", turn("four", "alice", "I have a cat.")),
        ("/v1/dead-letters/replay", json!({})),
    ] {
        let reply = post_json(&server.url, path, &body);
        assert_eq!((reply.status, reply.code().as_str()), (503, "storage_low"), "{path}");
        assert!(reply.header("retry-after").is_some(), "{path}");
    }
    let found = block_on(server.client().recall(&question("alice", "Where does she live?"))).expect("an answer");
    assert!(!found.results.is_empty());
    assert!(!block_on(server.client().health()).expect("an answer").writable);
    server.stop();
    let server = Server::start(&data, &[]);
    assert_eq!(post_json(&server.url, "/v1/interactions", &event).status, 202);
    server.stop();
}

fn question(user: &str, query: &str) -> RecallRequest {
    RecallRequest { user_id: Some(user.to_owned()), query: query.to_owned(), ..RecallRequest::default() }
}

#[test]
fn nobody_known_is_an_empty_answer_and_no_error() {
    let root = tempfile::tempdir().expect("a directory");
    let server = Server::start(&root.path().join("data"), &[]);
    let found = block_on(server.client().recall(&question("nobody", "anything"))).expect("an answer");
    assert_eq!((found.results.len(), found.context.text.as_str()), (0, ""));
    for path in ["/v1/users/nobody/memories", "/v1/users/nobody/working-memory", "/v1/dead-letters"] {
        let request = crate::hostile::http::Request { method: "GET", path, headers: &[], body: &[] };
        assert_eq!(send(&server.url, &request).status, 200, "{path}");
    }
    let output = memos().args(["recall", "--user", "nobody", "--url", &server.url, "anything"]).output();
    let output = output.expect("memos runs");
    assert!(output.status.success() && !output.stdout.is_empty(), "{output:?}");
    server.stop();
}

// law: L11
#[test]
fn a_directory_of_a_newer_release_is_refused_and_left_alone() {
    let root = tempfile::tempdir().expect("a directory");
    let data = used(root.path());
    let file = data.join("log/log.json");
    let text = std::fs::read_to_string(&file).expect("the log describes itself");
    let newer = text.replace("\"format\":1", "\"format\":2").replace("\"format\": 1", "\"format\": 2");
    assert_ne!(newer, text);
    std::fs::write(&file, &newer).expect("a file");
    let said = refused_up(&data, &[]);
    assert!(said.contains("log.json") && said.contains("version 2") && said.contains("up to 1"), "{said}");
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), newer);
    std::fs::write(&file, text).expect("a file");
    Server::start(&data, &[]).stop();
    verify(&data);
}

// law: L12
#[test]
fn a_damaged_file_of_the_log_is_named() {
    let root = tempfile::tempdir().expect("a directory");
    let data = used(root.path());
    let in_topic = (0..2).map(|partition| data.join(format!("log/interactions/{partition}/{:020}.log", 0)));
    let size = |file: &std::path::PathBuf| std::fs::metadata(file).map_or(0, |found| found.len());
    let file = in_topic.max_by_key(size).expect("a file of the log");
    let mut bytes = std::fs::read(&file).expect("it is readable");
    let place = bytes.windows(5).position(|id| id == b"\"one\"").expect("the first of two records");
    bytes[place + 1] ^= 1;
    std::fs::write(&file, bytes).expect("a file");
    let report = try_run(&data, &["verify"]);
    let said = [report.stdout.as_slice(), &report.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(!report.status.success() && said.contains(&file.display().to_string()), "{said}");
    let said = refused_up(&data, &[]);
    assert!(said.contains(&file.display().to_string()) && said.contains("corrupt at byte"), "{said}");
}

/// The number of memories in a data directory, now.
fn memories(data: &Path) -> usize {
    let text = run(data, &["dump", "--hash"]);
    let counts = text.lines().nth(1).expect("the second line counts");
    counts.split(", ").nth(1).and_then(|it| it.split(' ').next()?.parse().ok()).expect("a number of memories")
}

// law: L03
#[test]
fn the_sample_a_second_time_is_nothing_new() {
    let root = tempfile::tempdir().expect("a directory");
    let data = root.path().join("data");
    let lines = SAMPLE.lines().count();
    let folded = |server: &Server| server.metric("memos_working_memory_events_total");
    let first = Server::start(&data, &["--sample"]);
    let lines_f64 = f64::from(u32::try_from(lines).expect("a small sample"));
    wait_until(DEADLINE, "the sample is folded", || folded(&first) >= lines_f64);
    wait_until(DEADLINE, "all that is closed is consolidated", || memories(&data) == sample_memories());
    first.stop();
    let before = hash(&data);
    let second = Server::start(&data, &["--sample"]);
    let repeats = || second.metric("memos_gateway_interactions_total") >= lines_f64;
    wait_until(DEADLINE, "the sample was published again", repeats);
    publish(&second, &[json!({"id": "last", "user_id": "zoe", "type": "remember", "body": {"text": "The end."}})]);
    wait_until(DEADLINE, "what came after it is consolidated", || memories(&data) == sample_memories() + 1);
    let zoe =
        block_on(second.client().memories(memos_client::Owner::User("zoe"), &memos_client::MemoriesQuery::default()));
    assert_eq!(zoe.expect("a page").results.len(), 1);
    second.stop();
    assert_ne!(hash(&data), before, "only what came after it changed anything");
    assert_eq!(memories(&data), sample_memories() + 1);
    verify(&data);
}

/// How many memories the sample makes, as a straight line.
fn sample_memories() -> usize {
    use memory_core::step::Row;
    use memory_core::{Offset, TenantId, Timestamp};
    let tenant = TenantId::try_new(crate::harness::TENANT).expect("a tenant");
    let history = SAMPLE.lines().zip(0..).map(|(line, offset)| {
        let value: Value = serde_json::from_str(line).expect("JSON lines");
        let recorded = testkit::events::recorded(&tenant, Timestamp::EPOCH, Offset::new(offset), &value);
        (recorded.event.subject(&tenant).expect("an owner").handle(&testkit::secret()), recorded)
    });
    let history: Vec<_> = history.collect();
    let folded = testkit::fold(&history);
    folded.people.values().flat_map(|person| person.rows.iter()).filter(|row| matches!(row, Row::Memory(_))).count()
}

/// The commands that a help text lists.
fn commands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| line.starts_with("  "));
    let named = listed.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    named.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_shows_an_example() {
    let help = |command: &[String]| {
        let output = memos().args(command).arg("--help").output().expect("memos runs");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("memos writes UTF-8")
    };
    let mut left: Vec<Vec<String>> = vec![Vec::new()];
    let mut seen = 0;
    let mut without = Vec::new();
    while let Some(command) = left.pop() {
        let text = help(&command);
        let below = commands(&text);
        if below.is_empty() {
            seen += 1;
            let example = text.lines().find_map(|line| line.strip_prefix("Example: "));
            let wanted = format!("memos {}", command.join(" "));
            if !example.is_some_and(|line| line.contains(&wanted)) {
                without.push(wanted);
            }
        }
        left.extend(below.into_iter().map(|name| [command.as_slice(), &[name]].concat()));
    }
    assert!(seen >= 12, "only {seen} commands were seen");
    assert_eq!(without, Vec::<String>::new(), "commands without an example");
}

/// A client with a key.
fn client_of(server: &Server, key: &str) -> Client {
    Client::new(&server.url, Some(key.to_owned())).expect("its address")
}
