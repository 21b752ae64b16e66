//! One keep-alive connection to the mint.

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

/// A connection, for one request at a time.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: String,
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Bytes,
}

impl Connection {
    /// Connects to `host:port`.
    pub(crate) async fn open(host: &str) -> Result<Self> {
        let stream = TcpStream::connect(host).await.with_context(|| format!("cannot connect to {host}"))?;
        stream.set_nodelay(true)?;
        let (sender, driver) = handshake(TokioIo::new(stream)).await?;
        // Ends with the connection; what goes wrong on it shows at the request.
        tokio::spawn(driver);
        Ok(Self { sender, host: host.to_owned() })
    }

    /// Sends a body and reads the answer whole.
    pub(crate) async fn post(&mut self, path: &str, body: Bytes) -> Result<Answer> {
        let request = Request::post(path).header(HOST, &self.host).header(CONTENT_TYPE, "application/json");
        self.send(request.body(Full::new(body))?).await
    }

    /// Asks for a path and reads the answer as `T`.
    ///
    /// # Errors
    /// Also when the mint refuses.
    pub(crate) async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        let request = Request::get(path).header(HOST, &self.host).body(Full::default())?;
        self.send(request).await?.read()
    }

    /// Sends a message and reads the answer as `T`.
    ///
    /// # Errors
    /// Also when the mint refuses.
    pub(crate) async fn ask<T: DeserializeOwned>(&mut self, path: &str, message: &impl Serialize) -> Result<T> {
        let body = serde_json::to_vec(message)?.into();
        self.post(path, body).await?.read().with_context(|| format!("POST {path}"))
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status().as_u16();
        Ok(Answer { status, body: response.into_body().collect().await?.to_bytes() })
    }
}

impl Answer {
    pub(crate) const fn is_success(&self) -> bool {
        self.status == 200
    }

    /// The body of a success.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T> {
        anyhow::ensure!(self.is_success(), "refused with {}: {}", self.status, self.text());
        serde_json::from_slice(&self.body).with_context(|| format!("not the answer expected: {}", self.text()))
    }

    /// The code of a refusal, if it has one (NUT-00).
    pub(crate) fn code(&self) -> Option<u64> {
        let body: serde_json::Value = serde_json::from_slice(&self.body).ok()?;
        body.get("code")?.as_u64()
    }

    /// The beginning of the body, to show.
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).chars().take(300).collect()
    }
}
