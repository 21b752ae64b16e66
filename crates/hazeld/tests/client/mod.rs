//! What the tests of the daemon share: the real process, a wallet that checks everything, and an auditor of its files.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]
#![allow(clippy::panic, reason = "a test helper fails its test")]

mod api;
mod audit;
mod postgres;
mod process;
mod server;
mod wallet;

pub(crate) use api::{Answer, Api};
pub(crate) use audit::{Books, audit, payments_by_hash};
pub(crate) use postgres::{database_of, is_on_postgres, remove, state_of_melt};
pub(crate) use process::{Hazeld, Launch, copy_folder, wait_until};
pub(crate) use server::{NEVER_MS, Server, rotate};
pub(crate) use wallet::{Draft, Wallet, invoice, sum};
