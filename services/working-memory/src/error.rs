//! Why working memory stopped. Each of these ends the process; a restart recovers or says the same again.

use event_log::{Offset, Partition};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("read or write the log")]
    Log(#[from] event_log::Error),
    #[error("decode a record")]
    Envelope(#[from] event_log::envelope::Error),
    #[error("seal what is written")]
    Keys(#[from] keyring::Error),
    #[error("keep the table of working memory")]
    Store(#[from] memory_store::Error),
    #[error(
        "interactions partition {partition} begins at offset {low}, but open windows begin at {position}: what lies between was removed unread; restore the log, or accept the loss by importing an export into a new data directory"
    )]
    Lost { partition: Partition, position: Offset, low: Offset },
    #[error("start the thread that waits for news")]
    Thread(#[source] std::io::Error),
}
