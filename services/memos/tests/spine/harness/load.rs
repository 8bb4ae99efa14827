//! Conversations as products send them, from a seed: things worth keeping, small talk, what helped and what did not, the
//! same said again, wishes, corrections, deletions, feedback, withdrawn consent, ends of sessions; some of it late, some of
//! it sent twice.

use memory_core::{EventId, Handle, HashSecret, MemoryId, Subject, TenantId};
use serde_json::{Value, json};
use testkit::{Random, events};

use super::TENANT;

const DEEDS: [&str; 12] = [
    "I moved to",
    "I love hiking near",
    "I am allergic to the dust in",
    "I work on weekends in",
    "We met again in",
    "I felt lonely in",
    "I bought a small flat in",
    "My best years were in",
    "I want to study in",
    "I prefer the trains of",
    "I was born in",
    "I never liked the winters of",
];
const PLACES: [&str; 10] =
    ["Berlin", "Garmisch", "Lisbon", "Oslo", "Kyoto", "Quito", "Dakar", "Perth", "Tallinn", "Bologna"];
const PEOPLE: [&str; 8] =
    ["my sister Anna", "Doctor Ruiz", "Priya", "my manager Tom", "Ilse", "my son", "Mr Okafor", "the twins"];
const THINGS: [&str; 10] =
    ["bicycle", "violin", "garden", "thesis", "bakery", "knee", "budget", "telescope", "recipe", "dog"];
const SMALL_TALK: [&str; 6] = ["ok", "Hi there!", "thanks", "hm, go on", "see you", "sounds good"];
const REPLIES: [&str; 4] = [
    "No, that is wrong, it was the other one.",
    "That didn't help.",
    "That worked, thanks.",
    "That's not what I asked, I meant the bakery.",
];

/// Events in the outside form, each with an id of its own.
pub(crate) struct Load {
    random: Random,
    /// The beginning of every event id.
    name: String,
    people: Vec<Talker>,
    count: u64,
    /// Seconds of event time since the beginning of the year.
    clock: u64,
    forgets: bool,
    /// Somebody was told something, and what of that exchange comes next.
    exchange: Option<(usize, Next)>,
}

enum Next {
    Answer,
    Reply,
}

struct Talker {
    user: String,
    handle: Handle,
    session: u64,
    remembers: bool,
    said: Vec<String>,
    sent: Vec<Value>,
    memories: Vec<MemoryId>,
}

impl Load {
    /// `users` people named `NAME-0`, `NAME-1`, … The ids of memories derive from the hash secret of the data directory
    /// (see [`super::data_dir`]), so both must have the same seed.
    pub(crate) fn new(seed: u64, name: &str, users: usize) -> Self {
        let talker = |number| Talker::new(&secret(seed), format!("{name}-{number}"));
        Self {
            random: Random::new(seed ^ EventId::try_new(name).expect("a name").fingerprint()),
            name: name.to_owned(),
            people: (0..users).map(talker).collect(),
            count: 0,
            clock: 0,
            forgets: true,
            exchange: None,
        }
    }

    /// Nobody deletes anything. What is forgotten is not in the events any more for whoever has only those and the keys that
    /// are left.
    pub(crate) fn without_forgets(self) -> Self {
        Self { forgets: false, ..self }
    }

    pub(crate) fn users(&self) -> impl Iterator<Item = &str> {
        self.people.iter().map(|talker| talker.user.as_str())
    }

    /// The next event of somebody. One in thirty is one of the last that were sent, once more.
    pub(crate) fn event(&mut self) -> Value {
        match self.exchange.take() {
            Some((place, Next::Answer)) => {
                self.exchange = Some((place, Next::Reply));
                let mut answer = events::turn(&sentence(&mut self.random, self.count));
                answer["role"] = json!("assistant");
                return self.finish(place, answer);
            }
            Some((place, Next::Reply)) => {
                let reply = events::turn(self.random.pick::<&str>(&REPLIES));
                return self.finish(place, reply);
            }
            None => {}
        }
        let place = self.random.index(self.people.len());
        if self.random.chance(3) {
            self.exchange = Some((place, Next::Answer));
        }
        let talker = &mut self.people[place];
        if self.random.chance(3) && !talker.sent.is_empty() {
            return self.random.pick(&talker.sent).clone();
        }
        let mut value = talker.says(&mut self.random, self.count);
        if !self.forgets && value["type"] == "delete" {
            value = events::session_end();
        }
        self.finish(place, value)
    }

    /// Something of no importance from everybody, which leaves a window open.
    pub(crate) fn small_talk(&mut self) -> Vec<Value> {
        self.everybody(|random| events::turn(random.pick::<&str>(&SMALL_TALK)))
    }

    /// The end of everybody's session, which closes every window.
    pub(crate) fn end_sessions(&mut self) -> Vec<Value> {
        self.everybody(|_| events::session_end())
    }

    fn everybody(&mut self, say: impl Fn(&mut Random) -> Value) -> Vec<Value> {
        let count = self.people.len();
        let one = |place| {
            let value = say(&mut self.random);
            self.finish(place, value)
        };
        (0..count).map(one).collect()
    }

    /// Adds what every event has: an id, an owner, a session, a time.
    fn finish(&mut self, place: usize, mut value: Value) -> Value {
        let silence = if self.random.chance(3) { 7_200 } else { 1 + self.random.below(60) };
        self.clock += silence;
        // Some come from a device that was offline, with an earlier time.
        let late = if self.random.chance(8) { self.random.below(86_400) } else { 0 };
        let talker = &mut self.people[place];
        let id = format!("{}-e{}", self.name, self.count);
        self.count += 1;
        value["id"] = json!(id);
        value["user_id"] = json!(talker.user);
        value["session_id"] = json!(format!("s{}", talker.session));
        value["time"] = json!(time(self.clock.saturating_sub(late)));
        talker.memories.push(MemoryId::of_event(talker.handle, &EventId::try_new(id).expect("an id")));
        talker.sent.push(value.clone());
        if talker.sent.len() > 20 {
            talker.sent.remove(0);
        }
        value
    }
}

impl Talker {
    fn new(secret: &HashSecret, user: String) -> Self {
        let tenant = TenantId::try_new(TENANT).expect("a tenant");
        let owner = Subject::owner(&tenant, Some(&user), None, None).expect("a user was named");
        let handle = owner.handle(secret);
        Self { user, handle, session: 0, remembers: true, said: Vec::new(), sent: Vec::new(), memories: Vec::new() }
    }

    fn says(&mut self, random: &mut Random, number: u64) -> Value {
        match random.below(100) {
            0..56 => self.tells(random, number),
            56..68 => events::turn(random.pick::<&str>(&SMALL_TALK)),
            68..74 if !self.said.is_empty() => events::turn(random.pick::<String>(&self.said)),
            68..80 => Self::answers(random, number),
            80..83 => json!({"type": "note", "content": sentence(random, number), "tags": ["note"]}),
            83..87 => events::remember(&sentence(random, number)),
            87..91 => events::correct(self.memory(random), &sentence(random, number)),
            91..94 => events::delete(self.memory(random)),
            94..97 => events::feedback(&[self.memory(random), self.memory(random)], random.chance(60)),
            97..99 => {
                self.session += 1;
                events::session_end()
            }
            _ => {
                // Withdrawn at times, and mostly given back soon.
                self.remembers = !self.remembers || random.chance(30);
                events::consent(self.remembers)
            }
        }
    }

    fn tells(&mut self, random: &mut Random, number: u64) -> Value {
        let text = sentence(random, number);
        self.said.push(text.clone());
        if self.said.len() > 20 {
            self.said.remove(0);
        }
        let mut value = events::turn(&text);
        match random.below(20) {
            0 => value["remember"] = json!(false),
            1 => value["recalled"] = json!(true),
            2 => value["speaker"] = json!("Anna"),
            3 => value["metadata"] = json!({"ticket": random.below(1_000), "where": random.pick(&PLACES)}),
            4 => {
                value["content"] =
                    json!(format!("<memos-context>{text}</memos-context> I see, {}", random.pick(&THINGS)))
            }
            _ => {}
        }
        value
    }

    fn answers(random: &mut Random, number: u64) -> Value {
        let mut value = events::turn(&sentence(random, number));
        value["role"] = json!(if random.chance(20) { "tool" } else { "assistant" });
        value
    }

    /// One of the memories that the newest events may have become; one that never was when there are none.
    fn memory(&self, random: &mut Random) -> MemoryId {
        let newest = &self.memories[self.memories.len().saturating_sub(30)..];
        let nothing = || MemoryId::of_event(self.handle, &EventId::try_new("nothing").expect("an id"));
        if newest.is_empty() { nothing() } else { *random.pick(newest) }
    }
}

/// The hash secret that [`super::data_dir`] writes.
fn secret(seed: u64) -> HashSecret {
    let mut bytes = [0; HashSecret::BYTES];
    bytes[HashSecret::BYTES - 8..].copy_from_slice(&seed.to_be_bytes());
    HashSecret::new(bytes)
}

fn sentence(random: &mut Random, number: u64) -> String {
    let (deed, place, person) = (random.pick(&DEEDS), random.pick(&PLACES), random.pick(&PEOPLE));
    let (thing, other) = (random.pick(&THINGS), random.pick(&THINGS));
    format!("{deed} {place} with {person}, about the {thing} and the {other}, case {number}.")
}

/// A time in months of 28 days, which keeps the order of seconds.
fn time(seconds: u64) -> String {
    let (day, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = (2_020 + day / 336, 1 + day / 28 % 12, 1 + day % 28);
    format!("{year}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}
