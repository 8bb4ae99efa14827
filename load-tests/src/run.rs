//! The measurement: publish and ask at the same time, each on a thread and a runtime of its own so that neither waits
//! for the other's work, then look for everything.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use memos_client::{Client, ClientError, Position, RecallRequest};

use crate::args::RunArgs;
use crate::check::{self, Found};
use crate::interactions::{self, Dice, Script};
use crate::open_loop::{self, Measured, Plan};
use crate::report::{self, Report};
use crate::{machine, target};

/// How often the server's memory is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_millis(500);

/// What the server acknowledged, by the numbers of requests.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) acknowledged: Vec<u64>,
    /// Covers everything acknowledged.
    pub(crate) position: Option<Position>,
}

impl Ledger {
    fn acknowledge(&mut self, request: u64, position: Position) -> Result<(), String> {
        self.acknowledged.push(request);
        let merged = match self.position.take() {
            Some(before) => before.merge(&position),
            None => Some(position),
        };
        self.position = Some(merged.ok_or("the log changed under the load")?);
        Ok(())
    }

    /// The numbers of all acknowledged interactions.
    pub(crate) fn interactions(&self, batch: u64) -> impl Iterator<Item = u64> {
        self.acknowledged.iter().flat_map(move |request| request * batch..(request + 1) * batch)
    }
}

/// Runs everything and prints the report; the exit code says whether it passed.
pub(crate) fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("read the clock")?;
    let script = Script { run: format!("{:x}", now.as_micros()), seed: args.seed, users: args.users };
    let ready =
        single_threaded()?.block_on(async { target::patient(&args.server)?.health().await.context("ask for health") });
    anyhow::ensure!(ready?.ready, "memos at {} is not ready", args.server.url);

    let ledger = Arc::new(Mutex::new(Ledger::default()));
    let memory = Memory::watch(args.pid.clone());
    let asking = (args.queries > 0).then(|| ask(args)).transpose()?;
    let following = (args.followed > 0).then(|| follow(args, script.clone())).transpose()?;
    let publishing = publish(args, script.clone(), Arc::clone(&ledger))?;
    let published = join(publishing)?;
    let asked = asking.map(join).transpose()?;
    let followed = following.map(join).transpose()?;
    let ledger = ledger.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let found = single_threaded()?.block_on(look(args, &script, &ledger))?;
    let report = Report { published, asked, followed, found, resident_mb: memory.most() };
    report::print(args, &report, &mut std::io::stdout().lock())?;
    let passed = report::failures(args, &report).is_empty();
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

type Measuring = JoinHandle<anyhow::Result<Measured>>;

fn publish(args: &RunArgs, script: Script, ledger: Arc<Mutex<Ledger>>) -> anyhow::Result<Measuring> {
    let client = target::measured(&args.server)?;
    let batch = args.batch;
    let plan = plan(args, args.rate as f64 / batch as f64);
    let send = move |request: u64| {
        let (client, script, ledger) = (client.clone(), script.clone(), Arc::clone(&ledger));
        async move {
            let interactions: Vec<_> =
                (request * batch..(request + 1) * batch).map(|n| script.interaction(n)).collect();
            let answer = client.publish(&interactions).await.map_err(|error| cause(&error))?;
            ledger.lock().unwrap_or_else(PoisonError::into_inner).acknowledge(request, answer.position)
        }
    };
    spawn("publish", move || open_loop::run(plan, send))
}

fn ask(args: &RunArgs) -> anyhow::Result<Measuring> {
    let client: Client = target::measured(&args.server)?;
    let users = args.query_users.unwrap_or(args.users).max(1);
    let seed = args.seed ^ 0x61_736b;
    let plan = plan(args, args.queries as f64);
    let send = move |number: u64| {
        let client = client.clone();
        async move {
            let mut dice = Dice::new(seed, number);
            let user_id = Some(interactions::user(dice.below(users)));
            let query = interactions::question(&mut dice);
            let request = RecallRequest { user_id, query, ..RecallRequest::default() };
            client.recall(&request).await.map(drop).map_err(|error| cause(&error))
        }
    };
    spawn("ask", move || open_loop::run(plan, send))
}

/// Publishes single interactions and waits for each until it can be recalled.
fn follow(args: &RunArgs, script: Script) -> anyhow::Result<Measuring> {
    let client = target::patient(&args.server)?;
    let within = args.recallable_within;
    let plan = plan(args, args.followed as f64);
    let send = move |number: u64| {
        let (client, interaction) = (client.clone(), script.followed(number));
        async move {
            let answer = client.publish_with(&[interaction], None, Some(within)).await;
            answer.map(drop).map_err(|error| cause(&error))
        }
    };
    spawn("follow", move || open_loop::run(plan, send))
}

fn plan(args: &RunArgs, rate: f64) -> Plan {
    Plan { rate, warmup: args.warmup, duration: args.duration, concurrency: args.concurrency }
}

fn spawn(name: &str, work: impl FnOnce() -> anyhow::Result<Measured> + Send + 'static) -> anyhow::Result<Measuring> {
    std::thread::Builder::new().name(name.to_owned()).spawn(work).context("start a thread")
}

fn join(thread: Measuring) -> anyhow::Result<Measured> {
    thread.join().map_err(|_| anyhow::anyhow!("a thread of the load test panicked"))?
}

fn single_threaded() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")
}

/// A cause that many failures share: no ids and no addresses in it.
fn cause(error: &ClientError) -> String {
    error.code().map_or_else(|| "not answered".to_owned(), str::to_owned)
}

async fn look(args: &RunArgs, script: &Script, ledger: &Ledger) -> anyhow::Result<Found> {
    let client = target::patient(&args.server)?;
    let interactions: Vec<u64> = ledger.interactions(args.batch).collect();
    let Some(position) = &ledger.position else { return Ok(Found::default()) };
    let user = interactions::user(script.user(interactions.first().copied().unwrap_or_default()));
    let impatient = target::measured(&args.server)?;
    let recallable_after = check::recallable(&impatient, &user, position, args.recallable_within).await?;

    let users: BTreeSet<u64> = interactions.iter().map(|number| script.user(*number)).collect();
    let ends: Vec<_> = users.iter().map(|user| script.session_end(*user)).collect();
    for batch in ends.chunks(500) {
        client.publish(batch).await.context("end the sessions")?;
    }
    let wanted = if args.check_all { interactions.len() } else { args.check };
    let ids: Vec<String> = check::spread(&interactions, wanted, args.seed).map(|number| script.id(number)).collect();
    let fates = check::fates(&client, ids, args.decided_within).await?;
    let users: Vec<u64> = users.into_iter().collect();
    let wanted = usize::try_from(args.check_users).context("read --check-users")?;
    let names = check::spread(&users, wanted, args.seed).map(interactions::user);
    let (searched_users, doubled) = check::doubles(&client, names).await?;
    Ok(Found { acknowledged: interactions.len(), recallable_after, fates, searched_users, doubled })
}

/// Watches the memory of the server.
struct Memory {
    stop: Sender<()>,
    thread: Option<JoinHandle<Option<f64>>>,
}

impl Memory {
    fn watch(pids: Vec<u32>) -> Self {
        #[expect(clippy::disallowed_methods, reason = "one message ever goes through it")]
        let (stop, stopped) = channel();
        let watched = !pids.is_empty();
        let watch = move || {
            let now = || pids.iter().map(|pid| machine::resident_mb(*pid)).sum::<Option<f64>>();
            let mut most = now();
            while stopped.recv_timeout(MEMORY_INTERVAL) == Err(RecvTimeoutError::Timeout) {
                most = now().into_iter().chain(most).reduce(f64::max);
            }
            most
        };
        Self { stop, thread: watched.then(|| std::thread::spawn(watch)) }
    }

    /// The most megabytes that were seen.
    fn most(self) -> Option<f64> {
        drop(self.stop);
        self.thread?.join().ok()?
    }
}
