//! How a local log is set up. There is no setting that leaves the fsync out: an append that resolved is durable.

use std::fmt;
use std::time::Duration;

use crate::{Error, InletName, RetentionByTopic};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How a [`LocalLog`](crate::LocalLog) is set up.
#[derive(Clone, Debug)]
pub struct LocalLogSettings {
    /// Partitions of every topic; fixed when the log is made. Default: 4.
    pub partitions: u32,
    /// The inlets there are, beside those that already have a directory. Default: none.
    pub inlets: Vec<InletName>,
    /// A segment that has reached this many bytes is closed. Retention removes and compaction rewrites closed segments
    /// only, and a restart checks one open segment per partition. Default: 64 MiB.
    pub segment_bytes: u64,
    /// A segment whose first record is older than this is closed by the next maintenance, so that a quiet partition is
    /// trimmed and compacted, too. Default: 1 day.
    pub segment_age: Duration,
    /// How many bytes may wait to become durable before appends are refused. Also the most one append may hold.
    /// Default: 64 MiB.
    pub queue_bytes: usize,
    /// Bytes of the newest records of each partition that are served from memory. Default: 256 KiB.
    pub tail_bytes: usize,
    /// File handles kept open for readers, at least 1. Default: 256.
    pub open_files: usize,
    /// How long records are kept. Default: see [`RetentionByTopic`].
    pub retention: RetentionByTopic,
    /// How long a tombstone stays in a compacted topic. Default: 1 day.
    pub tombstone_retention: Duration,
    /// A compacted partition is rewritten when at least this share of its closed bytes was never compacted, in
    /// percent. Lower means more writing and less waste. Default: 30.
    pub compact_dirty_percent: u64,
    /// Whether opening reads and checks every segment, and not only the newest of each partition. Default: no.
    pub verify_on_open: bool,
}

impl Default for LocalLogSettings {
    fn default() -> Self {
        Self {
            partitions: 4,
            inlets: Vec::new(),
            segment_bytes: 64 << 20,
            segment_age: DAY,
            queue_bytes: 64 << 20,
            tail_bytes: 256 << 10,
            open_files: 256,
            retention: RetentionByTopic::default(),
            tombstone_retention: DAY,
            compact_dirty_percent: 30,
            verify_on_open: false,
        }
    }
}

impl LocalLogSettings {
    pub(crate) fn validate(&self) -> Result<(), Error> {
        let refuse = |setting, value: u64, reason| Err(Error::Setting { setting, value: value.to_string(), reason });
        if self.partitions == 0 {
            return refuse("partitions", 0, "a log has at least one partition");
        }
        if self.segment_bytes > 1 << 32 {
            return refuse("segment_bytes", self.segment_bytes, "a segment holds at most 4 GiB");
        }
        if self.queue_bytes > 1 << 30 {
            let bytes = u64::try_from(self.queue_bytes).unwrap_or(u64::MAX);
            return refuse("queue_bytes", bytes, "one frame holds at most 1 GiB");
        }
        if self.compact_dirty_percent > 100 {
            return refuse("compact_dirty_percent", self.compact_dirty_percent, "it is a share of 100");
        }
        Ok(())
    }
}

/// What is called once, on the writer's thread, when the log has stopped; the argument says why. A process that owns
/// the log ends here: a restart recovers, going on does not.
pub struct FailureHook(Box<dyn Fn(&str) + Send + Sync>);

impl FailureHook {
    /// Calls `hook` when the log stops.
    pub fn new(hook: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Box::new(hook))
    }

    pub(crate) fn call(&self, reason: &str) {
        (self.0)(reason);
    }
}

impl Default for FailureHook {
    /// Does nothing: whoever waits for an append learns of it, and [`failure`](crate::EventLog::failure) tells.
    fn default() -> Self {
        Self::new(|_| ())
    }
}

impl fmt::Debug for FailureHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FailureHook")
    }
}
