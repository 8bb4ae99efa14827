//! Waiting until a position is recallable, where several instances hold each of its partitions.
//!
//! A position over several partitions is split, and each instance is asked about those that it holds. Waiting is done in
//! slices: an instance that has not reached its part says so after each, and one that says nothing is known to be gone
//! long before the client's time is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use memory_core::Partition;
use memos_client::{Position, Reach, RecallApi, RemoteRecall, Unavailable};
use tokio::task::JoinSet;

use super::{Inner, Routed, part, reason};

/// How long an instance is asked to wait at a time.
const SLICE: Duration = Duration::from_millis(500);

/// What one instance is asked to reach.
struct Part {
    ordinal: u32,
    position: Position,
}

impl Routed {
    pub(super) async fn wait_for(
        &self,
        position: &Position,
        reach: Reach,
        timeout: Duration,
    ) -> Result<(), Unavailable> {
        let inner = &self.0;
        inner.check(position)?;
        let deadline = Instant::now() + timeout;
        let mut open: BTreeSet<Partition> = position.next.keys().copied().collect();
        let mut failures: Vec<Unavailable> = Vec::new();
        let mut waiting = JoinSet::new();
        for Part { ordinal, position } in inner.parts(position, reach) {
            let api = inner.instance(ordinal).api().clone();
            waiting.spawn(async move {
                let answer = reach_part(&api, &position, deadline).await;
                (ordinal, position, answer)
            });
        }
        while let Some(joined) = waiting.join_next().await {
            let Ok((ordinal, position, answer)) = joined else { continue };
            inner.note(ordinal, &answer);
            match answer {
                Ok(()) => open.retain(|partition| !position.next.contains_key(partition)),
                Err(error) if error.invalid => return Err(error),
                // It answers questions, and would answer them without the events.
                Err(error) if reach == Reach::Every && error.code == "timeout" => return Err(error),
                Err(error) => failures.push(error),
            }
            if reach == Reach::One && open.is_empty() {
                return Ok(());
            }
        }
        match open.into_iter().next() {
            None => Ok(()),
            Some(partition) => Err(reason(partition, failures)),
        }
    }
}

impl Inner {
    /// Whether a position is one of this log.
    pub(super) fn check(&self, position: &Position) -> Result<(), Unavailable> {
        if position.log != self.log {
            let message = "the position is one of another log; publish again or leave it out";
            return Err(Unavailable::invalid("wrong_log", message));
        }
        if position.next.keys().any(|partition| partition.get() >= self.partitions) {
            let message = "the position names a partition that this log does not have";
            return Err(Unavailable::invalid("wrong_log", message));
        }
        Ok(())
    }

    /// Who is asked to reach what. Where one instance of each partition is enough, each is asked about one partition, so
    /// that none holds up another; where all have to, each is asked once. Those that have just failed to answer are
    /// left out where others hold the same.
    fn parts(&self, position: &Position, reach: Reach) -> Vec<Part> {
        let mut held: BTreeMap<u32, Vec<Partition>> = BTreeMap::new();
        for partition in position.next.keys() {
            let all: Vec<u32> = self.topology.instances_of(*partition).collect();
            let well: Vec<u32> = all.iter().copied().filter(|ordinal| !self.instance(*ordinal).is_skipped()).collect();
            for ordinal in if well.is_empty() { all } else { well } {
                held.entry(ordinal).or_default().push(*partition);
            }
        }
        let mut parts = Vec::new();
        for (ordinal, partitions) in held {
            let asked = match reach {
                Reach::Every => vec![partitions],
                Reach::One => partitions.into_iter().map(|partition| vec![partition]).collect(),
            };
            let positions = asked.into_iter().filter_map(|partitions| part(position, partitions));
            parts.extend(positions.map(|position| Part { ordinal, position }));
        }
        parts
    }
}

/// Asks one instance, slice by slice, until it has reached its part or the time is over.
async fn reach_part(api: &RemoteRecall, position: &Position, deadline: Instant) -> Result<(), Unavailable> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match api.reached(position, Reach::One, left.min(SLICE)).await {
            Err(error) if error.code == "timeout" && Instant::now() < deadline => {}
            answer => return answer,
        }
    }
}
