//! A bounded queue between async callers and the threads that own connections.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Why an item was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// As many items as the queue may hold are waiting already.
    Full,
    /// The queue has been closed.
    Closed,
}

/// First in, first out; refuses instead of growing without end.
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

struct State<T> {
    items: VecDeque<T>,
    open: bool,
}

impl<T> Queue<T> {
    /// An open queue for up to `capacity` waiting items.
    pub(crate) fn new(capacity: usize) -> Self {
        let state = State { items: VecDeque::new(), open: true };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity }
    }

    /// Adds an item at the end, at once or not at all.
    pub(crate) fn push(&self, item: T) -> Result<(), Refused> {
        let mut state = self.lock();
        if !state.open {
            return Err(Refused::Closed);
        }
        if state.items.len() >= self.capacity {
            return Err(Refused::Full);
        }
        state.items.push_back(item);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for at least one item and takes up to `limit`. After [`close`](Self::close) gives what is left, then `None`.
    pub(crate) fn take(&self, limit: usize) -> Option<Vec<T>> {
        let mut state = self.lock();
        while state.items.is_empty() {
            if !state.open {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = limit.min(state.items.len());
        Some(state.items.drain(..count).collect())
    }

    /// Refuses new items from now on; what is queued is still given out.
    pub(crate) fn close(&self) {
        self.lock().open = false;
        self.changed.notify_all();
    }

    /// The state stays whole if a holder of the lock panics: every change of it is one call.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_ordered_and_drains_after_close() {
        let queue = Queue::new(3);
        for item in 1..=3 {
            queue.push(item).expect("room");
        }
        assert_eq!(queue.push(4), Err(Refused::Full));
        assert_eq!(queue.take(2), Some(vec![1, 2]));
        queue.close();
        assert_eq!(queue.push(5), Err(Refused::Closed));
        assert_eq!(queue.take(2), Some(vec![3]));
        assert_eq!(queue.take(2), None);
    }
}
