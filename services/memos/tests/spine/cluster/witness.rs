//! Somebody whom the test itself asks about, while a recall stands still.

use std::time::Duration;

use memos_client::{Client, ClientSettings, RecallRequest};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Ledger, Server, block_on, wait_until};

const USER: &str = "witness";
/// No question may take longer; a gateway's own limit is the same.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// What the witness says, one after the other, and a word that stands in nothing else of it.
const SAYINGS: [(&str, &str); 4] = [
    ("My brother Emil plays the cello in Utrecht.", "cello"),
    ("I am allergic to walnuts.", "walnuts"),
    ("Aunt Gerda keeps our old tandem in her shed.", "tandem"),
    ("On Thursdays I volunteer at the harbour library.", "library"),
];

/// What one question came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The word is in it.
    Known,
    /// Nothing of it is in it.
    Unknown,
    /// Nobody could say.
    Refused,
}

/// What was said so far, all of it acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    ledger: Ledger,
    said: usize,
}

impl Witness {
    /// Says something and waits until it is acknowledged. Answers the word to ask for.
    pub(crate) fn says(&mut self, gateway: &Server) -> &'static str {
        let (sentence, word) = SAYINGS[self.said % SAYINGS.len()];
        let id = format!("{USER}-e{}", self.said);
        self.said += 1;
        self.publish(gateway, json!({"id": id, "user_id": USER, "content": sentence}));
        word
    }

    /// Asks once, and allows no second try.
    pub(crate) fn is_remembered(gateway: &Server, word: &str) -> Answer {
        let once = ClientSettings { attempts: 1, timeout: ANSWERED_WITHIN, ..ClientSettings::default() };
        let client = Client::with_settings(&gateway.url, None, once).expect("its address");
        let request =
            RecallRequest { user_id: Some(USER.to_owned()), query: word.to_owned(), ..RecallRequest::default() };
        let Ok(answer) = block_on(client.recall(&request)) else { return Answer::Refused };
        let found = answer.results.iter().any(|found| {
            let memory = found.memory.as_ref().is_some_and(|memory| memory.text.contains(word));
            memory || found.turn.as_ref().is_some_and(|turn| turn.content.to_string().contains(word))
        });
        if found { Answer::Known } else { Answer::Unknown }
    }

    /// Ends the session; what the witness knows to be acknowledged.
    pub(crate) fn ends(mut self, gateway: &Server) -> Ledger {
        self.publish(gateway, json!({"id": format!("{USER}-end"), "type": "session_end", "user_id": USER}));
        self.ledger
    }

    fn publish(&mut self, gateway: &Server, event: Value) {
        let (client, events) = (gateway.client(), [event]);
        self.ledger.send(&events);
        wait_until(DEADLINE, "the witness is heard", || block_on(client.publish(&events)).is_ok());
        self.ledger.acknowledge(&events);
    }
}
