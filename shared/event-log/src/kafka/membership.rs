//! Which partitions this process owns, decided by a consumer group.
//!
//! A member fetches nothing: its partitions are paused from the moment it gets them, and what was assigned is only told
//! to the owner. The strategy is `range`, or `roundrobin` where several topics are divided, and eager: every division begins with everybody giving up everything, so no
//! partition ever has two owners that both believe the group. A member with an instance name keeps its partitions
//! through a restart that is shorter than the session timeout.
//!
//! Who divides several topics in one group is one member for all of them. The brokers answer one request of a
//! connection after the other, and to join again is a request that waits until every member has asked: with two members
//! in one process, what the second has to commit before it may ask would wait behind the question of the first.
//!
//! A revocation is answered when the owner has drained, and not before: the callback waits, while librdkafka's own
//! thread keeps the heartbeats going. An owner that does not drain in time is told to end.
//!
//! When the brokers were away for a moment, librdkafka 2.12 may lose its way back to them for good: its coordinator is a
//! broker that it took out of its list. So a member that waits for a share for long begins anew, as another client; one
//! that has asked and waits for others to drain only when they had all their time, or it would leave its old self behind
//! as a member without a process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientConfig, TopicPartitionList};

use super::KafkaLog;
use super::client::{Observed, observed};
use super::groups::{Commits, GroupsState};
use super::statistics::ClientStatistics;
use crate::ownership::{Change, Ownership, Revoked};
use crate::signal::lock;
use crate::{Error, Partition, Topic};

const POLL: Duration = Duration::from_millis(50);
/// Who loses its name may have lost it to itself: after an outage the brokers answer attempts to come back that were given
/// up long ago, and refuse a commit that librdkafka held back meanwhile. Who loses it more often within this time has a twin.
const TWIN: Duration = Duration::from_secs(60);
/// How often it may lose its name within that time.
const LOSSES: usize = 2;
/// How many changes may wait for the owner. A revocation waits for its drain, so there are never more than a few.
const UNHEARD: usize = 64;

/// How a [`Membership`] is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipSettings {
    /// The group, without the prefix of the topics.
    pub group: String,
    /// The name of this instance, the same after a restart and unlike every other's. `None`: the partitions of a process
    /// that ends are divided at once, and again when it comes back.
    pub instance: Option<String>,
    /// How long a member may be silent before its partitions are given to others. Default: 10 s, at most 20 s.
    pub session_timeout: Duration,
    /// How long the owner may take to drain. Default: 60 s.
    pub drain_timeout: Duration,
}

impl MembershipSettings {
    /// A member of this group, with the defaults for the rest.
    #[must_use]
    pub fn new(group: &str, instance: Option<String>) -> Self {
        Self {
            group: group.to_owned(),
            instance,
            session_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(60),
        }
    }

    /// How long the brokers wait for a member that is to ask for a share: the callback may wait for the drain.
    fn poll_interval(&self) -> Duration {
        (self.drain_timeout + Duration::from_secs(30)).max(self.session_timeout * 2)
    }

    fn validate(&self) -> Result<(), Error> {
        if self.session_timeout > Duration::from_secs(20) {
            let value = format!("{} s", self.session_timeout.as_secs());
            let reason = "who is away for more than 20 seconds is missed";
            return Err(Error::Setting { setting: "session_timeout", value, reason });
        }
        Ok(())
    }
}

/// Membership in a consumer group, as far as it divides the partitions of one topic.
#[derive(Debug)]
pub struct Membership {
    changes: Receiver<Change>,
    member: Arc<Member>,
}

/// How to join.
struct Joins {
    config: ClientConfig,
    names: Vec<String>,
}

impl Joins {
    fn join(&self, shared: &Arc<Shared>) -> Result<Arc<BaseConsumer<Context>>, Error> {
        let consumer = self.client(shared)?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(|error| super::cannot("take a subscription", &error))?;
        Ok(consumer)
    }

    /// One that has not asked for a share yet.
    fn client(&self, shared: &Arc<Shared>) -> Result<Arc<BaseConsumer<Context>>, Error> {
        let consumer: BaseConsumer<Context> = self
            .config
            .create_with_context(Context { shared: Arc::clone(shared), over: AtomicBool::new(false) })
            .map_err(|error| super::cannot("make a consumer", &error))?;
        let consumer = Arc::new(consumer);
        let committing: Weak<BaseConsumer<Context>> = Arc::downgrade(&consumer);
        let committing: Weak<dyn Commits> = committing;
        shared.groups.enter(&shared.group, committing);
        Ok(consumer)
    }
}

/// The member, which leaves the group when nobody holds it any more.
#[derive(Debug)]
struct Member {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    group: String,
    observed: Arc<Observed>,
    groups: Arc<GroupsState>,
    /// Who is told, by the topic's name at the brokers.
    tell: BTreeMap<String, SyncSender<Change>>,
    /// What the owners were told to be theirs.
    owned: Mutex<BTreeMap<String, Vec<Partition>>>,
    /// Since when the brokers owe this member a share, be it an empty one.
    waits_since: Mutex<Option<Instant>>,
    /// For how long at first, before it joins as another client.
    waits_at_first: Duration,
    /// For how long at most: as long as the others may take to drain and to ask.
    waits_at_most: Duration,
    drain_timeout: Duration,
    failure: Mutex<Option<String>>,
    ended: AtomicBool,
}

struct Context {
    shared: Arc<Shared>,
    /// Another client is the member now. What the brokers still say to this one is not said to the owners.
    over: AtomicBool,
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

impl Membership {
    /// Joins the group for a topic. The partitions come as changes; the same numbers of all topics go with them.
    ///
    /// # Errors
    /// [`Error::Setting`], [`Error::UnknownTopic`]; [`Error::Refused`] when the settings make no client.
    pub fn join(log: &KafkaLog, settings: &MembershipSettings, topic: &Topic) -> Result<Self, Error> {
        // The same numbers of all topics go to the same member.
        Ok(Self::members(log, settings, "range", std::slice::from_ref(topic))?.remove(0))
    }

    /// Joins the group for each of these topics, as one member; what it gets of one says nothing of the others. The answer
    /// has their order; each has to be looked at.
    ///
    /// # Errors
    /// As [`Membership::join`].
    pub fn join_all(log: &KafkaLog, settings: &MembershipSettings, topics: &[Topic]) -> Result<Vec<Self>, Error> {
        if topics.is_empty() {
            return Ok(Vec::new());
        }
        // By ranges the first members would get the first partitions of every topic, and the last ones none.
        Self::members(log, settings, "roundrobin", topics)
    }

    fn members(
        log: &KafkaLog,
        settings: &MembershipSettings,
        strategy: &str,
        topics: &[Topic],
    ) -> Result<Vec<Self>, Error> {
        let prepared = Prepared::new(log, settings, strategy, topics)?;
        let consumer = prepared.joins.join(&prepared.shared)?;
        prepared.begin(consumer)
    }
}

/// Members that have not joined yet: what they share, how they join, and where each hears of changes, in the order of the
/// topics.
struct Prepared {
    shared: Arc<Shared>,
    joins: Joins,
    changes: Vec<Receiver<Change>>,
}

impl Prepared {
    fn new(log: &KafkaLog, settings: &MembershipSettings, strategy: &str, topics: &[Topic]) -> Result<Self, Error> {
        settings.validate()?;
        let names = topics.iter().map(|topic| log.name_of(topic)).collect::<Result<Vec<_>, _>>()?;
        let (tell, changes): (BTreeMap<_, _>, Vec<_>) = names
            .iter()
            .map(|name| {
                let (tell, changes) = sync_channel(UNHEARD);
                (((*name).to_owned(), tell), changes)
            })
            .unzip();
        let shared = Arc::new(Shared {
            group: settings.group.clone(),
            observed: log.connection.observed(format!("member.{}", settings.group)),
            groups: Arc::clone(log.groups.shared()),
            tell,
            owned: Mutex::default(),
            waits_since: Mutex::new(Some(Instant::now())),
            waits_at_first: settings.session_timeout * 2 + Duration::from_secs(5),
            waits_at_most: settings.poll_interval(),
            drain_timeout: settings.drain_timeout,
            failure: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let names = names.into_iter().map(str::to_owned).collect();
        let joins = Joins { config: config(log, settings, strategy)?, names };
        Ok(Self { shared, joins, changes })
    }

    /// Follows what the group tells this consumer, and every one after it.
    fn begin(self, consumer: Arc<BaseConsumer<Context>>) -> Result<Vec<Membership>, Error> {
        let Self { shared, joins, changes } = self;
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("kafka-member".to_owned())
            .spawn(move || state.run(consumer, &joins))
            .map_err(|error| super::cannot("start the thread of", &error))?;
        let member = Arc::new(Member { shared, thread: Some(thread) });
        Ok(changes.into_iter().map(|changes| Membership { changes, member: Arc::clone(&member) }).collect())
    }
}

fn config(log: &KafkaLog, settings: &MembershipSettings, strategy: &str) -> Result<ClientConfig, Error> {
    let session = settings.session_timeout;
    let mut config = log.connection.settings.client()?;
    config
        .set("group.id", log.connection.settings.group_name(&settings.group))
        .set("partition.assignment.strategy", strategy)
        .set("session.timeout.ms", session.as_millis().to_string())
        .set("heartbeat.interval.ms", (session.as_millis() / 5).max(100).to_string())
        .set("max.poll.interval.ms", settings.poll_interval().as_millis().to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Nothing is fetched, so where it would begin does not matter and must not fail.
        .set("auto.offset.reset", "latest");
    if let Some(instance) = &settings.instance {
        config.set("group.instance.id", instance);
    }
    Ok(config)
}

impl Ownership for Membership {
    fn next(&mut self, timeout: Duration) -> Result<Option<Change>, Error> {
        let deadline = Instant::now().checked_add(timeout);
        let shared = &self.member.shared;
        loop {
            if let Some(reason) = lock(&shared.failure).clone() {
                return Err(Error::Expelled { group: shared.group.clone(), reason });
            }
            let left = deadline.map_or(POLL, |at| at.saturating_duration_since(Instant::now()));
            match self.changes.recv_timeout(left.min(POLL)) {
                Ok(change) => return Ok(Some(change)),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => shared.fail("its thread has ended"),
            }
        }
    }
}

impl Shared {
    fn run(self: &Arc<Self>, mut consumer: Arc<BaseConsumer<Context>>, joins: &Joins) {
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

    fn fail(&self, reason: &str) {
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

#[cfg(test)]
mod tests {
    use testkit::kafka::Broker;

    use super::*;
    use crate::kafka::KafkaSettings;
    use crate::kafka::topics::{self, TopicSettings};

    #[test]
    fn who_waits_for_a_share_for_long_joins_as_another_client() {
        let broker = Broker::start();
        let settings = KafkaSettings {
            bootstrap_servers: broker.bootstrap().to_owned(),
            partitions: 2,
            ..KafkaSettings::default()
        };
        let alone = TopicSettings { replication_factor: 1, min_insync_replicas: 1, ..TopicSettings::default() };
        topics::ensure(&settings, &alone).expect("the topics can be made");
        let log = KafkaLog::open(&settings).expect("the log opens");
        let mut wanted = MembershipSettings::new("writers", None);
        wanted.session_timeout = Duration::from_secs(3);
        let prepared = Prepared::new(&log, &wanted, "range", &[Topic::Interactions]).expect("the settings are good");
        // It never asks for a share, as one that has lost its way.
        let lost = prepared.joins.client(&prepared.shared).expect("the settings are good");
        let mut members = prepared.begin(lost).expect("a thread starts");
        let change = members[0].next(Duration::from_secs(60)).expect("it stays a member");
        assert!(matches!(&change, Some(Change::Assigned(partitions)) if partitions.len() == 2), "{change:?}");
    }
}
