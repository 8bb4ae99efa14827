//! What was fetched of one partition and not dropped yet: the records of `[start, next)`.
//!
//! A cursor never holds back what it does not know: whether there is more at `next` is asked of the broker. The end of
//! a partition is only proven by the broker's word for it after the fetch began, because compaction and the markers of
//! other people's transactions leave holes there in which no record ever arrives.

use std::collections::VecDeque;
use std::time::Instant;

use crate::{Limits, Offset, ReadBatch, Stored};

/// What the polling thread is to do about a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Nothing,
    /// Fetch from `next` on, whatever was fetched before.
    Fetch,
    /// Stop fetching.
    Rest,
}

/// Why a cursor cannot go on by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The broker said that the position, the partition or the topic is not there: the reader has to ask.
    Position,
    /// What was fetched cannot be used.
    Unusable(String),
}

#[derive(Debug)]
pub(super) struct Cursor {
    start: Offset,
    next: Offset,
    records: VecDeque<Stored>,
    bytes: usize,
    limit: usize,
    pub(super) order: Order,
    /// Whether the consumer fetches this partition.
    pub(super) fetching: bool,
    /// Full, and not fetching because of that.
    resting: bool,
    /// What was known to be durable when the fetch began: all of it is delivered before the broker says "the end".
    pub(super) known: Offset,
    /// Whether the broker has said "the end" since the newest record.
    pub(super) ended: bool,
    pub(super) doubt: Option<Doubt>,
    pub(super) last_read: Instant,
}

impl Cursor {
    pub(super) fn at(from: Offset, limit: usize) -> Self {
        Self {
            start: from,
            next: from,
            records: VecDeque::new(),
            bytes: 0,
            limit,
            order: Order::Fetch,
            fetching: false,
            resting: false,
            known: Offset::FIRST,
            ended: false,
            doubt: None,
            last_read: Instant::now(),
        }
    }

    /// The same cursor somewhere else. Whether it is fetching stays true until the polling thread has seen the order.
    pub(super) fn move_to(&mut self, from: Offset) {
        let fetching = self.fetching;
        *self = Self { fetching, ..Self::at(from, self.limit) };
    }

    pub(super) fn covers(&self, from: Offset) -> bool {
        self.start <= from && from <= self.next
    }

    pub(super) const fn next(&self) -> Offset {
        self.next
    }

    pub(super) fn has_unread(&self) -> bool {
        !self.records.is_empty()
    }

    /// Takes a fetched record, or a hole (`None`) at this offset. What was there already is not taken again.
    pub(super) fn push(&mut self, offset: Offset, record: Option<Stored>) {
        if offset < self.next {
            return;
        }
        self.ended = false;
        self.next = offset.next();
        if let Some(stored) = record {
            self.bytes += stored.record.weight();
            self.records.push_back(stored);
            if self.bytes >= self.limit && !self.resting {
                self.resting = true;
                self.order = Order::Rest;
            }
        }
    }

    /// The broker says that there is nothing behind what it delivered.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.next = self.next.max(self.known);
    }

    /// Begins the fetch anew, where it stands.
    pub(super) fn fetch_again(&mut self) {
        if !self.resting {
            self.order = Order::Fetch;
        }
    }

    /// What is buffered from `from` on, which must be covered. Drops what is below it: a reader goes forward, and what
    /// it was given last stays until then.
    pub(super) fn take(&mut self, from: Offset, limits: Limits) -> ReadBatch {
        while let Some(first) = self.records.front()
            && first.offset < from
        {
            self.bytes -= first.record.weight();
            self.records.pop_front();
        }
        self.start = from;
        self.last_read = Instant::now();
        if self.resting && self.bytes <= self.limit / 2 {
            self.resting = false;
            self.order = Order::Fetch;
        }
        if !self.fetching && !self.resting && self.order == Order::Nothing {
            // It was put to rest because nobody read it, and now somebody does.
            self.order = Order::Fetch;
        }
        let (mut records, mut bytes) = (Vec::new(), 0);
        for stored in &self.records {
            bytes += stored.record.weight();
            if !records.is_empty() && (bytes > limits.bytes || records.len() >= limits.records) {
                break;
            }
            records.push(stored.clone());
        }
        let next = self.records.get(records.len()).map_or(self.next, |stored| stored.offset);
        ReadBatch { records, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Record;

    fn stored(offset: u64) -> Option<Stored> {
        Some(Stored { offset: Offset::new(offset), record: Record { value: Some(vec![0; 36]), ..Record::default() } })
    }

    fn offsets(batch: &ReadBatch) -> Vec<u64> {
        batch.records.iter().map(|stored| stored.offset.get()).collect()
    }

    #[test]
    fn what_was_given_last_can_be_read_again() {
        let mut cursor = Cursor::at(Offset::new(3), 1 << 20);
        for offset in [3, 4, 7] {
            cursor.push(Offset::new(offset), stored(offset));
        }
        let two = Limits { records: 2, bytes: 1 << 20 };
        let batch = cursor.take(Offset::new(3), two);
        assert_eq!((offsets(&batch), batch.next), (vec![3, 4], Offset::new(7)), "the hole is passed at once");
        assert_eq!(cursor.take(Offset::new(3), two), batch);
        let batch = cursor.take(Offset::new(5), two);
        assert_eq!((offsets(&batch), batch.next), (vec![7], Offset::new(8)));
        assert!(!cursor.covers(Offset::new(4)));
        cursor.push(Offset::new(7), stored(7));
        assert_eq!(offsets(&cursor.take(Offset::new(7), two)), [7], "nothing is taken twice");
    }

    #[test]
    fn a_full_cursor_rests_and_goes_on_when_half_of_it_is_read() {
        let mut cursor = Cursor::at(Offset::FIRST, 400);
        cursor.order = Order::Nothing;
        for offset in 0..4 {
            cursor.push(Offset::new(offset), stored(offset));
        }
        assert_eq!(cursor.order, Order::Rest);
        cursor.order = Order::Nothing;
        cursor.fetch_again();
        assert_eq!(cursor.order, Order::Nothing, "a full cursor does not fetch");
        cursor.take(Offset::new(1), Limits::default());
        assert_eq!(cursor.order, Order::Nothing);
        cursor.take(Offset::new(2), Limits::default());
        assert_eq!(cursor.order, Order::Fetch);
    }

    #[test]
    fn the_end_proves_the_hole_before_it_only_for_what_was_known_when_the_fetch_began() {
        let mut cursor = Cursor::at(Offset::new(5), 400);
        cursor.end();
        assert_eq!(cursor.next(), Offset::new(5));
        cursor.known = Offset::new(9);
        cursor.end();
        assert_eq!(cursor.next(), Offset::new(9));
        assert_eq!(cursor.take(Offset::new(5), Limits::default()).next, Offset::new(9));
    }
}
