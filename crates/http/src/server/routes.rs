//! The routes. Each makes one call of the engine.

use axum::http::StatusCode;
use axum::routing::get as on_get;
use hazel_mint::{Blame, MintError};
use hazel_protocol::{
    CheckStateRequest, CheckStateResponse, KeysResponse, KeysetId, KeysetsResponse, MeltQuoteBolt11Request,
    MeltQuoteBolt11Response, MeltRequest, MintBatchRequest, MintInfo, MintQuoteBolt11Request, MintQuoteBolt11Response,
    MintQuotesCheckRequest, MintRequest, MintResponse, PaymentMethod, QuoteId, RestoreRequest, RestoreResponse,
    SwapRequest, SwapResponse,
};

use super::admission::Kind;
use super::answer::Refusal;
use super::rate::Cost;
use super::table::{Endpoint, Reply, get, get_public, post};
use super::{App, ws};

/// Every route there is: what the router serves and the `OpenAPI` document describes.
pub(super) fn table() -> Vec<Endpoint> {
    vec![
        get_public("/v1/info", info).named("info", "what the mint says about itself (NUT-06)"),
        get_public("/v1/keys", keys).named("keys", "the active keysets with their keys (NUT-01)"),
        get_public("/v1/keys/{keyset_id}", keys_of).named("keysOf", "one keyset with its keys (NUT-01)"),
        get_public("/v1/keysets", keysets).named("keysets", "all keysets, active or not (NUT-02)"),
        post("/v1/swap", swap).named("swap", "exchange proofs for signatures (NUT-03)").costing(Cost::Money),
        post("/v1/checkstate", check_state).named("checkState", "the states of proofs (NUT-07)").costing(Cost::Search),
        post("/v1/restore", restore).named("restore", "signatures given earlier (NUT-09)").costing(Cost::Search),
        post("/v1/mint/quote/{method}", open_mint_quote)
            .named("openMintQuote", "ask how to pay for ecash (NUT-04)")
            .costing(Cost::Quote),
        get("/v1/mint/quote/{method}/{quote_id}", mint_quote).named("mintQuote", "the state of a mint quote (NUT-04)"),
        post("/v1/mint/{method}", issue).named("mint", "ecash for a paid quote (NUT-04)").costing(Cost::Money),
        post("/v1/mint/quote/{method}/check", mint_quotes)
            .named("mintQuotes", "the states of mint quotes (NUT-29)")
            .costing(Cost::Search),
        post("/v1/mint/{method}/batch", issue_batch)
            .named("mintBatch", "ecash for several paid quotes (NUT-29)")
            .costing(Cost::Money),
        post("/v1/melt/quote/{method}", open_melt_quote)
            .named("openMeltQuote", "ask what a payment costs (NUT-05)")
            .costing(Cost::Quote),
        get("/v1/melt/quote/{method}/{quote_id}", melt_quote).named("meltQuote", "the state of a melt quote (NUT-05)"),
        post("/v1/melt/{method}", melt).named("melt", "pay with ecash (NUT-05, NUT-08)").costing(Cost::Money),
        Endpoint::upgrade("/v1/ws", on_get(ws::upgrade))
            .named("subscribe", "a WebSocket for subscriptions (NUT-17)")
            .costing(Cost::Money),
    ]
}

// NUT-06
#[expect(clippy::unnecessary_wraps, reason = "the form of a public route")]
fn info(app: &App, (): ()) -> Reply<MintInfo> {
    Ok(app.mint.info())
}

// NUT-01
#[expect(clippy::unnecessary_wraps, reason = "the form of a public route")]
fn keys(app: &App, (): ()) -> Reply<KeysResponse> {
    Ok(app.mint.keys())
}

// NUT-01
fn keys_of(app: &App, id: KeysetId) -> Reply<KeysResponse> {
    Ok(app.mint.keys_of(&id)?)
}

// NUT-02
#[expect(clippy::unnecessary_wraps, reason = "the form of a public route")]
fn keysets(app: &App, (): ()) -> Reply<KeysetsResponse> {
    Ok(app.mint.keysets())
}

// NUT-03
async fn swap(app: App, (): (), request: SwapRequest) -> Reply<SwapResponse> {
    app.call(app.mint.swap(request)).await
}

// NUT-07
async fn check_state(app: App, (): (), request: CheckStateRequest) -> Reply<CheckStateResponse> {
    app.call(app.mint.check_state(request)).await
}

// NUT-09
async fn restore(app: App, (): (), request: RestoreRequest) -> Reply<RestoreResponse> {
    app.call(app.mint.restore(request)).await
}

// NUT-04, NUT-23
async fn open_mint_quote(
    app: App,
    method: PaymentMethod,
    request: MintQuoteBolt11Request,
) -> Reply<MintQuoteBolt11Response> {
    app.call(app.mint.open_mint_quote(method.as_str(), request)).await
}

// NUT-04, NUT-23
async fn mint_quote(app: App, (method, quote): (PaymentMethod, QuoteId)) -> Reply<MintQuoteBolt11Response> {
    app.call(app.mint.mint_quote(method.as_str(), &quote)).await
}

// NUT-04, NUT-23
async fn issue(app: App, method: PaymentMethod, request: MintRequest) -> Reply<MintResponse> {
    app.call(app.mint.issue(method.as_str(), request)).await
}

// NUT-29
async fn mint_quotes(
    app: App,
    method: PaymentMethod,
    request: MintQuotesCheckRequest,
) -> Reply<Vec<MintQuoteBolt11Response>> {
    app.call(app.mint.mint_quotes(method.as_str(), request)).await
}

// NUT-29
async fn issue_batch(app: App, method: PaymentMethod, request: MintBatchRequest) -> Reply<MintResponse> {
    app.call(app.mint.issue_batch(method.as_str(), request)).await
}

// NUT-05, NUT-23
async fn open_melt_quote(
    app: App,
    method: PaymentMethod,
    request: MeltQuoteBolt11Request,
) -> Reply<MeltQuoteBolt11Response> {
    app.call(app.mint.open_melt_quote(method.as_str(), request)).await
}

// NUT-05, NUT-23
async fn melt_quote(app: App, (method, quote): (PaymentMethod, QuoteId)) -> Reply<MeltQuoteBolt11Response> {
    app.call(app.mint.melt_quote(method.as_str(), &quote)).await
}

// NUT-05, NUT-08, NUT-23
async fn melt(app: App, method: PaymentMethod, request: MeltRequest) -> Reply<MeltQuoteBolt11Response> {
    let limit = app.mint.config().melt_wait.saturating_add(app.gate.config.request_timeout);
    Ok(app.gate.run(Kind::Payment, limit, app.mint.melt(method.as_str(), request)).await??)
}

impl App {
    /// Makes a call of the engine that takes milliseconds.
    async fn call<T>(&self, call: impl Future<Output = Result<T, MintError>>) -> Reply<T> {
        self.gate.call(call).await
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
