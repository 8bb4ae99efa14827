//! For whoever runs memos: health and metrics. Open without a key, so that probes need none; nothing in them names a
//! tenant or a user.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use memos_client::HealthView;
use serde_json::json;

use crate::state::State;

/// Whether a restart would not help: 200, else 503.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "operations",
    responses((status = 200, description = "Running"), (status = 503, description = "A part has failed"))
)]
pub(crate) async fn live(state: Data<State>) -> HttpResponse {
    let live = state.health.is_live();
    let mut response = if live { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({ "live": live }))
}

/// Whether to send requests: 200, else 503, with the state of every part.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "operations",
    responses(
        (status = 200, description = "Every part is ready", body = HealthView),
        (status = 503, description = "A part is not", body = HealthView),
    )
)]
pub(crate) async fn ready(state: Data<State>) -> HttpResponse {
    let report = state.health.report(state.is_writable());
    let mut response = if report.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(report)
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses((status = 200, description = "All metrics", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().insert_header(ContentType::plaintext()).body(state.registry.render())
}
