//! Instances that are gone, slow, or not restored yet.

use std::time::Instant;

use event_log::{Partition, Topic};
use memos_client::forget::ForgetBody;
use memos_client::{Owner, Topology};
use serde_json::json;
use testkit::wait_until;

use crate::kit::{Cluster, DEADLINE, Mute, PARTITIONS, code};

#[actix_web::test]
async fn every_instance_has_its_share_of_the_questions() {
    let cluster = Cluster::start(3, 2).await;
    for owner in Cluster::everybody() {
        cluster.say(&owner, "I live near Lisbon.").await;
        for _ in 0..4 {
            assert_eq!(cluster.ask(&owner, "Lisbon").await.expect("an answer").results.len(), 1);
        }
    }
    for ordinal in 0..3 {
        let asked = cluster.asked(ordinal, "answered");
        assert!(asked >= 4, "instance {ordinal} was asked {asked} times");
        assert_eq!(cluster.asked(ordinal, "not_served_here"), 0);
    }
    cluster.stop().await;
}

#[actix_web::test]
async fn one_instance_may_be_gone() {
    for count in [2, 3] {
        let mut cluster = Cluster::start(count, 2).await;
        let people = Cluster::everybody();
        for owner in &people {
            cluster.say(owner, "I live near Lisbon.").await;
        }
        for gone in 0..cluster.instances.len() {
            cluster.instances[gone].kill().await;
            for owner in &people {
                let answer = cluster.ask(owner, "Lisbon").await.expect("the other one answers");
                assert_eq!(answer.results.len(), 1, "{count} instances without {gone}");
                assert!(cluster.client.working_memory(Owner::User(&owner.id)).await.is_ok());
                let profile =
                    cluster.client.profile(Owner::User(&owner.id), None).await.expect("the other one answers");
                assert_eq!(profile.user_id.as_deref(), Some(owner.id.as_str()));
            }
            cluster.instances[gone].start();
            cluster.ready();
        }
        assert!(cluster.metrics.render().contains("memos_gateway_recall_retries_total"));
        cluster.stop().await;
    }
}

#[actix_web::test]
async fn what_nobody_holds_right_now_is_unavailable_and_never_missing() {
    let mut cluster = Cluster::start(3, 2).await;
    let people = Cluster::everybody();
    let mut memories = Vec::new();
    for owner in &people {
        memories.push(cluster.remembered(owner, "I live near Lisbon.").await);
    }
    // Partitions 0 and 3 are held by the instances 0 and 1.
    cluster.instances[0].kill().await;
    cluster.instances[1].kill().await;
    let topology: Topology = cluster.topology;
    for (partition, owner) in Partition::all(PARTITIONS).zip(&people) {
        let (answer, memory) =
            (cluster.ask(owner, "Lisbon").await, memories[usize::try_from(partition.get()).expect("few")]);
        let found = cluster.client.memory(memory.as_uuid()).await;
        if topology.holds(2, partition) {
            assert_eq!(answer.expect("the third answers").results.len(), 1);
            assert_eq!(found.expect("the third finds it").user_id.as_ref(), Some(&owner.id));
        } else {
            assert_eq!((code(answer), code(found)), ("unavailable".to_owned(), "unavailable".to_owned()));
        }
    }
    assert_eq!(code(cluster.client.memory(uuid::Uuid::from_u128(7)).await), "unavailable", "who knows");
    assert_eq!(code(cluster.client.event("nothing").await), "unavailable", "who knows");
    // Nobody at all, and then everybody again.
    cluster.instances[2].kill().await;
    for owner in &people {
        assert_eq!(code(cluster.ask(owner, "Lisbon").await), "unavailable");
    }
    cluster.instances.iter_mut().for_each(crate::kit::Instance::start);
    cluster.ready();
    let patient = cluster.patient();
    for (owner, memory) in people.iter().zip(&memories) {
        let answer = patient.recall(&crate::kit::question(owner, "Lisbon")).await.expect("they are back");
        assert_eq!(answer.results.len(), 1);
        assert!(patient.memory(memory.as_uuid()).await.is_ok());
    }
    assert_eq!(code(patient.memory(uuid::Uuid::from_u128(7)).await), "memory_not_found");
    cluster.stop().await;
}

#[actix_web::test]
async fn an_instance_that_does_not_answer_holds_nobody_up_for_long() {
    let mut cluster = Cluster::start(2, 2).await;
    let owner = Cluster::person(Partition::new(1));
    cluster.say(&owner, "I live near Lisbon.").await;
    cluster.instances[0].kill().await;
    let mute = Mute::at(cluster.instances[0].address);
    let began = Instant::now();
    for _ in 0..40 {
        assert_eq!(cluster.ask(&owner, "Lisbon").await.expect("the other one answers").results.len(), 1);
    }
    // Each question that waited for it has cost the time of an attempt; most were not asked there at all.
    let unanswered = cluster.asked(0, "unreachable");
    assert!((1..=10).contains(&unanswered), "{unanswered} questions waited in vain, {:?}", began.elapsed());
    let published = cluster.say(&owner, "And I work in Porto.").await;
    assert_eq!(published.results[0].status, memos_client::EventStatus::Recallable, "the other one has it");
    drop(mute);
    cluster.stop().await;
}

#[actix_web::test]
async fn a_restoring_instance_says_so_and_the_other_one_answers() {
    let mut cluster = Cluster::start(2, 2).await;
    let owner = Cluster::person(Partition::new(3));
    cluster.remembered(&owner, "I live near Lisbon.").await;
    let restoring = &mut cluster.instances[0];
    restoring.kill().await;
    restoring.wipe();
    restoring.view.hold_still(&[Topic::Memories]);
    restoring.start();
    for _ in 0..6 {
        assert_eq!(cluster.ask(&owner, "Lisbon").await.expect("the other one answers").results.len(), 1);
    }
    assert!(cluster.asked(0, "restoring") >= 1);
    let published = cluster.say(&owner, "And I work in Porto.").await;
    assert_eq!(published.results[0].status, memos_client::EventStatus::Recallable, "the other one has it");
    cluster.instances[1].kill().await;
    let refused = cluster.ask(&owner, "Lisbon").await.expect_err("nobody has it");
    assert_eq!(refused.code(), Some("restoring"));
    assert!(refused.to_string().contains("records behind"), "{refused}");
    assert_eq!(code(cluster.client.memory(uuid::Uuid::from_u128(7)).await), "restoring", "who knows");
    // It is restored, from nothing but the log.
    cluster.instances[0].view.go_on();
    cluster.ready();
    let answer = cluster.patient().recall(&crate::kit::question(&owner, "Lisbon")).await.expect("it serves");
    assert_eq!(answer.results.len(), 2, "what it remembers, and what was said");
    cluster.stop().await;
}

// law: L09
#[actix_web::test]
async fn an_instance_that_does_not_know_which_keys_are_dead_is_not_believed() {
    let mut cluster = Cluster::start(2, 2).await;
    let mut people = Cluster::people(Partition::new(3));
    let (owner, other) = people.next().zip(people.next()).expect("two of so many are in it");
    cluster.remembered(&owner, "I live near Lisbon.").await;
    cluster.instances[0].view.hold_still(&[Topic::Keys]);
    // Somebody new has a new key, of which it does not hear.
    let new = [
        json!({"user_id": other.id, "content": "I live in Porto."}),
        json!({"user_id": other.id, "type": "session_end"}),
    ];
    cluster.client.publish(&new).await.expect("they are taken");
    let unsure = || cluster.instances[0].is_unsure_of(&owner);
    wait_until(DEADLINE, "it has not heard of keys for too long", unsure);
    let before = cluster.asked(0, "answered");
    for _ in 0..6 {
        assert_eq!(cluster.ask(&owner, "Lisbon").await.expect("the other one answers").results.len(), 1);
    }
    assert_eq!(cluster.asked(0, "answered"), before, "it answers nothing");
    cluster.client.forget(Owner::User(&owner.id), &ForgetBody::everything(), None).await.expect("it is taken");
    // How far it has read, which the forget has waited for, it may say.
    let before = cluster.asked(0, "answered");
    for _ in 0..6 {
        assert_eq!(cluster.ask(&owner, "Lisbon").await.expect("the other one answers").results.len(), 0);
    }
    assert_eq!(cluster.asked(0, "answered"), before, "it answers nothing");
    // With nobody else there is no answer, and what it answers is not what it knew.
    cluster.instances[1].kill().await;
    assert!(cluster.ask(&owner, "Lisbon").await.is_err(), "nobody is sure");
    cluster.instances[0].view.go_on();
    let answer = cluster.patient().recall(&crate::kit::question(&owner, "Lisbon")).await.expect("it has heard");
    assert_eq!(answer.results.len(), 0);
    cluster.stop().await;
}
