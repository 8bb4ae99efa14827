//! `memos verify`: the proof that what is stored is what the log says (law L06), which every user can run.
//!
//! It folds the log again without a database, twice. From `memories`: every step, as a replica applies them. From
//! `interactions`: every event, in the windows that `consolidations` recorded, through salience and consolidation. Both
//! must give the hash of the store. Then it looks for the sources of every memory (law L07).

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use event_log::kafka::KafkaLog;
use event_log::{EventLog, LocalLog, Offset, Partition, Topic};
use keyring::Keyring;
use memory_core::refold::Rows;
use memory_core::rules::FOLD_VERSION;
use memory_core::step::Row;
use memory_core::{Handle, ReceiptId, Seq, dump};
use memory_store::{Chain, Place, Record, Store};

use crate::cli::VerifyArgs;
use crate::commands::dump as dump_command;
use crate::embedded::store_dir;
use crate::scan::each;
use crate::{kafka_keys, keys, settings};

mod history;
mod receipt;

/// What was found, line by line.
struct Report<'a, W: Write> {
    out: &'a mut W,
    wrong: u32,
}

impl<W: Write> Report<'_, W> {
    fn line(&mut self, good: bool, text: &str) -> anyhow::Result<()> {
        self.wrong += u32::from(!good);
        Ok(writeln!(self.out, "{} {text}", if good { "ok   " } else { "WRONG" })?)
    }
}

/// Verifies a data directory; exit code 1 when something is wrong.
///
/// # Errors
/// When it cannot be read at all.
pub(crate) fn run(args: &VerifyArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let settings = settings::load(&args.settings)?.settings;
    let mut report = Report { out, wrong: 0 };
    // The store first: what arrives in the log after it was opened is above its positions.
    let (store, log, ring): (Option<Store>, Arc<dyn EventLog>, Keyring) = if args.kafka {
        let kafka = settings.kafka()?;
        let log = KafkaLog::open(&kafka).with_context(|| format!("open the log at {}", kafka.bootstrap_servers))?;
        let log: Arc<dyn EventLog> = Arc::new(log);
        let (ring, _follower) = kafka_keys::follow(&settings, &log, Partition::all(log.partitions()))?;
        let has_store = store_dir(&settings.data.dir).exists();
        let store = has_store.then(|| dump_command::open(&settings, ring.clone())).transpose()?;
        (store, log, ring)
    } else {
        let ring = keys::open_read_only(&settings)?;
        let store = dump_command::open(&settings, ring.clone())?;
        let dir = settings.log_dir();
        let log = LocalLog::open_read_only(&dir).with_context(|| format!("open the log in {}", dir.display()))?;
        check_files(&log, &mut report)?;
        (Some(store), Arc::new(log), ring)
    };
    match args.receipt {
        Some(id) => receipt::verify(ReceiptId::from_uuid(id), store.as_ref(), &*log, &ring, &mut report)?,
        None => verify(store.as_ref(), &*log, &ring, &mut report)?,
    }
    Ok(if report.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verify(
    store: Option<&Store>,
    log: &dyn EventLog,
    ring: &Keyring,
    report: &mut Report<'_, impl Write>,
) -> anyhow::Result<()> {
    let ends = ends(store, log)?;
    let rows = from_steps(log, ring, &ends)?;
    let rebuilt = dump::of(&rows);
    let hash = rebuilt.hash();
    if let Some(store) = store {
        let stored =
            dump_command::of_store(store, |subject| ends.contains_key(&subject.partition(log.partitions())), |_| {})?;
        let (found, subjects, memories) = (stored.hash(), stored.subjects, stored.memories);
        report.line(true, &format!("store: {subjects} subjects, {memories} memories, hash {found}"))?;
        report.line(hash == found, &format!("folding the steps of `memories` again: hash {hash}"))?;
    } else {
        let (subjects, memories) = (rebuilt.subjects, rebuilt.memories);
        report.line(
            true,
            &format!("folding the steps of `memories`: {subjects} subjects, {memories} memories, hash {hash}"),
        )?;
    }
    match history::refold(log, ring, &ends, &consolidated(&rows))? {
        history::Refolded::Trimmed => {
            report.line(true, "folding `interactions` again: left out, the oldest of them were trimmed")?;
        }
        history::Refolded::Differs { differences, first } => {
            report
                .line(false, &format!("folding `interactions` again: {differences} windows differ, first {first}"))?;
        }
        history::Refolded::OtherFold { version, events } => {
            let told = "every event is in its window; what was decided is left out, since fold";
            report.line(
                true,
                &format!(
                    "folding {events} `interactions` again: {told} {version} did that and this is fold {FOLD_VERSION}"
                ),
            )?;
        }
        history::Refolded::Rows { rows, events } => {
            let refolded = dump::of(&rows).hash();
            report.line(refolded == hash, &format!("folding {events} `interactions` again: hash {refolded}"))?;
        }
    }
    let (sources, missing) = audit(&rows);
    report.line(missing == 0, &format!("provenance: {sources} sources of memories, {missing} missing"))
}

/// The partitions that are looked at, each up to where the store has read `memories`. A store on Kafka follows some
/// partitions only, and may hold what it read of others before; those are left out. Without a store: everything.
fn ends(store: Option<&Store>, log: &dyn EventLog) -> anyhow::Result<BTreeMap<Partition, Offset>> {
    let mut ends = BTreeMap::new();
    for partition in Partition::all(log.partitions()) {
        let range = log.watermarks(&Topic::Memories, partition)?;
        let end = match store {
            Some(store) => store.position(log.id(), &Topic::Memories, partition)?,
            None => range.high,
        };
        if end >= range.low && (end > Offset::FIRST || range.high == Offset::FIRST) {
            ends.insert(partition, end);
        }
    }
    Ok(ends)
}

fn check_files(log: &LocalLog, report: &mut Report<'_, impl Write>) -> anyhow::Result<()> {
    let checked = log.check().context("check the files of the log")?;
    for problem in &checked.problems {
        report.line(false, &format!("log: {problem}"))?;
    }
    let good = checked.problems.is_empty();
    report.line(good, &format!("log: {} files, {} records, {} bytes", checked.segments, checked.records, checked.bytes))
}

/// The rows that the steps give, those of them that count (law L05).
fn from_steps(
    log: &dyn EventLog,
    ring: &Keyring,
    ends: &BTreeMap<Partition, Offset>,
) -> anyhow::Result<BTreeMap<Handle, Rows>> {
    let mut subjects: BTreeMap<Handle, (Chain, Rows)> = BTreeMap::new();
    for (partition, end) in ends {
        each(log, &Topic::Memories, *partition, *end, |stored| {
            let record = Record::read(ring, stored)?;
            let (Some(link), Some(step)) = (record.link(), &record.step) else { return Ok(()) };
            let (chain, rows) = subjects.entry(step.subject).or_default();
            if chain.place(&link) == Place::Next {
                *chain = chain.then(&link);
                rows.apply(step)?;
            }
            Ok(())
        })?;
    }
    Ok(subjects.into_iter().map(|(subject, (_, rows))| (subject, rows)).collect())
}

/// How far each subject is consolidated.
fn consolidated(subjects: &BTreeMap<Handle, Rows>) -> BTreeMap<Handle, Seq> {
    subjects.iter().map(|(subject, rows)| (*subject, rows.bank().next())).collect()
}

/// INV-03: how many sources the memories name, and how many of those are not kept.
fn audit(subjects: &BTreeMap<Handle, Rows>) -> (u64, u64) {
    let (mut sources, mut missing) = (0, 0);
    for rows in subjects.values() {
        let kept: std::collections::BTreeSet<Seq> =
            rows.iter().filter_map(|row| if let Row::Source(turn) = row { Some(turn.seq) } else { None }).collect();
        for row in rows.iter() {
            let Row::Memory(memory) = row else { continue };
            missing += u64::from(memory.sources.is_empty());
            for source in &memory.sources {
                sources += 1;
                missing += u64::from(!kept.contains(&source.seq));
            }
        }
    }
    (sources, missing)
}
