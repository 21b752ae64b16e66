//! Servers that are no mint: those behind Lightning addresses (LUD-06, LUD-16), and receivers of payments (NUT-18).
//!
//! | the server | the wallet |
//! |---|---|
//! | is reached by plain `http` | refuses, but for onion services ([`ClientConfig::allow_http`] allows the rest) |
//! | redirects a question | goes along three times, each time under the same rules, and never away from `https` |
//! | redirects a payment | does not follow: a payment sent elsewhere is money given away |
//! | answers without end, or slowly | stops at [`MAX_WEB_ANSWER_BYTES`] and at the time limit |

use async_trait::async_trait;
use hazel_protocol::{EndpointUrl, PaymentPayload, Transport, TransportTarget};
use hazel_wallet::ports::{ConnectorError, Courier, MAX_WEB_ANSWER_BYTES, RemoteError, Web};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Client, Response, StatusCode, Url, redirect, retry};

use super::{ClientConfig, JSON, fate, tls};

/// How many redirects of one question are followed. A count.
const MAX_REDIRECTS: usize = 3;

/// Asks servers that are no mint, and posts payments to them. Every request is a connection of its own, so that nobody can tell two
/// payments of one wallet by it.
#[derive(Debug, Clone)]
pub struct HttpWeb {
    config: ClientConfig,
}

impl HttpWeb {
    /// With the time limits, the user agent and the rule for plain `http` of `config`.
    pub const fn new(config: ClientConfig) -> Self {
        Self { config }
    }

    /// A client for one request.
    fn client(&self, url: &Url) -> Result<Client, RemoteError> {
        if !self.allows(url) {
            return Err(RemoteError::NotSent("it is reached without encryption, and https is needed".to_owned()));
        }
        let tls = tls::config(url.scheme() == "https").map_err(|error| RemoteError::NotSent(error.to_string()))?;
        Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .connect_timeout(self.config.connect_timeout)
            .timeout(self.config.request_timeout)
            .user_agent(&self.config.user_agent)
            .build()
            .map_err(|error| RemoteError::NotSent(fate::text(error)))
    }

    /// This machine counts as no good place, unlike for mints: the address comes from somebody else, and what listens here may take a
    /// question for an order.
    fn allows(&self, url: &Url) -> bool {
        let is_onion = || url.host_str().is_some_and(|host| host.rsplit('.').next() == Some("onion"));
        url.scheme() == "https" || (url.scheme() == "http" && (self.config.allow_http || is_onion()))
    }

    /// Where a redirect leads; none if the answer is no redirect that is followed.
    fn next(&self, from: &Url, response: &Response) -> Option<Url> {
        let moved = [StatusCode::MOVED_PERMANENTLY, StatusCode::FOUND, StatusCode::SEE_OTHER];
        let kept = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT];
        if !moved.contains(&response.status()) && !kept.contains(&response.status()) {
            return None;
        }
        let to = from.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()?;
        let keeps_secret = from.scheme() != "https" || to.scheme() == "https";
        (keeps_secret && self.allows(&to)).then_some(to)
    }
}

/// Reads an answer up to the limit.
async fn read(mut response: Response) -> Result<Vec<u8>, RemoteError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(of_failure)? {
        if body.len().saturating_add(chunk.len()) > MAX_WEB_ANSWER_BYTES {
            return Err(RemoteError::Ambiguous(format!("the answer is longer than {MAX_WEB_ANSWER_BYTES} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn of_failure(error: reqwest::Error) -> RemoteError {
    match fate::of_failure(error) {
        ConnectorError::NotSent(reason) => RemoteError::NotSent(reason),
        other => RemoteError::Ambiguous(other.to_string()),
    }
}

fn of_status(status: StatusCode) -> RemoteError {
    let not_now = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    if status.is_client_error() && !not_now.contains(&status) {
        return RemoteError::Refused(status.to_string());
    }
    RemoteError::Ambiguous(status.to_string())
}

fn parse(url: &EndpointUrl) -> Result<Url, RemoteError> {
    Url::parse(url.as_str()).map_err(|error| RemoteError::NotSent(error.to_string()))
}

#[async_trait]
impl Web for HttpWeb {
    async fn fetch(&self, url: &EndpointUrl, query: &[(&str, &str)]) -> Result<Vec<u8>, RemoteError> {
        let mut url = parse(url)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        for _ in 0..=MAX_REDIRECTS {
            let request = self.client(&url)?.get(url.clone()).header(ACCEPT, JSON);
            let response = request.send().await.map_err(of_failure)?;
            match self.next(&url, &response) {
                Some(next) => url = next,
                None if response.status().is_success() => return read(response).await,
                None => return Err(of_status(response.status())),
            }
        }
        Err(RemoteError::Refused("it redirects without end".to_owned()))
    }
}

#[async_trait]
impl Courier for HttpWeb {
    fn reaches(&self, transport: &Transport) -> bool {
        matches!(&transport.target, TransportTarget::Post(url) if parse(url).is_ok_and(|url| self.allows(&url)))
    }

    async fn deliver(&self, transport: &Transport, payload: &PaymentPayload) -> Result<(), RemoteError> {
        let TransportTarget::Post(url) = &transport.target else {
            return Err(RemoteError::NotSent("this is no place for a POST".to_owned()));
        };
        let url = parse(url)?;
        let body = serde_json::to_vec(payload).map_err(|error| RemoteError::NotSent(error.to_string()))?;
        let request = self.client(&url)?.post(url).header(ACCEPT, JSON).header(CONTENT_TYPE, JSON).body(body);
        let response = request.send().await.map_err(of_failure)?;
        if response.status().is_success() { Ok(()) } else { Err(of_status(response.status())) }
    }
}

#[cfg(test)]
mod tests;
