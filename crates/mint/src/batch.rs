//! NUT-29: several mint quotes at once, looked at or issued on. All of them or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use hazel_protocol::mint::{
    MintBatchRequest, MintQuoteBolt11Response, MintQuoteState, MintQuotesCheckRequest, MintResponse,
};
use hazel_protocol::{Amount, BlindSignature, BlindedMessage, ErrorCode, QuoteId, QuoteSignature};

use crate::error::{Group, MintError};
use crate::mint::Mint;
use crate::mint_quote::{response, run_issue, state_of};
use crate::nut20::check_signature;
use crate::ports::{MintQuote, OperationKind, compute};
use crate::replay::Asked;
use crate::verify::VerifiedOutputs;

impl Mint {
    /// `POST /v1/mint/quote/{method}/check` (NUT-29): the quotes, in the order of the request.
    ///
    /// # Errors
    /// No quotes, too many (11017), one twice (11016), one that is no quote of this method.
    pub async fn mint_quotes(
        self: &Arc<Self>,
        method: &str,
        request: MintQuotesCheckRequest,
    ) -> Result<Vec<MintQuoteBolt11Response>, MintError> {
        let quotes = self.known_mint_quotes(method, &request.quotes).await?;
        for quote in quotes.iter().filter(|quote| state_of(quote) == MintQuoteState::Unpaid) {
            self.wonder_about(quote);
        }
        Ok(quotes.into_iter().map(response).collect())
    }

    /// Every quote of a batch, in its order.
    async fn known_mint_quotes(&self, method: &str, ids: &[QuoteId]) -> Result<Vec<MintQuote>, MintError> {
        if ids.is_empty() {
            return Err(MintError::invalid(Group::Request, "the batch has no quotes"));
        }
        if ids.len() > self.config.limits.max_batch {
            return Err(MintError::refused(ErrorCode::MaxBatchSizeExceeded));
        }
        if ids.iter().collect::<BTreeSet<_>>().len() != ids.len() {
            return Err(MintError::refused(ErrorCode::DuplicateQuoteIds));
        }
        let found = self.ports.store.mint_quotes(ids).await?;
        let known = found.into_iter().map(|quote| quote.filter(|quote| quote.method == method));
        let known: Option<Vec<_>> = known.collect();
        let unknown = || MintError::invalid(Group::Quote, "the batch names a quote that does not exist");
        known.ok_or_else(|| self.ports.payments.of(method).err().unwrap_or_else(unknown))
    }

    /// `POST /v1/mint/{method}/batch` (NUT-29): signs outputs for all of the quotes. The same request again gets the same
    /// signatures.
    ///
    /// # Errors
    /// As for one quote; 11009 for quotes of several units; 20008 for signatures that do not match the quotes.
    pub async fn issue_batch(
        self: &Arc<Self>,
        method: &str,
        request: MintBatchRequest,
    ) -> Result<MintResponse, MintError> {
        let _admitted = self.admit()?;
        let quotes = self.known_mint_quotes(method, &request.quotes).await?;
        let asked = Asked::batch(&request);
        let signatures = match self.try_issue_batch(quotes, request).await {
            Err(refusal) if refusal.may_be_replay() => self.replay(OperationKind::Issue, asked, refusal).await?,
            answer => answer?,
        };
        let signatures = signatures.try_into().map_err(|_| MintError::Bug("too many signatures".to_owned()))?;
        Ok(MintResponse { signatures })
    }

    async fn try_issue_batch(
        self: &Arc<Self>,
        quotes: Vec<MintQuote>,
        request: MintBatchRequest,
    ) -> Result<Vec<BlindSignature>, MintError> {
        let (locked, signed) = (quotes.clone(), request.clone());
        let check = move || check_signatures(&locked, signed.signatures.as_deref(), &signed.outputs);
        compute(&*self.ports.environment, check).await??;
        quotes.iter().try_for_each(|quote| self.require_paid(quote))?;
        let draws = draws_of(&quotes, request.quote_amounts.as_deref())?;
        let outputs = self.verify_batch(&quotes, &draws, request.outputs.into_inner()).await?;
        let operation = self.new_operation();
        self.drive(operation, |mint| async move { run_issue(&mint, operation, draws, outputs).await }).await
    }

    async fn verify_batch(
        &self,
        quotes: &[MintQuote],
        draws: &[(QuoteId, Amount)],
        outputs: Vec<BlindedMessage>,
    ) -> Result<VerifiedOutputs, MintError> {
        if quotes.windows(2).any(|pair| pair[0].unit != pair[1].unit) {
            return Err(MintError::refused(ErrorCode::MultipleUnits));
        }
        let outputs = self.rules().check_outputs(outputs)?;
        if quotes.iter().any(|quote| quote.unit != outputs.unit) {
            return Err(MintError::refused(ErrorCode::UnitMismatch));
        }
        let owed = Amount::checked_sum(draws.iter().map(|(_, amount)| *amount))
            .map_err(|_| MintError::refused(ErrorCode::AmountOutsideLimit))?;
        if owed != outputs.sum {
            return Err(MintError::refused_because(
                ErrorCode::TransactionNotBalanced,
                format!("the outputs sum to {}, the quotes to {owed}", outputs.sum),
            ));
        }
        outputs.verify(&*self.ports.environment).await
    }
}

/// What is drawn from each quote: what it asked for. Amounts that a wallet expects must be these.
fn draws_of(quotes: &[MintQuote], expected: Option<&[Amount]>) -> Result<Vec<(QuoteId, Amount)>, MintError> {
    if expected.is_some_and(|expected| expected.len() != quotes.len()) {
        return Err(MintError::invalid(Group::Request, "quote_amounts needs one amount for each quote"));
    }
    let left = |quote: &MintQuote| {
        let paid = quote.amount_paid.checked_sub(quote.amount_issued);
        let paid = paid.map_err(|_| MintError::Bug("more was issued than paid".to_owned()))?;
        Ok::<_, MintError>((quote.id.clone(), quote.amount.unwrap_or(paid)))
    };
    let draws: Vec<_> = quotes.iter().map(left).collect::<Result<_, _>>()?;
    let as_expected = |expected: &[Amount]| draws.iter().map(|(_, amount)| amount).eq(expected);
    if !expected.is_none_or(as_expected) {
        return Err(MintError::refused_because(
            ErrorCode::TransactionNotBalanced,
            "quote_amounts differ from the amounts of the quotes",
        ));
    }
    Ok(draws)
}

/// NUT-20 in a batch: a signature for each locked quote, over all outputs, and none for the others.
fn check_signatures(
    quotes: &[MintQuote],
    signatures: Option<&[Option<QuoteSignature>]>,
    outputs: &[BlindedMessage],
) -> Result<(), MintError> {
    let invalid = |detail: &'static str| MintError::refused_because(ErrorCode::MintSignatureInvalid, detail);
    if signatures.is_some_and(|signatures| signatures.len() != quotes.len()) {
        return Err(invalid("signatures needs one entry for each quote, null where it is not locked"));
    }
    for (index, quote) in quotes.iter().enumerate() {
        let signature = signatures.and_then(|signatures| signatures.get(index)).and_then(Option::as_ref);
        if quote.pubkey.is_none() && signature.is_some() {
            return Err(invalid("a quote that is not locked takes no signature"));
        }
        check_signature(quote.pubkey.as_ref(), signature.map(|text| text.0.as_str()), &quote.id, outputs)?;
    }
    Ok(())
}
