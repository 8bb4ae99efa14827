//! The positions that consumer groups show to others.
//!
//! Positions that count stand in the stores. What is committed here is for operators' lag tools, and for stateless
//! readers, to whom a lost second of commits is a second of repeats. So commits are collected and written twice a
//! second by one thread, and what the brokers do not take is dropped with a word in the log; who must know asks what
//! is committed.
//!
//! The brokers take commits to a group with members from its members only. So when a [`Membership`](super::Membership)
//! of a group lives in this process, all its commits go through that. When the members are other processes, what this
//! one commits is refused, which changes nothing for anybody.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::KafkaResult;
use rdkafka::{Offset as At, TopicPartitionList};

use super::Connection;
use super::client::{Plain, Verdict, patiently, verdict};
use super::lane::number;
use crate::signal::lock;
use crate::{Error, Offset, Partition};

const EVERY: Duration = Duration::from_millis(500);

/// A topic's name at the brokers, and a partition.
pub(super) type Place = (String, Partition);

#[derive(Debug)]
pub(super) struct Groups {
    shared: Arc<GroupsState>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct GroupsState {
    connection: Arc<Connection>,
    groups: Mutex<All>,
    ending: Condvar,
}

#[derive(Debug, Default)]
struct All {
    by_name: BTreeMap<String, Group>,
    ended: bool,
}

#[derive(Default)]
struct Group {
    /// Held while something is committed. See [`GroupsState::flush`].
    committing: Arc<Mutex<()>>,
    pending: BTreeMap<Place, Offset>,
    released: BTreeMap<Place, Offset>,
    simple: Option<Arc<BaseConsumer<Plain>>>,
    member: Option<Weak<dyn Commits>>,
    /// Whether the member has its share, be it an empty one. What it commits without that names a life that the brokers
    /// have ended, and may cost it the next one: librdkafka takes it for fatal when they refuse its name.
    owns: bool,
}

/// A consumer that commits for a group.
pub(super) trait Commits: Send + Sync {
    fn commit_these(&self, positions: &TopicPartitionList) -> KafkaResult<()>;
    fn committed_of(&self, places: TopicPartitionList, timeout: Duration) -> KafkaResult<TopicPartitionList>;
}

impl<C: ConsumerContext + 'static> Commits for BaseConsumer<C> {
    fn commit_these(&self, positions: &TopicPartitionList) -> KafkaResult<()> {
        self.commit(positions, CommitMode::Sync)
    }

    fn committed_of(&self, places: TopicPartitionList, timeout: Duration) -> KafkaResult<TopicPartitionList> {
        self.committed_offsets(places, timeout)
    }
}

impl Groups {
    pub(super) fn start(connection: &Arc<Connection>) -> Result<Self, Error> {
        let (connection, groups) = (Arc::clone(connection), Mutex::default());
        let shared = Arc::new(GroupsState { connection, groups, ending: Condvar::new() });
        let state = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("kafka-commits".to_owned())
            .spawn(move || state.run())
            .map_err(|error| super::cannot("start the thread of", &error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn shared(&self) -> &Arc<GroupsState> {
        &self.shared
    }

    pub(super) fn commit(&self, group: &str, topic: &str, partition: Partition, next: Offset) {
        let mut all = lock(&self.shared.groups);
        all.entry(group).pending.insert((topic.to_owned(), partition), next);
    }

    pub(super) fn release(&self, group: &str, topic: &str, partition: Partition, up_to: Offset) {
        let mut all = lock(&self.shared.groups);
        let group = all.entry(group);
        let place = (topic.to_owned(), partition);
        let at = group.released.entry(place.clone()).or_default();
        if up_to > *at {
            *at = up_to;
            group.pending.insert(place, up_to);
        }
    }

    pub(super) fn committed(&self, group: &str, topic: &str, partition: Partition) -> Result<Option<Offset>, Error> {
        self.shared.flush(group);
        let client = self.shared.client(group)?;
        let connection = &self.shared.connection;
        let action = format!("say what {group} has committed");
        let found = patiently(&action, connection.patience(), connection.writer.observed(), |timeout| {
            let mut places = TopicPartitionList::new();
            places.add_partition(topic, number(partition));
            client.committed_of(places, timeout)
        })?;
        let offset = found.find_partition(topic, number(partition)).map(|found| found.offset());
        Ok(offset.and_then(|at| match at {
            At::Offset(at) => u64::try_from(at).ok().map(Offset::new),
            At::Beginning | At::End | At::Stored | At::Invalid | At::OffsetTail(_) => None,
        }))
    }
}

impl All {
    fn entry(&mut self, group: &str) -> &mut Group {
        if !self.by_name.contains_key(group) {
            self.by_name.insert(group.to_owned(), Group::default());
        }
        self.by_name.get_mut(group).expect("was inserted above")
    }
}

impl GroupsState {
    fn run(&self) {
        loop {
            let names: Vec<String> = {
                let all = lock(&self.groups);
                let all = self.ending.wait_timeout_while(all, EVERY, |all| !all.ended);
                let (all, _) = all.unwrap_or_else(PoisonError::into_inner);
                if all.ended {
                    break;
                }
                all.by_name.keys().cloned().collect()
            };
            for name in &names {
                self.flush(name);
            }
            // What the clients have to say, and their tokens.
            let simple: Vec<_> = lock(&self.groups).by_name.values().filter_map(|g| g.simple.clone()).collect();
            for client in simple {
                drop(client.poll(Duration::ZERO));
            }
        }
        let names: Vec<String> = lock(&self.groups).by_name.keys().cloned().collect();
        for name in &names {
            self.flush(name);
        }
    }

    /// From now on the group's commits go through this member.
    pub(super) fn enter(&self, group: &str, member: Weak<dyn Commits>) {
        let mut all = lock(&self.groups);
        let entry = all.entry(group);
        entry.member = Some(member);
        entry.owns = false;
        // It ends when nobody waits for the groups any more.
        let simple = entry.simple.take();
        drop(all);
        drop(simple);
    }

    /// The group's member has its share.
    pub(super) fn owns(&self, group: &str) {
        lock(&self.groups).entry(group).owns = true;
    }

    /// The consumer that commits for this group.
    fn client(&self, group: &str) -> Result<Arc<dyn Commits>, Error> {
        {
            let mut all = lock(&self.groups);
            let entry = all.entry(group);
            if let Some(member) = entry.member.as_ref().and_then(Weak::upgrade) {
                return Ok(member);
            }
            if let Some(simple) = &entry.simple {
                let simple = Arc::clone(simple);
                return Ok(simple);
            }
        }
        let mut config = self.connection.settings.client()?;
        config
            .set("group.id", self.connection.settings.group_name(group))
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // It opens no session. So long a commit waits while nobody coordinates the group.
            .set("session.timeout.ms", self.connection.settings.request_timeout_ms.to_string())
            .set("statistics.interval.ms", "0");
        let context = Plain(self.connection.observed(format!("group.{group}")));
        let made: BaseConsumer<Plain> =
            config.create_with_context(context).map_err(|error| super::cannot("make a consumer", &error))?;
        // The first look fetches a token, if one is needed to connect.
        drop(made.poll(Duration::from_millis(10)));
        let made = Arc::new(made);
        lock(&self.groups).entry(group).simple = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Commits what is pending for this group. When this returns, nothing that was pending before is still under way.
    ///
    /// The thread here, a member that gives up its partitions and whoever asks what is committed may come at once. One
    /// at a time commits, so that no commit overtakes an older one, and a revocation is not answered while its positions
    /// are on their way: later the brokers would refuse them. The wait is bounded by the timeouts of the session and of
    /// the request, and librdkafka answers a commit on a thread of its own, whatever a callback waits for. A consumer must
    /// not end in the meantime, because that calls its member back, which comes here again. It ends with whoever holds it
    /// last, which may be this function.
    pub(super) fn flush(&self, group: &str) {
        let committing = Arc::clone(&lock(&self.groups).entry(group).committing);
        let used = {
            let _alone = lock(&committing);
            self.flush_alone(group)
        };
        drop(used);
    }

    /// The group's member has lost its share: it commits nothing until it has another.
    pub(super) fn loses(&self, group: &str) {
        lock(&self.groups).entry(group).owns = false;
    }

    /// The group's member gives up its share: commits what is pending, unless it is lost already. What could not be
    /// committed in time is forgotten: the next owner goes on from there, and is not to be set back later.
    pub(super) fn give_up(&self, group: &str) {
        self.flush(group);
        self.loses(group);
        lock(&self.groups).entry(group).pending.clear();
    }

    /// Answers the consumer that it used.
    fn flush_alone(&self, group: &str) -> Option<Arc<dyn Commits>> {
        let pending = {
            let mut all = lock(&self.groups);
            let entry = all.entry(group);
            if !entry.owns && entry.member.as_ref().is_some_and(|member| member.strong_count() > 0) {
                entry.pending.clear();
            }
            std::mem::take(&mut entry.pending)
        };
        if pending.is_empty() {
            return None;
        }
        let mut positions = TopicPartitionList::new();
        for ((topic, partition), next) in &pending {
            let at = At::Offset(i64::try_from(next.get()).unwrap_or(i64::MAX));
            positions.add_partition_offset(topic, number(*partition), at).ok()?;
        }
        let refused = |error: &Error| tracing::warn!(group, error = error.chain(), "positions are not committed");
        let client = self.client(group).inspect_err(refused).ok()?;
        let Err(error) = client.commit_these(&positions) else { return Some(client) };
        if error.rdkafka_error_code().is_some_and(|code| verdict(code) == Verdict::Wait) {
            tracing::debug!(group, %error, "positions are committed later");
            let mut all = lock(&self.groups);
            let entry = all.entry(group);
            for (place, next) in pending {
                entry.pending.entry(place).or_insert(next);
            }
        } else {
            tracing::debug!(group, %error, "positions are not committed, and whoever asks for them sees it");
        }
        Some(client)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        lock(&self.shared.groups).ended = true;
        self.shared.ending.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the commits panicked");
        }
    }
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("pending", &self.pending.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::error::{KafkaError, RDKafkaErrorCode};

    use super::*;
    use crate::kafka::KafkaSettings;
    use crate::local::settings::FailureHook;

    /// A member whose first commit takes its time: it waits whether another one overtakes it.
    #[derive(Default)]
    struct Slow {
        came: Mutex<Vec<At>>,
        changed: Condvar,
        /// In the order in which the brokers would have taken them.
        taken: Mutex<Vec<At>>,
    }

    const OVERTAKEN_WITHIN: Duration = Duration::from_millis(500);

    impl Commits for Slow {
        fn commit_these(&self, positions: &TopicPartitionList) -> KafkaResult<()> {
            let at = positions.elements()[0].offset();
            let mut came = lock(&self.came);
            came.push(at);
            self.changed.notify_all();
            if came.len() == 1 {
                drop(self.changed.wait_timeout_while(came, OVERTAKEN_WITHIN, |_| lock(&self.taken).is_empty()));
            } else {
                drop(came);
            }
            lock(&self.taken).push(at);
            self.changed.notify_all();
            Ok(())
        }

        fn committed_of(&self, places: TopicPartitionList, _: Duration) -> KafkaResult<TopicPartitionList> {
            Ok(places)
        }
    }

    impl Slow {
        /// Waits until somebody commits.
        fn is_at_it(&self) {
            let came = lock(&self.came);
            drop(self.changed.wait_while(came, |came| came.is_empty()).expect("no panic"));
        }
    }

    /// A group with a member, without the thread that commits by itself.
    fn group() -> (GroupsState, Arc<Slow>) {
        let settings = KafkaSettings { bootstrap_servers: "127.0.0.1:1".to_owned(), ..KafkaSettings::default() };
        let connection = Connection::make(&settings, FailureHook::default()).expect("the settings are good");
        let (connection, groups) = (Arc::new(connection), Mutex::default());
        let (state, member) = (GroupsState { connection, groups, ending: Condvar::new() }, Arc::new(Slow::default()));
        let weak: Weak<Slow> = Arc::downgrade(&member);
        state.enter("g", weak);
        state.owns("g");
        (state, member)
    }

    fn put(state: &GroupsState, next: u64) {
        lock(&state.groups).entry("g").pending.insert(("t".to_owned(), Partition::new(0)), Offset::new(next));
    }

    #[test]
    fn no_commit_of_a_group_overtakes_an_older_one() {
        let (state, member) = group();
        put(&state, 10);
        std::thread::scope(|scope| {
            scope.spawn(|| state.flush("g"));
            member.is_at_it();
            put(&state, 20);
            state.flush("g");
        });
        assert_eq!(*lock(&member.taken), [At::Offset(10), At::Offset(20)]);
    }

    #[test]
    fn who_flushes_knows_that_all_is_committed_even_by_others() {
        let (state, member) = group();
        put(&state, 10);
        std::thread::scope(|scope| {
            scope.spawn(|| state.flush("g"));
            member.is_at_it();
            // Nothing is pending: the other thread has taken it, and is still at it.
            state.flush("g");
            assert_eq!(*lock(&member.taken), [At::Offset(10)], "as a revocation relies on");
        });
    }

    /// A member that cannot reach its brokers.
    struct Away;

    impl Commits for Away {
        fn commit_these(&self, _: &TopicPartitionList) -> KafkaResult<()> {
            Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::OperationTimedOut))
        }

        fn committed_of(&self, places: TopicPartitionList, _: Duration) -> KafkaResult<TopicPartitionList> {
            Ok(places)
        }
    }

    #[test]
    fn what_is_given_up_is_not_committed_later() {
        let (state, _slow) = group();
        let member = Arc::new(Away);
        let weak: Weak<Away> = Arc::downgrade(&member);
        state.enter("g", weak);
        state.owns("g");
        let pending = || lock(&state.groups).entry("g").pending.len();
        put(&state, 10);
        state.flush("g");
        assert_eq!(pending(), 1, "it is tried again");
        state.give_up("g");
        assert_eq!(pending(), 0, "the next owner would be set back");
    }

    #[test]
    fn who_has_lost_its_share_commits_nothing_until_it_has_another() {
        let (state, member) = group();
        put(&state, 10);
        state.loses("g");
        state.flush("g");
        state.give_up("g");
        // An owner that is still at its last batch.
        put(&state, 20);
        state.flush("g");
        assert_eq!(*lock(&member.taken), []);
        state.owns("g");
        put(&state, 30);
        // The thread that commits by itself may be at it first: it does not wait here.
        lock(&member.came).push(At::Invalid);
        state.flush("g");
        assert_eq!(*lock(&member.taken), [At::Offset(30)]);
    }
}
