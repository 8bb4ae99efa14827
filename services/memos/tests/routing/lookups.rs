//! What is asked by id alone: all partitions are looked through.

use std::time::Duration;

use memos_client::forget::{ForgetBody, ForgetUntil};
use memos_client::{EventStatus, MemoriesQuery, Owner, ReceiptStatus};

use crate::kit::{Cluster, code};

#[actix_web::test]
async fn an_id_is_found_wherever_it_is() {
    for (count, factor) in [(2, 1), (2, 2), (3, 2)] {
        let cluster = Cluster::start(count, factor).await;
        for owner in Cluster::everybody() {
            let memory = cluster.remembered(&owner, "I live near Lisbon.").await.as_uuid();
            let found = cluster.client.memory(memory).await.expect("it is there");
            assert_eq!(found.user_id.as_ref(), Some(&owner.id));
            assert_eq!(cluster.client.history(memory).await.expect("it is there").len(), 1);
            let event = &found.sources[0].event_id;
            assert_eq!(cluster.client.event(event).await.expect("it is there").status, EventStatus::Kept);
            let open = cluster.say(&owner, "And I work in Porto.").await;
            let status = cluster.client.event(&open.results[0].id).await.expect("it is known").status;
            assert_eq!(status, EventStatus::Recallable);
            let page = cluster.client.memories(Owner::User(&owner.id), &MemoriesQuery::default()).await;
            let page = page.expect("a page").results;
            assert_eq!(page.iter().filter(|memory| memory.part_of.is_none()).count(), 1);
        }
        assert_eq!(code(cluster.client.memory(uuid::Uuid::from_u128(7)).await), "memory_not_found");
        assert_eq!(code(cluster.client.history(uuid::Uuid::from_u128(7)).await), "memory_not_found");
        assert_eq!(code(cluster.client.event("nothing").await), "event_not_found");
        cluster.stop().await;
    }
}

#[actix_web::test]
async fn a_memory_is_changed_through_whoever_finds_it() {
    let cluster = Cluster::start(2, 1).await;
    for owner in Cluster::everybody() {
        let memory = cluster.remembered(&owner, "I live near Lisbon.").await.as_uuid();
        let deleted = cluster.client.delete_memory(memory).await.expect("it is taken");
        let mut asked = crate::kit::question(&owner, "Lisbon");
        asked.at_least = Some(deleted.position);
        assert_eq!(cluster.client.recall(&asked).await.expect("an answer").results.len(), 0);
        assert_eq!(code(cluster.client.memory(memory).await), "memory_not_found");
    }
    cluster.stop().await;
}

// law: L09, L08
#[actix_web::test]
async fn a_receipt_is_found_at_whichever_instance_has_it() {
    let verified = Some((ForgetUntil::Stage(ReceiptStatus::Verified), Duration::from_secs(20)));
    for (count, factor) in [(2, 1), (3, 2)] {
        let cluster = Cluster::start(count, factor).await;
        for owner in Cluster::everybody() {
            cluster.remembered(&owner, "I live near Lisbon.").await;
            let forgotten = cluster.client.forget(Owner::User(&owner.id), &ForgetBody::everything(), verified).await;
            let receipt = forgotten.expect("it is taken").receipt;
            assert_eq!((receipt.status, receipt.scope.as_str()), (ReceiptStatus::Verified, "everything"));
            // Each of the instances is asked first once.
            for _ in 0..count {
                assert_eq!(cluster.client.receipt(receipt.id).await.expect("it is there"), receipt);
            }
            assert_eq!(cluster.ask(&owner, "Lisbon").await.expect("an answer").results.len(), 0);
        }
        assert_eq!(code(cluster.client.receipt(uuid::Uuid::from_u128(7)).await), "receipt_not_found");
        cluster.stop().await;
    }
}
