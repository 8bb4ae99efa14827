//! Publishes three turns to an inlet of memos, as binary CloudEvents, with rdkafka.
//!
//! ```text
//! publish --bootstrap 127.0.0.1:9092 --topic inlet.shared --user alice --conversation talk \
//!     --tenant acme --key-id 2026-05 --secret-file acme.secret
//! ```
//!
//! Without `--secret-file` the records are not signed, as for an inlet that is bound to one tenant.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::time::Duration;

use memory_core::Role;
use memos_client::Interaction;
use memos_client::inlet::{InletRecord, Secret, Signer};
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};

/// How long a record may wait for the brokers.
const PATIENCE: Duration = Duration::from_secs(30);

type Failed = Box<dyn Error + Send + Sync>;

/// A producer that answers when every replica has the record, and reorders nothing when it tries again. What it sends
/// twice all the same has the same id, and memos takes it once.
fn producer(bootstrap: &str) -> Result<FutureProducer, Failed> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("acks", "all").set("enable.idempotence", "true");
    Ok(config.create()?)
}

/// Publishes one record, and answers the partition and the offset where it lies. The key keeps an owner's in order.
async fn publish(producer: &FutureProducer, topic: &str, record: InletRecord) -> Result<(i32, i64), Failed> {
    let InletRecord { key, headers, value } = record;
    let headers = headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |headers, (name, value)| {
        headers.insert(Header { key: name, value: Some(value) })
    });
    let record = FutureRecord::to(topic).key(&key).payload(&value).headers(headers);
    let delivery = producer.send(record, PATIENCE).await.map_err(|(error, _)| error)?;
    Ok((delivery.partition, delivery.offset))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failed> {
    let mut arguments = BTreeMap::new();
    let mut given = std::env::args().skip(1);
    while let (Some(name), Some(value)) = (given.next(), given.next()) {
        arguments.insert(name, value);
    }
    run(&arguments, &mut std::io::stdout()).await
}

/// Publishes as these arguments say.
pub(crate) async fn run(arguments: &BTreeMap<String, String>, out: &mut impl Write) -> Result<(), Failed> {
    let of = |name: &str| arguments.get(name).cloned().ok_or_else(|| format!("{name} is missing"));
    let (topic, user, conversation) = (of("--topic")?, of("--user")?, of("--conversation")?);
    // The inlet's name is the end of the topic's, behind the last dot.
    let inlet = topic.rsplit('.').next().unwrap_or_default();
    let signer = match arguments.get("--secret-file") {
        Some(file) => {
            let secret = Secret::try_new(&std::fs::read_to_string(file)?)?;
            Some(Signer::try_new(inlet, &of("--tenant")?, &of("--key-id")?, secret)?)
        }
        None => None,
    };
    let producer = producer(&of("--bootstrap")?)?;
    let said = [
        (Role::User, "I moved to Bonn last week."),
        (Role::Assistant, "How do you like it?"),
        (Role::User, "I love the river."),
    ];
    for (number, (role, content)) in (1..).zip(said) {
        let id = format!("{conversation}-{number}");
        let session_id = Some(conversation.clone());
        let turn = Interaction { id: Some(id.clone()), session_id, ..Interaction::turn(&user, role, content) };
        let mut record = InletRecord::binary("/chat", &turn)?;
        if let Some(signer) = &signer {
            record = record.signed(signer)?;
        }
        let (partition, offset) = publish(&producer, &topic, record).await?;
        writeln!(out, "published {id} to {topic}/{partition} at {offset}")?;
    }
    Ok(())
}
