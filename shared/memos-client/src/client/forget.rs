//! Forgetting, and what became of it.

use std::time::Duration;

use reqwest::{Method, RequestBuilder};
use uuid::Uuid;

use super::{Client, ClientError, Owner};
use crate::forget::{ForgetBody, ForgetDryRun, ForgetResponse, ForgetUntil, ReceiptView};

impl Client {
    /// Forgets. `wait` says how far the answer waits and how long at most; without it, until no answer shows any more
    /// what is forgotten. It never fails for the waiting: the receipt says how far it came.
    ///
    /// # Errors
    /// [`ClientError`]; `confirm_needed` when a question says what is to go and there was no dry run of it, or it would
    /// take something else now.
    pub async fn forget(
        &self,
        owner: Owner<'_>,
        body: &ForgetBody,
        wait: Option<(ForgetUntil, Duration)>,
    ) -> Result<ForgetResponse, ClientError> {
        let url = self.url(&["v1", owner.collection(), owner.id(), "forget"]);
        let key = Uuid::now_v7().to_string();
        let body = ForgetBody { dry_run: false, ..body.clone() };
        self.call(|| waiting(self.request(Method::POST, &url).header("Idempotency-Key", &key).json(&body), wait)).await
    }

    /// What a forget would take now. Nothing is changed by asking.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn forget_preview(&self, owner: Owner<'_>, body: &ForgetBody) -> Result<ForgetDryRun, ClientError> {
        let url = self.url(&["v1", owner.collection(), owner.id(), "forget"]);
        let body = ForgetBody { dry_run: true, ..body.clone() };
        self.call(|| self.request(Method::POST, &url).json(&body)).await
    }

    /// How far a forget has come.
    ///
    /// # Errors
    /// [`ClientError`]; an unknown one is `receipt_not_found`.
    pub async fn receipt(&self, id: Uuid) -> Result<ReceiptView, ClientError> {
        self.get(&["v1", "receipts", &id.to_string()]).await
    }

    /// Forgets one memory, and the turns that only it came from.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_memory(&self, id: Uuid) -> Result<ForgetResponse, ClientError> {
        let url = self.url(&["v1", "memories", &id.to_string()]);
        let key = Uuid::now_v7().to_string();
        self.call(|| self.request(Method::DELETE, &url).header("Idempotency-Key", &key)).await
    }
}

fn waiting(request: RequestBuilder, wait: Option<(ForgetUntil, Duration)>) -> RequestBuilder {
    match wait {
        Some((ForgetUntil::Accepted, _)) => request.query(&[("wait", ForgetUntil::Accepted.as_str())]),
        Some((until, within)) => {
            request.query(&[("wait", until.as_str()), ("timeout_ms", &within.as_millis().to_string())])
        }
        None => request,
    }
}
