//! Whether the process can serve, and which of its parts cannot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer of `GET /health/ready`: 200 when every part is ready, else 503.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    pub ready: bool,
    /// False while the disk is too full to take anything.
    pub writable: bool,
    pub parts: BTreeMap<String, PartView>,
}

/// One part of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PartView {
    /// starting, ready, draining or failed.
    #[schema(example = "ready")]
    pub state: String,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
