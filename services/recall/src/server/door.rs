//! Who is let in, and how many at a time.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::rt::time::timeout;
use actix_web::web::{Data, Payload};
use actix_web::{Error, HttpRequest};
use memory_core::TenantId;
use memos_client::internal::{InternalKey, KEY_HEADER, TENANT_HEADER, decode_tenant, is_loopback_host};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::ServerSettings;
use super::refusal::Refusal;
use crate::api::Recall;

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) recall: Recall,
    /// Compared in constant time, as all of `blake3`'s hashes are.
    key: Option<blake3::Hash>,
    questions: Semaphore,
    waits: Semaphore,
    body_bytes: usize,
    body_timeout: Duration,
    pub(crate) wait_timeout: Duration,
}

impl Door {
    pub(crate) fn new(recall: Recall, settings: &ServerSettings, key: Option<&InternalKey>) -> Self {
        Self {
            recall,
            key: key.map(|key| blake3::hash(key.expose().as_bytes())),
            questions: Semaphore::new(settings.questions.clamp(1, Semaphore::MAX_PERMITS)),
            waits: Semaphore::new(settings.waits.clamp(1, Semaphore::MAX_PERMITS)),
            body_bytes: settings.body_bytes,
            body_timeout: Duration::from_millis(settings.body_timeout_ms),
            wait_timeout: Duration::from_millis(settings.wait_timeout_ms),
        }
    }

    /// A place among the questions.
    pub(crate) fn question(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.questions.try_acquire().map_err(|_| Refusal::busy())
    }

    /// A place among those who wait.
    pub(crate) fn wait(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.waits.try_acquire().map_err(|_| Refusal::busy())
    }

    fn admit(&self, request: &ServiceRequest) -> Result<(), Refusal> {
        if !request.path().starts_with("/internal/") {
            return Ok(());
        }
        let Some(key) = self.key else {
            let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
            let host = host.or_else(|| request.uri().host()).unwrap_or_default();
            if is_loopback_host(host) {
                return Ok(());
            }
            let message = "without an internal key only requests for localhost, 127.0.0.1 or [::1] are answered";
            return Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden_host", message));
        };
        let given = request.headers().get(KEY_HEADER).ok_or_else(Refusal::unauthorized)?;
        if blake3::hash(given.as_bytes()) == key { Ok(()) } else { Err(Refusal::unauthorized()) }
    }

    /// Reads a JSON body, bounded in bytes and time.
    pub(crate) async fn read<T: DeserializeOwned>(&self, payload: Payload) -> Result<T, Refusal> {
        let late = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body did not arrive in time");
        let read = timeout(self.body_timeout, payload.to_bytes_limited(self.body_bytes)).await.map_err(late)?;
        let too_large = |_| {
            let message = format!("a body may have {} bytes", self.body_bytes);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
        };
        let broken = |_| Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", "the body broke off");
        let bytes = read.map_err(too_large)?.map_err(broken)?;
        // Where, and not what: serde quotes what it could not read.
        let unreadable = |error: serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            Refusal::invalid(format!("line {line} column {column} of the body is not of this question"))
        };
        serde_json::from_slice(&bytes).map_err(unreadable)
    }
}

/// Whose memories are asked for: what the gateway says, which has shown the internal key.
pub(crate) fn tenant(request: &HttpRequest) -> Result<TenantId, Refusal> {
    let header = request.headers().get(TENANT_HEADER).and_then(|value| value.to_str().ok());
    header.and_then(decode_tenant).ok_or_else(|| Refusal::invalid(format!("{TENANT_HEADER} must name a tenant")))
}

/// Wraps every request.
pub(crate) async fn enter(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let door = Data::clone(request.app_data::<Data<Door>>().expect("the server gives every request its door"));
    match door.admit(&request) {
        Ok(()) => Ok(next.call(request).await?.map_into_boxed_body()),
        Err(refusal) => Ok(request.error_response(refusal)),
    }
}
