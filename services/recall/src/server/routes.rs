//! The routes of the port: each reads what is asked, asks the recall of this process, and answers.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::{self, Data, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};
use memory_core::{EventId, MemoryId, ReceiptId, Subject, TenantId};
use memos_client::internal::{ById, Found, ListOf, Named, PreviewOf, ProfileOf, Reached, ReachedRequest, path};
use memos_client::{Reach, RecallApi, RecallRequest, ReplicaApi};
use uuid::Uuid;

use super::door::{Door, tenant};
use super::health;
use super::refusal::Refusal;

type Answered = Result<HttpResponse, Refusal>;

pub(crate) fn register(config: &mut ServiceConfig, door: Data<Door>) {
    config
        .app_data(door)
        .service(resource(path::RECALL).route(web::post().to(recall)))
        .service(resource(path::MEMORY).route(web::post().to(memory)))
        .service(resource(path::HISTORY).route(web::post().to(history)))
        .service(resource(path::MEMORIES).route(web::post().to(memories)))
        .service(resource(path::WORKING_MEMORY).route(web::post().to(working_memory)))
        .service(resource(path::PROFILE).route(web::post().to(profile)))
        .service(resource(path::EVENT).route(web::post().to(event)))
        .service(resource(path::RECEIPT).route(web::post().to(receipt)))
        .service(resource(path::PREVIEW).route(web::post().to(preview)))
        .service(resource(path::REACHED).route(web::post().to(reached)))
        .service(resource("/health/live").route(web::get().to(health::live)))
        .service(resource("/health/ready").route(web::get().to(health::ready)))
        .service(resource("/metrics").route(web::get().to(health::metrics)))
        .default_service(web::to(not_found));
}

fn resource(path: &str) -> Resource {
    web::resource(path).default_service(web::to(no_method))
}

async fn not_found() -> Answered {
    Err(Refusal::new(StatusCode::NOT_FOUND, "route_not_found", "there is nothing at this path"))
}

async fn no_method() -> Answered {
    Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this route does not know the method"))
}

async fn recall(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let mut question: RecallRequest = door.read(payload).await?;
    question.limit = question.limit.clamp(1, RecallRequest::LIMIT_MAX);
    Ok(HttpResponse::Ok().json(door.recall.recall(&tenant, question).await?))
}

async fn memory(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let ById { id, partitions } = door.read::<ById<Uuid>>(payload).await?;
    let id = MemoryId::from_uuid(id);
    let found = match partitions {
        Some(within) => door.recall.memory_within(&tenant, id, &within).await?,
        None => door.recall.memory(&tenant, id).await?,
    };
    Ok(HttpResponse::Ok().json(Found { found }))
}

async fn history(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let ById { id, partitions } = door.read::<ById<Uuid>>(payload).await?;
    let id = MemoryId::from_uuid(id);
    let found = match partitions {
        Some(within) => door.recall.history_within(&tenant, id, &within).await?,
        None => door.recall.history(&tenant, id).await?,
    };
    Ok(HttpResponse::Ok().json(Found { found }))
}

async fn event(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let ById { id, partitions } = door.read::<ById<String>>(payload).await?;
    let id = EventId::try_new(id).ok_or_else(|| Refusal::invalid("id: is none of an event"))?;
    let found = match partitions {
        Some(within) => door.recall.event_within(&tenant, &id, &within).await?,
        None => door.recall.event(&tenant, &id).await?,
    };
    Ok(HttpResponse::Ok().json(Found { found }))
}

async fn receipt(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let ById { id, partitions } = door.read::<ById<Uuid>>(payload).await?;
    let id = ReceiptId::from_uuid(id);
    let found = match partitions {
        Some(within) => door.recall.receipt_within(&tenant, id, &within).await?,
        None => door.recall.receipt(&tenant, id).await?,
    };
    Ok(HttpResponse::Ok().json(Found { found }))
}

async fn preview(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let PreviewOf { subject, scope } = door.read(payload).await?;
    let subject = named(subject, tenant)?;
    Ok(HttpResponse::Ok().json(door.recall.preview(&subject, &scope).await?))
}

async fn memories(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let ListOf { subject, mut list } = door.read(payload).await?;
    list.limit = list.limit.clamp(1, RecallRequest::LIMIT_MAX);
    let subject = named(subject, tenant)?;
    Ok(HttpResponse::Ok().json(door.recall.memories(&subject, list).await?))
}

async fn working_memory(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let subject = named(door.read(payload).await?, tenant)?;
    Ok(HttpResponse::Ok().json(door.recall.working_memory(&subject).await?))
}

async fn profile(door: Data<Door>, request: HttpRequest, payload: Payload) -> Answered {
    let _place = door.question()?;
    let tenant = tenant(&request)?;
    let ProfileOf { subject, now } = door.read(payload).await?;
    let subject = named(subject, tenant)?;
    Ok(HttpResponse::Ok().json(door.recall.profile(&subject, now).await?))
}

/// Waits. A partition that is being restored is said at once: another instance may have it.
async fn reached(door: Data<Door>, payload: Payload) -> Answered {
    let _place = door.wait()?;
    let ReachedRequest { position, timeout_ms } = door.read(payload).await?;
    door.recall.check_position(&position)?;
    let timeout = Duration::from_millis(timeout_ms).min(door.wait_timeout);
    door.recall.reached(&position, Reach::One, timeout).await?;
    Ok(HttpResponse::Ok().json(Reached { reached: true }))
}

fn named(subject: Named, tenant: TenantId) -> Result<Subject, Refusal> {
    subject.of(tenant).ok_or_else(|| Refusal::invalid("id: must be 1 to 256 bytes long, without control characters"))
}
