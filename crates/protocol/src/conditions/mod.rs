//! Spending conditions: what has to come with a proof before it may be spent (NUT-10, NUT-11, NUT-14).
//!
//! A secret that begins with `[` is the well-known form of NUT-10, `[kind, {nonce, data, tags}]`; every other secret is plain and its
//! proof belongs to whoever knows it. The well-known form is read whole or refused: a secret of an unknown kind, or one that breaks a
//! rule, is never taken for a plain one, because then anyone could spend what was meant to be locked.
//!
//! ```text
//! inputs, outputs, time --Spend::plan--> Plan --Plan::verify--> Ok
//!        everything that is cheap             every point and signature
//! ```
//!
//! # Who may spend
//!
//! | pathway | open | needs |
//! |---|---|---|
//! | main, `P2PK` | always | `n_sigs` signatures of the keys in `data` and `pubkeys` |
//! | main, `HTLC` | always | the preimage of `data`, and `n_sigs` signatures of `pubkeys` if that tag is there |
//! | refund | after `locktime`, with a `refund` tag | `n_sigs_refund` signatures of the keys in `refund` |
//! | anyone | after `locktime`, without a `refund` tag | nothing; a witness is not read |
//!
//! A signature counts once, and so does a key: keys are equal when their x coordinates are, whatever their parity or hex case. With
//! `SIG_ALL` one witness, in the first input, speaks for the whole request; witnesses in the other inputs are not read.
//!
//! # What it may cost
//!
//! [`MAX_KEYS_PER_SECRET`] and [`MAX_SIGNATURES_PER_WITNESS`] bound one proof, [`MAX_VERIFICATIONS`] a whole request. All three hold
//! before the first point is looked at.

mod error;
mod plan;
mod secret;
mod sign;
#[cfg(test)]
mod tests;
mod witness;

pub use error::{ConditionError, Malformed, Tag};
pub use plan::{Plan, Spend};
pub use secret::{Condition, ConditionKey, ConditionKind, SigFlag};
pub use sign::{Lock, input_digest, melt_digest, sign_digest, swap_digest};
pub use witness::Unlock;

use crate::limits::{MAX_INPUTS, MAX_SECRET_BYTES, MAX_WITNESS_BYTES};

/// Most keys in one secret, both pathways together. A count.
pub const MAX_KEYS_PER_SECRET: usize = 32;
/// Most signatures in one witness. A count.
pub const MAX_SIGNATURES_PER_WITNESS: usize = 32;
/// Most verifications that one request may cause, counted as signatures times keys over all its proofs. One takes some 50 us.
pub const MAX_VERIFICATIONS: usize = 10_000;

/// Hex digits of a signature, with the quotes and the comma around them in a witness.
const SIGNATURE_TEXT_BYTES: usize = 131;

// Every permitted number of keys and signatures fits in a secret and a witness, and a full request of 2-of-3 locks in a request.
const _: () = assert!(MAX_KEYS_PER_SECRET * 69 + 512 <= MAX_SECRET_BYTES);
const _: () = assert!(MAX_SIGNATURES_PER_WITNESS * SIGNATURE_TEXT_BYTES + 512 <= MAX_WITNESS_BYTES);
const _: () = assert!(MAX_INPUTS * 2 * 3 <= MAX_VERIFICATIONS);
