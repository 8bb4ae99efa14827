//! Recall's own HTTP server: the port of the gateway between processes, health, and metrics.
//!
//! Whoever is let in may name any tenant, because the gateway does (law L08). So `/internal` takes nobody without the
//! internal key; without one in the settings it trusts this machine only: it refuses to listen beyond loopback, and it
//! refuses requests for another host's name, which is how a page in a browser would reach it.
//!
//! Everything is bounded before it is read: the body, the time it may take, and the questions and waits at a time.
//! What is too much is turned away at once; the gateway has another instance to ask.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use memos_client::internal::{InternalKey, InternalKeyError};
use serde::{Deserialize, Serialize};

use crate::api::Recall;

mod door;
mod health;
mod refusal;
mod routes;

use door::Door;

/// How long an idle connection is kept. Longer than the gateway keeps it (`memos_client::remote`), so that it is never
/// the server that closes a connection at the moment in which a question is sent on it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// The settings of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerSettings {
    /// Where to listen. Without an internal key only loopback is allowed. Default: 127.0.0.1:8889.
    pub listen: SocketAddr,
    /// Threads that answer; each has its own event loop. Default: 2.
    pub workers: usize,
    /// The key that gateways send; empty for none. The file is the better place. Default: none.
    pub internal_key: InternalKey,
    /// A file that holds the key; empty for none. Default: none.
    pub internal_key_file: PathBuf,
    /// Bytes of one request's body. Default: 1 MiB.
    pub body_bytes: usize,
    /// Questions that are worked on at a time. Default: 256.
    pub questions: usize,
    /// Requests that wait for a position at a time. Default: 4,096.
    pub waits: usize,
    /// Connections of one worker. Default: 8,192.
    pub connections: usize,
    /// Milliseconds that a request's headers may take. Default: 5,000.
    pub header_timeout_ms: u64,
    /// Milliseconds that a request's body may take. Default: 5,000.
    pub body_timeout_ms: u64,
    /// The most milliseconds that a request may wait for a position. Default: 30,000.
    pub wait_timeout_ms: u64,
    /// Seconds that open requests get at shutdown. Default: 10.
    pub shutdown_seconds: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8889)),
            workers: 2,
            internal_key: InternalKey::default(),
            internal_key_file: PathBuf::new(),
            body_bytes: 1 << 20,
            questions: 256,
            waits: 4_096,
            connections: 8_192,
            header_timeout_ms: 5_000,
            body_timeout_ms: 5_000,
            wait_timeout_ms: 30_000,
            shutdown_seconds: 10,
        }
    }
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Everybody in the network could read every tenant's memories.
    #[error(
        "refusing to listen on {listen} without an internal key, because everybody who reaches it could read all \
         memories: set an internal key, the same for the gateways, or listen on 127.0.0.1"
    )]
    Exposed { listen: SocketAddr },
    #[error("the internal key cannot be used")]
    Key(#[from] InternalKeyError),
    #[error("failed to listen on {listen}")]
    Listen {
        listen: SocketAddr,
        #[source]
        source: std::io::Error,
    },
}

/// A server that listens, and answers as soon as it is awaited.
pub struct Bound {
    /// Await it. Its handle stops it; open requests are finished first.
    pub server: Server,
    /// Where it listens: with port 0 in the settings, the port that was free.
    pub addresses: Vec<SocketAddr>,
}

impl fmt::Debug for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bound").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

/// Binds the address and starts the workers. Signals are the process's business and not caught here. It may listen
/// before recall serves: until then it says so.
///
/// # Errors
/// [`StartError`]: above all [`StartError::Exposed`] when it would listen beyond loopback without a key.
pub fn bind(recall: &Recall, settings: &ServerSettings) -> Result<Bound, StartError> {
    let key = settings.internal_key.resolve(&settings.internal_key_file)?;
    let listen = settings.listen;
    if key.is_none() && !listen.ip().is_loopback() {
        return Err(StartError::Exposed { listen });
    }
    let door = Data::new(Door::new(recall.clone(), settings, key.as_ref()));
    let app = move || {
        let door = Data::clone(&door);
        App::new().configure(|config| routes::register(config, door)).wrap(from_fn(door::enter))
    };
    let server = HttpServer::new(app)
        .workers(settings.workers.max(1))
        .max_connections(settings.connections)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(Duration::from_millis(settings.header_timeout_ms))
        .shutdown_timeout(settings.shutdown_seconds)
        .disable_signals()
        .bind(listen)
        .map_err(|source| StartError::Listen { listen, source })?;
    let addresses = server.addrs();
    tracing::info!(?addresses, "recall listens");
    Ok(Bound { server: server.run(), addresses })
}
