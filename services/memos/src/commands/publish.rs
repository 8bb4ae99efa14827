//! `memos publish`: a file of JSON lines through `POST /v1/interactions`.
//!
//! One request is in flight at a time, because the order of lines is the order of a conversation. A request is taken
//! whole or not at all, so a line that is refused costs its batch: what stands before it is sent again at once (it was
//! judged good), then what stands behind it. No line is judged more than twice, however many are bad.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use memos_client::{Client, ClientError, EventStatus, PublishResponse};
use serde_json::Value;

use crate::cli::PublishArgs;
use crate::commands::client;

mod lines;

use lines::{Line, Lines, Read as LineRead};

/// Bytes of one request: half of what a server takes by default, because JSON is written anew.
const BATCH_BYTES: usize = 512 * 1024;
/// Refused lines that are held to be reported in order.
const REFUSED_MAX: usize = 1000;
/// How long one request may wait until its events can be recalled.
const RECALLABLE_WITHIN: Duration = Duration::from_secs(10);

/// Publishes the file. The exit code is 1 when a line was refused or could not be waited for.
///
/// # Errors
/// When the file cannot be read, or the server not be reached; what was published before that stays published.
pub(crate) async fn run(args: &PublishArgs, out: &mut impl Write) -> anyhow::Result<ExitCode> {
    let (reader, bytes) = open(&args.file)?;
    let bar = progress(bytes);
    let mut publisher = Publisher {
        client: client(&args.server)?,
        name: args.file.display().to_string(),
        wait: args.wait.then_some(RECALLABLE_WITHIN),
        bar: bar.clone(),
        counts: Counts::default(),
        refused: Vec::new(),
    };
    let sent = publisher.publish(Lines::new(reader), usize::from(args.batch)).await;
    bar.finish_and_clear();
    let counts = publisher.counts;
    // The counts are told even after an error: they say how much of the file is in.
    writeln!(out, "{counts}")?;
    sent?;
    let whole = counts.refused == 0 && counts.late == 0;
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn open(path: &Path) -> anyhow::Result<(Box<dyn Read>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(std::io::stdin()), None));
    }
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let bytes = file.metadata().ok().filter(std::fs::Metadata::is_file).map(|data| data.len());
    Ok((Box::new(file), bytes))
}

/// A bar on a terminal; elsewhere nothing, because a log is no place for one.
fn progress(bytes: Option<u64>) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match bytes {
        Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {bytes}/{total_bytes} {msg} (eta {eta})"),
        None => (ProgressBar::new_spinner(), "{spinner} {bytes} {msg}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("the template is a constant that parses"))
}

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    accepted: u64,
    refused: u64,
    /// Accepted, but not recallable in time.
    late: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let several = |count: u64| if count == 1 { "" } else { "s" };
        write!(f, "published {} interaction{}", self.accepted, several(self.accepted))?;
        if self.refused > 0 {
            write!(f, ", refused {} line{}", self.refused, several(self.refused))?;
        }
        if self.late > 0 {
            write!(f, ", {} cannot be recalled yet", self.late)?;
        }
        Ok(())
    }
}

struct Publisher {
    client: Client,
    /// The file, as the user named it.
    name: String,
    wait: Option<Duration>,
    bar: ProgressBar,
    counts: Counts,
    /// Number and message of the refused lines since the last report. The server judges a batch after the lines behind
    /// it were read, and the report is in the order of the file all the same.
    refused: Vec<(u64, String)>,
}

impl Publisher {
    async fn publish(&mut self, mut lines: Lines<BufReader<Box<dyn Read>>>, batch_max: usize) -> anyhow::Result<()> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(read) = lines.next().with_context(|| format!("read {}", self.name))? {
            let more = match &read {
                LineRead::Line(line) => line.bytes,
                LineRead::Bad { .. } => 0,
            };
            let full = batch.len() == batch_max || (bytes + more > BATCH_BYTES && !batch.is_empty());
            if full || self.refused.len() >= REFUSED_MAX {
                self.send_and_report(std::mem::take(&mut batch)).await?;
                bytes = 0;
            }
            match read {
                LineRead::Line(line) => {
                    bytes += line.bytes;
                    batch.push(line);
                }
                LineRead::Bad { number, bytes, message } => self.refuse(number, bytes, None, &message),
            }
        }
        self.send_and_report(batch).await
    }

    async fn send_and_report(&mut self, batch: Vec<Line>) -> anyhow::Result<()> {
        let sent = self.send(batch).await;
        self.refused.sort_unstable();
        for (number, message) in std::mem::take(&mut self.refused) {
            let told = self.bar.suspend(|| writeln!(std::io::stderr(), "{}:{number}: {message}", self.name));
            // Nobody may be reading standard error any more; the count at the end still tells.
            drop(told);
        }
        sent
    }

    async fn send(&mut self, batch: Vec<Line>) -> anyhow::Result<()> {
        let mut open = VecDeque::from([batch]);
        while let Some(mut lines) = open.pop_front() {
            let (Some(first), Some(last)) = (lines.first(), lines.last()) else { continue };
            let numbers = (first.number, last.number);
            let values: Vec<&Value> = lines.iter().map(|line| &line.value).collect();
            match self.client.publish_with(&values, None, self.wait).await {
                Ok(response) => self.count(&response, &lines),
                Err(ClientError::Refused { index: Some(index), field, message, .. }) if index < lines.len() => {
                    let behind = lines.split_off(index + 1);
                    if let Some(bad) = lines.pop() {
                        self.refuse(bad.number, bad.bytes, field.as_deref(), &message);
                    }
                    open.push_front(behind);
                    open.push_front(lines);
                }
                // Too large for this server's settings: halves may fit, and a single line never will.
                Err(ClientError::Refused { status: 413, .. }) if lines.len() > 1 => {
                    let behind = lines.split_off(lines.len() / 2);
                    open.push_front(behind);
                    open.push_front(lines);
                }
                Err(ClientError::Refused { status: 413, message, .. }) => {
                    let bytes = lines.iter().map(|line| line.bytes).sum();
                    self.refuse(numbers.0, bytes, None, &message);
                }
                Err(error) => {
                    let lines = format!("publish lines {} to {} of {}", numbers.0, numbers.1, self.name);
                    return Err(error).context(lines);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, response: &PublishResponse, lines: &[Line]) {
        self.counts.accepted += response.results.len() as u64;
        if self.wait.is_some() {
            let late = response.results.iter().filter(|result| result.status != EventStatus::Recallable);
            self.counts.late += late.count() as u64;
        }
        self.bar.inc(lines.iter().map(|line| line.bytes as u64).sum());
        self.bar.set_message(self.counts.to_string());
    }

    fn refuse(&mut self, number: u64, bytes: usize, field: Option<&str>, message: &str) {
        self.counts.refused += 1;
        self.bar.inc(bytes as u64);
        let field = field.map(|field| format!("{field}: ")).unwrap_or_default();
        self.refused.push((number, format!("{field}{message}")));
    }
}
