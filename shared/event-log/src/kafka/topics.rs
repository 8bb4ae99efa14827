//! Setting up the topics, and seeing whether they are as memos needs them.
//!
//! What is missing is created; what is there is looked at and never changed, because a topic's settings may have been
//! chosen by somebody with more knowledge of the cluster. What differs is reported. Only the count of partitions is an
//! error: a record's partition follows from it.
//!
//! With bearer tokens only a part of this can be done. librdkafka asks for a token through the main queue of a client, and
//! of an admin client rdkafka polls no queue but its own (rust-rdkafka, issue 757); to hand it a token from outside takes
//! unsafe code, which memos has none of. So topics are made with Kafka's own tools then. Whether they are there, and with
//! how many partitions, the producer can see; what it cannot see is said to be [`State::Unreadable`], and is no difference.
//!
//! [`ensure`] also gives the log its name, by a certificate of birth in every partition ([`super::birth`]). It may be
//! run again, and by several processes at once.

mod wanted;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::client::{Plain, patiently};
use super::topic::{TopicState, name_of};
use super::{Connection, KafkaSettings, birth};
use crate::local::settings::FailureHook;
use crate::{Error, LogId, Offset, Partition, Topic};

pub use wanted::{TopicSettings, TopicSettingsRetention};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The topic's name at the brokers.
    pub topic: String,
    /// What was looked at: `topic`, `partitions`, or a property of the topic.
    pub what: String,
    pub wanted: String,
    pub found: String,
    pub state: State,
}

/// How what was found stands to what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It was missing and was made.
    Created,
    Ok,
    /// It is not as wanted. Nothing was changed.
    Differs,
    /// The topic is not there, and was not made. `wanted` says how to make it.
    Missing,
    /// This process cannot see it. `wanted` says what to compare.
    Unreadable,
}

/// Creates the topics that are missing, gives the log its name, and answers how everything is. With bearer tokens it
/// creates none, and while one is [`State::Missing`] the log has no name.
///
/// # Errors
/// [`Error::Away`] and [`Error::Refused`]; [`Error::TopicPartitions`] when a topic of memos has another count of
/// partitions; [`Error::CreatedAnew`] when compacted topics were created anew beside others that hold records.
pub fn ensure(settings: &KafkaSettings, topics: &TopicSettings) -> Result<Vec<Finding>, Error> {
    let connection = Connection::make(settings, FailureHook::default())?;
    let admin = admin(&connection)?;
    let mut findings = Vec::new();
    for topic in Topic::all(&settings.inlets) {
        let name = name_of(&topic, settings);
        if let Some(admin) = &admin
            && connection.partitions_of(&name)?.is_none()
        {
            create(&connection, admin, &topic, &name, topics)?;
            findings.push(finding(&name, "topic", "exists", "missing", State::Created));
        }
    }
    findings.extend(look(&connection, admin.as_ref(), topics)?);
    if findings.iter().all(|finding| finding.state != State::Missing) {
        name_the_log(&connection)?;
    }
    Ok(findings)
}

/// Answers how the topics are, and changes nothing.
///
/// # Errors
/// Those of [`ensure`].
pub fn verify(settings: &KafkaSettings, topics: &TopicSettings) -> Result<Vec<Finding>, Error> {
    let connection = Connection::make(settings, FailureHook::default())?;
    let admin = admin(&connection)?;
    look(&connection, admin.as_ref(), topics)
}

fn finding(topic: &str, what: &str, wanted: &str, found: &str, state: State) -> Finding {
    let text = str::to_owned;
    Finding { topic: text(topic), what: text(what), wanted: text(wanted), found: text(found), state }
}

/// The client that creates and describes topics; `None` with bearer tokens, which it never shows.
fn admin(connection: &Connection) -> Result<Option<AdminClient<Plain>>, Error> {
    if connection.settings.security.token().is_some() {
        return Ok(None);
    }
    let mut config = connection.settings.client()?;
    config.set("statistics.interval.ms", "0");
    let context = Plain(connection.observed("admin".to_owned()));
    config.create_with_context(context).map(Some).map_err(|error| super::cannot("make the admin client", &error))
}

fn create(
    connection: &Connection,
    admin: &AdminClient<Plain>,
    topic: &Topic,
    name: &str,
    topics: &TopicSettings,
) -> Result<(), Error> {
    let count = i32::try_from(topics.partitions_of(topic, &connection.settings)).unwrap_or(i32::MAX);
    let properties = wanted::to_create(topic, topics, &connection.settings);
    let action = format!("create topic {name}");
    patiently(&action, connection.patience(), connection.writer.observed(), |timeout| {
        let new = NewTopic::new(name, count, TopicReplication::Fixed(topics.replication_factor));
        let new = properties.iter().fold(new, |new, (property, value)| new.set(property, value));
        let options = AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout));
        let answers = block_on(admin.create_topics([&new], &options))?;
        match answers.into_iter().next() {
            None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
            Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
        }
    })?;
    // What was created is known everywhere a moment later.
    patiently(&action, connection.patience(), connection.writer.observed(), |_| match connection.partitions_of(name) {
        Ok(Some(has)) if has > 0 => Ok(()),
        Ok(_) | Err(_) => Err(KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable)),
    })
}

fn look(
    connection: &Connection,
    admin: Option<&AdminClient<Plain>>,
    topics: &TopicSettings,
) -> Result<Vec<Finding>, Error> {
    let settings = &connection.settings;
    let mut findings = Vec::new();
    for topic in Topic::all(&settings.inlets) {
        let name = name_of(&topic, settings);
        let Some(has) = connection.partitions_of(&name)? else {
            let wanted = wanted::in_words(&topic, topics, settings);
            findings.push(finding(&name, "topic", &wanted, "missing", State::Missing));
            continue;
        };
        if !matches!(topic, Topic::Inlet(_)) {
            if has != settings.partitions {
                return Err(Error::TopicPartitions { name, has, asked: settings.partitions });
            }
            let count = has.to_string();
            findings.push(finding(&name, "partitions", &count, &count, State::Ok));
        }
        let rules = wanted::to_verify(&topic, topics, settings);
        let Some(admin) = admin else {
            let wanted: Vec<String> = rules.iter().map(|(property, rule)| format!("{property} {rule}")).collect();
            findings.push(finding(&name, "properties", &wanted.join("; "), "not readable", State::Unreadable));
            continue;
        };
        let found = properties(connection, admin, &name)?;
        for (property, rule) in rules {
            let value = found.get(property).cloned().unwrap_or_default();
            let state = if rule.holds(&value) { State::Ok } else { State::Differs };
            findings.push(finding(&name, property, &rule.to_string(), &value, state));
        }
    }
    Ok(findings)
}

fn properties(
    connection: &Connection,
    admin: &AdminClient<Plain>,
    name: &str,
) -> Result<BTreeMap<String, String>, Error> {
    let action = format!("describe topic {name}");
    patiently(&action, connection.patience(), connection.writer.observed(), |timeout| {
        let options = AdminOptions::new().request_timeout(Some(timeout));
        let answers = block_on(admin.describe_configs([&ResourceSpecifier::Topic(name)], &options))?;
        let answer = answers.into_iter().next().ok_or(KafkaError::AdminOp(RDKafkaErrorCode::Unknown))?;
        let entries = answer.map_err(KafkaError::AdminOp)?.entries;
        Ok(entries.into_iter().filter_map(|entry| entry.value.map(|value| (entry.name, value))).collect())
    })
}

/// Writes what is missing of the certificates.
///
/// The compacted topics get theirs first. So when another topic holds anything, they were complete once, and what is
/// missing in them was taken away; otherwise a first setting up was interrupted, or is done by another process just now.
fn name_the_log(connection: &Connection) -> Result<LogId, Error> {
    let settings = &connection.settings;
    let names = |topic: &Topic| name_of(topic, settings);
    let state = |topic: Topic| Arc::new(TopicState::new(topic, settings, settings.partitions));
    let kept: Vec<_> = birth::KEPT.into_iter().map(state).collect();
    let others: Vec<_> = Topic::FIXED.into_iter().filter(|t| !birth::KEPT.contains(t)).map(state).collect();
    let by_ref: Vec<&TopicState> = kept.iter().map(|state| &**state).collect();
    let complete_once = holds_anything(connection, &others)?;
    let mut found = birth::read(connection, &by_ref)?;
    if complete_once && found.values().any(Option::is_none) {
        return birth::agreed(&found, names);
    }
    let id = match found.values().flatten().next() {
        Some(id) => *id,
        None => first_name(connection, &kept[0])?,
    };
    for topic in &kept {
        // Records without a certificate before them are not of a topic of ours, unless the certificate came just now.
        let without: Vec<_> = found.iter().filter(|((t, _), has)| *t == topic.topic && has.is_none()).collect();
        let without: Vec<Partition> = without.into_iter().map(|((_, partition), _)| *partition).collect();
        let (empty, not_empty) = divide(connection, topic, without)?;
        if !not_empty.is_empty() {
            found = birth::read(connection, &by_ref)?;
            if not_empty.iter().any(|p| found.get(&(topic.topic.clone(), *p)).is_some_and(Option::is_none)) {
                return birth::agreed(&found, names);
            }
        }
        certify(connection, topic, &empty, id)?;
    }
    for topic in &others {
        let (empty, _) = divide(connection, topic, Partition::all(settings.partitions).collect())?;
        certify(connection, topic, &empty, id)?;
    }
    birth::agreed(&birth::read(connection, &by_ref)?, names)
}

/// Whether one of these topics holds a record, or ever did.
fn holds_anything(connection: &Connection, topics: &[Arc<TopicState>]) -> Result<bool, Error> {
    for topic in topics {
        if !divide(connection, topic, Partition::all(topic.partitions()).collect())?.1.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The partitions that never held a record, and the others.
fn divide(
    connection: &Connection,
    topic: &TopicState,
    partitions: Vec<Partition>,
) -> Result<(Vec<Partition>, Vec<Partition>), Error> {
    let (mut empty, mut others) = (Vec::new(), Vec::new());
    for partition in partitions {
        let is_empty = connection.watermarks(topic, partition)?.high == Offset::FIRST;
        if is_empty { empty.push(partition) } else { others.push(partition) }
    }
    Ok((empty, others))
}

fn certify(connection: &Connection, topic: &Arc<TopicState>, partitions: &[Partition], id: LogId) -> Result<(), Error> {
    let append = |partition: &Partition| connection.writer.append(topic, *partition, &[birth::certificate(id)]);
    let appended = partitions.iter().map(append).collect::<Result<Vec<_>, Error>>()?;
    appended.into_iter().try_for_each(|one| one.wait().map(drop))
}

/// Proposes a name, and answers the one that came first.
fn first_name(connection: &Connection, memories: &Arc<TopicState>) -> Result<LogId, Error> {
    let first = Partition::new(0);
    let proposed = LogId::random();
    connection.writer.append(memories, first, &[birth::certificate(proposed)])?.wait()?;
    let found = birth::read(connection, &[memories])?;
    let chosen = found.get(&(Topic::Memories, first)).copied().flatten().unwrap_or(proposed);
    if chosen != proposed {
        // Compaction keeps the newest under a key, so that must be the chosen one, too.
        connection.writer.append(memories, first, &[birth::certificate(chosen)])?.wait()?;
    }
    Ok(chosen)
}

/// Waits for a future that some other thread completes.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
