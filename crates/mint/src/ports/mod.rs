//! What the engine needs from outside: a place for the ledger, a holder of keys, a Lightning node, and the world.
//!
//! | port | decides | implemented by |
//! |---|---|---|
//! | [`Store`] | contextual validity: proof unspent, output unsigned, quote paid | `store::memory`, hazel-sqlite |
//! | [`Signer`] | nothing; holds the private keys and does the curve arithmetic | [`crate::signer`] |
//! | [`Payments`] | nothing; moves bitcoin and reports evidence | hazel-lightning |
//! | [`Rates`] | nothing; says what a unit is worth | [`FixedRates`] |
//! | [`Environment`] | nothing; clock, randomness, tasks | hazeld, tests |

mod administer;
mod change;
mod environment;
mod observer;
mod payments;
mod rates;
mod record;
mod signer;
mod store;

pub use administer::*;
pub use change::*;
pub use environment::*;
pub use observer::*;
pub use payments::*;
pub use rates::*;
pub use record::*;
pub use signer::*;
pub use store::*;
