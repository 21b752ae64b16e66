//! Lightning backends for the Hazel mint, one feature each.
//!
//! A backend implements [`hazel_mint::ports::Payments`]: it moves bitcoin and reports evidence, and decides nothing. Which evidence
//! may be believed, and when, is the engine's business.
//!
//! | feature | backend |
//! |---|---|
//! | `fake` (default) | [`fake`]: a node that lives in one SQLite file, for development and tests. No real money. |

#[cfg(feature = "fake")]
pub mod fake;
