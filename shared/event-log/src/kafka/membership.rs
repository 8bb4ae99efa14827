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

mod member;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;

use super::KafkaLog;
use crate::ownership::{Change, Ownership};
use crate::signal::lock;
use crate::{Error, Topic};
use member::{Context, Joins, Member, POLL, Shared};

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

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use rdkafka::consumer::Consumer;
    use testkit::kafka::Broker;
    use testkit::wait_until;

    use super::*;
    use crate::kafka::KafkaSettings;
    use crate::kafka::topics::{self, TopicSettings};

    const PATIENT: Duration = Duration::from_secs(60);

    /// A member of a new log of two partitions, which has not joined yet.
    fn prepared(broker: &Broker) -> (KafkaLog, Prepared) {
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
        (log, prepared)
    }

    #[test]
    fn who_waits_for_a_share_for_long_joins_as_another_client() {
        let broker = Broker::start();
        let (_log, prepared) = prepared(&broker);
        // It never asks for a share, as one that has lost its way.
        let lost = prepared.joins.client(&prepared.shared).expect("the settings are good");
        let mut members = prepared.begin(lost).expect("a thread starts");
        let change = members[0].next(PATIENT).expect("it stays a member");
        assert!(matches!(&change, Some(Change::Assigned(partitions)) if partitions.len() == 2), "{change:?}");
    }

    #[test]
    fn a_client_that_was_replaced_tells_the_owners_nothing() {
        let broker = Broker::start();
        let (_log, prepared) = prepared(&broker);
        let old = prepared.joins.join(&prepared.shared).expect("the settings are good");
        old.context().over.store(true, Ordering::Release);
        wait_until(PATIENT, "the brokers have given it a share", || {
            drop(old.poll(POLL));
            prepared.shared.observed.figures().is_some_and(|own| own.rebalances > 0)
        });
        assert!(prepared.changes[0].try_recv().is_err(), "it owns what nobody will take from it");
    }
}
