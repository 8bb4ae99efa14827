//! What happens around every request, whatever its route: it gets an id, it is let in or not, it is counted and
//! timed, and whatever went wrong inside leaves in the one shape of errors.

use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{Data, ReqData};
use actix_web::{Error, HttpMessage};
use memory_core::TenantId;
use uuid::Uuid;

use crate::problem::{Code, Problem};
use crate::state::State;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 128;

/// Who asks: what handlers take as `ReqData<TenantId>`.
pub(crate) type Tenant = ReqData<TenantId>;

/// Wraps every request.
pub(crate) async fn edge(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let begun = Instant::now();
    let state = Data::clone(request.app_data::<Data<State>>().expect("the server gives every request its state"));
    let id = request_id(request.headers());
    let response = match admit(&state, &request) {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(problem) => request.error_response(problem),
    };
    let mut response = in_shape(response, &id);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let route = response.request().match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let status = response.status();
    state.metrics.requests.with_label_values(&[route.as_str(), status.as_str()]).inc();
    state.metrics.request_seconds.with_label_values(&[&route]).observe(begun.elapsed().as_secs_f64());
    tracing::trace!(request_id = %id, %route, status = status.as_u16(), "answered");
    Ok(response)
}

/// The id that the caller gave, or a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let good =
        |id: &&str| !id.is_empty() && id.len() <= REQUEST_ID_BYTES_MAX && id.bytes().all(|b| b.is_ascii_graphic());
    given.filter(good).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Lets a request in, and notes whose it is.
fn admit(state: &State, request: &ServiceRequest) -> Result<(), Problem> {
    state.access.check_host(host(request))?;
    if request.path() == "/v1" || request.path().starts_with("/v1/") {
        let tenant = state.access.tenant(request.headers())?;
        request.extensions_mut().insert(tenant);
    }
    Ok(())
}

/// The host that the request was sent to. Headers of proxies are not looked at: a page that reaches this machine by
/// rebinding its name can set those, and cannot set this one.
fn host(request: &ServiceRequest) -> &str {
    let header = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    header.or_else(|| request.uri().host()).unwrap_or_default()
}

/// Writes a refusal in the shape of errors. Anything that fails without being a [`Problem`] is either a path that
/// does not parse or a mistake of ours.
fn in_shape(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let Some(error) = response.response().error() else { return response };
    let problem = match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None if response.status() == StatusCode::NOT_FOUND => no_route(),
        None => {
            tracing::error!(request_id = %id, %error, "failed to answer");
            Problem::new(Code::Internal, "memos failed; its log says why under the request's id")
        }
    };
    let answer = problem.response(id);
    response.into_response(answer)
}

/// The answer for a path that is no route.
pub(crate) async fn not_found() -> Result<actix_web::HttpResponse, Problem> {
    Err(no_route())
}

/// The answer for a route that does not know the method.
pub(crate) async fn no_method() -> Result<actix_web::HttpResponse, Problem> {
    // Its name is not repeated: it may be anything.
    Err(Problem::new(Code::MethodNotAllowed, "this route does not know this method; see /docs"))
}

fn no_route() -> Problem {
    Problem::new(Code::RouteNotFound, "there is nothing at this path; see /docs")
}
