//! A producer as it should be: it sends again what it heard no answer for, with the same ids, before anything else.

use std::sync::atomic::{AtomicU64, Ordering};

use memos_client::{Client, ClientError};
use serde_json::Value;
use testkit::Random;

use super::{Ledger, Load};

/// The server broke off before it answered.
#[derive(Debug)]
pub(crate) struct Interrupted {
    /// The request had been sent; otherwise there was nobody to send it to.
    pub(crate) sent: bool,
}

/// A producer with its own users.
pub(crate) struct Publisher {
    pub(crate) load: Load,
    pub(crate) ledger: Ledger,
    random: Random,
    /// The request that was not answered.
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
    pub(crate) async fn send(&mut self, client: &Client, events: Vec<Value>) -> Result<u64, Interrupted> {
        match client.publish(&events).await {
            Ok(answer) => {
                assert_eq!(answer.results.len(), events.len(), "every event is answered for");
                self.ledger.acknowledge(&events);
                Ok(events.len() as u64)
            }
            Err(ClientError::Transport { source, .. }) => {
                self.ledger.doubt(&events);
                self.unanswered = Some(events);
                Err(Interrupted { sent: !source.is_connect() })
            }
            // Full, or without its log for the moment: some of the events may be durable.
            Err(ClientError::Refused { status: 429 | 503, .. }) => {
                self.ledger.doubt(&events);
                self.unanswered = Some(events);
                Err(Interrupted { sent: true })
            }
            Err(error @ (ClientError::Refused { .. } | ClientError::Answer { .. } | ClientError::Address { .. })) => {
                panic!("memos refused a good request: {error}")
            }
        }
    }

    /// Sends the next request: what was not answered, or up to `most` new events. Now and then a producer gives up
    /// and never sends the unanswered again, which leaves it in doubt for good.
    pub(crate) async fn next(&mut self, client: &Client, most: u64) -> Result<u64, Interrupted> {
        let unanswered = self.unanswered.take().filter(|_| !self.random.chance(20));
        let events = unanswered.unwrap_or_else(|| {
            let count = 1 + self.random.below(most);
            (0..count).map(|_| self.load.event()).collect()
        });
        self.send(client, events).await
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
