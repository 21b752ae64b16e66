//! Blank outputs for the return of fees that were not needed (NUT-08).

use crate::amount::Amount;

/// How many blank outputs a wallet sends along with a melt: enough to write any change up to `fee_reserve` in powers of two.
///
/// `max(ceil(log2(fee_reserve)), 1)`, and none for a reserve of zero.
///
/// ```
/// use hazel_protocol::{Amount, nut08::blank_outputs};
/// assert_eq!(blank_outputs(Amount::from_u64(1000)), 10);
/// ```
pub fn blank_outputs(fee_reserve: Amount) -> usize {
    let Some(below) = fee_reserve.to_u64().checked_sub(1) else {
        return 0;
    };
    // The number of binary digits of n - 1 is ceil(log2(n)).
    let digits = (0..u64::BITS).filter(|bit| below >> bit != 0).count();
    digits.max(1)
}
