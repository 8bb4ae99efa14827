//! Whether everything that was acknowledged is there: recallable in time, decided upon, and in no memory twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context;
use memos_client::client::{MemoriesQuery, Owner};
use memos_client::{Client, ClientError, EventStatus, Position, RecallRequest};
use tokio::task::JoinSet;

use crate::interactions::Dice;

/// Look-ups in flight.
const LOOKUPS: usize = 32;
/// The pause between two rounds of looking.
const PAUSE: Duration = Duration::from_millis(200);
/// How many ids of a kind are kept to be shown.
const SHOWN: usize = 5;

/// What was found after the load.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) acknowledged: usize,
    /// How long after the last answer everything was recallable; `None` when not in time.
    pub(crate) recallable_after: Option<Duration>,
    pub(crate) fates: Fates,
    pub(crate) searched_users: usize,
    /// Events that more than one memory names, or one memory twice.
    pub(crate) doubled: Vec<String>,
}

/// What became of the events that were looked up.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fates {
    pub(crate) looked_up: usize,
    pub(crate) kept: usize,
    pub(crate) merged: usize,
    pub(crate) not_kept: usize,
    /// Acknowledged and not there. The first few by id.
    pub(crate) lost: usize,
    pub(crate) lost_ids: Vec<String>,
    /// There, but not decided upon in time.
    pub(crate) undecided: usize,
}

/// `count` of these: one from each of as many equal stretches, at a place that the seed decides. A fixed stride would
/// fall into step with the requests and look at the same few places of each.
pub(crate) fn spread(all: &[u64], count: usize, seed: u64) -> impl Iterator<Item = u64> {
    let count = count.min(all.len());
    (0..count).map(move |index| {
        let (from, to) = (index * all.len() / count, (index + 1) * all.len() / count);
        let place = Dice::new(seed, index as u64).below((to - from) as u64);
        all[from + usize::try_from(place).expect("a place in a list")]
    })
}

/// Waits until recall has folded everything up to the position, and answers how long that took.
pub(crate) async fn recallable(
    client: &Client,
    user: &str,
    position: &Position,
    within: Duration,
) -> anyhow::Result<Option<Duration>> {
    let begin = Instant::now();
    let request = RecallRequest {
        user_id: Some(user.to_owned()),
        query: "Is everything there?".to_owned(),
        limit: 1,
        at_least: Some(position.clone()),
        ..RecallRequest::default()
    };
    loop {
        match client.recall(&request).await {
            Ok(_) => return Ok(Some(begin.elapsed()).filter(|took| *took <= within)),
            Err(ClientError::Refused { status: 429 | 503 | 504, .. }) if begin.elapsed() < within => {}
            Err(ClientError::Refused { status: 429 | 503 | 504, .. }) => return Ok(None),
            Err(error) => return Err(error).context("wait until everything is recallable"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Looks every id up until all are decided upon or the time is over.
pub(crate) async fn fates(client: &Client, ids: Vec<String>, within: Duration) -> anyhow::Result<Fates> {
    let begin = Instant::now();
    let mut fates = Fates { looked_up: ids.len(), ..Fates::default() };
    let mut open = ids;
    loop {
        let mut missing = Vec::new();
        let mut waiting = Vec::new();
        for (id, status) in look_up(client, open).await? {
            match status {
                Some(EventStatus::Kept) => fates.kept += 1,
                Some(EventStatus::Merged) => fates.merged += 1,
                Some(EventStatus::NotKept) => fates.not_kept += 1,
                Some(EventStatus::Accepted | EventStatus::Recallable) => waiting.push(id),
                // What was acknowledged was judged, and nobody asked to forget it.
                Some(EventStatus::DeadLettered | EventStatus::Forgotten) | None => missing.push(id),
            }
        }
        let over = begin.elapsed() >= within;
        if over || (missing.is_empty() && waiting.is_empty()) {
            fates.undecided = waiting.len();
            fates.lost = missing.len();
            missing.truncate(SHOWN);
            fates.lost_ids = missing;
            return Ok(fates);
        }
        open = waiting;
        open.append(&mut missing);
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look_up(client: &Client, ids: Vec<String>) -> anyhow::Result<Vec<(String, Option<EventStatus>)>> {
    let mut found = Vec::with_capacity(ids.len());
    let mut open = JoinSet::new();
    for id in ids {
        if open.len() == LOOKUPS {
            found.extend(finished(&mut open).await?);
        }
        let client = client.clone();
        open.spawn(async move {
            match client.event(&id).await {
                Ok(event) => Ok((id, Some(event.status))),
                Err(ClientError::Refused { status: 404, .. }) => Ok((id, None)),
                Err(error) => Err(error).context("look an event up"),
            }
        });
    }
    while !open.is_empty() {
        found.extend(finished(&mut open).await?);
    }
    Ok(found)
}

type Lookup = anyhow::Result<(String, Option<EventStatus>)>;

async fn finished(open: &mut JoinSet<Lookup>) -> anyhow::Result<Option<(String, Option<EventStatus>)>> {
    open.join_next().await.map(|joined| joined.context("look an event up")?).transpose()
}

/// The events that the memories of these users name twice, and how many users were searched.
pub(crate) async fn doubles(
    client: &Client,
    users: impl Iterator<Item = String>,
) -> anyhow::Result<(usize, Vec<String>)> {
    let (mut searched, mut doubled) = (0, Vec::new());
    for user in users {
        searched += 1;
        let mut named: BTreeSet<String> = BTreeSet::new();
        let mut query = MemoriesQuery { limit: Some(200), include_inactive: true, ..MemoriesQuery::default() };
        loop {
            let page = client.memories(Owner::User(&user), &query).await.context("list the memories of a user")?;
            // A statement shares the sources of the turn that it was read out of.
            let said = page.results.into_iter().filter(|memory| memory.kind.as_str() == "episode");
            let sources = said.flat_map(|memory| memory.sources);
            doubled.extend(sources.map(|source| source.event_id).filter(|id| !named.insert(id.clone())));
            if page.next.is_none() {
                break;
            }
            query.cursor = page.next;
        }
    }
    Ok((searched, doubled))
}

/// How many memories each of these users has.
pub(crate) async fn bank_sizes(
    client: &Client,
    users: impl Iterator<Item = String>,
) -> anyhow::Result<BTreeMap<String, usize>> {
    let mut sizes = BTreeMap::new();
    for user in users {
        let mut query = MemoriesQuery { limit: Some(200), ..MemoriesQuery::default() };
        let mut size = 0;
        loop {
            let page = client.memories(Owner::User(&user), &query).await.context("list the memories of a user")?;
            size += page.results.iter().filter(|memory| memory.part_of.is_none()).count();
            if page.next.is_none() {
                break;
            }
            query.cursor = page.next;
        }
        sizes.insert(user, size);
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all() {
        let all: Vec<u64> = (0..100).collect();
        let few: Vec<u64> = spread(&all, 4, 1).collect();
        assert!(few.iter().enumerate().all(|(index, one)| *one as usize / 25 == index), "{few:?}");
        assert_eq!(spread(&all, 1000, 1).collect::<Vec<_>>(), all);
        assert_eq!(spread(&[], 4, 1).count(), 0);
        let many: Vec<u64> = (0..10_000).collect();
        let places: BTreeSet<u64> = spread(&many, 500, 1).map(|one| one % 10).collect();
        assert_eq!(places.len(), 10, "every place in a request is looked at");
    }
}
