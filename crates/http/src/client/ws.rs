//! The mint speaks up by itself: one subscription on a WebSocket (NUT-17).
//!
//! Nothing that comes is read further than to see that it belongs to the subscription. Messages are bounded in size; a mint that sends
//! other things without end is hung up on.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::{SinkExt, StreamExt};
use hazel_protocol::from_json;
use hazel_wallet::ports::{Notices, Subject};
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::{ClientConfig, tls};

/// The longest message that is taken, in bytes: a quote with its change fits.
const MAX_MESSAGE_BYTES: usize = 256 * 1024;

/// How many messages that mean nothing are passed over in a row. A count.
const MAX_IDLE_TALK: usize = 100;

/// How long the line may be silent, pings included, before it counts as dead: mints ping every half minute or so.
const MAX_SILENCE: Duration = Duration::from_mins(3);

const SUB_ID: &str = "hazel";

trait Line: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

/// One subscription, on a socket of its own.
pub(super) struct Subscription {
    socket: WebSocketStream<Box<dyn Line>>,
}

/// Subscribes; none when the mint cannot be reached so, or does not want to.
pub(super) async fn subscribe(base: &str, config: &ClientConfig, subject: Subject<'_>) -> Option<Box<dyn Notices>> {
    let opening = async {
        let mut socket = open(base).await?;
        let (kind, filters) = wanted(subject);
        let params = json!({ "kind": kind, "subId": SUB_ID, "filters": filters });
        let request = json!({ "jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 0 });
        socket.send(Message::text(request.to_string())).await.ok()?;
        Some(Subscription { socket })
    };
    let opened = tokio::time::timeout(config.connect_timeout, opening).await.ok().flatten()?;
    Some(Box::new(opened))
}

fn wanted(subject: Subject<'_>) -> (&'static str, Vec<String>) {
    match subject {
        Subject::MintQuote(quote) => ("bolt11_mint_quote", vec![quote.to_string()]),
        Subject::MeltQuote(quote) => ("bolt11_melt_quote", vec![quote.to_string()]),
        Subject::Proofs(ys) => (
            "proof_state",
            ys.iter().take(hazel_protocol::messages::ws::MAX_FILTERS).map(ToString::to_string).collect(),
        ),
    }
}

async fn open(base: &str) -> Option<WebSocketStream<Box<dyn Line>>> {
    let url = Url::parse(&format!("{base}/v1/ws")).ok()?;
    let is_https = url.scheme() == "https";
    let host = url.host_str()?.trim_start_matches('[').trim_end_matches(']').to_owned();
    let stream = TcpStream::connect((host.as_str(), url.port_or_known_default()?)).await.ok()?;
    let line: Box<dyn Line> = if is_https {
        let name = ServerName::try_from(host).ok()?;
        let connector = TlsConnector::from(std::sync::Arc::new(tls::config(true).ok()?));
        Box::new(connector.connect(name, stream).await.ok()?)
    } else {
        Box::new(stream)
    };
    let address = url.as_str().replacen("http", "ws", 1);
    let limits =
        WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE_BYTES)).max_frame_size(Some(MAX_MESSAGE_BYTES));
    let (socket, _) = client_async_with_config(address, line, Some(limits)).await.ok()?;
    Some(socket)
}

#[async_trait]
impl Notices for Subscription {
    async fn next(&mut self) -> bool {
        for _ in 0..MAX_IDLE_TALK {
            let Ok(next) = tokio::time::timeout(MAX_SILENCE, self.socket.next()).await else { return false };
            match next {
                Some(Ok(Message::Text(text))) if is_notice(text.as_bytes()) => return true,
                Some(Ok(Message::Close(_)) | Err(_)) | None => return false,
                Some(Ok(_)) => {}
            }
        }
        false
    }
}

fn is_notice(message: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Notice {
        method: String,
        params: Params,
    }
    #[derive(Deserialize)]
    struct Params {
        #[serde(rename = "subId")]
        sub_id: String,
    }
    from_json::<Notice>(message).is_ok_and(|notice| notice.method == "subscribe" && notice.params.sub_id == SUB_ID)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hazel_protocol::QuoteId;
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_async;

    /// A mint that says these texts to a subscription and then hangs up.
    async fn mint(says: Vec<String>) -> (String, tokio::task::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let heard = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            let mut socket = accept_async(stream).await.expect("a handshake");
            let asked = socket.next().await.expect("a message").expect("sound").into_text().expect("text").to_string();
            for text in says {
                // The client may have had enough.
                let _ = socket.send(Message::text(text)).await;
            }
            let _ = socket.close(None).await;
            asked
        });
        (url, heard)
    }

    fn notice(sub_id: &str) -> String {
        json!({ "jsonrpc": "2.0", "method": "subscribe", "params": { "subId": sub_id, "payload": {} } }).to_string()
    }

    async fn wakes(says: Vec<String>) -> Vec<bool> {
        let (url, heard) = mint(says).await;
        let quote = QuoteId::new("q1").expect("an id");
        let subject = Subject::MintQuote(&quote);
        let mut notices = subscribe(&url, &ClientConfig::default(), subject).await.expect("a subscription");
        let mut woken = Vec::new();
        loop {
            woken.push(notices.next().await);
            if woken.last() == Some(&false) {
                break;
            }
        }
        let asked: serde_json::Value = serde_json::from_str(&heard.await.expect("it ended")).expect("JSON");
        let params = json!({ "kind": "bolt11_mint_quote", "subId": "hazel", "filters": ["q1"] });
        assert_eq!(asked, json!({ "jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 0 }));
        woken
    }

    #[tokio::test]
    async fn only_what_belongs_to_the_subscription_wakes() {
        let other = [
            json!({ "jsonrpc": "2.0", "result": { "status": "OK", "subId": "hazel" }, "id": 0 }).to_string(),
            notice("other"),
            "nonsense".to_owned(),
            "[]".to_owned(),
        ];
        let says = [other.to_vec(), vec![notice("hazel")], other.to_vec(), vec![notice("hazel")]].concat();
        assert_eq!(wakes(says).await, [true, true, false]);
    }

    #[tokio::test]
    async fn idle_talk_without_end_and_long_messages_end_it() {
        assert_eq!(wakes(vec!["{}".to_owned(); 1000]).await, [false]);
        assert_eq!(wakes(vec!["x".repeat(MAX_MESSAGE_BYTES + 1), notice("hazel")]).await, [false]);
    }

    #[tokio::test]
    async fn a_mint_without_a_socket_is_asked_as_before() {
        let quote = QuoteId::new("q1").expect("an id");
        let config = ClientConfig { connect_timeout: Duration::from_millis(300), ..ClientConfig::default() };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let silent = format!("http://{}", listener.local_addr().expect("bound"));
        assert!(subscribe(&silent, &config, Subject::MeltQuote(&quote)).await.is_none());
        drop(listener);
        assert!(subscribe(&silent, &config, Subject::MeltQuote(&quote)).await.is_none());
        assert!(subscribe("nonsense", &config, Subject::MeltQuote(&quote)).await.is_none());
    }
}
