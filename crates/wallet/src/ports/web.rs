//! The rest of the world as the engine sees it: servers that are no mint, and ways to hand a payment to whoever asked for it.

use std::sync::Arc;

use async_trait::async_trait;
use hazel_protocol::{EndpointUrl, PaymentPayload, Transport};

/// Why a server that is no mint did not do what it was asked. The texts are shown to people: no control characters, no bodies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// It answered, and the answer is no.
    #[error("it refused: {0}")]
    Refused(String),
    /// It may have got the message: a time-out, a cut connection, an answer that cannot be read.
    #[error("no clear answer: {0}")]
    Ambiguous(String),
    /// Not one byte reached it.
    #[error("it could not be reached: {0}")]
    NotSent(String),
}

/// Servers on the web that are no mint (LUD-06, LUD-16, NUT-18).
///
/// An implementation takes `https` only, but for onion services; bounds size, time and redirects; and lets nobody lead it from a public
/// address to a private one.
#[async_trait]
pub trait Web: Send + Sync + 'static {
    /// `GET` of a resource with these parameters added to its query: the body of the answer, at most [`MAX_WEB_ANSWER_BYTES`] long.
    async fn fetch(&self, url: &EndpointUrl, query: &[(&str, &str)]) -> Result<Vec<u8>, RemoteError>;
}

/// The longest answer of a server that is no mint, in bytes.
pub const MAX_WEB_ANSWER_BYTES: usize = 64 * 1024;

/// Hands a payment to whoever asked for it, by one kind of transport (NUT-18).
///
/// The payload is money. What is delivered twice is the same proofs twice, so a receiver loses nothing by that, and a sender may
/// try again after [`RemoteError::Ambiguous`].
#[async_trait]
pub trait Courier: Send + Sync + 'static {
    /// Whether it can go there at all. Asks nobody.
    fn reaches(&self, transport: &Transport) -> bool;

    /// Delivers the payload. `Ok` when the other side, or one server in between at least, has said that it has it.
    async fn deliver(&self, transport: &Transport, payload: &PaymentPayload) -> Result<(), RemoteError>;
}

/// Several couriers are one: the first that reaches a place goes there.
#[async_trait]
impl Courier for Vec<Arc<dyn Courier>> {
    fn reaches(&self, transport: &Transport) -> bool {
        self.iter().any(|courier| courier.reaches(transport))
    }

    async fn deliver(&self, transport: &Transport, payload: &PaymentPayload) -> Result<(), RemoteError> {
        match self.iter().find(|courier| courier.reaches(transport)) {
            Some(courier) => courier.deliver(transport, payload).await,
            None => Err(RemoteError::NotSent("this wallet has no way to send a payment there".to_owned())),
        }
    }
}
