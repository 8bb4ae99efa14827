//! A process that runs until it is told to stop: its threads, its server, and what is closed last.
//!
//! The order of stopping is that of dependence: readiness goes first, so that nobody sends more; the server finishes
//! what it has taken; the threads end between two batches; the log is closed last. Nothing needs that order to be
//! correct, since a kill at any moment is recovered from (law L12); it only spares work at the next start. So it has a
//! limit: a process that waits for a broker that is away ends all the same.

use std::time::Duration;

use actix_rt::SystemRunner;
use actix_web::dev::{Server, ServerHandle};
use service_runtime::{Health, State, Stop, fatal};

use crate::threads::Threads;

/// What a process is made of.
pub(crate) struct Process {
    pub(crate) threads: Threads,
    pub(crate) health: Health,
    /// How long stopping may take.
    pub(crate) stop_timeout: Duration,
    /// Stops everything behind the server.
    pub(crate) inner_stop: Stop,
    /// Closes what the threads used.
    pub(crate) close: Box<dyn FnOnce() -> anyhow::Result<()> + Send>,
}

impl Process {
    /// Serves until `stop`, then stops everything in order. A thread that ends before that ends the process.
    ///
    /// # Errors
    /// When something could not be written at the end. Nothing acknowledged depends on it.
    pub(crate) fn serve(self, system: &SystemRunner, server: Server, stop: Stop) -> anyhow::Result<()> {
        let handle = server.handle();
        let Self { mut threads, health, stop_timeout, inner_stop, close } = self;
        end_after(&stop, stop_timeout)?;
        let supervisor = std::thread::Builder::new().name("supervisor".to_owned()).spawn({
            let stop = stop.clone();
            move || {
                threads.supervise(&stop);
                threads
            }
        })?;
        system.block_on(async {
            let (served, ()) = tokio::join!(server, end_of(&stop, &health, handle));
            served
        })?;
        let threads = supervisor.join().map_err(|_| anyhow::anyhow!("the supervisor panicked"))?;
        inner_stop.stop();
        threads.join()?;
        close()
    }
}

/// Ends the process when stopping takes longer than this.
fn end_after(stop: &Stop, timeout: Duration) -> std::io::Result<()> {
    let stop = stop.clone();
    let limit = move || {
        stop.wait();
        std::thread::sleep(timeout);
        fatal(format_args!("what was begun was not finished within {timeout:?} after the stop"));
    };
    std::thread::Builder::new().name("stop-timeout".to_owned()).spawn(limit).map(drop)
}

async fn end_of(stop: &Stop, health: &Health, server: ServerHandle) {
    stop.stopped().await;
    health.set("process", State::Draining);
    server.stop(true).await;
}
