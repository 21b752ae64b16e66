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
//! | [`Wallet::prepare_take_back`] | [`PreparedReceive`]: what nobody has claimed of a token | [`Received`] |
//! | [`Wallet::prepare_consolidate`] | [`PreparedConsolidation`] | [`Consolidated`] |
//! | [`Wallet::prepare_transfer`] | [`PreparedTransfer`]: money to another mint, over Lightning | [`Transferred`] |
//! | [`Wallet::restore`] | | [`Restored`] |
//! | [`Wallets::prepare_payment`] | [`PreparedPayment`]: of a payment request | [`Payment`] |
//!
//! [`Wallets`] is all mints of one store, for what concerns several of them: payment requests ([`Wallets::create_request`],
//! [`Wallets::receive_payment`], [`Wallets::prepare_payment`]), invoices that they pay together ([`Wallets::prepare_parts`]). What spans several operations is kept as an [`errand`].
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
//!
//! # Example
//! ```no_run
//! use std::sync::Arc;
//!
//! use hazel_protocol::{Amount, CurrencyUnit, MintUrl};
//! use hazel_wallet::ports::{Environment, MintConnector, Store};
//! use hazel_wallet::{Error, Seed, SendOptions, Wallet};
//!
//! async fn first_steps(
//!     store: Arc<dyn Store>,
//!     connector: Arc<dyn MintConnector>,
//!     environment: Arc<dyn Environment>,
//!     seed: Seed,
//!     mint: MintUrl,
//! ) -> Result<(), Error> {
//!     let wallet = Wallet::open(store, connector, seed, mint, CurrencyUnit::Sat, environment)?;
//!     wallet.add_mint().await?;
//!     wallet.resume().await?;
//!
//!     let mut pending = wallet.prepare_mint(Amount::from_u64(100), Some("pocket money")).await?;
//!     println!("pay {}", pending.invoice());
//!     pending.wait_paid(&mut |_| println!("waiting")).await?;
//!     pending.confirm().await?;
//!
//!     let prepared = wallet.prepare_send(Amount::from_u64(21), SendOptions::default()).await?;
//!     println!("the mint takes {}", prepared.fee());
//!     let sent = prepared.confirm().await?;
//!     println!("hand out {}", sent.token);
//!     Ok(())
//! }
//! ```

mod address;
mod consolidate;
pub mod errand;
pub mod error;
pub mod evidence;
mod exchange;
mod failpoint;
pub mod invoice;
pub mod keysets;
mod lock;
mod melt;
mod mint;
mod outputs;
mod parts;
pub mod ports;
mod receive;
mod request;
mod restore;
mod resume;
mod saga;
mod seed;
pub mod select;
mod send;
pub mod state;
pub mod store;
mod transfer;
pub mod verify;
mod waiting;
mod wallet;
mod wallets;
mod watch;

pub use address::Payee;
pub use consolidate::{Consolidated, PreparedConsolidation};
pub use error::{Error, ErrorClass, Violation};
pub use lock::{LOCK_KEYS, LockInfo, LockTerms};
pub use melt::{MeltOutcome, PaidMelt, PreparedMelt};
pub use mint::{Minted, PendingMint};
pub use parts::{PartsOutcome, PreparedParts};
pub use receive::{PreparedReceive, ReceiveOptions, Received, StoredReceive};
pub use request::{
    Payment, PaymentReceived, PaymentTerms, PreparedPayment, RequestTerms, StoredDelivery, StoredRequest,
};
pub use restore::{RestoreOptions, RestoreProgress, Restored};
pub use resume::{ResumeOutcome, Resumed};
pub use seed::Seed;
pub use send::{PreparedSend, SendOptions, SentToken};
pub use transfer::{PreparedTransfer, Transferred};
pub use verify::RequireDleq;
pub use wallet::{Balance, Policy, Wallet};
pub use wallets::{Connect, Wallets};
