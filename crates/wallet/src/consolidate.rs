//! Many small coins, or coins of old keysets, exchanged for few new ones (NUT-03).

use hazel_protocol::{Amount, MAX_INPUTS, PointBytes, Proof};

use crate::error::Error;
use crate::exchange::{NOTHING_ASIDE, input_fee, until_not_overtaken};
use crate::ports::{Moves, OperationId};
use crate::state::SwapRequested;
use crate::wallet::Wallet;

/// An exchange that can be made, with what it costs. Nothing is held until it is confirmed.
#[derive(Debug)]
pub struct PreparedConsolidation {
    wallet: Wallet,
    inputs: Vec<Proof>,
    value: Amount,
    fee: Amount,
    coins_after: usize,
}

/// An exchange that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consolidated {
    /// The operation.
    pub operation: OperationId,
    /// What the new coins are worth, in the minor unit.
    pub amount: Amount,
    /// What the mint took, in the minor unit.
    pub fee: Amount,
}

impl Wallet {
    /// Chooses free coins to exchange: those of inactive keysets first, then the smallest, as many as fit into one request.
    ///
    /// # Errors
    /// [`Error::NothingToConsolidate`] when all keysets are active and the coins would not be half as many afterwards.
    pub async fn prepare_consolidate(&self) -> Result<PreparedConsolidation, Error> {
        let keysets = self.refreshed_keysets().await?;
        let (proofs, coins) = self.available(&keysets).await?;
        let mut useful: Vec<_> = proofs
            .into_iter()
            .zip(coins)
            .filter(|(_, coin)| u128::from(coin.amount) * 1000 > u128::from(coin.fee_ppk))
            .collect();
        useful.sort_by_key(|(_, coin)| (coin.active, coin.amount));
        useful.truncate(MAX_INPUTS);
        let is_old = useful.iter().any(|(_, coin)| !coin.active);
        let inputs: Vec<Proof> = useful.into_iter().map(|(proof, _)| proof.proof).collect();
        let value = Amount::checked_sum(inputs.iter().map(|proof| proof.amount))?;
        let fee = input_fee(&keysets, &inputs)?;
        let kept = value.checked_sub(fee).unwrap_or_default();
        if kept.is_zero() {
            return Err(Error::NothingToConsolidate);
        }
        let coins_after = kept.split(&self.keyset_for_outputs(&keysets)?.keys.amounts())?.len();
        // Fewer by a few would be paid for again and again, since the fee itself changes the number of coins.
        if !is_old && coins_after * 2 > inputs.len() {
            return Err(Error::NothingToConsolidate);
        }
        Ok(PreparedConsolidation { wallet: self.clone(), inputs, value, fee, coins_after })
    }
}

impl PreparedConsolidation {
    /// What the coins are worth, in the minor unit.
    pub fn value(&self) -> Amount {
        self.value
    }

    /// What the mint takes, in the minor unit.
    pub fn fee(&self) -> Amount {
        self.fee
    }

    /// How many coins go in. A count.
    pub fn coins_before(&self) -> usize {
        self.inputs.len()
    }

    /// How many coins come out. A count.
    pub fn coins_after(&self) -> usize {
        self.coins_after
    }

    /// Makes the exchange.
    ///
    /// # Errors
    /// [`Error::Stale`] when a coin is in use by now. [`Error::Ambiguous`]: [`Wallet::resume`] goes on with it.
    pub async fn confirm(self) -> Result<Consolidated, Error> {
        let wallet = &self.wallet;
        let keysets = wallet.refreshed_keysets().await?;
        let hold: Vec<PointBytes> = self.inputs.iter().map(|proof| PointBytes::from(&proof.y())).collect();
        let saga = until_not_overtaken(|| async {
            let (exchange, counters) = wallet.plan_exchange(&keysets, &self.inputs, NOTHING_ASIDE).await?;
            let moves = Moves { hold: hold.clone(), ..Moves::default() };
            Ok(wallet.begin(SwapRequested { exchange }, moves, vec![counters]).await)
        })
        .await?;
        let done = saga.exchange(true).await?.done().await?;
        Ok(Consolidated { operation: done.operation, amount: done.kept, fee: done.fee })
    }

    /// Leaves everything as it is.
    pub fn cancel(self) {
        drop(self);
    }
}
