//! The edge of memos: HTTP in front, inlets beside it, the log behind.
//!
//! The gateway owns nothing. What arrives is judged once ([`memory_core::Event::parse`]), appended, and acknowledged
//! when it is durable (law L01); what is asked is passed to recall. So it can be stopped at any moment and run any
//! number of times.
//!
//! Recall is in the same process, or [`Routed`]: several instances over HTTP, each with some of the partitions.
//!
//! The order of reading: `server` → `edge` (around every request) → `routes` (one file per family) → `append`;
//! and `inlets` for what arrives on topics.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use event_log::EventLog;
use keyring::Keyring;
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
mod routed;
mod routes;
mod sealing;
mod server;
mod settings;
mod state;
mod wait;

pub use crate::inlets::keys::KeyError;
pub use crate::inlets::{INLET_GROUP, InletError, InletOwnership, InletReader, Taken};
pub use crate::openapi::document;
pub use crate::problem::Code;
pub use crate::routed::{Routed, RoutedParts};
pub use crate::server::{Bound, Gateway};
pub use crate::settings::{InletKeySettings, InletSettings, KeySettings, LimitSettings, RecallSettings, Settings};

/// What a gateway is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    pub log: Arc<dyn EventLog>,
    pub recall: Arc<dyn RecallApi>,
    pub secret: HashSecret,
    /// What is published is sealed with its keys.
    pub ring: Keyring,
    /// Whether the inlets lie on this machine's disk, as they do in the embedded log: then what is posted to them is sealed
    /// too. In Kafka they are their producers' own topics.
    pub seal_inlets: bool,
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
    #[error("{setting} cannot name a tenant: use 1 to 256 bytes without control characters")]
    Tenant { setting: &'static str },
    /// An inlet in the settings is not one.
    #[error("`{name}` in gateway.inlets cannot be read: {reason}")]
    Inlet { name: String, reason: String },
    /// A key for signatures in the settings is not one.
    #[error("the key `{id}`, number {index} in gateway.inlet_keys, cannot be used")]
    InletKey {
        /// Counted from 0.
        index: usize,
        id: String,
        #[source]
        source: KeyError,
    },
    /// The instances of recall in the settings are none.
    #[error("gateway.recall.urls and gateway.recall.replication_factor do not fit: {reason}")]
    Recall { reason: String },
    #[error("gateway.recall.urls names an instance that cannot be asked")]
    RecallAddress(#[source] memos_client::ClientError),
    #[error("gateway.recall.internal_key cannot be used")]
    RecallKey(#[source] memos_client::InternalKeyError),
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
