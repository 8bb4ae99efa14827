//! The edge of memos: HTTP in front, inlets beside it, the log behind.
//!
//! The gateway owns nothing. What arrives is judged once ([`memory_core::Event::parse`]), appended, and acknowledged
//! when it is durable (law L01); what is asked is passed to recall. So it can be stopped at any moment and run any
//! number of times.
//!
//! The order of reading: `server` → `edge` (around every request) → `routes` (one file per family) → `append`;
//! and `inlets` for what arrives on topics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use event_log::EventLog;
use memory_core::HashSecret;
use memos_client::RecallApi;
use service_runtime::{Health, Metrics};

mod append;
mod auth;
mod body;
mod budget;
mod dead_letters;
mod edge;
mod inlets;
mod judge;
mod metrics;
mod openapi;
mod params;
mod problem;
mod routes;
mod server;
mod settings;
mod state;
mod wait;

pub use crate::inlets::{InletReader, Taken};
pub use crate::openapi::document;
pub use crate::problem::Code;
pub use crate::server::{Bound, Gateway};
pub use crate::settings::{InletSettings, KeySettings, LimitSettings, Settings};

/// What a gateway is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    pub log: Arc<dyn EventLog>,
    pub recall: Arc<dyn RecallApi>,
    pub secret: HashSecret,
    pub settings: Settings,
    pub health: Health,
    pub metrics: Metrics,
    /// False while the disk is nearly full: questions are answered, nothing is taken.
    pub writable: Arc<AtomicBool>,
}

/// Why a gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Everybody in the network could read and write everything.
    #[error(
        "refusing to listen on {listen} without API keys, because everybody who reaches it could read and change all \
         memories: set gateway.keys, or listen on 127.0.0.1"
    )]
    Exposed { listen: SocketAddr },
    /// A key in the settings is not one.
    #[error("the API key `{id}` in gateway.keys cannot be used: {reason}")]
    Key { id: String, reason: &'static str },
    /// A tenant in the settings is not one.
    #[error("`{name}` in {setting} cannot name a tenant: use 1 to 256 bytes without control characters")]
    Tenant { setting: &'static str, name: String },
    /// An inlet in the settings is not one.
    #[error("`{name}` in gateway.inlets cannot be read: {reason}")]
    Inlet { name: String, reason: String },
    /// The position of an inlet cannot be read.
    #[error("failed to find the position of an inlet")]
    Position(#[source] event_log::Error),
    /// The address is taken, or not of this machine.
    #[error("failed to listen on {listen}")]
    Listen {
        listen: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    /// The operating system starts no thread.
    #[error("failed to start the thread of the inlets")]
    Thread(#[source] std::io::Error),
}
