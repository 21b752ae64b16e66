//! `GET /v1/ws`: subscriptions on a WebSocket (NUT-17).
//!
//! A socket is read, and written to, by one task. Nobody waits for it: what it does not take in time piles up in a bounded queue of the
//! engine, and when that is full the socket is closed and the wallet looks by itself. Each side is heard from at least every
//! [`SocketConfig::ping`], so that proxies keep the connection open and a dead one is noticed.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::http::StatusCode;
use axum::response::Response;
use hazel_mint::{Listener, MintError};
use hazel_protocol::ws::{
    JSON_RPC, NotificationPayload, SubscribeParams, SubscriptionKind, UnsubscribeParams, WsRequest,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::admission::Kind;
use super::answer::Refusal;
use super::json::read_message;
use super::rate::{Cost, Purse};
use super::{App, Gate};

/// The longest message of a wallet, in bytes: a thousand filters and what is around them.
const MAX_MESSAGE_BYTES: usize = 128 * 1024;

/// How long a socket is read on after the last word of the mint, so that a client who has still something under way finds the close frame
/// and not a broken connection.
const FAREWELL: Duration = Duration::from_secs(2);

/// What web sockets may claim. The defaults suit a mint on a small machine.
#[derive(Debug, Clone)]
pub struct SocketConfig {
    /// Open sockets at a time. One more is told 503.
    pub max_sockets: usize,
    /// Subscriptions on one socket at a time.
    pub max_subscriptions: usize,
    /// How often a socket is pinged. One that has said nothing between two pings is closed.
    pub ping: Duration,
    /// How long a message may wait for the wallet to take it.
    pub send_timeout: Duration,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            max_sockets: 1024,
            max_subscriptions: 100,
            ping: Duration::from_secs(20),
            send_timeout: Duration::from_secs(10),
        }
    }
}

/// An error of JSON-RPC 2.0.
struct RpcError {
    code: i32,
    message: String,
}

const PARSE_ERROR: i32 = -32_700;
const INVALID_REQUEST: i32 = -32_600;
const METHOD_NOT_FOUND: i32 = -32_601;
const INVALID_PARAMS: i32 = -32_602;
const INTERNAL_ERROR: i32 = -32_603;
/// Of those that a server may give a meaning of its own.
const TOO_MANY: i32 = -32_029;

impl RpcError {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<MintError> for RpcError {
    fn from(error: MintError) -> Self {
        let code = match error.blame() {
            hazel_mint::Blame::Client => INVALID_PARAMS,
            _ => INTERNAL_ERROR,
        };
        Self::new(code, error.response().detail)
    }
}

/// Why a socket ends, as its last message says.
type End = (u16, &'static str);

const GONE: End = (close_code::NORMAL, "");
const TOO_SLOW: End = (close_code::POLICY, "this client does not read its messages in time");
const SILENT: End = (close_code::POLICY, "this client did not answer a ping");
const NOT_TEXT: End = (close_code::UNSUPPORTED, "messages are JSON text");
const FULL: End = (close_code::AGAIN, "events were missed, or the mint is shutting down; look and subscribe again");
const BROKEN: End = (close_code::ERROR, "the mint cannot go on, try again later");

/// Makes the connection a WebSocket.
pub(super) async fn upgrade(
    State(app): State<App>,
    purse: Option<Extension<Purse>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let upgrade = upgrade
        .map_err(|_| Refusal::malformed(StatusCode::BAD_REQUEST, "this path takes WebSockets (version 13) only"))?;
    let place = Arc::clone(&app.gate.sockets).try_acquire_owned().map_err(|_| Refusal::overloaded())?;
    let upgrade = upgrade.max_message_size(MAX_MESSAGE_BYTES).max_frame_size(MAX_MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| Session::new(socket, &app, purse.map(|Extension(purse)| purse)).run(place)))
}

/// One socket.
struct Session {
    socket: WebSocket,
    listener: Listener,
    gate: Arc<Gate>,
    /// What the client may still ask; `None` when nobody counts.
    purse: Option<Purse>,
    /// Whether anything came since the last ping.
    heard: bool,
}

impl Session {
    fn new(socket: WebSocket, app: &App, purse: Option<Purse>) -> Self {
        Self { socket, listener: app.mint.listener(), gate: Arc::clone(&app.gate), purse, heard: true }
    }

    async fn run(mut self, _place: OwnedSemaphorePermit) {
        let (code, reason) = match self.serve().await {
            Ok(()) => GONE,
            Err(end) => end,
        };
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        // Whoever is gone need not be told, and who closed first is told by what reads on.
        let _ = timeout(self.gate.config.sockets.send_timeout, self.socket.send(Message::Close(Some(frame)))).await;
        let _ = timeout(FAREWELL, self.read_out()).await;
    }

    /// Reads until the other side has closed. Where that was the first to close, this sends the close frame it is owed (RFC 6455, 5.5.1).
    async fn read_out(&mut self) {
        while let Some(Ok(_)) = self.socket.recv().await {}
    }

    /// Until either side has enough.
    async fn serve(&mut self) -> Result<(), End> {
        let period = self.gate.config.sockets.ping;
        let mut pings = interval_at(Instant::now() + period, period);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => {
                        self.heard = true;
                        if !self.take(message).await? {
                            return Ok(());
                        }
                    }
                    Some(Err(_)) | None => return Ok(()),
                },
                event = self.listener.heard() => {
                    let event = event.ok_or(FULL)?;
                    let news = self.listener.tell(event).await.map_err(|_| BROKEN)?;
                    for (subscription, payload) in news {
                        self.notify(&subscription, &payload).await?;
                    }
                }
                _ = pings.tick() => {
                    if !std::mem::take(&mut self.heard) {
                        return Err(SILENT);
                    }
                    self.listener.wonder();
                    self.send(Message::Ping(axum::body::Bytes::new())).await?;
                }
            }
        }
    }

    /// Takes a message; false when it was the last.
    async fn take(&mut self, message: Message) -> Result<bool, End> {
        match message {
            Message::Text(text) => self.answer(text.as_bytes()).await.map(|()| true),
            Message::Binary(_) => Err(NOT_TEXT),
            Message::Ping(_) | Message::Pong(_) => Ok(true),
            Message::Close(_) => Ok(false),
        }
    }

    async fn answer(&mut self, text: &[u8]) -> Result<(), End> {
        let request = match read_request(text) {
            Ok(request) => request,
            Err((id, error)) => return self.refuse(id, error).await,
        };
        let id = Value::from(request.id);
        if self.purse.as_ref().is_some_and(|purse| !purse.take(Cost::Search, text.len())) {
            return self.refuse(id, RpcError::new(TOO_MANY, "too many requests, come back later")).await;
        }
        if request.jsonrpc != JSON_RPC {
            return self.refuse(id, RpcError::new(INVALID_REQUEST, "jsonrpc is \"2.0\"")).await;
        }
        match request.method.as_str() {
            "subscribe" => self.subscribe(id, request.params).await,
            "unsubscribe" => self.unsubscribe(id, request.params).await,
            _ => self.refuse(id, RpcError::new(METHOD_NOT_FOUND, "the methods are subscribe and unsubscribe")).await,
        }
    }

    async fn subscribe(&mut self, id: Value, params: Value) -> Result<(), End> {
        let (subscription, payloads) = match self.try_subscribe(params).await {
            Ok(begun) => begun,
            Err(error) => return self.refuse(id, error).await,
        };
        self.confirm(id, &subscription).await?;
        for payload in payloads {
            self.notify(&subscription, &payload).await?;
        }
        Ok(())
    }

    async fn try_subscribe(&mut self, params: Value) -> Result<(String, Vec<NotificationPayload>), RpcError> {
        let params: SubscribeParams = read_params(params)?;
        let limit = self.gate.config.sockets.max_subscriptions;
        if self.listener.len() >= limit {
            let what = format!("a connection has at most {limit} subscriptions: end one, or open another connection");
            return Err(RpcError::new(INVALID_PARAMS, what));
        }
        let kind = SubscriptionKind::of(&params.kind)
            .ok_or_else(|| RpcError::new(INVALID_PARAMS, "this kind is not supported, see GET /v1/info"))?;
        let begin = self.listener.subscribe(params.sub_id.clone(), &kind, &params.filters);
        let payloads = self.gate.run(Kind::Short, self.gate.config.request_timeout, begin).await;
        let payloads = payloads.map_err(|_| RpcError::new(INTERNAL_ERROR, "the mint is busy, try again shortly"))?;
        Ok((params.sub_id, payloads?))
    }

    async fn unsubscribe(&mut self, id: Value, params: Value) -> Result<(), End> {
        let params: UnsubscribeParams = match read_params(params) {
            Ok(params) => params,
            Err(error) => return self.refuse(id, error).await,
        };
        if self.listener.unsubscribe(&params.sub_id) {
            return self.confirm(id, &params.sub_id).await;
        }
        self.refuse(id, RpcError::new(INVALID_PARAMS, "no such subscription on this connection")).await
    }

    async fn confirm(&mut self, id: Value, subscription: &str) -> Result<(), End> {
        let result = json!({ "status": "OK", "subId": subscription });
        self.say(json!({ "jsonrpc": JSON_RPC, "result": result, "id": id })).await
    }

    async fn refuse(&mut self, id: Value, error: RpcError) -> Result<(), End> {
        let error = json!({ "code": error.code, "message": error.message });
        self.say(json!({ "jsonrpc": JSON_RPC, "error": error, "id": id })).await
    }

    async fn notify(&mut self, subscription: &str, payload: &NotificationPayload) -> Result<(), End> {
        let params = json!({ "subId": subscription, "payload": payload });
        self.say(json!({ "jsonrpc": JSON_RPC, "method": "subscribe", "params": params })).await
    }

    async fn say(&mut self, value: Value) -> Result<(), End> {
        self.send(Message::Text(value.to_string().into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), End> {
        match timeout(self.gate.config.sockets.send_timeout, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(GONE),
            Err(_) => Err(TOO_SLOW),
        }
    }
}

/// Reads a request, or says what is wrong with it and which one it is, as far as that can be told.
fn read_request(text: &[u8]) -> Result<WsRequest, (Value, RpcError)> {
    let value: Value =
        read_message(text).map_err(|_| (Value::Null, RpcError::new(PARSE_ERROR, "this is no JSON object")))?;
    let id = value.get("id").filter(|id| id.is_u64()).cloned().unwrap_or_default();
    let what = "a request has jsonrpc, method, params and a whole number as id";
    serde_json::from_value(value).map_err(|_| (id, RpcError::new(INVALID_REQUEST, what)))
}

fn read_params<T: DeserializeOwned>(params: Value) -> Result<T, RpcError> {
    serde_json::from_value(params)
        .map_err(|_| RpcError::new(INVALID_PARAMS, "the params are not those of this method, or too many"))
}
