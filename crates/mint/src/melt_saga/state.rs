//! The states of a melt and the steps between them.

use std::time::Duration;

use futures_util::future::{Either, select};
use hazel_protocol::{Amount, ErrorCode};

use super::amounts::{Division, divide};
use super::plan::{NOT_AFTER_MARGIN_SECS, proof_holds};
use super::quote::{other_method, whole};
use crate::error::MintError;
use crate::failpoint::failpoint;
use crate::mint::Mint;
use crate::ports::{
    ApplyError, Change, Conflict, DispatchMelt, InputRow, MeltOutcome, MeltQuote, MintQuote, OperationId, OutputRow,
    PaidEvidence, Payment, PaymentProof, PaymentStatus, Payments, PaymentsError, RecordMelt, ReleaseMelt, ReserveMelt,
    SettleInternally, SettleMelt, SignedRow, Timestamp, ToSign,
};
use crate::signing::{SignedOutput, sign_outputs};

/// The pause between two questions to the backend about a payment that somebody waits for.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// What every state of a melt knows; loaded from the ledger it is the same.
#[derive(Debug)]
pub struct Case {
    /// The attempt; also the payment id that the backend knows.
    pub operation: OperationId,
    /// The quote, as of the reservation.
    pub quote: MeltQuote,
    /// The inputs in custody.
    pub inputs: Vec<InputRow>,
    /// The blanks, in the order of the request.
    pub blanks: Vec<OutputRow>,
}

/// Verified, and not yet in the ledger.
#[derive(Debug)]
pub(super) struct Reservation(Case);

/// Inputs are PENDING, the backend has not been called.
#[derive(Debug)]
pub struct Reserved(Case);

/// The backend may be called until `not_after`.
#[derive(Debug)]
pub struct Dispatched {
    case: Case,
    not_after: Timestamp,
}

/// Proven to be paid, durably; the settlement is owed.
#[derive(Debug)]
pub struct Paid {
    case: Case,
    evidence: PaidEvidence,
}

/// Finally failed, durably; the release is owed.
#[derive(Debug)]
pub struct Failed(Case);

/// In doubt. Only the backend's word leads on; the reconciler polls it.
#[derive(Debug)]
pub struct Unknown {
    operation: OperationId,
    not_after: Timestamp,
}

/// Where a payment attempt led.
#[derive(Debug)]
pub(super) enum Outcome {
    Paid(Paid),
    Failed(Failed),
    Unknown(Unknown),
}

/// Whether the invoice was one of this mint's own.
pub(super) enum Internal {
    /// Both legs are done.
    Settled,
    /// It is ours, and cannot be settled: why.
    Refused(Reserved, MintError),
    /// It has to be paid outside.
    NotOurs(Reserved),
}

impl Reservation {
    pub(super) const fn new(case: Case) -> Self {
        Self(case)
    }

    /// Takes custody: commits `ReserveMelt`, with the blanks in their order.
    pub(super) async fn reserve(self, mint: &Mint) -> Result<Reserved, MintError> {
        failpoint!("melt-before-reserve");
        let case = self.0;
        let reserve = ReserveMelt {
            operation: case.operation,
            owner: mint.owner,
            quote: case.quote.id.clone(),
            inputs: case.inputs.clone(),
            blanks: case.blanks.clone(),
            now: mint.now(),
        };
        mint.apply(Change::ReserveMelt(reserve)).await?;
        failpoint!("melt-after-reserve");
        Ok(Reserved(case))
    }
}

impl Reserved {
    /// The state a record `Reserved` is loaded into.
    pub const fn load(case: Case) -> Self {
        Self(case)
    }

    /// Commits `DispatchMelt`, durably, before the backend is called.
    ///
    /// # Errors
    /// Why nothing was dispatched, with what has to be released; `None` when that is not known, and the reconciler goes on.
    pub async fn dispatch(self, mint: &Mint) -> Result<Dispatched, Option<(Self, MintError)>> {
        let now = mint.now();
        if self.0.quote.expiry <= now {
            return Err(Some((self, MintError::refused(ErrorCode::QuoteExpired))));
        }
        let not_after = now.plus(mint.config.payment_timeout_secs.into()).min(self.0.quote.expiry);
        let dispatch = DispatchMelt { operation: self.0.operation, owner: mint.owner, not_after, now };
        match mint.apply(Change::DispatchMelt(dispatch)).await {
            Ok(_) => {
                failpoint!("melt-after-dispatch");
                Ok(Dispatched { case: self.0, not_after })
            }
            Err(ApplyError::Ambiguous(_)) => Err(None),
            Err(error) => {
                tracing::warn!(operation = %self.0.operation, %error, "a melt was not dispatched");
                Err(Some((self, error.into())))
            }
        }
    }

    /// Settles an invoice of this mint's own without a payment, both legs in one commit.
    pub(super) async fn settle_internally(self, mint: &Mint) -> Internal {
        let own = match mint.ports.store.mint_quote_by_hash(&self.0.quote.payment_hash).await {
            Ok(None) => return Internal::NotOurs(self),
            Ok(Some(own)) => own,
            Err(error) => {
                tracing::warn!(operation = %self.0.operation, %error, "an invoice could not be looked up");
                return Internal::Refused(self, error.into());
            }
        };
        match self.internal_change(mint, &own).await {
            Ok(()) => {
                failpoint!("melt-internal-after-settle");
                self.0.cancel_invoice(mint).await;
                Internal::Settled
            }
            Err(error) => {
                tracing::info!(operation = %self.0.operation, %error, "an internal settlement was refused");
                Internal::Refused(self, error)
            }
        }
    }

    async fn internal_change(&self, mint: &Mint, own: &MintQuote) -> Result<(), MintError> {
        let case = &self.0;
        if own.method != case.quote.method {
            return Err(other_method());
        }
        // No more than what the inputs are charged, whatever the rates at which the two quotes were opened.
        let amount = whole(own, case.quote.amount_msat)?;
        if amount > case.quote.amount {
            return Err(MintError::refused(ErrorCode::AmountMismatch));
        }
        let division = case.divide(mint, case.quote.amount)?;
        let change = sign_change(mint, division.change).await?;
        failpoint!("melt-internal-before-settle");
        let settle = SettleInternally {
            operation: case.operation,
            owner: mint.owner,
            mint_quote: own.id.clone(),
            amount,
            change,
            fees: division.fees,
            preimage: None,
            now: mint.now(),
        };
        mint.apply(Change::SettleInternally(settle)).await?;
        Ok(())
    }

    /// Gives the inputs back: the backend was never called. What fails here the reconciler does.
    pub async fn release(self, mint: &Mint) {
        release(self.0, mint).await;
    }
}

impl Dispatched {
    /// Calls the backend, once, and writes down what it says.
    ///
    /// # Errors
    /// The backend's word could not be written down; the reconciler asks it again.
    pub(super) async fn pay(self, mint: &Mint) -> Result<Outcome, ApplyError> {
        let status = self.ask_backend(mint).await;
        failpoint!("melt-after-pay");
        let Some(outcome) = self.believe(mint, status) else { return Ok(Outcome::Unknown(self.in_doubt())) };
        record(mint, self.case.operation, outcome.clone()).await?;
        failpoint!("melt-after-record");
        Ok(match outcome {
            MeltOutcome::Paid(evidence) => Outcome::Paid(Paid { case: self.case, evidence }),
            MeltOutcome::Failed => Outcome::Failed(Failed(self.case)),
            MeltOutcome::Unknown => Outcome::Unknown(self.in_doubt()),
        })
    }

    const fn in_doubt(&self) -> Unknown {
        Unknown { operation: self.case.operation, not_after: self.not_after }
    }

    /// A failure of `pay` is no evidence: then the backend is asked what it knows of our id. A refusal is: nothing was sent.
    async fn ask_backend(&self, mint: &Mint) -> Word {
        let case = &self.case;
        let payment = Payment {
            id: case.operation,
            request: case.quote.request.clone(),
            amount_msat: case.quote.amount_msat,
            max_fee_msat: case.max_fee_msat(),
            not_after: self.not_after,
            fence: mint.fence(),
        };
        let patience = self.not_after.plus(NOT_AFTER_MARGIN_SECS).to_unix().saturating_sub(mint.now().to_unix());
        let timeout = mint.ports.environment.sleep(Duration::from_secs(patience));
        let Ok(payments) = mint.ports.payments.of(&case.quote.method) else { return Word::NotSent };
        let paying = payments.pay(payment);
        match select(paying, timeout).await {
            Either::Left((Ok(PaymentStatus::Failed), _)) => self.look_again(&**payments).await,
            Either::Left((Ok(status), _)) => Word::Says(status),
            Either::Left((Err(PaymentsError::Refused(refusal, text)), _)) => {
                tracing::info!(operation = %case.operation, ?refusal, %text, "the backend refused a payment");
                Word::NotSent
            }
            Either::Left((Err(error), _)) => {
                tracing::warn!(operation = %case.operation, %error, "the backend failed to pay, asking what it knows");
                payments.status(case.operation).await.map_or(Word::Silent, Word::Says)
            }
            Either::Right(_) => Word::Silent,
        }
    }

    /// `pay` says that it failed: that has to be what the backend says when it is asked, too.
    async fn look_again(&self, payments: &dyn Payments) -> Word {
        match payments.status(self.case.operation).await {
            Ok(PaymentStatus::NeverHeard) => Word::Says(PaymentStatus::Failed),
            Ok(status) => Word::Says(status),
            Err(error) => {
                tracing::warn!(operation = %self.case.operation, %error, "a failed payment could not be looked at again");
                Word::Silent
            }
        }
    }

    /// The backend's answer as evidence. We hold the operation and our call has returned, so "failed" is final. "Never heard" is not:
    /// our call may still be on its way.
    fn believe(&self, mint: &Mint, word: Word) -> Option<MeltOutcome> {
        match word {
            Word::Says(PaymentStatus::Paid(evidence)) if self.case.proven(mint, &evidence.proof) => {
                Some(MeltOutcome::Paid(evidence))
            }
            Word::NotSent | Word::Says(PaymentStatus::Failed) => Some(MeltOutcome::Failed),
            Word::Says(PaymentStatus::Paid(_)) => {
                tracing::error!(operation = %self.case.operation, "ALARM: the backend says paid without a proof");
                Some(MeltOutcome::Unknown)
            }
            Word::Says(PaymentStatus::Pending) => Some(MeltOutcome::Unknown),
            Word::Says(PaymentStatus::NeverHeard | PaymentStatus::Unknown) | Word::Silent => None,
        }
    }
}

/// What is heard after `pay` was called.
enum Word {
    /// The backend's own.
    Says(PaymentStatus),
    /// The adapter's: nothing was sent and nothing will be.
    NotSent,
    /// Nothing.
    Silent,
}

impl Paid {
    /// The state a record `Paid` is loaded into.
    pub const fn load(case: Case, evidence: PaidEvidence) -> Self {
        Self { case, evidence }
    }

    /// Signs the change and commits `SettleMelt`. What fails here the reconciler does again, with the same result.
    pub async fn settle(self, mint: &Mint) {
        if let Err(error) = self.try_settle(mint).await {
            tracing::error!(operation = %self.case.operation, %error, "a paid melt is not settled yet");
        }
    }

    async fn try_settle(&self, mint: &Mint) -> Result<(), MintError> {
        let Division { change, fees } = self.case.divide(mint, self.case.quote.rate.owed(self.evidence.total_msat))?;
        let change = sign_change(mint, change).await?;
        failpoint!("melt-after-sign");
        let settle = SettleMelt { operation: self.case.operation, change, fees, now: mint.now() };
        match mint.apply(Change::SettleMelt(settle)).await {
            Ok(_) | Err(ApplyError::Conflict(Conflict::OperationGone)) => {
                failpoint!("melt-after-settle");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Failed {
    /// The state a record `Failed` is loaded into.
    pub const fn load(case: Case) -> Self {
        Self(case)
    }

    /// Gives the inputs back: the backend has said that nothing will be paid. What fails here the reconciler does.
    pub async fn release(self, mint: &Mint) {
        release(self.0, mint).await;
    }
}

impl Unknown {
    /// Asks the backend again and again, while somebody may be waiting for the answer. After that the reconciler goes on asking.
    pub async fn poll(self, mint: &Mint) {
        let deadline = self.not_after.plus(NOT_AFTER_MARGIN_SECS);
        while mint.now() <= deadline && !mint.is_draining() {
            mint.ports.environment.sleep(POLL_INTERVAL).await;
            match mint.reconcile_melt(self.operation).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(operation = %self.operation, %error, "a melt in doubt could not be polled");
                }
            }
        }
    }
}

impl Case {
    fn divide(&self, mint: &Mint, cost: Amount) -> Result<Division, MintError> {
        divide(&mint.keyring(), &self.quote, &self.inputs, &self.blanks, cost)
    }

    /// Makes an own invoice that is settled unpayable where the backend can.
    async fn cancel_invoice(&self, mint: &Mint) {
        let Ok(payments) = mint.ports.payments.of(&self.quote.method) else { return };
        if let Err(error) = payments.cancel_invoice(&self.quote.payment_hash).await {
            tracing::info!(%error, "the invoice of an internal settlement could not be cancelled");
        }
    }

    /// Whether the backend's proof is one.
    pub(super) fn proven(&self, mint: &Mint, proof: &PaymentProof) -> bool {
        let payments = mint.ports.payments.of(&self.quote.method);
        proof_holds(proof, &self.quote.payment_hash, payments.is_ok_and(|payments| payments.capabilities().vouches))
    }

    /// What the inputs were asked to cover beyond the amount, in msat; never more than the reserve.
    fn max_fee_msat(&self) -> u64 {
        let reserve = self.quote.rate.msat_covered(self.quote.fee_reserve);
        // A reserve that does not fit was refused when the quote was opened; paying no fee at all is the safe reading.
        reserve.unwrap_or(0)
    }
}

async fn release(case: Case, mint: &Mint) {
    failpoint!("melt-before-release");
    let release = ReleaseMelt { operation: case.operation, owner: mint.owner, quote: case.quote.id, now: mint.now() };
    if let Err(error) = mint.apply(Change::ReleaseMelt(release)).await {
        tracing::warn!(operation = %case.operation, %error, "a melt is not released yet");
    }
}

/// Commits `RecordMelt`.
pub(super) async fn record(mint: &Mint, operation: OperationId, outcome: MeltOutcome) -> Result<(), ApplyError> {
    let record = RecordMelt { operation, owner: mint.owner, outcome, now: mint.now() };
    mint.apply(Change::RecordMelt(record)).await.map(drop)
}

/// Signs imprinted blanks. They were on the curve when they were stored.
async fn sign_change(mint: &Mint, change: Vec<OutputRow>) -> Result<Vec<SignedRow>, MintError> {
    let parsed: Result<Vec<ToSign>, MintError> = change
        .into_iter()
        .map(|blank| {
            let b = blank.b.parse().map_err(|_| MintError::Bug("a stored blank is not a point".to_owned()))?;
            Ok(ToSign { keyset: blank.keyset, amount: blank.amount, b })
        })
        .collect();
    let signed = sign_outputs(&*mint.ports.signer, parsed?).await?;
    Ok(signed.iter().map(SignedOutput::row).collect())
}
