//! An invoice paid with ecash (NUT-05, NUT-08, NUT-23).
//!
//! The mint is given proofs for the invoice and the most that routing may cost, and blank outputs for what is left over. As
//! long as the mint does not say for good that the payment failed, the proofs stay held: nothing else frees them.

use hazel_protocol::{
    Amount, AmountlessOption, BlindSignature, BoundedVec, ErrorCode, MeltOptions, MeltQuoteBolt11Request,
    MeltQuoteBolt11Response, MeltQuoteState, MeltRequest, MppOption, PointBytes, Proof, ProofState, QuoteId,
};

use crate::error::{Error, Violation};
use crate::evidence::in_progress;
use crate::exchange::{
    Aside, Lost, MAX_OVERTAKEN, NOTHING_ASIDE, Outcome, for_the_mint, input_fee, take, until_not_overtaken,
};
use crate::invoice::{self, Msat};
use crate::keysets::Keysets;
use crate::outputs;
use crate::ports::{CounterStep, HistoryEntry, Moves, OperationId, OperationKind, ProofRecord, ProofStatus};
use crate::resume::ResumeOutcome;
use crate::saga::Saga;
use crate::select::{self, Fees};
use crate::send::{value_of, ys_of};
use crate::state::{
    Cancelled, Dispatch, MeltPaid, MeltPrepared, MeltQuote, MeltReplaced, MeltRequested, Purpose, Refused, State,
    SwapRequested,
};
use crate::verify;
use crate::waiting::{Awaited, Waiting};
use crate::wallet::{Answer, Wallet, was_overtaken};

/// A payment that can be made, with what it costs at most. Its proofs are held until it is confirmed or cancelled.
#[derive(Debug)]
pub struct PreparedMelt {
    saga: Saga<MeltPrepared>,
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeltOutcome {
    /// The receiver has the money.
    Paid(PaidMelt),
    /// The mint works on it. [`Wallet::resume`] asks again.
    Pending {
        /// The operation.
        operation: OperationId,
    },
}

/// A payment that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidMelt {
    /// The operation.
    pub operation: OperationId,
    /// What the receiver got, in the minor unit.
    pub amount: Amount,
    /// What mint and network took, in the minor unit.
    pub fee: Amount,
    /// What came back, in the minor unit.
    pub change: Amount,
    /// The proof of payment, as the mint wrote it; some payments have none.
    pub preimage: Option<String>,
}

impl Wallet {
    /// Asks what paying an invoice costs, and chooses proofs for it. `amount_msat` is for invoices that name no amount, in
    /// millisatoshi.
    ///
    /// # Errors
    /// [`Error::Invoice`] and its kind; [`Error::HostileMint`] when the quote is not for this invoice or its fee reserve is
    /// beyond the [`Policy`](crate::Policy); [`Error::InsufficientFunds`].
    pub async fn prepare_melt(&self, invoice: &str, amount_msat: Option<Msat>) -> Result<PreparedMelt, Error> {
        let invoice = invoice::trim(invoice);
        let named = invoice::amount_msat(invoice).map_err(|_| Error::Invoice)?;
        let (msat, options) = match (named, amount_msat) {
            (Some(_), Some(_)) => return Err(Error::InvoiceHasAmount),
            (None, None) => return Err(Error::InvoiceWithoutAmount),
            (Some(msat), None) => (msat, None),
            (None, Some(msat)) => (msat, Some(amountless(msat))),
        };
        self.prepare_quoted(invoice, msat, options).await
    }

    /// As [`prepare_melt`](Self::prepare_melt), for this many millisatoshi of an invoice over more; others pay the rest (NUT-15).
    pub(crate) async fn prepare_part(&self, invoice: &str, msat: Msat) -> Result<PreparedMelt, Error> {
        let mpp = Some(MppOption { amount: Amount::from_u64(msat) });
        self.prepare_quoted(invoice, msat, Some(MeltOptions { amountless: None, mpp })).await
    }

    /// Whether the mint says that it pays parts of invoices (NUT-06, NUT-15).
    pub(crate) async fn pays_parts(&self) -> Result<bool, Error> {
        let info = self.mint_record().await?.info;
        let methods = info.and_then(|info| info.nuts.nut15).map(|nut15| nut15.methods).unwrap_or_default();
        Ok(methods.iter().any(|method| method.method == "bolt11" && method.unit == self.inner.unit))
    }

    async fn prepare_quoted(
        &self,
        invoice: &str,
        msat: Msat,
        options: Option<MeltOptions>,
    ) -> Result<PreparedMelt, Error> {
        let keysets = self.refreshed_keysets().await?;
        let request = MeltQuoteBolt11Request { request: invoice.to_owned(), unit: self.inner.unit.clone(), options };
        let answer = self.inner.connector.melt_quote_bolt11(&request).await?;
        let quote = self.check_melt_quote(&request, msat, answer)?;
        self.refuse_second_order(&quote.quote).await?;
        let saga = until_not_overtaken(|| async {
            let (prepared, hold) = self.choose_for_melt(&keysets, &quote).await?;
            Ok(self.begin(prepared, Moves { hold, ..Moves::default() }, Vec::new()).await)
        })
        .await?;
        Ok(PreparedMelt { saga })
    }

    fn check_melt_quote(
        &self,
        asked: &MeltQuoteBolt11Request,
        msat: Msat,
        answer: MeltQuoteBolt11Response,
    ) -> Result<MeltQuote, Error> {
        if answer.unit != asked.unit {
            return Err(Violation::Quote("another unit").into());
        }
        if !answer.request.is_empty() && !answer.request.eq_ignore_ascii_case(&asked.request) {
            return Err(Violation::Quote("another invoice").into());
        }
        if invoice::in_unit(msat, &asked.unit).is_some_and(|amount| answer.amount > amount) {
            return Err(Violation::Quote("more than the invoice").into());
        }
        if answer.state != MeltQuoteState::Unpaid {
            return Err(Error::Refused { code: ErrorCode::InvoiceAlreadyPaid.code(), detail: String::new() });
        }
        let reserve = u128::from(answer.fee_reserve.to_u64());
        let share = u128::from(answer.amount.to_u64()) * u128::from(self.inner.policy.fee_reserve_permille);
        if answer.fee_reserve > self.inner.policy.fee_reserve_floor && reserve * 1000 > share {
            return Err(Violation::FeeReserve(answer.fee_reserve).into());
        }
        Ok(MeltQuote {
            quote: answer.quote,
            request: asked.request.clone(),
            amount: answer.amount,
            fee_reserve: answer.fee_reserve,
            expiry: answer.expiry,
        })
    }

    /// Waits until an ordered payment is decided, asking every few seconds and whenever the mint speaks up (NUT-17); it may have been ordered by another process, before a restart.
    /// `waiting` is called before each wait.
    ///
    /// # Errors
    /// [`Error::OperationUnknown`] when there is no such payment; [`Error::Refused`] when it was not made, its money is free again.
    pub async fn wait_melt(
        &self,
        operation: OperationId,
        waiting: &mut (dyn FnMut() + Send),
    ) -> Result<PaidMelt, Error> {
        let mut wait = None;
        loop {
            let row = self.inner.store.operation(operation).await?.ok_or(Error::OperationUnknown)?;
            match row.state.clone() {
                State::MeltPaid(MeltPaid { amount, fee, change, preimage, .. }) => {
                    return Ok(PaidMelt { operation, amount, fee, change, preimage });
                }
                State::Refused(Refused { kind: OperationKind::Melt, code }) => {
                    let code = code.unwrap_or(ErrorCode::LightningPaymentFailed.code());
                    return Err(Error::Refused { code, detail: String::new() });
                }
                State::MeltRequested(state) | State::MeltReplaced(MeltReplaced { requested: state, .. }) => {
                    let quote = state.prepared.quote.quote;
                    wait.get_or_insert_with(|| Waiting::new(self, Awaited::MeltQuote(quote)));
                }
                _ => return Err(Error::OperationUnknown),
            }
            match self.resume_one(row).await {
                Ok(Some(ResumeOutcome::Paid(paid))) => return Ok(paid),
                Ok(_) | Err(Error::Unreachable(_) | Error::Ambiguous { .. }) => {}
                Err(error) => return Err(error),
            }
            waiting();
            if let Some(wait) = &mut wait {
                wait.pause().await;
            }
        }
    }

    /// One order at a time on a quote: when the mint calls it paid, it must be clear with which proofs.
    async fn refuse_second_order(&self, quote: &QuoteId) -> Result<(), Error> {
        let unfinished = self.inner.store.unfinished(&self.inner.mint, &self.inner.unit).await?;
        let ordered = unfinished.iter().any(|row| match &row.state {
            State::MeltRequested(state) => state.prepared.quote.quote == *quote,
            State::MeltReplaced(state) => state.requested.prepared.quote.quote == *quote,
            _ => false,
        });
        if ordered {
            return Err(Error::Refused { code: ErrorCode::QuotePending.code(), detail: String::new() });
        }
        Ok(())
    }

    async fn choose_for_melt(
        &self,
        keysets: &Keysets,
        quote: &MeltQuote,
    ) -> Result<(MeltPrepared, Vec<PointBytes>), Error> {
        let (proofs, coins) = self.available(keysets).await?;
        let needed = quote.amount.checked_add(quote.fee_reserve)?;
        let exact = select::exact(&coins, needed.to_u64(), Fees::Included);
        let swap = exact.is_none() && !self.gives_change().await?;
        let fresh = if swap { Some(self.token_value(keysets, needed, true)?) } else { None };
        let chosen = match exact {
            Some(chosen) => chosen,
            None => self.cover(&coins, fresh.unwrap_or(needed))?,
        };
        let selected: Vec<Proof> = chosen.iter().map(|index| proofs[*index].proof.clone()).collect();
        let inputs = value_of(&proofs, &chosen)?;
        let mut input_fee = input_fee(keysets, &selected)?;
        if let Some(fresh) = fresh {
            input_fee = input_fee.checked_add(fresh.checked_sub(needed)?)?;
        }
        let prepared = MeltPrepared { quote: quote.clone(), inputs, input_fee, swap };
        Ok((prepared, ys_of(&proofs, &chosen)))
    }

    /// Whether the mint says that it returns what was paid too much (NUT-06, NUT-08). One that never said anything may.
    pub(crate) async fn gives_change(&self) -> Result<bool, Error> {
        let info = self.mint_record().await?.info;
        Ok(info.is_none_or(|info| info.nuts.nut08.is_some_and(|nut08| nut08.supported)))
    }

    /// Swaps some proofs so that the wallet has such as are worth `needed` to the unit, fee included.
    async fn swap_for(&self, keysets: &Keysets, inputs: &[Proof], needed: Amount) -> Result<(), Error> {
        let amount = self.token_value(keysets, needed, true)?;
        let aside = Aside { amount, purpose: Purpose::Keep, lock: None };
        let hold: Vec<PointBytes> = inputs.iter().map(|proof| PointBytes::from(&proof.y())).collect();
        let saga = until_not_overtaken(|| async {
            let (exchange, counters) = self.plan_exchange(keysets, inputs, aside).await?;
            let moves = Moves { hold: hold.clone(), ..Moves::default() };
            Ok(self.begin(SwapRequested { exchange }, moves, vec![counters]).await)
        })
        .await?;
        saga.exchange(true).await?.done().await.map(drop)
    }
}

fn amountless(msat: Msat) -> MeltOptions {
    MeltOptions { amountless: Some(AmountlessOption { amount_msat: Amount::from_u64(msat) }), mpp: None }
}

impl PreparedMelt {
    /// The operation.
    pub fn operation(&self) -> OperationId {
        self.saga.id
    }

    /// What the receiver gets, in the minor unit.
    pub fn amount(&self) -> Amount {
        self.saga.state.quote.amount
    }

    /// The most that routing may cost, in the minor unit. What is not used comes back.
    pub fn fee_reserve(&self) -> Amount {
        self.saga.state.quote.fee_reserve
    }

    /// What the mint takes for the proofs (NUT-02), and for swapping them first where that is needed. In the minor unit.
    pub fn input_fee(&self) -> Amount {
        self.saga.state.input_fee
    }

    /// What the payment costs at most, in the minor unit: amount, fee reserve and input fee.
    pub fn most(&self) -> Amount {
        // Selection found proofs worth this much.
        let fees = self.fee_reserve().checked_add(self.input_fee());
        fees.and_then(|fees| fees.checked_add(self.amount())).unwrap_or(Amount::from_u64(u64::MAX))
    }

    /// What is held until the payment is done, in the minor unit.
    pub fn held(&self) -> Amount {
        self.saga.state.inputs
    }

    /// Until when the quote holds, in seconds since 1970; none if the mint did not say.
    pub fn expiry(&self) -> Option<u64> {
        self.saga.state.quote.expiry
    }

    /// Pays. May take as long as the payment does.
    ///
    /// # Errors
    /// [`Error::Refused`], [`Error::Unreachable`] and [`Error::Stale`]: not paid, the money is free again.
    /// [`Error::Ambiguous`]: the outcome is open, and [`Wallet::resume`] goes on with it.
    pub async fn confirm(self) -> Result<MeltOutcome, Error> {
        let polls = self.saga.wallet.inner.policy.melt_polls;
        self.ordered(false, polls).await
    }

    /// Orders the payment and does not wait for it, where the mint can do that (NUT-05): [`MeltOutcome::Pending`] is the usual answer, and
    /// [`Wallet::resume`] or [`Wallet::wait_melt`] says later what became of it, in this process or another.
    ///
    /// # Errors
    /// As of [`confirm`](Self::confirm).
    pub async fn order(self) -> Result<MeltOutcome, Error> {
        self.ordered(true, 0).await
    }

    async fn ordered(self, prefer_async: bool, polls: u32) -> Result<MeltOutcome, Error> {
        let now = self.saga.wallet.now().to_unix();
        if self.expiry().is_some_and(|expiry| expiry != 0 && now >= expiry) {
            self.cancel().await?;
            return Err(Error::Stale);
        }
        let saga = if self.saga.state.swap { self.saga.swap_first().await? } else { self.saga };
        saga.request(prefer_async).await?.drive(true, polls).await
    }

    /// Gives up the payment; its proofs are free again.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn cancel(self) -> Result<(), Error> {
        self.saga.release(Cancelled { kind: OperationKind::Melt }).await
    }
}

impl MeltPrepared {
    /// The most that can come back: all but the invoice and the input fee.
    fn most_change(&self) -> Result<Amount, Error> {
        Ok(self.inputs.checked_sub(self.input_fee)?.checked_sub(self.quote.amount)?)
    }
}

impl Saga<MeltPrepared> {
    /// For a mint that gives no change: makes proofs that fit, and prepares the same payment with them.
    async fn swap_first(self) -> Result<Self, Error> {
        let wallet = self.wallet.clone();
        let quote = self.state.quote.clone();
        let proofs = wallet.inner.store.held_by(self.id).await?;
        let inputs: Vec<Proof> = proofs.into_iter().map(|proof| proof.proof).collect();
        self.release(Cancelled { kind: OperationKind::Melt }).await?;
        let keysets = wallet.refreshed_keysets().await?;
        let needed = quote.amount.checked_add(quote.fee_reserve)?;
        wallet.swap_for(&keysets, &inputs, needed).await?;
        until_not_overtaken(|| async {
            let (prepared, hold) = wallet.choose_for_melt(&keysets, &quote).await?;
            if prepared.swap {
                return Err(Error::Stale);
            }
            Ok(wallet.begin(prepared, Moves { hold, ..Moves::default() }, Vec::new()).await)
        })
        .await
    }

    /// Writes down the order to pay. When that fails the proofs are free again.
    async fn request(mut self, prefer_async: bool) -> Result<Saga<MeltRequested>, Error> {
        match self.try_request(prefer_async).await {
            Ok(requested) => Ok(self.with(requested)),
            Err(error) => {
                self.release(Cancelled { kind: OperationKind::Melt }).await?;
                Err(error)
            }
        }
    }

    async fn try_request(&mut self, prefer_async: bool) -> Result<MeltRequested, Error> {
        self.wallet.refuse_second_order(&self.state.quote.quote).await?;
        let keysets = self.wallet.known_keysets().await?;
        let held = self.wallet.inner.store.held_by(self.id).await?;
        let inputs: Vec<Proof> = held.into_iter().map(|proof| proof.proof).collect();
        for _ in 0..MAX_OVERTAKEN {
            let (next, counters) = self.plan(&keysets, &inputs, prefer_async).await?;
            match self.advance(&next, Moves::default(), vec![counters]).await {
                Ok(()) => return Ok(next),
                Err(error) if was_overtaken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Stale)
    }

    async fn plan(
        &self,
        keysets: &Keysets,
        inputs: &[Proof],
        prefer_async: bool,
    ) -> Result<(MeltRequested, CounterStep), Error> {
        let prepared = self.state.clone();
        let keyset = self.wallet.keyset_for_outputs(keysets)?;
        let from = self.wallet.next_counter(keyset.id).await?;
        let change = if self.wallet.gives_change().await? { prepared.most_change()? } else { Amount::ZERO };
        let blanks = outputs::plan_blanks(keyset, from, change);
        let outputs = if blanks.is_empty() { None } else { Some(self.wallet.messages(&blanks, None)?) };
        let request =
            MeltRequest { quote: prepared.quote.quote.clone(), inputs: for_the_mint(inputs)?, outputs, prefer_async };
        let counters = take(keyset, from, &blanks);
        Ok((MeltRequested { prepared, request, blanks, dispatch: Dispatch::FIRST }, counters))
    }
}

/// The signatures on blank outputs, if the mint sent them.
type Change = Option<BoundedVec<BlindSignature, { hazel_protocol::MAX_OUTPUTS }>>;

/// What an answer about a payment leads to.
enum Next {
    /// The answer to this very order: it was carried out.
    Pay(Change, Option<String>),
    /// The mint calls the quote paid. Whether with these proofs, they will tell.
    SaidPaid(Change, Option<String>),
    Poll,
    SendAgain,
    Refused {
        code: Option<u16>,
        detail: String,
    },
    NeverLeft(String),
    Stop(Error),
}

impl Saga<MeltRequested> {
    /// Drives a payment to its end, or to where only waiting helps. `fresh` says that the first copy, which is already counted,
    /// has not left yet. A payment under way is asked about `most_polls` times.
    pub(crate) async fn drive(mut self, fresh: bool, most_polls: u32) -> Result<MeltOutcome, Error> {
        let mut copies = 0;
        let mut polls = 0;
        let mut next = if fresh { self.send().await? } else { self.poll().await? };
        loop {
            next = match next {
                Next::Pay(change, preimage) => return self.settle_paid(change, preimage).await.map(MeltOutcome::Paid),
                Next::SaidPaid(change, preimage) => return self.said_paid(change, preimage).await,
                Next::Stop(error) => return Err(error),
                Next::Refused { code, detail } => return self.refused(code, detail).await,
                Next::NeverLeft(reason) => {
                    self.release(Refused { kind: OperationKind::Melt, code: None }).await?;
                    return Err(Error::Unreachable(reason));
                }
                Next::Poll if polls >= most_polls => {
                    return Ok(MeltOutcome::Pending { operation: self.id });
                }
                Next::Poll => {
                    polls += 1;
                    self.wallet.sleep(u64::from(polls.min(5))).await;
                    self.poll().await?
                }
                Next::SendAgain if copies >= self.wallet.inner.policy.copies_per_call => {
                    return Err(self.ambiguous("the mint does not say what became of the payment"));
                }
                Next::SendAgain => {
                    copies += 1;
                    let again = MeltRequested { dispatch: self.state.dispatch.again(), ..self.state.clone() };
                    self.to(again, Moves::default(), Vec::new()).await?;
                    self.send().await?
                }
            };
        }
    }

    /// Sends the order to pay.
    async fn send(&mut self) -> Result<Next, Error> {
        Ok(match Answer::from(self.wallet.inner.connector.melt(&self.state.request).await) {
            Answer::Final(answer) => match self.read(answer).await? {
                // An answer to this very order: it was not carried out.
                Next::SendAgain => {
                    self.note_refusal(ErrorCode::LightningPaymentFailed.code(), "the payment failed".to_owned()).await?
                }
                next => next,
            },
            Answer::Refused { code, detail } => self.note_refusal(code, detail).await?,
            Answer::NotSent(reason) if self.state.dispatch.copies == 1 => Next::NeverLeft(reason),
            Answer::NotSent(reason) => Next::Stop(self.ambiguous(reason)),
            Answer::Ambiguous(_) => Next::Poll,
        })
    }

    async fn note_refusal(&mut self, code: u16, detail: String) -> Result<Next, Error> {
        let dispatch = Dispatch { refused: Some(code), ..self.state.dispatch };
        self.to(MeltRequested { dispatch, ..self.state.clone() }, Moves::default(), Vec::new()).await?;
        Ok(Next::Refused { code: Some(code), detail })
    }

    /// Asks what became of the payment.
    async fn poll(&mut self) -> Result<Next, Error> {
        let quote = &self.state.prepared.quote.quote;
        match Answer::from(self.wallet.inner.connector.melt_quote_status(quote).await) {
            Answer::Final(answer) => Ok(match self.read(answer).await? {
                Next::Pay(change, preimage) => Next::SaidPaid(change, preimage),
                next => next,
            }),
            // The mint knows nothing of the quote any more; the inputs will tell.
            Answer::Refused { code, detail } => Ok(Next::Refused { code: Some(code), detail }),
            Answer::Ambiguous(reason) | Answer::NotSent(reason) => Ok(Next::Stop(self.ambiguous(reason))),
        }
    }

    async fn read(&mut self, answer: MeltQuoteBolt11Response) -> Result<Next, Error> {
        if answer.quote != self.state.prepared.quote.quote {
            return Err(Error::from(Violation::Quote("another quote")).of(self.id));
        }
        Ok(match answer.state {
            MeltQuoteState::Paid => Next::Pay(answer.change, answer.payment_preimage),
            MeltQuoteState::Unpaid => Next::SendAgain,
            MeltQuoteState::Pending => {
                if !self.state.dispatch.pending {
                    let dispatch = Dispatch { pending: true, ..self.state.dispatch };
                    self.to(MeltRequested { dispatch, ..self.state.clone() }, Moves::default(), Vec::new()).await?;
                }
                Next::Poll
            }
        })
    }

    async fn settle_paid(self, change: Change, preimage: Option<String>) -> Result<PaidMelt, Error> {
        let proofs = self.claim_change(change).await.map_err(|error| match error {
            Error::Unreachable(reason) | Error::Refused { detail: reason, .. } => {
                self.ambiguous(format!("the payment is made, its change is not here yet: {reason}"))
            }
            other => other.of(self.id),
        })?;
        self.settle_change(proofs, preimage).await
    }

    async fn settle_change(self, proofs: Vec<ProofRecord>, preimage: Option<String>) -> Result<PaidMelt, Error> {
        let MeltRequested { prepared, .. } = &self.state;
        let (quote, inputs) = (prepared.quote.clone(), prepared.inputs);
        let change = Amount::checked_sum(proofs.iter().map(|proof| proof.proof.amount))?;
        let fee = inputs.checked_sub(quote.amount)?.checked_sub(change)?;
        let paid = PaidMelt { operation: self.id, amount: quote.amount, fee, change, preimage };
        let history = HistoryEntry {
            operation: self.id,
            mint: self.wallet.inner.mint.clone(),
            unit: self.wallet.inner.unit.clone(),
            kind: OperationKind::Melt,
            amount: quote.amount,
            fee,
            at: self.wallet.now(),
            memo: None,
            invoice: Some(quote.request),
            preimage: paid.preimage.clone(),
        };
        let end = MeltPaid { quote: quote.quote, amount: quote.amount, fee, change, preimage: paid.preimage.clone() };
        let moves = Moves { spend: self.held().await?, add: proofs, ..Moves::default() };
        self.settle(end, moves, Some(history)).await?;
        Ok(paid)
    }

    /// The proofs that the blank outputs became: from the answer, or asked for when it has none.
    async fn claim_change(&self, change: Change) -> Result<Vec<ProofRecord>, Error> {
        let wallet = &self.wallet;
        let MeltRequested { blanks, prepared, .. } = &self.state;
        let at_most = prepared.most_change()?;
        let keysets = wallet.known_keysets().await?;
        let found: Vec<Option<Proof>> = match change {
            Some(signatures) if !signatures.is_empty() => {
                let derived = wallet.derive(blanks, None)?;
                let dleq = wallet.inner.policy.mint_dleq;
                let proofs = verify::change(&keysets, &derived, &signatures, at_most, dleq)?;
                proofs.into_iter().map(Some).collect()
            }
            _ if blanks.is_empty() || !self.can_restore().await? => Vec::new(),
            _ => wallet.restore_outputs(&keysets, blanks, None).await?,
        };
        let pairs = blanks.iter().zip(found).filter_map(|(blank, proof)| Some((blank, proof?)));
        let proofs: Vec<(_, Proof)> = pairs.collect();
        let all: Vec<Proof> = proofs.iter().map(|(_, proof)| proof.clone()).collect();
        verify::within(&all, at_most)?;
        let records = proofs.into_iter().map(|(blank, proof)| wallet.new_proof(proof, blank, ProofStatus::Available));
        Ok(records.collect())
    }

    /// Whether asking for signatures again makes sense: a mint that says it cannot (NUT-06, NUT-09) is not asked.
    async fn can_restore(&self) -> Result<bool, Error> {
        let info = self.wallet.mint_record().await?.info;
        Ok(info.and_then(|info| info.nuts.nut09).is_none_or(|nut09| nut09.supported))
    }

    /// The mint refused the order. Whether it was final is for the quote and the inputs to say.
    async fn refused(mut self, code: Option<u16>, detail: String) -> Result<MeltOutcome, Error> {
        match self.poll().await? {
            Next::Pay(change, preimage) | Next::SaidPaid(change, preimage) => self.said_paid(change, preimage).await,
            Next::Poll => Ok(MeltOutcome::Pending { operation: self.id }),
            Next::Stop(error) => Err(error),
            Next::SendAgain | Next::Refused { .. } | Next::NeverLeft(_) => {
                let states = self.input_states().await?;
                self.by_inputs(states, code, detail).await
            }
        }
    }

    /// The mint calls the quote paid. When the inputs are not spent, somebody else paid it.
    async fn said_paid(self, change: Change, preimage: Option<String>) -> Result<MeltOutcome, Error> {
        let states = self.input_states().await?;
        if states.iter().all(|(_, state)| *state == ProofState::Spent) {
            return self.settle_paid(change, preimage).await.map(MeltOutcome::Paid);
        }
        self.by_inputs(states, Some(ErrorCode::InvoiceAlreadyPaid.code()), String::new()).await
    }

    async fn input_states(&self) -> Result<Vec<(PointBytes, ProofState)>, Error> {
        let ys = self.held().await?;
        let states = self.wallet.states(&ys).await.map_err(|error| self.in_doubt(error))?;
        Ok(ys.into_iter().zip(states).collect())
    }

    /// Decides about an order that was not carried out as far as the quote tells.
    async fn by_inputs(
        self,
        states: Vec<(PointBytes, ProofState)>,
        code: Option<u16>,
        detail: String,
    ) -> Result<MeltOutcome, Error> {
        let spent = states.iter().filter(|entry| entry.1 == ProofState::Spent);
        let spent: Vec<PointBytes> = spent.map(|(y, _)| *y).collect();
        if !spent.is_empty() {
            return self.inputs_spent(spent, code).await;
        }
        if states.iter().any(|entry| entry.1 == ProofState::Pending) || in_progress(code) {
            return Ok(MeltOutcome::Pending { operation: self.id });
        }
        if self.state.dispatch.finally_refused() {
            let code = code.unwrap_or_default();
            return Err(self.refuse(OperationKind::Melt, code, detail).await?);
        }
        self.replace(code, detail).await
    }

    /// Proofs of the payment are spent: by the payment itself, which came through since the mint was last asked or whose quote
    /// the mint has forgotten, or else by somebody else.
    async fn inputs_spent(self, spent: Vec<PointBytes>, code: Option<u16>) -> Result<MeltOutcome, Error> {
        let all = self.held().await?.iter().all(|y| spent.contains(y));
        if let Some(answer) = self.ask(&self.state.prepared.quote.quote).await? {
            match answer.state {
                MeltQuoteState::Paid if all => {
                    return self.settle_paid(answer.change, answer.payment_preimage).await.map(MeltOutcome::Paid);
                }
                MeltQuoteState::Pending => return Ok(MeltOutcome::Pending { operation: self.id }),
                MeltQuoteState::Paid | MeltQuoteState::Unpaid => {}
            }
        }
        if all {
            let change = match self.claim_change(None).await {
                // Worth more than was left over: another device with the same seed used these outputs.
                Err(Error::HostileMint { violation: Violation::TooMuchChange, .. }) => Vec::new(),
                answer => answer.map_err(|error| self.in_doubt(error))?,
            };
            if !change.is_empty() {
                return self.settle_change(change, None).await.map(MeltOutcome::Paid);
            }
        }
        Err(self.give_up(spent, code).await?)
    }

    /// Ends a payment whose proofs somebody else spent.
    async fn give_up(self, lost: Vec<PointBytes>, code: Option<u16>) -> Result<Error, Error> {
        let held = self.wallet.inner.store.held_by(self.id).await?;
        let (spent, free): (Vec<_>, Vec<_>) = held.into_iter().partition(|proof| lost.contains(&proof.y));
        let amount = Amount::checked_sum(spent.iter().map(|proof| proof.proof.amount))?;
        let ys = |proofs: Vec<ProofRecord>| proofs.into_iter().map(|proof| proof.y).collect();
        let moves = Moves { spend: ys(spent), release: ys(free), ..Moves::default() };
        self.settle(Refused { kind: OperationKind::Melt, code }, moves, None).await?;
        Ok(Error::SpentElsewhere(amount))
    }

    /// The order was refused, but a copy may still reach the mint: makes it harmless by swapping its proofs.
    async fn replace(mut self, code: Option<u16>, detail: String) -> Result<MeltOutcome, Error> {
        let keysets = self.wallet.refreshed_keysets().await.map_err(|error| self.in_doubt(error))?;
        let held = self.wallet.inner.store.held_by(self.id).await?;
        let inputs: Vec<Proof> = held.into_iter().map(|proof| proof.proof).collect();
        for _ in 0..MAX_OVERTAKEN {
            let planned = self.wallet.plan_exchange(&keysets, &inputs, NOTHING_ASIDE).await;
            let (exchange, counters) = planned.map_err(|error| self.in_doubt(error))?;
            let next = MeltReplaced { requested: self.state.clone(), exchange };
            match self.advance(&next, Moves::default(), vec![counters]).await {
                Ok(()) => return self.with(next).drive(true, code, detail).await,
                Err(error) if was_overtaken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.ambiguous(detail))
    }
}

impl Saga<MeltReplaced> {
    /// Drives the swap that makes an old order to pay harmless. It ends in a refusal, with the money free again, unless the
    /// order came through first: then the mint refuses the swap, because its inputs are spent.
    pub(crate) async fn drive(self, fresh: bool, code: Option<u16>, detail: String) -> Result<MeltOutcome, Error> {
        // A mint that knows nothing of the quote any more does not pay it.
        let payment = self.ask(&self.state.requested.prepared.quote.quote).await?;
        if payment.is_some_and(|payment| payment.state == MeltQuoteState::Pending) {
            return Ok(MeltOutcome::Pending { operation: self.id });
        }
        match self.exchange(fresh).await? {
            Outcome::Done(_) => {
                let code = code.unwrap_or(ErrorCode::LightningPaymentFailed.code());
                Err(Error::Refused { code, detail })
            }
            Outcome::Lost(Lost { saga, spent, code, .. }) => {
                let requested = saga.state.requested.clone();
                saga.with(requested).inputs_spent(spent, Some(code)).await
            }
        }
    }
}

impl<S> Saga<S> {
    /// What the mint says about a quote; none when it knows nothing of it.
    async fn ask(&self, quote: &QuoteId) -> Result<Option<MeltQuoteBolt11Response>, Error> {
        match Answer::from(self.wallet.inner.connector.melt_quote_status(quote).await) {
            Answer::Final(answer) if answer.quote == *quote => Ok(Some(answer)),
            Answer::Final(_) => Err(Error::from(Violation::Quote("another quote")).of(self.id)),
            Answer::Refused { .. } => Ok(None),
            Answer::Ambiguous(reason) | Answer::NotSent(reason) => Err(self.ambiguous(reason)),
        }
    }
}
