//! What was forgotten comes back in no way: out of a backup, out of an archive, by a repeat, by a replay, or with the person.
//!
//! A copy of the data holds no key, and whoever puts it back has only the keys of now. What is forgotten in the meantime is
//! noise in it; everybody else has what they had when the copy was made.

// law: L09, L03, L06

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use memory_core::{HashSecret, Subject, TenantId};
use memos_client::forget::{ForgetBody, ForgetUntil};
use memos_client::{Owner, RecallRequest, ReceiptStatus};
use serde_json::{Value, json};

use crate::harness::{
    self, Canaries, DEADLINE, DumpText, Server, TENANT, block_on, canary, data_dir, get, run, status, verify,
    wait_until, wait_until_final,
};

/// No tick comes in between.
const NO_TICKS: &[&str] = &["--set", "working_memory.idle_tick_seconds=0"];
/// How long an answer may wait for a receipt.
const WAIT: std::time::Duration = std::time::Duration::from_secs(20);
const ALICE: &str = "alice";
const BOB: &str = "bob";

/// A life of Alice, with a canary in each of its sentences, and the ids of its events.
struct Life {
    events: Vec<Value>,
    words: Vec<String>,
}

impl Life {
    fn new(seed: u64, user: &str, number: u64) -> Self {
        let words: Vec<String> = (0..3).map(|place| canary(seed, user, number * 10 + place)).collect();
        let mut events = vec![
            json!({ "content": format!("I moved to Berlin with my sister Anna, {}.", words[0]) }),
            json!({ "type": "remember", "body": { "text": format!("The locker of {} is green", words[1]) } }),
            json!({ "type": "session_end" }),
            json!({ "content": format!("I want to study in Kyoto, {}.", words[2]) }),
        ];
        for (place, event) in events.iter_mut().enumerate() {
            event["id"] = json!(format!("{user}-{number}-{place}"));
            event["user_id"] = json!(user);
            event["session_id"] = json!("s");
        }
        Self { events, words }
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.events.iter().map(|event| event["id"].as_str().expect("an id"))
    }

    /// Says it, and waits until it is kept, but for the last sentence, which stays in an open window.
    #[track_caller]
    fn is_said(&self, server: &Server) {
        block_on(server.client().publish(&self.events)).expect("good events");
        wait_until_final(server, self.ids().take(3));
    }

    /// Every sentence is found.
    #[track_caller]
    fn is_remembered(&self, server: &Server) {
        for (place, word) in self.words.iter().enumerate() {
            let fates = self.ids().map(|id| status(&server.client(), id)).collect::<Vec<_>>();
            assert!(found(server, ALICE, word) > 0, "sentence {place}, {word}, is not found: {fates:?}");
        }
    }

    /// None is found, listed or shown.
    #[track_caller]
    fn is_gone(&self, server: &Server) {
        let path = |what: &str| format!("/v1/users/{ALICE}/{what}");
        let answers = [get(&server.url, &path("memories")), get(&server.url, &path("working-memory"))].concat();
        for word in &self.words {
            assert!(!answers.contains(word.as_str()), "{word} is shown");
            let answer = block_on(server.client().recall(&question(ALICE, word))).expect("an answer");
            assert!(!format!("{:?}", json!(answer)).contains(word.as_str()), "{word} is found");
        }
    }
}

fn question(user: &str, query: &str) -> RecallRequest {
    RecallRequest { user_id: Some(user.to_owned()), query: query.to_owned(), ..RecallRequest::default() }
}

/// How many of the answers have this word.
#[track_caller]
fn found(server: &Server, user: &str, word: &str) -> usize {
    let answer = block_on(server.client().recall(&question(user, word))).expect("an answer");
    answer.results.iter().filter(|result| json!(result).to_string().contains(word)).count()
}

#[track_caller]
fn forget(server: &Server, user: &str, body: &ForgetBody) {
    let wait = Some((ForgetUntil::Stage(ReceiptStatus::Verified), WAIT));
    let answer = block_on(server.client().forget(Owner::User(user), body, wait)).expect("it is taken");
    assert_eq!(answer.receipt.status, ReceiptStatus::Verified);
}

/// The lines of a user in the dump, in their order.
fn lines_of(dir: &Path, seed: u64, user: &str) -> Vec<String> {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&seed.to_be_bytes());
    let tenant = TenantId::try_new(TENANT).expect("a tenant");
    let handle = Subject::owner(&tenant, Some(user), None, None).expect("a user").handle(&HashSecret::new(bytes));
    let start = format!("{{\"subject\":\"{handle}\"");
    DumpText::of(dir).lines.into_iter().filter(|line| line.starts_with(&start)).collect()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("a new directory");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let path = entry.expect("an entry").path();
        let other = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &other);
        } else {
            std::fs::copy(&path, &other).expect("a copy");
        }
    }
}

/// Where the keys of a data directory are.
fn keys_of(dir: &Path) -> PathBuf {
    dir.with_file_name(format!("{}.keys", dir.file_name().expect("a name").to_string_lossy()))
}

/// Alice and Bob have talked, and memos has stopped.
fn two_lives(root: &Path, seed: u64) -> (PathBuf, Life, Life) {
    let dir = data_dir(root, "data", seed);
    let (alice, bob) = (Life::new(seed, ALICE, 1), Life::new(seed, BOB, 1));
    let server = Server::start(&dir, NO_TICKS);
    alice.is_said(&server);
    bob.is_said(&server);
    alice.is_remembered(&server);
    server.stop();
    assert!(keys_of(&dir).exists(), "the keys lie beside the data");
    (dir, alice, bob)
}

/// Alice talks once more, is forgotten, says nothing since. Answers nothing but that it is done.
fn alice_is_forgotten(dir: &Path, seed: u64) {
    let server = Server::start(dir, NO_TICKS);
    let more = Life::new(seed, ALICE, 2);
    more.is_said(&server);
    forget(&server, ALICE, &ForgetBody::everything());
    more.is_gone(&server);
    server.stop();
}

/// What came back from an old copy under the keys of now has nothing of Alice, all of Bob, and goes on living.
#[track_caller]
fn is_without_alice(dir: &Path, seed: u64, old: &Life, bobs: &[String]) {
    let server = Server::start(dir, NO_TICKS);
    old.is_gone(&server);
    assert_eq!(lines_of(dir, seed, BOB), bobs, "Bob has what he had");
    let canaries = Canaries::new(old.words.iter().map(String::as_str));
    let dump = run(dir, &["dump"]);
    assert_eq!(canaries.find(dump.as_bytes()), [], "in the dump");
    // She comes back, and is somebody new.
    let new = Life::new(seed, ALICE, 3);
    new.is_said(&server);
    new.is_remembered(&server);
    old.is_gone(&server);
    assert_eq!(lines_of(dir, seed, BOB), bobs, "Bob has what he had");
    server.stop();
    verify(dir);
    let server = Server::start(dir, NO_TICKS);
    new.is_remembered(&server);
    old.is_gone(&server);
    forget(&server, ALICE, &ForgetBody::everything());
    new.is_gone(&server);
    old.is_gone(&server);
    server.stop();
    verify(dir);
    assert_eq!(lines_of(dir, seed, BOB), bobs, "Bob has what he had");
    let canaries = Canaries::new(old.words.iter().chain(&new.words).map(String::as_str));
    assert_eq!(canaries.find_below(dir), [], "in a file");
}

#[test]
fn a_backup_of_before_brings_nobody_back() {
    let seed = harness::seed("backup", "a copy of the data of before a forget");
    let root = tempfile::tempdir().expect("a directory");
    let (dir, alice, _bob) = two_lives(root.path(), seed);
    let backup = root.path().join("backup");
    copy(&dir, &backup);
    let bobs = lines_of(&dir, seed, BOB);
    assert!(bobs.len() > 3, "Bob has something to lose");
    alice_is_forgotten(&dir, seed);
    std::fs::remove_dir_all(&dir).expect("the data is lost");
    std::fs::rename(&backup, &dir).expect("the backup is put in its place");
    is_without_alice(&dir, seed, &alice, &bobs);
}

#[test]
fn an_archive_of_before_brings_nobody_back() {
    let seed = harness::seed("archive", "an export of the log of before a forget, keys of after it");
    let root = tempfile::tempdir().expect("a directory");
    let (dir, alice, _bob) = two_lives(root.path(), seed);
    let (archive, keys) = (root.path().join("log.jsonl"), root.path().join("keys.exported"));
    run(&dir, &["log", "export", &archive.to_string_lossy()]);
    let bobs = lines_of(&dir, seed, BOB);
    alice_is_forgotten(&dir, seed);
    run(&dir, &["keys", "export", &keys.to_string_lossy()]);
    let elsewhere = root.path().join("elsewhere");
    run(&elsewhere, &["log", "import", &archive.to_string_lossy()]);
    run(&elsewhere, &["keys", "import", &keys.to_string_lossy()]);
    // The store is built from the log first.
    let server = Server::start(&elsewhere, NO_TICKS);
    let built = || lines_of(&elsewhere, seed, BOB) == bobs;
    wait_until(DEADLINE, "Bob has what he had", built);
    server.stop();
    is_without_alice(&elsewhere, seed, &alice, &bobs);
}

/// The dead letters of the tenant.
fn letters(server: &Server) -> usize {
    block_on(server.client().dead_letters(100)).expect("a list").len()
}

#[test]
fn what_arrived_before_a_forget_stays_forgotten_however_often_it_comes() {
    let seed = harness::seed("repeats", "repeats and replays behind a forget");
    let root = tempfile::tempdir().expect("a directory");
    let (dir, alice, _bob) = two_lives(root.path(), seed);
    let bobs = lines_of(&dir, seed, BOB);
    let server = Server::start(&dir, NO_TICKS);
    let [late, broken] = [canary(seed, "late", 0), canary(seed, "broken", 0)];
    // One that is about Alice and cannot be taken, and one of which nobody can say whom it is about.
    let bad = json!({ "id": "bad", "user_id": ALICE, "content": format!("I like {late}."), "role": "nobody" });
    let post = |body: &str| {
        let headers = [("Content-Type", "application/json")];
        harness::post(&server.url, "/v1/inlets/events", &headers, body, DEADLINE).expect("an answer")
    };
    assert_eq!(post(&bad.to_string()), 202);
    assert_eq!(post(&format!("{{\"id\": \"broken\", \"content\": \"{broken}")), 202);
    wait_until(DEADLINE, "two letters", || letters(&server) == 2);
    forget(&server, ALICE, &ForgetBody::everything());
    assert_eq!(letters(&server), 1, "what is about her is masked");
    let next = server.next_seq(ALICE);
    block_on(server.client().publish(&alice.events)).expect("repeats are taken");
    let replayed = block_on(server.client().replay(&memos_client::ReplayRequest::default())).expect("it is taken");
    assert_eq!(replayed.replayed, 1, "only what is nobody's is sent in again");
    wait_until(DEADLINE, "it is a letter again", || letters(&server) == 2);
    let new = Life::new(seed, ALICE, 2);
    new.is_said(&server);
    new.is_remembered(&server);
    alice.is_gone(&server);
    assert_eq!(server.next_seq(ALICE), next + new.events.len() as u64, "repeats are no events");
    assert_eq!(found(&server, ALICE, &late), 0);
    let lines = lines_of(&dir, seed, ALICE).concat();
    assert!(alice.words.iter().chain([&late, &broken]).all(|word| !lines.contains(word.as_str())), "{lines}");
    assert_eq!(lines_of(&dir, seed, BOB), bobs, "Bob has what he had");
    server.stop();
    verify(&dir);
    harness::delete_store(&dir);
    let server = Server::start(&dir, NO_TICKS);
    wait_until_final(&server, new.ids().take(3));
    new.is_remembered(&server);
    alice.is_gone(&server);
    server.stop();
    verify(&dir);
}

#[test]
fn who_comes_back_is_somebody_new_under_the_same_name() {
    let seed = harness::seed("return", "the same ids after a forget");
    let root = tempfile::tempdir().expect("a directory");
    let (dir, alice, _bob) = two_lives(root.path(), seed);
    let generation = |dir: &Path| {
        let lines = lines_of(dir, seed, ALICE);
        let subject = lines.iter().find(|line| line.contains("\"row\":{\"subject\":")).expect("a row of hers");
        let line: Value = serde_json::from_str(subject).expect("JSON");
        line["row"]["subject"]["generation"].as_u64().expect("a number")
    };
    let first = generation(&dir);
    let mut server = Server::start(&dir, NO_TICKS);
    let mut gone = vec![alice];
    for life in 2..5 {
        forget(&server, ALICE, &ForgetBody::everything());
        let new = Life::new(seed, ALICE, life);
        new.is_said(&server);
        new.is_remembered(&server);
        gone.iter().for_each(|old| old.is_gone(&server));
        assert_eq!(generation(&dir), first + life - 1, "a generation of her own");
        server.stop();
        verify(&dir);
        let words = gone.iter().flat_map(|old| old.words.iter().map(String::as_str));
        assert_eq!(Canaries::new(words).find(run(&dir, &["dump"]).as_bytes()), [], "in the dump");
        server = Server::start(&dir, NO_TICKS);
        gone.push(new);
    }
    server.stop();
}

/// Twenty things that somebody, a tool and a third party say, in several windows.
fn many_sources() -> Vec<Value> {
    const PLACES: [&str; 4] = ["Lisbon", "Oslo", "Kyoto", "Quito"];
    let one = |number: usize| {
        let place = PLACES[number % PLACES.len()];
        let mut event = json!({ "id": format!("e{number}"), "user_id": ALICE, "session_id": "s",
            "time": format!("2026-03-{:02}T10:00:00Z", number + 1) });
        if number % 5 == 4 {
            event["type"] = json!("session_end");
            return event;
        }
        let texts = [
            format!("I moved to {place} with my sister Anna, case {number}."),
            format!("My best years were in {place}."),
            format!("I bought a small flat in {place} and a telescope, case {}.", number / 3),
        ];
        event["content"] = json!(texts[number % 3]);
        let origins = [("user", "user"), ("tool", "tool"), ("user", "third_party")];
        let (role, origin) = origins[number % origins.len()];
        event["role"] = json!(role);
        event["origin"] = json!(origin);
        event
    };
    (0..25).map(one).collect()
}

/// What is remembered: text, kind and the events that each memory comes from. Numbers of steps and ids are left out: they
/// count what is gone.
fn memories(dir: &Path) -> BTreeSet<String> {
    let of = |(_, memory): (String, Value)| {
        let sources: BTreeSet<&str> = memory["sources"]
            .as_array()
            .expect("sources")
            .iter()
            .map(|source| source["event_id"].as_str().expect("an event id"))
            .collect();
        json!({ "text": memory["text"], "kind": memory["kind"], "sources": sources }).to_string()
    };
    // What sums up others was made when sessions ended; where that is depends on what had been said by then.
    let said = |(_, memory): &(String, Value)| memory["kind"] != "summary" && memory["kind"] != "pattern";
    DumpText::of(dir).rows("memory").filter(said).map(of).collect()
}

/// A server that was told these events, and then perhaps to forget some; answers what it remembers.
fn told(root: &Path, name: &str, events: &[Value], revoked: Option<&ForgetBody>) -> BTreeSet<String> {
    let dir = data_dir(root, name, 7);
    let server = Server::start(&dir, NO_TICKS);
    // Window by window, each of which is decided on its own.
    for some in events.split_inclusive(|event| event["type"] == "session_end") {
        block_on(server.client().publish(some)).expect("good events");
        wait_until_final(&server, some.iter().map(|event| event["id"].as_str().expect("an id")));
    }
    if let Some(body) = revoked {
        forget(&server, ALICE, body);
    }
    let live = memories(&dir);
    server.stop();
    verify(&dir);
    harness::delete_store(&dir);
    let server = Server::start(&dir, NO_TICKS);
    wait_until(DEADLINE, "it is built again", || memories(&dir) == live);
    server.stop();
    verify(&dir);
    live
}

// law: L09, L07
#[test]
fn what_is_revoked_by_its_source_leaves_what_would_be_there_without_it() {
    let root = tempfile::tempdir().expect("a directory");
    let events = many_sources();
    let all = told(root.path(), "all", &events, None);
    let by_events =
        ForgetBody { event_ids: ["e0", "e6", "e11", "e13"].map(str::to_owned).to_vec(), ..ForgetBody::default() };
    let by_origin = ForgetBody { origin: Some(memory_core::event::Origin::ThirdParty), ..ForgetBody::default() };
    type Stays = fn(&Value) -> bool;
    let cases: BTreeMap<&str, (ForgetBody, Stays)> = BTreeMap::from([
        ("events", (by_events, (|event| !["e0", "e6", "e11", "e13"].iter().any(|id| event["id"] == *id)) as Stays)),
        ("origin", (by_origin, |event| event["origin"] != "third_party")),
    ]);
    for (name, (body, stays)) in cases {
        let without: Vec<Value> = events.iter().filter(|event| stays(event)).cloned().collect();
        assert!(without.len() < events.len());
        let revoked = told(root.path(), &format!("{name}-revoked"), &events, Some(&body));
        let never = told(root.path(), &format!("{name}-never"), &without, None);
        assert_eq!(revoked, never, "by {name}");
        assert_ne!(revoked, all, "by {name} something goes");
    }
}
