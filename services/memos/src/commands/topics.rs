//! `memos topics`: the topics of a log on Kafka, made where they are missing and looked at where they are there.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use event_log::kafka::KafkaLog;
use event_log::kafka::topics::{self, State};

use crate::cli::TopicsArgs;
use crate::{secret, settings};

/// Makes or verifies; exit code 1 when something is not as it must be.
///
/// # Errors
/// When the brokers cannot be asked, or something cannot be made.
pub(crate) fn run(args: &TopicsArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let settings = settings::load(&args.settings)?.settings;
    let kafka = settings.kafka()?;
    let findings =
        if args.verify { topics::verify(&kafka, &settings.topics) } else { topics::ensure(&kafka, &settings.topics) };
    let findings = findings.with_context(|| format!("set up the topics at {}", kafka.bootstrap_servers))?;
    let mut differs = 0;
    for finding in &findings {
        match finding.state {
            State::Ok => {}
            State::Created => writeln!(out, "created  {}", finding.topic)?,
            State::Differs => {
                differs += 1;
                let (what, found, wanted) = (&finding.what, &finding.found, &finding.wanted);
                writeln!(out, "DIFFERS  {}: {what} is {found}, and should be {wanted}", finding.topic)?;
            }
        }
    }
    let topics: std::collections::BTreeSet<&str> = findings.iter().map(|finding| finding.topic.as_str()).collect();
    writeln!(out, "{} topics at {}, {differs} differences", topics.len(), kafka.bootstrap_servers)?;
    if !args.verify {
        let file = settings.hash_secret_file();
        if !file.exists() {
            if let Some(parent) = file.parent() {
                std::fs::create_dir_all(parent).with_context(|| format!("create {}", parent.display()))?;
            }
            secret::load_or_create(&file)?;
            writeln!(out, "made the hash secret {}: every service needs a copy", file.display())?;
        }
        let log = KafkaLog::open(&kafka).context("open the log")?;
        secret::agree(&log, &secret::load(&file)?)
            .with_context(|| format!("use the hash secret {}", file.display()))?;
    }
    Ok(if differs == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
