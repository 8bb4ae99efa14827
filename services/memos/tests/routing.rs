//! One gateway and several instances of recall, each behind its own server and with its own store: who is asked, what
//! is answered while some of them are gone, slow or restoring, and that nothing is called missing which is only away.
//!
//! The services are the real ones; the log is in memory, and all of them run in this process.

#[path = "routing/failures.rs"]
mod failures;
#[path = "routing/kit.rs"]
mod kit;
#[path = "routing/lookups.rs"]
mod lookups;
#[path = "routing/positions.rs"]
mod positions;
