//! Whether a topic is still the one that was read.
//!
//! A topic that was deleted and made again under its name has other records at the same offsets, and a reader that
//! kept nothing but its position would go on among them as if nothing had happened. So it keeps the newest record that
//! it read as well ([`Anchor`]), and looks at the beginning whether that one is still there. The newest one says most:
//! it is trimmed last, and a log that lost its end to older brokers or disks lacks it.

use crate::{Error, EventLog, Limits, Offset, Partition, Record, Topic};

pub use memory_core::Anchor;

/// The anchor of a record at this offset.
#[must_use]
pub fn of(offset: Offset, record: &Record) -> Anchor {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: Option<&[u8]>| {
        // With its length, so that no two records have the same parts in a row; nothing is as long as a null.
        hasher.update(&bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
        hasher.update(bytes.unwrap_or_default());
    };
    part(Some(&record.key));
    part(record.value.as_deref());
    for (name, value) in &record.headers {
        part(Some(name.as_bytes()));
        part(value.as_deref());
    }
    let hash = hasher.finalize();
    let hash = hash.as_bytes().first_chunk().copied().map(u64::from_be_bytes);
    Anchor { offset, hash: hash.expect("a hash is longer than eight bytes") }
}

/// Looks whether the record is still there. One that was trimmed or compacted away proves nothing, and is let through: a
/// position below what is readable is an error of its own.
///
/// # Errors
/// [`Error::Replaced`] when another record is in its place, [`Error::Beyond`] when the partition ends before it; and what
/// [`EventLog::read`] may answer.
pub fn check(log: &dyn EventLog, topic: &Topic, partition: Partition, anchor: &Anchor) -> Result<(), Error> {
    let marks = log.watermarks(topic, partition)?;
    let offset = anchor.offset;
    if offset < marks.low {
        return Ok(());
    }
    if offset >= marks.high {
        return Err(Error::Beyond { topic: topic.clone(), partition, from: offset.next(), high: marks.high });
    }
    let found = match log.read(topic, partition, offset, Limits { records: 1, bytes: 1 }) {
        Ok(batch) => batch.records.into_iter().next(),
        // It was trimmed since.
        Err(Error::Lost { .. }) => None,
        Err(error) => return Err(error),
    };
    match found {
        Some(found) if found.offset == offset && of(offset, &found.record) != *anchor => {
            Err(Error::Replaced { topic: topic.clone(), partition, offset })
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemLog, Timestamp};

    const ZERO: Partition = Partition::new(0);

    fn record(key: &str, value: Option<&str>) -> Record {
        let value = value.map(|value| value.as_bytes().to_vec());
        Record { key: key.as_bytes().to_vec(), value, ..Record::default() }
    }

    fn put(log: &MemLog, topic: &Topic, records: Vec<Record>) {
        log.append(topic, ZERO, records).expect("there is room").wait().expect("it is durable");
    }

    #[test]
    fn every_part_of_a_record_counts_and_its_time_does_not() {
        let with = |headers: &[(&str, Option<&str>)]| {
            let headers =
                headers.iter().map(|(name, value)| ((*name).to_owned(), value.map(|value| value.as_bytes().to_vec())));
            Record { headers: headers.collect(), ..record("k", Some("v")) }
        };
        let records = [
            record("k", Some("v")),
            record("kv", Some("")),
            record("", Some("kv")),
            record("k", Some("")),
            record("k", None),
            with(&[("h", Some("x"))]),
            with(&[("h", None)]),
            with(&[("h", Some(""))]),
            with(&[("h", Some("x")), ("h", Some("x"))]),
            with(&[("hx", Some(""))]),
        ];
        let mut hashes: Vec<u64> = records.iter().map(|record| of(Offset::FIRST, record).hash).collect();
        hashes.sort_unstable();
        hashes.dedup();
        assert_eq!(hashes.len(), records.len());
        let later = Record { timestamp: Timestamp::from_seconds(9), ..record("k", Some("v")) };
        assert_eq!(of(Offset::new(3), &later), of(Offset::new(3), &records[0]));
    }

    #[test]
    fn a_topic_that_was_made_anew_is_found_out() {
        let (log, topic) = (MemLog::new(1), Topic::Interactions);
        let old = |number: u64| record("k", Some(&format!("old {number}")));
        put(&log, &topic, (0..5).map(old).collect());
        let anchor = of(Offset::new(4), &old(4));
        check(&log, &topic, ZERO, &anchor).expect("it is the same topic");
        log.recreate(&topic, ZERO);
        put(&log, &topic, vec![record("k", Some("new")); 4]);
        let error = check(&log, &topic, ZERO, &anchor).expect_err("it ends before the record");
        assert!(matches!(error, Error::Beyond { .. }), "{error}");
        put(&log, &topic, vec![record("k", Some("new")); 4]);
        let error = check(&log, &topic, ZERO, &anchor).expect_err("another record is there");
        assert!(matches!(&error, Error::Replaced { offset, .. } if *offset == anchor.offset), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("interactions/0") && text.contains("offset 4") && text.contains("decision 008"),
            "{text}"
        );
    }

    #[test]
    fn a_record_that_is_gone_proves_nothing() {
        let (log, topic) = (MemLog::new(1), Topic::Memories);
        put(&log, &topic, vec![record("a", Some("1")), record("b", Some("2")), record("a", Some("3"))]);
        let replaced = of(Offset::FIRST, &record("a", Some("1")));
        log.maintain(Timestamp::EPOCH).expect("it compacts");
        let all = log.read(&topic, ZERO, Offset::FIRST, Limits::default()).expect("it reads").records;
        assert_eq!(all[0].offset, Offset::new(1), "the record was compacted away");
        check(&log, &topic, ZERO, &replaced).expect("it may have been this topic");
        let topic = Topic::Interactions;
        put(&log, &topic, vec![record("a", Some("1")), record("b", Some("2"))]);
        let trimmed = of(Offset::FIRST, &record("a", Some("1")));
        log.release("somebody", &topic, ZERO, Offset::new(1)).expect("it exists");
        log.maintain(Timestamp::from_seconds(1 << 40)).expect("it trims");
        assert_eq!(log.watermarks(&topic, ZERO).expect("it exists").low, Offset::new(1));
        check(&log, &topic, ZERO, &trimmed).expect("it may have been this topic");
    }
}
