//! SQLite storage for a Cashu mint and a Cashu wallet.

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
