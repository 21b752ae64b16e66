//! Kills the real process at every named point.
#![cfg(feature = "failpoints")]
