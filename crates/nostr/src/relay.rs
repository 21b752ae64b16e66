//! One question to one relay at a time, over a WebSocket of its own (NIP-01).
//!
//! A relay is a stranger: its messages are bounded in size and number, its silence in time, its events are checked, and its words are shown
//! with terminal escapes taken out.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use hazel_protocol::{MAX_RELAYS, from_json, neutralise};
use hazel_wallet::ports::RemoteError;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::event::{Event, MAX_EVENT_BYTES};

/// Most messages that are read in answer to one question. A count.
pub const MAX_MESSAGES: usize = 10_000;
/// Longest reason of a relay that is shown, in characters.
const MAX_REASON_CHARACTERS: usize = 200;

/// How relays are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelayConfig {
    /// How long a connection may take, with TLS.
    pub connect_timeout: Duration,
    /// How long an answer may take, from the question to its end.
    pub answer_timeout: Duration,
    /// Whether `ws` without encryption is good enough. What is sent is encrypted in any case; who talks to whom is not.
    pub allow_plain: bool,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), answer_timeout: Duration::from_secs(20), allow_plain: false }
    }
}

/// A way to relays. Clones share their settings.
#[derive(Clone)]
pub struct Relays {
    tls: Arc<rustls::ClientConfig>,
    config: RelayConfig,
}

impl fmt::Debug for Relays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relays").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What a relay says.
enum Word {
    Event(Box<Event>),
    /// Everything it had has been said.
    Stored,
    /// Whether it keeps an event.
    Verdict {
        id: String,
        kept: bool,
        reason: String,
    },
    /// It will answer no more.
    Closed(String),
    /// Something else, or something that does not hold.
    Noise,
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

type Socket = WebSocketStream<Box<dyn Duplex>>;

impl Relays {
    /// Ways to relays, encrypted as `tls` says.
    pub const fn new(tls: Arc<rustls::ClientConfig>, config: RelayConfig) -> Self {
        Self { tls, config }
    }

    /// Gives an event to a relay. `Ok` when the relay said that it keeps it.
    ///
    /// # Errors
    /// [`RemoteError`].
    pub async fn publish(&self, url: &str, event: &Event) -> Result<(), RemoteError> {
        let id = bitcoin::hex::DisplayHex::to_lower_hex_string(event.id());
        let message = format!("[\"EVENT\",{}]", event.to_json());
        let heard = self.converse(url, message, self.config.answer_timeout, |word| match word {
            Word::Verdict { id: of, kept, reason } if of == id => {
                ControlFlow::Break(if kept { Ok(()) } else { Err(RemoteError::Refused(reason)) })
            }
            _ => ControlFlow::Continue(()),
        });
        heard.await?.unwrap_or_else(|| Err(silent()))
    }

    /// Gives an event to several relays at once, at most [`MAX_RELAYS`]; how it went with each, in their order.
    pub async fn publish_to_all(&self, urls: &[String], event: &Event) -> Vec<Result<(), RemoteError>> {
        join_all(urls.iter().take(MAX_RELAYS).map(|url| self.publish(url, event))).await
    }

    /// What a relay has of what `filter` describes (NIP-01). Whether it fits the filter is for the caller to look at.
    ///
    /// # Errors
    /// [`RemoteError`]; [`RemoteError::Refused`] when the relay wants more than a question.
    pub async fn query(&self, url: &str, filter: &Value) -> Result<Vec<Event>, RemoteError> {
        let mut events = Vec::new();
        let heard = self.converse(url, request(filter), self.config.answer_timeout, |word| match word {
            Word::Event(event) => {
                events.push(*event);
                ControlFlow::Continue(())
            }
            Word::Stored => ControlFlow::Break(Ok(())),
            Word::Closed(reason) => ControlFlow::Break(Err(RemoteError::Refused(reason))),
            Word::Verdict { .. } | Word::Noise => ControlFlow::Continue(()),
        });
        heard.await?.unwrap_or_else(|| Err(silent()))?;
        Ok(events)
    }

    /// Shows each event that a relay has or gets to `take`, until that has found what it wants or `patience` is over.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn watch<T: Send>(
        &self,
        url: &str,
        filter: &Value,
        patience: Duration,
        mut take: impl FnMut(&Event) -> Option<T> + Send,
    ) -> Result<Option<T>, RemoteError> {
        let heard = self.converse(url, request(filter), patience, |word| match word {
            Word::Event(event) => match take(&event) {
                Some(found) => ControlFlow::Break(Ok(found)),
                None => ControlFlow::Continue(()),
            },
            Word::Closed(reason) => ControlFlow::Break(Err(RemoteError::Refused(reason))),
            Word::Stored | Word::Verdict { .. } | Word::Noise => ControlFlow::Continue(()),
        });
        heard.await?.transpose()
    }

    /// Says one thing and listens until `on` has heard enough; nothing when it has not in time.
    async fn converse<T: Send>(
        &self,
        url: &str,
        message: String,
        patience: Duration,
        mut on: impl FnMut(Word) -> ControlFlow<T> + Send,
    ) -> Result<Option<T>, RemoteError> {
        let opened = timeout(self.config.connect_timeout, self.open(url)).await;
        let mut socket = opened.map_err(|_| RemoteError::NotSent("the relay does not answer".to_owned()))??;
        let talk = async {
            socket.send(Message::text(message)).await.map_err(|error| cut(&error))?;
            for _ in 0..MAX_MESSAGES {
                let text = match socket.next().await {
                    Some(Ok(Message::Text(text))) => text,
                    Some(Ok(Message::Close(_))) | None => return Err(cut("the relay hung up")),
                    // Pings are answered by the socket itself.
                    Some(Ok(_)) => continue,
                    Some(Err(error)) => return Err(cut(&error)),
                };
                if let ControlFlow::Break(done) = on(word(text.as_bytes())) {
                    return Ok(done);
                }
            }
            Err(RemoteError::Ambiguous("the relay says too much".to_owned()))
        };
        let said = timeout(patience, talk).await;
        // Politeness, for which nobody waits.
        drop(timeout(Duration::from_millis(200), socket.close(None)).await);
        said.ok().transpose()
    }

    async fn open(&self, url: &str) -> Result<Socket, RemoteError> {
        let refuse = |why: &str| RemoteError::NotSent(why.to_owned());
        let uri: Uri = url.parse().map_err(|_| refuse("not the address of a relay"))?;
        let encrypted = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") if self.config.allow_plain => false,
            Some("ws") => return Err(refuse("the relay is reached without encryption")),
            _ => return Err(refuse("not the address of a relay")),
        };
        let host = uri.host().filter(|_| !uri.authority().is_some_and(|part| part.as_str().contains('@')));
        let host = host.ok_or_else(|| refuse("not the address of a relay"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if encrypted { 443 } else { 80 });
        let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(|error| unreached(&error))?;
        let stream: Box<dyn Duplex> = if encrypted {
            let name = ServerName::try_from(host).map_err(|_| refuse("not the address of a relay"))?;
            let tls = TlsConnector::from(Arc::clone(&self.tls)).connect(name, tcp).await;
            Box::new(tls.map_err(|error| unreached(&error))?)
        } else {
            Box::new(tcp)
        };
        // The brackets of a message around the event need some room, too.
        let limit = Some(MAX_EVENT_BYTES + 1024);
        let limits = WebSocketConfig::default().max_message_size(limit).max_frame_size(limit);
        let (socket, _) =
            client_async_with_config(uri, stream, Some(limits)).await.map_err(|error| unreached(&error))?;
        Ok(socket)
    }
}

fn request(filter: &Value) -> String {
    json!(["REQ", "hazel", filter]).to_string()
}

fn silent() -> RemoteError {
    RemoteError::Ambiguous("the relay did not answer in time".to_owned())
}

fn shown(text: impl fmt::Display) -> String {
    neutralise(&text.to_string()).chars().take(MAX_REASON_CHARACTERS).collect()
}

fn cut(error: impl fmt::Display) -> RemoteError {
    RemoteError::Ambiguous(shown(error))
}

fn unreached(error: impl fmt::Display) -> RemoteError {
    RemoteError::NotSent(shown(error))
}

fn word(text: &[u8]) -> Word {
    let Ok(Value::Array(parts)) = from_json::<Value>(text) else { return Word::Noise };
    let part = |place: usize| parts.get(place).and_then(Value::as_str).unwrap_or_default();
    match part(0) {
        "EVENT" => match parts.get(2).map(|event| Event::from_json(event.to_string().as_bytes())) {
            Some(Ok(event)) => Word::Event(Box::new(event)),
            _ => Word::Noise,
        },
        "EOSE" => Word::Stored,
        "OK" => {
            let kept = parts.get(2).and_then(Value::as_bool).unwrap_or_default();
            Word::Verdict { id: part(1).to_owned(), kept, reason: shown(part(3)) }
        }
        "CLOSED" => Word::Closed(shown(part(2))),
        _ => Word::Noise,
    }
}
