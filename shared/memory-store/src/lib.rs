//! Long-term memory in RocksDB.
//!
//! A store is a fold of the `memories` topic and nothing else: every batch it writes holds the rows that some steps
//! changed *and* the positions up to which they were read, so a store always knows where to go on (law L02), and it may
//! be deleted and built again. [`Replica`] is that fold at work; the consolidator, a recall replica and `memos verify`
//! run the same one.
//!
//! Writes are not fsynced: a power cut takes whole batches from the end, positions with them, and the log is read again
//! from there. What the log has not made durable is never applied, so a store is never ahead of it.

mod apply;
mod chain;
mod codec;
mod error;
mod judge;
mod keys;
mod read;
mod receipts;
mod replica;
mod store;
mod working;

pub use apply::{Record, Verdict};
pub use chain::{Chain, Link, Place};
pub use error::{Error, ErrorKind};
pub use read::{Loser, StepNumbers};
pub use receipts::ReceiptRow;
pub use replica::{Listener, Replica};
pub use store::{Settings, Store};
pub use working::Overwritten;
