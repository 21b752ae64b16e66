//! Servers that misbehave, each a script on a loopback socket.

use std::time::Duration;

use hazel_protocol::CurrencyUnit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::*;

fn web(allow_http: bool) -> HttpWeb {
    HttpWeb::new(ClientConfig { request_timeout: Duration::from_secs(2), allow_http, ..ClientConfig::default() })
}

/// A server that answers the n-th connection with the n-th text and then closes; what it was asked comes through the channel.
async fn server(answers: Vec<String>) -> (String, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let at = format!("http://{}", listener.local_addr().expect("bound"));
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.expect("a client");
            let mut bytes = vec![0; 65_536];
            let count = stream.read(&mut bytes).await.expect("readable");
            // Nobody may listen any more.
            let _ = tell.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (at, told)
}

fn http(status: &str, more: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{more}content-length: {}\r\n\r\n{body}", body.len())
}

fn at(text: &str) -> EndpointUrl {
    text.parse().expect("a url")
}

fn payload() -> PaymentPayload {
    PaymentPayload {
        id: Some("tea".to_owned()),
        memo: None,
        mint: "https://mint.example".parse().expect("a url"),
        unit: CurrencyUnit::Sat,
        proofs: vec![].try_into().expect("few"),
    }
}

#[tokio::test]
async fn a_question_carries_its_parameters_escaped() {
    let (url, mut told) = server(vec![http("200 OK", "", "{}")]).await;
    let body = web(true).fetch(&at(&format!("{url}/pay?k=1")), &[("amount", "21000"), ("comment", "a&b=c é")]).await;
    assert_eq!(body, Ok(b"{}".to_vec()));
    let asked = told.recv().await.expect("asked");
    assert!(asked.starts_with("GET /pay?k=1&amount=21000&comment=a%26b%3Dc+%C3%A9 HTTP/1.1\r\n"), "{asked}");
}

#[tokio::test]
async fn redirects_of_a_question_end() {
    let hop = || http("302 Found", "location: /again\r\n", "");
    let (url, _told) = server((0..9).map(|_| hop()).collect()).await;
    assert!(matches!(web(true).fetch(&at(&url), &[]).await, Err(RemoteError::Refused(_))));
    let (url, _told) = server(vec![hop(), hop(), hop(), http("200 OK", "", "done")]).await;
    assert_eq!(web(true).fetch(&at(&url), &[]).await, Ok(b"done".to_vec()));
}

#[tokio::test]
async fn a_payment_is_not_redirected() {
    let (elsewhere, mut told) = server(vec![http("200 OK", "", "")]).await;
    let (url, _told) = server(vec![http("307 Temporary Redirect", &format!("location: {elsewhere}\r\n"), "")]).await;
    let answer = web(true).deliver(&Transport::post(at(&url)), &payload()).await;
    assert!(matches!(answer, Err(RemoteError::Ambiguous(_))), "{answer:?}");
    assert!(told.try_recv().is_err(), "the money went elsewhere");
}

#[tokio::test]
async fn only_a_success_is_a_delivery() {
    for (status, refused) in
        [("400 Bad Request", true), ("404 Not Found", true), ("429 Slow", false), ("502 Bad", false)]
    {
        let (url, _told) = server(vec![http(status, "", "")]).await;
        let answer = web(true).deliver(&Transport::post(at(&url)), &payload()).await.expect_err("not delivered");
        assert_eq!(matches!(answer, RemoteError::Refused(_)), refused, "{status}: {answer}");
        assert!(!matches!(answer, RemoteError::NotSent(_)), "{status}: {answer}");
    }
    let (url, mut told) = server(vec![http("200 OK", "", "thanks")]).await;
    assert_eq!(web(true).deliver(&Transport::post(at(&url)), &payload()).await, Ok(()));
    let asked = told.recv().await.expect("asked");
    assert!(asked.starts_with("POST / HTTP/1.1\r\n") && asked.contains(r#"{"id":"tea""#), "{asked}");
}

#[tokio::test]
async fn answers_end_in_size_and_time() {
    let (url, _told) = server(vec![http("200 OK", "", &"x".repeat(MAX_WEB_ANSWER_BYTES + 1))]).await;
    assert!(matches!(web(true).fetch(&at(&url), &[]).await, Err(RemoteError::Ambiguous(_))));
    let (url, _told) = server(vec!["HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nx".to_owned()]).await;
    assert!(matches!(web(true).fetch(&at(&url), &[]).await, Err(RemoteError::Ambiguous(_))));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    assert!(matches!(web(true).fetch(&at(&url), &[]).await, Err(RemoteError::Ambiguous(_))), "it never answers");
}

#[tokio::test]
async fn nothing_goes_out_unencrypted() {
    let (url, mut told) = server(vec![http("200 OK", "", "{}")]).await;
    assert!(matches!(web(false).fetch(&at(&url), &[]).await, Err(RemoteError::NotSent(_))));
    let post = Transport::post(at(&url));
    assert!(!web(false).reaches(&post) && web(true).reaches(&post));
    assert!(web(false).reaches(&Transport::post(at("http://abc.onion/pay"))));
    assert!(web(false).reaches(&Transport::post(at("https://shop.example/pay"))));
    assert!(matches!(web(false).deliver(&post, &payload()).await, Err(RemoteError::NotSent(_))));
    assert!(told.try_recv().is_err());
}

#[test]
fn an_encrypted_server_cannot_lead_to_a_plain_one() {
    let from = Url::parse("https://shop.example/").expect("a url");
    let moved = |to: &str| {
        let response = axum::http::Response::builder().status(302).header("location", to).body("").expect("whole");
        web(true).next(&from, &Response::from(response)).map(String::from)
    };
    assert_eq!(moved("/pay"), Some("https://shop.example/pay".to_owned()));
    assert_eq!(moved("https://www.shop.example/"), Some("https://www.shop.example/".to_owned()));
    for to in ["http://shop.example/", "http://127.0.0.1/", "file:///etc/passwd", "javascript:1"] {
        assert_eq!(moved(to), None, "{to}");
    }
}
