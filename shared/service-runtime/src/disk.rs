//! Turns the process read-only before the disk is full (law L12).
//!
//! A failed write ends the process, so it must not come to that by mere growth: below a reserve of free space every
//! write route answers "storage_low" while reads go on. Writing begins again only at a quarter above the reserve;
//! without that distance a disk at the brink would switch with every segment that is trimmed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{IntGauge, Metrics, Stop};

/// How often the disk is asked. `statvfs` costs a microsecond; in a second even a fast writer fills no reserve.
const INTERVAL: Duration = Duration::from_secs(1);

/// How much free space is the reserve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiskSettings {
    /// Below this many free bytes on the disk of the data directory, nothing is written; 0 switches the guard off.
    /// Default: 512 MiB, which is room for the log's queue, its open segments and one round of compaction.
    pub min_free_bytes: u64,
}

impl Default for DiskSettings {
    fn default() -> Self {
        Self { min_free_bytes: 512 * 1024 * 1024 }
    }
}

/// Watches the free space and says whether writing is allowed.
#[derive(Debug)]
pub struct DiskGuard {
    settings: DiskSettings,
    writable: Arc<AtomicBool>,
    free: IntGauge,
}

impl DiskGuard {
    /// A guard over `writable`, which it sets. Declares `memos_disk_free_bytes`.
    #[must_use]
    pub fn new(settings: DiskSettings, writable: Arc<AtomicBool>, metrics: &Metrics) -> Self {
        Self { settings, writable, free: metrics.disk_free_bytes() }
    }

    /// Takes one measurement and decides.
    pub fn observe(&self, free: u64) {
        self.free.set(i64::try_from(free).unwrap_or(i64::MAX));
        let reserve = self.settings.min_free_bytes;
        let writable = self.writable.load(Ordering::Acquire);
        if writable && free < reserve {
            tracing::error!(free_bytes = free, reserve_bytes = reserve, "disk space is low, refusing writes");
            self.writable.store(false, Ordering::Release);
        } else if !writable && free >= reserve.saturating_add(reserve / 4) {
            tracing::info!(free_bytes = free, "disk space is back, taking writes");
            self.writable.store(true, Ordering::Release);
        }
    }

    /// Watches the disk of `path` on a thread of its own until `stop`. The first look happens before this returns, so
    /// a process that starts on a full disk never takes a write.
    ///
    /// # Errors
    /// When the disk cannot be asked, or no thread can be started.
    pub fn watch(self, path: &Path, stop: Stop) -> std::io::Result<JoinHandle<()>> {
        let path: PathBuf = path.to_owned();
        self.observe(free_bytes(&path)?);
        let look = move || {
            while !stop.wait_for(INTERVAL) {
                match free_bytes(&path) {
                    Ok(free) => self.observe(free),
                    // What was decided last still stands: an unreadable answer is no reason to begin writing.
                    Err(error) => tracing::warn!(%error, "failed to read the free disk space"),
                }
            }
        };
        std::thread::Builder::new().name("disk-guard".to_owned()).spawn(look)
    }
}

/// How many bytes this process may still write on the disk of `path`.
///
/// # Errors
/// When the path does not exist or cannot be reached.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(path)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    // law: L12
    #[test]
    fn low_space_stops_writes_and_a_quarter_more_begins_them_again() {
        let writable = Arc::new(AtomicBool::new(true));
        let metrics = Metrics::new();
        let guard = DiskGuard::new(DiskSettings { min_free_bytes: 1000 }, Arc::clone(&writable), &metrics);
        for (free, expected) in [
            (5000, true),
            (1000, true),
            (999, false),
            (1000, false),
            (1249, false),
            (1250, true),
            (1001, true),
            (0, false),
        ] {
            guard.observe(free);
            assert_eq!(writable.load(Ordering::Acquire), expected, "at {free} bytes");
        }
        assert!(metrics.render().contains("memos_disk_free_bytes 0"));
    }

    #[test]
    fn a_start_on_a_full_disk_takes_no_write() {
        let dir = tempfile::tempdir().expect("a directory");
        let writable = Arc::new(AtomicBool::new(true));
        let stop = Stop::new();
        let guard = DiskGuard::new(DiskSettings { min_free_bytes: u64::MAX }, Arc::clone(&writable), &Metrics::new());
        let thread = guard.watch(dir.path(), stop.clone()).expect("the disk can be asked");
        assert!(!writable.load(Ordering::Acquire));
        stop.stop();
        thread.join().expect("the thread ends");
        assert!(free_bytes(Path::new("/nowhere/at/all")).is_err());
    }
}
