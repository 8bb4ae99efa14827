//! A producer as it should be: it sends again what it heard no answer for, with the same ids, before anything else.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use memos_client::{Client, ClientError};
use serde_json::Value;
use testkit::Random;

use super::{Ledger, Load, post};

/// How long a post to an inlet may take.
const POST: Duration = Duration::from_secs(5);

/// The server broke off before it answered.
#[derive(Debug)]
pub(crate) struct Interrupted {
    /// The request had been sent; otherwise there was nobody to send it to.
    pub(crate) sent: bool,
}

/// Where a producer publishes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Way<'a> {
    /// `POST /v1/interactions`.
    Interactions(&'a Client),
    /// `POST /v1/inlets/{name}` of the server at `url`. Records with the same key keep their order, so each request has
    /// the records of one user, whose id is the key.
    Inlet { url: &'a str, name: &'a str },
}

impl<'a> From<&'a Client> for Way<'a> {
    fn from(client: &'a Client) -> Self {
        Self::Interactions(client)
    }
}

/// A producer with its own users.
pub(crate) struct Publisher {
    pub(crate) load: Load,
    pub(crate) ledger: Ledger,
    random: Random,
    /// What was not answered.
    unanswered: Option<Vec<Value>>,
}

impl Publisher {
    pub(crate) fn new(seed: u64, load: Load) -> Self {
        Self { load, ledger: Ledger::default(), random: Random::new(seed), unanswered: None }
    }

    /// Sends events; answers how many.
    ///
    /// # Panics
    /// When memos refuses them.
    pub(crate) async fn send(&mut self, way: impl Into<Way<'_>>, events: Vec<Value>) -> Result<u64, Interrupted> {
        self.ledger.send(&events);
        match way.into() {
            Way::Interactions(client) => self.post_interactions(client, events).await,
            Way::Inlet { url, name } => self.post_to_inlet(url, name, events),
        }
    }

    async fn post_interactions(&mut self, client: &Client, events: Vec<Value>) -> Result<u64, Interrupted> {
        match client.publish(&events).await {
            Ok(answer) => {
                assert_eq!(answer.results.len(), events.len(), "every event is answered for");
                self.ledger.acknowledge(&events);
                Ok(events.len() as u64)
            }
            Err(ClientError::Transport { source, .. }) => {
                self.unanswered = Some(events);
                Err(Interrupted { sent: !source.is_connect() })
            }
            // Full, or without its log for the moment: some of the events may be durable.
            Err(ClientError::Refused { status: 429 | 503, .. }) => {
                self.unanswered = Some(events);
                Err(Interrupted { sent: true })
            }
            Err(error @ (ClientError::Refused { .. } | ClientError::Answer { .. } | ClientError::Address { .. })) => {
                panic!("memos refused a good request: {error}")
            }
        }
    }

    /// An answer says that the records are durable in the inlet; what becomes of them shows later.
    fn post_to_inlet(&mut self, url: &str, name: &str, events: Vec<Value>) -> Result<u64, Interrupted> {
        let count = events.len() as u64;
        let mut left: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for event in events {
            left.entry(event["user_id"].as_str().expect("the load names users").to_owned()).or_default().push(event);
        }
        while let Some(next) = left.first_entry() {
            let lines: Vec<String> = next.get().iter().map(Value::to_string).collect();
            let headers = [("Content-Type", "application/x-ndjson"), ("ce-partitionkey", next.key())];
            match post(url, &format!("/v1/inlets/{name}"), &headers, &lines.join("\n"), POST) {
                Ok(202) => self.ledger.acknowledge(&next.remove()),
                Ok(429 | 503) | Err(_) => {
                    self.unanswered = Some(left.into_values().flatten().collect());
                    return Err(Interrupted { sent: true });
                }
                Ok(status) => panic!("memos refused good records: {status}"),
            }
        }
        Ok(count)
    }

    /// Sends the next request: what was not answered, or up to `most` new events. Now and then a producer gives up
    /// and never sends the unanswered again, which leaves it in doubt for good.
    pub(crate) async fn next(&mut self, way: impl Into<Way<'_>>, most: u64) -> Result<u64, Interrupted> {
        let events = match self.unanswered.take() {
            Some(unanswered) if !self.random.chance(20) => unanswered,
            given_up => {
                self.ledger.give_up(&given_up.unwrap_or_default());
                let count = 1 + self.random.below(most);
                (0..count).map(|_| self.load.event()).collect()
            }
        };
        self.send(way, events).await
    }

    /// Publishes until `stop` or until the server breaks off; counts what was acknowledged.
    pub(crate) async fn run(&mut self, client: &Client, most: u64, acknowledged: &AtomicU64) -> Interrupted {
        loop {
            match self.next(client, most).await {
                Ok(count) => acknowledged.fetch_add(count, Ordering::SeqCst),
                Err(interrupted) => return interrupted,
            };
        }
    }
}
