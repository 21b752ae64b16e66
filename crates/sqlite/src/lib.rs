//! SQLite storage for a Cashu mint and a Cashu wallet.
//!
//! Both stores are rules on top of one engine, which is about a file and knows nothing of money:
//!
//! ```text
//!   callers ── apply ──► queue ──► writer ───────────► mint.sqlite-wal ◄── readers ◄── queue ◄── read ── callers
//!                        (bounded)  one thread,         │                   a few threads,       (bounded)
//!                                   groups of changes   ▼                   one snapshot a read
//!                                                      mint.sqlite ◄── checkpointer
//!                                                      mint.sqlite.lock     one thread, keeps the log short
//! ```
//!
//! | module | what it is for |
//! |---|---|
//! | `lock` | one process at a time, which is also what proves earlier owners dead |
//! | `database` | takes, checks and opens the file; connections in three roles |
//! | `key` | the key of an encrypted file |
//! | `migration` | schema versions, forward only |
//! | `queue`, `health` | bounded waiting; whether the store may still be used |
//! | `writer` | groups: a savepoint for each change, one commit for all |
//! | `readers`, `columns` | reads beside the writer; rows that are not trusted |
//! | `checkpointer` | moves the log into the file |
//! | `engine` | starts and ends all of these |
//! | `mint`, `wallet` | the schema, the statements, and one function for each change of the port |
//!
//! # Durability
//! A group that holds a durable change is committed with `synchronous = FULL`, which syncs the whole log and so covers every group before it. Other
//! groups are committed without a sync: after a power cut they may be missing, from the end of the log backwards, and never with a gap.
//! Answers go out after the commit has returned. When a commit fails the same changes are applied once more on a new connection; when a
//! *sync* fails the store stops for good, because a disk that has lost a write may confirm the next sync all the same.
//!
//! # Trust
//! What is read is checked: types, lengths, spellings, the curve. A value that cannot be right is an error that names its column. What is written is
//! checked a second time by the constraints of the schema, so that a mistake here is refused by SQLite and not stored.

mod checkpointer;
mod columns;
mod database;
mod engine;
mod fault;
mod health;
mod key;
mod lock;
mod migration;
#[cfg(feature = "mint")]
mod mint;
mod queue;
mod readers;
#[cfg(feature = "wallet")]
mod wallet;
mod writer;

pub use database::{OpenError, OpenOptions};
pub use key::{DatabaseKey, KeyError, MAX_KEY_BYTES};
#[cfg(feature = "mint")]
pub use mint::{APPLICATION_ID as MINT_APPLICATION_ID, MintStore};
#[cfg(feature = "wallet")]
pub use wallet::{APPLICATION_ID as WALLET_APPLICATION_ID, WalletStore};
