//! What a Cashu mint decides: which proofs it accepts, which outputs it signs, which invoices it pays.
//!
//! The engine is generic over four [`ports`]; it reads no clock, draws no randomness and starts no task but through them.
//!
//! | validity | where | example |
//! |---|---|---|
//! | structural | `hazel_protocol` constructors and `Deserialize` | a point has 33 bytes, a list has at most N items |
//! | semantic | pure functions here, in `verify` | inputs equal outputs plus fee, one unit, keyset active |
//! | contextual | constraints inside [`ports::Store::apply`] | proof not spent, output not signed, quote paid |

pub mod ports;
pub mod store;
