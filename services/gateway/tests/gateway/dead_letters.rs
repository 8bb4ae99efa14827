//! Listing dead letters and sending them in again.

use event_log::dead_letter::{Coordinates, DeadLetter};
use event_log::{EventLog, Record, Topic, envelope};
use gateway::{InletReader, Taken};
use memory_core::event::UnknownFields;
use memory_core::{Event, Offset, Partition, Timestamp};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{Running, TestLog, inlet_topic, secret, tenant};

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

async fn append(log: &TestLog, topic: &Topic, records: Vec<Record>) {
    let appended = log.append(topic, Partition::new(0), records).expect("there is room");
    appended.await.expect("is durable");
}

/// Takes what is in the inlets, as the worker's thread does.
fn take(reader: &mut InletReader) -> Taken {
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let taken = reader.take().expect("the log works");
            reader.commit().expect("the log works");
            taken
        });
        work.join().expect("no panic")
    })
}

#[actix_web::test]
async fn a_dead_letter_is_listed_and_replayed_until_it_is_good() {
    let server = Running::start().await;
    let arrived = Timestamp::from_micros(1_778_248_560_000_000);
    let record =
        |value: &str| Record { value: Some(value.as_bytes().to_vec()), timestamp: arrived, ..Record::default() };
    append(server.log(), &inlet_topic(), vec![record("{"), record(r#"{"user_id": "u"}"#)]).await;
    let mut reader = server.parted.reader();
    assert_eq!(take(&mut reader), Taken { accepted: 0, dead_lettered: 2 });

    let list = server.get("/v1/dead-letters").await.body["results"].as_array().expect("a list").clone();
    assert_eq!(list.len(), 2);
    let broken = list.iter().find(|letter| letter["reason"] == "invalid_json").expect("the first record");
    assert_eq!((&broken["topic"], &broken["arrived"]), (&json!("inlet.support"), &json!("2026-05-08T13:56:00Z")));
    assert_eq!((&broken["replays"], &broken["bytes"]), (&json!(0), &json!(1)));
    assert_eq!(server.get("/v1/dead-letters?limit=1").await.body["results"].as_array().map(Vec::len), Some(1));

    let replay = async |body: Value| server.call(Method::POST, "/v1/dead-letters/replay", &body).await;
    assert_eq!(replay(json!({ "reason": "no_such" })).await.body, json!({ "replayed": 0 }));
    assert_eq!(replay(json!({ "ids": [broken["id"]] })).await.body, json!({ "replayed": 1 }));
    assert_eq!(take(&mut reader), Taken { accepted: 0, dead_lettered: 1 }, "it is as bad as before");
    let list = server.get("/v1/dead-letters").await.body["results"].clone();
    let again =
        list.as_array().expect("a list").iter().find(|letter| letter["replays"] == 1).expect("its second letter");
    assert_eq!(again["arrived"], "2026-05-08T13:56:00Z", "a replay keeps the arrival");
    assert_eq!(replay(json!({})).await.body, json!({ "replayed": 3 }));
    server.stop().await;
}

#[actix_web::test]
async fn an_event_goes_back_to_its_subject_and_only_its_tenant_sees_it() {
    let server = Running::start().await;
    let letter = |tenant_name: &str, offset: u64| {
        let arrived = Timestamp::from_micros(1);
        let fields = object(json!({ "id": "poison", "user_id": "u", "content": "x" }));
        let event = Event::parse(&fields, UnknownFields::Refuse, None, arrived).expect("a good event");
        let tenant = tenant(tenant_name);
        let handle = event.subject(&tenant).expect("an owner").handle(&secret());
        let (ring, tag) = (&server.log().ring, tenant.tag(&secret()));
        let key = ring.epoch(tag, event_log::now()).expect("a key");
        let original = envelope::interaction(ring, key, tag, handle, &tenant, arrived, event).expect("it is sealed");
        let (log, topic, partition) = (server.log().id(), Topic::Interactions, Partition::new(0));
        let found = Coordinates { log, topic, partition, offset: Offset::new(offset) };
        let letter = DeadLetter::new("poison", "it made an actor panic".to_owned(), found, original, arrived);
        (letter.to_record(ring, key, tag).expect("it is sealed"), letter)
    };
    let ((my_record, mine), (their_record, theirs)) = (letter("default", 0), letter("somebody", 1));
    append(server.log(), &Topic::DeadLetters, vec![my_record, their_record]).await;
    let list = server.get("/v1/dead-letters").await.body["results"].clone();
    assert_eq!(
        list.as_array().expect("a list").iter().map(|one| one["id"].clone()).collect::<Vec<_>>(),
        [json!(mine.id)]
    );
    let reply = server.call(Method::POST, "/v1/dead-letters/replay", &json!({ "ids": [theirs.id] })).await;
    assert_eq!((reply.status, reply.code()), (404, "dead_letter_not_found"));
    let reply = server.call(Method::POST, "/v1/dead-letters/replay", &json!({ "ids": null })).await;
    assert_eq!((reply.status, &reply.body["replayed"]), (202, &json!(1)));
    let back = server.log().records(&Topic::Interactions);
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].record.key, mine.original.key);
    assert_ne!(back[0].record.value, mine.original.value, "it is sealed anew");
    let event = &server.log().events()[0];
    assert_eq!((event.event.id.as_str(), event.arrived), ("poison", Timestamp::from_micros(1)));
    assert_eq!(back[0].record.header("memos_replays"), Some(b"1".as_slice()));
    server.stop().await;
}
