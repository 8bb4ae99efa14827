//! The open loop: request number `n` is meant to start at `begin + n / rate`, whatever became of those before.
//!
//! A closed loop asks the next question when the last one was answered, so a server that stalls for a second is asked
//! less in that second and its stall counts once (*coordinated omission*). Here it counts for every request that should
//! have started meanwhile. The loop's own lateness (timers tick in milliseconds, and the machine is shared) counts too:
//! the figures are never better than the truth.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use hdrhistogram::Histogram;
use tokio::sync::Semaphore;
use tokio::task::LocalSet;

/// The longest latency that is told apart, in microseconds.
const LATENCY_MAX: u64 = 120_000_000;

/// What is sent when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Requests per second.
    pub(crate) rate: f64,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    pub(crate) concurrency: usize,
}

impl Plan {
    fn count(&self, time: Duration) -> u64 {
        // Rates and times of a load test are far inside the range in which this is exact.
        (self.rate * time.as_secs_f64()).round() as u64
    }

    fn after(&self, number: u64) -> Duration {
        Duration::from_secs_f64(number as f64 / self.rate)
    }
}

/// What was measured after the warmup.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Microseconds from the intended start, of requests that succeeded.
    pub(crate) latency: Histogram<u64>,
    pub(crate) intended: u64,
    /// By cause.
    pub(crate) errors: BTreeMap<String, u64>,
    /// From the first intended start to the last answer.
    pub(crate) took: Duration,
}

impl Measured {
    fn new() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX, 3).expect("the bounds are constants in order");
        Self { latency, intended: 0, errors: BTreeMap::new(), took: Duration::ZERO }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Successful requests per second.
    pub(crate) fn rate(&self) -> f64 {
        self.latency.len() as f64 / self.took.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// Runs the plan on this thread until everything is answered. `send` is given the request's number and answers its
/// cause of failure.
pub(crate) fn run<S, F>(plan: Plan, send: S) -> anyhow::Result<Measured>
where
    S: Fn(u64) -> F + 'static,
    F: Future<Output = Result<(), String>> + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    let local = LocalSet::new();
    Ok(local.block_on(&runtime, drive(plan, Rc::new(send))))
}

async fn drive<S, F>(plan: Plan, send: Rc<S>) -> Measured
where
    S: Fn(u64) -> F + 'static,
    F: Future<Output = Result<(), String>> + 'static,
{
    let measured = Rc::new(RefCell::new(Measured::new()));
    let slots = Arc::new(Semaphore::new(plan.concurrency));
    let unmeasured = plan.count(plan.warmup);
    let total = unmeasured + plan.count(plan.duration);
    let begin = Instant::now();
    for number in 0..total {
        let intended = begin + plan.after(number);
        tokio::time::sleep_until(intended.into()).await;
        let counts = number >= unmeasured;
        if counts {
            measured.borrow_mut().intended += 1;
        }
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            if counts {
                *measured.borrow_mut().errors.entry("too much in flight".to_owned()).or_default() += 1;
            }
            continue;
        };
        let (send, measured) = (Rc::clone(&send), Rc::clone(&measured));
        tokio::task::spawn_local(async move {
            let answer = send(number).await;
            if counts {
                note(&mut measured.borrow_mut(), answer, intended.elapsed());
            }
            drop(slot);
        });
    }
    let all = u32::try_from(plan.concurrency).expect("the concurrency of a load test is small");
    let idle = slots.acquire_many(all).await.expect("nobody closes the semaphore");
    drop(idle);
    let mut measured = std::mem::replace(&mut *measured.borrow_mut(), Measured::new());
    measured.took = begin.elapsed().saturating_sub(plan.after(unmeasured));
    measured
}

fn note(measured: &mut Measured, answer: Result<(), String>, latency: Duration) {
    match answer {
        Ok(()) => {
            let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
            measured.latency.saturating_record(micros);
        }
        Err(cause) => *measured.errors.entry(cause).or_default() += 1,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn plan(rate: f64, concurrency: usize) -> Plan {
        Plan { rate, warmup: Duration::from_millis(20), duration: Duration::from_millis(100), concurrency }
    }

    #[test]
    fn what_is_answered_at_once_is_all_counted_once() {
        let sent = Rc::new(Cell::new(0));
        let count = Rc::clone(&sent);
        // Room for all of them: on a machine that stood still for a moment they come at once.
        let measured = run(plan(1000.0, 1_000), move |_| {
            count.set(count.get() + 1);
            std::future::ready(Ok(()))
        })
        .expect("a runtime");
        assert_eq!(sent.get(), 120, "the warmup is sent, too");
        assert_eq!((measured.intended, measured.latency.len(), measured.failed()), (100, 100, 0));
        assert!(measured.rate() <= 1000.0 * 1.1);
    }

    #[test]
    fn a_stall_counts_for_every_request_that_it_delayed() {
        // The server answers nothing until 50 ms into the measurement. Every request counts from its intended start, so
        // the early ones are slower than the late ones, and none is left out.
        let begin = Instant::now();
        let until = begin + Duration::from_millis(70);
        let many = run(plan(1000.0, 1000), move |_| async move {
            tokio::time::sleep_until(until.into()).await;
            Ok(())
        })
        .expect("a runtime");
        assert_eq!(many.latency.len(), 100);
        assert!(many.latency.value_at_quantile(0.8) > 20_000, "{}", many.latency.value_at_quantile(0.8));
    }

    #[test]
    fn what_finds_no_slot_is_an_error_and_not_left_out() {
        let until = Instant::now() + Duration::from_millis(500);
        let one = run(plan(1000.0, 1), move |_| async move {
            tokio::time::sleep_until(until.into()).await;
            Ok(())
        })
        .expect("a runtime");
        assert!(one.errors["too much in flight"] > 90, "{:?}", one.errors);
        assert_eq!(one.latency.len() + one.failed(), one.intended);
    }

    #[test]
    fn failures_are_told_by_cause() {
        let measured = run(plan(1000.0, 1_000), |number| {
            std::future::ready(if number % 2 == 0 { Ok(()) } else { Err("refused".to_owned()) })
        })
        .expect("a runtime");
        assert_eq!((measured.latency.len(), measured.errors["refused"]), (50, 50));
    }
}
