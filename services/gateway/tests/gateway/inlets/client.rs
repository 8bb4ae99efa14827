//! What the Rust client publishes to an inlet over HTTP, with and without a signature.

use gateway::{KeySettings, Settings, Taken};
use memory_core::Role;
use memos_client::inlet::{InletRecord, Secret, Signer};
use memos_client::{Client, ClientError, Interaction};

use super::letters;
use super::signed::{Keys, SECRET_OF_ACME};
use crate::support::{Running, inlet_topic, log, settings};

fn turn(id: &str, user: &str) -> Interaction {
    Interaction { id: Some(id.to_owned()), ..Interaction::turn(user, Role::User, "I moved to Köln. 100% true") }
}

fn in_all_forms(user: &str) -> [InletRecord; 3] {
    let forms = [
        InletRecord::plain(&turn("plain", user)),
        InletRecord::structured("/chat", &turn("structured", user)),
        // What HTTP has to encode, and a signature covers as it was.
        InletRecord::binary("/chät 1%20", &turn("bin \"äry\"", user)),
    ];
    forms.map(|form| form.expect("a record"))
}

async fn taken(server: &Running) -> Taken {
    let mut reader = server.parted.reader();
    actix_web::rt::task::spawn_blocking(move || reader.take().expect("the log works")).await.expect("no panic")
}

#[actix_web::test]
async fn all_forms_are_taken_and_stay_in_order() {
    let server = Running::with(settings(), log(1 << 20)).await;
    let client = Client::new(&server.address, None).expect("an address");
    let records: Vec<InletRecord> = ["zoë", "b", "c d"].into_iter().flat_map(in_all_forms).collect();
    assert_eq!(client.publish_to_inlet("support", &records).await.expect("is taken").accepted, 9);
    assert_eq!(client.publish_to_inlet("support", &[]).await.expect("nothing is asked").accepted, 0);
    let arrived = server.log().records(&inlet_topic());
    for owner in ["zoë", "b", "c d"] {
        let of_owner = |key: &[u8]| String::from_utf8_lossy(key).replace("%C3%AB", "ë").replace("%20", " ") == owner;
        let values = arrived.iter().filter(|stored| of_owner(&stored.record.key));
        let values: Vec<&[u8]> = values.map(|stored| stored.record.value.as_deref().expect("a value")).collect();
        assert_eq!(values, in_all_forms(owner).map(|record| record.value), "{owner}: byte for byte, and in order");
    }
    assert_eq!(taken(&server).await, Taken { accepted: 9, dead_lettered: 0 });
    server.stop().await;
}

// law: L08
#[actix_web::test]
async fn a_signature_survives_http() {
    let keys = Keys::new();
    let hash = blake3::hash(b"secret").to_hex().to_string();
    let api_key = KeySettings { id: "a".to_owned(), tenant: "acme".to_owned(), hash };
    let server = Running::with(Settings { keys: vec![api_key], ..keys.settings() }, log(1 << 20)).await;
    let client = Client::new(&server.address, Some("a.secret".to_owned())).expect("an address");
    let secret = Secret::try_new(SECRET_OF_ACME).expect("a secret");
    let signer = Signer::try_new("support", "acme", "k-1", secret).expect("good names");
    let signed = in_all_forms("zoë").map(|record| record.signed(&signer).expect("it can be signed"));
    assert_eq!(client.publish_to_inlet("support", &signed).await.expect("is taken").accepted, 3);
    assert_eq!(taken(&server).await, Taken { accepted: 3, dead_lettered: 0 }, "{:?}", letters(server.log()));
    assert_eq!(server.log().event_ids(), ["bin \"äry\"", "plain", "structured"]);
    server.stop().await;
}

#[actix_web::test]
async fn a_refusal_names_the_record() {
    let server = Running::with(settings(), log(1 << 20)).await;
    let client = Client::new(&server.address, None).expect("an address");
    let [plain, structured, _] = in_all_forms("u");
    let headers = vec![("content-type".to_owned(), b"text/plain".to_vec())];
    let records = [plain, InletRecord { headers, ..structured.clone() }, structured];
    let refused = client.publish_to_inlet("support", &records).await.expect_err("is refused");
    assert!(matches!(refused, ClientError::Refused { status: 415, index: Some(1), .. }), "{refused}");
    assert_eq!(taken(&server).await.accepted, 1, "what came before it was taken");
    let missing = client.publish_to_inlet("none", &records).await.expect_err("is refused");
    assert_eq!(missing.code(), Some("inlet_not_found"));
    server.stop().await;
}
