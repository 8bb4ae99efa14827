//! Health and metrics of a service that has no API of its own: on loopback, open without a key, naming nobody.

use std::net::SocketAddr;

use actix_web::dev::Server;
use actix_web::http::header::ContentType;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use anyhow::Context;
use serde_json::json;
use service_runtime::{Health, Metrics};

/// What the answers are made from.
struct Operations {
    health: Health,
    metrics: Metrics,
}

/// Binds the address and answers `/health/live`, `/health/ready` and `/metrics` once it is awaited.
///
/// # Errors
/// When the address cannot be listened on.
pub(crate) fn bind(listen: SocketAddr, health: Health, metrics: Metrics) -> anyhow::Result<(Server, SocketAddr)> {
    let operations = Data::new(Operations { health, metrics });
    let app = move || {
        App::new()
            .app_data(Data::clone(&operations))
            .route("/health/live", web::get().to(live))
            .route("/health/ready", web::get().to(ready))
            .route("/metrics", web::get().to(metrics_text))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .disable_signals()
        .bind(listen)
        .with_context(|| format!("listen on {listen}"))?;
    let address = server.addrs().first().copied().context("the server listens nowhere")?;
    Ok((server.run(), address))
}

async fn live(operations: Data<Operations>) -> HttpResponse {
    let live = operations.health.is_live();
    let mut response = if live { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({ "live": live }))
}

async fn ready(operations: Data<Operations>) -> HttpResponse {
    let report = operations.health.report(true);
    let mut response = if report.ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(report)
}

async fn metrics_text(operations: Data<Operations>) -> HttpResponse {
    HttpResponse::Ok().insert_header(ContentType::plaintext()).body(operations.metrics.render())
}
