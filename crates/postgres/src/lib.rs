//! PostgreSQL storage for a Cashu mint.
//!
//! ```text
//!   callers ── apply ──► queue ──► writer ──────────────► PostgreSQL ◄────── readers ◄── read ── callers
//!                        (bounded)  one task,                                 a few connections
//!                                   groups of changes,
//!                                   one transaction each
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | `settings`, `tls` | what a URL asks for, and TLS as strong as it says |
//! | `session` | one connection: its settings, prepared statements, warnings |
//! | `migration` | schema versions, forward only, safe when several processes start at once |
//! | `readers`, `columns` | reads beside the writer; rows that are not trusted |
//! | `clock` | how long a lease has left |
//! | `fault` | what an error means for the transaction |
//! | `mint` | the schema, the statements, the writer, and one function for each change of the port |
//!
//! # Concurrency
//! Other processes may write to the same database. Transactions run at READ COMMITTED, and what decides is a lock or a key: a unique Y, a unique
//! B_, the row of the operation, the row of the quote. Nothing is decided by a read that another transaction could overtake. Deadlocks and
//! serialization failures are tried again here, a bounded number of times.
//!
//! # Ownership
//! The engine makes its owner known once (`enlist`), and from then on a lease of ten seconds is renewed every two. Only the operations of an owner whose
//! lease has run out are taken over, and the same transaction looks. A process whose lease is nearly over pays nothing any more (`may_pay`), by a clock
//! that goes on while the machine sleeps. Long silence is no proof of death, though: a melt that such a process may have
//! handed to a backend is released only once the time written in its dispatch has passed.
//!
//! # Durability
//! Every connection sets `synchronous_commit` itself: `on` for what must be durable, `off` for a swap's reservation and release, which are lost
//! together or not at all. A server with `fsync` or `full_page_writes` off is refused, and so is, where a standby is to have everything, one that waits for
//! none. Answers go out after COMMIT has returned. A commit whose
//! outcome is not known is resolved by sending the same changes again.
//!
//! # Trust
//! What is read is checked: types, lengths, spellings, the curve. A value that cannot be right is an error that names its column. What is written is
//! checked a second time by the constraints of the schema, so that a mistake here is refused by PostgreSQL and not stored.

#[cfg(feature = "mint")]
mod clock;
#[cfg(feature = "mint")]
mod columns;
#[cfg(feature = "mint")]
mod fault;
#[cfg(feature = "mint")]
mod migration;
#[cfg(feature = "mint")]
mod mint;
#[cfg(feature = "mint")]
mod readers;
#[cfg(feature = "mint")]
mod session;
#[cfg(feature = "mint")]
mod settings;
#[cfg(feature = "mint")]
mod tls;

#[cfg(feature = "mint")]
pub use mint::{MintStore, OpenOptions};
#[cfg(feature = "mint")]
pub use settings::{Durability, OpenError, place_of};
#[cfg(feature = "mint")]
pub use tls::TlsError;
