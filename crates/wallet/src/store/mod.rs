//! Stores that come with the engine: one in memory, and the suite of cases that every store must pass.

#[cfg(any(test, feature = "contract"))]
pub mod contract;
mod memory;

pub use memory::MemoryStore;
