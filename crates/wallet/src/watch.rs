//! Looking after what finished without the wallet knowing all: an invoice that is paid late, a swap that arrives late.
//!
//! A request that was given up may still reach the mint, and a payer may still pay. The operation is over, so nothing waits for it; but its
//! row is kept on a list, which is looked through here.

use hazel_protocol::{Amount, MintQuoteState};

use crate::error::{Error, Violation};
use crate::keysets::Keysets;
use crate::ports::Moves;
use crate::resume::{ResumeOutcome, Resumed};
use crate::state::{MintQuoted, PlannedOutput, RestoreScanning, State};
use crate::wallet::{Answer, Wallet};

impl Wallet {
    /// Asks the mint about finished operations for which something may still turn up, and takes what did.
    ///
    /// Lists those alone for which there was something, or for which the mint could not be asked.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Unreachable`], [`Error::Ambiguous`] before the first was asked about.
    pub async fn look_after(&self) -> Result<Vec<Resumed>, Error> {
        let keysets = self.refreshed_keysets().await?;
        let mut turned_up = Vec::new();
        for row in self.inner.store.watched(&self.inner.mint, &self.inner.unit).await? {
            if row.seed != self.inner.fingerprint {
                continue;
            }
            let (operation, kind) = (row.id, row.state.kind());
            let found = match row.state {
                State::MintExpired(state) => Box::pin(self.look_for_payment(state.quoted)).await,
                State::ReceiveAbandoned(state) => self.look_for_outputs(&keysets, &state.outputs).await,
                _ => Ok(None),
            };
            match found {
                Ok(None) => {}
                Ok(Some(amount)) => {
                    turned_up.push(Resumed { operation, kind, outcome: ResumeOutcome::Completed { amount } });
                }
                Err(error) => turned_up.push(Resumed { operation, kind, outcome: ResumeOutcome::Failed(error) }),
            }
        }
        Ok(turned_up)
    }

    /// Mints the ecash of an invoice that was given up and paid after all.
    async fn look_for_payment(&self, quoted: MintQuoted) -> Result<Option<Amount>, Error> {
        let unfinished = self.inner.store.unfinished(&self.inner.mint, &self.inner.unit).await?;
        let under_way = unfinished.iter().any(|row| match &row.state {
            State::MintQuoted(state) => state.quote == quoted.quote,
            State::MintRequested(state) => state.quoted.quote == quoted.quote,
            _ => false,
        });
        if under_way {
            return Ok(None);
        }
        let status = match Answer::from(self.inner.connector.mint_quote_status(&quoted.quote).await) {
            Answer::Final(status) => status,
            // The mint has forgotten it.
            Answer::Refused { .. } => return Ok(None),
            Answer::Ambiguous(reason) => return Err(Error::Ambiguous { operation: None, reason }),
            Answer::NotSent(reason) => return Err(Error::Unreachable(reason)),
        };
        if status.quote != quoted.quote {
            return Err(Violation::Quote("another quote").into());
        }
        if status.state != MintQuoteState::Paid {
            return Ok(None);
        }
        let paid = MintQuoted { paid: true, ..quoted };
        let saga = self.begin(paid, Moves::default(), Vec::new()).await?;
        Ok(Some(saga.request().await?.drive(true).await?.amount))
    }

    /// Takes what the mint signed on outputs that were given up.
    async fn look_for_outputs(&self, keysets: &Keysets, outputs: &[PlannedOutput]) -> Result<Option<Amount>, Error> {
        let found = self.find(keysets, outputs, &[]).await?;
        let new = self.unknown(found.unspent).await?;
        if new.is_empty() {
            return Ok(None);
        }
        let amount = Amount::checked_sum(new.iter().map(|proof| proof.proof.amount))?;
        let state = RestoreScanning { keysets: Vec::new(), found: amount, bad: 0 };
        let saga = self.begin(state, Moves { add: new, ..Moves::default() }, Vec::new()).await?;
        saga.complete(Vec::new()).await?;
        Ok(Some(amount))
    }
}
