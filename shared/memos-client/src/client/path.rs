//! Whose memory a route is about, and what a list of memories is narrowed by.

use std::fmt;

use memory_core::Kind;
use serde_json::Value;

/// The owner in a route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Owner<'a> {
    User(&'a str),
    Agent(&'a str),
    Session(&'a str),
}

/// The redacting form: who it is stays out of logs.
impl fmt::Debug for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Owner({}, redacted)", self.collection())
    }
}

impl<'a> Owner<'a> {
    pub(crate) const fn collection(self) -> &'static str {
        match self {
            Self::User(_) => "users",
            Self::Agent(_) => "agents",
            Self::Session(_) => "sessions",
        }
    }

    pub(crate) const fn id(self) -> &'a str {
        match self {
            Self::User(id) | Self::Agent(id) | Self::Session(id) => id,
        }
    }
}

/// Which memories to list; the default is the first page of all active ones.
#[derive(Clone, Default, PartialEq)]
pub struct MemoriesQuery {
    /// 1 to 200; the server's default when `None`.
    pub limit: Option<usize>,
    /// The `next` of the page before.
    pub cursor: Option<String>,
    pub kinds: Vec<Kind>,
    pub filters: Option<Value>,
    pub include_inactive: bool,
}

/// The redacting form: how much is asked for.
impl fmt::Debug for MemoriesQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoriesQuery")
            .field("limit", &self.limit)
            .field("kinds", &self.kinds)
            .field("filtered", &self.filters.is_some())
            .field("include_inactive", &self.include_inactive)
            .finish_non_exhaustive()
    }
}

impl MemoriesQuery {
    pub(crate) fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if let Some(limit) = self.limit {
            pairs.push(("limit", limit.to_string()));
        }
        if let Some(cursor) = &self.cursor {
            pairs.push(("cursor", cursor.clone()));
        }
        if !self.kinds.is_empty() {
            let kinds: Vec<&str> = self.kinds.iter().map(|kind| kind.as_str()).collect();
            pairs.push(("kind", kinds.join(",")));
        }
        if let Some(filters) = &self.filters {
            pairs.push(("filters", filters.to_string()));
        }
        if self.include_inactive {
            pairs.push(("include_inactive", "true".to_owned()));
        }
        pairs
    }
}
