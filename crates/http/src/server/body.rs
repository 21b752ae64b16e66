//! Reads the body of a request within its bounds: type, encoding, size, time and the memory that all bodies share.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRef, FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, EXPECT};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::Gate;
use super::admission::Room;
use super::answer::Refusal;
use super::json::{Unreadable, read_message};

/// How long the rest of a refused body is read, so that its sender gets to read the refusal. Many clients look at the answer
/// only after they have sent everything, and a connection closed on unread data takes the answer with it.
const LINGER: Duration = Duration::from_secs(1);
/// How much of a refused body is read, in times the limit for bodies.
const LINGER_BODIES: usize = 4;

/// The message that a route takes.
pub(super) struct Message<T>(pub(super) T);

impl<S, T> FromRequest<S> for Message<T>
where
    S: Send + Sync,
    T: DeserializeOwned,
    Arc<Gate>: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        let gate = Arc::<Gate>::from_ref(state);
        let (parts, body) = request.into_parts();
        if let Err(refusal) = check_headers(&parts.headers) {
            linger(&parts.headers, body, gate.config.max_body_bytes).await;
            return Err(refusal);
        }
        let mut reader =
            Reader { body, bytes: Vec::new(), limit: gate.config.max_body_bytes, room: gate.admission.room() };
        let read = match timeout(gate.config.body_timeout, reader.read()).await {
            Ok(read) => read,
            Err(_) => Err(Refusal::malformed(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time")),
        };
        let Reader { body, bytes, room, .. } = reader;
        if let Err(refusal) = read {
            drop((bytes, room));
            linger(&parts.headers, body, gate.config.max_body_bytes).await;
            return Err(refusal);
        }
        read_message(&bytes).map(Message).map_err(Refusal::from)
    }
}

impl From<Unreadable> for Refusal {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Malformed(error) => {
                let detail = format!("the body is not such a request: {error}");
                Refusal::malformed(StatusCode::BAD_REQUEST, detail)
            }
            Unreadable::TooMany(code) => Refusal::nut(code),
        }
    }
}

/// The body must be plain JSON and say so.
fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let refuse = |detail| Err(Refusal::malformed(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (Some(value), None) if is_json(value.as_bytes()) => {}
        _ => return refuse("send the header `content-type: application/json`"),
    }
    let identity = |value: &axum::http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(identity) {
        return refuse("encoded bodies are not read; send the JSON itself");
    }
    Ok(())
}

/// Whether the value of a content-type header is `application/json`, with parameters or without.
fn is_json(value: &[u8]) -> bool {
    let end = value.iter().position(|byte| *byte == b';').unwrap_or(value.len());
    value[..end].trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// A body on its way in.
struct Reader {
    body: Body,
    bytes: Vec<u8>,
    /// In bytes.
    limit: usize,
    room: Room,
}

impl Reader {
    async fn read(&mut self) -> Result<(), Refusal> {
        let announced = usize::try_from(HttpBody::size_hint(&self.body).lower()).unwrap_or(usize::MAX);
        if announced > self.limit {
            return Err(too_large(self.limit));
        }
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|_| Refusal::malformed(StatusCode::BAD_REQUEST, "the body ended early"))?;
            if let Ok(chunk) = frame.into_data() {
                self.take(&chunk)?;
            }
        }
        Ok(())
    }

    fn take(&mut self, chunk: &Bytes) -> Result<(), Refusal> {
        let size = self.bytes.len().saturating_add(chunk.len());
        if size > self.limit {
            return Err(too_large(self.limit));
        }
        self.room.grow(size).map_err(|_| Refusal::overloaded())?;
        self.bytes.extend_from_slice(chunk);
        Ok(())
    }
}

fn too_large(limit: usize) -> Refusal {
    let detail = format!("the body is larger than the limit of {limit} bytes");
    Refusal::malformed(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// Reads on for a moment and forgets what it reads.
pub(super) async fn linger(headers: &HeaderMap, mut body: Body, max_body_bytes: usize) {
    if headers.contains_key(EXPECT) {
        return; // the sender waits for leave to send, so it reads the refusal first
    }
    let mut left = max_body_bytes.saturating_mul(LINGER_BODIES);
    let read = async {
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    // Either way the refusal goes out next.
    let _ = timeout(LINGER, read).await;
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in list {
            map.append(*name, HeaderValue::from_static(value));
        }
        map
    }

    #[test]
    fn json_says_that_it_is_json() {
        for value in ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;x"]
        {
            assert_eq!(check_headers(&headers(&[("content-type", value)])), Ok(()), "{value}");
        }
        for value in
            ["", "text/json", "application/jsonp", "text/plain; application/json", "application/x-www-form-urlencoded"]
        {
            assert!(check_headers(&headers(&[("content-type", value)])).is_err(), "{value}");
        }
        assert!(check_headers(&headers(&[])).is_err());
        let two = [("content-type", "application/json"), ("content-type", "text/plain")];
        assert!(check_headers(&headers(&two)).is_err());
    }

    #[test]
    fn encoded_bodies_are_refused() {
        let with = |encoding| headers(&[("content-type", "application/json"), ("content-encoding", encoding)]);
        assert_eq!(check_headers(&with("identity")), Ok(()));
        for encoding in ["gzip", "br", "deflate", "identity, gzip", "zstd"] {
            assert!(check_headers(&with(encoding)).is_err(), "{encoding}");
        }
    }
}
