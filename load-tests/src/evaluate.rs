//! `quality`: the run and its report. What is measured, and how, stands in [`crate::quality`].

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use serde_json::json;

use crate::args::QualityArgs;
use crate::machine::Machine;
use crate::quality::baseline;
use crate::quality::data::{self, Conversation};
use crate::quality::product::{Asked, Ingested, Product};
use crate::quality::score::{self, BUDGETS, Scored, Summary, UNANSWERABLE};
use crate::target;

/// What LoCoMo's numbers of categories mean.
const CATEGORIES: [(&str, &str); 5] =
    [("1", "multi-hop"), ("2", "temporal"), ("3", "open-domain"), ("4", "single-hop"), ("5", "no answer")];

/// One conversation with everything that was found.
struct Evaluated {
    conversation: Conversation,
    ingested: Ingested,
    /// `None` with the baseline only.
    memos: Option<Asked>,
    baseline: Asked,
}

/// Publishes, asks, scores, and writes what was asked for.
pub(crate) fn run(args: &QualityArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("start a runtime")?;
    let evaluated = runtime.block_on(evaluate(args))?;
    if let Some(path) = &args.run {
        write_run(path, &evaluated).with_context(|| format!("write {}", path.display()))?;
    }
    let mut report = Vec::new();
    print(args, &evaluated, &mut report)?;
    if let Some(path) = &args.report {
        std::fs::write(path, &report).with_context(|| format!("write {}", path.display()))?;
    }
    std::io::stdout().lock().write_all(&report)?;
    let missing: usize = evaluated.iter().map(|one| one.ingested.missing).sum();
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn evaluate(args: &QualityArgs) -> anyhow::Result<Vec<Evaluated>> {
    let mut conversations = Vec::new();
    for path in &args.data {
        conversations.extend(data::read(path)?);
    }
    let wanted = &args.conversations;
    conversations.retain(|one| wanted.is_empty() || wanted.contains(&one.id));
    ensure!(conversations.iter().any(|one| !one.questions.is_empty()), "there is no question in the data");
    let client = target::patient(&args.server)?;
    let product = Product { client, tag: args.tag.clone(), kinds: args.kinds.clone() };
    let mut evaluated = Vec::new();
    for conversation in conversations {
        let baseline = Asked { found: baseline::bm25(&conversation), ..Asked::default() };
        let (ingested, memos) = if args.baseline_only {
            (Ingested::default(), None)
        } else {
            let ingested = product.ingest(&conversation, args.decided_within).await?;
            (ingested, Some(product.ask(&conversation).await?))
        };
        evaluated.push(Evaluated { conversation, ingested, memos, baseline });
    }
    Ok(evaluated)
}

impl Evaluated {
    fn scored(&self) -> Option<Vec<Scored>> {
        self.memos.as_ref().map(|asked| score::score(&self.conversation, &asked.found))
    }

    fn scored_baseline(&self) -> Vec<Scored> {
        score::score(&self.conversation, &self.baseline.found)
    }

    /// The best scores of questions with an answer, or of those without.
    fn best(&self, answerable: bool) -> Vec<f64> {
        let questions = self.conversation.questions.iter();
        let wanted = questions.filter(|question| (question.category != UNANSWERABLE) == answerable);
        let found = |index: usize| self.memos.as_ref().and_then(|asked| asked.found.get(&index));
        wanted.filter_map(|question| found(question.index)).map(|found| found.best.unwrap_or_default()).collect()
    }
}

/// The rankings, as scorers read them: best first, a line for each question.
fn write_run(path: &Path, evaluated: &[Evaluated]) -> anyhow::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for one in evaluated {
        for (index, found) in &one.memos.as_ref().unwrap_or(&one.baseline).found {
            let contexts = BUDGETS.iter().map(usize::to_string).zip(found.contexts.iter().map(|ids| json!(ids)));
            let line = json!({
                "conv_id": one.conversation.id, "qi": index, "ranked": found.ranked, "best": found.best,
                "context": contexts.collect::<serde_json::Map<_, _>>(),
            });
            writeln!(file, "{line}")?;
        }
    }
    Ok(file.flush()?)
}

fn print(args: &QualityArgs, evaluated: &[Evaluated], out: &mut impl Write) -> anyhow::Result<()> {
    let count = |of: &dyn Fn(&Evaluated) -> usize| evaluated.iter().map(of).sum::<usize>();
    writeln!(out, "{}", Machine::here())?;
    writeln!(
        out,
        "data         {} conversations, {} turns, {} questions",
        evaluated.len(),
        count(&|one| one.conversation.turns.len()),
        count(&|one| one.conversation.questions.len())
    )?;
    if !args.baseline_only {
        writeln!(out, "memos        {}", args.configuration.as_deref().unwrap_or("as it is set"))?;
        writeln!(
            out,
            "turns        {} published: {} kept, {} merged, {} not kept, {} missing",
            count(&|one| one.ingested.turns),
            count(&|one| one.ingested.kept),
            count(&|one| one.ingested.merged),
            count(&|one| one.ingested.not_kept),
            count(&|one| one.ingested.missing)
        )?;
    }
    let baseline: Vec<Scored> = evaluated.iter().flat_map(Evaluated::scored_baseline).collect();
    let memos: Option<Vec<Scored>> =
        evaluated.iter().map(Evaluated::scored).collect::<Option<Vec<_>>>().map(|all| all.concat());
    writeln!(out)?;
    tables(out, memos.as_deref(), &baseline)?;
    if memos.is_some() {
        writeln!(out)?;
        separation(out, evaluated)?;
        writeln!(out)?;
        latency(out, evaluated)?;
    }
    Ok(())
}

/// Everything, by category, by conversation.
fn tables(out: &mut impl Write, memos: Option<&[Scored]>, baseline: &[Scored]) -> std::io::Result<()> {
    let [small, middle, large] = BUDGETS;
    writeln!(
        out,
        "percent                         n     R@1    R@5   R@10   R@20   R@50 all@10    MRR | gold in {small:<6} {middle:<6} {large:<6}| block {small:<6} {middle:<6} {large:<6}"
    )?;
    let mut group = |name: &str, wanted: &dyn Fn(&Scored) -> bool| -> std::io::Result<()> {
        let summary = |all: &[Scored]| Summary::of(all.iter().filter(|one| wanted(one)));
        if summary(baseline).questions == 0 {
            return Ok(());
        }
        if let Some(memos) = memos {
            row(out, &format!("memos {name}"), &summary(memos), true)?;
        }
        row(out, &format!("bm25  {name}"), &summary(baseline), false)
    };
    group("overall", &|one| one.category != UNANSWERABLE)?;
    for (category, name) in CATEGORIES {
        group(&format!("{category} {name}"), &|one| one.category == category)?;
    }
    let mut names: Vec<&str> = baseline.iter().map(|one| one.conversation.as_str()).collect();
    names.dedup();
    for name in names {
        group(name, &|one| one.conversation == name && one.category != UNANSWERABLE)?;
    }
    Ok(())
}

fn row(out: &mut impl Write, name: &str, summary: &Summary, blocks: bool) -> std::io::Result<()> {
    let Summary { questions, recall_at_1, recall_at_5, recall_at_10, recall_at_20, recall_at_50, .. } = summary;
    let Summary { all_at_10, mrr, gold: [g0, g1, g2], context: [c0, c1, c2], .. } = summary;
    write!(out, "{name:26} {questions:>6}  {recall_at_1:>6.2} {recall_at_5:>6.2} {recall_at_10:>6.2} ")?;
    write!(out, "{recall_at_20:>6.2} {recall_at_50:>6.2} {all_at_10:>6.2} {mrr:>6.2} ")?;
    write!(out, "|         {g0:>6.2} {g1:>6.2} {g2:>6.2}|")?;
    if blocks { writeln!(out, "       {c0:>6.2} {c1:>6.2} {c2:>6.2}") } else { writeln!(out) }
}

fn separation(out: &mut impl Write, evaluated: &[Evaluated]) -> std::io::Result<()> {
    let best = |answerable| evaluated.iter().flat_map(|one| one.best(answerable)).collect::<Vec<f64>>();
    let (mut yes, mut no) = (best(true), best(false));
    let Some(separation) = score::separation(&yes, &no) else { return Ok(()) };
    let median = |scores: &mut Vec<f64>| {
        scores.sort_by(f64::total_cmp);
        scores[scores.len() / 2]
    };
    let (with, without) = (median(&mut yes), median(&mut no));
    writeln!(
        out,
        "best score   {with:.2} in the middle with an answer, {without:.2} without; in the right order {:.0} % of the time",
        100.0 * separation
    )
}

fn latency(out: &mut impl Write, evaluated: &[Evaluated]) -> anyhow::Result<()> {
    writeln!(
        out,
        "latency                         p50       p90       p99       max   seen by the client, one question at a time"
    )?;
    let of = |pick: &dyn Fn(&Asked) -> &Vec<Duration>| -> anyhow::Result<Histogram<u64>> {
        let mut histogram = Histogram::new(3).context("make a histogram")?;
        for took in evaluated.iter().filter_map(|one| one.memos.as_ref()).flat_map(pick) {
            histogram.record(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)).context("note a latency")?;
        }
        Ok(histogram)
    };
    for (name, histogram) in
        [("10 results", of(&|asked| &asked.usual)?), ("200 results, explained", of(&|asked| &asked.full)?)]
    {
        let at = |micros: u64| Duration::from_micros(micros).as_secs_f64() * 1000.0;
        let quantile = |share| at(histogram.value_at_quantile(share));
        let (p50, p90, p99, max) = (quantile(0.5), quantile(0.9), quantile(0.99), at(histogram.max()));
        writeln!(out, "{name:24} {p50:>7.2} ms {p90:>6.2} ms {p99:>6.2} ms {max:>6.2} ms")?;
    }
    Ok(())
}
