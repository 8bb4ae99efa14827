//! The spine as a stranger meets it: the real binary, its own process, its own data directory, over HTTP.
//!
//! Everything here starts `memos up`, or the services one by one over Kafka, does to it what an operator, a crash or a hostile producer would, and then
//! asks whether the laws of the design still hold. The modules share one harness; each names the laws it proves.

#[path = "spine/backup.rs"]
mod backup;
#[path = "spine/cluster.rs"]
mod cluster;
#[path = "spine/crash.rs"]
mod crash;
#[path = "spine/forget.rs"]
mod forget;
#[path = "spine/fsync.rs"]
mod fsync;
#[path = "spine/harness.rs"]
mod harness;
#[path = "spine/hash.rs"]
mod hash;
#[path = "spine/hostile.rs"]
mod hostile;
#[path = "spine/operations.rs"]
mod operations;
#[path = "spine/quality.rs"]
mod quality;
#[path = "spine/silence.rs"]
mod silence;
