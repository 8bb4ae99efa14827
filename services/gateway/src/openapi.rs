//! The API's description, made from the handlers and the wire types, so that it cannot tell of a field that is not
//! there.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::routes::{
    dead_letters, events, feedback, forget, inlets, interactions, memories, operations, owners, recall,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "memos",
        description = "A memory operating system for AI. Publish what happens between people and their AI; ask what \
                       the model should know right now. Every error is `{\"error\": {\"code\", \"message\", \
                       \"request_id\"}}` with one stable code per cause.",
        license(name = "Apache-2.0")
    ),
    paths(
        interactions::publish,
        recall::recall,
        memories::get,
        memories::correct,
        memories::delete,
        memories::history,
        owners::memories,
        owners::working_memory,
        owners::profile,
        owners::consent,
        forget::forget,
        forget::receipt,
        feedback::feedback,
        events::get,
        inlets::post,
        dead_letters::list,
        dead_letters::replay,
        operations::live,
        operations::ready,
        operations::metrics,
    ),
    components(schemas(memos_client::Interaction)),
    modifiers(&Credentials),
    security((), ("key" = []))
)]
struct Document;

struct Credentials;

impl Modify for Credentials {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, `ID.SECRET`. Needed once gateway.keys is set."));
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("key", SecurityScheme::Http(bearer.build()));
    }
}

/// The OpenAPI document of this release.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    Document::openapi()
}
