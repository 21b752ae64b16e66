//! A small honest mint in the process, a connector that loses, delays and repeats requests, and a world under control.
//!
//! # The fault model
//! A request to the mint may be lost before it arrives, applied with its answer lost, refused by the connection, delivered
//! twice, or held back and delivered at any later time. Whatever runs may be cut off at any step: before or after each change of
//! the store, and before or after each request. The disk keeps what was acknowledged. The mint itself never loses anything.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test program uses its own part")]
#![allow(clippy::missing_panics_doc, missing_docs, reason = "for tests")]

pub mod connector;
pub mod mint;
pub mod world;

pub use connector::{Fault, Link};
pub use mint::{Bank, KeysetKind};
pub use world::{Crash, CrashStore, Peer, TestEnvironment, run_until_crash};

use hazel_protocol::{Amount, Token};
use hazel_wallet::SendOptions;

pub fn sat(value: u64) -> Amount {
    Amount::from_u64(value)
}

/// Sends, whatever it takes.
pub async fn send(peer: &Peer, amount: u64) -> Token {
    let prepared = peer.wallet.prepare_send(sat(amount), SendOptions::default()).await.unwrap();
    prepared.confirm().await.unwrap().token
}
