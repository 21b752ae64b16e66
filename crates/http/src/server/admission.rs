//! How much work and memory strangers may claim at a time.
//!
//! Three budgets, each refused at once when it is used up, because a queue only hides an overload from those who could go
//! elsewhere: bytes of bodies being read, requests in the engine, and payments in the engine. Payments have their own, since
//! one may take minutes, and a hundred slow payments must not stop swaps. A slow body holds no place in the engine, only the
//! bytes that it has sent.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The steps in which the room for a body grows.
const BLOCK_BYTES: usize = 4096;

/// The budgets.
#[derive(Debug)]
pub(super) struct Admission {
    bytes: Arc<Semaphore>,
    requests: Arc<Semaphore>,
    payments: Arc<Semaphore>,
}

/// Which budget a request uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Answered in milliseconds.
    Short,
    /// May wait for a payment.
    Payment,
}

/// The budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// A part of a budget, given back when dropped.
#[derive(Debug)]
pub(super) struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl Admission {
    /// Budgets of that many bytes, requests and payments.
    pub(super) fn new(bytes: usize, requests: usize, payments: usize) -> Self {
        let budget = |size: usize| Arc::new(Semaphore::new(size.min(Semaphore::MAX_PERMITS)));
        Self { bytes: budget(bytes), requests: budget(requests), payments: budget(payments) }
    }

    /// A place in the engine.
    pub(super) fn enter(&self, kind: Kind) -> Result<Permit, Full> {
        let budget = match kind {
            Kind::Short => &self.requests,
            Kind::Payment => &self.payments,
        };
        Arc::clone(budget).try_acquire_owned().map(Permit).map_err(|_| Full)
    }

    /// Room for a body that has yet to arrive.
    pub(super) fn room(&self) -> Room {
        Room { budget: Arc::clone(&self.bytes), held: None, size: 0 }
    }
}

/// The part of the byte budget that one body uses. It grows in blocks, so that a body sent byte by byte costs no more than
/// one sent at once.
#[derive(Debug)]
pub(super) struct Room {
    budget: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    size: usize,
}

impl Room {
    /// Makes room for `size` bytes in all.
    pub(super) fn grow(&mut self, size: usize) -> Result<(), Full> {
        if size <= self.size {
            return Ok(());
        }
        let more = (size - self.size).checked_next_multiple_of(BLOCK_BYTES).ok_or(Full)?;
        let count = u32::try_from(more).map_err(|_| Full)?;
        let permit = Arc::clone(&self.budget).try_acquire_many_owned(count).map_err(|_| Full)?;
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        self.size += more;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_refused_when_used_up_and_comes_back() {
        let admission = Admission::new(10, 1, 1);
        let first = admission.enter(Kind::Short);
        assert!(first.is_ok());
        assert_eq!(admission.enter(Kind::Short).err(), Some(Full));
        assert!(admission.enter(Kind::Payment).is_ok());
        drop(first);
        assert!(admission.enter(Kind::Short).is_ok());
    }

    #[test]
    fn bodies_share_a_budget_of_bytes() {
        let admission = Admission::new(2 * BLOCK_BYTES, 1, 1);
        let (mut first, mut second) = (admission.room(), admission.room());
        for size in 0..=BLOCK_BYTES {
            assert_eq!(first.grow(size), Ok(()));
        }
        assert_eq!(second.grow(BLOCK_BYTES + 1), Err(Full));
        assert_eq!(second.grow(1), Ok(()));
        assert_eq!(first.grow(BLOCK_BYTES + 1), Err(Full));
        drop(first);
        assert_eq!(second.grow(2 * BLOCK_BYTES), Ok(()));
    }
}
