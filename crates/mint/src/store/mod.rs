//! Ledgers that live in this crate: the in-memory reference and the suite that every store must pass.
