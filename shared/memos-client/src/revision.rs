//! The history of a memory on the wire.

use std::fmt;

use memory_core::memory::Revision;
use memory_core::{Memory, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a memory said in one of its versions.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevisionView {
    pub version: u32,
    pub text: String,
    /// When it stopped being current; null for the current version.
    #[serde(with = "crate::time::option")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
    /// The event that replaced it; null for the current version.
    pub changed_by: Option<String>,
}

/// The redacting form: which version it is, never what it says.
impl fmt::Debug for RevisionView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevisionView")
            .field("version", &self.version)
            .field("bytes", &self.text.len())
            .field("changed_by", &self.changed_by)
            .finish_non_exhaustive()
    }
}

impl RevisionView {
    /// The view of a former version.
    #[must_use]
    pub fn of(revision: &Revision) -> Self {
        Self {
            version: revision.version,
            text: revision.text.clone(),
            until: Some(revision.until),
            changed_by: Some(revision.changed_by.as_str().to_owned()),
        }
    }

    /// The view of the current version.
    #[must_use]
    pub fn current(memory: &Memory) -> Self {
        Self { version: memory.version, text: memory.text.clone(), until: None, changed_by: None }
    }
}
