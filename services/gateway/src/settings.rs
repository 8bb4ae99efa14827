//! The gateway's settings: where it listens, who may speak to it, and how much of anything it takes.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// All settings of the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where to listen. Without keys only loopback is allowed. Default: 127.0.0.1:8888.
    pub listen: SocketAddr,
    /// Threads that serve requests; each has its own event loop. Default: 2.
    pub workers: usize,
    /// The tenant of every request while there are no keys. Default: default.
    pub tenant: String,
    /// API keys. With at least one, every request to `/v1` needs one. Default: none.
    pub keys: Vec<KeySettings>,
    /// The inlets to read, each bound to one tenant. Default: none.
    pub inlets: Vec<InletSettings>,
    pub limits: LimitSettings,
}

/// One API key. The credential is `ID.SECRET`; only the secret's hash stands here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeySettings {
    /// The part before the first dot.
    pub id: String,
    /// Whose requests they are.
    pub tenant: String,
    /// BLAKE3 of the secret, 64 hexadecimal digits. The secret must be random: a fast hash protects no password.
    pub hash: String,
}

/// One inlet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InletSettings {
    /// Its topic is `inlet.NAME`.
    pub name: String,
    /// Whose events it carries.
    pub tenant: String,
}

/// How much is taken. What is over a limit is refused; nothing grows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Bytes of one request's body. Default: 1 MiB.
    pub body_bytes: usize,
    /// Interactions of one request, and records of one post to an inlet. Default: 1,000.
    pub interactions: usize,
    /// Bytes of all bodies that are being worked on. Default: 64 MiB.
    pub in_flight_bytes: usize,
    /// Objects and lists inside each other. Default: 32.
    pub json_depth: usize,
    /// Connections of one worker. Default: 2,048.
    pub connections: usize,
    /// Milliseconds that a client may take for its request's headers. Default: 5,000.
    pub header_timeout_ms: u64,
    /// Milliseconds that a client may take for its request's body. Default: 10,000.
    pub body_timeout_ms: u64,
    /// Milliseconds that a question may take. Default: 5,000.
    pub query_timeout_ms: u64,
    /// The most milliseconds that a request may wait for its events to be recallable. Default: 30,000.
    pub wait_timeout_ms: u64,
    /// Seconds that open requests get at shutdown. Default: 10.
    pub shutdown_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8888)),
            workers: 2,
            tenant: "default".to_owned(),
            keys: Vec::new(),
            inlets: Vec::new(),
            limits: LimitSettings::default(),
        }
    }
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            interactions: 1_000,
            in_flight_bytes: 64 << 20,
            json_depth: 32,
            connections: 2_048,
            header_timeout_ms: 5_000,
            body_timeout_ms: 10_000,
            query_timeout_ms: 5_000,
            wait_timeout_ms: 30_000,
            shutdown_seconds: 10,
        }
    }
}

impl LimitSettings {
    pub(crate) const fn header_timeout(&self) -> Duration {
        Duration::from_millis(self.header_timeout_ms)
    }

    pub(crate) const fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(crate) const fn query_timeout(&self) -> Duration {
        Duration::from_millis(self.query_timeout_ms)
    }

    pub(crate) const fn wait_timeout(&self) -> Duration {
        Duration::from_millis(self.wait_timeout_ms)
    }
}
