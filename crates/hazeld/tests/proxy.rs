//! The mint behind a real reverse proxy, configured as the operator's guide says: requests, idle sockets, and whose word on addresses counts.

mod client;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use client::{Api, Server, Wallet, wait_until};
use futures_util::{SinkExt, StreamExt};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const PATIENCE: Duration = Duration::from_mins(1);

/// How long the proxy lets a connection be silent in these tests.
const READ_TIMEOUT: Duration = Duration::from_secs(3);

const GUIDE: &str = include_str!("../../../docs/guide/operator.md");

/// A running nginx; stopped when dropped.
struct Proxy {
    child: Child,
    url: String,
    _folder: TempDir,
}

impl Proxy {
    /// Starts one before the mint at `mint`, and waits until it answers.
    fn start(mint: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // The port is free again when the listener is dropped, and nobody else is likely to take it so soon.
        let listen = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let path = folder.path().join("nginx.conf");
        let site = site(&listen.to_string(), mint.strip_prefix("http://").expect("plain HTTP"));
        std::fs::write(&path, configuration(folder.path(), &site)).expect("written");
        let mut command = Command::new(program());
        command.arg("-p").arg(folder.path()).arg("-c").arg(&path).stdin(Stdio::null());
        let mut child = command.spawn().expect("nginx starts");
        let answers = wait_until(PATIENCE, || {
            assert_eq!(child.try_wait().expect("the process is ours"), None, "nginx ended at its start");
            std::net::TcpStream::connect(listen).is_ok()
        });
        assert!(answers, "nginx does not listen");
        Self { child, url: format!("http://{listen}"), _folder: folder }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian keeps it where only root's path leads.
fn program() -> &'static str {
    let works = |program: &&str| {
        Command::new(program).arg("-v").stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    ["nginx", "/usr/sbin/nginx"].into_iter().find(works).expect("nginx is needed: on Debian, apt-get install nginx")
}

/// What stands in the guide, with this test's addresses, without TLS and with little patience.
fn site(listen: &str, mint: &str) -> String {
    let block = GUIDE.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next()).expect("in the guide");
    let patience = format!("proxy_read_timeout {}s;", READ_TIMEOUT.as_secs());
    let mut site = block.to_owned();
    for (guide, test) in [
        ("listen 443 ssl;", format!("listen {listen};")),
        ("ssl_certificate /etc/ssl/mint.pem;", String::new()),
        ("ssl_certificate_key /etc/ssl/mint.key;", String::new()),
        ("server 127.0.0.1:3338;", format!("server {mint};")),
        ("proxy_read_timeout 120s;", patience),
    ] {
        assert_eq!(site.matches(guide).count(), 1, "the guide says {guide}");
        site = site.replace(guide, &test);
    }
    site
}

/// What nginx needs beside the site: one process, and nothing written outside its folder.
fn configuration(folder: &Path, site: &str) -> String {
    let folder = folder.display();
    let places: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|place| format!("{place}_temp_path {folder}/{place};\n"))
        .concat();
    format!(
        "daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr error;\nevents {{}}\n\
         http {{\naccess_log off;\n{places}{site}\n}}\n"
    )
}

/// The states of a mint quote that a socket through the proxy is told, until it is paid or the socket ends.
async fn told(url: &str, quote: &str) -> Vec<String> {
    let (mut socket, _) =
        connect_async(format!("{}/v1/ws", url.replace("http://", "ws://"))).await.expect("a WebSocket");
    let params = json!({ "kind": "bolt11_mint_quote", "subId": "s", "filters": [quote] });
    let request = json!({ "jsonrpc": "2.0", "method": "subscribe", "params": params, "id": 1 });
    socket.send(Message::text(request.to_string())).await.expect("sent");
    let mut told = Vec::new();
    while told.last().is_none_or(|last| last != "PAID") {
        match tokio::time::timeout(PATIENCE, socket.next()).await.expect("something comes") {
            Some(Ok(Message::Text(text))) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                told.extend(message["params"]["payload"]["state"].as_str().map(str::to_owned));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            Some(Ok(_)) => {}
        }
    }
    told
}

/// Three times as long as the proxy's patience.
const SETTLE: &str = "settle_after_ms = 9000";

#[tokio::test(flavor = "multi_thread")]
async fn money_goes_round_and_pings_keep_an_idle_socket_open() {
    let server = Server::start_with(SETTLE, "", &[("HAZELD_HTTP__SOCKET_PING_SECS", "1")]);
    let proxy = Proxy::start(server.mint.url());
    let wallet = Wallet::open(&proxy.url, 1).await;
    let quote = wallet.mint_quote(8).await.quote;
    let (told, proofs) = tokio::join!(told(&proxy.url, quote.as_str()), wallet.mint(8));
    assert_eq!(told, ["UNPAID", "PAID"], "nothing was said for three times as long as the proxy waits");
    assert_eq!(client::sum(&wallet.swap(&proofs).await), 8);
    let long = json!({ "inputs": [], "outputs": [], "x": "x".repeat(2_000_000) });
    let refused = wallet.api.post("/v1/swap", &long).await;
    assert_eq!((refused.status, refused.code().is_some()), (400, true), "the mint reads what it takes: {refused:?}");
    server.mint.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_pings_the_proxy_ends_an_idle_socket() {
    let server = Server::start_with(SETTLE, "", &[("HAZELD_HTTP__SOCKET_PING_SECS", "60")]);
    let proxy = Proxy::start(server.mint.url());
    let wallet = Wallet::open(&proxy.url, 1).await;
    let quote = wallet.mint_quote(8).await.quote;
    assert_eq!(told(&proxy.url, quote.as_str()).await, ["UNPAID"], "so the other test could fail");
}

/// Opens a mint quote from an address of loopback and says what came of it.
async fn quote_from(address: &str, url: &str, claimed: Option<&str>) -> u16 {
    let mut headers = HeaderMap::new();
    if let Some(claimed) = claimed {
        headers.insert("x-forwarded-for", claimed.parse().expect("printable"));
    }
    let api = Api::from_address(url, address.parse().expect("an address"), headers);
    api.post("/v1/mint/quote/bolt11", &json!({ "amount": 8, "unit": "sat" })).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_is_believed_about_addresses_and_nobody_else() {
    // A quote takes all points of a client, and they come back within twenty seconds at the earliest.
    let rate = "[rate]\nper_second = 1\nburst = 20\ntrusted_proxies = [\"127.0.0.1\"]\n";
    let server = Server::start_with("", rate, &[]);
    let proxy = Proxy::start(server.mint.url());
    let (proxied, direct) = (proxy.url.as_str(), server.mint.url());
    assert_eq!(quote_from("127.0.0.2", proxied, None).await, 200);
    assert_eq!(quote_from("127.0.0.2", proxied, None).await, 429, "its points are used up");
    assert_eq!(quote_from("127.0.0.2", proxied, Some("198.51.100.1")).await, 429, "what it claims does not help");
    assert_eq!(quote_from("127.0.0.3", proxied, None).await, 200, "another client behind the same proxy has its own");
    assert_eq!(quote_from("127.0.0.4", direct, Some("198.51.100.2")).await, 200);
    assert_eq!(quote_from("127.0.0.4", direct, Some("198.51.100.3")).await, 429, "a stranger's header is not read");
}
