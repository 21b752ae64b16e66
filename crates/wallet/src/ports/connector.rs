//! The mint as the engine sees it: one method for each route.

use async_trait::async_trait;
use hazel_protocol::{
    CheckStateRequest, CheckStateResponse, ErrorResponse, KeysResponse, KeysetId, KeysetsResponse,
    MeltQuoteBolt11Request, MeltQuoteBolt11Response, MeltRequest, MintInfo, MintQuoteBolt11Request,
    MintQuoteBolt11Response, MintRequest, MintResponse, PointBytes, QuoteId, RestoreRequest, RestoreResponse,
    SwapRequest, SwapResponse,
};

/// Why a request has no answer. The three cases differ in what may have happened at the mint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectorError {
    /// The mint answered with a 4xx status and a NUT error: this copy of the request changed nothing.
    #[error("the mint refused: {} (code {})", .0.detail, .0.code)]
    Refused(ErrorResponse),
    /// A time-out, a cut connection, a 5xx status, a 4xx status without a NUT error, or an answer that cannot be read:
    /// the request may have been applied, or may still be.
    #[error("no clear answer from the mint: {0}")]
    Ambiguous(String),
    /// Not one byte of the request reached the mint: the name did not resolve, the connection or TLS was refused.
    #[error("the mint could not be reached: {0}")]
    NotSent(String),
}

/// What a mint is asked to speak up about (NUT-17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject<'a> {
    /// An invoice that somebody may pay.
    MintQuote(&'a QuoteId),
    /// A payment that the mint makes.
    MeltQuote(&'a QuoteId),
    /// Proofs that somebody may spend.
    Proofs(&'a [PointBytes]),
}

/// A mint that speaks up by itself. What it says is not told, for it is not believed: it only wakes whoever asks then.
#[async_trait]
pub trait Notices: Send {
    /// Completes with `true` when the mint says that something may have changed, with `false` when it will say nothing any more. May be
    /// dropped and called again.
    async fn next(&mut self) -> bool;
}

/// The connection to one mint.
///
/// An implementation sends each request once, follows no redirect, bounds the size and time of answers, and classes
/// failures by [`ConnectorError`]. The texts in errors are shown to people: no control characters, no secrets, no bodies.
/// The same message value must lead to the same bytes, since an operation in doubt is resolved by sending it again.
#[async_trait]
pub trait MintConnector: Send + Sync + 'static {
    /// `GET /v1/info` (NUT-06).
    async fn info(&self) -> Result<MintInfo, ConnectorError>;

    /// `GET /v1/keys`: the active keysets with their keys (NUT-01).
    async fn keys(&self) -> Result<KeysResponse, ConnectorError>;

    /// `GET /v1/keys/{keyset_id}` (NUT-02).
    async fn keys_of(&self, id: &KeysetId) -> Result<KeysResponse, ConnectorError>;

    /// `GET /v1/keysets`: all keysets, active or not (NUT-02).
    async fn keysets(&self) -> Result<KeysetsResponse, ConnectorError>;

    /// `POST /v1/swap` (NUT-03).
    async fn swap(&self, request: &SwapRequest) -> Result<SwapResponse, ConnectorError>;

    /// `POST /v1/mint/quote/bolt11` (NUT-23).
    async fn mint_quote_bolt11(
        &self,
        request: &MintQuoteBolt11Request,
    ) -> Result<MintQuoteBolt11Response, ConnectorError>;

    /// `GET /v1/mint/quote/bolt11/{quote_id}` (NUT-23).
    async fn mint_quote_status(&self, quote: &QuoteId) -> Result<MintQuoteBolt11Response, ConnectorError>;

    /// `POST /v1/mint/bolt11` (NUT-04).
    async fn mint(&self, request: &MintRequest) -> Result<MintResponse, ConnectorError>;

    /// `POST /v1/melt/quote/bolt11` (NUT-23).
    async fn melt_quote_bolt11(
        &self,
        request: &MeltQuoteBolt11Request,
    ) -> Result<MeltQuoteBolt11Response, ConnectorError>;

    /// `GET /v1/melt/quote/bolt11/{quote_id}` (NUT-23).
    async fn melt_quote_status(&self, quote: &QuoteId) -> Result<MeltQuoteBolt11Response, ConnectorError>;

    /// `POST /v1/melt/bolt11` (NUT-05). May take minutes: give it a long time-out.
    async fn melt(&self, request: &MeltRequest) -> Result<MeltQuoteBolt11Response, ConnectorError>;

    /// `POST /v1/checkstate` (NUT-07).
    async fn check_state(&self, request: &CheckStateRequest) -> Result<CheckStateResponse, ConnectorError>;

    /// `GET /v1/ws` (NUT-17): asks the mint to speak up; none when it does not. Whoever waits asks now and then in any case.
    async fn notices(&self, _about: Subject<'_>) -> Option<Box<dyn Notices>> {
        None
    }

    /// `POST /v1/restore` (NUT-09).
    async fn restore(&self, request: &RestoreRequest) -> Result<RestoreResponse, ConnectorError>;
}
