//! Logs go to standard error, so that what a command prints can be piped. They have colours on a terminal only: in a
//! file or a collector the codes would stand between a search and the word it looks for.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line, for machines.
    Json,
}

/// What is logged, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// Which events are logged: a level, or a list like `info,gateway=debug`. Default: `info`, and of the web server's
    /// own lines only the warnings, because memos says itself where it listens.
    pub filter: String,
    /// `text` or `json`. Default: `text`.
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info,actix_server=warn".to_owned(), format: LogFormat::Text }
    }
}

/// The filter does not parse.
#[derive(Debug, thiserror::Error)]
#[error("`logging.filter` cannot be `{filter}`")]
pub struct InvalidFilter {
    filter: String,
    #[source]
    source: tracing_subscriber::filter::ParseError,
}

/// Begins to log. A second call in one process changes nothing.
///
/// # Errors
/// [`InvalidFilter`] when the filter does not parse.
pub fn init_logging(settings: &LogSettings) -> Result<(), InvalidFilter> {
    let filter = EnvFilter::try_new(&settings.filter)
        .map_err(|source| InvalidFilter { filter: settings.filter.clone(), source })?;
    // A line that cannot be written is dropped. Reporting that on standard error would panic where nobody reads it any
    // more, and the thread that logged would be gone: the one that stops the process, for instance.
    let mut builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).log_internal_errors(false);
    if !std::io::stderr().is_terminal() {
        builder = builder.with_ansi(false);
    }
    let begun = match settings.format {
        LogFormat::Text => builder.finish().try_init(),
        LogFormat::Json => builder.json().flatten_event(true).finish().try_init(),
    };
    // The only failure is that logging was set up before, which is what the caller wanted.
    drop(begun);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_parse_is_named() {
        let settings = LogSettings { filter: "gateway=loud".to_owned(), format: LogFormat::Json };
        let error = init_logging(&settings).expect_err("there is no such level");
        assert!(error.to_string().contains("gateway=loud"));
        assert!(init_logging(&LogSettings::default()).is_ok());
        assert!(init_logging(&LogSettings::default()).is_ok(), "twice is harmless");
    }
}
