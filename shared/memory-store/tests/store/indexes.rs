//! From an id to its subject, for requests that name no subject.

use memory_core::step::Fate;
use memory_core::{EventId, Handle, MemoryId, TenantId};
use serde_json::json;
use testkit::{Person, events, fold, lively_history};

use crate::kit::{apply_all, log_of, open};

fn tenant(name: &str) -> TenantId {
    TenantId::try_new(name).expect("a tenant's name")
}

// law: L08
#[test]
fn somebody_elses_id_answers_as_one_that_never_was() {
    let mut ours = Person::new("acme", "anna");
    let mut theirs = Person::new("acme2", "anna");
    let memory = ours.tell("I moved to Berlin with my sister Anna in March.");
    let only_ours = ours.say(json!({"id": "only-ours", "content": "ok"}));
    theirs.tell("I work in the office in Oslo with Tom since May.");
    ours.end();
    theirs.end();
    let shared = EventId::try_new("e0").expect("an id");
    let steps: Vec<_> = ours.steps.iter().chain(&theirs.steps).cloned().collect();
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    apply_all(&log_of(&steps), &store, 10);
    let (our_tag, their_tag) = (store.tag(&tenant("acme")), store.tag(&tenant("acme2")));
    let never = MemoryId::of_event(ours.handle(), &EventId::try_new("never").expect("an id"));
    assert_eq!(store.subject_of_memory(our_tag, memory).expect("reads"), Some(ours.handle()));
    assert_eq!(store.subject_of_memory(their_tag, memory).expect("reads"), None);
    assert_eq!(store.subject_of_memory(our_tag, never).expect("reads"), None);
    assert_eq!(store.subject_of_memory(store.tag(&tenant("acm")), memory).expect("reads"), None);
    assert_eq!(store.subjects_of_event(our_tag, &only_ours).expect("reads"), [ours.handle()]);
    assert_eq!(store.subjects_of_event(their_tag, &only_ours).expect("reads"), Vec::<Handle>::new());
    assert_eq!(store.subjects_of_event(our_tag, &shared).expect("reads"), [ours.handle()]);
    assert_eq!(store.subjects_of_event(their_tag, &shared).expect("reads"), [theirs.handle()]);
}

#[test]
fn an_event_id_that_two_subjects_used_leads_to_both() {
    let (mut anna, mut ben) = (Person::new("t", "anna"), Person::new("t", "ben"));
    for person in [&mut anna, &mut ben] {
        person.tell("I moved to Berlin with my sister in March.");
        person.end();
    }
    let steps: Vec<_> = anna.steps.iter().chain(&ben.steps).cloned().collect();
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    apply_all(&log_of(&steps), &store, 10);
    let event = EventId::try_new("e0").expect("an id");
    let mut both = vec![anna.handle(), ben.handle()];
    both.sort();
    assert_eq!(store.subjects_of_event(store.tag(&tenant("t")), &event).expect("reads"), both);
}

#[test]
fn a_deleted_memory_disappears_from_the_index_and_its_event_tells_why() {
    let mut person = Person::new("t", "u");
    let memory = person.tell("I moved to Berlin with my sister Anna in March.");
    person.end();
    person.say(events::correct(memory, "I moved to Bremen."));
    let before = person.steps.clone();
    person.say(events::delete(memory));
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let tag = store.tag(&tenant("t"));
    apply_all(&log_of(&before), &store, 10);
    let event = EventId::try_new("e0").expect("an id");
    assert_eq!(store.subject_of_memory(tag, memory).expect("reads"), Some(person.handle()));
    assert_eq!(store.revisions(person.handle(), memory).expect("reads").len(), 1);
    assert_eq!(store.fate(person.handle(), &event).expect("reads"), Some(Fate::Kept(memory)));
    // Another log: it is read from the beginning, and only the last step is new.
    apply_all(&log_of(&person.steps), &store, 10);
    assert_eq!(store.subject_of_memory(tag, memory).expect("reads"), None);
    assert!(store.revisions(person.handle(), memory).expect("reads").is_empty());
    assert_eq!(store.fate(person.handle(), &event).expect("reads"), Some(Fate::Deleted));
    assert!(store.bank(person.handle()).expect("a bank").is_empty());
}

// law: L08
#[test]
fn in_a_lively_history_the_indexes_name_exactly_what_there_is() {
    let folded = fold(&lively_history(15, 8, 600));
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    apply_all(&log_of(&folded.steps), &store, 11);
    let tenants = [tenant("tenant-0"), tenant("tenant-1")];
    let mut found = 0;
    for (handle, person) in &folded.people {
        for event in person.consolidations.iter().flat_map(|window| &window.turns).map(|turn| &turn.event.id) {
            let memory = MemoryId::of_event(*handle, event);
            let live = person.rows.bank().get(memory).is_some();
            for tenant in &tenants {
                let expected = (live && tenant == person.tenant()).then_some(*handle);
                assert_eq!(store.subject_of_memory(store.tag(tenant), memory).expect("reads"), expected);
                found += usize::from(expected.is_some());
                let subjects = store.subjects_of_event(store.tag(tenant), event).expect("reads");
                let known = tenant == person.tenant() && person.fate(event).is_some();
                assert_eq!(subjects.contains(handle), known, "what is forgotten is in no index");
            }
            assert_eq!(store.fate(*handle, event).expect("reads"), person.fate(event));
        }
    }
    assert!(found > 50, "only {found} memories were looked up");
}
