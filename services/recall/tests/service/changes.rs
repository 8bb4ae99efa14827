//! A deletion or correction takes effect for readers with the event, not with the step.

use memory_core::{EventId, MemoryId, Rules, Subject};
use memos_client::EventStatus;
use memos_client::port::RecallApi;
use recall::Settings;
use serde_json::json;
use testkit::events;

use crate::kit::{Running, Stage, block_on, tenant, texts, user};

const SECRET: &str = "My locker code is 4711, in the gym in Lisbon.";

fn event(id: &str) -> EventId {
    EventId::try_new(id).expect("an id")
}

/// Somebody who has told one thing, which is a memory now.
fn told() -> (Stage, Running, Subject, MemoryId) {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = user("t", "alice");
    let mut value = events::turn(SECRET);
    value["id"] = json!("told");
    stage.say(&alice, value);
    let position = stage.say(&alice, events::session_end());
    running.reached(&position);
    stage.settle(&running);
    let id = MemoryId::of_event(alice.handle(&testkit::secret()), &event("told"));
    assert!(block_on(running.recall.memory(&alice.tenant, id)).expect("an answer").is_some());
    (stage, running, alice, id)
}

fn says(running: &Running, owner: &Subject, query: &str) -> Vec<String> {
    texts(&running.ask(owner, query)).into_iter().map(|(_, text)| text).collect()
}

#[test]
fn a_pending_deletion_masks_at_once() {
    let (mut stage, running, alice, id) = told();
    assert!(says(&running, &alice, "locker code").contains(&SECRET.to_owned()));
    let position = stage.say(&alice, events::delete(id));
    running.reached(&position);
    for settled in [false, true] {
        if settled {
            stage.settle(&running);
        }
        assert!(!says(&running, &alice, "locker code").contains(&SECRET.to_owned()), "settled: {settled}");
        assert_eq!(block_on(running.recall.memory(&alice.tenant, id)), Ok(None), "settled: {settled}");
        assert_eq!(block_on(running.recall.history(&alice.tenant, id)), Ok(None), "settled: {settled}");
    }
    let status =
        block_on(running.recall.event(&alice.tenant, &event("told"))).expect("an answer").expect("it is known");
    assert_eq!(status.status, EventStatus::Forgotten);
    running.stop().expect("it was told to");
}

#[test]
fn a_deletion_of_what_is_not_consolidated_masks_the_turn() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = user("t", "alice");
    let mut value = events::turn(SECRET);
    value["id"] = json!("told");
    running.reached(&stage.say(&alice, value));
    assert!(says(&running, &alice, "locker code").contains(&SECRET.to_owned()));
    let id = MemoryId::of_event(alice.handle(&testkit::secret()), &event("told"));
    running.reached(&stage.say(&alice, events::delete(id)));
    assert!(!says(&running, &alice, "locker code").contains(&SECRET.to_owned()));
    stage.settle(&running);
    assert!(!says(&running, &alice, "locker code").contains(&SECRET.to_owned()));
    running.stop().expect("it was told to");
}

#[test]
fn a_pending_correction_hides_what_was_said_before() {
    let (mut stage, running, alice, id) = told();
    let corrected = "My locker code is 8150.";
    running.reached(&stage.say(&alice, events::correct(id, corrected)));
    assert_eq!(says(&running, &alice, "locker code"), [corrected]);
    stage.settle(&running);
    assert_eq!(says(&running, &alice, "locker code"), [corrected]);
    let history = block_on(running.recall.history(&alice.tenant, id)).expect("an answer").expect("it is there");
    assert_eq!(history.len(), 2);
    // A correction that is itself taken back before it is consolidated is not found either.
    running.reached(&stage.say(&alice, events::correct(id, "My locker code is 9001.")));
    running.reached(&stage.say(&alice, events::delete(id)));
    assert_eq!(says(&running, &alice, "locker code"), Vec::<String>::new());
    stage.settle(&running);
    assert_eq!(says(&running, &alice, "locker code"), Vec::<String>::new());
    running.stop().expect("it was told to");
}

#[test]
fn an_event_goes_from_recallable_to_its_fate() {
    let mut stage = Stage::new(Rules::default());
    let running = stage.recall(Settings::default());
    let alice = user("t", "alice");
    let mut value = events::turn(SECRET);
    value["id"] = json!("told");
    running.reached(&stage.say(&alice, value));
    let status = || block_on(running.recall.event(&tenant("t"), &event("told"))).expect("an answer");
    assert_eq!(status().expect("it is known").status, EventStatus::Recallable);
    running.reached(&stage.say(&alice, events::session_end()));
    assert_eq!(status().expect("it is known").status, EventStatus::Recallable, "closed is not consolidated");
    stage.settle(&running);
    assert_eq!(status().expect("it is known").status, EventStatus::Kept);
    running.stop().expect("it was told to");
}
