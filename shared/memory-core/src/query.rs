//! A question to a subject's memory.

use crate::filter::Filter;
use crate::memory::Kind;
use crate::time::Timestamp;

/// What is asked, and what an answer may contain. Scores are 0..=1000.
#[derive(Clone, Debug)]
pub struct Query {
    /// The question in words. An empty one asks for what is recent and salient.
    pub text: String,
    /// The most results wanted.
    pub limit: usize,
    pub min_score: u16,
    /// Kinds of memory wanted; empty means all.
    pub kinds: Vec<Kind>,
    pub filter: Option<Filter>,
    pub agent_id: Option<String>,
    pub session_id: Option<String>,
    /// Only what was true at this time.
    pub valid_at: Option<Timestamp>,
    /// Whether turns that are not consolidated yet are wanted.
    pub include_working_memory: bool,
}

impl Query {
    /// A question without any condition.
    #[must_use]
    pub fn new(text: impl Into<String>, limit: usize) -> Self {
        Self {
            text: text.into(),
            limit,
            min_score: 0,
            kinds: Vec::new(),
            filter: None,
            agent_id: None,
            session_id: None,
            valid_at: None,
            include_working_memory: true,
        }
    }
}
