//! Mint quotes that somebody waits for, and when the backend was last asked about each.
//!
//! A look at an unpaid quote queues a question; the reconciler asks it. One quote is asked about at most once per interval, however
//! often it is looked at, and the memory for it is bounded, however many are looked at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hazel_protocol::QuoteId;

use crate::ports::Timestamp;

/// Seconds between two questions about one quote.
const INTERVAL_SECS: u64 = 10;

/// The most questions that wait; beyond that the oldest is dropped, and asked when its quote is looked at again.
const WAITING_MAX: usize = 10_000;

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<QuoteId>,
    queued: BTreeSet<QuoteId>,
    asked: BTreeMap<QuoteId, Timestamp>,
}

/// The questions.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    inner: Mutex<Inner>,
}

impl Questions {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a question about `quote` unless one waits or was asked just now; whether it was queued.
    pub(crate) fn wonder(&self, quote: &QuoteId, now: Timestamp) -> bool {
        let mut inner = self.lock();
        if inner.queued.contains(quote) || inner.asked.get(quote).is_some_and(|last| is_recent(*last, now)) {
            return false;
        }
        inner.queue(quote.clone());
        true
    }

    /// Takes up to `count` questions, oldest first, that were not asked just now; they count as asked now.
    pub(crate) fn take(&self, count: usize, now: Timestamp) -> Vec<QuoteId> {
        let mut inner = self.lock();
        inner.asked.retain(|_, last| is_recent(*last, now));
        let mut taken = Vec::new();
        for _ in 0..inner.waiting.len() {
            let Some(quote) = (taken.len() < count).then(|| inner.waiting.pop_front()).flatten() else { break };
            if inner.asked.contains_key(&quote) {
                inner.waiting.push_back(quote);
                continue;
            }
            inner.queued.remove(&quote);
            inner.asked.insert(quote.clone(), now);
            taken.push(quote);
        }
        taken
    }

    /// Puts a question back that got no answer: it is asked again when its interval is over.
    pub(crate) fn put_back(&self, quote: QuoteId) {
        let mut inner = self.lock();
        if !inner.queued.contains(&quote) {
            inner.queue(quote);
        }
    }
}

impl Inner {
    fn queue(&mut self, quote: QuoteId) {
        if self.waiting.len() >= WAITING_MAX
            && let Some(dropped) = self.waiting.pop_front()
        {
            self.queued.remove(&dropped);
        }
        self.queued.insert(quote.clone());
        self.waiting.push_back(quote);
    }
}

/// A clock that was set back makes nothing recent for longer than the interval.
fn is_recent(last: Timestamp, now: Timestamp) -> bool {
    last <= now && now < last.plus(INTERVAL_SECS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(n: usize) -> QuoteId {
        QuoteId::new(format!("q{n}")).expect("well formed")
    }

    const NOW: Timestamp = Timestamp::from_unix(1_000);

    #[test]
    fn a_quote_is_asked_about_once_per_interval_and_again_after_it() {
        let questions = Questions::default();
        assert!(questions.wonder(&quote(1), NOW));
        assert!(!questions.wonder(&quote(1), NOW), "it waits");
        assert_eq!(questions.take(9, NOW), [quote(1)]);
        assert!(!questions.wonder(&quote(1), NOW.plus(9)), "asked just now");
        assert!(questions.wonder(&quote(1), NOW.plus(10)));
    }

    #[test]
    fn a_question_without_an_answer_is_asked_again_after_the_interval_and_holds_up_no_other() {
        let questions = Questions::default();
        questions.wonder(&quote(1), NOW);
        questions.take(9, NOW);
        questions.put_back(quote(1));
        questions.wonder(&quote(2), NOW);
        assert_eq!(questions.take(9, NOW.plus(9)), [quote(2)]);
        assert_eq!(questions.take(9, NOW.plus(10)), [quote(1)]);
    }

    #[test]
    fn too_many_questions_drop_the_oldest_and_stop_nothing() {
        let questions = Questions::default();
        for n in 0..WAITING_MAX + 50 {
            assert!(questions.wonder(&quote(n), NOW));
        }
        assert_eq!(questions.take(1, NOW), [quote(50)]);
        assert!(questions.wonder(&quote(0), NOW), "it was dropped, so it can be asked again");
    }

    #[test]
    fn a_clock_set_back_mutes_nothing() {
        let questions = Questions::default();
        questions.wonder(&quote(1), NOW);
        questions.take(9, NOW);
        assert!(questions.wonder(&quote(1), NOW.minus(500)));
    }
}
