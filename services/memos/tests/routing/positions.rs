//! Reading one's own writes, whichever instance is asked.

use event_log::{Offset, Partition, Topic};
use memos_client::{EventStatus, Position};
use serde_json::json;

use crate::kit::{Cluster, DEADLINE, PARTITIONS, code, question};

#[actix_web::test]
async fn what_is_recallable_is_so_at_every_instance() {
    let cluster = Cluster::start(3, 2).await;
    for round in 0..5 {
        for owner in Cluster::everybody() {
            let published = cluster.say(&owner, &format!("My locker has the number {round}.")).await;
            assert_eq!(published.results[0].status, EventStatus::Recallable);
            for _ in 0..3 {
                let answer = cluster.ask(&owner, "locker").await.expect("an answer");
                assert_eq!(answer.results.len(), round + 1, "no position is named, and every instance has it");
            }
        }
    }
    cluster.stop().await;
}

#[actix_web::test]
async fn a_position_over_several_partitions_is_reached_when_all_its_parts_are() {
    let cluster = Cluster::start(3, 2).await;
    let people = Cluster::everybody();
    let events: Vec<_> =
        people.iter().map(|owner| json!({"user_id": owner.id, "content": "I live in Lisbon."})).collect();
    let published = cluster.client.publish_with(&events, None, Some(DEADLINE)).await.expect("it is taken");
    assert_eq!(published.position.next.len(), usize::try_from(PARTITIONS).expect("few"));
    assert!(published.results.iter().all(|result| result.status == EventStatus::Recallable));
    for owner in &people {
        let mut asked = question(owner, "Lisbon");
        asked.at_least = Some(published.position.clone());
        let answer = cluster.client.recall(&asked).await.expect("it is reached");
        assert_eq!(answer.results.len(), 1);
        let partition = owner.handle(&testkit::secret()).partition(PARTITIONS);
        assert_eq!(answer.position.next.get(&partition), published.position.next.get(&partition));
    }
    let mut elsewhere = published.position.clone();
    elsewhere.cover(Partition::new(PARTITIONS), Offset::FIRST);
    for wrong in [Position::new(uuid::Uuid::from_u128(7)), elsewhere] {
        let mut asked = question(&people[0], "Lisbon");
        asked.at_least = Some(wrong);
        assert_eq!(code(cluster.client.recall(&asked).await), "wrong_log");
    }
    cluster.stop().await;
}

#[actix_web::test]
async fn an_instance_that_lags_is_not_asked_for_what_it_has_not_read() {
    let cluster = Cluster::start(2, 2).await;
    let owner = Cluster::person(Partition::new(2));
    cluster.say(&owner, "I live near Lisbon.").await;
    cluster.instances[1].view.hold_still(&[Topic::Interactions]);
    let event = [json!({"user_id": owner.id, "content": "And I work in Porto, near Lisbon."})];
    let published = cluster.client.publish_with(&event, None, Some(std::time::Duration::from_millis(100))).await;
    let published = published.expect("it is taken");
    assert_eq!(published.results[0].status, EventStatus::Accepted, "one of them would answer without it");
    let mut asked = question(&owner, "Lisbon");
    asked.at_least = Some(published.position);
    for _ in 0..4 {
        let answer = cluster.client.recall(&asked).await.expect("the other one has it");
        assert_eq!(answer.results.len(), 2);
    }
    assert!(cluster.asked(1, "position_not_reached") >= 1);
    cluster.instances[1].view.go_on();
    cluster.stop().await;
}

#[actix_web::test]
async fn a_position_that_nobody_has_reached_is_no_answer() {
    let cluster = Cluster::start(2, 2).await;
    let owner = Cluster::person(Partition::new(2));
    let mut position = cluster.say(&owner, "I live near Lisbon.").await.position;
    position.cover(Partition::new(2), Offset::new(1_000));
    let mut asked = question(&owner, "Lisbon");
    asked.at_least = Some(position);
    assert_eq!(code(cluster.client.recall(&asked).await), "timeout");
    cluster.stop().await;
}
