//! The operator's surface: keysets, unfinished operations, the audit log, under `/v1/admin`.
//!
//! It is a router of its own, for a listener of its own. Nothing is answered without a bearer token, the name of which is who the audit
//! log says acted. It has the bounds of the public API (see [`super`]) in small, and no CORS: a page in a browser has no business here.

mod messages;
mod query;
mod routes;
mod token;

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hazel_mint::Mint;

use super::answer::Refusal;
use super::observe::{RequestIds, observe};
use super::{Gate, ServerConfig, body, refuse_rest};

pub use token::{AdminToken, BadToken};

/// What the operator's surface lets callers claim.
fn limits() -> ServerConfig {
    ServerConfig {
        max_body_bytes: 64 * 1024,
        max_buffered_bytes: 1024 * 1024,
        max_in_flight: 16,
        ..ServerConfig::default()
    }
}

/// Who is let in.
#[derive(Debug)]
pub struct AdminConfig {
    /// One of these; without any, nobody.
    pub tokens: Vec<AdminToken>,
}

/// What the handlers share.
#[derive(Clone)]
struct Admin {
    mint: Arc<Mint>,
    gate: Arc<Gate>,
    tokens: Arc<[AdminToken]>,
}

impl FromRef<Admin> for Arc<Gate> {
    fn from_ref(admin: &Admin) -> Self {
        Arc::clone(&admin.gate)
    }
}

/// The operator's surface of `mint`.
pub fn admin_router(mint: Arc<Mint>, config: AdminConfig) -> Router {
    let admin = Admin { mint, gate: Gate::new(limits()), tokens: config.tokens.into() };
    refuse_rest(routes::routes(), &admin.gate)
        .layer(from_fn_with_state(admin.clone(), authorize))
        .layer(from_fn_with_state(Arc::new(RequestIds::new()), observe))
        .with_state(admin)
}

/// Who acts.
#[derive(Debug, Clone)]
struct Actor(String);

/// Lets in who shows a token, on any path: without one nothing can be learned, not even which paths there are.
async fn authorize(State(admin): State<Admin>, mut request: Request, next: Next) -> Response {
    let Some(actor) = actor_of(&admin.tokens, request.headers()) else {
        let (parts, body) = request.into_parts();
        body::linger(&parts.headers, body, admin.gate.config.max_body_bytes).await;
        tracing::warn!("the operator's surface was asked without a valid token");
        let mut refused =
            Refusal::malformed(StatusCode::UNAUTHORIZED, "a valid bearer token is needed").into_response();
        refused.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        return refused;
    };
    request.extensions_mut().insert(actor);
    next.run(request).await
}

/// Whose token the headers show. Each is compared whole, whether or not an earlier one fits.
fn actor_of(tokens: &[AdminToken], headers: &HeaderMap) -> Option<Actor> {
    let mut shown = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (shown.next(), shown.next()) else { return None };
    let (scheme, secret) = value.as_bytes().split_at_checked(b"bearer ".len())?;
    if !scheme.eq_ignore_ascii_case(b"bearer ") {
        return None;
    }
    let fits = tokens.iter().filter(|token| token.is(secret)).collect::<Vec<_>>();
    fits.first().map(|token| Actor(token.name().to_owned()))
}
