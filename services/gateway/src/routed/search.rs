//! Looking for something of which only the id is known: in every partition, at as few instances as hold them all.
//!
//! Whoever finds it ends the search. "Missing" is the answer of all partitions together; as long as one of them has not
//! answered, nobody knows.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use memory_core::Partition;
use memos_client::{RemoteRecall, Unavailable};
use tokio::task::JoinSet;

use super::{Inner, Routed, reason};

/// Which instance is asked about which partitions.
type Plan = BTreeMap<u32, Vec<Partition>>;

impl Routed {
    pub(super) async fn search<T, F, A>(&self, question: F) -> Result<Option<T>, Unavailable>
    where
        T: Send + 'static,
        F: Fn(RemoteRecall, Vec<Partition>) -> A,
        A: Future<Output = Result<Option<T>, Unavailable>> + Send + 'static,
    {
        let inner = &self.0;
        let mut open: BTreeSet<Partition> = Partition::all(inner.partitions).collect();
        let mut asked: BTreeSet<u32> = BTreeSet::new();
        let mut failures: Vec<Unavailable> = Vec::new();
        while !open.is_empty() {
            let plan = match inner.cover(&open, &asked) {
                Ok(plan) => plan,
                Err(uncovered) => return Err(reason(uncovered, failures)),
            };
            if !asked.is_empty() {
                inner.metrics.retries.inc_by(u64::try_from(plan.len()).unwrap_or(u64::MAX));
            }
            asked.extend(plan.keys());
            let mut answers = JoinSet::new();
            for (ordinal, within) in plan {
                let answer = question(inner.instance(ordinal).api().clone(), within.clone());
                answers.spawn(async move { (ordinal, within, answer.await) });
            }
            // What is still under way when something was found is dropped with the set.
            while let Some(joined) = answers.join_next().await {
                let Ok((ordinal, within, answer)) = joined else { continue };
                inner.note(ordinal, &answer);
                match answer {
                    Ok(Some(found)) => return Ok(Some(found)),
                    Ok(None) => open.retain(|partition| !within.contains(partition)),
                    Err(error) if error.invalid => return Err(error),
                    Err(error) => failures.push(error),
                }
            }
        }
        Ok(None)
    }
}

impl Inner {
    /// Spreads partitions over instances that were not asked yet; the first partition that nobody is left for, where
    /// there is one.
    fn cover(&self, open: &BTreeSet<Partition>, asked: &BTreeSet<u32>) -> Result<Plan, Partition> {
        let left = (0..self.topology.instances()).filter(|ordinal| !asked.contains(ordinal)).collect();
        let mut uncovered = open.clone();
        let mut plan = Plan::new();
        for ordinal in self.in_turn(left) {
            let (held, rest) = uncovered.into_iter().partition(|partition| self.topology.holds(ordinal, *partition));
            let held: BTreeSet<Partition> = held;
            uncovered = rest;
            if !held.is_empty() {
                plan.insert(ordinal, held.into_iter().collect());
            }
        }
        match uncovered.into_iter().next() {
            None => Ok(plan),
            Some(partition) => Err(partition),
        }
    }
}
