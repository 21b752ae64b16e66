//! What the server does with requests before they reach the engine.

use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get as on_get, post as on_post};

use super::*;
use crate::server::answer::answer;
use crate::server::body::Message;

const JSON: &str = "content-type: application/json\r\n";

fn small() -> ServerConfig {
    ServerConfig {
        max_body_bytes: 10_000,
        max_buffered_bytes: 29_000,
        max_in_flight: 2,
        max_payments_in_flight: 1,
        body_timeout: Duration::from_millis(400),
        request_timeout: Duration::from_millis(600),
        cache_secs: 5,
        sockets: super::super::SocketConfig::default(),
        rate: None,
    }
}

fn patient() -> ListenConfig {
    ListenConfig {
        max_connections: 64,
        header_timeout: Duration::from_millis(400),
        write_stall: Duration::from_millis(400),
        drain: Duration::from_secs(5),
        ..ListenConfig::default()
    }
}

/// Routes that read, wait, panic and answer at length.
fn toy(config: ServerConfig) -> Router {
    let gate = Gate::new(config);
    let wait = |kind| {
        move |State(gate): State<Arc<Gate>>, Message(millis): Message<Value>| async move {
            let pause = Duration::from_millis(millis["wait"].as_u64().unwrap_or(0));
            gate.run(kind, gate.config.request_timeout, tokio::time::sleep(pause)).await.map(|()| answer(&"done"))
        }
    };
    let routes: Router<Arc<Gate>> = Router::new()
        .route("/echo", on_post(async |Message(value): Message<Value>| answer(&value)))
        .route("/short", on_post(wait(Kind::Short)))
        .route("/payment", on_post(wait(Kind::Payment)))
        .route("/get", on_get(async || answer(&1)))
        .route("/panic", on_get(async || -> Response { panic!("secret") }))
        .route("/big", on_get(async || Bytes::from(vec![b'x'; 64 * 1024 * 1024])));
    dress(routes, &gate).with_state(gate)
}

async fn server() -> SocketAddr {
    listen(toy(small()), patient()).await
}

#[tokio::test]
async fn a_message_is_read_and_answered() {
    let reply = post(server().await, "/echo", r#"{"a": [1]}"#).await;
    assert_eq!((reply.status, reply.body.as_str()), (200, r#"{"a":[1]}"#));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn every_refusal_has_the_form_of_the_nuts() {
    let address = server().await;
    assert_eq!(get(address, "/nowhere").await.refused(404), 10_000);
    assert_eq!(post(address, "/nowhere", "{}").await.refused(404), 10_000);
    assert_eq!(get(address, "/get/").await.refused(404), 10_000);
    for body in ["", "x", "[1]", "null", "{", r#"{"a":1}{"#, r#"{"a":1,"a":2}"#, "\0"] {
        assert_eq!(post(address, "/echo", body).await.refused(400), 10_000, "{body}");
    }
    let deep = format!(r#"{{"a":{}"#, "[".repeat(9_000));
    assert_eq!(post(address, "/echo", &deep).await.refused(400), 10_000);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_one() {
    let address = server().await;
    let reply = request(address, "DELETE", "/get", "", b"").await;
    assert_eq!(reply.refused(405), 10_000);
    assert_eq!(reply.header("allow"), Some("GET,HEAD"));
    let reply = get(address, "/echo").await;
    assert_eq!(reply.refused(405), 10_000);
    assert_eq!(reply.header("allow"), Some("POST"));
    assert_eq!(request(address, "BREW", "/get", "", b"").await.refused(405), 10_000);
}

#[tokio::test]
async fn head_answers_without_a_body() {
    let reply = request(server().await, "HEAD", "/get", "", b"").await;
    assert_eq!((reply.status, reply.body.as_str()), (200, ""));
}

#[tokio::test]
async fn only_plain_json_is_read() {
    let address = server().await;
    let types = ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"];
    for header in types {
        let reply = request(address, "POST", "/echo", header, b"{}").await;
        assert_eq!(reply.refused(415), 10_000, "{header}");
        assert!(reply.body.contains("application/json"));
    }
    let gzip = format!("{JSON}content-encoding: gzip\r\n");
    assert_eq!(request(address, "POST", "/echo", &gzip, b"\x1f\x8b").await.refused(415), 10_000);
    let charset = "Content-Type: application/json; charset=utf-8\r\n";
    assert_eq!(request(address, "POST", "/echo", charset, b"{}").await.status, 200);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_and_its_sender_reads_that() {
    let address = server().await;
    let fits = format!(r#"{{"a":"{}"}}"#, "x".repeat(10_000 - 8));
    assert_eq!(post(address, "/echo", &fits).await.status, 200);
    for size in [10_001, 39_000] {
        assert_eq!(post(address, "/echo", &" ".repeat(size)).await.refused(413), 10_000);
    }
    // Announced: refused without reading. Chunked: refused when the limit is passed.
    let head = format!("POST /echo HTTP/1.1\r\nhost: mint\r\nexpect: 100-continue\r\n{JSON}");
    let announced = format!("{head}content-length: 99999999999\r\nconnection: close\r\n\r\n");
    assert_eq!(raw(address, announced.as_bytes()).await.refused(413), 10_000);
    let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
    let chunked =
        format!("POST /echo HTTP/1.1\r\nhost: mint\r\nconnection: close\r\n{JSON}transfer-encoding: chunked\r\n\r\n");
    let chunked = format!("{chunked}{}0\r\n\r\n", chunk.repeat(4));
    assert_eq!(raw(address, chunked.as_bytes()).await.refused(413), 10_000);
}

#[tokio::test]
async fn a_slow_body_runs_out_of_time() {
    let address = server().await;
    let mut stream = TcpStream::connect(address).await.expect("a server");
    let head = format!("POST /echo HTTP/1.1\r\nhost: mint\r\nconnection: close\r\n{JSON}content-length: 100\r\n\r\n{{");
    stream.write_all(head.as_bytes()).await.expect("writable");
    let started = Instant::now();
    assert_eq!(read_reply(&mut stream).await.refused(408), 10_000);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_request() {
    let address = server().await;
    let mut stream = TcpStream::connect(address).await.expect("a server");
    let head = format!("POST /echo HTTP/1.1\r\nhost: mint\r\n{JSON}content-length: 100\r\n\r\n{{}}");
    stream.write_all(head.as_bytes()).await.expect("writable");
    stream.shutdown().await.expect("half closed");
    assert_ne!(read_reply(&mut stream).await.status, 200);
}

#[tokio::test]
async fn slow_bodies_hold_memory_but_no_place() {
    let address = server().await;
    let mut slow = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.expect("a server");
        let head = format!("POST /short HTTP/1.1\r\nhost: mint\r\n{JSON}content-length: 9999\r\n\r\n");
        stream.write_all(&[head.as_bytes(), &[b' '; 9_000]].concat()).await.expect("writable");
        slow.push(stream);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    // Two bodies of 9,000 bytes take all but one block of 29,000.
    assert_eq!(post(address, "/echo", &" ".repeat(9_000)).await.refused(503), 50_000);
    assert_eq!(post(address, "/short", "{}").await.status, 200);
}

#[tokio::test]
async fn more_than_fits_is_refused_at_once() {
    let address = server().await;
    let wait = r#"{"wait": 400}"#;
    let waiting: Vec<_> = ["/short", "/short", "/payment"].map(|path| tokio::spawn(post(address, path, wait))).into();
    tokio::time::sleep(Duration::from_millis(150)).await;
    let started = Instant::now();
    for path in ["/short", "/payment"] {
        let reply = post(address, path, "{}").await;
        assert_eq!(reply.refused(503), 50_000);
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
    assert!(started.elapsed() < Duration::from_millis(200));
    for task in waiting {
        assert_eq!(task.await.expect("no panic").status, 200);
    }
    assert_eq!(post(address, "/short", "{}").await.status, 200);
}

#[tokio::test]
async fn a_request_has_a_time_limit() {
    let reply = post(server().await, "/short", r#"{"wait": 60000}"#).await;
    assert_eq!(reply.refused(504), 50_000);
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let address = server().await;
    let reply = get(address, "/panic").await;
    assert_eq!(reply.refused(500), 50_000);
    assert!(!reply.body.contains("secret"));
    assert_eq!(get(address, "/get").await.status, 200);
}

#[tokio::test]
async fn browsers_are_let_in_from_anywhere() {
    let address = server().await;
    let ask = "origin: https://wallet.example\r\naccess-control-request-method: POST\r\n\
               access-control-request-headers: content-type, x-custom\r\n";
    let reply = request(address, "OPTIONS", "/echo", ask, b"").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("access-control-allow-headers"), Some("content-type, x-custom"));
    assert!(reply.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert!(reply.header("access-control-max-age").is_some());
    let reply = get(address, "/get").await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert!(reply.header("access-control-expose-headers").is_some_and(|names| names.contains("x-request-id")));
}

#[tokio::test]
async fn ids_are_our_own() {
    let address = server().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let reply = request(address, "GET", "/get", "x-request-id: forged\r\n", b"").await;
        ids.push(reply.header("x-request-id").expect("an id").to_owned());
    }
    assert!(ids[0] != ids[1] && !ids.contains(&"forged".to_owned()));
}

#[tokio::test]
async fn garbage_is_not_http() {
    let address = server().await;
    for bytes in [
        &b"\x16\x03\x01\x02\x00\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /get HTTP/1.1\r\nbad header\r\n\r\n",
    ] {
        let reply = raw(address, bytes).await;
        assert!(reply.status == 400 || reply.status == 0, "{reply:?}");
    }
    let both =
        format!("POST /echo HTTP/1.1\r\nhost: mint\r\n{JSON}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}x");
    assert_eq!(raw(address, both.as_bytes()).await.status, 400);
    assert_eq!(get(address, "/get").await.status, 200);
}

#[tokio::test]
async fn huge_headers_are_refused() {
    let address = server().await;
    let many = "x: y\r\n".repeat(65);
    assert_eq!(request(address, "GET", "/get", &many, b"").await.status, 431);
    let long = format!("x: {}\r\n", "y".repeat(17_000));
    assert_eq!(request(address, "GET", "/get", &long, b"").await.status, 431);
    let path = format!("/{}", "y".repeat(70_000));
    assert!([414, 431].contains(&get(address, &path).await.status));
}

#[tokio::test]
async fn a_connection_that_says_nothing_is_closed() {
    let address = server().await;
    for start in ["", "GET /get HTTP/1.1\r\nhost: m"] {
        let started = Instant::now();
        let reply = raw(address, start.as_bytes()).await;
        assert!([0, 408].contains(&reply.status), "{reply:?}");
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let config = ListenConfig { max_connections: 1, ..patient() };
    let address = listen(toy(small()), config).await;
    let mut idle = TcpStream::connect(address).await.expect("a server");
    idle.write_all(b"GET /big HTTP/1.1\r\nhost: mint\r\n\r\n").await.expect("writable");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(get(address, "/get").await.status, 503);
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(get(address, "/get").await.status, 200);
}

#[tokio::test]
async fn connections_are_bounded() {
    let config = ListenConfig { max_connections: 2, header_timeout: Duration::from_secs(5), ..patient() };
    let address = listen(toy(small()), config).await;
    let idle = [TcpStream::connect(address).await, TcpStream::connect(address).await];
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut third = TcpStream::connect(address).await.expect("a server");
    let reply = read_reply(&mut third).await;
    assert_eq!((reply.status, reply.json()["code"].as_u64()), (503, Some(50_000)));
    drop(idle);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(get(address, "/get").await.status, 200);
}

#[tokio::test]
async fn shutdown_lets_requests_finish() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = async {
        let _ = stopped.await;
    };
    let serving = tokio::spawn(serve(listener, toy(small()), patient(), shutdown));
    let idle = TcpStream::connect(address).await.expect("a server");
    let running = tokio::spawn(post(address, "/short", r#"{"wait": 300}"#));
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).expect("serving");
    assert_eq!(running.await.expect("no panic").status, 200);
    assert!(serving.await.expect("no panic"));
    assert!(TcpStream::connect(address).await.is_err());
    drop(idle);
}
