//! What the tests of several crates need: people who are fed events, lively histories from a seed, and waiting for a
//! condition.
//!
//! Nothing here fakes a part of memos. [`Person`] runs the real fold and the real decision without a log or a store
//! around them, which makes it the oracle that logs and stores are compared with.

pub mod events;
pub mod kafka;
pub mod seal;

mod brittle;
mod hands;
mod history;
mod log;
mod person;
mod random;
mod wait;

pub use brittle::BrittleLog;
pub use hands::{Hand, Scripted, StoppableLog};
pub use history::{lively_history, without_forgets};
pub use person::{Folded, Person, fold};
pub use random::Random;
pub use wait::wait_until;

use keyring::Keyring;
use memory_core::HashSecret;

/// The hash secret of every test: handles are the same in all of them.
#[must_use]
pub const fn secret() -> HashSecret {
    HashSecret::new([7; 32])
}

/// Keys that live as long as the test, and nobody else has.
///
/// # Panics
/// When the operating system has no randomness.
#[must_use]
pub fn ring() -> Keyring {
    Keyring::in_memory().expect("the operating system has randomness")
}
