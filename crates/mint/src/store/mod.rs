//! Ledgers that live in this crate: the in-memory reference and the suite that every store must pass.
//!
//! | part | what it is |
//! |---|---|
//! | [`check`] | what a change must promise whatever the ledger holds; every store calls it first |
//! | [`rules`] | what counts as the same record, and what a settlement may give; the same for every store |
//! | [`memory`] | [`MemoryStore`](memory::MemoryStore), the rules as maps behind a lock; the model that other stores are compared with |
//! | `contract` | named cases, random sequences against the model, contention, an auditor (feature `contract`) |

mod check;
#[cfg(any(test, feature = "contract"))]
pub mod contract;
pub mod memory;
pub mod rules;

pub use check::{INTERNAL_CREDIT_PREFIX, TOMBSTONE_SECS, check, internal_credit};
