//! Why the consolidator stopped. Each of these ends the process; a restart recovers or says the same again.

use event_log::{Offset, Partition};
use memory_core::{Handle, Invariant, Seq};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read or write the log")]
    Log(#[from] event_log::Error),
    #[error("decode a consolidation")]
    Envelope(#[from] event_log::envelope::Error),
    #[error("seal a step, or destroy keys")]
    Keys(#[from] keyring::Error),
    #[error("keep the store")]
    Store(#[from] memory_store::Error),
    #[error(
        "{invariant}: subject {subject} is consolidated up to {expected}, but the window at offset {offset} of partition {partition} is [{from}, {to})"
    )]
    Gap {
        invariant: Invariant,
        subject: Handle,
        partition: Partition,
        offset: Offset,
        expected: Seq,
        from: Seq,
        to: Seq,
    },
    #[error("the fold of this memos is version {known}, a window asks for version {found}: upgrade memos")]
    FoldVersion { known: u32, found: u32 },
}
