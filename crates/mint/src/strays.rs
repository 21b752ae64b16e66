//! Payments that the stream told of before their quote was in the ledger.
//!
//! A payer can be quicker than the commit of a quote: the stream then finds no quote and passes on. Whoever opens a quote asks here
//! afterwards. The stream remembers first and looks again, the opener commits first and asks here, so one of the two meets the other.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// The most payments remembered; beyond that the oldest goes, and is found when its quote is looked at.
const REMEMBERED_MAX: usize = 1_000;

/// Payment hashes of payments without a quote, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Strays(Mutex<VecDeque<[u8; 32]>>);

impl Strays {
    pub(crate) fn remember(&self, payment_hash: [u8; 32]) {
        let mut hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() >= REMEMBERED_MAX {
            hashes.pop_front();
        }
        hashes.push_back(payment_hash);
    }

    /// Whether a payment for this hash is remembered; it is forgotten now.
    pub(crate) fn take(&self, payment_hash: &[u8; 32]) -> bool {
        let mut hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hashes.len();
        hashes.retain(|known| known != payment_hash);
        hashes.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_taken_once_and_the_memory_is_bounded() {
        let strays = Strays::default();
        let hash = |n: usize| {
            let mut hash = [0; 32];
            hash[..8].copy_from_slice(&n.to_le_bytes());
            hash
        };
        for n in 0..=REMEMBERED_MAX {
            strays.remember(hash(n));
        }
        assert!(!strays.take(&hash(0)), "the oldest made room");
        assert!(strays.take(&hash(1)));
        assert!(!strays.take(&hash(1)));
    }
}
