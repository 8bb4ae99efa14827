//! Putting it together: the listening server and the thread of the inlets share one state.

use std::fmt;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use event_log::InletName;
use event_log::ownership::{All, Ownership};
use service_runtime::{State as PartState, Stop};

use crate::inlets::{self, InletOwnership, InletReader};
use crate::state::State;
use crate::{Parts, StartError, edge, routes};

/// How long an idle connection is kept. Longer than our client keeps it (`memos_client`), so that it is never the server
/// that closes a connection at the moment in which a request is sent on it.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A gateway whose settings were checked and which does nothing yet.
#[derive(Clone, Debug)]
pub struct Gateway {
    state: Data<State>,
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

impl Gateway {
    /// Checks the settings and declares the metrics; to be called once for a registry.
    ///
    /// # Errors
    /// [`StartError`]: above all [`StartError::Exposed`] when it would listen beyond loopback without keys.
    pub fn new(parts: &Parts) -> Result<Self, StartError> {
        Ok(Self { state: Data::new(State::new(parts)?) })
    }

    /// Binds the address and starts the workers. Signals are the process's business and not caught here.
    ///
    /// # Errors
    /// [`StartError::Listen`].
    pub fn server(&self) -> Result<Bound, StartError> {
        let state = Data::clone(&self.state);
        let settings = &self.state.settings;
        let limits = &settings.limits;
        let listen = settings.listen;
        let app = move || {
            let state = Data::clone(&state);
            App::new().configure(|config| routes::register(config, state)).wrap(from_fn(edge::edge))
        };
        let server = HttpServer::new(app)
            .workers(settings.workers.max(1))
            .max_connections(limits.connections)
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(limits.header_timeout())
            .shutdown_timeout(limits.shutdown_seconds)
            .disable_signals()
            .bind(listen)
            .map_err(|source| StartError::Listen { listen, source })?;
        let addresses = server.addrs();
        self.state.health.set("gateway", PartState::Ready);
        tracing::info!(?addresses, "listening");
        Ok(Bound { server: server.run(), addresses })
    }

    /// The inlets that the settings name, which somebody must own for them to be read.
    pub fn inlets(&self) -> impl Iterator<Item = &InletName> {
        self.state.bindings.names()
    }

    /// Ownership of all partitions of all inlets, for a gateway that is the only one.
    #[must_use]
    pub fn all_inlets(&self) -> InletOwnership {
        let all = |inlet: &InletName| {
            let owner: Box<dyn Ownership> = Box::new(All::of(self.state.log.as_ref()));
            (inlet.clone(), owner)
        };
        self.inlets().map(all).collect()
    }

    /// A reader of the inlets for whoever wants to step through them; [`Gateway::inlet_worker`] does it on a thread.
    ///
    /// # Errors
    /// [`StartError::Inlet`] when `ownership` leaves one of them out, or has another.
    pub fn inlet_reader(&self, ownership: InletOwnership) -> Result<InletReader, StartError> {
        let refused = |name: &InletName, reason: &str| {
            Err(StartError::Inlet { name: name.to_string(), reason: reason.to_owned() })
        };
        if let Some(name) = self.inlets().find(|&name| !ownership.contains_key(name)) {
            return refused(name, "nobody says which of its partitions are read");
        }
        if let Some(name) = ownership.keys().find(|&name| self.state.bindings.binding(name).is_none()) {
            return refused(name, "it is not in the settings");
        }
        Ok(InletReader::new(Data::clone(&self.state).into_inner(), ownership))
    }

    /// Starts the thread that reads what `ownership` says of the inlets, until `stop`.
    ///
    /// # Errors
    /// [`StartError::Inlet`], [`StartError::Thread`].
    pub fn inlet_worker(&self, ownership: InletOwnership, stop: Stop) -> Result<JoinHandle<()>, StartError> {
        let reader = self.inlet_reader(ownership)?;
        let health = self.state.health.clone();
        health.set("gateway-inlets", PartState::Ready);
        let run = move || inlets::worker::run(reader, &health, &stop);
        std::thread::Builder::new().name("inlets".to_owned()).spawn(run).map_err(StartError::Thread)
    }
}
