//! `memos topics`: the topics of a log on Kafka, made where they are missing and looked at where they are there.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use event_log::EventLog;
use event_log::kafka::KafkaLog;
use event_log::kafka::topics::{self, Finding, State};
use keyring::{RootError, RootSource, root};

use crate::cli::TopicsArgs;
use crate::settings::Settings;
use crate::{kafka_keys, secret, settings};

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
    let seen = report(&findings, &kafka.bootstrap_servers, out)?;
    if !args.verify && seen.missing == 0 {
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
        begin_keys(&settings, &(Arc::new(log) as Arc<dyn EventLog>), out)?;
    }
    Ok(if seen.missing + seen.differs == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Agrees on the wrapping key, so that a wrong root key shows here and not in a service. A root key that is missing is made
/// only for a log that has no keys yet: to one that has, another root is a stranger.
fn begin_keys(settings: &Settings, log: &Arc<dyn EventLog>, out: &mut impl Write) -> anyhow::Result<()> {
    let source = settings.root_source()?;
    source.check_outside(&settings.data.dir)?;
    if let RootSource::File(file) = &source
        && !file.exists()
        && !kafka_keys::has_begun(&**log)?
    {
        match root::init(file) {
            Ok(root) => {
                writeln!(
                    out,
                    "made the root key {} in {}: copy that file to every service",
                    root.name(),
                    file.display()
                )?;
                writeln!(out, "Without it nothing that memos keeps can be read: keep a copy in a safe place.")?;
            }
            // Another process was first.
            Err(RootError::Exists { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let (_, follower) = kafka_keys::open(settings, log, [])?;
    follower.stop().context("read the keys of the log")
}

/// How many things are not as they must be.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    missing: usize,
    differs: usize,
    /// Topics whose properties cannot be seen from here, which says nothing of them.
    unread: usize,
}

fn report(findings: &[Finding], brokers: &str, out: &mut impl Write) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    for Finding { topic, what, wanted, found, state } in findings {
        match state {
            State::Ok => {}
            State::Created => writeln!(out, "created  {topic}")?,
            State::Differs => {
                seen.differs += 1;
                writeln!(out, "DIFFERS  {topic}: {what} is {found}, and should be {wanted}")?;
            }
            State::Missing => {
                seen.missing += 1;
                writeln!(out, "MISSING  {topic}: should have {wanted}")?;
            }
            State::Unreadable => {
                seen.unread += 1;
                writeln!(out, "UNREAD   {topic}: should have {wanted}")?;
            }
        }
    }
    let topics: BTreeSet<&str> = findings.iter().map(|finding| finding.topic.as_str()).collect();
    let Seen { missing, differs, unread } = seen;
    writeln!(out, "{} topics at {brokers}, {missing} missing, {differs} differences", topics.len())?;
    if unread > 0 {
        writeln!(
            out,
            "the properties of {unread} topics cannot be read with a bearer token: compare them with what \
             `kafka-configs.sh --describe --entity-type topics` shows"
        )?;
    }
    Ok(seen)
}

#[cfg(test)]
mod tests {
    use event_log::{MemLog, MemLogSettings};

    use super::*;

    fn finding(topic: &str, state: State) -> Finding {
        let text = str::to_owned;
        Finding { topic: text(topic), what: text("cleanup.policy"), wanted: text("w"), found: text("f"), state }
    }

    #[test]
    fn what_cannot_be_read_is_said_and_is_no_difference() {
        let findings = [finding("a", State::Ok), finding("a", State::Unreadable), finding("b", State::Unreadable)];
        let mut out = Vec::new();
        let seen = report(&findings, "broker:9092", &mut out).expect("it can be written");
        assert_eq!(seen, Seen { unread: 2, ..Seen::default() });
        let text = String::from_utf8(out).expect("text");
        assert!(text.contains("UNREAD   b: should have w"), "{text}");
        assert!(text.contains("2 topics at broker:9092, 0 missing, 0 differences"), "{text}");
        assert!(text.contains("kafka-configs.sh"), "it says what to do: {text}");
    }

    #[test]
    fn a_root_key_is_made_for_a_new_log_and_asked_for_of_any_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut settings = Settings::default();
        settings.data.dir = dir.path().join("data");
        settings.keys.root_file = dir.path().join("root.key");
        let log: Arc<dyn EventLog> = Arc::new(MemLog::with_settings(MemLogSettings::default()));
        let begin = || {
            let mut out = Vec::new();
            begin_keys(&settings, &log, &mut out).map(|()| String::from_utf8(out).expect("text"))
        };
        let text = begin().expect("it is made");
        assert!(text.contains("copy that file to every service"), "{text}");
        assert_eq!(begin().expect("it is there"), "");
        std::fs::remove_file(&settings.keys.root_file).expect("it is lost");
        let text = format!("{:#}", begin().expect_err("there are keys of it"));
        assert!(text.contains("root.key") && text.contains("copy that file"), "{text}");
        root::init(&settings.keys.root_file).expect("another one");
        let text = format!("{:#}", begin().expect_err("it is another one"));
        assert!(text.contains("is not the one of this log"), "{text}");
    }

    #[test]
    fn what_is_missing_or_differs_is_counted_each_by_itself() {
        let findings = [finding("a", State::Created), finding("b", State::Missing), finding("c", State::Differs)];
        let mut out = Vec::new();
        let seen = report(&findings, "broker:9092", &mut out).expect("it can be written");
        assert_eq!(seen, Seen { missing: 1, differs: 1, unread: 0 });
        let text = String::from_utf8(out).expect("text");
        assert!(text.starts_with("created  a\nMISSING  b: should have w\nDIFFERS  c: cleanup.policy is f"), "{text}");
        assert!(!text.contains("kafka-configs.sh"), "{text}");
    }
}
