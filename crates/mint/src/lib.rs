//! What a Cashu mint decides: which proofs it accepts, which outputs it signs, which invoices it pays.
//!
//! The engine is generic over five [`ports`]; it reads no clock, draws no randomness and starts no task but through them.
//!
//! | validity | where | example |
//! |---|---|---|
//! | structural | `hazel_protocol` constructors and `Deserialize` | a point has 33 bytes, a list has at most N items |
//! | semantic | pure functions here, in [`verify`] | inputs equal outputs plus fee, one unit, keyset active |
//! | contextual | constraints inside [`ports::Store::apply`] | proof not spent, output not signed, quote paid |
//!
//! [`Mint`] is the way in: one method per route of the NUTs.

mod administer;
mod backends;
mod batch;
pub mod config;
mod driving;
mod error;
mod events;
mod failpoint;
mod hex;
mod history;
pub mod keyring;
mod lookup;
pub mod melt_saga;
mod mint;
mod mint_quote;
mod nut20;
mod open;
mod peers;
pub mod ports;
mod questions;
mod rate;
mod replay;
mod settlement;
pub mod signer;
mod signing;
pub mod store;
mod strays;
mod subscribe;
pub mod swap_saga;
mod sweep;
pub mod verify;

pub use administer::{KeysetState, RotateKeyset};
pub use backends::Backends;
pub use config::{Doors, InfoConfig, Limits, MAX_INPUT_FEE_PPK, MethodConfig, MintConfig, QuoteLimits, UnitConfig};
pub use error::{Blame, Group, INTERNAL_CODE, MintError};
pub use events::Event;
pub use mint::{Mint, Ports};
pub use open::OpenError;
pub use rate::{MAX_MSAT_PER_UNIT, Rate, RateError};
pub use signer::LocalSigner;
pub use subscribe::Listener;
pub use swap_saga::RecoveryReport;
