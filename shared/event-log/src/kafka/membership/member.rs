//! A member of a group, as one client of the brokers after the other, on a thread of its own.
//!
//! When the brokers were away for a moment, librdkafka 2.12 may lose its way back to them for good: its coordinator is a
//! broker that it took out of its list. So a member that waits for a share for long begins anew, as another client; one
//! that has asked and waits for others to drain only when they had all their time, or it would leave its old self behind
//! as a member without a process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, TopicPartitionList};

use crate::kafka::client::{Observed, observed};
use crate::kafka::groups::{Commits, GroupsState};
use crate::kafka::statistics::ClientStatistics;
use crate::ownership::{Change, Revoked};
use crate::signal::lock;
use crate::{Error, Partition};

pub(super) const POLL: Duration = Duration::from_millis(50);
/// Who loses its name may have lost it to itself: after an outage the brokers answer attempts to come back that were given
/// up long ago, and refuse a commit that librdkafka held back meanwhile. Who loses it more often within this time has a twin.
const TWIN: Duration = Duration::from_secs(60);
/// How often it may lose its name within that time.
const LOSSES: usize = 2;

/// How to join.
pub(super) struct Joins {
    pub(super) config: ClientConfig,
    pub(super) names: Vec<String>,
}

impl Joins {
    pub(super) fn join(&self, shared: &Arc<Shared>) -> Result<Arc<BaseConsumer<Context>>, Error> {
        let consumer = self.client(shared)?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(|error| crate::kafka::cannot("take a subscription", &error))?;
        Ok(consumer)
    }

    /// One that has not asked for a share yet.
    pub(super) fn client(&self, shared: &Arc<Shared>) -> Result<Arc<BaseConsumer<Context>>, Error> {
        let consumer: BaseConsumer<Context> = self
            .config
            .create_with_context(Context { shared: Arc::clone(shared), over: AtomicBool::new(false) })
            .map_err(|error| crate::kafka::cannot("make a consumer", &error))?;
        let consumer = Arc::new(consumer);
        let committing: Weak<BaseConsumer<Context>> = Arc::downgrade(&consumer);
        let committing: Weak<dyn Commits> = committing;
        shared.groups.enter(&shared.group, committing);
        Ok(consumer)
    }
}

/// The member, which leaves the group when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) thread: Option<JoinHandle<()>>,
}

pub(super) struct Shared {
    pub(super) group: String,
    pub(super) observed: Arc<Observed>,
    pub(super) groups: Arc<GroupsState>,
    /// Who is told, by the topic's name at the brokers.
    pub(super) tell: BTreeMap<String, SyncSender<Change>>,
    /// What the owners were told to be theirs.
    pub(super) owned: Mutex<BTreeMap<String, Vec<Partition>>>,
    /// Since when the brokers owe this member a share, be it an empty one.
    pub(super) waits_since: Mutex<Option<Instant>>,
    /// For how long at first, before it joins as another client.
    pub(super) waits_at_first: Duration,
    /// For how long at most: as long as the others may take to drain and to ask.
    pub(super) waits_at_most: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) failure: Mutex<Option<String>>,
    pub(super) ended: AtomicBool,
}

pub(super) struct Context {
    shared: Arc<Shared>,
    /// Another client is the member now. What the brokers still say to this one is not said to the owners.
    pub(super) over: AtomicBool,
}

impl Context {
    fn observed(&self) -> &Observed {
        &self.shared.observed
    }
}

observed!(Context);

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.over.load(Ordering::Acquire) {
            // It ends, so it does not matter whether it could.
            drop(consumer.unassign());
            return;
        }
        let shared = &self.shared;
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let taken = consumer.assign(list).and_then(|()| consumer.pause(list));
            if let Err(error) = taken {
                shared.fail(&error.to_string());
            }
            shared.assigned(partitions_in(list));
        } else {
            // A revocation of everything, as it always is, or a failed division, after which nothing is owned either.
            shared.give_up(consumer.assignment_lost());
            if let Err(error) = consumer.unassign() {
                shared.fail(&error.to_string());
            }
        }
    }
}

/// The partitions of each topic that has any.
fn partitions_in(list: &TopicPartitionList) -> BTreeMap<String, Vec<Partition>> {
    let mut partitions: BTreeMap<String, Vec<Partition>> = BTreeMap::new();
    for element in list.elements() {
        if let Ok(number) = u32::try_from(element.partition()) {
            partitions.entry(element.topic().to_owned()).or_default().push(Partition::new(number));
        }
    }
    partitions.values_mut().for_each(|partitions| partitions.sort());
    partitions
}

impl Shared {
    /// Follows what the group tells this client, and every one after it.
    pub(super) fn run(self: &Arc<Self>, mut consumer: Arc<BaseConsumer<Context>>, joins: &Joins) {
        let (mut losses, mut patience) = (Vec::<Instant>::new(), self.waits_at_first);
        while !self.ended.load(Ordering::Acquire) {
            // Nothing is fetched; what comes is news about the group.
            if let Some(Err(error)) = consumer.poll(POLL) {
                self.heard(&error);
            }
            losses.retain(|at| at.elapsed() < TWIN);
            match consumer.client().fatal_error() {
                None => {
                    let waits = lock(&self.waits_since).map_or(Duration::ZERO, |since| since.elapsed());
                    if waits.is_zero() {
                        patience = self.waits_at_first;
                    }
                    if waits < patience || (waits < self.waits_at_most && self.has_asked()) {
                        continue;
                    }
                    patience = (patience * 2).min(self.waits_at_most);
                    let own = self.observed.figures().unwrap_or_default();
                    let (seconds, coordinator, joining) = (waits.as_secs(), own.group_state, own.join_state);
                    let group = &self.group;
                    tracing::warn!(group, seconds, coordinator, joining, "the brokers gave it no share; joining again");
                }
                Some((RDKafkaErrorCode::FencedInstanceId, _)) if losses.len() < LOSSES => {
                    losses.push(Instant::now());
                    tracing::warn!(group = self.group, "somebody has this member's name; joining again");
                }
                Some((code, text)) => return self.expel(&format!("{code}: {text}")),
            }
            // Its end says nothing of what it had, and takes its time.
            self.give_up(true);
            consumer.context().over.store(true, Ordering::Release);
            drop(consumer);
            if self.ended.load(Ordering::Acquire) {
                return;
            }
            consumer = match joins.join(self) {
                Ok(member) => member,
                Err(error) => return self.expel(&error.to_string()),
            };
            *lock(&self.waits_since) = Some(Instant::now());
        }
    }

    /// Whether it has asked for a share, which comes when all others have asked as well.
    fn has_asked(&self) -> bool {
        let up = |own: &ClientStatistics| own.group_state == "up";
        let asked = |own: &ClientStatistics| matches!(own.join_state.as_str(), "wait-join" | "wait-sync");
        self.observed.figures().is_some_and(|own| up(&own) && asked(&own))
    }

    fn heard(&self, error: &KafkaError) {
        use RDKafkaErrorCode as Code;
        let Some(code) = error.rdkafka_error_code() else { return };
        let ends = matches!(
            code,
            Code::UnreleasedInstanceId
                | Code::GroupAuthorizationFailed
                | Code::TopicAuthorizationFailed
                | Code::InconsistentGroupProtocol
                | Code::InvalidSessionTimeout
                | Code::InvalidGroupId
                | Code::PollExceeded
                | Code::UnknownTopicOrPartition
                | Code::UnknownTopic
        );
        if ends {
            self.fail(&code.to_string());
        } else {
            tracing::debug!(group = self.group, %code, "trouble with the group");
        }
    }

    fn assigned(&self, partitions: BTreeMap<String, Vec<Partition>>) {
        lock(&self.owned).clone_from(&partitions);
        *lock(&self.waits_since) = None;
        self.groups.owns(&self.group);
        for (topic, partitions) in partitions {
            tracing::info!(group = self.group, topic, count = partitions.len(), "partitions were assigned");
            self.tell(&topic, Change::Assigned(partitions));
        }
    }

    /// Takes everything from the owners, and waits until they have drained.
    fn give_up(&self, lost: bool) {
        if lost {
            self.groups.loses(&self.group);
        }
        let partitions = std::mem::take(&mut *lock(&self.owned));
        let mut draining = Vec::with_capacity(partitions.len());
        for (topic, partitions) in partitions {
            tracing::info!(group = self.group, topic, count = partitions.len(), lost, "partitions are revoked");
            let (revoked, drained) = Revoked::new(partitions, lost);
            self.tell(&topic, Change::Revoked(revoked));
            draining.push(drained);
        }
        let began = Instant::now();
        'drain: for drained in draining {
            while !self.ended.load(Ordering::Acquire) {
                match drained.recv_timeout(POLL) {
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
                    Err(RecvTimeoutError::Timeout) if began.elapsed() >= self.drain_timeout => {
                        self.fail(&format!("it did not give up its partitions within {:?}", self.drain_timeout));
                        break 'drain;
                    }
                    Err(RecvTimeoutError::Timeout) => {}
                }
            }
        }
        // What was drained is shown before another owner asks for it.
        self.groups.give_up(&self.group);
        *lock(&self.waits_since) = Some(Instant::now());
    }

    fn tell(&self, topic: &str, change: Change) {
        // Nobody listens any more when the owner is ending.
        if let Some(Err(TrySendError::Full(_))) = self.tell.get(topic).map(|tell| tell.try_send(change)) {
            self.fail("its owner does not look at what changes");
        }
    }

    /// As [`Shared::fail`], and nobody is asked to drain any more.
    fn expel(&self, reason: &str) {
        self.fail(reason);
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn fail(&self, reason: &str) {
        let mut failure = lock(&self.failure);
        if failure.is_none() {
            tracing::error!(group = self.group, reason, "this process is no member of its group any more");
            *failure = Some(reason.to_owned());
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Its consumer goes with the thread, which leaves the group unless it has an instance name.
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of a member panicked");
        }
        self.shared.observed.forget();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("group", &self.group).finish_non_exhaustive()
    }
}
