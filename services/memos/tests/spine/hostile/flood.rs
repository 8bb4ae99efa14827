//! What a broken or hostile producer publishes: a few good events, and for each of them many that are not.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use testkit::Random;

/// Bytes of one request's body, with room below the limit of 1 MiB.
const BODY_BYTES: usize = 900_000;
/// Records of one request, at the limit.
const BODY_RECORDS: usize = 1_000;

const LINES: &str = "application/x-ndjson";
const EVENTS: &str = "application/cloudevents-batch+json";

/// One request to the inlet.
pub(crate) struct Batch {
    pub(crate) content_type: &'static str,
    pub(crate) body: Vec<u8>,
    pub(crate) records: usize,
}

/// What was sent, and what must become of it.
pub(crate) struct Flood {
    random: Random,
    users: usize,
    sent: Vec<Value>,
    pub(crate) good: BTreeSet<String>,
    pub(crate) duplicates: u64,
    /// Dead letters by their reason.
    pub(crate) bad: BTreeMap<&'static str, u64>,
    number: u64,
}

/// Lines of JSON that cannot be taken, and the reason that each must get.
const BAD_LINES: [(&str, &str); 14] = [
    ("invalid_json", "{\"id\": \"x\", \"user_id\": \"u\", \"content\": "),
    ("invalid_json", "hello"),
    ("not_an_object", "[1, 2, 3]"),
    ("not_an_object", "null"),
    ("missing_field", "{\"user_id\": \"u\", \"content\": \"no id\"}"),
    ("missing_field", "{\"id\": \"nobody\", \"content\": \"whose?\"}"),
    ("invalid_field", "{\"id\": \"x\", \"user_id\": \"u\", \"type\": \"idle_tick\"}"),
    ("missing_field", "{\"id\": \"x\", \"user_id\": \"u\", \"type\": \"forget\"}"),
    ("invalid_field", "{\"id\": \"x\", \"user_id\": \"u\", \"role\": \"king\", \"content\": \"x\"}"),
    ("invalid_field", "{\"id\": \"x\", \"user_id\": \"u\", \"time\": \"noon\", \"content\": \"x\"}"),
    ("invalid_field", "{\"id\": \"x\", \"user_id\": \"u\", \"content\": 7}"),
    ("invalid_field", "{\"id\": \"x\\u0007\", \"user_id\": \"u\", \"content\": \"x\"}"),
    ("invalid_field", "{\"id\": \"x\", \"user_id\": \"\", \"content\": \"x\"}"),
    ("duplicate_key", "{\"id\": \"x\", \"id\": \"y\", \"user_id\": \"u\", \"content\": \"x\"}"),
];

impl Flood {
    pub(crate) fn new(seed: u64, users: usize) -> Self {
        Self {
            random: Random::new(seed),
            users,
            sent: Vec::new(),
            good: BTreeSet::new(),
            duplicates: 0,
            bad: BTreeMap::new(),
            number: 0,
        }
    }

    /// How many events are not good ones.
    pub(crate) fn hostile(&self) -> u64 {
        self.duplicates + self.bad.values().sum::<u64>()
    }

    /// The next request; one in eight holds CloudEvents, the others lines.
    pub(crate) fn batch(&mut self) -> Batch {
        if self.random.chance(12) { self.cloud_events() } else { self.lines() }
    }

    fn lines(&mut self) -> Batch {
        let (mut body, mut records) = (Vec::new(), 0);
        while records < BODY_RECORDS && body.len() < BODY_BYTES {
            match self.random.below(1_000) {
                0..100 => body.extend(self.event().to_string().into_bytes()),
                100..300 => body.extend(self.again().to_string().into_bytes()),
                300..304 => {
                    body.extend(self.oversized().to_string().into_bytes());
                    self.count("too_large");
                }
                304..350 => {
                    let deep = format!("{{\"id\": \"x\", \"metadata\": {}1{}}}", "[".repeat(40), "]".repeat(40));
                    body.extend(deep.into_bytes());
                    self.count("too_deep");
                }
                350..400 => {
                    body.extend(b"{\"id\": \"x\", \"user_id\": \"\xff\xfe\"}");
                    self.count("invalid_json");
                }
                _ => {
                    let (reason, line) = *self.random.pick(&BAD_LINES);
                    body.extend(line.as_bytes());
                    self.count(reason);
                }
            }
            body.push(b'\n');
            records += 1;
        }
        Batch { content_type: LINES, body, records }
    }

    fn cloud_events(&mut self) -> Batch {
        let (mut list, mut bytes) = (Vec::new(), 0);
        while list.len() < BODY_RECORDS && bytes < BODY_BYTES {
            let event = self.cloud_event();
            bytes += event.to_string().len();
            list.push(event);
        }
        let records = list.len();
        Batch { content_type: EVENTS, body: Value::from(list).to_string().into_bytes(), records }
    }

    fn cloud_event(&mut self) -> Value {
        let envelope =
            |data: Value| json!({"specversion": "1.0", "id": "ce", "source": "/t", "type": "t", "data": data});
        if self.random.chance(20) {
            return envelope(self.event());
        }
        let mut event = envelope(json!({"user_id": "u", "content": "x"}));
        let reason = match self.random.below(6) {
            0 => {
                event["specversion"] = json!("0.3");
                "cloud_event_version"
            }
            1 => {
                event["source"] = Value::Null;
                "cloud_event_attribute_missing"
            }
            2 => {
                event["data"] = Value::Null;
                "cloud_event_data_missing"
            }
            3 => {
                event["data_base64"] = json!("e30=");
                "cloud_event_data_twice"
            }
            4 => {
                event["data"] = Value::Null;
                event["data_base64"] = json!("%%%");
                "invalid_base64"
            }
            _ => {
                event["subject"] = json!(7);
                "cloud_event_attribute_invalid"
            }
        };
        self.count(reason);
        event
    }

    /// A good one. One in five tells of a time before the last; all the same it is in.
    fn event(&mut self) -> Value {
        let (number, user) = (self.number, self.random.index(self.users));
        self.number += 1;
        let id = format!("good-{number}");
        let minute = if self.random.chance(20) { self.random.below(number + 1) } else { number };
        let (day, hour, minute) = (1 + minute / 1_440 % 28, minute / 60 % 24, minute % 60);
        let value = json!({
            "id": id,
            "user_id": format!("user-{user}"),
            "content": format!("I paid {number} euros for shelf {number} in Lisbon, and I like it."),
            "time": format!("2026-03-{day:02}T{hour:02}:{minute:02}:00Z"),
        });
        self.good.insert(id);
        self.sent.push(value.clone());
        value
    }

    /// One of the last good ones once more; a good one when there is none yet.
    fn again(&mut self) -> Value {
        let newest = &self.sent[self.sent.len().saturating_sub(500)..];
        if newest.is_empty() {
            return self.event();
        }
        self.duplicates += 1;
        self.random.pick(newest).clone()
    }

    fn oversized(&self) -> Value {
        json!({"id": "large", "user_id": "u", "content": "x".repeat(33 << 10)})
    }

    fn count(&mut self, reason: &'static str) {
        *self.bad.entry(reason).or_default() += 1;
    }

    /// Ends everybody's session, so that all of it is consolidated.
    pub(crate) fn end(&mut self) -> Batch {
        let mut body = Vec::new();
        for user in 0..self.users {
            let id = format!("good-end-{user}");
            let line = json!({"id": id, "user_id": format!("user-{user}"), "type": "session_end"}).to_string();
            body.extend(line.into_bytes());
            body.push(b'\n');
            self.good.insert(id);
        }
        Batch { content_type: LINES, body, records: self.users }
    }
}
