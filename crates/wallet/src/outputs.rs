//! Outputs that can be derived again from the seed (NUT-13).

use hazel_protocol::{
    Amount, AmountError, BlindedMessage, BlindingFactor, Curve, KeysetKeys, KeysetWithKeys, PointBytes, PublicKey,
    Secret, crypto,
};

use crate::error::Error;
use crate::lock::{self, LockTerms};
use crate::seed::Seed;
use crate::state::{PlannedOutput, Purpose};

/// An output with its secrets.
#[derive(Debug, Clone)]
pub(crate) struct Derived {
    pub(crate) planned: PlannedOutput,
    pub(crate) secret: Secret,
    pub(crate) r: BlindingFactor,
    pub(crate) b: PublicKey,
    /// What the receiver of a lock with blinded keys needs (NUT-28).
    pub(crate) ephemeral: Option<PointBytes>,
}

impl Derived {
    pub(crate) fn message(&self) -> BlindedMessage {
        BlindedMessage { amount: self.planned.amount, id: self.planned.keyset, b: PointBytes::from(&self.b) }
    }
}

/// Derives all outputs of a request, in the same order. Those that go into a token get `lock`.
pub(crate) fn derive_all(
    seed: &Seed,
    curve: &Curve,
    planned: &[PlannedOutput],
    lock: Option<&LockTerms>,
) -> Result<Vec<Derived>, Error> {
    // NUT-28: where one signature covers all inputs their locks must be the same, so they are blinded with the same key.
    let first = planned.iter().find(|output| output.purpose == Purpose::Send);
    let shared = first.filter(|_| lock.is_some_and(|lock| lock.sig_all));
    planned.iter().map(|output| derive(seed, curve, output, shared.unwrap_or(output), lock)).collect()
}

fn derive(
    seed: &Seed,
    curve: &Curve,
    planned: &PlannedOutput,
    blinder: &PlannedOutput,
    lock: Option<&LockTerms>,
) -> Result<Derived, Error> {
    let (secret, r) = seed
        .derive(&planned.keyset, planned.counter)
        .map_err(|_| Error::Bug("the counters of a keyset are used up"))?;
    let (secret, ephemeral) = match lock {
        Some(lock) if planned.purpose == Purpose::Send => {
            let key = lock.blind.then(|| seed.derive_blinder(&blinder.keyset, blinder.counter)).transpose();
            let key = key.map_err(|_| Error::Bug("a key of the wallet is unusable"))?;
            let ephemeral = key.as_ref().map(|key| PointBytes::from(key.public_key(curve)));
            (lock.to_secret_blinded(curve, key.as_ref(), &lock::nonce(&secret)?)?, ephemeral)
        }
        _ => (secret, None),
    };
    let b = crypto::blind(curve, &secret.y(), &r).map_err(|_| Error::Bug("an output cannot be blinded"))?;
    Ok(Derived { planned: *planned, secret, r, b, ephemeral })
}

/// The outputs for some amounts, each split into the keyset's denominations, in ascending order of amount so that the
/// mint cannot tell what is for whom (NUT-03). Counters begin at `from`.
///
/// # Errors
/// [`AmountError`] when an amount cannot be made of the denominations.
pub(crate) fn plan(
    keyset: &KeysetWithKeys,
    from: u64,
    wanted: &[(Amount, Purpose)],
) -> Result<Vec<PlannedOutput>, AmountError> {
    let denominations = keyset.keys.amounts();
    let mut parts = Vec::new();
    for (amount, purpose) in wanted.iter().filter(|(amount, _)| !amount.is_zero()) {
        parts.extend(amount.split(&denominations)?.into_iter().map(|part| (part, *purpose)));
    }
    parts.sort_by_key(|(amount, _)| *amount);
    let outputs = parts.into_iter().zip(from..);
    Ok(outputs.map(|((amount, purpose), counter)| output(keyset, amount, counter, purpose)).collect())
}

/// Blank outputs for change of up to `at_most` (NUT-08). Their nominal amount is 1.
pub(crate) fn plan_blanks(keyset: &KeysetWithKeys, from: u64, at_most: Amount) -> Vec<PlannedOutput> {
    let counters = (from..).take(blanks_for(&keyset.keys, at_most));
    counters.map(|counter| output(keyset, Amount::from_u64(1), counter, Purpose::Blank)).collect()
}

/// Derives what was once asked for in a restore batch, or may have been.
pub(crate) fn plan_scan(keyset: &KeysetWithKeys, from: u64, count: usize) -> Vec<PlannedOutput> {
    let counters = (from..).take(count);
    counters.map(|counter| output(keyset, Amount::from_u64(1), counter, Purpose::Keep)).collect()
}

fn output(keyset: &KeysetWithKeys, amount: Amount, counter: u64, purpose: Purpose) -> PlannedOutput {
    PlannedOutput { amount, keyset: keyset.id, counter, purpose }
}

/// Most outputs for change in one request, against keysets with absurd denominations. A count.
const MAX_BLANKS: u64 = 128;

/// The most denominations that any amount up to `at_most` takes when it is split with the largest first.
///
/// For powers of two that is the number of NUT-08, `ceil(log2(at_most))`, give or take one.
fn blanks_for(keys: &KeysetKeys, at_most: Amount) -> usize {
    let at_most = at_most.to_u64();
    let mut worst = 0u64;
    let amounts: Vec<u64> = keys.iter().map(|(amount, _)| amount.to_u64()).filter(|a| *a <= at_most).collect();
    for (index, amount) in amounts.iter().enumerate() {
        // Below the next denomination, at most this many of the present one are taken.
        let up_to = amounts.get(index + 1).map_or(at_most, |next| at_most.min(next - 1));
        worst = worst.saturating_add(up_to / amount);
    }
    usize::try_from(worst.min(MAX_BLANKS)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use hazel_protocol::nut08::blank_outputs;

    use super::*;

    fn keys(amounts: &[u64]) -> KeysetKeys {
        let point = hazel_protocol::crypto::hash_to_curve(b"key");
        let keys: BTreeMap<Amount, PublicKey> = amounts.iter().map(|a| (Amount::from_u64(*a), point)).collect();
        KeysetKeys::new(keys).expect("keys are sound")
    }

    #[test]
    fn blanks_carry_any_change() {
        let powers: Vec<u64> = (0..12).map(|power| 1 << power).collect();
        for amounts in [powers, vec![1, 10, 100], vec![1, 3, 5, 20], vec![1], vec![2, 4]] {
            let keys = keys(&amounts);
            for at_most in 0..60u64 {
                let blanks = blanks_for(&keys, Amount::from_u64(at_most));
                for change in 0..=at_most {
                    if let Ok(parts) = Amount::from_u64(change).split(&keys.amounts()) {
                        assert!(parts.len() <= blanks, "{change} of {at_most} from {amounts:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn for_powers_of_two_there_are_as_many_as_nut_08_says_or_one_more() {
        let powers: Vec<u64> = (0..32).map(|power| 1 << power).collect();
        for at_most in [0, 1, 2, 3, 4, 5, 100, 1000, 1024, 65_535] {
            let blanks = blanks_for(&keys(&powers), Amount::from_u64(at_most));
            let specified = blank_outputs(Amount::from_u64(at_most));
            assert!(blanks == specified || blanks == specified + 1, "{at_most}: {blanks}, {specified}");
        }
    }
}
