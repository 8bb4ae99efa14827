//! The thread of working memory: one owner per partition, and the news from the log.

use std::sync::Arc;
use std::time::Duration;

use event_log::{EventLog, Partition};
use service_runtime::{State, Stop};
use tokio::sync::watch;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::owner::Owner;
use crate::{NAME, Parts};

/// How long the waiting thread sleeps at most before it looks whether to stop.
const NEWS_WAIT: Duration = Duration::from_millis(100);

pub(crate) async fn run(parts: Parts) -> Result<(), Error> {
    parts.health.set(NAME, State::Starting);
    parts.store.forget_spilled()?;
    let metrics = Metrics::new(&parts.metrics);
    let mut owners = Vec::new();
    for partition in Partition::all(parts.log.partitions()) {
        owners.push(Owner::take_over(&parts, metrics.clone(), partition)?);
    }
    let (news_tx, news) = watch::channel(0);
    let waiter = spawn_waiter(Arc::clone(&parts.log), parts.stop.clone(), news_tx)?;
    parts.health.set(NAME, State::Ready);
    tracing::info!(partitions = owners.len(), "working memory runs");
    let tasks: Vec<_> = owners.into_iter().map(|owner| actix_rt::spawn(owner.run(news.clone()))).collect();
    let mut result = Ok(());
    for task in tasks {
        let ended = task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        if ended.is_err() && result.is_ok() {
            // The other owners must not go on as if nothing had happened.
            parts.stop.stop();
            result = ended;
        }
    }
    if waiter.join().is_err() {
        tracing::error!("the thread that waits for news panicked");
    }
    result
}

/// The log tells its news by blocking; owners are asynchronous.
fn spawn_waiter(
    log: Arc<dyn EventLog>,
    stop: Stop,
    news: watch::Sender<u64>,
) -> Result<std::thread::JoinHandle<()>, Error> {
    let wait = move || {
        let mut seen = 0;
        while !stop.is_stopped() {
            seen = log.wait(seen, NEWS_WAIT);
            news.send_replace(seen);
        }
    };
    std::thread::Builder::new().name("working-memory-news".to_owned()).spawn(wait).map_err(Error::Thread)
}
