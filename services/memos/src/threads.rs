//! The threads of a process: watched while it runs, joined when it stops.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use service_runtime::{Stop, fatal};

/// How often the threads are looked after.
const SUPERVISION: Duration = Duration::from_millis(200);
/// How long to wait for the reason why a thread ended.
const REASON: Duration = Duration::from_secs(2);

/// Threads whose error ends the process.
#[derive(Default)]
pub(crate) struct Threads(Vec<(&'static str, Box<dyn Join>)>);

/// A thread, whatever it answers when it ends.
pub(crate) trait Join: Send {
    fn is_finished(&self) -> bool;
    fn join(self: Box<Self>) -> anyhow::Result<()>;
}

impl Join for JoinHandle<()> {
    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }

    fn join(self: Box<Self>) -> anyhow::Result<()> {
        Self::join(*self).map_err(|_| anyhow::anyhow!("it panicked"))
    }
}

impl<E: std::error::Error + Send + Sync + 'static> Join for JoinHandle<Result<(), E>> {
    fn is_finished(&self) -> bool {
        Self::is_finished(self)
    }

    fn join(self: Box<Self>) -> anyhow::Result<()> {
        Self::join(*self).map_err(|_| anyhow::anyhow!("it panicked"))?.map_err(anyhow::Error::from)
    }
}

impl Threads {
    pub(crate) fn watch(&mut self, name: &'static str, thread: impl Join + 'static) {
        self.0.push((name, Box::new(thread)));
    }

    /// Blocks until `stop` is asked for. A thread that ends before that ends the process: it has lost its log or its
    /// store, and a restart recovers (law L12).
    pub(crate) fn supervise(&mut self, stop: &Stop) {
        // One that ended without an error may have followed another, whose error is the reason.
        let mut silent: Option<(&str, Instant)> = None;
        while !stop.wait_for(SUPERVISION) {
            while let Some(place) = self.0.iter().position(|(_, thread)| thread.is_finished()) {
                let (name, thread) = self.0.swap_remove(place);
                if let Err(error) = thread.join() {
                    fatal(format_args!("{name} stopped: {error:#}"));
                }
                silent.get_or_insert_with(|| (name, Instant::now()));
            }
            if let Some((name, since)) = silent
                && since.elapsed() >= REASON
            {
                fatal(format_args!("{name} stopped without being told to"));
            }
        }
    }

    /// Waits for all of them to end, in the order in which they came.
    ///
    /// # Errors
    /// The first error that one of them ended with.
    pub(crate) fn join(self) -> anyhow::Result<()> {
        let ended: Vec<_> =
            self.0.into_iter().map(|(name, thread)| thread.join().with_context(|| format!("stop {name}"))).collect();
        ended.into_iter().collect()
    }
}
