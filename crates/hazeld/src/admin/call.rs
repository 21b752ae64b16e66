//! One HTTP request to the operator's surface of a running mint.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::{DEV_TOKEN_FILE, DEV_URL_FILE, show, tokens};
use crate::cli::AdminArgs;
use crate::config;
use crate::failure::Failure;

/// How long a mint may take to answer.
const PATIENCE: Duration = Duration::from_mins(1);
/// The longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A running mint's operator's surface.
pub(super) struct Target {
    /// Host and port.
    address: String,
    secret: Zeroizing<String>,
}

impl Target {
    /// The one that the arguments name.
    pub(super) fn of(args: &AdminArgs) -> Result<Self, Failure> {
        match &args.data_dir {
            Some(folder) => Self::of_dev(folder),
            None => Self::of_config(&args.config),
        }
    }

    fn of_dev(folder: &Path) -> Result<Self, Failure> {
        let file = folder.join(DEV_URL_FILE);
        let not_running =
            |why: String| Failure::Usage(format!("no hazeld dev seems to run in {}: {why}", folder.display()));
        let text =
            std::fs::read_to_string(&file).map_err(|error| not_running(format!("{}: {error}", file.display())))?;
        let address = text.trim().strip_prefix("http://").map(str::to_owned);
        let address = address.ok_or_else(|| not_running(format!("{} holds no address", file.display())))?;
        Ok(Self { address, secret: tokens::first_secret(&folder.join(DEV_TOKEN_FILE))? })
    }

    fn of_config(path: &Path) -> Result<Self, Failure> {
        let admin = config::load(path, std::env::vars_os())?
            .admin
            .ok_or_else(|| Failure::Usage(format!("{} has no [admin] with listen and token_file", path.display())))?;
        Ok(Self { address: admin.listen.to_string(), secret: tokens::first_secret(&admin.token_file)? })
    }

    /// Asks for something.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.ask(Method::GET, path, String::new())
    }

    /// Asks for something to be done.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.ask(Method::POST, path, body.to_string())
    }

    fn ask(&self, method: Method, path: &str, body: String) -> Result<Value, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::Internal(format!("cannot start the runtime: {error}")))?;
        let asked = runtime.block_on(async { tokio::time::timeout(PATIENCE, self.exchange(method, path, body)).await });
        let (status, bytes) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Err(self.unreachable(&why)),
            Err(_) => return Err(self.unreachable("it does not answer")),
        };
        let answer: Value = serde_json::from_slice(&bytes).map_err(|_| self.unreachable("its answer is no JSON"))?;
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let detail = show::plain(answer["detail"].as_str().unwrap_or("it does not say why"));
        Err(Failure::Usage(format!("the mint refuses ({}): {detail}", status.as_u16())))
    }

    async fn exchange(&self, method: Method, path: &str, body: String) -> Result<(StatusCode, Bytes), String> {
        let text = |error: &dyn std::error::Error| error.to_string();
        let stream = TcpStream::connect(&self.address).await.map_err(|error| text(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| text(&error))?;
        tokio::spawn(connection);
        let bearer = Zeroizing::new(format!("Bearer {}", self.secret.as_str()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address)
            .header(AUTHORIZATION, bearer.as_str())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| text(&error))?;
        let response = sender.send_request(request).await.map_err(|error| text(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(|error| error.to_string())?.to_bytes()))
    }

    fn unreachable(&self, why: &str) -> Failure {
        Failure::Internal(format!("the operator's surface at {}: {why}; is the mint running?", self.address))
    }
}
