//! The gateway's settings: where it listens, who may speak to it, and how much of anything it takes.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use memos_client::InternalKey;
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
    /// The inlets to read, each bound to one tenant or with signatures. Default: none.
    pub inlets: Vec<InletSettings>,
    /// The keys that tenants sign with what they publish to inlets with signatures. Default: none.
    pub inlet_keys: Vec<InletKeySettings>,
    /// Where recall is, when it is not in this process.
    pub recall: RecallSettings,
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

/// One inlet: either with a tenant, or signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InletSettings {
    /// Its topic is `inlet.NAME`.
    pub name: String,
    /// Whose events it carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Each of its records says whose it is and proves it by a signature. Default: false.
    #[serde(default)]
    pub signed: bool,
}

/// A key of a tenant for signing. The secret itself never stands in the settings; it is read from the file or from the
/// environment variable, one of which is named.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InletKeySettings {
    /// Whose records it signs.
    pub tenant: String,
    /// What the records call it; unique among the tenant's keys.
    pub id: String,
    /// A file that holds the secret: 32 to 1,024 visible ASCII characters. White space around it is not part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_file: Option<PathBuf>,
    /// The name of an environment variable that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_env: Option<String>,
}

impl InletSettings {
    /// An inlet that carries this tenant's events.
    #[must_use]
    pub fn bound(name: &str, tenant: &str) -> Self {
        Self { name: name.to_owned(), tenant: Some(tenant.to_owned()), signed: false }
    }

    /// An inlet with signatures.
    #[must_use]
    pub fn signed(name: &str) -> Self {
        Self { name: name.to_owned(), tenant: None, signed: true }
    }
}

/// The instances of recall, and how they are asked. The embedded memos has recall in its own process and looks at none
/// of this.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecallSettings {
    /// The address of every instance, in the order of their ordinals; the same list for all gateways. Default: none.
    pub urls: Vec<String>,
    /// How many instances hold each partition; the same as theirs. Default: 1.
    pub replication_factor: u32,
    /// The key that makes recall believe this gateway; empty for none. The file is the better place. Default: none.
    pub internal_key: InternalKey,
    /// A file that holds the key; empty for none. Default: none.
    pub internal_key_file: PathBuf,
    /// Milliseconds that connecting to an instance may take. Default: 500.
    pub connect_timeout_ms: u64,
    /// Milliseconds after which the next instance is asked. Default: 1,000.
    pub attempt_timeout_ms: u64,
    /// Milliseconds for which an instance that did not answer is passed over; after each further failure twice as long,
    /// up to eight times. Default: 1,000.
    pub skip_ms: u64,
}

impl Default for RecallSettings {
    fn default() -> Self {
        Self {
            urls: Vec::new(),
            replication_factor: 1,
            internal_key: InternalKey::default(),
            internal_key_file: PathBuf::new(),
            connect_timeout_ms: 500,
            attempt_timeout_ms: 1_000,
            skip_ms: 1_000,
        }
    }
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
            inlet_keys: Vec::new(),
            recall: RecallSettings::default(),
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
