//! Payment requests (NUT-18, NUT-26): asking to be paid, taking what comes, and paying what others ask for.
//!
//! A request of this wallet is an [`errand`](crate::errand) until it is closed. The id in it is that of the errand, so that a payment
//! finds it.

mod pay;
mod terms;

use hazel_protocol::{Amount, CurrencyUnit, MintUrl, PaymentPayload, PaymentRequest, RequestParts, Token, Transport};

pub use pay::{Payment, PaymentTerms, PreparedPayment, StoredDelivery};

use crate::errand::{Errand, Incoming, RequestErrand};
use crate::error::Error;
use crate::lock::LockTerms;
use crate::ports::{ErrandId, ErrandRecord, OperationId, Timestamp};
use crate::state::State;
use crate::wallets::Wallets;

/// How many payments of one request may be under way at once. A count.
const MAX_INCOMING: usize = 64;

/// What to ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestTerms {
    /// How much, in the minor unit; as the payer likes if nothing is said.
    pub amount: Option<Amount>,
    /// The unit; sat if nothing is said.
    pub unit: Option<CurrencyUnit>,
    /// The mints whose money is taken; all that this wallet knows if there are none.
    pub mints: Vec<MintUrl>,
    /// A text for the payer.
    pub description: Option<String>,
    /// Whether one payment is enough.
    pub single_use: bool,
    /// The lock that every proof must have (NUT-10).
    pub lock: Option<LockTerms>,
    /// How the payment gets here, the best way first; by hand if there is none.
    pub transports: Vec<Transport>,
}

/// A payment request of this wallet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequest {
    /// Its id here; that in the request is the same without hyphens.
    pub id: ErrandId,
    /// What was asked for; its two texts are what a payer reads.
    pub request: PaymentRequest,
    /// What came in, after fees, in the minor unit.
    pub received: Amount,
    /// In how many payments. A count.
    pub payments: u32,
    /// Whether no further payment is taken.
    pub closed: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A payment that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentReceived {
    /// The request that it was for, as it stands now.
    pub request: StoredRequest,
    /// The operation.
    pub operation: OperationId,
    /// The mint.
    pub mint: MintUrl,
    /// What arrived, in the minor unit.
    pub amount: Amount,
    /// What the mint took, in the minor unit.
    pub fee: Amount,
}

impl Wallets {
    /// Makes a payment request and remembers it until it is closed.
    ///
    /// ```no_run
    /// # async fn example(wallets: hazel_wallet::Wallets) -> Result<(), Box<dyn std::error::Error>> {
    /// use hazel_protocol::{Amount, Transport};
    /// use hazel_wallet::RequestTerms;
    ///
    /// let till = Transport::post("https://shop.example/paid".parse()?);
    /// let terms = RequestTerms {
    ///     amount: Some(Amount::from_u64(21)),
    ///     single_use: true,
    ///     transports: vec![till],
    ///     ..RequestTerms::default()
    /// };
    /// let stored = wallets.create_request(terms).await?;
    /// println!("{}", stored.request.to_cbor_text()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::ZeroAmount`]; [`Error::Request`] for what does not fit into a request; [`Error::Lock`]; [`Error::MintUnknown`] for a mint
    /// whose money this wallet would not take.
    pub async fn create_request(&self, terms: RequestTerms) -> Result<StoredRequest, Error> {
        if terms.amount.is_some_and(Amount::is_zero) {
            return Err(Error::ZeroAmount);
        }
        let unit = terms.unit.unwrap_or(CurrencyUnit::Sat);
        let mints = self.mints_for_request(&terms.mints, &unit).await?;
        let id = self.new_errand_id();
        let request = PaymentRequest::new(RequestParts {
            id: Some(id.to_string().replace('-', "")),
            amount: terms.amount,
            unit: Some(unit),
            single_use: Some(terms.single_use),
            mints,
            description: terms.description.filter(|text| !text.is_empty()),
            transports: terms.transports,
            lock: terms.lock.as_ref().map(terms::requested_lock).transpose()?,
        })?;
        // A request that cannot be written must not be kept.
        request.to_cbor_text()?;
        let errand =
            RequestErrand { request, incoming: Vec::new(), received: Amount::ZERO, payments: 0, closed: false };
        let record = self.keep_new(id, Errand::Request(errand)).await?;
        stored(&record)
    }

    async fn mints_for_request(&self, asked: &[MintUrl], unit: &CurrencyUnit) -> Result<Vec<MintUrl>, Error> {
        let all = self.all().await?;
        let known: Vec<MintUrl> =
            all.iter().filter(|wallet| wallet.unit() == unit).map(|wallet| wallet.mint_url().clone()).collect();
        match asked.iter().find(|mint| !known.contains(mint)) {
            Some(unknown) => Err(Error::MintUnknown(unknown.clone())),
            None if !asked.is_empty() => Ok(asked.to_vec()),
            None if known.is_empty() => Err(Error::RequestTerms("this wallet knows no mint of that unit")),
            None => Ok(known.into_iter().take(hazel_protocol::MAX_REQUEST_MINTS).collect()),
        }
    }

    /// The requests of this wallet that are open, oldest first.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub async fn open_requests(&self) -> Result<Vec<StoredRequest>, Error> {
        let open = self.store().open_errands().await?;
        open.iter().filter(|record| matches!(record.errand, Errand::Request(_))).map(stored).collect()
    }

    /// One request of this wallet, open or closed.
    ///
    /// # Errors
    /// [`Error::RequestUnknown`].
    pub async fn request(&self, id: ErrandId) -> Result<StoredRequest, Error> {
        stored(&self.store().errand(id).await?.ok_or(Error::RequestUnknown)?)
    }

    /// Takes no further payment of a request. What is under way still arrives.
    ///
    /// # Errors
    /// [`Error::RequestUnknown`].
    pub async fn close_request(&self, id: ErrandId) -> Result<StoredRequest, Error> {
        self.settle_request(id, None).await?;
        let change = |errand: &Errand| Ok(Some(Errand::Request(RequestErrand { closed: true, ..of(errand)?.clone() })));
        stored(&self.change_errand(id, change).await?)
    }

    /// Receives a payment: what came as the body of a POST, in a message, or by hand (NUT-18).
    ///
    /// Everything is checked before anything is taken: that an open request has this id, that mint, unit, amount and lock are as asked
    /// for, that a request for single use is paid once, and all that [`Wallet::prepare_receive`](crate::Wallet::prepare_receive) checks
    /// of a token.
    ///
    /// # Errors
    /// [`Error::RequestUnknown`], [`Error::PaymentRefused`]: the payer may have the money back, nothing of it was taken. Others as of
    /// receiving a token; after [`Error::Ambiguous`] [`resume`](Self::resume) goes on with it.
    pub async fn receive_payment(&self, payload: &PaymentPayload) -> Result<PaymentReceived, Error> {
        let id: ErrandId = payload.id.as_deref().and_then(|id| id.parse().ok()).ok_or(Error::RequestUnknown)?;
        let wanted = self.settle_request(id, None).await?;
        refuse_unless_open(&wanted)?;
        terms::fits(&wanted.request, payload)?;
        let wallet = self.wallet(&payload.mint, &payload.unit)?;
        let prepared = wallet.prepare_receive(&Token::V4(payload.to_token()?)).await?;
        if wanted.request.amount.is_some_and(|amount| prepared.value() < amount) {
            return Err(Error::PaymentRefused("it is less than the request asks for"));
        }
        if let Some(lock) = &wanted.request.lock {
            terms::is_locked_as(prepared.proofs(), lock)?;
        }
        let operation = wallet.new_operation_id();
        let incoming = Incoming { operation, session: self.store().session() };
        self.change_errand(id, |errand| Ok(Some(Errand::Request(with_incoming(of(errand)?, incoming)?)))).await?;
        let done = prepared.confirm_as(operation).await;
        let settled = self.settle_request(id, Some(operation)).await;
        let done = done?;
        let request = settled?;
        Ok(PaymentReceived { request, operation, mint: payload.mint.clone(), amount: done.amount, fee: done.fee })
    }

    /// Counts what came in of the payments that were being received. `ended` is an operation that nobody is going to begin any more.
    pub(crate) async fn settle_request(
        &self,
        id: ErrandId,
        ended: Option<OperationId>,
    ) -> Result<StoredRequest, Error> {
        let record = self.store().errand(id).await?.ok_or(Error::RequestUnknown)?;
        let mut decided = Vec::new();
        for incoming in &of(&record.errand)?.incoming {
            if let Some(amount) = self.what_came(incoming, ended).await? {
                decided.push((incoming.operation, amount));
            }
        }
        let change = |errand: &Errand| Ok(Some(Errand::Request(counted(of(errand)?, &decided)?)));
        stored(&self.change_errand(id, change).await?)
    }

    /// What a payment brought, zero if nothing; none as long as that is not decided.
    async fn what_came(&self, incoming: &Incoming, ended: Option<OperationId>) -> Result<Option<Amount>, Error> {
        let row = self.store().operation(incoming.operation).await?;
        Ok(match row.map(|row| row.state) {
            Some(State::ReceiveCompleted(end)) => Some(end.amount),
            Some(state) if state.is_finished() => Some(Amount::ZERO),
            Some(_) => None,
            None if ended == Some(incoming.operation) => Some(Amount::ZERO),
            None => self.store().session_gone(incoming.session).await?.then_some(Amount::ZERO),
        })
    }
}

fn of(errand: &Errand) -> Result<&RequestErrand, Error> {
    match errand {
        Errand::Request(request) => Ok(request),
        _ => Err(Error::RequestUnknown),
    }
}

fn stored(record: &ErrandRecord) -> Result<StoredRequest, Error> {
    let RequestErrand { request, received, payments, closed, .. } = of(&record.errand)?.clone();
    Ok(StoredRequest { id: record.id, request, received, payments, closed, created_at: record.created_at })
}

fn refuse_unless_open(stored: &StoredRequest) -> Result<(), Error> {
    match (stored.closed, stored.request.single_use, stored.payments) {
        (true, Some(true), 1..) => Err(Error::PaymentRefused("the request was for one payment, and is paid")),
        (true, _, _) => Err(Error::RequestUnknown),
        _ => Ok(()),
    }
}

/// The request with one more payment under way.
fn with_incoming(errand: &RequestErrand, incoming: Incoming) -> Result<RequestErrand, Error> {
    let mut next = errand.clone();
    if next.closed {
        return Err(Error::PaymentRefused("the request is closed"));
    }
    if next.request.single_use == Some(true) && !next.incoming.is_empty() {
        return Err(Error::PaymentRefused("the request is for one payment, and another is under way"));
    }
    if next.incoming.len() >= MAX_INCOMING {
        return Err(Error::PaymentRefused("too many payments of this request are under way; try again"));
    }
    next.incoming.push(incoming);
    Ok(next)
}

/// The request after some of its payments were decided.
fn counted(errand: &RequestErrand, decided: &[(OperationId, Amount)]) -> Result<RequestErrand, Error> {
    let mut next = errand.clone();
    for (operation, amount) in decided {
        let before = next.incoming.len();
        next.incoming.retain(|incoming| incoming.operation != *operation);
        if next.incoming.len() < before && !amount.is_zero() {
            next.received = next.received.checked_add(*amount)?;
            next.payments = next.payments.saturating_add(1);
        }
    }
    next.closed |= next.request.single_use == Some(true) && next.payments > 0;
    Ok(next)
}
