//! What a store promises, one file per subject: every test is a behaviour, on a real RocksDB in a temporary directory
//! and a log in memory.

#[path = "store/anchors.rs"]
mod anchors;
#[path = "store/duel.rs"]
mod duel;
#[path = "store/fold.rs"]
mod fold;
#[path = "store/forgetting.rs"]
mod forgetting;
#[path = "store/indexes.rs"]
mod indexes;
#[path = "store/kit.rs"]
mod kit;
#[path = "store/opening.rs"]
mod opening;
#[path = "store/positions.rs"]
mod positions;
#[path = "store/rivals.rs"]
mod rivals;
#[path = "store/snapshots.rs"]
mod snapshots;
#[path = "store/tenancy.rs"]
mod tenancy;
#[path = "store/working.rs"]
mod working;
