//! The server on a real socket: `wire` with routes made for the test, `api` with a real engine in the `world` of a test.

mod admin;
mod api;
#[cfg(feature = "client")]
mod both_ends;
mod keysets;
mod log;
mod openapi;
mod rate;
mod wire;
mod world;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::*;

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    /// The value of a header, by its lower-case name.
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(": ")?;
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Checks that this is a refusal in the form of NUT-00 that a browser may read, and gives its code.
    #[track_caller]
    fn refused(&self, status: u16) -> u64 {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        assert_eq!(self.header("access-control-allow-origin"), Some("*"), "{self:?}");
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        let json = self.json();
        assert!(json["detail"].is_string() && json.as_object().is_some_and(|members| members.len() == 2), "{self:?}");
        json["code"].as_u64().unwrap_or_else(|| panic!("no code: {self:?}"))
    }
}

/// Serves `router` on loopback until the runtime ends.
async fn listen(router: Router, config: ListenConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener, router, config, std::future::pending()));
    address
}

/// Sends bytes and reads until the server closes the connection.
async fn raw(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).await.expect("a server");
    stream.write_all(bytes).await.expect("writable");
    read_reply(&mut stream).await
}

async fn read_reply(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.expect("in time").expect("readable");
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Reply { status, head: head.to_owned(), body: body.to_owned() }
}

async fn request(address: SocketAddr, method: &str, path: &str, headers: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: mint\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    raw(address, &[head.as_bytes(), body].concat()).await
}

async fn get(address: SocketAddr, path: &str) -> Reply {
    request(address, "GET", path, "", b"").await
}

async fn post(address: SocketAddr, path: &str, body: &str) -> Reply {
    request(address, "POST", path, "content-type: application/json\r\n", body.as_bytes()).await
}
