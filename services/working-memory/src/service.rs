//! The thread of working memory: one owner per partition that is this process's own, and the news from the log.
//!
//! A partition changes hands between two batches. A new owner reads what others wrote before it folds anything, and may
//! be told to end meanwhile; one that is to end finishes its batch, and only then the partition is given up.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::task::JoinHandle;
use event_log::ownership::{Change, Ownership, Revoked};
use event_log::{EventLog, Partition};
use service_runtime::{Health, State, Stop};
use tokio::sync::watch;
use tokio::task::yield_now;

use crate::error::Error;
use crate::metrics::Metrics;
use crate::owner::{LetGo, TakesOver};
use crate::{Context, NAME, Parts};

/// How long the waiting thread sleeps at most before it looks whether to stop.
const NEWS_WAIT: Duration = Duration::from_millis(100);

pub(crate) async fn run(parts: Parts) -> Result<(), Error> {
    let Parts { log, store, mut ownership, interactions, rules, settings, fold, metrics, health, stop } = parts;
    health.set(NAME, State::Starting);
    let (news_tx, news) = watch::channel(0);
    let waiter = spawn_waiter(Arc::clone(&log), stop.clone(), news_tx)?;
    let taking_over = Rc::default();
    let context = Context { log, store, interactions, rules, settings, fold, stop: stop.clone(), taking_over };
    let (metrics, waiting, running) = (Metrics::new(&metrics), BTreeMap::new(), BTreeMap::new());
    let mut owners = Owners { context, metrics, health, news, waiting, running };
    tracing::info!("working memory runs");
    let mut result = owners.serve(&mut *ownership).await;
    // The other owners must not go on as if nothing had happened.
    stop.stop();
    let left = owners.end(|_| true, None).await;
    if result.is_ok() {
        result = left;
    }
    if waiter.join().is_err() {
        tracing::error!("the thread that waits for news panicked");
    }
    result
}

struct Owners {
    context: Context,
    metrics: Metrics,
    health: Health,
    news: watch::Receiver<u64>,
    /// Since when a partition is owned that nobody takes over yet: one after the other, so that the first of them are
    /// worked on soon.
    waiting: BTreeMap<Partition, Instant>,
    running: BTreeMap<Partition, Running>,
}

/// An owner at work.
struct Running {
    let_go: watch::Sender<Option<LetGo>>,
    /// Whether it has read what others wrote, and works on the partition.
    taken_over: Rc<Cell<bool>>,
    task: JoinHandle<Result<(), Error>>,
}

impl Owners {
    /// Follows the ownership until told to stop, or until an owner fails.
    async fn serve(&mut self, ownership: &mut dyn Ownership) -> Result<(), Error> {
        let mut news = self.news.clone();
        while !self.context.stop.is_stopped() {
            while let Some(change) = ownership.next(Duration::ZERO)? {
                match change {
                    Change::Assigned(partitions) => {
                        let assigned = Instant::now();
                        self.waiting.extend(partitions.into_iter().map(|partition| (partition, assigned)));
                    }
                    Change::Revoked(revoked) => self.let_go(revoked).await?,
                }
            }
            let taken_over = self.take_over();
            if self.running.values().any(|running| running.task.is_finished()) {
                return Ok(());
            }
            if taken_over {
                // It comes at least every 100 ms; a closed channel means a stop.
                drop(news.changed().await);
            } else {
                // Until the next batch of the takeover.
                yield_now().await;
            }
        }
        Ok(())
    }

    /// Has the next partition taken over when no other is; `true` when all that is owned is worked on.
    fn take_over(&mut self) -> bool {
        let working = self.running.values().filter(|running| running.taken_over.get()).count();
        let next = if working == self.running.len() { self.waiting.pop_first() } else { None };
        if let Some((partition, assigned)) = next {
            let (let_go, told) = watch::channel(None);
            let taken_over = Rc::new(Cell::new(false));
            let takes_over = TakesOver { partition, assigned, done: Rc::clone(&taken_over) };
            let (context, metrics, news) = (self.context.clone(), self.metrics.clone(), self.news.clone());
            let task = actix_rt::spawn(takes_over.run(context, metrics, told, news));
            self.running.insert(partition, Running { let_go, taken_over, task });
        }
        self.metrics.partitions.set(i64::try_from(working).unwrap_or(i64::MAX));
        // Who owns nothing is ready as well: it is there for when another one is not.
        let taken_over = working == self.running.len();
        self.context.taking_over.set(!taken_over);
        self.health.set(NAME, if taken_over { State::Ready } else { State::Starting });
        taken_over
    }

    /// Lets the owners of these partitions finish what they are at; then the partitions are free.
    async fn let_go(&mut self, revoked: Revoked) -> Result<(), Error> {
        if revoked.lost {
            tracing::warn!(partitions = ?revoked.partitions, "partitions were lost: another process has them already");
        } else {
            tracing::info!(partitions = ?revoked.partitions, "partitions are given up");
        }
        self.waiting.retain(|partition, _| !revoked.partitions.contains(partition));
        let why = if revoked.lost { LetGo::Lost } else { LetGo::Revoked };
        self.end(|partition| revoked.partitions.contains(&partition), Some(why)).await
    }

    /// Tells owners to end, and waits for all of them; answers the first error.
    async fn end(&mut self, which: impl Fn(Partition) -> bool, why: Option<LetGo>) -> Result<(), Error> {
        let (ending, staying) =
            std::mem::take(&mut self.running).into_iter().partition(|(partition, _)| which(*partition));
        self.running = staying;
        let ending: BTreeMap<Partition, Running> = ending;
        for running in ending.values() {
            running.let_go.send_replace(why);
        }
        let mut result = Ok(());
        for running in ending.into_values() {
            let ended = running.task.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
            if result.is_ok() {
                result = ended;
            }
        }
        result
    }
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
