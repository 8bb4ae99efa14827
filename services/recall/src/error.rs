//! Why recall stopped. Each of these ends the process; a restart recovers or says the same again.

use event_log::{Offset, Partition};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read the log")]
    Log(#[from] event_log::Error),
    #[error("decode a record")]
    Envelope(#[from] event_log::envelope::Error),
    #[error("read the store")]
    Store(#[from] memory_store::Error),
    #[error(
        "interactions partition {partition} begins at offset {low}, but open windows begin at {position}: what lies between was removed unread"
    )]
    Lost { partition: Partition, position: Offset, low: Offset },
}
