//! Where this gateway stands in the partitions of inlets that it owns.
//!
//! A position is kept by the log for the group of all gateways, and it is a hint: what is read again makes the same
//! events and letters, and their ids decide. It is noted only for what is durable elsewhere. A gateway that was away,
//! for instance stopped by its operator, may have lost its partitions without knowing it yet; it never takes a
//! position back.

use std::time::{Duration, Instant};

use event_log::ownership::{Change, Revoked};
use event_log::{Error, EventLog, InletName, Offset, Topic};
use memory_core::Partition;

use super::InletOwnership;

/// The consumer group of all gateways, for which the log keeps the positions.
pub const GROUP: &str = "gateway";
/// After how long without a look at the owners somebody else may own what this gateway takes for its own. Shorter
/// than the session of a group's member.
const AWAY: Duration = Duration::from_secs(5);
/// How often a position is noted that has not changed. A broker forgets those of which it hears nothing for days.
const CONFIRM: Duration = Duration::from_secs(60 * 60);

/// One partition of an inlet.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) inlet: InletName,
    pub(crate) topic: Topic,
    pub(crate) partition: Partition,
    /// Everything below was judged, and what came of it is durable. `None` until the log has said.
    pub(crate) next: Option<Offset>,
    committed: Option<Offset>,
    confirmed: Option<Offset>,
    noted: Instant,
}

/// All that this gateway owns.
#[derive(Debug)]
pub(crate) struct Places {
    pub(crate) owned: Vec<Place>,
    ownership: InletOwnership,
    /// When the owners were asked last.
    asked: Instant,
    /// How often what is owned has changed.
    changes: u64,
}

impl Places {
    pub(crate) fn new(ownership: InletOwnership) -> Self {
        Self { owned: Vec::new(), ownership, asked: Instant::now(), changes: 0 }
    }

    /// Takes what was assigned and gives up what was revoked; between two rounds, when nothing is in flight. Then finds
    /// the positions that are not known yet.
    pub(crate) fn follow(&mut self, log: &dyn EventLog) -> Result<(), Error> {
        let mut ownership = std::mem::take(&mut self.ownership);
        let followed = ownership.iter_mut().try_for_each(|(inlet, owner)| {
            while let Some(change) = owner.next(Duration::ZERO)? {
                self.changes += 1;
                match change {
                    Change::Assigned(partitions) => self.assign(inlet, &partitions),
                    Change::Revoked(revoked) => self.give_up(log, inlet, &revoked),
                }
            }
            Ok(())
        });
        self.ownership = ownership;
        self.asked = Instant::now();
        followed?;
        self.owned.iter_mut().filter(|place| place.next.is_none()).try_for_each(|place| place.find(log))
    }

    /// Whether these are still the places they were when the owners were asked last. If that is long ago, it asks.
    pub(crate) fn are_ours(&mut self, log: &dyn EventLog) -> Result<bool, Error> {
        let before = self.changes;
        if self.was_away() {
            self.follow(log)?;
        }
        Ok(self.changes == before)
    }

    /// Whether so much time has passed that another gateway may own these places.
    fn was_away(&self) -> bool {
        self.asked.elapsed() > AWAY
    }

    /// Notes in the log how far this gateway is. To confirm it is to wait until the log answers that it is noted; true if
    /// all of it is.
    pub(crate) fn commit(&mut self, log: &dyn EventLog, confirm: bool) -> Result<bool, Error> {
        let careful = self.was_away();
        if careful {
            self.follow(log)?;
        }
        self.owned.iter_mut().try_for_each(|place| place.commit(log, careful))?;
        if !confirm {
            return Ok(false);
        }
        let mut all = true;
        for place in &mut self.owned {
            all &= place.confirm(log)?;
        }
        Ok(all)
    }

    fn assign(&mut self, inlet: &InletName, partitions: &[Partition]) {
        for &partition in partitions {
            if self.owned.iter().any(|place| place.is(inlet, partition)) {
                continue;
            }
            let (inlet, topic) = (inlet.clone(), Topic::Inlet(inlet.clone()));
            let (next, committed, confirmed, noted) = (None, None, None, Instant::now());
            self.owned.push(Place { inlet, topic, partition, next, committed, confirmed, noted });
        }
        tracing::info!(%inlet, partitions = partitions.len(), "inlet partitions assigned");
    }

    /// The next owner continues at the position, so it is noted before the revocation is answered, which is when
    /// `revoked` is dropped. What is lost is somebody else's already, and so is its position.
    fn give_up(&mut self, log: &dyn EventLog, inlet: &InletName, revoked: &Revoked) {
        let (given_up, kept) =
            self.owned.drain(..).partition(|place| revoked.partitions.iter().any(|&lost| place.is(inlet, lost)));
        self.owned = kept;
        let given_up: Vec<Place> = given_up;
        for mut place in given_up {
            if !revoked.lost
                && let Err(error) = place.commit(log, true).and_then(|()| place.confirm(log).map(drop))
            {
                tracing::warn!(%inlet, partition = %place.partition, %error, "failed to note a position before it was given up");
            }
        }
        tracing::info!(%inlet, partitions = revoked.partitions.len(), lost = revoked.lost, "inlet partitions revoked");
    }
}

impl Place {
    fn is(&self, inlet: &InletName, partition: Partition) -> bool {
        self.partition == partition && self.inlet == *inlet
    }

    /// Continues at the noted position. A partition that was never read begins at its first record, and is noted
    /// there, so that retention knows of its reader.
    fn find(&mut self, log: &dyn EventLog) -> Result<(), Error> {
        let next = match log.committed(GROUP, &self.topic, self.partition)? {
            Some(committed) => committed,
            None => {
                let low = log.watermarks(&self.topic, self.partition)?.low;
                log.commit(GROUP, &self.topic, self.partition, low)?;
                low
            }
        };
        (self.next, self.committed, self.confirmed, self.noted) = (Some(next), Some(next), Some(next), Instant::now());
        Ok(())
    }

    fn commit(&mut self, log: &dyn EventLog, careful: bool) -> Result<(), Error> {
        let Some(next) = self.next.filter(|_| self.next != self.committed || self.noted.elapsed() > CONFIRM) else {
            return Ok(());
        };
        if careful && log.committed(GROUP, &self.topic, self.partition)? > Some(next) {
            return Ok(());
        }
        log.commit(GROUP, &self.topic, self.partition, next)?;
        (self.committed, self.noted) = (Some(next), Instant::now());
        Ok(())
    }

    /// Whether the log has what was noted. A log that collects commits writes them before it says what is committed, and
    /// one whose brokers refuse some, as they do while a group is divided anew, drops them. What is not there counts as
    /// never noted, so the next commit tries again. That somebody else is further is as good.
    fn confirm(&mut self, log: &dyn EventLog) -> Result<bool, Error> {
        if self.confirmed == self.committed {
            return Ok(true);
        }
        let found = log.committed(GROUP, &self.topic, self.partition)?;
        let noted = found >= self.committed;
        if !noted {
            tracing::warn!(topic = %self.topic, partition = %self.partition, "a position was not noted, trying again");
            self.committed = found;
        }
        self.confirmed = self.committed;
        Ok(noted)
    }
}
