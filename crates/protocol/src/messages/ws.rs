//! `GET /v1/ws`: what travels on a WebSocket, as JSON-RPC 2.0 (NUT-17).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::check::ProofStateEntry;
use super::melt::MeltQuoteBolt11Response;
use super::mint::MintQuoteBolt11Response;
use crate::bounded::BoundedVec;
use crate::text::bounded;

/// Most filters in one subscription. A count.
pub const MAX_FILTERS: usize = 1000;
/// Longest id of a subscription, in bytes.
pub const MAX_SUB_ID_BYTES: usize = 128;
/// Longest name of a command or kind, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The version that every message names.
pub const JSON_RPC: &str = "2.0";

/// A message of a wallet. What it asks for is in `params`, which depend on `method`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct WsRequest {
    /// The version, [`JSON_RPC`].
    #[serde(deserialize_with = "bounded::<_, MAX_NAME_BYTES>")]
    pub jsonrpc: String,
    /// `subscribe` or `unsubscribe`.
    #[serde(deserialize_with = "bounded::<_, MAX_NAME_BYTES>")]
    pub method: String,
    /// [`SubscribeParams`] or [`UnsubscribeParams`].
    pub params: Value,
    /// Counts the requests of a connection; the answer repeats it.
    pub id: u64,
}

/// Asks for the state of things, now and whenever it changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeParams {
    /// A [`SubscriptionKind`].
    #[serde(deserialize_with = "bounded::<_, MAX_NAME_BYTES>")]
    pub kind: String,
    /// Made by the wallet; names the subscription.
    #[serde(rename = "subId", deserialize_with = "bounded::<_, MAX_SUB_ID_BYTES>")]
    pub sub_id: String,
    /// Ids of quotes, or Ys of proofs.
    pub filters: BoundedVec<String, MAX_FILTERS>,
}

/// Ends a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsubscribeParams {
    /// The subscription.
    #[serde(rename = "subId", deserialize_with = "bounded::<_, MAX_SUB_ID_BYTES>")]
    pub sub_id: String,
}

/// What can be subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriptionKind {
    /// Mint quotes of a method, such as `bolt11_mint_quote`.
    MintQuote(String),
    /// Melt quotes of a method, such as `bolt11_melt_quote`.
    MeltQuote(String),
    /// States of proofs: `proof_state`.
    ProofState,
}

impl SubscriptionKind {
    /// Reads the name of a kind; `None` for any other text.
    pub fn of(name: &str) -> Option<Self> {
        let method = |suffix| name.strip_suffix(suffix).filter(|method| !method.is_empty()).map(str::to_owned);
        match name {
            "proof_state" => Some(Self::ProofState),
            _ => method("_mint_quote").map(Self::MintQuote).or_else(|| method("_melt_quote").map(Self::MeltQuote)),
        }
    }
}

/// The state of what was subscribed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum NotificationPayload {
    /// Of a mint quote.
    MintQuote(Box<MintQuoteBolt11Response>),
    /// Of a melt quote.
    MeltQuote(Box<MeltQuoteBolt11Response>),
    /// Of a proof.
    ProofState(ProofStateEntry),
}
