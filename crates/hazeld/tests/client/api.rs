//! Requests to the mint and their answers, with nothing hidden.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Once;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A mint's API.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    url: String,
}

/// An answer: its HTTP status and its JSON.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// The body of a success.
    pub(crate) fn ok<T: DeserializeOwned>(self) -> T {
        assert_eq!(self.status, 200, "refused: {}", self.body);
        serde_json::from_value(self.body).expect("the body is what the NUT says")
    }

    /// The NUT code of a refusal; `None` for a success.
    pub(crate) fn code(&self) -> Option<u64> {
        if self.status == 200 {
            return None;
        }
        assert!(self.body["detail"].is_string(), "a refusal says why: {self:?}");
        Some(self.body["code"].as_u64().unwrap_or_else(|| panic!("a refusal has a code: {self:?}")))
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.status == 200
    }
}

impl Api {
    pub(crate) fn new(url: &str) -> Self {
        Self::with_headers(url, reqwest::header::HeaderMap::new())
    }

    /// The API as it answers who asks from this address of ours.
    pub(crate) fn from_address(url: &str, address: IpAddr, headers: reqwest::header::HeaderMap) -> Self {
        Self {
            http: builder().default_headers(headers).local_address(address).build().expect("a client"),
            url: url.to_owned(),
        }
    }

    /// The operator's surface of `hazeld dev` in this folder.
    pub(crate) fn of_operator(folder: &Path) -> Self {
        let url = std::fs::read_to_string(folder.join("admin-url")).expect("the address is written down");
        let tokens = std::fs::read_to_string(folder.join("admin-token")).expect("a token was made");
        let (_, secret) = tokens.trim().split_once(' ').expect("a name and a secret");
        let mut headers = reqwest::header::HeaderMap::new();
        headers.insert("authorization", format!("Bearer {secret}").parse().expect("printable"));
        Self::with_headers(url.trim(), headers)
    }

    fn with_headers(url: &str, headers: reqwest::header::HeaderMap) -> Self {
        Self { http: builder().default_headers(headers).build().expect("a client"), url: url.to_owned() }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        read(self.http.get(format!("{}{path}", self.url)).send().await).await.expect("the mint answers")
    }

    pub(crate) async fn post(&self, path: &str, body: &impl Serialize) -> Answer {
        self.try_post(path, body).await.expect("the mint answers")
    }

    /// Sends a text as it is, called JSON, with one more header.
    pub(crate) async fn post_text(&self, path: &str, text: String, header: (&str, &str)) -> Answer {
        let request = self.http.post(format!("{}{path}", self.url)).header("content-type", "application/json");
        read(request.header(header.0, header.1).body(text).send().await).await.expect("the mint answers")
    }

    /// `None` when the connection broke before there was an answer.
    pub(crate) async fn try_post(&self, path: &str, body: &impl Serialize) -> Option<Answer> {
        read(self.http.post(format!("{}{path}", self.url)).json(body).send().await).await
    }
}

fn builder() -> reqwest::ClientBuilder {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Some other test may have been quicker.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    reqwest::Client::builder().timeout(Duration::from_mins(2)).no_proxy().tls_certs_only([])
}

async fn read(response: Result<reqwest::Response, reqwest::Error>) -> Option<Answer> {
    let response = response.ok()?;
    let status = response.status().as_u16();
    let body = response.json().await.ok()?;
    Some(Answer { status, body })
}
