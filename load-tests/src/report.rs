//! The figures, with all that is needed to doubt them, and what failed.

use std::io::Write;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::args::RunArgs;
use crate::check::Found;
use crate::machine::Machine;
use crate::open_loop::Measured;

/// Everything a run found out.
#[derive(Debug)]
pub(crate) struct Report {
    /// By request.
    pub(crate) published: Measured,
    pub(crate) asked: Option<Measured>,
    /// From an event to the moment in which it can be recalled.
    pub(crate) followed: Option<Measured>,
    pub(crate) found: Found,
    pub(crate) resident_mb: Option<f64>,
}

impl Report {
    /// Acknowledged interactions per second.
    fn rate(&self, args: &RunArgs) -> f64 {
        self.published.rate() * args.batch as f64
    }
}

/// Prints the report.
pub(crate) fn print(args: &RunArgs, report: &Report, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "{}", Machine::here())?;
    writeln!(
        out,
        "load         {} interactions/s in requests of {}, {} queries/s, {} followed/s, {} users ({} asked about), seed {}",
        args.rate,
        args.batch,
        args.queries,
        args.followed,
        args.users,
        args.query_users.unwrap_or(args.users),
        args.seed
    )?;
    writeln!(
        out,
        "             {:?} after {:?} of warmup, at most {} requests of a kind in flight",
        args.duration, args.warmup, args.concurrency
    )?;
    writeln!(out)?;
    writeln!(
        out,
        "             {:>9} {:>9} {:>9} {:>9} {:>9}   from the intended start",
        "p50", "p90", "p99", "p99.9", "max"
    )?;
    percentiles(out, "publish", &report.published.latency)?;
    if let Some(asked) = &report.asked {
        percentiles(out, "recall", &asked.latency)?;
    }
    if let Some(followed) = &report.followed {
        percentiles(out, "recallable", &followed.latency)?;
    }
    writeln!(out)?;
    writeln!(out, "acknowledged {:.0} interactions/s", report.rate(args))?;
    errors(out, "publish", &report.published)?;
    if let Some(asked) = &report.asked {
        writeln!(out, "answered     {:.0} queries/s", asked.rate())?;
        errors(out, "recall", asked)?;
    }
    if let Some(followed) = &report.followed {
        errors(out, "followed", followed)?;
    }
    if let Some(megabytes) = report.resident_mb {
        writeln!(out, "memory       {megabytes:.0} MB at most")?;
    }
    writeln!(out)?;
    found(out, args, &report.found)?;
    let failures = failures(args, report);
    writeln!(out)?;
    failures.iter().try_for_each(|failure| writeln!(out, "FAILED       {failure}"))?;
    if failures.is_empty() { writeln!(out, "PASSED") } else { Ok(()) }
}

fn percentiles(out: &mut impl Write, name: &str, latency: &Histogram<u64>) -> std::io::Result<()> {
    let at = |quantile| milliseconds(latency.value_at_quantile(quantile));
    let (p50, p90, p99, p999, max) = (at(0.5), at(0.9), at(0.99), at(0.999), milliseconds(latency.max()));
    writeln!(out, "{name:12} {p50:>6.2} ms {p90:>6.2} ms {p99:>6.2} ms {p999:>6.2} ms {max:>6.2} ms")
}

fn errors(out: &mut impl Write, name: &str, measured: &Measured) -> std::io::Result<()> {
    measured.errors.iter().try_for_each(|(cause, count)| {
        writeln!(out, "             {count} of {} {name} requests failed: {cause}", measured.intended)
    })
}

fn found(out: &mut impl Write, args: &RunArgs, found: &Found) -> std::io::Result<()> {
    let fates = &found.fates;
    match found.recallable_after {
        Some(after) => writeln!(out, "recallable   everything, {after:.2?} after the last answer")?,
        None => writeln!(out, "recallable   not everything within {:?}", args.recallable_within)?,
    }
    writeln!(
        out,
        "looked up    {} of {} acknowledged: {} kept, {} merged, {} not kept, {} undecided, {} lost",
        fates.looked_up, found.acknowledged, fates.kept, fates.merged, fates.not_kept, fates.undecided, fates.lost
    )?;
    fates.lost_ids.iter().try_for_each(|id| writeln!(out, "             lost: {id}"))?;
    writeln!(out, "doubled      {} events in the memories of {} users", found.doubled.len(), found.searched_users)
}

/// Why the run did not pass, in sentences; empty when it did. A run that measured nothing has not passed.
pub(crate) fn failures(args: &RunArgs, report: &Report) -> Vec<String> {
    let mut failures = Vec::new();
    let mut fail = |failed: bool, why: String| failures.extend(failed.then_some(why));
    let found = &report.found;
    fail(found.acknowledged == 0, "nothing was acknowledged".to_owned());
    fail(report.asked.as_ref().is_some_and(|asked| asked.latency.is_empty()), "no query was answered".to_owned());
    fail(found.fates.lost > 0, format!("{} acknowledged interactions are lost", found.fates.lost));
    fail(found.fates.undecided > 0, format!("{} interactions were not decided upon in time", found.fates.undecided));
    fail(!found.doubled.is_empty(), format!("{} events are in memories twice", found.doubled.len()));
    fail(found.recallable_after.is_none(), "not everything was recallable in time".to_owned());
    let rate = report.rate(args);
    if let Some(wanted) = args.expect_rate {
        fail(rate < wanted, format!("{rate:.0} interactions/s were acknowledged and {wanted:.0} expected"));
    }
    let p99 = |measured: &Measured| milliseconds(measured.latency.value_at_quantile(0.99));
    let limits = [
        ("publish", Some(&report.published), args.expect_publish_p99_ms),
        ("recall", report.asked.as_ref(), args.expect_recall_p99_ms),
        ("recallable", report.followed.as_ref(), args.expect_recallable_p99_ms),
    ];
    for (name, measured, limit) in limits {
        let (Some(measured), Some(limit)) = (measured, limit) else { continue };
        fail(
            p99(measured) > limit,
            format!("p99 of {name} is {:.2} ms and at most {limit} ms expected", p99(measured)),
        );
        // A percentile of the successful ones alone would reward failing fast.
        let bearable = measured.failed() * 1000 <= measured.intended;
        fail(!bearable, format!("{} of {} {name} requests failed", measured.failed(), measured.intended));
    }
    if let Some(limit) = args.expect_rss_mb {
        let seen = report.resident_mb.unwrap_or(f64::INFINITY);
        fail(seen > limit, format!("memory was {seen:.0} MB and at most {limit:.0} MB expected"));
    }
    failures
}

fn milliseconds(micros: u64) -> f64 {
    Duration::from_micros(micros).as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::check::Fates;
    use crate::{Cli, Command, open_loop};

    fn args(flags: &[&str]) -> RunArgs {
        let cli = Cli::try_parse_from([&["load-tests", "run"], flags].concat()).expect("good flags");
        match cli.command {
            Command::Run(args) => *args,
            Command::Preload(_) | Command::Quality(_) => panic!("another command"),
        }
    }

    fn report() -> Report {
        let plan = open_loop::Plan {
            rate: 1000.0,
            warmup: Duration::ZERO,
            duration: Duration::from_millis(20),
            concurrency: 1000,
        };
        let measured = || open_loop::run(plan, |_| std::future::ready(Ok(()))).expect("a runtime");
        let fates = Fates { looked_up: 3, kept: 1, merged: 1, not_kept: 1, ..Fates::default() };
        let found = Found {
            acknowledged: 3,
            recallable_after: Some(Duration::from_millis(3)),
            fates,
            searched_users: 1,
            doubled: Vec::new(),
        };
        Report {
            published: measured(),
            asked: Some(measured()),
            followed: Some(measured()),
            found,
            resident_mb: Some(120.0),
        }
    }

    #[test]
    fn every_kind_of_failure_is_told_and_a_good_run_passes() {
        assert_eq!(failures(&args(&[]), &report()), Vec::<String>::new());
        let strict =
            ["--expect-rate", "9999999", "--expect-recall-p99-ms", "0", "--pid", "1", "--expect-rss-mb", "100"];
        assert_eq!(failures(&args(&strict), &report()).len(), 3);
        let mut bad = report();
        bad.found.fates.lost = 1;
        bad.found.fates.undecided = 1;
        bad.found.doubled.push("e".to_owned());
        bad.found.recallable_after = None;
        assert_eq!(failures(&args(&[]), &bad).len(), 4);
        let mut idle = report();
        idle.found = Found { recallable_after: Some(Duration::ZERO), ..Found::default() };
        assert_eq!(failures(&args(&[]), &idle), ["nothing was acknowledged"]);
        let mut failing = report();
        failing.asked.as_mut().expect("asked").errors.insert("timeout".to_owned(), 5);
        assert_eq!(failures(&args(&["--expect-recall-p99-ms", "1000"]), &failing).len(), 1);
    }

    #[test]
    fn the_report_names_machine_settings_and_figures() {
        let mut out = Vec::new();
        print(&args(&["--batch", "7"]), &report(), &mut out).expect("it prints");
        let text = String::from_utf8(out).expect("text");
        for wanted in ["machine ", "commit ", "requests of 7", "p99.9", "publish ", "recall ", "120 MB", "PASSED"] {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
    }
}
