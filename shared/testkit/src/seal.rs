//! Records of our topics as the services write them: each sealed with the key of its owner and its time.

use event_log::envelope::{self, After};
use event_log::{Record, now};
use keyring::{KeyId, Keyring};
use memory_core::{Consolidation, Handle, Recorded, Seq, Step, Timestamp};
use uuid::Uuid;

use crate::secret;

/// The key of a subject that seals from this sequence number on.
///
/// # Panics
/// When it is forgotten: then the test writes what no service would.
#[must_use]
pub fn key(ring: &Keyring, subject: Handle, since: Seq) -> KeyId {
    let keys = ring.of_subjects(&[(subject, since)], now()).expect("the ring takes a key");
    keys[0].expect("what is sealed is not forgotten")
}

/// Makes that key, for whoever seals with it later.
///
/// # Panics
/// When the ring takes no key.
pub fn make_key(ring: &Keyring, subject: Handle, since: Seq) {
    ring.of_subjects(&[(subject, since)], now()).expect("the ring takes a key");
}

/// A record for `interactions`.
///
/// # Panics
/// When the ring has no keys.
#[must_use]
pub fn interaction(ring: &Keyring, subject: Handle, recorded: &Recorded) -> Record {
    let Recorded { tenant, arrived, event, .. } = recorded;
    let tag = tenant.tag(&secret());
    // By the clock of the test, which has long passed the days that histories tell of.
    let key = ring.epoch(tag, now()).expect("the ring takes a key");
    envelope::interaction(ring, key, tag, subject, tenant, *arrived, &**event).expect("its key is alive")
}

/// A record for `consolidations`.
///
/// # Panics
/// When its key is dead.
#[must_use]
pub fn window(ring: &Keyring, window: &Consolidation) -> Record {
    let key = key(ring, window.subject, window.key_since);
    envelope::consolidation(ring, Some(key), window, now()).expect("its key is alive")
}

/// A record for `memories` of a step that is sealed with the key of this sequence number.
///
/// # Panics
/// When its key is dead.
#[must_use]
pub fn step(ring: &Keyring, since: Seq, step: &Step, writer: Uuid, after: Option<After>) -> Record {
    let key = (!step.is_bare()).then(|| key(ring, step.subject, since));
    envelope::step_after(ring, key, step, writer, after, Timestamp::EPOCH).expect("its key is alive")
}
