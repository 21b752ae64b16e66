//! One invoice paid by several mints, each a part of it (NUT-15).
//!
//! The receiver takes all parts or none, so either every mint's payment succeeds or every one fails and its proofs come back. Here each
//! part is an operation of its own mint, decided by that mint's evidence alone; an [`errand`](crate::errand) joins them.

use futures_util::future::join_all;
use hazel_protocol::{Amount, CurrencyUnit};

use crate::errand::{Errand, PartOfInvoice, PartsErrand, PartsState};
use crate::error::Error;
use crate::invoice::{self, Msat};
use crate::melt::{MeltOutcome, PaidMelt, PreparedMelt};
use crate::ports::{ErrandId, ErrandRecord, OperationId};
use crate::state::State;
use crate::wallet::Wallet;
use crate::wallets::Wallets;

/// Most mints that pay one invoice. A count.
const MAX_PARTS: usize = 8;

/// How often one mint is asked for the cost of a smaller part. A count.
const MAX_SMALLER: usize = 5;

/// An invoice that can be paid in parts, with what that costs at most. The proofs are held until it is confirmed or cancelled.
#[derive(Debug)]
pub struct PreparedParts {
    wallets: Wallets,
    invoice: String,
    amount_msat: Msat,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    wallet: Wallet,
    msat: Msat,
    melt: PreparedMelt,
}

/// What became of an invoice that was paid in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartsOutcome {
    /// The receiver has the money. What each mint paid.
    Paid(Vec<PaidMelt>),
    /// A mint works on it, or has not said what became of its part. [`Wallets::resume`] asks again.
    Pending {
        /// The errand, for [`Wallets::parts_state`].
        errand: ErrandId,
    },
}

impl Wallets {
    /// Asks what paying an invoice costs when several mints pay a part of it each, the fullest first, and chooses their proofs. One
    /// mint pays all of it when it has enough.
    ///
    /// ```no_run
    /// # async fn example(wallets: hazel_wallet::Wallets, invoice: &str) -> Result<(), hazel_wallet::Error> {
    /// use hazel_protocol::CurrencyUnit;
    /// use hazel_wallet::PartsOutcome;
    ///
    /// let prepared = wallets.prepare_parts(invoice, &CurrencyUnit::Sat).await?;
    /// println!("{} mints, at most {} for fees", prepared.shares().len(), prepared.most_fee());
    /// if let PartsOutcome::Paid(parts) = prepared.confirm().await? {
    ///     println!("paid in {} parts", parts.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Invoice`], [`Error::InvoiceWithoutAmount`]; [`Error::InsufficientFunds`] when all mints that pay parts together do not
    /// have enough.
    pub async fn prepare_parts(&self, invoice: &str, unit: &CurrencyUnit) -> Result<PreparedParts, Error> {
        let invoice = invoice::trim(invoice).to_owned();
        let named = invoice::amount_msat(&invoice).map_err(|_| Error::Invoice)?;
        let amount_msat = named.ok_or(Error::InvoiceWithoutAmount)?;
        let needed = invoice::in_unit(amount_msat, unit).ok_or(Error::Invoice)?;
        let payers = self.part_payers(unit).await?;
        if let Some(melt) = whole(&payers, &invoice, needed).await? {
            let parts = vec![Part { msat: amount_msat, ..melt }];
            return Ok(PreparedParts { wallets: self.clone(), invoice, amount_msat, parts });
        }
        let mut prepared = PreparedParts { wallets: self.clone(), invoice, amount_msat, parts: Vec::new() };
        match prepared.fill(&payers).await {
            Ok(true) => Ok(prepared),
            Ok(false) => {
                prepared.cancel().await?;
                let available = Amount::checked_sum(payers.iter().map(|(available, _)| *available))?;
                Err(Error::InsufficientFunds { needed, available, unit: unit.clone() })
            }
            Err(error) => {
                prepared.cancel().await?;
                Err(error)
            }
        }
    }

    /// The wallets with money at mints that pay parts, the fullest first. Where no change is given, proofs would have to be swapped first, and
    /// the payment would become another operation than the one that was written down: such mints are left out.
    async fn part_payers(&self, unit: &CurrencyUnit) -> Result<Vec<(Amount, Wallet)>, Error> {
        let mut payers = Vec::new();
        for wallet in self.all().await? {
            if wallet.unit() == unit && wallet.pays_parts().await? && wallet.gives_change().await? {
                payers.push((wallet.balance().await?.available, wallet));
            }
        }
        payers.retain(|(available, _)| !available.is_zero());
        payers.sort_by_key(|(available, _)| std::cmp::Reverse(*available));
        payers.truncate(MAX_PARTS);
        Ok(payers)
    }

    /// Reads off the operations what became of an invoice that was paid in parts. Asks nobody: [`resume`](Self::resume) does.
    ///
    /// # Errors
    /// [`Error::OperationUnknown`].
    pub async fn parts_state(&self, id: ErrandId) -> Result<PartsState, Error> {
        Ok(of(&self.settle_parts(id).await?.errand)?.state)
    }

    pub(crate) async fn settle_parts(&self, id: ErrandId) -> Result<ErrandRecord, Error> {
        let record = self.store().errand(id).await?.ok_or(Error::OperationUnknown)?;
        let (mut paid, mut failed) = (0, 0);
        let parts = of(&record.errand)?.parts.clone();
        for part in &parts {
            match self.part_paid(part.operation).await? {
                Some(true) => paid += 1,
                Some(false) => failed += 1,
                None => {}
            }
        }
        let state = match (paid, failed) {
            _ if paid + failed < parts.len() => PartsState::Open,
            (_, 0) => PartsState::Paid,
            (0, _) => PartsState::Failed,
            _ => PartsState::Torn,
        };
        self.change_errand(id, |errand| {
            let errand = of(errand)?;
            let is_open = errand.state == PartsState::Open;
            Ok(is_open.then(|| Errand::Parts(PartsErrand { state, ..errand.clone() })))
        })
        .await
    }

    /// Whether a part was paid; none as long as that is not decided.
    async fn part_paid(&self, operation: OperationId) -> Result<Option<bool>, Error> {
        let row = self.store().operation(operation).await?;
        Ok(match row.map(|row| row.state) {
            Some(State::MeltPaid(_)) => Some(true),
            Some(state) => state.is_finished().then_some(false),
            None => Some(false),
        })
    }
}

fn of(errand: &Errand) -> Result<&PartsErrand, Error> {
    match errand {
        Errand::Parts(parts) => Ok(parts),
        _ => Err(Error::OperationUnknown),
    }
}

/// All of it by one mint, if one has enough.
async fn whole(payers: &[(Amount, Wallet)], invoice: &str, needed: Amount) -> Result<Option<Part>, Error> {
    for (_, wallet) in payers.iter().filter(|(available, _)| *available >= needed) {
        match wallet.prepare_melt(invoice, None).await {
            Ok(melt) => return Ok(Some(Part { wallet: wallet.clone(), msat: 0, melt })),
            Err(Error::InsufficientFunds { .. } | Error::Unreachable(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// One unit in millisatoshi.
const fn msat_per(unit: &CurrencyUnit) -> Msat {
    if matches!(unit, CurrencyUnit::Msat) { 1 } else { 1000 }
}

impl PreparedParts {
    /// Adds a part for each mint until the invoice is covered; whether it is.
    async fn fill(&mut self, payers: &[(Amount, Wallet)]) -> Result<bool, Error> {
        let mut left = self.amount_msat;
        for (available, wallet) in payers {
            if left == 0 {
                break;
            }
            if let Some(part) = largest(wallet, *available, &self.invoice, left).await? {
                left = left.saturating_sub(part.msat);
                self.parts.push(part);
            }
        }
        Ok(left == 0)
    }

    /// What each mint pays, in the minor unit, without fees.
    pub fn shares(&self) -> Vec<(&Wallet, Amount)> {
        self.parts.iter().map(|part| (&part.wallet, part.melt.amount())).collect()
    }

    /// The most that mints and routing may take, in the minor unit. What is not used comes back.
    pub fn most_fee(&self) -> Amount {
        let fees = self.parts.iter().flat_map(|part| [part.melt.fee_reserve(), part.melt.input_fee()]);
        // Selection found proofs worth this much.
        Amount::checked_sum(fees).unwrap_or(Amount::from_u64(u64::MAX))
    }

    /// What the invoice is for, in millisatoshi.
    pub const fn amount_msat(&self) -> Msat {
        self.amount_msat
    }

    /// Orders every part at once and waits for all of them.
    ///
    /// # Errors
    /// [`Error::Refused`] and others of [`PreparedMelt::confirm`] when no part was paid: all money is free again.
    /// [`Error::Torn`] when some were paid and some not, which no honest receiver brings about.
    pub async fn confirm(self) -> Result<PartsOutcome, Error> {
        let Self { wallets, invoice, amount_msat, parts } = self;
        let id = wallets.new_errand_id();
        let errand =
            PartsErrand { invoice, amount_msat, parts: parts.iter().map(described).collect(), state: PartsState::Open };
        if let Err(error) = wallets.keep_new(id, Errand::Parts(errand)).await {
            cancel(parts).await?;
            return Err(error);
        }
        let outcomes = join_all(parts.into_iter().map(|part| part.melt.confirm())).await;
        match wallets.parts_state(id).await? {
            PartsState::Open => Ok(PartsOutcome::Pending { errand: id }),
            PartsState::Paid => Ok(PartsOutcome::Paid(outcomes.into_iter().filter_map(paid).collect())),
            PartsState::Torn => Err(Error::Torn),
            PartsState::Failed => Err(outcomes.into_iter().find_map(Result::err).unwrap_or(Error::Stale)),
        }
    }

    /// Gives up the payment; the proofs of every mint are free again.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn cancel(self) -> Result<(), Error> {
        cancel(self.parts).await
    }
}

async fn cancel(parts: Vec<Part>) -> Result<(), Error> {
    for part in parts {
        part.melt.cancel().await?;
    }
    Ok(())
}

fn described(part: &Part) -> PartOfInvoice {
    PartOfInvoice {
        mint: part.wallet.mint_url().clone(),
        unit: part.wallet.unit().clone(),
        operation: part.melt.operation(),
        msat: part.msat,
    }
}

fn paid(outcome: Result<MeltOutcome, Error>) -> Option<PaidMelt> {
    match outcome {
        Ok(MeltOutcome::Paid(paid)) => Some(paid),
        _ => None,
    }
}

/// The largest part of what is left that a mint can pay with what is there; none if it can pay nothing.
async fn largest(wallet: &Wallet, available: Amount, invoice: &str, left: Msat) -> Result<Option<Part>, Error> {
    let per = msat_per(wallet.unit());
    let mut msat = left.min(available.to_u64().saturating_mul(per));
    for _ in 0..MAX_SMALLER {
        if msat == 0 {
            break;
        }
        match wallet.prepare_part(invoice, msat).await {
            Ok(melt) => return Ok(Some(Part { wallet: wallet.clone(), msat, melt })),
            Err(Error::InsufficientFunds { needed, available, .. }) => {
                let missing = needed.checked_sub(available).map_or(1, Amount::to_u64).max(1);
                msat = msat.saturating_sub(missing.saturating_mul(per)) / per * per;
            }
            Err(Error::Unreachable(_) | Error::Refused { .. }) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
