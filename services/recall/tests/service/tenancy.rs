//! Somebody else's id answers exactly as a missing one.

use memory_core::{EventId, MemoryId, Rules, Subject, Timestamp};
use memos_client::port::RecallApi;
use recall::Settings;
use serde_json::json;
use testkit::events;

use crate::kit::{Stage, block_on, texts, user};

// law: L08
#[test]
fn a_tenant_sees_nothing_of_another_with_the_same_names() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let (mine, theirs) = (user("one", "alice"), user("two", "alice"));
    for (owner, text) in [(&mine, "I moved to Lisbon in May."), (&theirs, "I moved to Kyoto in June.")] {
        let mut value = events::turn(text);
        value["id"] = json!(format!("of-{}", owner.tenant.as_str()));
        running.reached(&stage.say(owner, value));
        for settled in [false, true] {
            if settled {
                running.reached(&stage.say(owner, events::session_end()));
                stage.settle(&running);
            }
            let found: Vec<String> = texts(&running.ask(owner, "moved")).into_iter().map(|(_, text)| text).collect();
            assert_eq!(found, [text], "settled: {settled}");
        }
    }
    let (carol, namesake, nobody) = (user("one", "carol"), user("two", "carol"), user("two", "dora"));
    let fact = json!({"type": "remember", "body": {"kind": "fact", "text": "My blood group is A."}});
    running.reached(&stage.say(&carol, fact));
    stage.settle(&running);
    let profile = |owner: &Subject| {
        let mut profile = block_on(running.recall.profile(owner, Some(event_log::now()))).expect("an answer");
        (profile.user_id, profile.now) = (None, Timestamp::EPOCH);
        profile
    };
    assert_eq!(profile(&carol).facts.len(), 1);
    assert_eq!(profile(&namesake), profile(&nobody), "the same name in another tenant is unknown");
    assert!(profile(&mine).style.is_some() && profile(&mine) != profile(&theirs));
    for (owner, other) in [(&mine, &theirs), (&theirs, &mine)] {
        let event = EventId::try_new(format!("of-{}", owner.tenant.as_str())).expect("an id");
        let id = MemoryId::of_event(owner.handle(&testkit::secret()), &event);
        assert!(block_on(running.recall.memory(&owner.tenant, id)).expect("an answer").is_some());
        assert!(block_on(running.recall.history(&owner.tenant, id)).expect("an answer").is_some());
        assert!(block_on(running.recall.event(&owner.tenant, &event)).expect("an answer").is_some());
        assert_eq!(block_on(running.recall.memory(&other.tenant, id)), Ok(None));
        assert_eq!(block_on(running.recall.history(&other.tenant, id)), Ok(None));
        assert_eq!(block_on(running.recall.event(&other.tenant, &event)), Ok(None));
    }
    running.stop().expect("it was told to");
}

// law: L08
#[test]
fn an_open_event_of_another_tenant_is_missing() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let (mine, theirs) = (user("one", "alice"), user("two", "alice"));
    let mut value = events::turn("I moved to Lisbon in May.");
    value["id"] = json!("open");
    running.reached(&stage.say(&mine, value));
    let event = EventId::try_new("open").expect("an id");
    assert!(block_on(running.recall.event(&mine.tenant, &event)).expect("an answer").is_some());
    assert_eq!(block_on(running.recall.event(&theirs.tenant, &event)), Ok(None));
    running.stop().expect("it was told to");
}
