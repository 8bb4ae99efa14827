//! The ready block of text for a prompt.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the model should know, within the token budget.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContextView {
    pub text: String,
    /// Counted as words and punctuation marks.
    pub tokens: usize,
    /// The ids of the events that the text comes from.
    pub sources: Vec<String>,
}

/// The redacting form: how long it is.
impl fmt::Debug for ContextView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextView")
            .field("bytes", &self.text.len())
            .field("tokens", &self.tokens)
            .field("sources", &self.sources.len())
            .finish_non_exhaustive()
    }
}
