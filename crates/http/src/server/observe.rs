//! What stands around every request: an id, a line in the log, and a net under panics.
//!
//! The log names the route, not the path, since paths hold quote ids, and neither addresses nor bodies.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use tracing::{Instrument, info_span};

use super::answer::{Refusal, RefusedWith};

/// The header that tells the client its request's id. Never read: an id that a client may choose would let it forge the log.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes ids that differ within a process and very likely between processes: a random prefix and a counter.
#[derive(Debug)]
pub(super) struct RequestIds {
    prefix: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// With a new prefix.
    pub(super) fn new() -> Self {
        // The keys of a hasher are random. An id is no secret, so that is random enough.
        Self { prefix: RandomState::new().build_hasher().finish() >> 32, next: AtomicU64::new(1) }
    }

    fn next(&self) -> String {
        format!("{:08x}-{:x}", self.prefix, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Gives the request an id and logs what became of it.
pub(super) async fn observe(State(ids): State<Arc<RequestIds>>, request: Request, next: Next) -> Response {
    let id = ids.next();
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str);
    let span = info_span!("request", id, method = name(request.method()), route);
    async {
        let started = Instant::now();
        let mut response = next.run(request).await;
        log(&response, started.elapsed());
        if let Ok(value) = HeaderValue::try_from(id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        response
    }
    .instrument(span.clone())
    .await
}

fn log(response: &Response, elapsed: Duration) {
    let status = response.status().as_u16();
    let code = response.extensions().get::<RefusedWith>().map(|refused| refused.0);
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    if status < 500 {
        tracing::info!(status, code, micros, "answered");
    } else {
        tracing::warn!(status, code, micros, "answered");
    }
}

/// The method, if it is one that HTTP names; others are the client's text.
fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// Turns a panic of a handler into an answer. What it said stays out of the answer and of this log line: it may quote anything.
pub(super) async fn catch_panics(request: Request, next: Next) -> Response {
    AssertUnwindSafe(next.run(request)).catch_unwind().await.unwrap_or_else(|_| {
        tracing::error!("a handler panicked");
        Refusal::bug().into_response()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ() {
        let ids = RequestIds::new();
        let (a, b) = (ids.next(), ids.next());
        assert_ne!(a, b);
        assert_eq!(a[..9], b[..9]);
    }
}
