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
    #[error("recall cannot serve partition {partition}: the log has {partitions} partitions, counted from 0")]
    NoSuchPartition { partition: Partition, partitions: u32 },
    #[error("recall has no partition to serve: there are more instances than partitions and replicas need")]
    NothingToServe,
    #[error("the table of word vectors in this binary is damaged: install it again")]
    Embedding(#[source] &'static embedding::Error),
    #[error("start a thread of recall")]
    Thread(#[source] std::io::Error),
}
