//! The connector against mints that misbehave, each a script on a loopback socket.

use std::time::Instant;

use hazel_protocol::{BoundedVec, PointBytes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

fn quick() -> ClientConfig {
    ClientConfig {
        connect_timeout: Duration::from_millis(500),
        request_timeout: Duration::from_millis(800),
        melt_timeout: Duration::from_secs(3),
        max_answer_bytes: 64 * 1024,
        ..ClientConfig::default()
    }
}

/// A mint that reads one whole request and then does what `script` says.
async fn mint<F>(script: impl FnOnce(TcpStream, String) -> F + Send + 'static) -> HttpConnector
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let request = read_request(&mut stream).await;
        script(stream, request).await;
    });
    HttpConnector::new(&url.parse().expect("a url"), quick()).expect("a connector")
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        let count = stream.read(&mut chunk).await.expect("readable");
        bytes.extend_from_slice(&chunk[..count]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().expect("a length")) {
            return text;
        }
    }
}

/// A mint that answers with these bytes and closes.
async fn says(answer: impl Into<String>) -> HttpConnector {
    let answer = answer.into();
    mint(async move |mut stream, _| {
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

fn http(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn ambiguous<T: std::fmt::Debug>(result: Result<T, ConnectorError>) -> String {
    match result {
        Err(ConnectorError::Ambiguous(text)) => text,
        other => panic!("not ambiguous: {other:?}"),
    }
}

fn check() -> CheckStateRequest {
    let point = "02634a2c2b34bec9e8a4aba4361f6bf202d7fa2365379b0840afe249a7a9d71239";
    let ys: Vec<PointBytes> = vec![point.parse().expect("a point")];
    CheckStateRequest { ys: BoundedVec::try_from(ys).expect("one") }
}

#[tokio::test]
async fn an_answer_is_read_and_a_request_is_plain() {
    let (tell, told) = tokio::sync::oneshot::channel();
    let client = mint(async move |mut stream: TcpStream, request| {
        let body = format!(r#"{{"states":[{{"Y":"{}","state":"UNSPENT"}}]}}"#, check().ys[0]);
        stream.write_all(http("200 OK", &body).as_bytes()).await.expect("writable");
        tell.send(request).expect("somebody asks");
    })
    .await;
    let states = client.check_state(&check()).await.expect("states").states;
    assert_eq!(states.len(), 1);
    let request = told.await.expect("a request");
    let head = request.to_ascii_lowercase();
    assert!(request.starts_with("POST /v1/checkstate HTTP/1.1\r\n"), "{request}");
    assert!(head.contains("content-type: application/json\r\n"), "{request}");
    assert!(head.contains("user-agent: hazel/"), "{request}");
    assert!(!head.contains("accept-encoding"), "{request}");
    assert!(request.ends_with(&format!(r#"{{"Ys":["{}"]}}"#, check().ys[0])), "{request}");
}

#[tokio::test]
async fn a_refusal_is_told_from_doubt() {
    let client = says(http("400 Bad Request", r#"{"detail":"Proofs already spent","code":11001}"#)).await;
    let Err(ConnectorError::Refused(error)) = client.check_state(&check()).await else { panic!("not refused") };
    assert_eq!(error.code, 11001);
    let client = says(http("400 Bad Request", "<h1>go away</h1>")).await;
    ambiguous(client.check_state(&check()).await);
    let client = says(http("503 Service Unavailable", r#"{"detail":"busy","code":50000}"#)).await;
    assert!(ambiguous(client.check_state(&check()).await).contains("busy"));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let target = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let to = target.local_addr().expect("bound");
        let client =
            says(format!("HTTP/1.1 {status}\r\nlocation: http://{to}/v1/checkstate\r\ncontent-length: 0\r\n\r\n"))
                .await;
        assert!(ambiguous(client.check_state(&check()).await).contains("redirects"));
        assert!(tokio::time::timeout(Duration::from_millis(50), target.accept()).await.is_err());
    }
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    let client = mint(async |mut stream: TcpStream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await;
        while stream.write_all(b"1000\r\n").await.is_ok()
            && stream.write_all(&[b' '; 0x1000]).await.is_ok()
            && stream.write_all(b"\r\n").await.is_ok()
        {}
    })
    .await;
    let started = Instant::now();
    assert!(ambiguous(client.info().await).contains("longer"));
    assert!(started.elapsed() < Duration::from_millis(700));
    let client = says("HTTP/1.1 200 OK\r\ncontent-length: 10000000000\r\n\r\n{").await;
    ambiguous(client.info().await);
}

#[tokio::test]
async fn silence_and_trickles_end_by_time() {
    let client = mint(async |stream: TcpStream, _| {
        tokio::time::sleep(Duration::from_secs(30)).await;
        drop(stream);
    })
    .await;
    assert_eq!(ambiguous(client.info().await), "it took too long");
    let client = mint(async |mut stream: TcpStream, _| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(ambiguous(client.info().await), "it took too long");
}

#[tokio::test]
async fn a_melt_has_more_time() {
    let answer =
        r#"{"quote":"q","request":"lnbc","amount":1,"unit":"sat","fee_reserve":0,"state":"PENDING","expiry":1}"#;
    let client = mint(async |mut stream: TcpStream, _| {
        tokio::time::sleep(Duration::from_millis(1200)).await;
        let _ = stream.write_all(http("200 OK", answer).as_bytes()).await;
    })
    .await;
    let request = MeltRequest {
        quote: "q".parse().expect("an id"),
        inputs: BoundedVec::new(),
        outputs: None,
        prefer_async: false,
    };
    assert!(client.melt(&request).await.is_ok());
}

#[tokio::test]
async fn garbage_is_ambiguous_and_not_repeated() {
    let deep = format!("{{\"states\":{}", "[".repeat(10_000));
    for body in ["", "null", "[]", "<html>", r#"{"states":"\u001b[2J"}"#, r#"{"states":[{"Y":"zz"}]}"#, &deep] {
        let text = ambiguous(says(http("200 OK", body)).await.check_state(&check()).await);
        assert!(!text.contains('\u{1b}') && text.len() < 300, "{text}");
    }
    for answer in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{\"states\":", "SSH-2.0-x\r\n\r\n"]
    {
        ambiguous(says(answer).await.check_state(&check()).await);
    }
    let gzip = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x08\x00";
    ambiguous(says(gzip).await.check_state(&check()).await);
}

#[tokio::test]
async fn a_mint_that_is_not_there_got_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    drop(listener);
    for url in [format!("http://{address}"), format!("https://{address}"), "http://nowhere.localhost.onion".to_owned()]
    {
        let Ok(client) = HttpConnector::new(&url.parse().expect("a url"), quick()) else { continue };
        let error = client.info().await.expect_err("nobody there");
        assert!(matches!(error, ConnectorError::NotSent(_)), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn tls_that_fails_got_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let client = match HttpConnector::new(&url.parse().expect("a url"), quick()) {
        Ok(client) => client,
        Err(ClientError::Certificates(_)) => return, // a machine without certificates
        Err(error) => panic!("{error}"),
    };
    let error = client.info().await.expect_err("no TLS");
    assert!(matches!(error, ConnectorError::NotSent(_)), "{error:?}");
}

#[tokio::test]
async fn errors_do_not_show_the_quote() {
    let client = mint(async |stream: TcpStream, _| drop(stream)).await;
    let quote: QuoteId = "0190cafe-secret-quote".parse().expect("an id");
    let text = ambiguous(client.mint_quote_status(&quote).await);
    assert!(!text.contains("secret"), "{text}");
}

#[test]
fn plain_http_is_for_this_machine_and_onions() {
    let new = |url: &str, allow_http| {
        HttpConnector::new(&url.parse().expect("a url"), ClientConfig { allow_http, ..ClientConfig::default() })
    };
    for url in
        ["http://127.0.0.1:3338", "http://localhost:1/x", "http://[::1]:3338", "http://127.9.9.9", "http://abc.onion"]
    {
        assert!(new(url, false).is_ok(), "{url}");
    }
    for url in
        ["http://mint.example", "http://10.0.0.1", "http://127.0.0.1.example", "http://notlocalhost", "http://[::2]"]
    {
        assert!(matches!(new(url, false), Err(ClientError::Insecure(_))), "{url}");
        assert!(new(url, true).is_ok(), "{url}");
    }
}
