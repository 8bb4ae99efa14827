//! The flags.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

/// Which server, and as whom.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerArgs {
    /// The address of memos; only this machine is taken.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8888")]
    pub(crate) url: String,
    /// The API key, where memos wants one.
    #[arg(long, value_name = "KEY", env = "MEMOS_API_KEY", hide_env_values = true)]
    pub(crate) api_key: Option<String>,
}

/// Flags of `run`.
#[derive(Args, Clone, Debug)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Interactions per second.
    #[arg(long, value_name = "COUNT", default_value_t = 5000)]
    pub(crate) rate: u64,
    /// Interactions in one request.
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) batch: u64,
    /// Queries per second; 0 asks nothing.
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    pub(crate) queries: u64,
    /// Single interactions per second that are followed until they can be recalled; 0 follows none. Their latency is the
    /// time from the event to the moment in which a question would find it.
    #[arg(long, value_name = "COUNT", default_value_t = 20)]
    pub(crate) followed: u64,
    /// How long is measured.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) duration: Duration,
    /// How long the same load runs before that without being measured.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) warmup: Duration,
    /// Users who are published for.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) users: u64,
    /// Users who are asked about: the first of them, which are those that `preload` filled.
    #[arg(long, value_name = "COUNT")]
    pub(crate) query_users: Option<u64>,
    /// Requests of each kind that may be in flight; what would be more counts as an error.
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    pub(crate) concurrency: usize,
    /// Everything random comes from this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Acknowledged interactions that are looked up at the end.
    #[arg(long, value_name = "COUNT", default_value_t = 20_000)]
    pub(crate) check: usize,
    /// Look up all of them.
    #[arg(long, conflicts_with = "check")]
    pub(crate) check_all: bool,
    /// Users whose memories are searched for doubles.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) check_users: u64,
    /// How long everything acknowledged may take to be recallable.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) recallable_within: Duration,
    /// How long everything may then take to be decided (kept, merged or not kept).
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(crate) decided_within: Duration,
    /// The server's process, to watch its memory; may be repeated where memos is several, which are added up.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
    /// Fail below this many acknowledged interactions per second.
    #[arg(long, value_name = "COUNT")]
    pub(crate) expect_rate: Option<f64>,
    /// Fail when the 99th percentile of publishing is above.
    #[arg(long, value_name = "MS")]
    pub(crate) expect_publish_p99_ms: Option<f64>,
    /// Fail when the 99th percentile of recall is above.
    #[arg(long, value_name = "MS")]
    pub(crate) expect_recall_p99_ms: Option<f64>,
    /// Fail when the 99th percentile of the time until an event can be recalled is above.
    #[arg(long, value_name = "MS")]
    pub(crate) expect_recallable_p99_ms: Option<f64>,
    /// Fail when the server's memory was ever above.
    #[arg(long, value_name = "MB", requires = "pid")]
    pub(crate) expect_rss_mb: Option<f64>,
}

/// Flags of `preload`.
#[derive(Args, Clone, Debug)]
pub(crate) struct PreloadArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Users to fill.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub(crate) users: u64,
    /// Interactions for each of them; nearly all become a memory of their own.
    #[arg(long, value_name = "COUNT", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) memories: u64,
    /// Interactions in one request.
    #[arg(long, value_name = "COUNT", default_value_t = 250, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) batch: u64,
    /// Everything random comes from this number.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Flags of `quality`.
#[derive(Args, Clone, Debug)]
pub(crate) struct QualityArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Conversations with questions, in LoCoMo's format (load-tests/README.md says what else is read); may be repeated.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) data: Vec<PathBuf>,
    /// Only these conversations.
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    pub(crate) conversations: Vec<String>,
    /// Only memories of these kinds.
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub(crate) kinds: Vec<String>,
    /// What users and events are called with. The same data goes in again only under another name.
    #[arg(long, value_name = "NAME", default_value = "quality")]
    pub(crate) tag: String,
    /// Where the rankings go: a line of JSON for each question.
    #[arg(long, value_name = "FILE")]
    pub(crate) run: Option<PathBuf>,
    /// Where the report goes, besides standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// What the server is set to, as it shall stand in the report.
    #[arg(long, value_name = "TEXT")]
    pub(crate) configuration: Option<String>,
    /// Only the words-only baseline, without a server.
    #[arg(long)]
    pub(crate) baseline_only: bool,
    /// How long everything may take to be decided (kept, merged or not kept).
    #[arg(long, value_name = "TIME", default_value = "120s", value_parser = duration)]
    pub(crate) decided_within: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 = digits.parse().map_err(|_| format!("`{text}` is not a time such as 500ms, 60s or 5m"))?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "s" | "" => number,
        "m" => number * 60.0,
        unit => return Err(format!("`{unit}` is not ms, s or m")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("60s"), Ok(Duration::from_secs(60)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert!(duration("5h").is_err() && duration("s").is_err() && duration("-1s").is_err());
    }
}
