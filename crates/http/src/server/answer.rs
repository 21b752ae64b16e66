//! What goes back: answers, and the one form of every refusal.
//!
//! | status | when | sent again, can it succeed? |
//! |---|---|---|
//! | 400 | the mint refuses, with a code of the NUTs | not unchanged |
//! | 404, 405, 413, 415 | no such path, method, size or type of body | no |
//! | 408 | the body did not arrive in time; the mint did not look at it | yes |
//! | 429 | this client asks too fast | yes, after `Retry-After` |
//! | 500 | a bug | the outcome is open: send the same again |
//! | 503 | overloaded, shutting down, or the node or database is away | yes, after `Retry-After` |
//! | 504 | the time limit ran out | the outcome is open: send the same again |

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use hazel_protocol::{ErrorCode, ErrorResponse};
use serde::Serialize;

/// A request that is not what the route takes. The NUTs have no code for it; this is the round number of the group.
pub(super) const CODE_MALFORMED: u16 = 10_000;
/// The mint could not do it, for reasons that are not the client's.
pub(super) const CODE_INTERNAL: u16 = 50_000;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// A request that was not done, in the form of NUT-00.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    status: StatusCode,
    body: ErrorResponse,
    retry_after_secs: Option<u32>,
}

/// The code of a refusal, left in the response for the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct RefusedWith(pub(super) u16);

impl Refusal {
    /// A refusal with a given form.
    pub(super) fn new(status: StatusCode, body: ErrorResponse) -> Self {
        Self { status, body, retry_after_secs: None }
    }

    /// A refusal of the transport's own, for reasons that are the client's.
    pub(super) fn malformed(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, ErrorResponse { detail: detail.into(), code: CODE_MALFORMED })
    }

    /// A refusal for reasons that are the server's.
    pub(super) fn internal(status: StatusCode, detail: &str) -> Self {
        Self::new(status, ErrorResponse { detail: detail.to_owned(), code: CODE_INTERNAL })
    }

    /// A refusal with a code of the NUTs and its sentence.
    pub(super) fn nut(code: ErrorCode) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorResponse::new(code))
    }

    /// More requests than this server takes at a time.
    pub(super) fn overloaded() -> Self {
        Self::internal(StatusCode::SERVICE_UNAVAILABLE, "the mint is busy, try again shortly").after(1)
    }

    /// A panic, or an answer that cannot be written.
    pub(super) fn bug() -> Self {
        Self::internal(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
    }

    /// Tells the client when to come back, in seconds.
    pub(super) fn after(mut self, secs: u32) -> Self {
        self.retry_after_secs = Some(secs);
        self
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = json_response(self.status, &self.body, NO_STORE);
        if let Some(secs) = self.retry_after_secs {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
        }
        response.extensions_mut().insert(RefusedWith(self.body.code));
        response
    }
}

/// An answer that is about one client or one moment; no cache keeps it.
pub(super) fn answer(value: &impl Serialize) -> Response {
    json_response(StatusCode::OK, value, NO_STORE)
}

/// An answer that is the same for everybody and that caches may keep for `secs` seconds.
pub(super) fn public_answer(value: &impl Serialize, secs: u32) -> Response {
    let control = HeaderValue::try_from(format!("public, max-age={secs}")).unwrap_or(NO_STORE);
    json_response(StatusCode::OK, value, control)
}

fn json_response(status: StatusCode, value: &impl Serialize, cache: HeaderValue) -> Response {
    let (status, body) = match serde_json::to_vec(value) {
        Ok(body) => (status, body),
        Err(error) => {
            tracing::error!(%error, "an answer cannot be written as JSON");
            let fixed = format!(r#"{{"detail":"internal error","code":{CODE_INTERNAL}}}"#);
            (StatusCode::INTERNAL_SERVER_ERROR, fixed.into_bytes())
        }
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response.headers_mut().insert(CACHE_CONTROL, cache);
    response
}
