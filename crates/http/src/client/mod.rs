//! A wallet's end of the wire: one request, one answer, and a clear word about the fate of a request without one.
//!
//! [`HttpConnector`] talks to one mint, which it does not trust:
//!
//! | the mint | the wallet |
//! |---|---|
//! | redirects | follows nowhere: a proof sent elsewhere is money given away |
//! | answers without end, or slowly | stops at [`ClientConfig::max_answer_bytes`] and at the time limit |
//! | compresses its answer | never asked for that, does not read it |
//! | writes terminal escapes into its errors | shows them with the escapes taken out |
//! | is reached by plain `http` | refuses, but for this machine and onion services ([`ClientConfig::allow_http`]) |
//!
//! What is left to say when there is no answer is whether the mint may have acted on the request:
//!
//! | what happened | class |
//! |---|---|
//! | no connection: no such name, refused, no TLS, connect time-out | [`ConnectorError::NotSent`] |
//! | a 4xx status with the error of NUT-00 | [`ConnectorError::Refused`] |
//! | all else: time-out, cut connection, 5xx, 408, 425, 429, a redirect, an answer that is no such message | [`ConnectorError::Ambiguous`] |
//!
//! HTTP/1.1 only, with no proxy from the environment, and with TLS by rustls: its provider (ring) is given to each client and
//! nothing is installed for the process. Certificates are checked as the operating system does.

mod fate;
mod tls;
mod web;
mod ws;

pub use tls::config as tls_config;
pub use web::HttpWeb;

use std::time::Duration;

use async_trait::async_trait;
use hazel_protocol::{
    CheckStateRequest, CheckStateResponse, KeysResponse, KeysetId, KeysetsResponse, MeltQuoteBolt11Request,
    MeltQuoteBolt11Response, MeltRequest, MintInfo, MintQuoteBolt11Request, MintQuoteBolt11Response, MintRequest,
    MintResponse, MintUrl, QuoteId, RestoreRequest, RestoreResponse, SwapRequest, SwapResponse, from_json,
};
use hazel_wallet::ports::{ConnectorError, MintConnector, Notices, Subject};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url, redirect, retry};
use serde::Serialize;
use serde::de::DeserializeOwned;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How a wallet treats its mints.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// How long a connection may take, with TLS.
    pub connect_timeout: Duration,
    /// How long a request may take, from the connection to the last byte of the answer.
    pub request_timeout: Duration,
    /// The same for `POST /v1/melt/..`, which waits for a Lightning payment (NUT-05 asks for a very long one).
    pub melt_timeout: Duration,
    /// The longest answer that is read, in bytes.
    pub max_answer_bytes: usize,
    /// Whether plain `http` is good enough for any mint. It is always for this machine and for onion services.
    pub allow_http: bool,
    /// What the mint is told about the wallet.
    pub user_agent: String,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_mins(1),
            melt_timeout: Duration::from_mins(10),
            max_answer_bytes: 8 * 1024 * 1024,
            allow_http: false,
            user_agent: concat!("hazel/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// Why there is no connector for a mint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// Anybody on the way could read the ecash.
    #[error("{0} is reached without encryption: use https, or allow plain http for it")]
    Insecure(MintUrl),
    /// The URL or the user agent cannot be put into a request.
    #[error("the connection to the mint cannot be set up: {0}")]
    Setup(String),
    /// The certificates that this machine trusts could not be loaded.
    #[error("no trusted root certificates found: {0}")]
    Certificates(String),
}

/// Talks to one mint over HTTP. Clones share connections.
#[derive(Debug, Clone)]
pub struct HttpConnector {
    http: Client,
    base: String,
    config: ClientConfig,
}

impl HttpConnector {
    /// A connector for the mint at `url`. Opens no connection yet.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(url: &MintUrl, config: ClientConfig) -> Result<Self, ClientError> {
        let parsed = Url::parse(url.as_str()).map_err(|error| ClientError::Setup(error.to_string()))?;
        if !url.is_https() && !config.allow_http && !is_private(&parsed) {
            return Err(ClientError::Insecure(url.clone()));
        }
        let http = Client::builder()
            .tls_backend_preconfigured(tls::config(url.is_https())?)
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .connect_timeout(config.connect_timeout)
            // Shorter than servers keep an idle connection, so that a request seldom meets one that is just being closed.
            .pool_idle_timeout(Duration::from_secs(10))
            .tcp_nodelay(true)
            .user_agent(&config.user_agent)
            .build()
            .map_err(|error| ClientError::Setup(fate::text(error)))?;
        Ok(Self { http, base: url.as_str().to_owned(), config })
    }

    async fn get<A: DeserializeOwned>(&self, path: &str) -> Result<A, ConnectorError> {
        let request = self.http.get(format!("{}{path}", self.base)).header(ACCEPT, JSON);
        self.fetch(request.timeout(self.config.request_timeout)).await
    }

    async fn post<M, A>(&self, path: &str, message: &M, timeout: Duration) -> Result<A, ConnectorError>
    where
        M: Serialize + Sync,
        A: DeserializeOwned,
    {
        // Fields are written in the order of their declaration, so the same message gives the same bytes.
        let body = serde_json::to_vec(message)
            .map_err(|error| ConnectorError::NotSent(format!("the request cannot be written: {error}")))?;
        let request = self.http.post(format!("{}{path}", self.base)).header(ACCEPT, JSON).header(CONTENT_TYPE, JSON);
        self.fetch(request.body(body).timeout(timeout)).await
    }

    async fn fetch<A: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<A, ConnectorError> {
        let response = request.send().await.map_err(fate::of_failure)?;
        let status = response.status();
        let body = self.read(response).await?;
        if !status.is_success() {
            return Err(fate::of_status(status, &body));
        }
        from_json(&body).map_err(|error| ConnectorError::Ambiguous(format!("the answer cannot be read: {error}")))
    }

    /// Reads an answer up to the limit.
    async fn read(&self, mut response: Response) -> Result<Vec<u8>, ConnectorError> {
        let limit = self.config.max_answer_bytes;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(fate::of_failure)? {
            if body.len().saturating_add(chunk.len()) > limit {
                return Err(ConnectorError::Ambiguous(format!("the answer is longer than {limit} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Whether what is sent to `url` stays on this machine or is encrypted below HTTP. The parser has put the host in lower case.
fn is_private(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => ["localhost", "onion"].contains(&host.rsplit('.').next().unwrap_or_default()),
    }
}

#[async_trait]
impl MintConnector for HttpConnector {
    async fn info(&self) -> Result<MintInfo, ConnectorError> {
        self.get("/v1/info").await
    }

    async fn keys(&self) -> Result<KeysResponse, ConnectorError> {
        self.get("/v1/keys").await
    }

    async fn keys_of(&self, id: &KeysetId) -> Result<KeysResponse, ConnectorError> {
        self.get(&format!("/v1/keys/{id}")).await
    }

    async fn keysets(&self) -> Result<KeysetsResponse, ConnectorError> {
        self.get("/v1/keysets").await
    }

    async fn swap(&self, request: &SwapRequest) -> Result<SwapResponse, ConnectorError> {
        self.post("/v1/swap", request, self.config.request_timeout).await
    }

    async fn mint_quote_bolt11(
        &self,
        request: &MintQuoteBolt11Request,
    ) -> Result<MintQuoteBolt11Response, ConnectorError> {
        self.post("/v1/mint/quote/bolt11", request, self.config.request_timeout).await
    }

    async fn mint_quote_status(&self, quote: &QuoteId) -> Result<MintQuoteBolt11Response, ConnectorError> {
        self.get(&format!("/v1/mint/quote/bolt11/{quote}")).await
    }

    async fn mint(&self, request: &MintRequest) -> Result<MintResponse, ConnectorError> {
        self.post("/v1/mint/bolt11", request, self.config.request_timeout).await
    }

    async fn melt_quote_bolt11(
        &self,
        request: &MeltQuoteBolt11Request,
    ) -> Result<MeltQuoteBolt11Response, ConnectorError> {
        self.post("/v1/melt/quote/bolt11", request, self.config.request_timeout).await
    }

    async fn melt_quote_status(&self, quote: &QuoteId) -> Result<MeltQuoteBolt11Response, ConnectorError> {
        self.get(&format!("/v1/melt/quote/bolt11/{quote}")).await
    }

    async fn melt(&self, request: &MeltRequest) -> Result<MeltQuoteBolt11Response, ConnectorError> {
        self.post("/v1/melt/bolt11", request, self.config.melt_timeout).await
    }

    async fn check_state(&self, request: &CheckStateRequest) -> Result<CheckStateResponse, ConnectorError> {
        self.post("/v1/checkstate", request, self.config.request_timeout).await
    }

    async fn notices(&self, about: Subject<'_>) -> Option<Box<dyn Notices>> {
        ws::subscribe(&self.base, &self.config, about).await
    }

    async fn restore(&self, request: &RestoreRequest) -> Result<RestoreResponse, ConnectorError> {
        self.post("/v1/restore", request, self.config.request_timeout).await
    }
}

#[cfg(test)]
mod tests;
