//! The routes. Each reads its request, makes one call of the engine, and answers.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{get, post};
use hazel_mint::{Blame, MintError};
use hazel_protocol::{
    CheckStateRequest, ErrorCode, KeysetId, MeltQuoteBolt11Request, MeltRequest, MintQuoteBolt11Request, MintRequest,
    QuoteId, RestoreRequest, SwapRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::App;
use super::admission::Kind;
use super::answer::{Refusal, answer, public_answer};
use super::body::Message;

/// The longest name of a payment method, in bytes. The NUTs allow `[a-z0-9_-]+`.
const MAX_METHOD_BYTES: usize = 32;

type Reply = Result<Response, Refusal>;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v1/info", get(info))
        .route("/v1/keys", get(keys))
        .route("/v1/keys/{keyset_id}", get(keys_of))
        .route("/v1/keysets", get(keysets))
        .route("/v1/swap", post(swap))
        .route("/v1/checkstate", post(check_state))
        .route("/v1/restore", post(restore))
        .route("/v1/mint/quote/{method}", post(open_mint_quote))
        .route("/v1/mint/quote/{method}/{quote_id}", get(mint_quote))
        .route("/v1/mint/{method}", post(issue))
        .route("/v1/melt/quote/{method}", post(open_melt_quote))
        .route("/v1/melt/quote/{method}/{quote_id}", get(melt_quote))
        .route("/v1/melt/{method}", post(melt))
}

// NUT-06
async fn info(State(app): State<App>) -> Response {
    public_answer(&app.mint.info(), app.gate.config.cache_secs)
}

// NUT-01
async fn keys(State(app): State<App>) -> Response {
    public_answer(&app.mint.keys(), app.gate.config.cache_secs)
}

// NUT-01
async fn keys_of(State(app): State<App>, Params(id): Params<String>) -> Reply {
    let id: KeysetId = id.parse().map_err(|_| Refusal::nut(ErrorCode::KeysetUnknown))?;
    let keys = app.mint.keys_of(&id)?;
    Ok(public_answer(&keys, app.gate.config.cache_secs))
}

// NUT-02
async fn keysets(State(app): State<App>) -> Response {
    public_answer(&app.mint.keysets(), app.gate.config.cache_secs)
}

// NUT-03
async fn swap(State(app): State<App>, Message(request): Message<SwapRequest>) -> Reply {
    app.call(app.mint.swap(request)).await
}

// NUT-07
async fn check_state(State(app): State<App>, Message(request): Message<CheckStateRequest>) -> Reply {
    app.call(app.mint.check_state(request)).await
}

// NUT-09
async fn restore(State(app): State<App>, Message(request): Message<RestoreRequest>) -> Reply {
    app.call(app.mint.restore(request)).await
}

// NUT-04, NUT-23
async fn open_mint_quote(
    State(app): State<App>,
    Params(method): Params<String>,
    Message(request): Message<MintQuoteBolt11Request>,
) -> Reply {
    check_method(&method)?;
    app.call(app.mint.open_mint_quote(&method, request)).await
}

// NUT-04, NUT-23
async fn mint_quote(State(app): State<App>, Params((method, quote)): Params<(String, String)>) -> Reply {
    check_method(&method)?;
    app.call(app.mint.mint_quote(&method, &quote_id(&quote)?)).await
}

// NUT-04, NUT-23
async fn issue(
    State(app): State<App>,
    Params(method): Params<String>,
    Message(request): Message<MintRequest>,
) -> Reply {
    check_method(&method)?;
    app.call(app.mint.issue(&method, request)).await
}

// NUT-05, NUT-23
async fn open_melt_quote(
    State(app): State<App>,
    Params(method): Params<String>,
    Message(request): Message<MeltQuoteBolt11Request>,
) -> Reply {
    check_method(&method)?;
    app.call(app.mint.open_melt_quote(&method, request)).await
}

// NUT-05, NUT-23
async fn melt_quote(State(app): State<App>, Params((method, quote)): Params<(String, String)>) -> Reply {
    check_method(&method)?;
    app.call(app.mint.melt_quote(&method, &quote_id(&quote)?)).await
}

// NUT-05, NUT-08, NUT-23
async fn melt(State(app): State<App>, Params(method): Params<String>, Message(request): Message<MeltRequest>) -> Reply {
    check_method(&method)?;
    let limit = app.mint.config().melt_wait.saturating_add(app.gate.config.request_timeout);
    let paid = app.gate.run(Kind::Payment, limit, app.mint.melt(&method, request)).await??;
    Ok(answer(&paid))
}

impl App {
    /// Makes a call of the engine that takes milliseconds, and answers with what it gives.
    async fn call<T: Serialize>(&self, call: impl Future<Output = Result<T, MintError>>) -> Reply {
        let value = self.gate.run(Kind::Short, self.gate.config.request_timeout, call).await??;
        Ok(answer(&value))
    }
}

/// The one place where an error of the engine gets a status.
impl From<MintError> for Refusal {
    fn from(error: MintError) -> Self {
        let status = match error.blame() {
            Blame::Client => StatusCode::BAD_REQUEST,
            Blame::Overload | Blame::Outside => StatusCode::SERVICE_UNAVAILABLE,
            Blame::Bug => StatusCode::INTERNAL_SERVER_ERROR,
        };
        match error.blame() {
            Blame::Client => {}
            Blame::Overload => tracing::warn!(%error, "refused for now"),
            Blame::Outside | Blame::Bug => tracing::error!(%error, "could not be done"),
        }
        let refusal = Self::new(status, error.response());
        match error.retry_after_secs() {
            Some(secs) => refusal.after(secs),
            None => refusal,
        }
    }
}

/// The variable parts of a path. What is no UTF-8 matches no resource.
struct Params<T>(T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Params<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refusal> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, app).await;
        path.map(|Path(value)| Self(value)).map_err(|_| Refusal::malformed(StatusCode::NOT_FOUND, "no such path"))
    }
}

/// NUT-04 and NUT-05: a method matches `[a-z0-9_-]+`. Whether the mint has it is for the engine to say.
fn check_method(method: &str) -> Result<(), Refusal> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if method.is_empty() || method.len() > MAX_METHOD_BYTES || !method.bytes().all(allowed) {
        return Err(Refusal::malformed(
            StatusCode::BAD_REQUEST,
            "a payment method is written with a-z, 0-9, '_' and '-'",
        ));
    }
    Ok(())
}

/// A text that cannot be the id of a quote is the id of no quote.
fn quote_id(text: &str) -> Result<QuoteId, Refusal> {
    let unknown = MintError::invalid(hazel_mint::Group::Quote, "no such quote");
    text.parse().map_err(|_| unknown.into())
}
