//! Who owns which partitions, by membership in a group.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use event_log::kafka::{KafkaLog, KafkaSettings, Membership, MembershipSettings};
use event_log::ownership::{Change, Ownership};
use event_log::{Error, EventLog, Offset, Partition, Topic};
use testkit::wait_until;

use crate::kit::{BROKER, new_log, open, record, settings};

const PATIENT: Duration = Duration::from_secs(60);
const TOPIC: Topic = Topic::Interactions;

fn four() -> (KafkaSettings, KafkaLog) {
    let settings = KafkaSettings { partitions: 4, ..settings(BROKER.bootstrap()) };
    let log = new_log(&settings);
    (settings, log)
}

fn join(log: &KafkaLog, instance: Option<&str>) -> Membership {
    let mut settings = MembershipSettings::new("writers", instance.map(str::to_owned));
    settings.session_timeout = Duration::from_secs(3);
    settings.drain_timeout = Duration::from_secs(20);
    Membership::join(log, &settings, &TOPIC).expect("it joins")
}

/// A member that drains at once, and what it owns.
struct Owner {
    member: Membership,
    owned: BTreeSet<u32>,
    lost: usize,
}

impl Owner {
    fn join(log: &KafkaLog, instance: Option<&str>) -> Self {
        Self { member: join(log, instance), owned: BTreeSet::new(), lost: 0 }
    }

    fn look(&mut self) {
        while let Some(change) = self.member.next(Duration::ZERO).expect("it stays a member") {
            match change {
                Change::Assigned(partitions) => self.owned.extend(partitions.iter().map(|p| p.get())),
                Change::Revoked(revoked) => {
                    self.lost += usize::from(revoked.lost);
                    for partition in &revoked.partitions {
                        assert!(self.owned.remove(&partition.get()), "what was not assigned cannot be revoked");
                    }
                }
            }
        }
    }
}

#[test]
fn two_members_share_and_the_one_that_stays_takes_all() {
    let (settings, log) = four();
    let mut first = Owner::join(&log, None);
    wait_until(PATIENT, "a member alone owns everything", || {
        first.look();
        first.owned.len() == 4
    });
    let other_log = open(&settings);
    let mut second = Owner::join(&other_log, None);
    wait_until(PATIENT, "each of two owns a half", || {
        first.look();
        second.look();
        first.owned.len() == 2 && second.owned.len() == 2
    });
    assert!(first.owned.is_disjoint(&second.owned));
    let range: Vec<u32> = second.owned.iter().copied().collect();
    assert_eq!(range[1], range[0] + 1, "the strategy is range");
    assert_eq!((first.lost, second.lost), (0, 0));
    drop(second);
    wait_until(PATIENT, "the one that stays owns everything", || {
        first.look();
        first.owned.len() == 4
    });
}

#[test]
fn a_static_member_keeps_its_partitions_through_a_short_absence_and_loses_them_after_a_long_one() {
    let (settings, log) = four();
    let other_log = open(&settings);
    let (mut first, mut second) = (Owner::join(&log, Some("a")), Owner::join(&other_log, Some("b")));
    let settled = |first: &mut Owner, second: &mut Owner| {
        wait_until(PATIENT, "each owns a half", || {
            first.look();
            second.look();
            first.owned.len() == 2 && second.owned.len() == 2
        });
    };
    settled(&mut first, &mut second);
    let before = first.owned.clone();
    drop(second);
    let mut second = Owner::join(&other_log, Some("b"));
    wait_until(PATIENT, "it has its half back", || {
        first.look();
        second.look();
        second.owned.len() == 2
    });
    assert_eq!(first.owned, before, "the other was not disturbed");
    let began = Instant::now();
    drop(second);
    wait_until(PATIENT, "the session of the absent member is over", || {
        first.look();
        first.owned.len() == 4
    });
    assert!(began.elapsed() > Duration::from_millis(2000), "it was waited for");
}

#[test]
fn nobody_else_owns_a_partition_before_its_owner_has_drained() {
    let (settings, log) = four();
    let mut first = Owner::join(&log, None);
    wait_until(PATIENT, "it owns everything", || {
        first.look();
        first.owned.len() == 4
    });
    let other_log = open(&settings);
    let mut second = Owner::join(&other_log, None);
    let revoked = match first.member.next(PATIENT).expect("it stays a member").expect("the second wants its half") {
        Change::Revoked(revoked) => revoked,
        Change::Assigned(partitions) => panic!("{partitions:?} were assigned before anything was revoked"),
    };
    assert_eq!((revoked.partitions.len(), revoked.lost), (4, false), "everybody gives up everything");
    // Longer than a session: heartbeats go on while the owner drains.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(5) {
        second.look();
        assert_eq!(second.owned.len(), 0, "it is not drained yet");
        std::thread::park_timeout(Duration::from_millis(20));
    }
    // What was drained is committed through the member, and seen before the next owner asks.
    log.append(&TOPIC, Partition::new(0), vec![record("k", "v"); 5]).expect("there is room").wait().expect("durable");
    log.commit("writers", &TOPIC, Partition::new(0), Offset::new(6)).expect("it is noted");
    drop(revoked);
    first.owned.clear();
    wait_until(PATIENT, "each owns a half", || {
        first.look();
        second.look();
        first.owned.len() == 2 && second.owned.len() == 2
    });
    assert_eq!((first.lost, second.lost), (0, 0));
    let seen = other_log.committed("writers", &TOPIC, Partition::new(0)).expect("the broker says");
    assert_eq!(seen, Some(Offset::new(6)));
}

/// What one topic has to note must not wait behind the other's question for new partitions, whichever goes first.
#[test]
fn who_divides_several_topics_gives_up_all_of_them_as_one_member() {
    let topics = [Topic::Interactions, Topic::Consolidations];
    let join = |log: &KafkaLog| {
        Membership::join_all(log, &MembershipSettings::new("writers", None), &topics).expect("it joins")
    };
    let next = |member: &mut Membership| member.next(PATIENT).expect("it stays a member").expect("a change");
    let assigned = |members: &mut [Membership], count: usize| {
        for member in members {
            let change = next(member);
            assert!(matches!(&change, Change::Assigned(partitions) if partitions.len() == count), "{change:?}");
        }
    };
    for order in [[0, 1], [1, 0]] {
        let (settings, log) = four();
        let mut first = join(&log);
        assigned(&mut first, 4);
        let other_log = open(&settings);
        let mut second = join(&other_log);
        let mut revoked: Vec<Option<Change>> = first.iter_mut().map(|member| Some(next(member))).collect();
        for place in order {
            let topic = &topics[place];
            let given_up = match revoked[place].take() {
                Some(Change::Revoked(revoked)) => revoked,
                other => panic!("{other:?} before anything was revoked"),
            };
            assert_eq!((given_up.partitions.len(), given_up.lost), (4, false));
            // For a while: were there another member in this process, it would have asked by then.
            let began = Instant::now();
            let mut position = Offset::FIRST;
            while began.elapsed() < Duration::from_millis(1500) {
                position = position.next();
                log.commit("writers", topic, Partition::new(0), position).expect("it is noted");
                let seen = log.committed("writers", topic, Partition::new(0)).expect("the broker says");
                assert_eq!(seen, Some(position));
            }
            assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
        }
        assigned(&mut first, 2);
        assigned(&mut second, 2);
    }
}

#[test]
fn an_owner_that_does_not_drain_is_expelled() {
    let (settings, log) = four();
    let mut wanted = MembershipSettings::new("writers", None);
    wanted.session_timeout = Duration::from_secs(3);
    wanted.drain_timeout = Duration::from_secs(1);
    let mut first = Membership::join(&log, &wanted, &TOPIC).expect("it joins");
    assert!(matches!(first.next(PATIENT), Ok(Some(Change::Assigned(_)))));
    let other_log = open(&settings);
    let mut second = Owner::join(&other_log, None);
    let revoked = first.next(PATIENT).expect("it is a member still").expect("the second wants its half");
    wait_until(PATIENT, "it is told to end", || {
        second.look();
        matches!(first.next(Duration::ZERO), Err(Error::Expelled { .. }))
    });
    drop(revoked);
    drop(first);
    wait_until(PATIENT, "the other owns everything", || {
        second.look();
        second.owned.len() == 4
    });
}

/// As after an outage, when the brokers answer an attempt to come back that was given up long ago.
#[test]
fn who_loses_its_name_once_joins_again() {
    let (settings, log) = four();
    let mut first = Owner::join(&log, Some("same"));
    wait_until(PATIENT, "it owns everything", || {
        first.look();
        first.owned.len() == 4
    });
    let other_log = open(&settings);
    let mut passing = Owner::join(&other_log, Some("same"));
    wait_until(PATIENT, "the other has the name, and all that goes with it", || {
        passing.look();
        passing.owned.len() == 4
    });
    drop(passing);
    wait_until(PATIENT, "the first has lost everything and has it again", || {
        first.look();
        first.lost > 0 && first.owned.len() == 4
    });
}

#[test]
fn a_twin_with_the_same_name_expels_the_first() {
    let (settings, log) = four();
    let mut first = Owner::join(&log, Some("same"));
    wait_until(PATIENT, "it owns everything", || {
        first.look();
        first.owned.len() == 4
    });
    let other_log = open(&settings);
    let mut twin = Owner::join(&other_log, Some("same"));
    let mut expelled = None;
    wait_until(PATIENT, "the first is told", || {
        twin.look();
        loop {
            match first.member.next(Duration::ZERO) {
                Ok(Some(_)) => {}
                Ok(None) => return false,
                Err(error) => {
                    expelled = Some(error);
                    return true;
                }
            }
        }
    });
    assert!(matches!(expelled, Some(Error::Expelled { .. })), "{expelled:?}");
    drop(first);
    wait_until(PATIENT, "the twin owns everything", || {
        twin.look();
        twin.owned.len() == 4
    });
}
