//! The wallet's side: secrets, blinding, and the proofs that a run has to spend.

use std::collections::BTreeMap;
use std::num::NonZero;

use anyhow::{Context, Result, ensure};
use hazel_protocol::crypto::{blind, unblind};
use hazel_protocol::{
    Amount, BlindSignature, BlindedMessage, BlindingFactor, CurrencyUnit, Curve, KeysResponse, KeysetWithKeys,
    PointBytes, Proof, Scalar32, Secret,
};

/// Proofs by amount, and what is known of those that were.
pub(crate) struct Purse {
    keyset: KeysetWithKeys,
    curve: Curve,
    coins: BTreeMap<u64, Vec<Proof>>,
    /// Messages that the mint has signed, for restore.
    pub(crate) signed: Recent<BlindedMessage>,
    /// Secrets that the mint has seen spent, for checkstate.
    pub(crate) spent: Recent<Secret>,
}

/// Blinded messages and what it takes to unblind their signatures.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) messages: Vec<BlindedMessage>,
    hidden: Vec<(Secret, BlindingFactor)>,
}

/// The newest of many values.
#[derive(Debug)]
pub(crate) struct Recent<T>(Vec<T>);

impl<T: Clone> Recent<T> {
    const MOST: usize = 100_000;

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// `count` of them from `start` on, from the beginning again after the end. None when there are none.
    pub(crate) fn around(&self, start: usize, count: usize) -> Vec<T> {
        self.0.iter().cycle().skip(start % self.0.len().max(1)).take(count).cloned().collect()
    }

    fn extend(&mut self, values: impl IntoIterator<Item = T>) {
        self.0.extend(values);
        let surplus = self.0.len().saturating_sub(Self::MOST);
        self.0.drain(..surplus);
    }
}

impl Purse {
    /// An empty purse for the keyset that signs sat.
    ///
    /// # Errors
    /// The mint has none, or its id does not follow from its keys.
    pub(crate) fn new(keys: KeysResponse) -> Result<Self> {
        let mut keysets = keys.keysets.into_iter();
        let keyset = keysets.find(|keyset| keyset.unit == CurrencyUnit::Sat && keyset.active);
        let keyset = keyset.context("the mint has no keyset that signs sat")?;
        keyset.verify_id().context("the keyset's id is not that of its keys")?;
        Ok(Self {
            keyset,
            curve: Curve::new(&random()?),
            coins: BTreeMap::new(),
            signed: Recent(Vec::new()),
            spent: Recent(Vec::new()),
        })
    }

    /// Thousandths of a sat that each input costs (NUT-02).
    pub(crate) const fn fee_ppk(&self) -> u64 {
        self.keyset.input_fee_ppk
    }

    /// How many proofs of this amount are missing to have `count` of them.
    pub(crate) fn lacks(&self, amount: u64, count: usize) -> usize {
        count.saturating_sub(self.coins.get(&amount).map_or(0, Vec::len))
    }

    /// Takes proofs of these amounts.
    ///
    /// # Errors
    /// They are not there; nothing is taken back then.
    pub(crate) fn take(&mut self, amounts: &[u64]) -> Result<Vec<Proof>> {
        let take =
            |amount| self.coins.get_mut(amount).and_then(Vec::pop).with_context(|| format!("no coin of {amount}"));
        amounts.iter().map(take).collect()
    }

    /// `count` drafts of these amounts; an amount of zero is a blank (NUT-08).
    pub(crate) fn drafts(&self, amounts: &[u64], count: usize) -> Result<Vec<Draft>> {
        in_parallel((0..count).collect(), |_: usize| self.draft(amounts))
    }

    fn draft(&self, amounts: &[u64]) -> Result<Draft> {
        let mut draft = Draft { messages: Vec::new(), hidden: Vec::new() };
        for amount in amounts {
            let secret = Secret::new(Scalar32::from_bytes(random()?).to_string())?;
            let r = BlindingFactor::from_bytes(&random()?)?;
            let b = blind(&self.curve, &secret.y(), &r)?;
            let amount = Amount::from_u64(*amount);
            draft.messages.push(BlindedMessage { amount, id: self.keyset.id, b: PointBytes::from(&b) });
            draft.hidden.push((secret, r));
        }
        Ok(draft)
    }

    /// Unblinds what the mint signed and keeps the proofs.
    ///
    /// # Errors
    /// Other signatures than asked for: the mint did not do the work.
    pub(crate) fn finish(&mut self, signed: Vec<(Draft, Vec<BlindSignature>)>) -> Result<()> {
        let finished = in_parallel(signed, |(draft, signatures)| {
            let proofs = self.proofs(&draft, &signatures)?;
            Ok((draft.messages, proofs))
        })?;
        for (messages, proofs) in finished {
            self.signed.extend(messages);
            for proof in proofs {
                self.coins.entry(proof.amount.to_u64()).or_default().push(proof);
            }
        }
        Ok(())
    }

    fn proofs(&self, draft: &Draft, signatures: &[BlindSignature]) -> Result<Vec<Proof>> {
        let (asked, given) = (draft.messages.len(), signatures.len());
        ensure!(asked == given, "{given} signatures for {asked} outputs");
        let each = draft.messages.iter().zip(&draft.hidden).zip(signatures);
        each.map(|((message, (secret, r)), signature)| {
            ensure!(signature.amount == message.amount, "a signature for another amount");
            let key = self.keyset.keys.get(signature.amount).context("a signature for an amount without a key")?;
            let c = PointBytes::from(&unblind(&signature.c, r, key)?);
            let secret = secret.clone();
            Ok(Proof { amount: signature.amount, id: signature.id, secret, c, witness: None, dleq: None, p2pk_e: None })
        })
        .collect()
    }

    /// Remembers that these were spent.
    pub(crate) fn note_spent(&mut self, secrets: impl IntoIterator<Item = Secret>) {
        self.spent.extend(secrets);
    }
}

/// Does `work` on each item on all cores, and gives the results in their order.
pub(crate) fn in_parallel<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> Result<R> + Sync) -> Result<Vec<R>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let share = items.len().div_ceil(threads).max(1);
    let mut items = items.into_iter();
    let mut shares = Vec::new();
    while items.len() > 0 {
        shares.push(items.by_ref().take(share).collect::<Vec<T>>());
    }
    let work = &work;
    std::thread::scope(|scope| {
        let start = |share: Vec<T>| scope.spawn(move || share.into_iter().map(work).collect::<Result<Vec<R>>>());
        let running: Vec<_> = shares.into_iter().map(start).collect();
        let mut results = Vec::new();
        for thread in running {
            results.extend(thread.join().map_err(|_| anyhow::anyhow!("a thread panicked"))??);
        }
        Ok(results)
    })
}

/// Fresh random bytes.
pub(crate) fn random() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_in_parallel_keeps_the_order() {
        let items: Vec<u64> = (0..101).collect();
        let doubled = in_parallel(items.clone(), |item| Ok(item * 2)).expect("works");
        assert_eq!(doubled, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        assert!(in_parallel(items, |item| if item == 50 { anyhow::bail!("no") } else { Ok(item) }).is_err());
    }

    #[test]
    fn the_newest_are_kept_and_taken_round() {
        let mut recent = Recent(Vec::new());
        assert!(recent.around(3, 2).is_empty());
        recent.extend(0..Recent::<usize>::MOST + 5);
        assert_eq!(recent.len(), Recent::<usize>::MOST);
        assert_eq!(recent.around(0, 1), [5]);
        assert_eq!(recent.around(recent.len() - 1, 2), [Recent::<usize>::MOST + 4, 5]);
    }
}
