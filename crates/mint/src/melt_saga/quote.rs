//! Opening melt quotes and answering what became of them.

use std::sync::Arc;

use hazel_protocol::melt::{MeltOptions, MeltQuoteBolt11Request, MeltQuoteBolt11Response, MeltQuoteState};
use hazel_protocol::{Amount, BlindSignature, ErrorCode, QuoteId};

use super::amounts::within_limits;
use crate::error::{Group, MintError};
use crate::hex::to_hex;
use crate::mint::Mint;
use crate::ports::{
    Applied, Capabilities, Change, MeltQuote, MeltQuoteStatus, MintQuote, OpenMeltQuote, Portion, Route,
};
use crate::rate::Rate;
use crate::signing::stored_signature;

impl Mint {
    /// `POST /v1/melt/quote/{method}` (NUT-05, NUT-23).
    ///
    /// # Errors
    /// 11013 for a unit, 11011 and 11012 for an amount or part that does not fit, 11006 when amount plus fee reserve is outside the
    /// limits, 20006 for an invoice this mint has paid, 20005 for one it is paying; the backend's about the invoice.
    pub async fn open_melt_quote(
        self: &Arc<Self>,
        method: &str,
        request: MeltQuoteBolt11Request,
    ) -> Result<MeltQuoteBolt11Response, MintError> {
        let _admitted = self.admit()?;
        let payments = self.ports.payments.of(method)?;
        self.require_open_for_melts()?;
        self.require_spendable(&request.unit)?;
        self.require_allowed(&request.unit)?;
        self.require_method(method, &request.unit)?;
        let portion = portion_asked(payments.capabilities(), request.options.as_ref())?;
        let route = payments.route(&request.request, portion).await?;
        if let Portion::Chosen(asked) | Portion::Part(asked) = portion
            && asked != route.amount_msat
        {
            return Err(MintError::refused(ErrorCode::AmountMismatch));
        }
        let quote = self.new_melt_quote(method, request, &route).await?;
        match self.apply(Change::OpenMeltQuote(OpenMeltQuote { quote })).await? {
            Applied::MeltQuote(quote) => Ok(response(quote, None)),
            other => Err(MintError::Bug(format!("opening a quote gave {other:?}"))),
        }
    }

    pub(super) fn require_open_for_melts(&self) -> Result<(), MintError> {
        if self.config.doors.melting {
            return Ok(());
        }
        Err(MintError::invalid(Group::Quote, "this mint makes no payments at the moment"))
    }

    async fn new_melt_quote(
        &self,
        method: &str,
        request: MeltQuoteBolt11Request,
        route: &Route,
    ) -> Result<MeltQuote, MintError> {
        let offer = self.offer(method, &request, route).await?;
        within_limits(self.config.quote_limits(method, &request.unit), offer.amount, offer.fee_reserve)?;
        let now = self.now();
        let stands = now.plus(u64::from(self.config.melt_quote_ttl_secs));
        // A backend that pays expired invoices says so by giving a route; then the quote stands its own time.
        let expiry = if route.expires_at > now { stands.min(route.expires_at) } else { stands };
        Ok(MeltQuote {
            id: self.new_quote_id()?,
            method: method.to_owned(),
            unit: request.unit,
            rate: offer.rate,
            request: request.request,
            payment_hash: route.payment_hash,
            amount_msat: route.amount_msat,
            amount: offer.amount,
            fee_reserve: offer.fee_reserve,
            expiry,
            created_at: now,
            updated_at: now,
            status: MeltQuoteStatus::Unpaid,
            operation: None,
            preimage: None,
        })
    }

    /// What the payment costs. An invoice of this mint's own costs what its quote asks for, whatever its unit is worth by now.
    async fn offer(&self, method: &str, request: &MeltQuoteBolt11Request, route: &Route) -> Result<Offer, MintError> {
        if let Some(own) = self.ports.store.mint_quote_by_hash(&route.payment_hash).await? {
            self.refuse_unless_internal(&own, method, request)?;
            return Ok(Offer { rate: own.rate, amount: whole(&own, route.amount_msat)?, fee_reserve: Amount::ZERO });
        }
        let rate = self.rate_of(&request.unit).await?;
        let (amount, fee_reserve) = (rate.owed(route.amount_msat), rate.owed(route.fee_reserve_msat));
        Ok(Offer { rate, amount, fee_reserve })
    }

    /// An invoice of this mint's own can be settled without a payment, if it is still owed and of the same method and unit.
    fn refuse_unless_internal(
        &self,
        own: &MintQuote,
        method: &str,
        request: &MeltQuoteBolt11Request,
    ) -> Result<(), MintError> {
        if own.method != method {
            return Err(other_method());
        }
        if own.unit != request.unit {
            return Err(MintError::refused(ErrorCode::UnitMismatch));
        }
        if !own.amount_paid.is_zero() {
            return Err(MintError::refused(ErrorCode::InvoiceAlreadyPaid));
        }
        if own.expiry <= self.now() {
            return Err(MintError::refused(ErrorCode::QuoteExpired));
        }
        Ok(())
    }

    /// `GET /v1/melt/quote/{method}/{quote_id}` (NUT-05). Reads the ledger; a pending quote at most wakes the reconciler.
    ///
    /// # Errors
    /// No such quote of this method.
    pub async fn melt_quote(
        self: &Arc<Self>,
        method: &str,
        id: &QuoteId,
    ) -> Result<MeltQuoteBolt11Response, MintError> {
        let quote = self.known_melt_quote(method, id).await?;
        self.describe(quote).await
    }

    /// The quote on the wire, with its change once it is paid.
    pub(crate) async fn describe(self: &Arc<Self>, quote: MeltQuote) -> Result<MeltQuoteBolt11Response, MintError> {
        match (quote.status, quote.operation) {
            (MeltQuoteStatus::Pending, Some(_)) => self.wake.melts(),
            (MeltQuoteStatus::Paid, Some(operation)) => {
                let contents = self.ports.store.contents(operation).await?;
                let change: Result<Vec<_>, MintError> = contents.outputs.iter().map(stored_signature).collect();
                return Ok(response(quote, Some(change?.into_iter().flatten().collect())));
            }
            _ => {}
        }
        Ok(response(quote, None))
    }
}

/// How much of the invoice the payer wants this mint to pay (NUT-15, NUT-23).
fn portion_asked(can: Capabilities, options: Option<&MeltOptions>) -> Result<Portion, MintError> {
    let options = options.cloned().unwrap_or_default();
    let differs = |why: &'static str| MintError::refused_because(ErrorCode::AmountMismatch, why);
    match (options.amountless, options.mpp) {
        (Some(_), Some(_)) => Err(differs("an invoice without an amount has no parts")),
        (None, Some(_)) if !can.mpp => Err(differs("this mint does not pay parts of an invoice")),
        (Some(_), None) if !can.amountless => Err(MintError::refused(ErrorCode::AmountlessInvoiceUnsupported)),
        (None, Some(part)) => Ok(Portion::Part(part.amount.to_u64())),
        (Some(chosen), None) => Ok(Portion::Chosen(chosen.amount_msat.to_u64())),
        (None, None) => Ok(Portion::Whole),
    }
}

/// What a payment costs, and at which rate.
struct Offer {
    rate: Rate,
    amount: Amount,
    fee_reserve: Amount,
}

/// What a mint quote is credited when its invoice is paid with `msat`: all that it asks for.
///
/// # Errors
/// 11011 for less or more.
pub(super) fn whole(own: &MintQuote, msat: u64) -> Result<Amount, MintError> {
    let credited = own.rate.arrived(msat);
    if own.amount.is_some_and(|amount| amount != credited) {
        let why = "an invoice of this mint's own is paid whole or not at all";
        return Err(MintError::refused_because(ErrorCode::AmountMismatch, why));
    }
    Ok(credited)
}

/// A request for money of this mint's own was brought to another of its payment methods.
pub(super) fn other_method() -> MintError {
    MintError::invalid(Group::Quote, "this request is of another payment method of this mint")
}

fn response(quote: MeltQuote, change: Option<Vec<BlindSignature>>) -> MeltQuoteBolt11Response {
    let state = match quote.status {
        MeltQuoteStatus::Unpaid => MeltQuoteState::Unpaid,
        MeltQuoteStatus::Pending => MeltQuoteState::Pending,
        MeltQuoteStatus::Paid => MeltQuoteState::Paid,
    };
    MeltQuoteBolt11Response {
        quote: quote.id,
        request: quote.request,
        amount: quote.amount,
        unit: quote.unit,
        fee_reserve: quote.fee_reserve,
        state,
        expiry: Some(quote.expiry.to_unix()),
        updated_at: Some(quote.updated_at.to_unix()),
        payment_preimage: quote.preimage.map(|preimage| to_hex(&preimage)),
        change: change.filter(|change| !change.is_empty()).and_then(|change| change.try_into().ok()),
    }
}
