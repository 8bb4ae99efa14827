//! The signal to stop. It is raised once, by a signal of the operating system or by the process itself, and everything
//! that runs looks at it: asynchronous code awaits it, threads ask or wait.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Whether the process is to stop. Clones are the same signal.
#[derive(Clone, Debug)]
pub struct Stop {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// For those who await.
    told: watch::Sender<bool>,
    /// For threads that wait.
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Not stopped yet.
    #[must_use]
    pub fn new() -> Self {
        let told = watch::Sender::new(false);
        Self { inner: Arc::new(Inner { told, stopped: Mutex::new(false), changed: Condvar::new() }) }
    }

    /// Stops. A second time changes nothing.
    pub fn stop(&self) {
        *self.inner.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.changed.notify_all();
        self.inner.told.send_replace(true);
    }

    /// Whether it was stopped.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.inner.told.borrow()
    }

    /// Resolves when it was stopped.
    pub async fn stopped(&self) {
        let mut told = self.inner.told.subscribe();
        // The sender lives in `self`, so waiting ends by the value and never by an error.
        drop(told.wait_for(|stopped| *stopped).await);
    }

    /// Blocks until it was stopped.
    pub fn wait(&self) {
        while !self.wait_for(Duration::from_secs(3600)) {}
    }

    /// Blocks until it was stopped, or for `timeout`; answers whether it was stopped.
    #[must_use]
    pub fn wait_for(&self, timeout: Duration) -> bool {
        let stopped = self.inner.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.inner.changed.wait_timeout_while(stopped, timeout, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Stops on SIGINT and SIGTERM from now on. A second one ends the process at once with code 130: whoever asks
    /// twice does not want to wait, and nothing acknowledged is lost by it.
    ///
    /// # Errors
    /// When the operating system does not let signals be caught or a thread be started.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let entered = runtime.enter();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        drop(entered);
        let stop = self.clone();
        let listen = async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if stop.is_stopped() {
                    std::process::exit(130);
                }
                tracing::info!("stopping");
                stop.stop();
            }
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(listen)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_hears_it() {
        let stop = Stop::new();
        assert!(!stop.is_stopped() && !stop.wait_for(Duration::ZERO));
        let waiting = std::thread::spawn({
            let stop = stop.clone();
            move || stop.wait()
        });
        let awaiting = std::thread::spawn({
            let stop = stop.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                runtime.block_on(stop.stopped());
            }
        });
        stop.stop();
        waiting.join().expect("the thread was woken");
        awaiting.join().expect("the task was woken");
        assert!(stop.is_stopped() && stop.wait_for(Duration::ZERO));
        stop.wait();
    }

    #[test]
    fn a_signal_stops() {
        let stop = Stop::new();
        stop.on_signals().expect("signals can be caught");
        let me = rustix::process::getpid();
        rustix::process::kill_process(me, rustix::process::Signal::TERM).expect("a process may signal itself");
        assert!(stop.wait_for(Duration::from_secs(10)), "SIGTERM stops");
    }
}
