//! Why JSON could not be read, without a word of it.

use std::fmt;

/// Where an answer stops being readable. What stands there is not told: serde quotes it, and it may be somebody's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    line: usize,
    column: usize,
}

impl Unreadable {
    pub(crate) fn of(error: &serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {} is not what belongs there", self.line, self.column)
    }
}

impl std::error::Error for Unreadable {}
