//! The Rust client.
//!
//! It retries only what the server asks it to retry (429 and 503, after `Retry-After`), a bounded number of times.
//! Whatever appends carries an idempotency key, so a retry can never store twice.

use std::time::{Duration, Instant};

use memory_core::Timestamp;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use uuid::Uuid;

use crate::dead_letter::{DeadLetterView, ReplayRequest, ReplayResponse};
use crate::error_body::{ErrorBody, ErrorDetail};
use crate::event_status::EventStatusView;
use crate::health::HealthView;
use crate::memory::MemoryView;
use crate::page::{List, Page};
use crate::profile::ProfileView;
use crate::publish::{FeedbackRequest, PublishResponse};
use crate::recall::{RecallRequest, RecallResponse};
use crate::revision::RevisionView;
use crate::time;
use crate::working_memory::WorkingMemoryView;

/// How long an idle connection is kept for the next request; shorter than the server keeps it (75 s).
const POOL_IDLE: Duration = Duration::from_secs(30);
/// How often somebody who waits for a decision looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

mod forget;
mod inlet;
mod path;
mod unreadable;

pub use path::{MemoriesQuery, Owner};
pub use unreadable::Unreadable;

/// How the client waits and retries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// How long one attempt may take. Default: 30 s.
    pub timeout: Duration,
    /// How often one call is tried at most. Default: 5.
    pub attempts: u32,
    /// The longest pause between two attempts, whatever the server asks for. Default: 5 s.
    pub pause_max: Duration,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(30), attempts: 5, pause_max: Duration::from_secs(5) }
    }
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not one.
    #[error("`{url}` is not the address of a server; it looks like http://127.0.0.1:8888")]
    Address { url: String },
    /// The server could not be reached, or broke off; or the request holds what HTTP cannot carry.
    #[error("failed to reach memos at {url}")]
    Transport {
        url: String,
        #[source]
        source: reqwest::Error,
    },
    /// The server refused.
    #[error("memos answered {status} {code}: {message} (request {request_id})")]
    Refused {
        status: u16,
        code: String,
        message: String,
        request_id: String,
        field: Option<String>,
        index: Option<usize>,
    },
    /// The answer is not one of memos: another server, or another version.
    #[error("the answer of {url} (status {status}) is not one of memos")]
    Answer {
        url: String,
        status: u16,
        #[source]
        source: Unreadable,
    },
}

impl ClientError {
    /// The server's stable code, where it answered with one.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            Self::Address { .. } | Self::Transport { .. } | Self::Answer { .. } => None,
        }
    }

    /// The id of the request in the server's logs, where it answered.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Refused { request_id, .. } => Some(request_id),
            Self::Address { .. } | Self::Transport { .. } | Self::Answer { .. } => None,
        }
    }
}

/// A connection to a memos server. Clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<Secret>,
    settings: ClientSettings,
}

/// A credential that no `Debug` prints.
#[derive(Clone)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(redacted)")
    }
}

impl Client {
    /// A client of the server at `base_url`, with an API key where the server wants one.
    ///
    /// # Errors
    /// [`ClientError::Address`] when the address is not an `http` URL.
    pub fn new(base_url: &str, api_key: Option<String>) -> Result<Self, ClientError> {
        Self::with_settings(base_url, api_key, ClientSettings::default())
    }

    /// The same with other waits.
    ///
    /// # Errors
    /// As [`Client::new`].
    pub fn with_settings(
        base_url: &str,
        api_key: Option<String>,
        settings: ClientSettings,
    ) -> Result<Self, ClientError> {
        let refused = || ClientError::Address { url: base_url.to_owned() };
        let base = Url::parse(base_url).map_err(|_| refused())?;
        if base.scheme() != "http" || base.cannot_be_a_base() {
            return Err(refused());
        }
        let http = reqwest::Client::builder().timeout(settings.timeout).pool_idle_timeout(POOL_IDLE).build();
        let http = http.map_err(|source| ClientError::Transport { url: base_url.to_owned(), source })?;
        Ok(Self { http, base, key: api_key.map(Secret), settings })
    }

    /// Publishes interactions: [`Interaction`](crate::Interaction)s, or JSON objects of their shape. All of them are
    /// taken, or none. Those without an id get one that survives this call's retries.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn publish(&self, interactions: &[impl Serialize + Sync]) -> Result<PublishResponse, ClientError> {
        self.publish_with(interactions, None, None).await
    }

    /// The same; with an idempotency key of the caller's, a retry by a later process is recognised too, and with
    /// `recallable_within` the answer comes when recall has folded the events, or after that time.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn publish_with(
        &self,
        interactions: &[impl Serialize + Sync],
        idempotency_key: Option<&str>,
        recallable_within: Option<Duration>,
    ) -> Result<PublishResponse, ClientError> {
        let url = self.url(&["v1", "interactions"]);
        let key = idempotency_key.map_or_else(|| Uuid::now_v7().to_string(), str::to_owned);
        let body = json!({ "interactions": interactions });
        self.call(|| {
            let request = self.request(Method::POST, &url).header("Idempotency-Key", &key).json(&body);
            waiting(request, recallable_within)
        })
        .await
    }

    /// Asks what the model should know.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn recall(&self, request: &RecallRequest) -> Result<RecallResponse, ClientError> {
        let url = self.url(&["v1", "recall"]);
        self.call(|| self.request(Method::POST, &url).json(request)).await
    }

    /// One memory.
    ///
    /// # Errors
    /// [`ClientError`]; a missing one is `memory_not_found`.
    pub async fn memory(&self, id: Uuid) -> Result<MemoryView, ClientError> {
        self.get(&["v1", "memories", &id.to_string()]).await
    }

    /// Lets a memory say something else from now on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn correct(&self, id: Uuid, text: &str) -> Result<PublishResponse, ClientError> {
        let url = self.url(&["v1", "memories", &id.to_string()]);
        let (key, body) = (Uuid::now_v7().to_string(), json!({ "text": text }));
        self.call(|| self.request(Method::PATCH, &url).header("Idempotency-Key", &key).json(&body)).await
    }

    /// All versions of a memory, oldest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn history(&self, id: Uuid) -> Result<Vec<RevisionView>, ClientError> {
        let list: List<RevisionView> = self.get(&["v1", "memories", &id.to_string(), "history"]).await?;
        Ok(list.results)
    }

    /// One page of what an owner's bank holds.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn memories(&self, owner: Owner<'_>, query: &MemoriesQuery) -> Result<Page<MemoryView>, ClientError> {
        let url = self.url(&["v1", owner.collection(), owner.id(), "memories"]);
        let pairs = query.pairs();
        self.call(|| self.request(Method::GET, &url).query(&pairs)).await
    }

    /// The owner's current conversation.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn working_memory(&self, owner: Owner<'_>) -> Result<WorkingMemoryView, ClientError> {
        self.get(&["v1", owner.collection(), owner.id(), "working-memory"]).await
    }

    /// What the owner is like at `now`, which is the server's time by default.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn profile(&self, owner: Owner<'_>, now: Option<Timestamp>) -> Result<ProfileView, ClientError> {
        let url = self.url(&["v1", owner.collection(), owner.id(), "profile"]);
        let now = now.map(|now| ("now", time::to_text(now)));
        self.call(|| self.request(Method::GET, &url).query(now.as_slice())).await
    }

    /// Says whether anything of this owner may be remembered from now on.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn consent(&self, owner: Owner<'_>, remember: bool) -> Result<PublishResponse, ClientError> {
        let url = self.url(&["v1", owner.collection(), owner.id(), "consent"]);
        let (key, body) = (Uuid::now_v7().to_string(), json!({ "remember": remember }));
        self.call(|| self.request(Method::PUT, &url).header("Idempotency-Key", &key).json(&body)).await
    }

    /// Says whether memories were of use.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn feedback(&self, request: &FeedbackRequest) -> Result<PublishResponse, ClientError> {
        let url = self.url(&["v1", "feedback"]);
        let key = Uuid::now_v7().to_string();
        self.call(|| self.request(Method::POST, &url).header("Idempotency-Key", &key).json(request)).await
    }

    /// What became of an event.
    ///
    /// # Errors
    /// [`ClientError`]; an unknown one is `event_not_found`.
    pub async fn event(&self, id: &str) -> Result<EventStatusView, ClientError> {
        self.get(&["v1", "events", id]).await
    }

    /// What became of an event, once that is decided; else how far it came within this time. A window is decided on when it
    /// closes: at a `session_end`, after a pause, or when it is full. A subject's events are decided on in their order.
    ///
    /// # Errors
    /// [`ClientError`]; one that is still unknown then is `event_not_found`.
    pub async fn decided(&self, id: &str, within: Duration) -> Result<EventStatusView, ClientError> {
        let deadline = Instant::now() + within;
        loop {
            let answer = self.event(id).await;
            let waits = match &answer {
                Ok(view) => !view.status.is_final(),
                // It may be on its way to whoever answers.
                Err(error) => error.code() == Some("event_not_found"),
            };
            if !waits || Instant::now() >= deadline {
                return answer;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The newest dead letters, newest first.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterView>, ClientError> {
        let url = self.url(&["v1", "dead-letters"]);
        let list: List<DeadLetterView> =
            self.call(|| self.request(Method::GET, &url).query(&[("limit", limit)])).await?;
        Ok(list.results)
    }

    /// Appends dead letters again.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn replay(&self, request: &ReplayRequest) -> Result<ReplayResponse, ClientError> {
        let url = self.url(&["v1", "dead-letters", "replay"]);
        self.call(|| self.request(Method::POST, &url).json(request)).await
    }

    /// Whether the server is ready, and which of its parts are not. An answer that says "not ready" is no error.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn health(&self) -> Result<HealthView, ClientError> {
        let url = self.url(&["health", "ready"]);
        let response = self.send(self.request(Method::GET, &url)).await?;
        self.read(response, |status| status.is_success() || status == StatusCode::SERVICE_UNAVAILABLE).await
    }

    async fn get<T: DeserializeOwned>(&self, segments: &[&str]) -> Result<T, ClientError> {
        let url = self.url(segments);
        self.call(|| self.request(Method::GET, &url)).await
    }

    /// The address of a route. Ids are escaped: one with a slash stays one segment.
    fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // `new` refused addresses that cannot be extended.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }

    fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.http.request(method, url.clone());
        match &self.key {
            Some(Secret(key)) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends until the answer is neither 429 nor 503, or the attempts are used up.
    async fn call<T: DeserializeOwned>(&self, request: impl Fn() -> RequestBuilder) -> Result<T, ClientError> {
        let mut attempt = 1;
        loop {
            let response = self.send(request()).await?;
            match retry_after(&response) {
                Some(pause) if attempt < self.settings.attempts => {
                    tokio::time::sleep(pause.min(self.settings.pause_max)).await;
                }
                Some(_) | None => return self.read(response, |status| status.is_success()).await,
            }
            attempt += 1;
        }
    }

    async fn read<T: DeserializeOwned>(
        &self,
        response: Response,
        wanted: impl Fn(StatusCode) -> bool,
    ) -> Result<T, ClientError> {
        let status = response.status();
        let bytes = response.bytes().await.map_err(|source| transport(&self.base, source))?;
        let unreadable = |error: serde_json::Error| ClientError::Answer {
            url: self.base.to_string(),
            status: status.as_u16(),
            source: Unreadable::of(&error),
        };
        if wanted(status) {
            return serde_json::from_slice(&bytes).map_err(unreadable);
        }
        let body: ErrorBody = serde_json::from_slice(&bytes).map_err(unreadable)?;
        let ErrorDetail { code, message, request_id, field, index, details: _ } = body.error;
        Err(ClientError::Refused { status: status.as_u16(), code, message, request_id, field, index })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        request.send().await.map_err(|source| transport(&self.base, source))
    }
}

/// Only the server's address is told: the path of a request may name a user.
fn transport(base: &Url, source: reqwest::Error) -> ClientError {
    ClientError::Transport { url: base.to_string(), source: source.without_url() }
}

fn waiting(request: RequestBuilder, recallable_within: Option<Duration>) -> RequestBuilder {
    match recallable_within {
        Some(timeout) => request.query(&[("wait", "recallable"), ("timeout_ms", &timeout.as_millis().to_string())]),
        None => request,
    }
}

/// When to try again; `None` when this answer is final. A refusal without the header is final too: the server
/// names a time whenever one makes sense.
fn retry_after(response: &Response) -> Option<Duration> {
    let status = response.status();
    if status != StatusCode::TOO_MANY_REQUESTS && status != StatusCode::SERVICE_UNAVAILABLE {
        return None;
    }
    let seconds = response.headers().get("Retry-After")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests;
