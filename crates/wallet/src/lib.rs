//! What a Cashu wallet decides: what to spend, what to derive, what to believe, and what to do after a crash.
//!
//! A [`Wallet`] is one mint and one unit; several share a [`Store`](ports::Store). It is generic over three [`ports`]: it
//! opens no connection and no file, reads no clock and draws no randomness but through them.
//!
//! # Operations
//!
//! Whatever moves money is an operation: it is *prepared*, which shows what it costs, and then *confirmed* or *cancelled*.
//! The whole request is durable before it leaves, so an operation that is cut off at any point, by a dropped future,
//! a crash or a lost answer, is found again by [`Wallet::resume`] and brought to its end.
//!
//! | call | gives | `confirm` gives |
//! |---|---|---|
//! | [`Wallet::prepare_mint`] | [`PendingMint`]: an invoice to pay | [`Minted`] |
//! | [`Wallet::prepare_send`] | [`PreparedSend`] | [`SentToken`] |
//! | [`Wallet::prepare_receive`] | [`PreparedReceive`] | [`Received`] |
//! | [`Wallet::prepare_melt`] | [`PreparedMelt`] | [`MeltOutcome`] |
//! | [`Wallet::restore`] | | [`Restored`] |
//!
//! # What counts as evidence
//!
//! An answer of a mint is refused, ambiguous or final, and only a final one moves money. "Unspent" proves nothing while a
//! request may still arrive. An operation in doubt is sent again, with the same bytes, until the answer is final; when the
//! mint says that inputs are spent or outputs signed, the wallet asks for the signatures on its own outputs (NUT-09).
//! See [`evidence`] for the rules, which are a pure function.
//!
//! # Every mint is hostile
//!
//! Nothing a mint says is used before [`verify`] and [`keysets`] have looked at it: lengths, amounts, keysets, the DLEQ
//! proof of each signature, ids against keys, invoices against amounts.

pub mod error;
pub mod keysets;
pub mod ports;
pub mod state;
pub mod store;

pub use error::{Error, ErrorClass, Violation};
