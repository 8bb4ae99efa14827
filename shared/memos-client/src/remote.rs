//! One instance of recall in another process.
//!
//! It asks once and says what came of it. Which instance to ask, and whom next, is the gateway's business; for that it
//! must be told apart whether an instance has answered "not now" or has not answered (`unreachable`).

use std::time::Duration;

use memory_core::forget::Scope;
use memory_core::{EventId, MemoryId, Partition, ReceiptId, Subject, TenantId, Timestamp};
use reqwest::{Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client::ClientError;
use crate::error_body::ErrorBody;
use crate::event_status::EventStatusView;
use crate::forget::{ForgetPreview, ReceiptView};
use crate::internal::{
    ById, Found, InternalKey, KEY_HEADER, ListOf, Named, PreviewOf, ProfileOf, Reached, ReachedRequest, TENANT_HEADER,
    encode_tenant, path,
};
use crate::memory::MemoryView;
use crate::page::Page;
use crate::port::{Answer, ListRequest, Owned, Reach, RecallApi, ReplicaApi, Unavailable};
use crate::position::Position;
use crate::profile::ProfileView;
use crate::recall::{RecallRequest, RecallResponse};
use crate::revision::RevisionView;
use crate::working_memory::WorkingMemoryView;

/// How long an idle connection is kept; shorter than recall keeps it (75 s).
const POOL_IDLE: Duration = Duration::from_secs(30);

/// How an instance is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSettings {
    /// What makes it believe the tenant.
    pub key: Option<InternalKey>,
    /// How long connecting may take. Default: 500 ms.
    pub connect_timeout: Duration,
    /// How long an answer may take, from connecting to its last byte; where the instance is asked to wait for a
    /// position, that long more. Default: 2 s.
    pub timeout: Duration,
}

impl Default for RemoteSettings {
    fn default() -> Self {
        Self { key: None, connect_timeout: Duration::from_millis(500), timeout: Duration::from_secs(2) }
    }
}

/// One instance of recall. Clones share their connections.
#[derive(Clone, Debug)]
pub struct RemoteRecall {
    http: reqwest::Client,
    base: Url,
    key: Option<InternalKey>,
    timeout: Duration,
}

impl RemoteRecall {
    /// The instance at this address; it need not be there yet.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the address is not an `http` URL.
    pub fn new(url: &str, settings: &RemoteSettings) -> Result<Self, ClientError> {
        let refused = || ClientError::Address { url: url.to_owned() };
        let base = Url::parse(url).map_err(|_| refused())?;
        if base.scheme() != "http" || base.cannot_be_a_base() {
            return Err(refused());
        }
        // Never through a proxy of the environment: it would see the internal key.
        let http = reqwest::Client::builder()
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(POOL_IDLE)
            .no_proxy()
            .build()
            .map_err(|source| ClientError::Transport { url: url.to_owned(), source })?;
        Ok(Self { http, base, key: settings.key.clone(), timeout: settings.timeout })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        self.base.as_str()
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        path: &str,
        tenant: Option<TenantId>,
        body: impl Serialize,
        timeout: Duration,
    ) -> Result<A, Unavailable> {
        let mut url = self.base.clone();
        url.set_path(path);
        let mut request = self.http.post(url).timeout(timeout).json(&body);
        if let Some(key) = &self.key {
            request = request.header(KEY_HEADER, key.expose());
        }
        if let Some(tenant) = tenant {
            request = request.header(TENANT_HEADER, encode_tenant(&tenant));
        }
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let bytes = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|error| self.foreign(status, &error));
        }
        let body: ErrorBody = serde_json::from_slice(&bytes).map_err(|error| self.foreign(status, &error))?;
        Err(refusal(status, retry_after, body))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Unavailable {
        let why = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        Unavailable::later(Unavailable::UNREACHABLE, format!("recall at {} {why}", self.base), 1)
    }

    fn foreign(&self, status: StatusCode, error: &serde_json::Error) -> Unavailable {
        // Where it stands, and not what: serde quotes what it could not read.
        let (line, column, base) = (error.line(), error.column(), &self.base);
        let message =
            format!("what {base} answers ({status}, line {line} column {column}) is not of a recall of this version");
        Unavailable::later(Unavailable::UNREACHABLE, message, 1)
    }

    fn by_id<I: Serialize + Send + 'static, A: DeserializeOwned + Send>(
        &self,
        path: &'static str,
        tenant: &TenantId,
        id: I,
        partitions: Option<Vec<Partition>>,
    ) -> Answer<'_, Option<A>> {
        let tenant = tenant.clone();
        Box::pin(async move {
            let found: Found<A> = self.ask(path, Some(tenant), ById { id, partitions }, self.timeout).await?;
            Ok(found.found)
        })
    }
}

fn retry_after(response: &Response) -> Option<u32> {
    response.headers().get(reqwest::header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
}

/// What an instance said, in our codes. One that we do not know says at least whether the question is at fault.
fn refusal(status: StatusCode, retry_after: Option<u32>, body: ErrorBody) -> Unavailable {
    let invalid = status == StatusCode::BAD_REQUEST;
    let other = if invalid { "invalid_query" } else { Unavailable::UNREACHABLE };
    let code = Unavailable::code_named(&body.error.code).unwrap_or(other);
    let message = body.error.message;
    if invalid {
        Unavailable::invalid(code, message)
    } else {
        Unavailable::later(code, message, retry_after.unwrap_or(1))
    }
}

impl RecallApi for RemoteRecall {
    fn recall(&self, tenant: &TenantId, request: RecallRequest) -> Answer<'_, RecallResponse> {
        let tenant = tenant.clone();
        Box::pin(async move { self.ask(path::RECALL, Some(tenant), request, self.timeout).await })
    }

    fn memory(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Owned<MemoryView>>> {
        self.by_id(path::MEMORY, tenant, id.as_uuid(), None)
    }

    fn history(&self, tenant: &TenantId, id: MemoryId) -> Answer<'_, Option<Vec<RevisionView>>> {
        self.by_id(path::HISTORY, tenant, id.as_uuid(), None)
    }

    fn memories(&self, subject: &Subject, list: ListRequest) -> Answer<'_, Page<MemoryView>> {
        let (tenant, body) = (subject.tenant.clone(), ListOf { subject: subject.into(), list });
        Box::pin(async move { self.ask(path::MEMORIES, Some(tenant), body, self.timeout).await })
    }

    fn working_memory(&self, subject: &Subject) -> Answer<'_, WorkingMemoryView> {
        let (tenant, body) = (subject.tenant.clone(), Named::from(subject));
        Box::pin(async move { self.ask(path::WORKING_MEMORY, Some(tenant), body, self.timeout).await })
    }

    fn profile(&self, subject: &Subject, now: Option<Timestamp>) -> Answer<'_, ProfileView> {
        let (tenant, body) = (subject.tenant.clone(), ProfileOf { subject: subject.into(), now });
        Box::pin(async move { self.ask(path::PROFILE, Some(tenant), body, self.timeout).await })
    }

    fn event(&self, tenant: &TenantId, id: &EventId) -> Answer<'_, Option<EventStatusView>> {
        self.by_id(path::EVENT, tenant, id.as_str().to_owned(), None)
    }

    fn receipt(&self, tenant: &TenantId, id: ReceiptId) -> Answer<'_, Option<ReceiptView>> {
        self.by_id(path::RECEIPT, tenant, id.as_uuid(), None)
    }

    fn preview(&self, subject: &Subject, scope: &Scope) -> Answer<'_, ForgetPreview> {
        let (tenant, body) = (subject.tenant.clone(), PreviewOf { subject: subject.into(), scope: scope.clone() });
        Box::pin(async move { self.ask(path::PREVIEW, Some(tenant), body, self.timeout).await })
    }

    fn reached(&self, position: &Position, _reach: Reach, timeout: Duration) -> Answer<'_, ()> {
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let body = ReachedRequest { position: position.clone(), timeout_ms };
        let limit = self.timeout.saturating_add(timeout);
        Box::pin(async move {
            let Reached { reached } = self.ask(path::REACHED, None, body, limit).await?;
            if reached { Ok(()) } else { Err(Unavailable::later("timeout", "the position is not reached yet", 1)) }
        })
    }
}

impl ReplicaApi for RemoteRecall {
    fn memory_within(
        &self,
        tenant: &TenantId,
        id: MemoryId,
        within: &[Partition],
    ) -> Answer<'_, Option<Owned<MemoryView>>> {
        self.by_id(path::MEMORY, tenant, id.as_uuid(), Some(within.to_vec()))
    }

    fn history_within(
        &self,
        tenant: &TenantId,
        id: MemoryId,
        within: &[Partition],
    ) -> Answer<'_, Option<Vec<RevisionView>>> {
        self.by_id(path::HISTORY, tenant, id.as_uuid(), Some(within.to_vec()))
    }

    fn receipt_within(
        &self,
        tenant: &TenantId,
        id: ReceiptId,
        within: &[Partition],
    ) -> Answer<'_, Option<ReceiptView>> {
        self.by_id(path::RECEIPT, tenant, id.as_uuid(), Some(within.to_vec()))
    }

    fn event_within(
        &self,
        tenant: &TenantId,
        id: &EventId,
        within: &[Partition],
    ) -> Answer<'_, Option<EventStatusView>> {
        self.by_id(path::EVENT, tenant, id.as_str().to_owned(), Some(within.to_vec()))
    }
}
