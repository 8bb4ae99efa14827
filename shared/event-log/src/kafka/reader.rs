//! Reading one topic: which cursor answers, and when an empty answer may be given.
//!
//! An answer without records and without progress says that there is nothing durable that this handle knows of: it
//! knows what it appended itself and what the brokers said when it asked for the watermarks last. Whoever needs to see
//! what others wrote asks for the watermarks first. In between, what others write arrives by itself and wakes the
//! waiting reader.
//!
//! Two readers at different places of a partition each have a cursor, in consumers of their own; more than [`LANES`]
//! would take them from each other, which is slow and still correct.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Connection;
use super::cursor::{Cursor, Doubt};
use super::lane::{Lane, LaneState};
use super::topic::TopicState;
use crate::signal::lock;
use crate::{Error, Limits, Offset, Partition, ReadBatch};

/// The most consumers of one topic.
const LANES: usize = 3;
/// A cursor that was not read for this long may be taken for another reader.
const RECENT: Duration = Duration::from_secs(2);
/// How long a reader waits at what the broker called the end, before it has the end proven.
const AT_THE_END: Duration = Duration::from_millis(250);
/// How long it waits elsewhere before the fetch begins anew, in case it got stuck: within these bounds a share of how long the
/// brokers may be away, because a read that is given up must have tried another consumer long before.
const ELSEWHERE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
const SHARE_OF_PATIENCE: u32 = 8;
/// How often the fetch begins anew before the consumer does. While a broker restarts, librdkafka 2.12 may take a partition's
/// leader for unknown and never learn better (its issue 5430); another consumer asks anew.
const FUTILE: u32 = 1;

#[derive(Debug)]
pub(super) struct TopicReader {
    pub(super) topic: Arc<TopicState>,
    lanes: Mutex<Vec<Arc<Lane>>>,
}

type Cursors<'a> = MutexGuard<'a, std::collections::BTreeMap<Partition, Cursor>>;

/// How one look at a cursor ended.
enum Looked {
    Batch(ReadBatch),
    /// The cursor is no longer where it was.
    Moved,
    /// What is durable does not arrive, however often the fetch begins anew.
    Stuck,
    Doubt(Doubt),
}

impl TopicReader {
    pub(super) fn new(topic: Arc<TopicState>) -> Self {
        Self { topic, lanes: Mutex::default() }
    }

    pub(super) fn read(
        &self,
        connection: &Connection,
        partition: Partition,
        from: Offset,
        limits: Limits,
    ) -> Result<ReadBatch, Error> {
        let patience = connection.settings.delivery_timeout();
        let deadline = Instant::now() + patience;
        let [least, most] = ELSEWHERE;
        let mut elsewhere = (patience / SHARE_OF_PATIENCE).clamp(least, most);
        loop {
            let lane = match self.covering(partition, from) {
                Some(lane) => lane,
                None => self.place(connection, partition, from)?,
            };
            match self.look(connection, &lane.shared, (partition, from), limits, elsewhere, deadline)? {
                Looked::Batch(batch) => return Ok(batch),
                Looked::Moved => {}
                Looked::Stuck => {
                    self.discard(partition, lane);
                    // Brokers that are slow must not seem stuck for ever.
                    elsewhere *= 2;
                }
                Looked::Doubt(Doubt::Position) => {
                    // The answer is an error, unless the broker has come to itself: then the fetch begins anew.
                    self.check(connection, partition, from)?;
                    if Instant::now() >= deadline {
                        return Err(self.away(connection, partition, from, "the position is refused again and again"));
                    }
                    if let Some(cursor) = lock(&lane.shared.cursors).get_mut(&partition) {
                        cursor.move_to(from);
                    }
                    std::thread::sleep(AT_THE_END);
                }
                Looked::Doubt(Doubt::Unusable(reason)) => {
                    let action = format!("fetch {}/{partition} from offset {from} on", self.topic.name);
                    return Err(Error::Refused { action, reason });
                }
            }
        }
    }

    fn covering(&self, partition: Partition, from: Offset) -> Option<Arc<Lane>> {
        let covers = |lane: &&Arc<Lane>| lock(&lane.shared.cursors).get(&partition).is_some_and(|c| c.covers(from));
        lock(&self.lanes).iter().find(covers).cloned()
    }

    /// Sees that the position exists.
    fn check(&self, connection: &Connection, partition: Partition, from: Offset) -> Result<(), Error> {
        let marks = connection.watermarks(&self.topic, partition)?;
        let topic = || self.topic.topic.clone();
        if from < marks.low {
            return Err(Error::Lost { topic: topic(), partition, from, low: marks.low });
        }
        if from > marks.high {
            return Err(Error::Beyond { topic: topic(), partition, from, high: marks.high });
        }
        Ok(())
    }

    fn away(&self, connection: &Connection, partition: Partition, from: Offset, reason: &str) -> Error {
        let action = format!("send {}/{partition} from offset {from} on", self.topic.name);
        let seconds = connection.settings.delivery_timeout().as_secs();
        Error::Away { action, seconds, reason: reason.to_owned() }
    }

    /// Lets go of a consumer; whoever reads next has a new one made.
    fn discard(&self, partition: Partition, lane: Arc<Lane>) {
        tracing::warn!(topic = self.topic.name, %partition, "a consumer got stuck and is replaced");
        lock(&self.lanes).retain(|other| !Arc::ptr_eq(other, &lane));
        // Here its thread ends, unless another reader still looks at it.
        drop(lane);
    }

    /// Puts a cursor there: into a consumer without one for this partition, or in place of the one unused for longest.
    fn place(&self, connection: &Connection, partition: Partition, from: Offset) -> Result<Arc<Lane>, Error> {
        self.check(connection, partition, from)?;
        let mut lanes = lock(&self.lanes);
        let last_read = |lane: &Arc<Lane>| lock(&lane.shared.cursors).get(&partition).map(|c| c.last_read);
        let oldest = lanes.iter().min_by_key(|lane| last_read(lane)).cloned();
        let free = oldest.filter(|lane| lanes.len() >= LANES || last_read(lane).is_none_or(|at| at.elapsed() > RECENT));
        let lane = match free {
            Some(lane) => lane,
            None => {
                let observed = connection.observed(format!("consumer.{}.{}", self.topic.name, lanes.len()));
                let generation = Arc::clone(&connection.generation);
                let lane = Arc::new(Lane::start(&connection.settings, &self.topic, observed, generation)?);
                lanes.push(Arc::clone(&lane));
                lane
            }
        };
        let limit = connection.settings.prefetch_bytes;
        lock(&lane.shared.cursors)
            .entry(partition)
            .and_modify(|cursor| cursor.move_to(from))
            .or_insert_with(|| Cursor::at(from, limit));
        Ok(lane)
    }

    fn look(
        &self,
        connection: &Connection,
        lane: &LaneState,
        (partition, from): (Partition, Offset),
        limits: Limits,
        elsewhere: Duration,
        deadline: Instant,
    ) -> Result<Looked, Error> {
        let (mut waited, mut patience, mut futile) = (Instant::now(), AT_THE_END, 0);
        let mut cursors: Cursors<'_> = lock(&lane.cursors);
        loop {
            let Some(cursor) = cursors.get_mut(&partition).filter(|cursor| cursor.covers(from)) else {
                return Ok(Looked::Moved);
            };
            let batch = cursor.take(from, limits);
            if batch.next > from {
                return Ok(Looked::Batch(batch));
            }
            if let Some(doubt) = cursor.doubt.clone() {
                return Ok(Looked::Doubt(doubt));
            }
            if from >= self.topic.durable(partition) {
                return Ok(Looked::Batch(batch));
            }
            if Instant::now() >= deadline {
                return Err(self.away(connection, partition, from, "what is durable did not arrive"));
            }
            let enough = if cursor.ended { patience } else { elsewhere };
            if waited.elapsed() >= enough {
                futile += u32::from(!cursor.ended);
                if futile > FUTILE {
                    return Ok(Looked::Stuck);
                }
                cursor.fetch_again();
                (waited, patience) = (Instant::now(), (patience * 2).min(elsewhere));
            }
            cursors = lane.changed.wait_timeout(cursors, AT_THE_END).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
