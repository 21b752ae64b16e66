//! A mint on the wire: the routes of NUT-01 to NUT-09 and NUT-23 under `/v1`.
//!
//! [`router`] is the API; [`serve`] puts it on a TCP listener. They assume that anybody may connect and send anything:
//!
//! | what | bound by | refused with |
//! |---|---|---|
//! | open connections | [`ListenConfig::max_connections`] | 503 |
//! | headers: size, count, time | [`ListenConfig`] | 431, or the connection closes |
//! | a body: size, time | [`ServerConfig::max_body_bytes`], [`ServerConfig::body_timeout`] | 413, 408 |
//! | all bodies together | [`ServerConfig::max_buffered_bytes`] | 503 |
//! | JSON: depth, repeated keys, list lengths, strings | the reader and `hazel_protocol` | 400 |
//! | requests in the engine | [`ServerConfig::max_in_flight`], [`ServerConfig::max_payments_in_flight`] | 503 |
//! | the time a request takes | [`ServerConfig::request_timeout`] | 504 |
//! | a client that does not read its answer | [`ListenConfig::write_stall`] | the connection closes |
//! | web sockets: how many, subscriptions, silence, slow readers | [`SocketConfig`] | 503, an error, the socket closes |
//!
//! Every refusal below HTTP itself has the JSON of NUT-00, `{"detail": .., "code": ..}`, whatever went wrong. Codes are those of
//! the NUTs; where they have none, the round number of the group: 10000 for a request that is malformed.
//!
//! How fast one client may ask is limited by [`RateConfig`], with 429. `X-Forwarded-For` is read only when the connection comes from a proxy
//! that it trusts; no other header that names a client is. TLS is the proxy's business.

mod admin;
mod admission;
mod answer;
mod body;
mod json;
mod listen;
mod observe;
mod openapi;
mod rate;
mod routes;
mod stall;
mod table;
mod ws;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, Request};
use axum::http::header::{ALLOW, RETRY_AFTER};
use axum::http::{Method, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use hazel_mint::{Mint, MintError};
use tokio::sync::Semaphore;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use admission::{Admission, Kind};
use answer::Refusal;
use observe::{REQUEST_ID, RequestIds, catch_panics, observe};

pub use admin::{AdminConfig, AdminToken, BadToken, admin_router};
pub use listen::{ListenConfig, serve};
pub use rate::RateConfig;
pub use ws::SocketConfig;

/// How long browsers may remember that they are allowed in. They cap it to a few hours themselves.
const PREFLIGHT_AGE: Duration = Duration::from_hours(24);

/// What the API lets strangers claim. The defaults suit a mint on a small machine.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// The largest body of a request, in bytes. A thousand proofs with spending conditions need about one MiB.
    pub max_body_bytes: usize,
    /// All bodies that are being read at a time, in bytes.
    pub max_buffered_bytes: usize,
    /// Requests in the engine at a time, without payments.
    pub max_in_flight: usize,
    /// Payments (`POST /v1/melt/..`) in the engine at a time. They may wait for minutes.
    pub max_payments_in_flight: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long the engine may take. A payment has this on top of what the engine itself waits for it.
    pub request_timeout: Duration,
    /// How long caches may keep keys, keysets and info, in seconds. After a rotation a wallet may see the old ones for as long.
    pub cache_secs: u32,
    /// What web sockets may claim (NUT-17).
    pub sockets: SocketConfig,
    /// How fast one client may ask; not limited when there is none.
    pub rate: Option<RateConfig>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            max_body_bytes: 2 * 1024 * 1024,
            max_buffered_bytes: 64 * 1024 * 1024,
            max_in_flight: 512,
            max_payments_in_flight: 512,
            body_timeout: Duration::from_secs(15),
            request_timeout: Duration::from_secs(30),
            cache_secs: 5,
            sockets: SocketConfig::default(),
            rate: None,
        }
    }
}

/// What stands between the wire and the engine.
struct Gate {
    config: ServerConfig,
    admission: Admission,
    sockets: Arc<Semaphore>,
}

impl Gate {
    fn new(config: ServerConfig) -> Arc<Self> {
        let admission = Admission::new(config.max_buffered_bytes, config.max_in_flight, config.max_payments_in_flight);
        let sockets = Arc::new(Semaphore::new(config.sockets.max_sockets.min(Semaphore::MAX_PERMITS)));
        Arc::new(Self { config, admission, sockets })
    }

    /// Makes a call of the engine that takes milliseconds.
    async fn call<T>(&self, call: impl Future<Output = Result<T, MintError>>) -> Result<T, Refusal> {
        Ok(self.run(Kind::Short, self.config.request_timeout, call).await??)
    }

    /// Runs `work` within the budget of its kind and its time limit.
    async fn run<T>(&self, kind: Kind, limit: Duration, work: impl Future<Output = T>) -> Result<T, Refusal> {
        let _permit = self.admission.enter(kind).map_err(|_| Refusal::overloaded())?;
        tokio::time::timeout(limit, work).await.map_err(|_| {
            let detail = "the mint took too long; send the same request again to learn its outcome";
            Refusal::internal(StatusCode::GATEWAY_TIMEOUT, detail)
        })
    }
}

/// What the handlers share.
#[derive(Clone)]
struct App {
    mint: Arc<Mint>,
    gate: Arc<Gate>,
}

impl FromRef<App> for Arc<Gate> {
    fn from_ref(app: &App) -> Self {
        Arc::clone(&app.gate)
    }
}

/// The API of `mint`.
///
/// The engine's operations run in tasks of its own: a client that hangs up stops nothing that has begun.
pub fn router(mint: Arc<Mint>, config: ServerConfig) -> Router {
    let methods = mint.config().methods.iter().map(|config| config.method.clone()).collect();
    let app = App { mint, gate: Gate::new(config) };
    let table = routes::table();
    let document = openapi::route(&table, methods);
    dress(table::router_of(table, &app.gate.config).merge(document), &app.gate).with_state(app)
}

/// Puts around `routes` what every answer has: the form of refusals, CORS, an id, a log line.
fn dress<S: Clone + Send + Sync + 'static>(routes: Router<S>, gate: &Gate) -> Router<S> {
    refuse_rest(routes, gate).layer(cors()).layer(from_fn_with_state(Arc::new(RequestIds::new()), observe))
}

/// Gives every refusal its form: of other paths and methods, and after a panic.
fn refuse_rest<S: Clone + Send + Sync + 'static>(routes: Router<S>, gate: &Gate) -> Router<S> {
    let max_body_bytes = gate.config.max_body_bytes;
    let refuse = move |status, detail: &'static str| {
        move |request: Request| async move {
            let (parts, body) = request.into_parts();
            body::linger(&parts.headers, body, max_body_bytes).await;
            Refusal::malformed(status, detail)
        }
    };
    routes
        .fallback(refuse(StatusCode::NOT_FOUND, "no such path"))
        .method_not_allowed_fallback(refuse(
            StatusCode::METHOD_NOT_ALLOWED,
            "this path takes another method, see `allow`",
        ))
        .layer(from_fn(catch_panics))
}

/// Wallets run in browsers, from any origin, and hold no cookies here: everything is allowed.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::OPTIONS])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([REQUEST_ID, RETRY_AFTER, ALLOW])
        .max_age(PREFLIGHT_AGE)
}

#[cfg(test)]
mod tests;
