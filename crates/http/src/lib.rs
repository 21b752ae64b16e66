//! The Cashu HTTP API (NUT-00 to NUT-09 and NUT-23), both ends.
//!
//! - [`server`] (feature `server`): the routes of a mint as an axum router, and a listener that bounds what a peer may cost.
//! - [`client`] (feature `client`): what a wallet uses to talk to a mint it does not trust.
//!
//! Neither decides anything about money. The server turns a request into one call of the mint engine and its result into an
//! answer; the client turns a call of the wallet engine into one request and says what is known of its fate.

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "server")]
pub mod server;
