//! Everything a request can be refused for. One code per cause; the code decides the status, so that the same cause
//! cannot be a 400 on one route and a 422 on another.

use std::fmt;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use event_log::Error as LogError;
use memory_core::event::Refused;
use memos_client::{ErrorBody, ErrorDetail, Unavailable};
use serde_json::Value;

use crate::sealing::Unsealed;

/// A stable code. Clients act on it; never rename one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    InvalidJson,
    JsonTooDeep,
    MissingField,
    UnknownField,
    InvalidField,
    TooLarge,
    TooManyInteractions,
    InvalidQuery,
    InvalidCursor,
    WrongLog,
    Unauthorized,
    ForbiddenHost,
    RouteNotFound,
    MemoryNotFound,
    EventNotFound,
    InletNotFound,
    DeadLetterNotFound,
    ReceiptNotFound,
    MethodNotAllowed,
    RequestTimeout,
    ConfirmNeeded,
    BodyTooLarge,
    UnsupportedMediaType,
    Overloaded,
    StorageLow,
    LogStopped,
    Restoring,
    PositionNotReached,
    Timeout,
    Unavailable,
    Internal,
}

impl Code {
    /// All codes, for the table in the README and for tests.
    pub const ALL: [Self; 31] = [
        Self::InvalidJson,
        Self::JsonTooDeep,
        Self::MissingField,
        Self::UnknownField,
        Self::InvalidField,
        Self::TooLarge,
        Self::TooManyInteractions,
        Self::InvalidQuery,
        Self::InvalidCursor,
        Self::WrongLog,
        Self::Unauthorized,
        Self::ForbiddenHost,
        Self::RouteNotFound,
        Self::MemoryNotFound,
        Self::EventNotFound,
        Self::InletNotFound,
        Self::DeadLetterNotFound,
        Self::ReceiptNotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::ConfirmNeeded,
        Self::BodyTooLarge,
        Self::UnsupportedMediaType,
        Self::Overloaded,
        Self::StorageLow,
        Self::LogStopped,
        Self::Restoring,
        Self::PositionNotReached,
        Self::Timeout,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidJson => "invalid_json",
            Self::JsonTooDeep => "json_too_deep",
            Self::MissingField => "missing_field",
            Self::UnknownField => "unknown_field",
            Self::InvalidField => "invalid_field",
            Self::TooLarge => "too_large",
            Self::TooManyInteractions => "too_many_interactions",
            Self::InvalidQuery => "invalid_query",
            Self::InvalidCursor => "invalid_cursor",
            Self::WrongLog => "wrong_log",
            Self::Unauthorized => "unauthorized",
            Self::ForbiddenHost => "forbidden_host",
            Self::RouteNotFound => "route_not_found",
            Self::MemoryNotFound => "memory_not_found",
            Self::EventNotFound => "event_not_found",
            Self::InletNotFound => "inlet_not_found",
            Self::DeadLetterNotFound => "dead_letter_not_found",
            Self::ReceiptNotFound => "receipt_not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::ConfirmNeeded => "confirm_needed",
            Self::BodyTooLarge => "body_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::Overloaded => "overloaded",
            Self::StorageLow => "storage_low",
            Self::LogStopped => "log_stopped",
            Self::Restoring => "restoring",
            Self::PositionNotReached => "position_not_reached",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The HTTP status of this code.
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidJson
            | Self::JsonTooDeep
            | Self::MissingField
            | Self::UnknownField
            | Self::InvalidField
            | Self::TooLarge
            | Self::TooManyInteractions
            | Self::InvalidQuery
            | Self::InvalidCursor
            | Self::WrongLog => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::ForbiddenHost => StatusCode::FORBIDDEN,
            Self::RouteNotFound
            | Self::MemoryNotFound
            | Self::EventNotFound
            | Self::InletNotFound
            | Self::DeadLetterNotFound
            | Self::ReceiptNotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::ConfirmNeeded => StatusCode::CONFLICT,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Overloaded => StatusCode::TOO_MANY_REQUESTS,
            Self::StorageLow
            | Self::LogStopped
            | Self::Restoring
            | Self::PositionNotReached
            | Self::Timeout
            | Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The code with this name; codes of other crates come as text.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

/// One refusal.
#[derive(Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) message: String,
    pub(crate) field: Option<String>,
    pub(crate) index: Option<usize>,
    pub(crate) details: Option<Value>,
    pub(crate) retry_after: Option<u32>,
}

/// The redacting form, because the server logs it: messages and details may quote the request.
impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Problem({})", self.code.as_str())
    }
}

impl Problem {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, index: None, details: None, retry_after: None }
    }

    pub(crate) fn field(code: Code, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(code, message) }
    }

    pub(crate) fn retry_after(self, seconds: u32) -> Self {
        Self { retry_after: Some(seconds), ..self }
    }

    pub(crate) fn at(self, index: usize) -> Self {
        Self { index: Some(index), ..self }
    }

    pub(crate) fn details(self, details: Value) -> Self {
        Self { details: Some(details), ..self }
    }

    /// The answer of a memory that is missing, deleted or somebody else's: the same for all three (law L08).
    pub(crate) fn memory_not_found() -> Self {
        Self::new(Code::MemoryNotFound, "there is no memory with this id")
    }

    /// The answer to what can only wait for another process.
    pub(crate) fn stopping() -> Self {
        Self::new(Code::Unavailable, "memos is stopping").retry_after(2)
    }

    /// The answer for a request of this id.
    pub(crate) fn response(&self, request_id: &str) -> HttpResponse {
        let mut response = HttpResponse::build(self.code.status());
        if let Some(seconds) = self.retry_after {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if self.code == Code::Unauthorized {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.json(ErrorBody {
            error: ErrorDetail {
                code: self.code.as_str().to_owned(),
                message: self.message.clone(),
                request_id: request_id.to_owned(),
                field: self.field.clone(),
                index: self.index,
                details: self.details.clone(),
            },
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.as_str())
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.code.status()
    }

    /// Only a placeholder: the edge writes the answer, because it knows the request's id.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.code.status())
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let code = Code::named(refused.code).unwrap_or(Code::InvalidField);
        Self::field(code, refused.field, refused.message)
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        let other = if unavailable.invalid { Code::InvalidQuery } else { Code::Unavailable };
        let code = Code::named(unavailable.code).unwrap_or(other);
        let problem = Self::new(code, unavailable.message);
        if unavailable.invalid { problem } else { problem.retry_after(unavailable.retry_after_seconds.max(1)) }
    }
}

impl From<Unsealed> for Problem {
    fn from(unsealed: Unsealed) -> Self {
        match unsealed {
            Unsealed::Stale => Self::new(Code::Unavailable, "the keys were not read lately").retry_after(1),
            Unsealed::Keyring(error) => error.into(),
        }
    }
}

impl From<keyring::Error> for Problem {
    fn from(error: keyring::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "failed to use a key");
        Self::new(Code::Unavailable, "a key cannot be used right now; the log of memos says why").retry_after(2)
    }
}

impl From<LogError> for Problem {
    fn from(error: LogError) -> Self {
        if let LogError::Full { .. } = error {
            return Self::new(Code::Overloaded, "too much waits to be written").retry_after(1);
        }
        if let LogError::TooLarge { .. } = error {
            return Self::new(Code::BodyTooLarge, "this is more than the log takes at once");
        }
        tracing::error!(%error, "the log refused");
        Self::new(Code::LogStopped, "the log takes nothing until memos was restarted").retry_after(2)
    }
}
