//! What is written shows nothing of anybody, reads back, and reads as empty when its key is gone.

use std::sync::Arc;

use keyring::{KeyId, Keyring, Owner};
use memory_core::event::UnknownFields;
use memory_core::forget::{Erased, Receipt, Stage};
use memory_core::step::{Body, Change, Consumed, FateRow, Row, Step, SubjectRow};
use memory_core::subject::TenantTag;
use memory_core::working_memory::WorkingMemory;
use memory_core::{
    Consolidation, Control, Event, EventId, EventType, Generation, Handle, HashSecret, Recorded, Rules, Seq,
    StepNumber, Subject, TenantId,
};
use uuid::Uuid;

use super::*;
use crate::{LogId, Offset, Partition, Timestamp};

const CANARY: &str = "kanarienvogel";
const WRITER: Uuid = Uuid::from_u128(7);

struct Kit {
    ring: Keyring,
    tenant: TenantId,
    tag: TenantTag,
    owner: Subject,
    subject: Handle,
    /// Of the tenant's day.
    day: KeyId,
    key: KeyId,
}

impl Kit {
    fn new() -> Self {
        let ring = Keyring::in_memory().expect("a ring");
        let secret = HashSecret::new([1; 32]);
        let tenant = TenantId::try_new(format!("tenant-{CANARY}")).expect("a tenant");
        let tag = tenant.tag(&secret);
        let owner = Subject::owner(&tenant, Some(&format!("user-{CANARY}")), None, None).expect("an owner");
        let subject = owner.handle(&secret);
        let day = ring.epoch(tag, Timestamp::EPOCH).expect("a key");
        let key = ring.of_subjects(&[(subject, Seq::FIRST)], Timestamp::EPOCH).expect("a key")[0].expect("it lives");
        Self { ring, tenant, tag, owner, subject, day, key }
    }

    /// An event that says it in every place there is.
    fn event(&self, kind: &str) -> Event {
        let mut value = serde_json::json!({
            "id": "e1", "type": kind, "user_id": self.owner.id, "agent_id": format!("a-{CANARY}"),
            "app_id": format!("p-{CANARY}"), "session_id": format!("s-{CANARY}"), "speaker": format!("n-{CANARY}"),
            "content": format!("I keep a {CANARY}, and I will never give it away."),
            "tags": [format!("t-{CANARY}")], "metadata": {CANARY: [CANARY]},
        });
        let object = value.as_object_mut().expect("an object");
        if kind == "remember" {
            let text = object.remove("content").expect("it is there");
            object.insert("body".to_owned(), serde_json::json!({"kind": "fact", "text": text}));
        }
        Event::parse(object, UnknownFields::Ignore, None, Timestamp::EPOCH).expect("a good event")
    }

    fn interaction(&self, event: &Event) -> Stored {
        let Self { ring, day, tag, subject, tenant, .. } = self;
        stored(
            interaction(ring, *day, *tag, *subject, tenant, Timestamp::from_seconds(5), event).expect("it is sealed"),
        )
    }

    /// A window of two turns, and the state at its end.
    fn window(&self) -> memory_core::working_memory::Closed {
        let mut memory = WorkingMemory::new(self.subject, self.owner.clone());
        let rules = Rules::default();
        let mut closed = Vec::new();
        let mut end = self.event("session_end");
        end.id = EventId::of_tick(self.subject, &end.id);
        for (offset, event) in [self.event("turn"), end].into_iter().enumerate() {
            let offset = Offset::new(u64::try_from(offset).expect("few"));
            let arrived = Timestamp::from_seconds(5);
            let recorded = Recorded { tenant: self.tenant.clone(), arrived, offset, event: Arc::new(event) };
            closed.extend(memory.apply(&rules, &recorded).closed);
        }
        closed.pop().expect("the session is over")
    }

    fn step(&self) -> Step {
        let turns = self.window().consolidation.turns.into_iter().map(|turn| Change::Put(Row::Source(turn)));
        let (from, to) = (Seq::FIRST, Seq::new(2));
        let consolidation = self.window().consolidation.id;
        let body = Body::Changes { consolidation, from, to, changes: turns.collect() };
        let consumed = Consumed { log: Uuid::nil(), partition: Partition::new(1), next: Offset::new(9), anchor: None };
        Step { subject: self.subject, number: StepNumber::FIRST, body, consumed: Some(consumed) }
    }

    fn receipt(&self) -> Receipt {
        let erased = Erased {
            receipt: memory_core::ids::ReceiptId::of_event(self.subject, &self.event("turn").id),
            tenant: self.tag,
            scope: "everything".to_owned(),
            accepted: Timestamp::from_seconds(5),
            floor: Seq::new(3),
            next: Seq::new(3),
            generation: Generation::FIRST.next(),
            memories: 3,
            sources: 4,
        };
        Receipt { subject: self.subject, stage: Stage::KeyDestroyed, at: Timestamp::from_seconds(9), keys: 1, erased }
    }

    fn forget(&self) {
        self.ring.destroy(self.subject, Seq::new(3)).expect("it is destroyed");
        self.ring.destroy_epochs(&[(self.tag, self.day)]).expect("it is destroyed");
    }

    /// A record of each kind that is sealed, with its topic.
    fn sealed(&self) -> Vec<(Topic, Stored)> {
        let now = Timestamp::from_seconds(6);
        let (ring, closed) = (&self.ring, self.window());
        let boundary = Working::Boundary { log: LogId::random(), boundary: Box::new(closed.boundary) };
        let tick = tick(ring, self.day, self.tag, self.subject, &self.tenant, &self.event("turn"), now);
        vec![
            (Topic::Interactions, self.interaction(&self.event("turn"))),
            (Topic::Interactions, self.interaction(&self.event("remember"))),
            (Topic::Interactions, stored(tick.expect("it is sealed"))),
            (
                Topic::Consolidations,
                stored(consolidation(ring, Some(self.key), &closed.consolidation, now).expect("it is sealed")),
            ),
            (Topic::Working, stored(working(ring, Some(self.key), boundary, now).expect("it is sealed"))),
            (Topic::Memories, stored(step(ring, Some(self.key), &self.step(), WRITER, now).expect("it is sealed"))),
        ]
    }

    /// Reads a record as what it is on this topic.
    fn read(&self, topic: &Topic, stored: &Stored) -> Result<(), Error> {
        match topic {
            Topic::Interactions => read_interaction(&self.ring, stored).map(drop),
            Topic::Consolidations => read_consolidation(&self.ring, stored).map(drop),
            Topic::Working => read_working(&self.ring, stored).map(drop),
            Topic::Memories => read_step(&self.ring, stored).map(drop),
            Topic::Receipts => read_receipt(stored).map(drop),
            Topic::Keys | Topic::DeadLetters | Topic::Inlet(_) => unreachable!("no test reads {topic} here"),
        }
    }
}

fn stored(record: Record) -> Stored {
    Stored { offset: Offset::new(3), record }
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

// law: L09
#[test]
fn no_record_shows_who_it_is_of_or_what_was_said() {
    let kit = Kit::new();
    let receipt = (Topic::Receipts, stored(receipt(&kit.receipt(), Timestamp::EPOCH)));
    for (topic, Stored { record, .. }) in kit.sealed().into_iter().chain([receipt]) {
        let shown = |bytes: &[u8]| assert!(!contains(bytes, CANARY), "{topic}: {}", String::from_utf8_lossy(bytes));
        shown(&record.key);
        shown(record.value.as_deref().expect("a value"));
        for (name, value) in &record.headers {
            shown(name.as_bytes());
            shown(value.as_deref().unwrap_or_default());
        }
    }
}

#[test]
fn what_is_written_reads_back() {
    let kit = Kit::new();
    let event = kit.event("remember");
    let record = kit.interaction(&event);
    assert_eq!(sealed_with(&record.record), Some(kit.day));
    assert_eq!(subject_of(&record.record), Some(kit.subject));
    let (subject, read) = read_interaction(&kit.ring, &record).expect("good").expect("no tombstone");
    assert_eq!((subject, &read.tenant, &*read.event), (kit.subject, &kit.tenant, &event));
    assert_eq!((read.offset, read.arrived), (Offset::new(3), Timestamp::from_seconds(5)));
    let held = Interactions::default();
    for _ in 0..2 {
        let again = held.read(&kit.ring, Partition::new(0), &record).expect("good").expect("no tombstone");
        assert_eq!(again, (subject, read.clone()));
    }

    let closed = kit.window();
    let record =
        stored(consolidation(&kit.ring, Some(kit.key), &closed.consolidation, Timestamp::EPOCH).expect("sealed"));
    assert_eq!(sealed_with(&record.record), Some(kit.key));
    assert_eq!(range_of(&record.record).map(|range| range.to), Some(closed.consolidation.to));
    assert_eq!(read_consolidation(&kit.ring, &record).expect("good"), Some(closed.consolidation));

    let row = Working::Boundary { log: LogId::random(), boundary: Box::new(closed.boundary) };
    let record = stored(working(&kit.ring, Some(kit.key), row.clone(), Timestamp::EPOCH).expect("sealed"));
    assert_eq!(sealed_with(&record.record), Some(kit.key));
    assert_eq!(read_working(&kit.ring, &record).expect("good"), Some(row.clone()));
    // In another log it goes as far as the same events do there. Nobody needs a key to say so.
    let Working::Boundary { log, mut boundary } = row else { panic!("it is one") };
    let other = LogId::random();
    assert_eq!(moved(&record, other, log, |offset| offset).expect("good"), None, "it is not of that log");
    let copy = moved(&record, log, other, |offset| Offset::new(offset.get() + 40)).expect("good").expect("a boundary");
    boundary.folded = Offset::new(boundary.folded.get() + 40);
    let expected = Working::Boundary { log: other, boundary };
    assert_eq!(read_working(&kit.ring, &stored(copy)).expect("it opens"), Some(expected));

    let after = After { number: StepNumber::FIRST, writer: WRITER };
    let wanted = kit.step();
    let record = step_after(&kit.ring, Some(kit.key), &wanted, WRITER, Some(after), Timestamp::EPOCH).expect("sealed");
    let record = stored(record);
    assert_eq!((sealed_with(&record.record), writer_of(&record.record.key)), (Some(kit.key), Some(WRITER)));
    assert_eq!(after_of(&record).expect("it says"), Some(after));
    assert_eq!(read_step(&kit.ring, &record).expect("good"), Some(wanted));

    let record = stored(receipt(&kit.receipt(), Timestamp::EPOCH));
    assert_eq!(sealed_with(&record.record), None);
    assert_eq!(read_receipt(&record).expect("good"), Some(kit.receipt()));
    let check = Record { key: b"memos/hash-secret".to_vec(), value: Some(b"00ff".to_vec()), ..Record::default() };
    assert_eq!(sealed_with(&check), None);
    assert_eq!(read_receipt(&stored(check)).expect("it is of no subject"), None);
}

#[test]
fn what_tells_of_nobody_needs_no_key() {
    let kit = Kit::new();
    let (log, partition) = (LogId::random(), Partition::new(3));
    let marker = OpenFrom { interactions: Offset::new(7), consolidations: Offset::new(2), read: Anchors::default() };
    let open = Working::Open { log, partition, marker };
    let record = stored(working(&kit.ring, None, open.clone(), Timestamp::EPOCH).expect("nothing is sealed"));
    assert_eq!((sealed_with(&record.record), subject_of(&record.record)), (None, None));
    assert_eq!(read_working(&kit.ring, &record).expect("good"), Some(open));

    let mut boundary = kit.window().boundary;
    (boundary.owner, boundary.last_event, boundary.last_time) = (None, None, None);
    boundary.recent = Vec::new();
    let bare = Working::Boundary { log, boundary: Box::new(boundary) };
    let record = stored(working(&kit.ring, None, bare.clone(), Timestamp::EPOCH).expect("nothing is sealed"));
    assert_eq!(sealed_with(&record.record), None);
    assert_eq!(read_working(&kit.ring, &record).expect("good"), Some(bare));

    let row = SubjectRow { owner: None, generation: Generation::FIRST, next: Seq::new(3), forgotten: None };
    let erased = Some(kit.receipt().erased);
    let body = Body::Snapshot { part: 0, parts: 1, rows: vec![Row::Subject(row)], erased };
    let skeleton = Step { subject: kit.subject, number: StepNumber::FIRST, body, consumed: None };
    assert!(skeleton.is_bare());
    let record = stored(step(&kit.ring, None, &skeleton, WRITER, Timestamp::EPOCH).expect("nothing is sealed"));
    assert_eq!(sealed_with(&record.record), None);
    kit.forget();
    assert_eq!(read_step(&kit.ring, &record).expect("good"), Some(skeleton));
}

// law: L09
#[test]
fn what_was_sealed_with_a_key_that_is_gone_reads_as_empty() {
    let kit = Kit::new();
    let [turn, remember, tick, window, row, step] = kit.sealed().try_into().expect("one of each");
    kit.forget();
    for (record, kind) in [(&turn, EventType::Turn), (&remember, EventType::Remember), (&tick, EventType::IdleTick)] {
        let (subject, read) = read_interaction(&kit.ring, &record.1).expect("no error").expect("no tombstone");
        assert_eq!((subject, read.tenant.as_str()), (kit.subject, kit.tag.to_string().as_str()));
        assert_eq!((read.event.kind, &read.event.content), (kind, &memory_core::Content::empty()));
        assert_eq!(read.event.subject(&read.tenant), None, "it names nobody");
        assert!(read.event.tags.is_empty() && read.event.metadata.is_empty() && read.event.speaker.is_none());
        let control = (kind != EventType::Turn).then(|| Box::new(Control::SessionEnd));
        assert_eq!(read.event.control, control);
    }
    assert_eq!(read_interaction(&kit.ring, &turn.1).expect("good").expect("one").1.event.id.as_str(), "e1");

    let full = kit.window();
    let empty = Consolidation { owner: None, rules: Rules::default(), turns: Vec::new(), ..full.consolidation };
    assert_eq!(read_consolidation(&kit.ring, &window.1).expect("no error"), Some(empty));

    let (skeleton, _) = full.boundary.split();
    let Some(Working::Boundary { boundary, .. }) = read_working(&kit.ring, &row.1).expect("no error") else {
        panic!("it is a boundary")
    };
    assert_eq!(boundary.split(), (skeleton, None));
    assert_eq!(read_step(&kit.ring, &step.1).expect("no error"), Some(kit.step().frame().empty()));
}

// law: L09
#[test]
fn nothing_sealed_can_be_moved_or_have_its_line_changed() {
    let kit = Kit::new();
    let other = kit.ring.of_subjects(&[(Handle::from_bytes([9; 16]), Seq::FIRST)], Timestamp::EPOCH);
    other.expect("a key");
    let tampered = |topic: &Topic, record: Record, what: &str| {
        let error = kit.read(topic, &stored(record)).expect_err(what);
        let refused = matches!(error, Error::Keyring { source: keyring::Error::Tampered(_), .. } | Error::Moved { .. });
        assert!(refused, "{topic}, {what}: {error}");
    };
    for (topic, Stored { record, .. }) in kit.sealed() {
        kit.read(&topic, &stored(record.clone())).expect("as it was written it opens");
        let mut moved = record.clone();
        moved.key[3] ^= 1;
        tampered(&topic, moved, "under another key");
        let value = record.value.clone().expect("a value");
        let end = value.iter().position(|byte| *byte == b'\n').expect("a line");
        let text = std::str::from_utf8(&value[..end]).expect("text");
        let (from, to) = match topic {
            Topic::Interactions => (r#""arrived":"#, r#""arrived":1"#),
            Topic::Consolidations => (r#""to":"#, r#""to":1"#),
            Topic::Working => (r#""next":"#, r#""next":1"#),
            Topic::Memories | Topic::Keys | Topic::Receipts | Topic::DeadLetters | Topic::Inlet(_) => {
                (r#""partition":"#, r#""partition":1"#)
            }
        };
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{topic}");
        let value = [changed.as_bytes(), &value[end..]].concat();
        tampered(&topic, Record { value: Some(value), ..record }, "with another line");
    }
    // The same key and line on another topic: a window's line, sealed for `working`.
    let [.., window, _, _] = &kit.sealed()[..] else { panic!("one of each") };
    let value = Value::of(window.1.record.value.as_deref().expect("a value"));
    let opened = |topic| value.open(&kit.ring, Owner::Subject(kit.subject), topic, &window.1.record.key);
    assert!(opened(&Topic::Consolidations).is_ok_and(|plain| plain.is_some()));
    assert!(matches!(opened(&Topic::Working), Err(keyring::Error::Tampered(_))));
}

// law: L11
#[test]
fn other_formats_are_named_and_stop_the_reader() {
    let kit = Kit::new();
    for (text, version) in [
        (r#"{"v":1,"body":{"tenant":"t"}}"#, 1),
        (r#"{"v":3,"sealed":"what we cannot know"}"#, 3),
        ("{\"v\":3}\n\u{0}\u{1}", 3),
    ] {
        for (topic, Stored { mut record, .. }) in kit.sealed() {
            record.value = Some(text.as_bytes().to_vec());
            let error = kit.read(&topic, &stored(record)).expect_err("must not be read");
            assert!(matches!(error, Error::Version { found, .. } if found == version), "{topic}: {error}");
            let advice = if version == 1 { "never released" } else { "upgrade" };
            assert!(error.to_string().contains(advice), "{error}");
        }
    }
    let broken = Record { value: Some(b"{}".to_vec()), ..kit.interaction(&kit.event("turn")).record };
    assert!(matches!(read_interaction(&kit.ring, &stored(broken)), Err(Error::Malformed { .. })));
}

#[test]
fn a_key_that_is_gone_seals_nothing() {
    let kit = Kit::new();
    let (event, window) = (kit.event("turn"), kit.window().consolidation);
    kit.forget();
    let Kit { ring, day, tag, subject, tenant, key, .. } = &kit;
    let refused = interaction(ring, *day, *tag, *subject, tenant, Timestamp::EPOCH, event).expect_err("it is gone");
    assert!(matches!(refused, keyring::Error::Gone { id } if id == *day), "{refused}");
    let refused = consolidation(ring, Some(*key), &window, Timestamp::EPOCH).expect_err("it is gone");
    assert!(matches!(refused, keyring::Error::Gone { id } if id == *key), "{refused}");
    let fate = FateRow { event_id: kit.event("turn").id, fate: memory_core::step::Fate::Applied };
    let body = Body::Snapshot { part: 0, parts: 1, rows: vec![Row::Fate(fate)], erased: None };
    let snapshot = Step { subject: *subject, number: StepNumber::FIRST, body, consumed: None };
    assert!(step(ring, Some(*key), &snapshot, WRITER, Timestamp::EPOCH).is_err());
}
