//! Reading one's own writes, and banks that stay right however long they are kept warm.

use std::time::Duration;

use event_log::{Offset, Partition};
use memory_core::{Rules, Subject, Timestamp};
use memos_client::Position;
use memos_client::port::{ListRequest, Reach, RecallApi};
use recall::Settings;
use serde_json::{Value, json};
use testkit::{events, lively_history};

use crate::kit::{Running, Stage, block_on, question, texts, user};

#[test]
fn what_was_published_is_found_once_its_position_is_reached() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    for number in 0..200 {
        let owner = user("t", &format!("u{}", number % 7));
        let text = format!("The code of locker {number} is {}.", number * 7919);
        let position = stage.say(&owner, events::turn(&text));
        running.reached(&position);
        let mut request = question(&owner, &format!("locker {number}"));
        request.at_least = Some(position.clone());
        let answer = block_on(running.recall.recall(&owner.tenant, request)).expect("it was reached");
        assert!(texts(&answer).iter().any(|(_, found)| *found == text), "{text}");
        let both = answer.position.clone().merge(&position).expect("of one log");
        assert_eq!(both, answer.position, "the answer says that it covers what was asked for");
        if number % 20 == 0 {
            stage.settle(&running);
        }
    }
    running.stop().expect("it was told to");
}

#[test]
fn a_position_that_is_not_reached_is_told_from_one_that_never_will_be() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = user("t", "alice");
    let reached = stage.say(&alice, events::turn("I live in Lisbon."));
    running.reached(&reached);
    let ask = |position: &Position| {
        let mut request = question(&alice, "where");
        request.at_least = Some(position.clone());
        block_on(running.recall.recall(&alice.tenant, request)).expect_err("not this one")
    };
    let wait = |position: &Position| block_on(running.recall.reached(position, Reach::One, Duration::from_millis(20)));
    let mut ahead = reached.clone();
    ahead.cover(*reached.next.keys().next().expect("a partition"), Offset::new(1_000));
    let error = ask(&ahead);
    assert_eq!((error.code, error.invalid), ("position_not_reached", false));
    assert!(error.retry_after_seconds > 0);
    assert_eq!(wait(&ahead).expect_err("nothing came").code, "timeout");
    let mut elsewhere = Position::new(uuid::Uuid::from_u128(1));
    elsewhere.cover(Partition::new(0), Offset::new(0));
    let mut nowhere = reached;
    nowhere.cover(Partition::new(99), Offset::new(0));
    for wrong in [elsewhere, nowhere] {
        let error = ask(&wrong);
        assert_eq!((error.code, error.invalid), ("wrong_log", true));
        assert_eq!(wait(&wrong).expect_err("never").code, "wrong_log");
    }
    running.stop().expect("it was told to");
}

#[test]
fn a_question_may_be_asked_as_of_an_earlier_time() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = user("t", "alice");
    let said = ["I moved to Lisbon with my sister Anna.", "I bought a violin in Oslo with Priya."];
    let mut arrived = Vec::new();
    for text in said {
        stage.say(&alice, events::turn(text));
        running.reached(&stage.say(&alice, events::session_end()));
        stage.settle(&running);
        let all = memories(&running, &alice);
        let times = all["results"].as_array().expect("a list").iter().map(|one| one["created_at"].as_str());
        let newest = times.max().flatten().expect("something is kept").to_owned();
        arrived.push(newest.parse::<jiff::Timestamp>().expect("a time"));
    }
    let open = stage.say(&alice, events::turn("My telescope stands in Lisbon."));
    running.reached(&open);
    let known = |at: jiff::Timestamp| {
        let mut request = question(&alice, "Lisbon, Oslo");
        request.as_of = Some(Timestamp::from_micros(at.as_microsecond()));
        let answer = block_on(running.recall.recall(&alice.tenant, request)).expect("an answer");
        let mut texts: Vec<String> = texts(&answer).into_iter().map(|(_, text)| text).collect();
        texts.sort_unstable_by_key(|text| said.iter().position(|one| one == text));
        texts
    };
    assert_eq!(known(arrived[0]), said[..1]);
    assert_eq!(known(arrived[1]), said);
    assert_eq!(known(jiff::Timestamp::UNIX_EPOCH), [""; 0]);
    running.stop().expect("it was told to");
}

#[test]
fn the_context_block_is_filled_to_its_budget_however_few_results_are_wanted() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = user("t", "alice");
    let said = ["My sister Anna lives in Lisbon.", "I flew to Lisbon in May.", "I lost my umbrella in Lisbon."];
    said.iter().for_each(|text| {
        running.reached(&stage.say(&alice, events::turn(text)));
    });
    let ask = |token_budget| {
        let mut request = question(&alice, "Lisbon");
        (request.limit, request.token_budget) = (1, token_budget);
        block_on(running.recall.recall(&alice.tenant, request)).expect("an answer")
    };
    let answer = ask(1_000);
    assert_eq!((answer.results.len(), answer.context.sources.len()), (1, said.len()));
    assert!(said.iter().all(|text| answer.context.text.contains(text)), "{}", answer.context.text);
    assert_eq!((ask(0).results.len(), ask(0).context.text.as_str()), (1, ""));
    running.stop().expect("it was told to");
}

#[test]
fn a_profile_tells_what_is_kept_of_somebody_as_of_a_time() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = user("t", "alice");
    let fact = json!({"id": "fact", "type": "remember", "time": "2026-05-08T12:00:00Z",
        "body": {"kind": "fact", "text": "Her blood group is A.", "pinned": true}});
    let mut turn = events::turn("I moved to Lisbon in May with my sister Anna.");
    (turn["id"], turn["time"]) = (json!("turn"), json!("2026-05-06T12:00:00Z"));
    [turn, fact, events::session_end()].into_iter().for_each(|value| running.reached(&stage.say(&alice, value)));
    let ask = |now: Option<&str>| {
        let now = now.map(|now| memos_client::time::parse(now).expect("a time"));
        block_on(running.recall.profile(&alice, now)).expect("an answer")
    };
    assert_eq!((ask(None).facts.len(), ask(None).style), (0, None), "turns of an open window are no memories yet");
    stage.settle(&running);
    let profile = ask(None);
    let [fact] = profile.facts.as_slice() else { panic!("{} facts", profile.facts.len()) };
    assert_eq!(
        (fact.text.as_str(), fact.pinned, fact.sources.as_slice()),
        ("Her blood group is A.", true, &["fact".to_owned()][..])
    );
    let style = profile.style.expect("a turn was kept");
    assert_eq!((style.language.as_deref(), style.words, style.sources), (Some("en"), 10, vec!["turn".to_owned()]));
    let before = ask(Some("2026-05-07T00:00:00Z"));
    assert_eq!((before.facts.len(), before.style.is_some()), (0, true));
    assert_eq!(json!(before)["now"], "2026-05-07T00:00:00Z");
    running.stop().expect("it was told to");
}

#[test]
fn an_unknown_subject_has_empty_answers() {
    let stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let nobody = user("t", "nobody");
    let answer = running.ask(&nobody, "anything");
    assert_eq!((answer.results.len(), answer.context.text.as_str()), (0, ""));
    let conversation = block_on(running.recall.working_memory(&nobody)).expect("an answer");
    assert_eq!((conversation.turns.len(), conversation.next_seq, conversation.remember), (0, 0, true));
    assert_eq!(memories(&running, &nobody)["results"], json!([]));
    let profile = json!(block_on(running.recall.profile(&nobody, None)).expect("an answer"));
    assert_eq!(
        (&profile["user_id"], &profile["facts"], &profile["style"]),
        (&json!("nobody"), &json!([]), &json!(null))
    );
    running.stop().expect("it was told to");
}

fn memories(running: &Running, owner: &Subject) -> Value {
    let request = ListRequest { limit: 200, cursor: None, kinds: Vec::new(), filters: None, include_inactive: true };
    json!(block_on(running.recall.memories(owner, request)).expect("a page"))
}

/// Everything that recall says of a subject.
fn said_of(running: &Running, owner: &Subject) -> Value {
    let mut request = question(owner, "Where does she work and what is she allergic to, with Anna?");
    request.now = Some(Timestamp::from_seconds(1_800_000_000));
    let mut answer = json!(block_on(running.recall.recall(&owner.tenant, request)).expect("an answer"));
    answer["memories"] = memories(running, owner);
    let now = Some(Timestamp::from_seconds(1_800_000_000));
    answer["profile"] = json!(block_on(running.recall.profile(owner, now)).expect("an answer"));
    answer["working"] = json!(block_on(running.recall.working_memory(owner)).expect("an answer"));
    answer
}

// law: L06
#[test]
fn a_bank_that_was_kept_warm_is_the_one_that_a_fresh_recall_reads() {
    let history = lively_history(91, 6, 1_200);
    let mut owners: Vec<Subject> =
        history.iter().map(|(_, recorded)| recorded.event.subject(&recorded.tenant).expect("an owner")).collect();
    owners.sort();
    owners.dedup();
    assert_eq!(owners.len(), 6);
    // With little room, banks and conversations come and go all the time.
    let cramped = Settings { bank_bytes: 60_000, conversations_max: 2, batch_records: 16, ..Settings::default() };
    for settings in [Settings::default(), cramped] {
        let mut stage = Stage::new(Rules::default());
        let warm = stage.recall(settings);
        let mut compared = 0;
        for (number, (_, recorded)) in history.iter().enumerate() {
            let position = stage.hear(recorded);
            if number % 40 == 39 {
                warm.reached(&position);
                owners.iter().for_each(|owner| drop(said_of(&warm, owner)));
                stage.settle(&warm);
            }
            if number % 400 == 399 {
                compared += compare(&stage, &warm, &owners);
            }
        }
        assert_eq!(compared, 18);
        warm.stop().expect("it was told to");
    }
}

/// Compares what a recall says of everybody with what one says that has just started.
fn compare(stage: &Stage, warm: &Running, owners: &[Subject]) -> usize {
    let fresh = stage.recall(Settings::default());
    for running in [warm, &fresh] {
        running.reached(&stage.end());
    }
    for owner in owners {
        assert_eq!(said_of(warm, owner), said_of(&fresh, owner), "of {owner:?}");
    }
    fresh.stop().expect("it was told to");
    owners.len()
}
