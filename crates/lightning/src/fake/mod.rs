//! A Lightning node that lives in one SQLite file: for development and tests, never for money.
//!
//! # The model
//!
//! The file is the node. Every [`FakeNode`] opened on it, in whatever process, is a connection to that one node, so replicas of a mint
//! see the same invoices, payments and settlements, and two mints on one file can pay each other. A [`FakeLedger`] is a test's view of
//! it: it audits the books, pays invoices, and bends the node while others use it.
//!
//! **In.** Invoices are real, signed BOLT11. Each pays itself after a set delay, or when told to ([`FakeLedger::settle`]: partly, too
//! much, several times), or when another payment on the ledger pays it. What arrives is a settlement with a cursor that only grows.
//!
//! **Out.** [`pay`](hazel_mint::ports::Payments::pay) is recorded with its id, deadline and outcome before anything else happens. An
//! invoice of the ledger is settled by being paid, once, and its preimage is the proof; parts of it (NUT-15) wait for each other. Any
//! other well-formed invoice, of any network, expired or not, just gets paid: the fake cannot know its preimage and gives its word
//! (`Vouched`), which its [`Capabilities`](hazel_mint::ports::Capabilities) say.
//!
//! **Truth and talk** are kept apart. What really becomes of a payment is in the books; what the node says about it can be scripted, by
//! [`Steer`] for all payments or by a [`Script`] in the description of one invoice. An audit reads the truth.
//!
//! **Time** passes when somebody looks: what is due is kept as a point in time and written by whoever opens the next transaction, exactly
//! once. There is no background task, and a process may be killed anywhere.
//!
//! # Faults it can play
//!
//! | fault | how |
//! |---|---|
//! | slow, away, away for one call | [`Steer::LatencyMs`], [`Steer::Down`], [`Steer::PayUnreachable`], [`Steer::RouteFault`] |
//! | fails after it has the payment | [`Script::pay_err`] |
//! | never answers, or after a poller has seen PAID | [`Steer::Hang`] |
//! | pays twice when asked twice | [`Steer::Idempotent`] |
//! | forgets | [`Steer::Forget`], [`FakeLedger::forget`] |
//! | PENDING or UNKNOWN for ever | [`Script`], ended by [`FakeLedger::resolve`] |
//! | reports the failure of an earlier attempt | [`Steer::StaleFailed`] |
//! | shows a wrong or zero preimage | [`Steer::Shows`] |
//! | fails, costs more than the cap | [`Steer::FailNextPays`], [`Steer::FeeUsedPercent`] with [`Steer::IgnoreFeeCap`] |
//!
//! Not played: routing, channels and their balances, reorganisations, a payer who comes after an invoice's expiry by himself.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use hazel_lightning::fake::{FakeConfig, FakeNode, SystemWorld, open_ledger};
//! use hazel_mint::ports::{NewInvoice, Payments};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("lightning.db");
//! let node = FakeNode::open(&path, FakeConfig::instant(), Arc::new(SystemWorld))?;
//! let invoice = node.create_invoice(NewInvoice { amount_msat: 21_000, description: None, expiry_secs: 600 }).await?;
//!
//! let arrived = node.settlements(0).await?;
//! assert_eq!((arrived[0].payment_hash, arrived[0].amount_msat), (invoice.payment_hash, 21_000));
//!
//! // Another process may audit the same file.
//! assert_eq!(open_ledger(&path)?.settled_total_msat()?, 21_000);
//! # Ok(())
//! # }
//! ```

mod books;
mod error;
mod incoming;
mod invoice;
mod ledger;
mod node;
mod outgoing;
mod steering;
mod worker;
mod world;

#[cfg(test)]
mod tests;

pub use bitcoin::Network;
pub use error::FakeError;
pub use invoice::{InvoiceSpec, MAX_DESCRIPTION_BYTES, MAX_MSAT};
pub use ledger::{CallOutcome, FakeLedger, LedgerInvoice, OutgoingPayment, PayCall, PaymentState, open_ledger};
pub use node::{FakeConfig, FakeNode};
pub use steering::{Behaviour, Fate, Hang, RouteFault, Says, Script, Settle, Shows, Steer};
pub use world::{SystemWorld, World};
