//! Who is told what the ledger has committed.

use super::change::{Applied, Change};

/// Hears of every committed change, in the order of the commits.
///
/// A store calls it after the commit and before whoever sent the change gets its answer. A change that was applied before and is sent
/// again is told again. What was refused, and what is in doubt, is not told.
pub trait Observer: Send + Sync + 'static {
    /// `change` is committed, and answered with `applied`. Holds up every other change, so it is quick and waits for nothing.
    fn committed(&self, change: &Change, applied: &Applied);
}
