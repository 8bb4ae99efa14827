//! The ready block of text for a prompt.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the model should know, within the token budget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ContextView {
    pub text: String,
    /// Counted as words and punctuation marks.
    pub tokens: usize,
    /// The ids of the events that the text comes from.
    pub sources: Vec<String>,
}
