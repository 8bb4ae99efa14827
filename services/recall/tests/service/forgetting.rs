//! What is forgotten is not found, by any question, from the moment that the forget was folded; and what is not to be
//! known right now is not told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use event_log::{EventLog, Topic, envelope, now};
use keyring::{KeyId, Keyring, Minted, Owner, Vault, VaultError};
use memory_core::forget::{Receipt, Scope, Stage as Reached};
use memory_core::{EventId, Handle, MemoryId, ReceiptId, Rules, Seq, Subject, Timestamp};
use memos_client::port::{ListRequest, RecallApi};
use memos_client::{EventStatus, RecallRequest, ReceiptStatus, Unavailable};
use recall::Settings;
use serde_json::{Value, json};
use testkit::{events, wait_until};

use crate::kit::{DEADLINE, PARTITIONS, Running, Stage, block_on, own_store, question, tenant, user};

/// In everything that is to be forgotten, and in nothing else.
const CANARY: &str = "canary";

fn event(id: &str) -> EventId {
    EventId::try_new(id).expect("an id")
}

fn memory(owner: &Subject, id: &str) -> MemoryId {
    MemoryId::of_event(owner.handle(&testkit::secret()), &event(id))
}

/// Somebody with so many memories that their bank is kept warm, closed windows that no step covers, and an open one.
/// The canaries are in session `s`, by the assistant, of events whose ids begin with `c`.
fn told(stage: &mut Stage, running: &Running) -> Subject {
    let alice = user("t", "alice");
    let say = |stage: &mut Stage, id: &str, session: &str, text: &str| {
        let mut value = events::turn(text);
        value["id"] = json!(id);
        value["session_id"] = json!(session);
        if session == "s" {
            value["origin"] = json!("third_party");
            value["time"] = json!("2020-01-01T00:00:00Z");
        }
        stage.say(&alice, value)
    };
    for number in 0..60 {
        let id = format!("k{number}");
        say(
            stage,
            &id,
            "other",
            &format!("In {number} I moved to town {number} in Norway with friend number {number}."),
        );
        if number % 10 == 0 {
            let id = format!("c{number}");
            say(stage, &id, "s", &format!("My {CANARY} of house {number} lives at number {number} of Harbour Street."));
        }
    }
    let fact = json!({"kind": "fact", "text": format!("The {CANARY} of Harbour Street is a fact.")});
    stage.say(
        &alice,
        json!({"id": "c-fact", "type": "remember", "session_id": "s", "origin": "third_party",
        "time": "2020-01-01T00:00:00Z", "body": fact}),
    );
    stage.say(&alice, events::session_end());
    running.reached(&stage.end());
    stage.settle(running);
    say(stage, "c-closed", "s", &format!("My {CANARY} of a closed window lives at number 70 of Lisbon Street."));
    stage.say(&alice, events::session_end());
    say(stage, "c-open", "s", &format!("My {CANARY} of an open window lives at number 80 of Kyoto Street."));
    running.reached(&stage.end());
    alice
}

const IDS: [&str; 9] = ["c0", "c10", "c20", "c30", "c40", "c50", "c-fact", "c-closed", "c-open"];

fn list() -> ListRequest {
    ListRequest { limit: 200, cursor: None, kinds: Vec::new(), filters: None, include_inactive: true }
}

/// Everything that recall says of somebody, whatever it is asked. Always asked at the same time, and long after all that
/// was told, so that two answers differ in nothing but what is known.
fn said(running: &Running, owner: &Subject) -> Value {
    let recall = &running.recall;
    let now = Some(Timestamp::from_seconds(4_000_000_000));
    let asked = |query: &str| {
        let request = RecallRequest { now, ..question(owner, query) };
        json!(block_on(recall.recall(&owner.tenant, request)).expect("an answer"))
    };
    let of = |id: &str| {
        let id = memory(owner, id);
        json!([
            block_on(recall.memory(&owner.tenant, id)).expect("an answer").map(|found| found.value),
            block_on(recall.history(&owner.tenant, id)).expect("an answer"),
        ])
    };
    json!({
        "search": [asked("canary"), asked("Who lives in Harbour Street?"), asked("Lisbon Street or Kyoto Street")],
        "list": block_on(recall.memories(owner, list())).expect("a page"),
        "working": block_on(recall.working_memory(owner)).expect("an answer"),
        "profile": block_on(recall.profile(owner, now)).expect("an answer"),
        "ids": IDS.map(of),
    })
}

fn status(running: &Running, id: &str) -> Option<EventStatus> {
    block_on(running.recall.event(&tenant("t"), &event(id))).expect("an answer").map(|event| event.status)
}

/// Nothing of it is found, and of its events no more is said than that they are forgotten.
fn assert_gone(running: &Running, owner: &Subject, context: &str) {
    let said = said(running, owner).to_string();
    assert!(!said.contains(CANARY), "{context}: {said}");
    for id in IDS {
        let found = status(running, id);
        assert!(matches!(found, None | Some(EventStatus::Forgotten)), "{context}: {id} is {found:?}");
    }
}

fn scopes(owner: &Subject) -> Vec<(&'static str, Value)> {
    let named: Vec<MemoryId> = IDS[..4].iter().map(|id| memory(owner, id)).collect();
    vec![
        ("everything", json!({"everything": true})),
        ("ids", json!({"memory_ids": named, "event_ids": &IDS[4..]})),
        ("events", json!({"event_ids": IDS})),
        ("session", json!({"session_id": "s"})),
        ("origin", json!({"origin": "third_party"})),
        ("time", json!({"from": "2019-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"})),
    ]
}

/// The forget is folded, and what is left to do comes in the order in which the services do it, or later than it might.
// law: L09
#[test]
fn nothing_that_is_forgotten_is_found_from_the_fold_of_the_forget_on() {
    let scopes = scopes(&user("t", "alice"));
    for (name, scope) in scopes {
        for alone in [false, true] {
            let dir = tempfile::tempdir().expect("a directory");
            let mut stage = Stage::new(Rules::default());
            let own = own_store(&dir, &stage.ring);
            let running =
                if alone { stage.recall_alone(own, Settings::default()) } else { stage.recall(Settings::default()) };
            let alice = told(&mut stage, &running);
            let before = said(&running, &alice).to_string();
            assert!(before.matches(CANARY).count() > 20, "{before}");
            let profile = json!(block_on(running.recall.profile(&alice, None)).expect("an answer")).to_string();
            assert!(profile.contains(CANARY), "{profile}");
            assert_eq!(status(&running, "c-open"), Some(EventStatus::Recallable));
            running.reached(&stage.say(&alice, events::forget(scope.clone())));
            let after = stage.say(&alice, {
                let mut value = events::turn("We met in Oslo in May.");
                value["id"] = json!("later");
                value
            });
            running.reached(&after);
            assert_gone(&running, &alice, &format!("{name}, alone: {alone}, folded"));
            let subject = alice.handle(&testkit::secret());
            let partition = subject.partition(PARTITIONS);
            let mut acts = 0;
            while stage.log_window(subject) {
                assert_gone(&running, &alice, &format!("{name}, alone: {alone}, window {acts}"));
                acts += 1;
            }
            stage.log_boundary(subject);
            assert_gone(&running, &alice, &format!("{name}, alone: {alone}, boundary"));
            while stage.log_step(partition, &running) {
                assert_gone(&running, &alice, &format!("{name}, alone: {alone}, step {acts}"));
                acts += 1;
            }
            assert!(acts > 4, "{acts}");
            stage.settle(&running);
            assert_gone(&running, &alice, &format!("{name}, alone: {alone}, settled"));
            assert_eq!(status(&running, "later"), Some(EventStatus::Recallable), "{name}: what came after is there");
            let left = said(&running, &alice).to_string();
            assert!(left.contains("Oslo"), "{name}: what came after is there");
            assert_eq!(left.contains("Norway"), name != "everything", "{name}: the rest is there");
            running.stop().expect("it was told to");
        }
    }
}

/// A dry run says what goes, and changes nothing.
// law: L09
#[test]
fn a_preview_names_what_the_forget_takes() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = told(&mut stage, &running);
    let matching = memory_core::forget::Matching { session_id: Some("s".to_owned()), ..Default::default() };
    let preview = |scope: &Scope| block_on(running.recall.preview(&alice, scope)).expect("an answer");
    let found = preview(&Scope::Matching(matching.clone()));
    assert_eq!((found.memories, found.turns), (7, 2));
    let mut events = found.event_ids;
    events.sort();
    assert_eq!(events, ["c-closed", "c-open"]);
    assert!(said(&running, &alice).to_string().contains(CANARY));
    running.reached(&stage.say(&alice, events::forget(json!({"session_id": "s"}))));
    let found = preview(&Scope::Matching(matching));
    assert_eq!((found.memories, found.turns), (0, 0), "it is forgotten already");
    running.stop().expect("it was told to");
}

// law: L09, L08
#[test]
fn a_receipt_goes_from_accepted_to_verified_and_is_nobody_elses() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut stage = Stage::new(Rules::default());
    let own = own_store(&dir, &stage.ring);
    let running = stage.recall_alone(own, Settings::default());
    let alice = told(&mut stage, &running);
    let mut forget = events::forget_everything();
    forget["id"] = json!("the-forget");
    let subject = alice.handle(&testkit::secret());
    let id = ReceiptId::of_event(subject, &event("the-forget"));
    let receipt = |of: &str| block_on(running.recall.receipt(&tenant(of), id)).expect("an answer");
    assert!(receipt("t").is_none());
    running.reached(&stage.say(&alice, forget));
    let view = receipt("t").expect("it is accepted");
    assert_eq!(
        (view.status, view.scope.as_str(), view.forgotten.is_none()),
        (ReceiptStatus::Accepted, "everything", true)
    );
    stage.settle(&running);
    let view = receipt("t").expect("it is accepted");
    let forgotten = view.forgotten.expect("it is counted now");
    assert_eq!((view.status, forgotten.keys), (ReceiptStatus::Accepted, 0));
    assert!(forgotten.memories > 60 && forgotten.sources >= forgotten.memories);
    let row = running.store.receipt(alice.tenant.tag(&testkit::secret()), id).expect("it reads").expect("a row");
    let stages = [
        (Reached::KeyDestroyed, ReceiptStatus::KeyDestroyed),
        (Reached::Erased, ReceiptStatus::Erased),
        (Reached::Verified, ReceiptStatus::Verified),
    ];
    for (stage_of, wanted) in stages {
        let told = Receipt { subject, stage: stage_of, at: now(), keys: 2, erased: row.erased.clone() };
        let record = envelope::receipt(&told, now());
        stage
            .log
            .append(&Topic::Receipts, subject.partition(PARTITIONS), vec![record])
            .expect("room")
            .wait()
            .expect("durable");
        let reached = || receipt("t").is_some_and(|view| view.status == wanted);
        wait_until(DEADLINE, "the receipt says so", reached);
    }
    let view = receipt("t").expect("it is there");
    assert_eq!(view.forgotten.expect("it is counted").keys, 2);
    assert!(view.key_destroyed_at.is_some() && view.erased_at.is_some() && view.verified_at.is_some());
    assert!(receipt("other").is_none(), "somebody else's is missing");
    running.stop().expect("it was told to");
}

/// Who destroyed the keys is a process ahead of this one: it has not read the step yet, nor even the forget.
// law: L09
#[test]
fn what_the_dead_keys_sealed_is_not_shown_though_nothing_else_was_read_yet() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = told(&mut stage, &running);
    assert!(said(&running, &alice).to_string().contains(CANARY), "and its bank is warm");
    let subject = alice.handle(&testkit::secret());
    let bob = user("t", "bob");
    running.reached(&stage.say(&bob, events::turn("I moved to Norway with a canary.")));
    let kept = said(&running, &bob);
    assert!(kept.to_string().contains(CANARY));
    stage.ring.destroy(subject, Seq::new(1_000)).expect("they are destroyed");
    let said_now = said(&running, &alice).to_string();
    assert!(!said_now.contains(CANARY) && !said_now.contains("Norway"), "{said_now}");
    assert_eq!(said(&running, &bob), kept, "nobody else is touched");
    running.stop().expect("it was told to");
}

/// Keys that may be known or not.
#[derive(Debug)]
struct Moody(Arc<AtomicBool>);

impl Vault for Moody {
    fn keep(&self, _: &[Minted]) -> Result<(), VaultError> {
        Ok(())
    }

    fn destroy(&self, _: Handle, _: Seq, _: &[KeyId]) -> Result<(), VaultError> {
        Ok(())
    }

    fn destroy_epochs(&self, _: &[(Owner, KeyId)]) -> Result<(), VaultError> {
        Ok(())
    }

    fn refresh(&self, _: &Keyring, _: Owner) -> Result<(), VaultError> {
        Ok(())
    }

    fn is_fresh(&self, _: Owner) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Every question, and whether it was answered.
fn questions(running: &Running, owner: &Subject) -> Vec<(&'static str, Result<(), Unavailable>)> {
    let (recall, tenant) = (&running.recall, &owner.tenant);
    let id = memory(owner, "c0");
    vec![
        ("search", block_on(recall.recall(tenant, question(owner, "canary"))).map(drop)),
        ("list", block_on(recall.memories(owner, list())).map(drop)),
        ("memory", block_on(recall.memory(tenant, id)).map(drop)),
        ("missing memory", block_on(recall.memory(tenant, memory(owner, "nothing"))).map(drop)),
        ("history", block_on(recall.history(tenant, id)).map(drop)),
        ("working memory", block_on(recall.working_memory(owner)).map(drop)),
        ("profile", block_on(recall.profile(owner, None)).map(drop)),
        ("event", block_on(recall.event(tenant, &event("c0"))).map(drop)),
        ("open event", block_on(recall.event(tenant, &event("c-open"))).map(drop)),
        ("missing event", block_on(recall.event(tenant, &event("nothing"))).map(drop)),
        ("preview", block_on(recall.preview(owner, &Scope::Everything)).map(drop)),
    ]
}

// law: L09
#[test]
fn who_does_not_know_which_keys_are_dead_tells_nothing() {
    let fresh = Arc::new(AtomicBool::new(true));
    let ring = Keyring::new(Box::new(Moody(Arc::clone(&fresh)))).expect("a ring");
    let mut stage = Stage::with_ring(Rules::default(), ring);
    let running = stage.recall(Settings::default());
    let alice = told(&mut stage, &running);
    for knows in [true, false, true] {
        fresh.store(knows, Ordering::SeqCst);
        for (what, answer) in questions(&running, &alice) {
            match answer {
                Ok(()) => assert!(knows, "{what} was answered"),
                Err(error) => {
                    assert!(!knows, "{what}: {error}");
                    assert_eq!((error.code, error.invalid), ("restoring", false), "{what}");
                    assert!(error.retry_after_seconds > 0 && !error.message.contains(CANARY), "{what}");
                }
            }
        }
    }
    running.stop().expect("it was told to");
}

/// The rows of a store that reads everything anew, when the keys of before are dead.
// law: L09, L06
#[test]
fn a_recall_that_starts_after_a_forget_says_what_one_says_that_was_there() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = told(&mut stage, &running);
    running.reached(&stage.say(&alice, events::forget(json!({"session_id": "s"}))));
    stage.settle(&running);
    let subject = alice.handle(&testkit::secret());
    let floor = stage.store.step_numbers(subject).expect("numbers").key_since;
    assert!(stage.ring.destroy(subject, floor).expect("they are destroyed") > 0);
    let dir = tempfile::tempdir().expect("a directory");
    let fresh = stage.recall_alone(own_store(&dir, &stage.ring), Settings::default());
    fresh.reached(&stage.end());
    let memories = |running: &Running| json!(block_on(running.recall.memories(&alice, list())).expect("a page"));
    let known = memories(&running);
    assert!(known.to_string().contains("Norway") && !known.to_string().contains(CANARY));
    assert_eq!(memories(&fresh), known);
    fresh.stop().expect("it was told to");
    running.stop().expect("it was told to");
}
