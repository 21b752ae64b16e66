//! Ecash for a paid invoice (NUT-04, NUT-23).
//!
//! The quote is stored before the invoice is shown, so that a payment is never forgotten. The request for the ecash is always
//! the same bytes, so it can be sent until it succeeds: a paid quote is exchanged once, for outputs only this wallet can
//! open.

use hazel_protocol::{
    Amount, BlindedMessage, ErrorCode, KeysetWithKeys, MAX_DESCRIPTION_BYTES, MintQuoteBolt11Request,
    MintQuoteBolt11Response, MintQuoteState, MintRequest, Proof, QuoteId, SecretKey, nut20,
};

use crate::error::{Error, Violation};
use crate::evidence::is;
use crate::exchange::{MAX_OVERTAKEN, MAX_SUPERSEDED, take};
use crate::invoice;
use crate::keysets::Keysets;
use crate::outputs;
use crate::ports::{CounterStep, HistoryEntry, Moves, OperationId, OperationKind, ProofRecord, ProofStatus};
use crate::saga::Saga;
use crate::state::{Dispatch, MintExpired, MintIssued, MintQuoted, MintRequested, PlannedOutput, Purpose, State};
use crate::verify;
use crate::waiting::{Awaited, Waiting};
use crate::wallet::{Answer, Wallet, was_overtaken};

/// How often one call makes a request anew with fresh outputs.
const MAX_REBUILDS: u32 = 1;

/// How long after its expiry an unpaid quote is looked at, in seconds: a payment under way may take that long.
pub(crate) const GRACE_SECS: u64 = 24 * 3600;

/// An invoice that waits to be paid.
///
/// Dropping it forgets nothing: [`Wallet::pending_mints`] lists it again.
#[derive(Debug)]
pub struct PendingMint {
    saga: Saga<MintQuoted>,
}

/// Ecash that was minted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    /// The operation.
    pub operation: OperationId,
    /// How much, in the minor unit.
    pub amount: Amount,
}

impl Wallet {
    /// Asks for an invoice over `amount`, in the minor unit. The description goes into the invoice where the mint can do that;
    /// it is cut to what an invoice holds.
    ///
    /// # Errors
    /// [`Error::HostileMint`] when the invoice is for another amount.
    pub async fn prepare_mint(&self, amount: Amount, description: Option<&str>) -> Result<PendingMint, Error> {
        if amount.is_zero() {
            return Err(Error::ZeroAmount);
        }
        let keysets = self.refreshed_keysets().await?;
        // An amount that cannot be issued should not be paid for.
        amount.split(&self.keyset_for_outputs(&keysets)?.keys.amounts())?;
        let description = description.filter(|text| !text.is_empty()).map(cut);
        let lock = self.new_quote_lock().await?;
        let pubkey = lock.map(|lock| Ok::<_, Error>(self.quote_key(&lock)?.public_key(self.curve()))).transpose()?;
        let request = MintQuoteBolt11Request { amount, unit: self.inner.unit.clone(), description, pubkey };
        let answer = self.inner.connector.mint_quote_bolt11(&request).await?;
        check_quote(&request, &answer)?;
        let quoted = MintQuoted {
            quote: answer.quote,
            request: answer.request,
            amount,
            expiry: answer.expiry,
            paid: answer.state == MintQuoteState::Paid,
            lock,
        };
        let saga = self.begin(quoted, Moves::default(), Vec::new()).await?;
        Ok(PendingMint { saga })
    }

    /// What a new quote is locked with, where the mint can do that (NUT-20): whoever learns the quote's id still cannot take its
    /// ecash. The key derives from the seed and these random bytes, which are stored with the quote.
    async fn new_quote_lock(&self) -> Result<Option<[u8; 16]>, Error> {
        let info = self.mint_record().await?.info;
        if !info.and_then(|info| info.nuts.nut20).is_some_and(|nut20| nut20.supported) {
            return Ok(None);
        }
        let mut lock = [0; 16];
        self.inner.environment.fill_random(&mut lock);
        Ok(Some(lock))
    }

    fn quote_key(&self, lock: &[u8; 16]) -> Result<SecretKey, Error> {
        self.inner.seed.derive_key("quote", lock).map_err(|_| Error::Bug("a key of the wallet is unusable"))
    }

    /// The invoices that wait to be paid, oldest first, but for those this process works on.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub async fn pending_mints(&self) -> Result<Vec<PendingMint>, Error> {
        let mut pending = Vec::new();
        for row in self.inner.store.unfinished(&self.inner.mint, &self.inner.unit).await? {
            if let State::MintQuoted(state) = row.state.clone()
                && row.seed == self.inner.fingerprint
                && let Some(saga) = self.adopt(row).await?
            {
                pending.push(PendingMint { saga: saga.with(state) });
            }
        }
        Ok(pending)
    }
}

fn cut(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_DESCRIPTION_BYTES.min(text.len()));
    text[..end].to_owned()
}

/// A quote must be for the amount and unit that were asked for, and so must its invoice.
fn check_quote(asked: &MintQuoteBolt11Request, answer: &MintQuoteBolt11Response) -> Result<(), Violation> {
    if answer.unit != asked.unit || answer.amount.is_some_and(|amount| amount != asked.amount) {
        return Err(Violation::Quote("another amount or unit"));
    }
    if asked.pubkey.is_some() && answer.pubkey != asked.pubkey {
        return Err(Violation::Quote("not locked to the key that was given"));
    }
    if answer.state == MintQuoteState::Issued {
        return Err(Violation::IssuedElsewhere);
    }
    let msat = invoice::amount_msat(&answer.request).map_err(|_| Violation::Quote("no lightning invoice"))?;
    let msat = msat.ok_or(Violation::Quote("an invoice without an amount"))?;
    match invoice::in_unit(msat, &asked.unit) {
        Some(amount) if amount != asked.amount => Err(Violation::Quote("an invoice over another amount")),
        _ => Ok(()),
    }
}

impl PendingMint {
    /// The operation.
    pub fn operation(&self) -> OperationId {
        self.saga.id
    }

    /// The BOLT11 invoice to pay.
    pub fn invoice(&self) -> &str {
        &self.saga.state.request
    }

    /// The quote. Whoever knows it can take the ecash, so it stays between mint and wallet.
    pub fn quote(&self) -> &QuoteId {
        &self.saga.state.quote
    }

    /// How much will be minted, in the minor unit.
    pub fn amount(&self) -> Amount {
        self.saga.state.amount
    }

    /// Until when the invoice can be paid, in seconds since 1970; none if the mint did not say.
    pub fn expiry(&self) -> Option<u64> {
        self.saga.state.expiry
    }

    /// Whether the mint has said that the invoice is paid.
    pub fn is_paid(&self) -> bool {
        self.saga.state.paid
    }

    /// Asks the mint once whether the invoice is paid.
    ///
    /// # Errors
    /// [`Error::HostileMint`] when the mint takes back what it said, or issued the ecash to somebody else.
    pub async fn check(&mut self) -> Result<bool, Error> {
        self.saga.check().await
    }

    /// Waits until the invoice is paid, asking every few seconds and whenever the mint speaks up (NUT-17). `waiting` is called before each
    /// wait.
    ///
    /// # Errors
    /// [`Error::InvoiceExpired`]; [`Error::HostileMint`] as in [`check`](Self::check). An answer that does not come is
    /// waited for.
    pub async fn wait_paid(&mut self, waiting: &mut (dyn FnMut(&Self) + Send)) -> Result<(), Error> {
        let awaited = Awaited::MintQuote(self.saga.state.quote.clone());
        let mut wait = Waiting::new(&self.saga.wallet, awaited);
        loop {
            match self.check().await {
                Ok(true) => return Ok(()),
                Ok(false) if self.saga.has_expired(0) => return Err(Error::InvoiceExpired),
                Ok(false) | Err(Error::Unreachable(_) | Error::Ambiguous { .. }) => {}
                Err(error) => return Err(error),
            }
            waiting(self);
            wait.pause().await;
        }
    }

    /// Takes the ecash of the paid invoice.
    ///
    /// # Errors
    /// [`Error::NotPaid`]: the invoice stays pending. [`Error::Ambiguous`]: [`Wallet::resume`] goes on with it.
    pub async fn confirm(mut self) -> Result<Minted, Error> {
        if !self.saga.state.paid && !self.check().await? {
            return Err(Error::NotPaid);
        }
        self.saga.request().await?.drive(true).await
    }

    /// Stops waiting for the payment. Should it come after all, the ecash can still be had by the quote.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn cancel(self) -> Result<(), Error> {
        self.saga.expire().await
    }
}

impl Saga<MintQuoted> {
    pub(crate) async fn check(&mut self) -> Result<bool, Error> {
        let answer = self.wallet.inner.connector.mint_quote_status(&self.state.quote).await?;
        if answer.quote != self.state.quote {
            return Err(Error::from(Violation::Quote("another quote")).of(self.id));
        }
        match (answer.state, self.state.paid) {
            (MintQuoteState::Unpaid, true) => Err(Error::from(Violation::Backwards).of(self.id)),
            (MintQuoteState::Unpaid, false) => Ok(false),
            (MintQuoteState::Paid, true) => Ok(true),
            (MintQuoteState::Paid, false) => {
                let next = MintQuoted { paid: true, ..self.state.clone() };
                self.advance(&next, Moves::default(), Vec::new()).await?;
                self.state = next;
                Ok(true)
            }
            // The request for the ecash has not left yet: somebody else knew the quote.
            (MintQuoteState::Issued, _) => Err(Error::from(Violation::IssuedElsewhere).of(self.id)),
        }
    }

    pub(crate) fn has_expired(&self, grace_secs: u64) -> bool {
        let now = self.wallet.now().to_unix();
        self.state.expiry.is_some_and(|expiry| now > expiry.saturating_add(grace_secs))
    }

    pub(crate) async fn expire(self) -> Result<(), Error> {
        let quoted = self.state.clone();
        self.settle(MintExpired { quoted }, Moves::default(), None).await
    }

    /// Writes down the request for the ecash.
    pub(crate) async fn request(mut self) -> Result<Saga<MintRequested>, Error> {
        let keysets = self.wallet.refreshed_keysets().await?;
        for _ in 0..MAX_OVERTAKEN {
            let (next, counters) = self.wallet.plan_mint(&keysets, &self.state).await?;
            match self.advance(&next, Moves::default(), vec![counters]).await {
                Ok(()) => return Ok(self.with(next)),
                Err(error) if was_overtaken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.ambiguous("another operation keeps taking the same counters"))
    }
}

impl Wallet {
    async fn plan_mint(&self, keysets: &Keysets, quoted: &MintQuoted) -> Result<(MintRequested, CounterStep), Error> {
        let keyset: &KeysetWithKeys = self.keyset_for_outputs(keysets)?;
        let from = self.next_counter(keyset.id).await?;
        let outputs = outputs::plan(keyset, from, &[(quoted.amount, Purpose::Keep)])?;
        let messages = self.messages(&outputs, None)?;
        let signature = quoted.lock.map(|lock| self.sign_quote(&lock, &quoted.quote, &messages)).transpose()?;
        let request = MintRequest { quote: quoted.quote.clone(), outputs: messages, signature };
        let counters = take(keyset, from, &outputs);
        let dispatch = Dispatch::FIRST;
        let requested = MintRequested { quoted: quoted.clone(), request, outputs, dispatch, superseded: Vec::new() };
        Ok((requested, counters))
    }
}

impl Wallet {
    /// The signature over quote and outputs by the key that the quote is locked to (NUT-20).
    fn sign_quote(&self, lock: &[u8; 16], quote: &QuoteId, outputs: &[BlindedMessage]) -> Result<String, Error> {
        let mut entropy = [0; 32];
        self.inner.environment.fill_random(&mut entropy);
        Ok(nut20::sign(self.curve(), &self.quote_key(lock)?, quote, outputs, &entropy))
    }
}

impl Saga<MintRequested> {
    /// Drives the request to its end, or to where only waiting helps. `fresh` says that the first copy, which is already
    /// counted, has not left yet.
    pub(crate) async fn drive(mut self, fresh: bool) -> Result<Minted, Error> {
        let mut copy_is_counted = fresh;
        let mut copies = 0;
        let mut rebuilds = 0;
        loop {
            if !copy_is_counted {
                let next = MintRequested { dispatch: self.state.dispatch.again(), ..self.state.clone() };
                self.to(next, Moves::default(), Vec::new()).await?;
            }
            copy_is_counted = false;
            copies += 1;
            match Answer::from(self.wallet.inner.connector.mint(&self.state.request).await) {
                Answer::Final(answer) => return self.settle_with(&answer.signatures).await,
                Answer::Refused { code, detail } => {
                    if let Some((outputs, proofs)) = self.already_issued().await? {
                        return self.settle_proofs(&outputs, proofs).await;
                    }
                    let code = Some(code);
                    let dead = is(code, ErrorCode::OutputsAlreadySigned);
                    let anew = dead || is(code, ErrorCode::KeysetInactive) || is(code, ErrorCode::OutputsPending);
                    let full = !dead && self.state.superseded.len() >= MAX_SUPERSEDED;
                    if !anew || full || rebuilds >= MAX_REBUILDS {
                        return Err(self.ambiguous(detail));
                    }
                    rebuilds += 1;
                    self.rebuild(dead).await?;
                    copy_is_counted = true;
                }
                Answer::NotSent(reason) => return Err(self.ambiguous(reason)),
                Answer::Ambiguous(reason) if copies >= self.wallet.inner.policy.copies_per_call => {
                    return Err(self.ambiguous(reason));
                }
                Answer::Ambiguous(_) => self.wallet.sleep(u64::from(copies)).await,
            }
        }
    }

    async fn settle_with(self, signatures: &[hazel_protocol::BlindSignature]) -> Result<Minted, Error> {
        let keysets = self.wallet.known_keysets().await?;
        let outputs = self.state.outputs.clone();
        let derived = self.wallet.derive(&outputs, None)?;
        let proofs = verify::signatures(&keysets, &derived, signatures, self.wallet.inner.policy.mint_dleq)
            .map_err(|violation| Error::from(violation).of(self.id))?;
        self.settle_proofs(&outputs, proofs).await
    }

    async fn settle_proofs(self, outputs: &[PlannedOutput], proofs: Vec<Proof>) -> Result<Minted, Error> {
        let wallet = self.wallet.clone();
        let new = |(output, proof)| wallet.new_proof(proof, output, ProofStatus::Available);
        let add: Vec<ProofRecord> = outputs.iter().zip(proofs).map(new).collect();
        let MintQuoted { quote, request, amount, .. } = self.state.quoted.clone();
        let history = HistoryEntry {
            operation: self.id,
            mint: wallet.inner.mint.clone(),
            unit: wallet.inner.unit.clone(),
            kind: OperationKind::Mint,
            amount,
            fee: Amount::ZERO,
            at: wallet.now(),
            memo: None,
            invoice: Some(request),
            preimage: None,
        };
        let minted = Minted { operation: self.id, amount };
        self.settle(MintIssued { quote, amount }, Moves { add, ..Moves::default() }, Some(history)).await?;
        Ok(minted)
    }

    /// The signatures of a request on this quote that was applied, if there is one (NUT-09).
    ///
    /// The quote must be issued, for outputs alone may have been signed for another device with the same seed.
    async fn already_issued(&self) -> Result<Option<(Vec<PlannedOutput>, Vec<Proof>)>, Error> {
        self.find_issued().await.map_err(|error| self.in_doubt(error))
    }

    async fn find_issued(&self) -> Result<Option<(Vec<PlannedOutput>, Vec<Proof>)>, Error> {
        let status = self.wallet.inner.connector.mint_quote_status(&self.state.quoted.quote).await?;
        if status.state != MintQuoteState::Issued {
            return Ok(None);
        }
        let keysets = self.wallet.known_keysets().await?;
        for outputs in std::iter::once(&self.state.outputs).chain(&self.state.superseded) {
            let proofs: Vec<Proof> =
                self.wallet.restore_outputs(&keysets, outputs, None).await?.into_iter().flatten().collect();
            let as_asked = proofs.len() == outputs.len()
                && outputs.iter().zip(&proofs).all(|(output, proof)| output.amount == proof.amount);
            if as_asked {
                return Ok(Some((outputs.clone(), proofs)));
            }
        }
        Err(Violation::IssuedElsewhere.into())
    }

    /// Makes the request anew with fresh outputs. Unless the former request can never be applied, its outputs stay on the
    /// list: the quote pays for one request only.
    async fn rebuild(&mut self, former_is_dead: bool) -> Result<(), Error> {
        let keysets = self.wallet.refreshed_keysets().await.map_err(|error| self.in_doubt(error))?;
        self.catch_up(&keysets).await?;
        for _ in 0..MAX_OVERTAKEN {
            let planned = self.wallet.plan_mint(&keysets, &self.state.quoted).await;
            let (mut next, counters) = planned.map_err(|error| self.in_doubt(error))?;
            next.superseded.clone_from(&self.state.superseded);
            if !former_is_dead {
                next.superseded.push(self.state.outputs.clone());
            }
            match self.to(next, Moves::default(), vec![counters]).await {
                Err(error) if was_overtaken(&error) => {}
                other => return Ok(other?),
            }
        }
        Err(self.ambiguous("another operation keeps taking the same counters"))
    }

    async fn catch_up(&mut self, keysets: &Keysets) -> Result<(), Error> {
        let wallet = self.wallet.clone();
        let own = self.state.outputs.clone();
        let Some(first) = own.first() else { return Ok(()) };
        let steps = wallet.used_elsewhere(keysets, first, &own).await.map_err(|error| self.in_doubt(error))?;
        for (moves, counter) in steps {
            self.to(self.state.clone(), moves, vec![counter]).await?;
        }
        Ok(())
    }
}
