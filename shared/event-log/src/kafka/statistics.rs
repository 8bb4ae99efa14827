//! What librdkafka says about its clients, as plain numbers that a service can turn into metrics.
//!
//! Every client hands over its figures every five seconds; the newest of each are kept. Only what somebody can act on
//! is taken: how far behind a reader is, what waits, what failed, and how long a broker takes to answer.

use std::collections::BTreeMap;
use std::sync::Mutex;

use rdkafka::statistics::Statistics;

use crate::signal::lock;

/// The newest figures of one client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientStatistics {
    /// What the client does: `producer`, `consumer.<topic>.<lane>`, `member.<group>`, `group.<group>`.
    pub client: String,
    /// Milliseconds since the client was made.
    pub age_ms: i64,
    /// Records that wait to be delivered.
    pub queued_records: u64,
    /// Their bytes.
    pub queued_bytes: u64,
    /// Records sent since the beginning.
    pub sent_records: i64,
    /// Bytes of them.
    pub sent_bytes: i64,
    /// Records received since the beginning.
    pub received_records: i64,
    /// Bytes of them.
    pub received_bytes: i64,
    /// How often a group this client is a member of was divided anew.
    pub rebalances: i64,
    /// How many partitions it has of the group.
    pub assigned: i64,
    /// How it stands with the group's coordinator, in librdkafka's words: `up`, `wait-coord`, …; empty without a group.
    pub group_state: String,
    /// How far it is with its share, in librdkafka's words: `init`, `wait-join`, `steady`, …; empty without a group.
    pub join_state: String,
    pub brokers: Vec<BrokerStatistics>,
    pub partitions: Vec<PartitionStatistics>,
}

/// How one broker behaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerStatistics {
    pub node: i32,
    /// Whether there is a connection now.
    pub up: bool,
    /// Requests that could not be sent, since the beginning.
    pub send_errors: u64,
    /// Answers that could not be read.
    pub receive_errors: u64,
    /// Requests that were sent again.
    pub retries: u64,
    /// Requests that were never answered.
    pub timeouts: u64,
    pub disconnects: i64,
    /// Requests on their way.
    pub in_flight: i64,
    /// Microseconds between a request and its answer: mean, and the slowest of a hundred.
    pub round_trip_mean_us: i64,
    pub round_trip_p99_us: i64,
    /// Milliseconds for which the broker slowed this client down, the slowest of a hundred.
    pub throttled_p99_ms: i64,
}

/// How far the reading and writing of one partition is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionStatistics {
    /// The name of the topic at the broker.
    pub topic: String,
    pub partition: i32,
    /// Records fetched by the client and not taken from it.
    pub fetched_records: i64,
    pub fetched_bytes: u64,
    /// Records queued for sending.
    pub queued_records: i64,
    /// Records between what was taken and the end; `None` when it is not read.
    pub behind: Option<i64>,
}

impl ClientStatistics {
    pub(super) fn of(role: &str, from: &Statistics) -> Self {
        let brokers = from.brokers.values().filter(|broker| broker.nodeid >= 0);
        let brokers = brokers.map(|broker| BrokerStatistics {
            node: broker.nodeid,
            up: broker.state == "UP",
            send_errors: broker.txerrs,
            receive_errors: broker.rxerrs,
            retries: broker.txretries,
            timeouts: broker.req_timeouts,
            disconnects: broker.disconnects.unwrap_or_default(),
            in_flight: broker.waitresp_cnt,
            round_trip_mean_us: broker.rtt.as_ref().map_or(0, |window| window.avg),
            round_trip_p99_us: broker.rtt.as_ref().map_or(0, |window| window.p99),
            throttled_p99_ms: broker.throttle.as_ref().map_or(0, |window| window.p99),
        });
        let partitions = from.topics.values().flat_map(|topic| {
            // Partition -1 holds what has no partition yet, which never happens here.
            topic.partitions.values().filter(|p| p.partition >= 0).map(|p| PartitionStatistics {
                topic: topic.topic.clone(),
                partition: p.partition,
                fetched_records: p.fetchq_cnt,
                fetched_bytes: p.fetchq_size,
                queued_records: p.msgq_cnt + p.xmit_msgq_cnt,
                behind: (p.app_offset >= 0 && p.ls_offset >= 0).then(|| (p.ls_offset - p.app_offset).max(0)),
            })
        });
        Self {
            client: role.to_owned(),
            age_ms: from.age / 1000,
            queued_records: from.msg_cnt,
            queued_bytes: from.msg_size,
            sent_records: from.txmsgs,
            sent_bytes: from.txmsg_bytes,
            received_records: from.rxmsgs,
            received_bytes: from.rxmsg_bytes,
            rebalances: from.cgrp.as_ref().map_or(0, |group| group.rebalance_cnt),
            assigned: from.cgrp.as_ref().map_or(0, |group| i64::from(group.assignment_size)),
            group_state: from.cgrp.as_ref().map(|group| group.state.clone()).unwrap_or_default(),
            join_state: from.cgrp.as_ref().map(|group| group.join_state.clone()).unwrap_or_default(),
            brokers: brokers.collect(),
            partitions: partitions.collect(),
        }
    }
}

/// The newest figures of all clients.
#[derive(Debug, Default)]
pub(super) struct Collected(Mutex<BTreeMap<String, ClientStatistics>>);

impl Collected {
    pub(super) fn set(&self, role: &str, statistics: ClientStatistics) {
        lock(&self.0).insert(role.to_owned(), statistics);
    }

    pub(super) fn of(&self, role: &str) -> Option<ClientStatistics> {
        lock(&self.0).get(role).cloned()
    }

    pub(super) fn remove(&self, role: &str) {
        lock(&self.0).remove(role);
    }

    pub(super) fn all(&self) -> Vec<ClientStatistics> {
        lock(&self.0).values().cloned().collect()
    }
}
