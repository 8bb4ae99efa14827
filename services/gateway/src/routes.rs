//! The routes: one file per family. Each handler reads its request, asks or appends, and answers; what is the same
//! for all of them happens at the [`edge`](crate::edge).

use actix_web::web::{self, ServiceConfig};
use actix_web::{Resource, web::Data};
use memory_core::SubjectKind;
use utoipa_swagger_ui::SwaggerUi;

use crate::edge;
use crate::state::State;

pub(crate) mod dead_letters;
pub(crate) mod events;
pub(crate) mod feedback;
pub(crate) mod forget;
pub(crate) mod inlets;
pub(crate) mod interactions;
pub(crate) mod memories;
pub(crate) mod operations;
pub(crate) mod owners;
pub(crate) mod recall;

/// The owners in paths.
const OWNERS: [(&str, SubjectKind); 3] =
    [("users", SubjectKind::User), ("agents", SubjectKind::Agent), ("sessions", SubjectKind::Session)];

/// Registers everything.
pub(crate) fn register(config: &mut ServiceConfig, state: Data<State>) {
    config
        .app_data(state)
        .service(resource("/v1/interactions").route(web::post().to(interactions::publish)))
        .service(resource("/v1/recall").route(web::post().to(recall::recall)))
        .service(
            resource("/v1/memories/{id}")
                .route(web::get().to(memories::get))
                .route(web::patch().to(memories::correct))
                .route(web::delete().to(memories::delete)),
        )
        .service(resource("/v1/memories/{id}/history").route(web::get().to(memories::history)))
        .service(resource("/v1/feedback").route(web::post().to(feedback::feedback)))
        .service(resource("/v1/events/{id}").route(web::get().to(events::get)))
        .service(resource("/v1/receipts/{id}").route(web::get().to(forget::receipt)))
        .service(resource("/v1/inlets/{name}").route(web::post().to(inlets::post)))
        .service(resource("/v1/dead-letters").route(web::get().to(dead_letters::list)))
        .service(resource("/v1/dead-letters/replay").route(web::post().to(dead_letters::replay)))
        .service(resource("/health/live").route(web::get().to(operations::live)))
        .service(resource("/health/ready").route(web::get().to(operations::ready)))
        .service(resource("/metrics").route(web::get().to(operations::metrics)));
    for (owners, kind) in OWNERS {
        let owned = |what: &str| resource(&format!("/v1/{owners}/{{id}}/{what}")).app_data(kind);
        config
            .service(owned("memories").route(web::get().to(owners::memories)))
            .service(owned("working-memory").route(web::get().to(owners::working_memory)))
            .service(owned("profile").route(web::get().to(owners::profile)))
            .service(owned("consent").route(web::put().to(owners::consent)))
            .service(owned("forget").route(web::post().to(forget::forget)));
    }
    config
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", crate::openapi::document()))
        .default_service(web::to(edge::not_found));
}

fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(edge::no_method))
}
