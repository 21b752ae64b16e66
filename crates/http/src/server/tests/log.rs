//! What the log says of a request, and what it must not.

use std::io;
use std::sync::Mutex;

use super::world::Served;
use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic holds it").extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_the_id_and_no_secret() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_max_level(tracing::Level::DEBUG)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let served = Served::new().await;
    // Other tests run beside this one without a log. What they were first to log is off until it is asked for again.
    get(served.address, "/v1/info").await;
    tracing::callsite::rebuild_interest_cache();
    let quote = get(served.address, "/v1/mint/quote/bolt11/0190cafe-secret-quote?token=secret").await;
    let body = r#"{"inputs":[{"amount":"secret-amount","secret":"secret-secret"}],"outputs":[]}"#;
    post(served.address, "/v1/swap", body).await.refused(400);
    request(served.address, "GET", "/secret-path", "x-request-id: secret-id\r\nx-forwarded-for: secret\r\n", b"").await;
    let text = String::from_utf8(lines.0.lock().expect("no panic holds it").clone()).expect("text");
    assert!(text.contains(quote.header("x-request-id").expect("an id")), "{text}");
    assert!(text.contains(r#""route":"/v1/mint/quote/{method}/{quote_id}""#), "{text}");
    assert!(text.contains(r#""status":400,"code":20000"#), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
