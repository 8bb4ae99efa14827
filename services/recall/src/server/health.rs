//! For whoever runs recall: health and metrics. Open without a key, so that probes need none; nothing in them names a
//! tenant or a user.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use memos_client::{HealthView, PartView};
use serde_json::json;
use service_runtime::State;

use super::door::Door;
use crate::{NAME, PartitionState};

/// Whether a restart would not help: 200, else 503.
pub(crate) async fn live(door: Data<Door>) -> HttpResponse {
    let live = door.recall.parts().health.is_live();
    let mut response = if live { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.json(json!({ "live": live }))
}

/// Whether every served partition answers: 200, else 503, with the state of each.
pub(crate) async fn ready(door: Data<Door>) -> HttpResponse {
    let health = &door.recall.parts().health;
    let ready = health.is_ready();
    let mut parts: BTreeMap<String, PartView> =
        health.parts().into_iter().map(|(name, part)| (name, part_view(part))).collect();
    let partitions = door.recall.partitions().into_iter();
    parts.extend(partitions.map(|(partition, state)| (format!("{NAME}.partition.{partition}"), view(state))));
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    // Recall writes nothing that a full disk could refuse but its own store, and that ends the process.
    response.json(HealthView { ready, writable: true, parts })
}

/// Metrics in the text format of Prometheus.
pub(crate) async fn metrics(door: Data<Door>) -> HttpResponse {
    HttpResponse::Ok().insert_header(ContentType::plaintext()).body(door.recall.parts().metrics.render())
}

fn view(state: PartitionState) -> PartView {
    let part = |state: &str, reason| PartView { state: state.to_owned(), reason };
    match state {
        PartitionState::Serving => part("serving", None),
        PartitionState::Restoring { behind: Some(behind) } => {
            part("restoring", Some(format!("{behind} records behind")))
        }
        PartitionState::Restoring { behind: None } => part("restoring", None),
    }
}

fn part_view(part: State) -> PartView {
    let (state, reason) = match part {
        State::Starting => ("starting", None),
        State::Ready => ("ready", None),
        State::Draining => ("draining", None),
        State::Failed(reason) => ("failed", Some(reason)),
    };
    PartView { state: state.to_owned(), reason }
}
