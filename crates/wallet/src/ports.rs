//! What the engine needs from outside: a mint to talk to, a place to remember things, and the world.
//!
//! | port | decides | implemented by |
//! |---|---|---|
//! | [`MintConnector`] | nothing; carries messages and says how far a failed one got | hazel-http |
//! | [`Store`] | contextual validity: proof free, counter unused, row at the expected version | [`crate::store::MemoryStore`], hazel-sqlite |
//! | [`Web`], [`Courier`] | nothing; fetch a page, deliver a payment, and say how far that got | hazel-http |
//! | [`Environment`] | nothing; clock, randomness, waiting | the program, tests |

mod change;
mod connector;
mod environment;
mod record;
mod store;
mod stored;
mod web;

pub use change::*;
pub use connector::*;
pub use environment::*;
pub use record::*;
pub use store::*;
pub use stored::*;
pub use web::*;
