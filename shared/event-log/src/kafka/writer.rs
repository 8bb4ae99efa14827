//! Appending: one idempotent producer, and nothing behind a failure.
//!
//! A failed append must never be followed by a successful one, because a fold reads the second as the next event and
//! not as the one after a gap. librdkafka keeps that promise for what a broker refuses (`enable.gapless.guarantee`),
//! but not for what waited too long; so its own timeout is off and this file watches the oldest append itself. When
//! that is too old, or anything else went wrong, everything that waits is given up in one go and the log takes no more
//! appends: what was stored is a beginning of what was asked for, in order, and a restart recovers.
//!
//! The patience does not run while this process is suspended, so that a paused process does not fail for its own sake.
//!
//! What waits is bounded by our own count of bytes, before the first record of a call is handed over; the limits of
//! librdkafka are wider, so that it never refuses the second half of a call.

mod queue;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext, PurgeConfig};

use super::client::{Observed, observed};
use super::settings::KafkaSettings;
use super::topic::TopicState;
use crate::local::settings::FailureHook;
use crate::log::complete;
use crate::signal::{Generation, lock};
use crate::{Appended, Error, Offset, Partition, Record};
use queue::{Call, Queue, Ticket};

/// How long one look at the queue of delivery reports lasts.
const LOOK: Duration = Duration::from_millis(50);
/// How long a log that is dropped waits for what is on its way.
const LAST_WAIT: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    producer: Arc<BaseProducer<Deliveries>>,
    queue: Arc<Queue>,
    /// Held while the records of a call are handed over.
    enqueue: Mutex<()>,
    max_record_bytes: usize,
    thread: Option<JoinHandle<()>>,
}

struct Deliveries(Arc<Queue>);

impl Deliveries {
    fn observed(&self) -> &Observed {
        &self.0.observed
    }
}

observed!(Deliveries);

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        match result {
            Ok(message) => match u64::try_from(message.offset()) {
                Ok(offset) => self.0.delivered(&ticket, Ok(Offset::new(offset))),
                Err(_) => self.0.delivered(&ticket, Err("the broker did not say where the record is".to_owned())),
            },
            Err((error, _)) => self.0.delivered(&ticket, Err(reason_of(error))),
        }
    }
}

fn reason_of(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {
            "it waited when the log stopped".to_owned()
        }
        Some(code) => code.to_string(),
        None => error.to_string(),
    }
}

impl Writer {
    pub(super) fn start(
        settings: &KafkaSettings,
        observed: Arc<Observed>,
        generation: Arc<Generation>,
        on_failure: FailureHook,
    ) -> Result<Self, Error> {
        let queue = Arc::new(Queue {
            limit: settings.queue_bytes,
            observed,
            generation,
            waiting: Mutex::default(),
            ended: AtomicBool::new(false),
            on_failure,
        });
        let kilobytes = (settings.queue_bytes / 1024 + 1024) * 2;
        let mut config = settings.client()?;
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            .set("request.timeout.ms", settings.request_timeout_ms.to_string())
            .set("linger.ms", settings.linger_ms.to_string())
            .set("compression.type", settings.compression.name())
            // A record and what surrounds it in a request.
            .set("message.max.bytes", (settings.max_record_bytes + 64 * 1024).to_string())
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", kilobytes.to_string());
        let context = Deliveries(Arc::clone(&queue));
        let producer: BaseProducer<Deliveries> =
            config.create_with_context(context).map_err(|error| super::cannot("make the producer", &error))?;
        let producer = Arc::new(producer);
        let polled = (Arc::clone(&producer), Arc::clone(&queue), settings.delivery_timeout());
        let thread = std::thread::Builder::new()
            .name("kafka-producer".to_owned())
            .spawn(move || run(&polled.0, &polled.1, polled.2))
            .map_err(|error| super::cannot("start the thread of", &error))?;
        let max_record_bytes = settings.max_record_bytes;
        Ok(Self { producer, queue, enqueue: Mutex::new(()), max_record_bytes, thread: Some(thread) })
    }

    /// The producer's connection, for questions to the brokers.
    pub(super) fn client(&self) -> &rdkafka::client::Client<impl rdkafka::ClientContext + use<>> {
        self.producer.client()
    }

    pub(super) fn observed(&self) -> &Observed {
        &self.queue.observed
    }

    pub(super) fn failure(&self) -> Option<String> {
        lock(&self.queue.waiting).failure.clone()
    }

    pub(super) fn append(
        &self,
        topic: &Arc<TopicState>,
        partition: Partition,
        records: &[Record],
    ) -> Result<Appended, Error> {
        let bytes: usize = records.iter().map(Record::weight).sum();
        let too_large = |bytes, limit| Error::TooLarge { topic: topic.topic.clone(), partition, bytes, limit };
        if bytes > self.queue.limit {
            return Err(too_large(bytes, self.queue.limit));
        }
        if let Some(large) = records.iter().map(Record::weight).find(|weight| *weight > self.max_record_bytes) {
            return Err(too_large(large, self.max_record_bytes));
        }
        let (completion, appended) = Appended::channel();
        let order = lock(&self.enqueue);
        let number = self.queue.admit(bytes, records.is_empty())?;
        if records.is_empty() {
            complete(completion, Ok(Vec::new()));
            return Ok(appended);
        }
        let call = Arc::new(Call {
            number,
            bytes,
            topic: Arc::clone(topic),
            partition,
            left: AtomicUsize::new(records.len()),
            outcome: Mutex::new((vec![Offset::FIRST; records.len()], None, Some(completion))),
        });
        for (index, record) in records.iter().enumerate() {
            let ticket = Box::new(Ticket { call: Arc::clone(&call), index });
            if let Err((error, refused)) = self.producer.send(produced(topic, partition, record, ticket)) {
                // Nothing is handed over behind this: the log has stopped. What is before it is given up with the rest.
                let reason = self.producer.client().fatal_error().map_or_else(|| error.to_string(), |(_, text)| text);
                self.queue.stop(&reason);
                self.queue.delivered(&refused.delivery_opaque, Err(reason.clone()));
                for index in index + 1..records.len() {
                    self.queue.delivered(&Ticket { call: Arc::clone(&call), index }, Err(reason.clone()));
                }
                break;
            }
        }
        drop(order);
        Ok(appended)
    }
}

fn produced<'a>(
    topic: &'a TopicState,
    partition: Partition,
    record: &'a Record,
    ticket: Box<Ticket>,
) -> BaseRecord<'a, [u8], [u8], Box<Ticket>> {
    let number = i32::try_from(partition.get()).expect("the count of partitions is Kafka's, which is an i32");
    let mut to = BaseRecord::with_opaque_to(&topic.name, ticket).partition(number).key(record.key.as_slice());
    if let Some(value) = &record.value {
        to = to.payload(value.as_slice());
    }
    if record.headers.is_empty() {
        return to;
    }
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    to.headers(
        record
            .headers
            .iter()
            .fold(headers, |headers, (name, value)| headers.insert(Header { key: name, value: value.as_ref() })),
    )
}

fn run(producer: &BaseProducer<Deliveries>, queue: &Queue, delivery_timeout: Duration) {
    let (mut looked, mut purged) = (Instant::now(), false);
    while !queue.ended.load(Ordering::Acquire) {
        producer.poll(LOOK);
        let ran = looked.elapsed().min(LOOK * 4);
        looked = Instant::now();
        if let Some(waits) = queue.oldest(ran)
            && waits > delivery_timeout
        {
            let seconds = delivery_timeout.as_secs();
            queue.stop(&format!("the brokers did not take a record for {seconds} seconds"));
        }
        if let Some((code, text)) = producer.client().fatal_error() {
            queue.stop(&format!("{code}: {text}"));
        }
        if !purged && lock(&queue.waiting).failure.is_some() {
            producer.purge(PurgeConfig::default().queue().inflight());
            purged = true;
        }
    }
    if producer.flush(LAST_WAIT).is_err() {
        producer.purge(PurgeConfig::default().queue().inflight());
        producer.poll(LOOK);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the producer panicked");
        }
        self.queue.observed.forget();
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("failure", &self.failure()).finish_non_exhaustive()
    }
}
