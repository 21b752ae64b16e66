//! Paying a request: a token as it asks for, brought to where it asks for (NUT-18).
//!
//! That the token has to be delivered is written down before it is made. It stays the wallet's to deliver again, or to take back, until
//! the receiver has it.

use hazel_protocol::{
    Amount, CurrencyUnit, MAX_MEMO_BYTES, MintUrl, PaymentPayload, PaymentRequest, PointBytes, ProofState, Token,
    Transport,
};

use super::terms::lock_terms;
use crate::errand::{DeliveryErrand, DeliveryState, Errand};
use crate::error::Error;
use crate::lock::LockTerms;
use crate::ports::{Courier, ErrandId, ErrandRecord, OperationId, RemoteError};
use crate::receive::PreparedReceive;
use crate::send::{PreparedSend, SendOptions, SentToken};
use crate::state::State;
use crate::wallet::Wallet;
use crate::wallets::Wallets;

/// What a payer can choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PaymentTerms {
    /// How much, in the minor unit, for a request that leaves it open.
    pub amount: Option<Amount>,
    /// The unit, for a request that leaves it open; sat if nothing is said.
    pub unit: Option<CurrencyUnit>,
    /// The mint to pay from; the first that will do if nothing is said.
    pub mint: Option<MintUrl>,
    /// A text for the receiver, at most [`MAX_MEMO_BYTES`] bytes.
    pub memo: Option<String>,
}

/// A payment that can be made, with what it costs. Its proofs are held until it is confirmed or cancelled.
#[derive(Debug)]
pub struct PreparedPayment {
    wallets: Wallets,
    wallet: Wallet,
    send: PreparedSend,
    request: PaymentRequest,
    memo: Option<String>,
    /// Which of the request's transports it goes by.
    transport: Option<usize>,
}

/// What became of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payment {
    /// The receiver has it.
    Delivered {
        /// The errand, which is done.
        errand: ErrandId,
        /// The operation.
        operation: OperationId,
    },
    /// The money is in a token that could not be brought to the receiver. [`Wallets::deliver_open`] tries again;
    /// [`Wallets::prepare_take_back`] takes it back.
    Undelivered {
        /// The errand.
        errand: ErrandId,
        /// The operation.
        operation: OperationId,
        /// What stood in the way.
        reason: RemoteError,
    },
    /// The request names no way, so the payload is to be handed over by whatever way the request came.
    ByHand {
        /// The token, for [`Wallet::token_of`] and [`Wallet::prepare_take_back`].
        sent: Box<SentToken>,
        /// The same money as the receiver expects it.
        payload: Box<PaymentPayload>,
    },
}

/// A payment that is to be delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    /// The errand.
    pub id: ErrandId,
    /// What is to be delivered, and where to.
    pub delivery: DeliveryErrand,
}

impl Wallets {
    /// Reads a request against what this wallet has: the way to its receiver, its lock, its mints. Chooses the mint and the proofs.
    ///
    /// ```no_run
    /// # async fn example(wallets: hazel_wallet::Wallets, web: &dyn hazel_wallet::ports::Courier) -> Result<(), Box<dyn std::error::Error>> {
    /// use hazel_wallet::{Payment, PaymentTerms};
    ///
    /// let request = "creqApWF0gaNhdGVub3N0cmFheKlucHJvZmlsZTFxeTI4d3VtbjhnaGo3dW45ZDNzaGp0bnl2OWtoMnVld2Q5aHN6OW1od2RlbjV0ZTB3ZmprY2N0ZTljdXJ4dmVuOWVlaHFjdHJ2NWhzenJ0aHdkZW41dGUwZGVoaHh0bnZkYWtxcWd5ZGFxeTdjdXJrNDM5eWtwdGt5c3Y3dWRoZGh1NjhzdWNtMjk1YWtxZWZkZWhrZjBkNDk1Y3d1bmw1YWeBgmFuYjE3YWloYjdhOTAxNzZhYQphdWNzYXRhbYF4Imh0dHBzOi8vbm9mZWVzLnRlc3RudXQuY2FzaHUuc3BhY2U=".parse()?;
    /// let prepared = wallets.prepare_payment(&request, &PaymentTerms::default(), web).await?;
    /// println!("{} for a fee of {}", prepared.amount(), prepared.fee());
    /// if let Payment::Undelivered { reason, .. } = prepared.confirm(web).await? {
    ///     println!("not delivered yet: {reason}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::RequestTerms`] for what this wallet cannot give; [`Error::InsufficientFunds`] and others of sending.
    pub async fn prepare_payment(
        &self,
        request: &PaymentRequest,
        terms: &PaymentTerms,
        courier: &dyn Courier,
    ) -> Result<PreparedPayment, Error> {
        let amount = amount_of(request, terms)?;
        let lock = request.lock.as_ref().map(lock_terms).transpose()?;
        let transport = transport_of(request, courier)?;
        if terms.memo.as_ref().is_some_and(|memo| memo.len() > MAX_MEMO_BYTES) {
            return Err(Error::MemoTooLong);
        }
        let mut stopped = None;
        for wallet in self.payers(request, terms, amount).await? {
            match wallet.prepare_send(amount, options(lock.clone(), terms)).await {
                Ok(send) => {
                    let (wallets, request, memo) = (self.clone(), request.clone(), terms.memo.clone());
                    return Ok(PreparedPayment { wallets, wallet, send, request, memo, transport });
                }
                // The first mint is the best one, so its reason is the one to tell.
                Err(error) => stopped = stopped.or(Some(error)),
            }
        }
        Err(stopped.unwrap_or(Error::RequestTerms("it takes money of none of the mints of this wallet")))
    }

    /// The wallets that may pay, those with enough first; among them the fullest first, as it most likely can.
    async fn payers(
        &self,
        request: &PaymentRequest,
        terms: &PaymentTerms,
        amount: Amount,
    ) -> Result<Vec<Wallet>, Error> {
        let unit = request.unit.as_ref().or(terms.unit.as_ref()).unwrap_or(&CurrencyUnit::Sat);
        if request.unit.is_some() && terms.unit.as_ref().is_some_and(|asked| asked != unit) {
            return Err(Error::RequestTerms("it is in another unit"));
        }
        let mut payers = Vec::new();
        for wallet in self.all().await? {
            let url = wallet.mint_url();
            let is_chosen = terms.mint.as_ref().is_none_or(|mint| mint == url);
            let is_taken = request.mints.is_empty() || request.mints.contains(url);
            if wallet.unit() == unit && is_chosen && is_taken {
                payers.push((wallet.balance().await?.available, wallet));
            }
        }
        payers.sort_by_key(|(available, _)| (*available < amount, std::cmp::Reverse(*available)));
        Ok(payers.into_iter().map(|(_, wallet)| wallet).collect())
    }

    /// The payments that are not delivered, oldest first.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub async fn open_deliveries(&self) -> Result<Vec<StoredDelivery>, Error> {
        let open = self.store().open_errands().await?;
        let deliveries = open.into_iter().filter_map(|record| match record.errand {
            Errand::Delivery(delivery) => Some(StoredDelivery { id: record.id, delivery }),
            _ => None,
        });
        Ok(deliveries.collect())
    }

    /// Tries again to deliver every payment that is not delivered, and says what became of each. One whose money was claimed meanwhile has
    /// arrived: it is not sent again.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Store`].
    pub async fn deliver_open(&self, courier: &dyn Courier) -> Result<Vec<Payment>, Error> {
        let mut payments = Vec::new();
        for StoredDelivery { id, .. } in self.open_deliveries().await? {
            let record = self.settle_delivery(id).await?;
            let Errand::Delivery(delivery) = &record.errand else { continue };
            if delivery.state == DeliveryState::Open && self.has_token(delivery).await? {
                payments.push(self.deliver(id, delivery, courier, true).await?);
            }
        }
        Ok(payments)
    }

    /// Takes back what nobody has claimed of a payment that was not delivered. It is not delivered any more from here on.
    ///
    /// # Errors
    /// [`Error::OperationUnknown`] when there is no such payment, or no token of it yet; others as of
    /// [`Wallet::prepare_take_back`].
    pub async fn prepare_take_back(&self, id: ErrandId) -> Result<PreparedReceive, Error> {
        let record = self.store().errand(id).await?.ok_or(Error::OperationUnknown)?;
        let delivery = of(&record.errand)?.clone();
        let wallet = self.wallet(&delivery.mint, &delivery.unit)?;
        if !self.has_token(&delivery).await? {
            return Err(Error::OperationUnknown);
        }
        // What cannot be taken back, locked to the receiver or claimed, stays to be delivered.
        let prepared = wallet.prepare_take_back(delivery.operation).await?;
        self.end_delivery(id, DeliveryState::TakenBack).await?;
        Ok(prepared)
    }

    async fn end_delivery(&self, id: ErrandId, state: DeliveryState) -> Result<ErrandRecord, Error> {
        self.change_errand(id, |errand| {
            let delivery = of(errand)?;
            let is_open = delivery.state == DeliveryState::Open;
            Ok(is_open.then(|| Errand::Delivery(DeliveryErrand { state, ..delivery.clone() })))
        })
        .await
    }

    /// Ends a delivery whose token was never made.
    pub(crate) async fn settle_delivery(&self, id: ErrandId) -> Result<ErrandRecord, Error> {
        let record = self.store().errand(id).await?.ok_or(Error::OperationUnknown)?;
        let row = self.store().operation(of(&record.errand)?.operation).await?;
        let never = match row {
            Some(row) => row.state.is_finished() && !matches!(row.state, State::SendCompleted(_)),
            None => true,
        };
        if never { self.end_delivery(id, DeliveryState::Failed).await } else { Ok(record) }
    }

    async fn has_token(&self, delivery: &DeliveryErrand) -> Result<bool, Error> {
        let row = self.store().operation(delivery.operation).await?;
        Ok(row.is_some_and(|row| matches!(row.state, State::SendCompleted(_))))
    }

    /// Brings a token to its receiver. When that may have been tried before, the mint is asked first whether it was claimed.
    async fn deliver(
        &self,
        id: ErrandId,
        delivery: &DeliveryErrand,
        courier: &dyn Courier,
        again: bool,
    ) -> Result<Payment, Error> {
        let operation = delivery.operation;
        let wallet = self.wallet(&delivery.mint, &delivery.unit)?;
        let sent = wallet.token_of(operation).await?;
        let payload = payload_of(&delivery.request, &sent)?;
        let answer = match delivery.transport() {
            _ if again && is_claimed(&wallet, operation).await => Ok(()),
            Some(transport) => courier.deliver(transport, &payload).await,
            None => Err(RemoteError::NotSent("the request names no such way".to_owned())),
        };
        match answer {
            Ok(()) => {
                self.end_delivery(id, DeliveryState::Delivered).await?;
                Ok(Payment::Delivered { errand: id, operation })
            }
            Err(reason) => {
                self.change_errand(id, |errand| {
                    let tries = of(errand)?.tries.saturating_add(1);
                    Ok(Some(Errand::Delivery(DeliveryErrand { tries, ..of(errand)?.clone() })))
                })
                .await?;
                Ok(Payment::Undelivered { errand: id, operation, reason })
            }
        }
    }
}

fn of(errand: &Errand) -> Result<&DeliveryErrand, Error> {
    match errand {
        Errand::Delivery(delivery) => Ok(delivery),
        _ => Err(Error::OperationUnknown),
    }
}

fn options(lock: Option<LockTerms>, terms: &PaymentTerms) -> SendOptions {
    SendOptions { memo: terms.memo.clone(), pay_receiver_fee: true, lock, offline: false }
}

fn amount_of(request: &PaymentRequest, terms: &PaymentTerms) -> Result<Amount, Error> {
    match (request.amount, terms.amount) {
        (Some(asked), Some(given)) if asked != given => Err(Error::RequestTerms("it asks for another amount")),
        (Some(amount), _) | (None, Some(amount)) if amount.is_zero() => Err(Error::ZeroAmount),
        (Some(amount), _) | (None, Some(amount)) => Ok(amount),
        (None, None) => Err(Error::RequestTerms("it leaves the amount open; say how much to pay")),
    }
}

/// The first way that somebody can go; none when the request names none.
fn transport_of(request: &PaymentRequest, courier: &dyn Courier) -> Result<Option<usize>, Error> {
    let known = request.transports.iter().position(|transport| courier.reaches(transport));
    if known.is_none() && !request.transports.is_empty() {
        return Err(Error::RequestTerms("this wallet can go none of the ways to its receiver"));
    }
    Ok(known)
}

fn payload_of(request: &PaymentRequest, sent: &SentToken) -> Result<PaymentPayload, Error> {
    match &sent.token {
        Token::V4(token) => Ok(PaymentPayload::of_token(request.id.clone(), token)),
        Token::V3(_) => Err(Error::Bug("a token of this wallet is not of version 4")),
    }
}

/// Whether all of a token was claimed. A mint that does not answer has not said so.
async fn is_claimed(wallet: &Wallet, operation: OperationId) -> bool {
    let Ok(proofs) = wallet.inner.store.sent_by(operation).await else { return false };
    let ys: Vec<PointBytes> = proofs.iter().map(|proof| proof.y).collect();
    let states = wallet.states(&ys).await;
    states.is_ok_and(|states| states.iter().all(|state| *state == ProofState::Spent))
}

impl PreparedPayment {
    /// The operation that makes the token.
    pub fn operation(&self) -> OperationId {
        self.send.operation()
    }

    /// What the receiver asked for, in the minor unit.
    pub fn amount(&self) -> Amount {
        self.send.amount()
    }

    /// What leaves the wallet, in the minor unit: the amount, the fee of the receiver's swap, and the fee of the own one.
    pub fn total(&self) -> Amount {
        // Selection found proofs worth this much.
        self.send.token_value().checked_add(self.send.fee()).unwrap_or(Amount::from_u64(u64::MAX))
    }

    /// What mints take, in the minor unit: for the receiver's swap, and for the own one.
    pub fn fee(&self) -> Amount {
        self.total().checked_sub(self.amount()).unwrap_or_default()
    }

    /// The mint that the money is of.
    pub fn mint_url(&self) -> &MintUrl {
        self.wallet.mint_url()
    }

    /// The unit.
    pub fn unit(&self) -> &CurrencyUnit {
        self.wallet.unit()
    }

    /// The way that it goes; none if it is to be handed over.
    pub fn transport(&self) -> Option<&Transport> {
        self.transport.and_then(|index| self.request.transports.get(index))
    }

    /// The memo for the receiver.
    pub fn memo(&self) -> Option<&str> {
        self.memo.as_deref()
    }

    /// Makes the token and delivers it.
    ///
    /// # Errors
    /// As of [`PreparedSend::confirm`]. After [`Error::Ambiguous`] [`Wallets::resume`] and [`Wallets::deliver_open`] go on with it.
    pub async fn confirm(self, courier: &dyn Courier) -> Result<Payment, Error> {
        let Self { wallets, wallet, send, request, transport, .. } = self;
        let Some(transport) = transport else {
            let sent = Box::new(send.confirm().await?);
            let payload = Box::new(payload_of(&request, &sent)?);
            return Ok(Payment::ByHand { sent, payload });
        };
        let operation = send.operation();
        let (mint, unit) = (wallet.mint_url().clone(), wallet.unit().clone());
        let state = DeliveryState::Open;
        let delivery = DeliveryErrand { operation, mint, unit, request, transport, tries: 0, state };
        let id = wallets.new_errand_id();
        if let Err(error) = wallets.keep_new(id, Errand::Delivery(delivery.clone())).await {
            send.cancel().await?;
            return Err(error);
        }
        if let Err(error) = send.confirm().await {
            wallets.settle_delivery(id).await?;
            return Err(error);
        }
        wallets.deliver(id, &delivery, courier, false).await
    }

    /// Gives up the payment; its proofs are free again.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn cancel(self) -> Result<(), Error> {
        self.send.cancel().await
    }
}
