//! One consumer of one topic, with the thread that polls it and the cursors it fills.
//!
//! A consumer reads one topic only, because the end of a partition is reported without the topic. It is a member of no
//! group: what it fetches is told to it, position by position. Only the polling thread tells it so, between two polls;
//! so what a poll returns always belongs to the newest order, and librdkafka drops what it had fetched for an older
//! one.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::{Offset as At, TopicPartitionList};

use super::birth;
use super::client::{Observed, Plain};
use super::cursor::{Cursor, Doubt, Order};
use super::settings::KafkaSettings;
use super::topic::TopicState;
use crate::signal::{Generation, lock};
use crate::{Error, Offset, Partition, Record, Stored, Timestamp};

/// How long one poll lasts when nothing comes. Also how late an order may be seen.
const POLL: Duration = Duration::from_millis(20);
/// How many records are taken from the consumer before the readers are told.
const AT_ONCE: usize = 1024;
/// A cursor with unread records that nobody reads for this long is dropped.
const UNUSED: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) shared: Arc<LaneState>,
    observed: Arc<Observed>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct LaneState {
    pub(super) cursors: Mutex<BTreeMap<Partition, Cursor>>,
    /// Something happened to a cursor.
    pub(super) changed: Condvar,
    topic: Arc<TopicState>,
    generation: Arc<Generation>,
    /// How many bytes are taken from the consumer before the readers are told, too.
    prefetch_bytes: usize,
}

/// What one poll returned.
enum Polled {
    Record(Partition, Offset, Option<Stored>),
    End(Partition),
    Doubt(Doubt),
}

impl Lane {
    pub(super) fn start(
        settings: &KafkaSettings,
        topic: &Arc<TopicState>,
        observed: Arc<Observed>,
        generation: Arc<Generation>,
    ) -> Result<Self, Error> {
        let mut config = settings.client()?;
        let kilobytes = |bytes: usize| (bytes / 1024).max(1).to_string();
        config
            // librdkafka wants a name even of a consumer that joins no group.
            .set("group.id", settings.group_name("reader"))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            // Of inlets whose producers use transactions; memos itself does not.
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "100")
            .set("fetch.message.max.bytes", settings.prefetch_bytes.clamp(64 << 10, 16 << 20).to_string())
            .set("queued.max.messages.kbytes", kilobytes(settings.prefetch_bytes.clamp(1 << 20, 64 << 20)))
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.error.backoff.ms", "100");
        let consumer: BaseConsumer<Plain> = config
            .create_with_context(Plain(Arc::clone(&observed)))
            .map_err(|error| super::cannot("make a consumer", &error))?;
        let shared = Arc::new(LaneState {
            cursors: Mutex::default(),
            changed: Condvar::new(),
            topic: Arc::clone(topic),
            generation,
            prefetch_bytes: settings.prefetch_bytes,
        });
        let ended = Arc::new(AtomicBool::new(false));
        let (state, end) = (Arc::clone(&shared), Arc::clone(&ended));
        let thread = std::thread::Builder::new()
            .name("kafka-consumer".to_owned())
            .spawn(move || state.run(&consumer, &end))
            .map_err(|error| super::cannot("start the thread of", &error))?;
        Ok(Self { shared, observed, ended, thread: Some(thread) })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a consumer panicked");
        }
        self.observed.forget();
    }
}

impl LaneState {
    fn run(&self, consumer: &BaseConsumer<Plain>, ended: &AtomicBool) {
        let mut swept = Instant::now();
        while !ended.load(Ordering::Acquire) {
            self.obey(consumer);
            let (mut polled, mut bytes, mut wait) = (Vec::new(), 0, POLL);
            while polled.len() < AT_ONCE
                && bytes < self.prefetch_bytes
                && let Some(answer) = consumer.poll(wait)
            {
                let one = self.understand(answer);
                if let Some(Polled::Record(_, _, Some(stored))) = &one {
                    bytes += stored.record.weight();
                }
                polled.extend(one);
                wait = Duration::ZERO;
            }
            if !polled.is_empty() {
                self.take(polled);
            }
            if swept.elapsed() > UNUSED / 10 {
                swept = Instant::now();
                self.sweep();
            }
        }
    }

    /// Carries out what the cursors order.
    fn obey(&self, consumer: &BaseConsumer<Plain>) {
        let mut cursors = lock(&self.cursors);
        let (mut stop, mut start) = (TopicPartitionList::new(), TopicPartitionList::new());
        for (partition, cursor) in cursors.iter_mut() {
            let number = number(*partition);
            if cursor.order != Order::Nothing && cursor.fetching {
                stop.add_partition(&self.topic.name, number);
                cursor.fetching = false;
            }
            if cursor.order == Order::Fetch {
                cursor.known = self.topic.durable(*partition);
                cursor.ended = false;
                cursor.fetching = true;
                let at = At::Offset(i64::try_from(cursor.next().get()).unwrap_or(i64::MAX));
                if let Err(error) = start.add_partition_offset(&self.topic.name, number, at) {
                    cursor.doubt = Some(Doubt::Unusable(error.to_string()));
                }
            }
            cursor.order = Order::Nothing;
        }
        let stopped = if stop.count() == 0 { Ok(()) } else { consumer.incremental_unassign(&stop) };
        let started =
            stopped.and_then(|()| if start.count() == 0 { Ok(()) } else { consumer.incremental_assign(&start) });
        if let Err(error) = started {
            // Not known to happen. The readers learn of it and the process begins anew.
            for cursor in cursors.values_mut() {
                cursor.doubt = Some(Doubt::Unusable(error.to_string()));
            }
            self.changed.notify_all();
        }
    }

    fn understand(&self, answer: Result<BorrowedMessage<'_>, KafkaError>) -> Option<Polled> {
        let error = match answer {
            Ok(message) => return self.record(&message),
            Err(KafkaError::PartitionEOF(partition)) => {
                return u32::try_from(partition).ok().map(|partition| Polled::End(Partition::new(partition)));
            }
            Err(error) => error,
        };
        use RDKafkaErrorCode as Code;
        let code = error.rdkafka_error_code()?;
        let position = matches!(
            code,
            Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::LogTruncation
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopicId
                | Code::TopicAuthorizationFailed
        );
        if position {
            return Some(Polled::Doubt(Doubt::Position));
        }
        let unusable = matches!(
            code,
            Code::BadMessage | Code::BadCompression | Code::InvalidMessage | Code::InvalidMessageSize | Code::Fatal
        );
        if unusable || matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Some(Polled::Doubt(Doubt::Unusable(code.to_string())));
        }
        tracing::debug!(topic = self.topic.name, %code, "a fetch failed and is tried again");
        None
    }

    fn record(&self, message: &BorrowedMessage<'_>) -> Option<Polled> {
        let partition = Partition::new(u32::try_from(message.partition()).ok()?);
        let offset = Offset::new(u64::try_from(message.offset()).ok()?);
        let record = record_of(message);
        let hole = !self.topic.is_inlet() && birth::is_certificate(&record);
        Some(Polled::Record(partition, offset, (!hole).then_some(Stored { offset, record })))
    }

    fn take(&self, polled: Vec<Polled>) {
        let mut cursors = lock(&self.cursors);
        for one in polled {
            match one {
                Polled::Record(partition, offset, record) => {
                    if let Some(cursor) = cursors.get_mut(&partition)
                        && cursor.fetching
                        && cursor.order != Order::Fetch
                        && cursor.doubt.is_none()
                    {
                        cursor.push(offset, record);
                    }
                }
                Polled::End(partition) => {
                    if let Some(cursor) = cursors.get_mut(&partition)
                        && cursor.fetching
                        && cursor.order != Order::Fetch
                    {
                        cursor.end();
                    }
                }
                Polled::Doubt(doubt) => {
                    for cursor in cursors.values_mut() {
                        cursor.doubt.get_or_insert_with(|| doubt.clone());
                    }
                }
            }
        }
        drop(cursors);
        self.changed.notify_all();
        self.generation.advance();
    }

    /// Drops what was fetched for a reader that is gone. A cursor whose reader has read everything stays: it costs
    /// nothing, and wakes the reader when something comes.
    fn sweep(&self) {
        let mut cursors = lock(&self.cursors);
        for cursor in cursors.values_mut() {
            if cursor.has_unread() && cursor.last_read.elapsed() > UNUSED && cursor.fetching {
                cursor.order = Order::Rest;
            }
        }
        cursors.retain(|_, cursor| {
            cursor.fetching || cursor.order != Order::Nothing || cursor.last_read.elapsed() <= UNUSED
        });
    }
}

pub(super) fn number(partition: Partition) -> i32 {
    i32::try_from(partition.get()).unwrap_or(i32::MAX)
}

/// The record as it came. Its time is the broker's, in whole milliseconds.
pub(super) fn record_of(message: &BorrowedMessage<'_>) -> Record {
    let millis = message.timestamp().to_millis().unwrap_or_default();
    Record {
        key: message.key().unwrap_or_default().to_vec(),
        value: message.payload().map(<[u8]>::to_vec),
        headers: message.headers().map(headers_of).unwrap_or_default(),
        timestamp: Timestamp::from_micros(millis.saturating_mul(1000)),
    }
}

fn headers_of(headers: &impl Headers) -> Vec<(String, Option<Vec<u8>>)> {
    let one = |index: usize| {
        // The library panics over a name that is not UTF-8. A foreign producer must not be able to stop a reader.
        catch_unwind(AssertUnwindSafe(|| {
            headers.try_get(index).map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
        }))
        .unwrap_or_else(|_| Some(("(not UTF-8)".to_owned(), None)))
    };
    (0..headers.count()).filter_map(one).collect()
}
