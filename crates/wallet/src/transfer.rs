//! Money moved from one mint to another: the one pays an invoice of the other.

use hazel_protocol::Amount;

use crate::error::{Error, ErrorClass};
use crate::melt::{MeltOutcome, PreparedMelt};
use crate::mint::PendingMint;
use crate::ports::OperationId;
use crate::wallet::Wallet;

/// How often an amount is tried that leaves room for the fees, at most. A count.
const TRIES: u32 = 8;

/// Money that can be moved, with what that costs. The coins are held until it is confirmed or cancelled.
#[derive(Debug)]
pub struct PreparedTransfer {
    melt: PreparedMelt,
    mint: PendingMint,
}

/// Money that was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transferred {
    /// The payment at the mint that the money left.
    pub melt: OperationId,
    /// What came of it at the other mint.
    pub mint: OperationId,
    /// What arrived, in the minor unit.
    pub amount: Amount,
    /// What the first mint and the network took, in the minor unit.
    pub fee: Amount,
}

impl Wallet {
    /// Chooses the largest amount that can be moved to another mint for `at_most` of this wallet's money, fees included.
    ///
    /// The two sides are operations of their own: whatever cuts them off, [`resume`](Self::resume) of both wallets sees to their ends.
    ///
    /// # Errors
    /// [`Error::InsufficientFunds`] when the fees leave nothing, [`Error::TokenOfOtherUnit`] between different units.
    pub async fn prepare_transfer(&self, to: &Self, at_most: Amount) -> Result<PreparedTransfer, Error> {
        if to.unit() != self.unit() {
            return Err(Error::TokenOfOtherUnit(to.unit().clone()));
        }
        let too_little = |needed| Error::InsufficientFunds { needed, available: at_most, unit: self.unit().clone() };
        let mut amount = at_most;
        for round in 0..TRIES {
            let mint = to.prepare_mint(amount, None).await?;
            let beyond = match self.prepare_melt(mint.invoice(), None).await {
                Ok(melt) if melt.most() <= at_most => return Ok(PreparedTransfer { melt, mint }),
                Ok(melt) => {
                    let most = melt.most();
                    melt.cancel().await?;
                    most.checked_sub(at_most).unwrap_or_default()
                }
                Err(Error::InsufficientFunds { needed, available, .. }) => {
                    needed.checked_sub(available.min(at_most)).unwrap_or_default()
                }
                Err(error) => {
                    mint.cancel().await?;
                    return Err(error);
                }
            };
            mint.cancel().await?;
            // What is needed does not count the fee for the inputs: with each round more is left for it.
            let beyond = beyond.max(Amount::from_u64(1 << round));
            amount = amount.checked_sub(beyond).map_err(|_| too_little(beyond))?;
            if amount.is_zero() {
                return Err(too_little(beyond));
            }
        }
        Err(too_little(amount))
    }
}

impl PreparedTransfer {
    /// What will arrive, in the minor unit.
    pub fn amount(&self) -> Amount {
        self.mint.amount()
    }

    /// What may be taken on the way, at most, in the minor unit.
    pub fn fee_at_most(&self) -> Amount {
        // Both are of one payment, and the sum was found to be small enough.
        self.melt.most().checked_sub(self.melt.amount()).unwrap_or_default()
    }

    /// Moves the money.
    ///
    /// # Errors
    /// [`Error::Ambiguous`] while the payment is under way; [`Error::Refused`] when it failed, and the money is free again.
    pub async fn confirm(mut self) -> Result<Transferred, Error> {
        let paid = match self.melt.confirm().await {
            Ok(MeltOutcome::Paid(paid)) => paid,
            Ok(MeltOutcome::Pending { operation }) => {
                let reason = "the payment between the mints is under way".to_owned();
                return Err(Error::Ambiguous { operation: Some(operation), reason });
            }
            Err(error) => {
                // Any other refusal is the wallet's own word, and the payment may have gone.
                if matches!(error, Error::Refused { .. }) || error.class() == ErrorClass::Unreachable {
                    self.mint.cancel().await?;
                }
                return Err(error);
            }
        };
        self.mint.wait_paid(&mut |_| ()).await?;
        let minted = self.mint.confirm().await?;
        Ok(Transferred { melt: paid.operation, mint: minted.operation, amount: minted.amount, fee: paid.fee })
    }

    /// Leaves the money where it is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn cancel(self) -> Result<(), Error> {
        self.melt.cancel().await?;
        self.mint.cancel().await
    }
}
