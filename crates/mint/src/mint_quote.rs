//! NUT-04 and NUT-23: quotes for ecash, and issuing on them.

use std::sync::Arc;

use hazel_protocol::mint::{
    MintQuoteBolt11Request, MintQuoteBolt11Response, MintQuoteState, MintRequest, MintResponse,
};
use hazel_protocol::{Amount, BlindSignature, ErrorCode, QuoteId};

use crate::error::{Group, MintError};
use crate::failpoint::failpoint;
use crate::mint::Mint;
use crate::nut20::check_signature;
use crate::ports::{
    Applied, Change, Issue, KeysetRecord, MintQuote, NewInvoice, OpenMintQuote, OperationId, OperationKind,
};
use crate::replay::Asked;
use crate::signing::{SignedOutput, sign_outputs};
use crate::verify::VerifiedOutputs;

/// Where a mint quote stands, from its sums.
pub(crate) fn state_of(quote: &MintQuote) -> MintQuoteState {
    if quote.amount_paid.is_zero() {
        MintQuoteState::Unpaid
    } else if quote.amount_issued >= quote.amount_paid || is_issued_in_full(quote) {
        MintQuoteState::Issued
    } else if quote.amount.is_none_or(|amount| quote.amount_paid >= amount) {
        MintQuoteState::Paid
    } else {
        MintQuoteState::Unpaid
    }
}

fn is_issued_in_full(quote: &MintQuote) -> bool {
    quote.amount.is_some_and(|amount| quote.amount_issued >= amount)
}

pub(crate) fn response(quote: MintQuote) -> MintQuoteBolt11Response {
    MintQuoteBolt11Response {
        state: state_of(&quote),
        quote: quote.id,
        request: quote.request,
        amount: quote.amount,
        unit: quote.unit,
        expiry: Some(quote.expiry.to_unix()),
        pubkey: quote.pubkey,
        amount_paid: Some(quote.amount_paid),
        amount_issued: Some(quote.amount_issued),
        updated_at: Some(quote.updated_at.to_unix()),
    }
}

/// That `amount` can be issued in one request: as so many pieces of the keyset's denominations at most. A wallet could not claim the quote it paid for.
///
/// # Errors
/// 11006.
fn require_pieces(amount: Amount, keyset: &KeysetRecord, max_outputs: usize) -> Result<(), MintError> {
    let pieces = amount.split(&keyset.keys.amounts()).ok();
    if pieces.is_some_and(|pieces| pieces.len() <= max_outputs) {
        return Ok(());
    }
    let detail = format!("{amount} cannot be made of {max_outputs} amounts that this mint signs");
    Err(MintError::refused_because(ErrorCode::AmountOutsideLimit, detail))
}

impl Mint {
    /// `POST /v1/mint/quote/{method}` (NUT-04, NUT-23).
    ///
    /// # Errors
    /// A method that is not served; 20003 while minting is disabled, 20009 without a key where one is required, 11013 for a unit, 11006 for an amount outside the
    /// limits; the backend's.
    pub async fn open_mint_quote(
        self: &Arc<Self>,
        method: &str,
        request: MintQuoteBolt11Request,
    ) -> Result<MintQuoteBolt11Response, MintError> {
        let _admitted = self.admit()?;
        let payments = self.ports.payments.of(method)?;
        self.require_open_for(&request)?;
        let keyset = self.require_unit(&request.unit)?;
        self.require_method(method, &request.unit)?;
        let payable_until = self.now().plus(self.config.mint_quote_ttl_secs.into());
        if keyset.final_expiry.is_some_and(|expiry| expiry <= payable_until) {
            return Err(MintError::refused_because(
                ErrorCode::KeysetExpired,
                "the keyset of this unit expires before the quote could be paid",
            ));
        }
        let limits = self.config.quote_limits(method, &request.unit);
        if request.amount < limits.mint_min || request.amount > limits.mint_max {
            return Err(MintError::refused(ErrorCode::AmountOutsideLimit));
        }
        require_pieces(request.amount, &keyset, self.config.limits.max_outputs)?;
        if request.description.is_some() && !payments.capabilities().description {
            return Err(MintError::invalid(Group::Quote, "this mint's invoices cannot carry a description"));
        }
        let quote = self.new_mint_quote(method, request).await?;
        match self.apply(Change::OpenMintQuote(OpenMintQuote { quote })).await? {
            Applied::MintQuote(quote) => {
                self.find_early_payment(&quote);
                Ok(response(quote))
            }
            other => Err(MintError::Bug(format!("opening a quote gave {other:?}"))),
        }
    }

    fn require_open_for(&self, request: &MintQuoteBolt11Request) -> Result<(), MintError> {
        let doors = self.config.doors;
        if !doors.minting {
            return Err(MintError::refused(ErrorCode::MintingDisabled));
        }
        if doors.pubkey_required && request.pubkey.is_none() {
            return Err(MintError::refused(ErrorCode::MintPubkeyRequired));
        }
        Ok(())
    }

    async fn new_mint_quote(&self, method: &str, request: MintQuoteBolt11Request) -> Result<MintQuote, MintError> {
        let rate = self.rate_of(&request.unit).await?;
        let amount_msat = rate.msat_to_pay(request.amount);
        let invoice = NewInvoice {
            amount_msat: amount_msat.ok_or_else(|| MintError::refused(ErrorCode::AmountOutsideLimit))?,
            description: request.description,
            expiry_secs: self.config.mint_quote_ttl_secs,
        };
        let invoice = self.ports.payments.of(method)?.create_invoice(invoice).await?;
        let now = self.now();
        Ok(MintQuote {
            id: self.new_quote_id()?,
            method: method.to_owned(),
            unit: request.unit,
            rate,
            amount: Some(request.amount),
            request: invoice.request,
            payment_hash: invoice.payment_hash,
            pubkey: request.pubkey,
            expiry: invoice.expires_at,
            created_at: now,
            updated_at: now,
            amount_paid: Amount::ZERO,
            amount_issued: Amount::ZERO,
        })
    }

    /// `GET /v1/mint/quote/{method}/{quote_id}` (NUT-04). Reads the ledger; an unpaid quote at most wakes the reconciler.
    ///
    /// # Errors
    /// No such quote of this method.
    pub async fn mint_quote(
        self: &Arc<Self>,
        method: &str,
        id: &QuoteId,
    ) -> Result<MintQuoteBolt11Response, MintError> {
        let quote = self.known_mint_quote(method, id).await?;
        if state_of(&quote) == MintQuoteState::Unpaid {
            self.wonder_about(&quote);
        }
        Ok(response(quote))
    }

    async fn known_mint_quote(&self, method: &str, id: &QuoteId) -> Result<MintQuote, MintError> {
        let found = self.ports.store.mint_quotes(std::slice::from_ref(id)).await?;
        let quote = found.into_iter().flatten().next().filter(|quote| quote.method == method);
        quote.ok_or_else(|| self.no_such_quote(method))
    }

    /// `POST /v1/mint/{method}` (NUT-04): signs outputs for a paid quote. The same request again gets the same signatures.
    ///
    /// # Errors
    /// 20001 while it is not paid, 20002 once it is issued, and every rule about outputs.
    pub async fn issue(self: &Arc<Self>, method: &str, request: MintRequest) -> Result<MintResponse, MintError> {
        let _admitted = self.admit()?;
        let quote = self.known_mint_quote(method, &request.quote).await?;
        let asked = Asked::issue(&request);
        let signatures = match self.try_issue(quote, request).await {
            Err(refusal) if refusal.may_be_replay() => self.replay(OperationKind::Issue, asked, refusal).await?,
            answer => answer?,
        };
        let signatures = signatures.try_into().map_err(|_| MintError::Bug("too many signatures".to_owned()))?;
        Ok(MintResponse { signatures })
    }

    async fn try_issue(
        self: &Arc<Self>,
        quote: MintQuote,
        request: MintRequest,
    ) -> Result<Vec<BlindSignature>, MintError> {
        check_signature(quote.pubkey.as_ref(), request.signature.as_deref(), &quote.id, &request.outputs)?;
        self.require_paid(&quote)?;
        let outputs = self.verify_issue(&quote, request).await?;
        let operation = self.new_operation();
        self.drive(operation, |mint| async move {
            let draws = vec![(quote.id, outputs.sum)];
            run_issue(&mint, operation, draws, outputs).await
        })
        .await
    }

    /// That ecash can be issued on `quote` now.
    ///
    /// # Errors
    /// 20001, and then the reconciler asks about it; 20002.
    pub(crate) fn require_paid(&self, quote: &MintQuote) -> Result<(), MintError> {
        match state_of(quote) {
            MintQuoteState::Paid => Ok(()),
            MintQuoteState::Issued => Err(MintError::refused(ErrorCode::QuoteAlreadyIssued)),
            MintQuoteState::Unpaid => {
                self.wonder_about(quote);
                Err(MintError::refused(ErrorCode::QuoteNotPaid))
            }
        }
    }

    async fn verify_issue(&self, quote: &MintQuote, request: MintRequest) -> Result<VerifiedOutputs, MintError> {
        let outputs = self.rules().check_outputs(request.outputs.into_inner())?;
        if outputs.unit != quote.unit {
            return Err(MintError::refused(ErrorCode::UnitMismatch));
        }
        if let Some(amount) = quote.amount.filter(|amount| *amount != outputs.sum) {
            return Err(MintError::refused_because(
                ErrorCode::TransactionNotBalanced,
                format!("the outputs sum to {}, the quote is for {amount}", outputs.sum),
            ));
        }
        outputs.verify(&*self.ports.environment).await
    }
}

/// Signs, then one commit that decides. Nothing is in the ledger before it, so there is nothing to undo.
pub(crate) async fn run_issue(
    mint: &Mint,
    operation: OperationId,
    draws: Vec<(QuoteId, Amount)>,
    outputs: VerifiedOutputs,
) -> Result<Vec<BlindSignature>, MintError> {
    failpoint!("issue-before-sign");
    let signed = sign_outputs(&*mint.ports.signer, outputs.to_sign).await?;
    failpoint!("issue-after-sign");
    let issue = Issue { operation, draws, outputs: signed.iter().map(SignedOutput::row).collect(), now: mint.now() };
    mint.apply(Change::Issue(issue)).await?;
    failpoint!("issue-after-commit");
    Ok(signed.into_iter().map(SignedOutput::into_signature).collect())
}
