//! Payments that the stream told of before their quote was in the ledger.
//!
//! A payer can be quicker than the commit of a quote: the stream then finds no quote and passes on. Whoever opens a quote asks here
//! afterwards. The stream remembers first and looks again, the opener commits first and asks here, so one of the two meets the other.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use crate::ports::Timestamp;

/// The most payments remembered; beyond that the oldest goes, and is found when its quote is looked at.
const REMEMBERED_MAX: usize = 1_000;

/// For how long the quote of a stray may yet come from another process, in seconds: a quote is committed soon after its invoice was made.
const RECENT_SECS: u64 = 60;

/// The most strays looked for at once.
const RECENT_MAX: usize = 64;

/// Payment hashes of payments without a quote and when they were heard of, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Strays(Mutex<VecDeque<([u8; 32], Timestamp)>>);

impl Strays {
    pub(crate) fn remember(&self, payment_hash: [u8; 32], now: Timestamp) {
        let mut hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if hashes.len() >= REMEMBERED_MAX {
            hashes.pop_front();
        }
        hashes.push_back((payment_hash, now));
    }

    /// The newest, as long as their quotes may yet come.
    pub(crate) fn recent(&self, now: Timestamp) -> Vec<[u8; 32]> {
        let hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = hashes.iter().rev().take_while(|(_, at)| at.plus(RECENT_SECS) >= now);
        newest.take(RECENT_MAX).map(|(hash, _)| *hash).collect()
    }

    /// Whether a payment for this hash is remembered; it is forgotten now.
    pub(crate) fn take(&self, payment_hash: &[u8; 32]) -> bool {
        let mut hashes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = hashes.len();
        hashes.retain(|(known, _)| known != payment_hash);
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
            strays.remember(hash(n), Timestamp::from_unix(100));
        }
        assert_eq!(strays.recent(Timestamp::from_unix(160)).len(), RECENT_MAX);
        assert!(strays.recent(Timestamp::from_unix(161)).is_empty());
        assert!(!strays.take(&hash(0)), "the oldest made room");
        assert!(strays.take(&hash(1)));
        assert!(!strays.take(&hash(1)));
    }
}
