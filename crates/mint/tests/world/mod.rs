//! A mint in a bottle: the real engine and signer on the in-memory ledger, with payments that a test scripts.
#![expect(clippy::disallowed_methods, reason = "this is the world that the engine is handed")]
#![allow(
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "each test binary uses its own part of the world"
)]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bitcoin::hashes::{Hash, sha256};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hazel_mint::ports::*;
use hazel_mint::store::memory::MemoryStore;
use hazel_mint::{Backends, LocalSigner, Mint, MintConfig, Ports, Rate, UnitConfig};
use hazel_protocol::conditions::Lock;
use hazel_protocol::crypto::{self, Curve};
use hazel_protocol::melt::{MeltQuoteBolt11Request, MeltQuoteBolt11Response, MeltRequest};
use hazel_protocol::mint::{MintQuoteBolt11Request, MintRequest};
use hazel_protocol::swap::SwapRequest;
use hazel_protocol::*;
use zeroize::Zeroizing;

/// Real tasks and time; randomness that differs with each draw.
#[derive(Default)]
pub struct TokioWorld {
    drawn: AtomicU64,
    /// Added to the clock.
    pub ahead: AtomicU64,
}

impl Environment for TokioWorld {
    fn now(&self) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        Timestamp::from_unix(now + self.ahead.load(Ordering::SeqCst))
    }
    fn fill_random(&self, bytes: &mut [u8]) {
        let n = self.drawn.fetch_add(1, Ordering::SeqCst);
        let hash = sha256::Hash::hash(&n.to_le_bytes()).to_byte_array();
        for (byte, drawn) in bytes.iter_mut().zip(hash.iter().cycle()) {
            *byte = *drawn;
        }
    }
    fn spawn(&self, task: BoxFuture<'static, ()>) {
        tokio::spawn(task);
    }
    fn sleep(&self, delay: Duration) -> BoxFuture<'static, ()> {
        tokio::time::sleep(delay).boxed()
    }
    fn compute(&self, job: Box<dyn FnOnce() + Send>) {
        tokio::task::spawn_blocking(job);
    }
}

/// Rates that a test sets while the mint runs. A unit that is served and has no rate is one whose source is away.
#[derive(Default)]
pub struct MovingRates(Mutex<BTreeMap<CurrencyUnit, Rate>>);

impl MovingRates {
    pub fn set(&self, unit: CurrencyUnit, rate: &str) {
        let rate = rate.parse().expect("a rate");
        self.0.lock().expect("no test panics holding it").insert(unit, rate);
    }
    pub fn lose(&self) {
        self.0.lock().expect("no test panics holding it").clear();
    }
}

#[async_trait]
impl Rates for MovingRates {
    fn serves(&self, unit: &CurrencyUnit) -> bool {
        !matches!(unit, CurrencyUnit::Eur)
    }
    async fn rate(&self, unit: &CurrencyUnit) -> Result<Rate, RatesError> {
        let rates = self.0.lock().expect("no test panics holding it");
        rates.get(unit).copied().ok_or_else(|| RatesError::Unavailable("it was lost".to_owned()))
    }
}

/// What the scripted backend answers.
#[derive(Clone)]
pub enum Script {
    /// Pays, and uses this much of the fee.
    Pay { fee_msat: u64 },
    /// `pay` and `status` say this.
    Say(PaymentStatus),
    /// `pay` fails with an error, `status` says this.
    Break(PaymentStatus),
    /// `pay` refuses: nothing was sent.
    Refuse,
    /// Says paid with a preimage that does not fit.
    Lie,
}

/// A Lightning node that does as it is told. An invoice reads `inv:<hash>:<msat>`.
pub struct ScriptedPayments {
    pub script: Mutex<Script>,
    pub calls: Mutex<Vec<Payment>>,
    pub status_calls: AtomicU64,
    pub settled: Mutex<Vec<Settlement>>,
    pub fee_reserve_msat: AtomicU64,
    /// An invoice is paid, and the stream tells of it, before it is handed out.
    pub early: AtomicBool,
    /// The node lists every call among its payments, as if it had been asked while each was on its way.
    pub lists: AtomicBool,
    /// Questions about the payments of an invoice.
    pub invoice_calls: AtomicU64,
    /// How far the stream was read.
    read_to: AtomicU64,
    invoices: AtomicU64,
    preimages: Mutex<BTreeMap<[u8; 32], [u8; 32]>>,
}

impl Default for ScriptedPayments {
    fn default() -> Self {
        Self {
            script: Mutex::new(Script::Pay { fee_msat: 0 }),
            calls: Mutex::default(),
            status_calls: AtomicU64::new(0),
            settled: Mutex::default(),
            fee_reserve_msat: AtomicU64::new(0),
            early: AtomicBool::new(false),
            lists: AtomicBool::new(false),
            invoice_calls: AtomicU64::new(0),
            read_to: AtomicU64::new(0),
            invoices: AtomicU64::new(0),
            preimages: Mutex::default(),
        }
    }
}

impl ScriptedPayments {
    /// An invoice of nobody this mint knows.
    pub fn foreign_invoice(&self, msat: u64) -> String {
        let hash = self.new_hash();
        format!("inv:{}:{msat}", PointHex(hash))
    }

    fn new_hash(&self) -> [u8; 32] {
        let n = self.invoices.fetch_add(1, Ordering::SeqCst);
        let preimage = sha256::Hash::hash(&n.to_be_bytes()).to_byte_array();
        let hash = sha256::Hash::hash(&preimage).to_byte_array();
        self.preimages.lock().expect("no test panics holding it").insert(hash, preimage);
        hash
    }

    /// Money arrives.
    pub fn settle(&self, payment_hash: [u8; 32], amount_msat: u64) {
        let mut settled = self.settled.lock().expect("no test panics holding it");
        let cursor = u64::try_from(settled.len()).expect("few") + 1;
        settled.push(Settlement { payment_hash, credit: format!("s{cursor}"), amount_msat, cursor });
    }

    fn answer(&self, payment: &Payment) -> PaymentStatus {
        let (hash, _) = read_invoice(&payment.request).expect("routed before");
        match self.script.lock().expect("no test panics holding it").clone() {
            Script::Pay { fee_msat } => PaymentStatus::Paid(PaidEvidence {
                proof: PaymentProof::Preimage(self.preimages.lock().expect("no test panics holding it")[&hash]),
                total_msat: payment.amount_msat + fee_msat,
            }),
            Script::Say(status) | Script::Break(status) => status,
            Script::Refuse => PaymentStatus::NeverHeard,
            Script::Lie => PaymentStatus::Paid(PaidEvidence {
                proof: PaymentProof::Preimage([0; 32]),
                total_msat: payment.amount_msat,
            }),
        }
    }
}

struct PointHex([u8; 32]);
impl std::fmt::Display for PointHex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Payment hash and amount of a scripted invoice.
pub fn read_invoice(text: &str) -> Option<([u8; 32], u64)> {
    let mut parts = text.split(':').skip(1);
    let hash: sha256::Hash = parts.next()?.parse().ok()?;
    // Parsed as a hash in display order, which for SHA-256 is the byte order.
    Some((hash.to_byte_array(), parts.next()?.parse().ok()?))
}

#[async_trait]
impl Payments for ScriptedPayments {
    fn capabilities(&self) -> Capabilities {
        Capabilities { description: true, ..Capabilities::default() }
    }
    async fn create_invoice(&self, invoice: NewInvoice) -> Result<Invoice, PaymentsError> {
        let payment_hash = self.new_hash();
        let request = format!("inv:{}:{}", PointHex(payment_hash), invoice.amount_msat);
        if self.early.load(Ordering::SeqCst) {
            self.settle(payment_hash, invoice.amount_msat);
            while self.read_to.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(Invoice { request, payment_hash, expires_at: Timestamp::from_unix(u64::from(u32::MAX)) })
    }
    async fn cancel_invoice(&self, _: &[u8; 32]) -> Result<(), PaymentsError> {
        Ok(())
    }
    async fn settlements(&self, cursor: u64) -> Result<Vec<Settlement>, PaymentsError> {
        self.read_to.fetch_max(cursor, Ordering::SeqCst);
        for _ in 0..20 {
            let settled = self.settled.lock().expect("no test panics holding it").clone();
            let new: Vec<_> = settled.into_iter().filter(|s| s.cursor > cursor).collect();
            if !new.is_empty() {
                return Ok(new);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(Vec::new())
    }
    async fn invoice_settlements(&self, hash: &[u8; 32]) -> Result<Vec<Settlement>, PaymentsError> {
        self.invoice_calls.fetch_add(1, Ordering::SeqCst);
        let settled = self.settled.lock().expect("no test panics holding it").clone();
        Ok(settled.into_iter().filter(|s| s.payment_hash == *hash).collect())
    }
    async fn route(&self, request: &str, portion: Portion) -> Result<Route, PaymentsError> {
        let (payment_hash, asked) = read_invoice(request)
            .ok_or_else(|| PaymentsError::Refused(Refusal::NotAnInvoice, "not an invoice".to_owned()))?;
        let amount_msat = match portion {
            Portion::Part(part) => part,
            Portion::Whole | Portion::Chosen(_) => asked,
        };
        let expires_at = Timestamp::from_unix(u64::from(u32::MAX));
        let fee_reserve_msat = self.fee_reserve_msat.load(Ordering::SeqCst);
        Ok(Route { payment_hash, expires_at, amount_msat, fee_reserve_msat })
    }
    async fn pay(&self, payment: Payment) -> Result<PaymentStatus, PaymentsError> {
        let answer = self.answer(&payment);
        self.calls.lock().expect("no test panics holding it").push(payment);
        match &*self.script.lock().expect("no test panics holding it") {
            Script::Refuse => Err(PaymentsError::Refused(Refusal::NoRoute, "no route".to_owned())),
            Script::Break(_) => Err(PaymentsError::Unavailable("broken by the test".to_owned())),
            _ => Ok(answer),
        }
    }
    async fn made(&self) -> Result<Vec<OperationId>, PaymentsError> {
        let calls = self.calls.lock().expect("no test panics holding it");
        let listed = calls.iter().rev().filter(|_| self.lists.load(Ordering::SeqCst));
        Ok(listed.map(|payment| payment.id).collect())
    }
    async fn status(&self, id: OperationId) -> Result<PaymentStatus, PaymentsError> {
        self.status_calls.fetch_add(1, Ordering::SeqCst);
        let call = self.calls.lock().expect("no test panics holding it").iter().find(|p| p.id == id).cloned();
        Ok(call.map_or(PaymentStatus::NeverHeard, |payment| self.answer(&payment)))
    }
}

/// Which changes a [`FaultyStore`] refuses, and how often.
pub type Fault = Box<dyn FnMut(&Change) -> Option<ApplyError> + Send>;

/// The reference ledger, with faults a test plants before its funnel.
pub struct FaultyStore {
    pub inner: MemoryStore,
    pub fault: Mutex<Option<Fault>>,
}

#[async_trait]
impl Store for FaultyStore {
    async fn apply(&self, change: Change) -> Result<Applied, ApplyError> {
        let fault = self.fault.lock().expect("no test panics holding it").as_mut().and_then(|fault| fault(&change));
        match fault {
            Some(error) => Err(error),
            None => self.inner.apply(change).await,
        }
    }
    fn observe(&self, observer: Arc<dyn Observer>) {
        self.inner.observe(observer);
    }
    async fn inputs(&self, ys: &[PointBytes]) -> Result<Vec<Option<KnownInput>>, ReadError> {
        self.inner.inputs(ys).await
    }
    async fn outputs(&self, bs: &[PointBytes]) -> Result<Vec<Option<KnownOutput>>, ReadError> {
        self.inner.outputs(bs).await
    }
    async fn contents(&self, operation: OperationId) -> Result<Contents, ReadError> {
        self.inner.contents(operation).await
    }
    async fn operation(&self, operation: OperationId) -> Result<Option<OperationRecord>, ReadError> {
        self.inner.operation(operation).await
    }
    async fn unfinished(&self, after: Option<OperationId>, limit: u32) -> Result<Vec<OperationRecord>, ReadError> {
        self.inner.unfinished(after, limit).await
    }
    async fn mint_quotes(&self, ids: &[QuoteId]) -> Result<Vec<Option<MintQuote>>, ReadError> {
        self.inner.mint_quotes(ids).await
    }
    async fn mint_quote_by_hash(&self, hash: &[u8; 32]) -> Result<Option<MintQuote>, ReadError> {
        self.inner.mint_quote_by_hash(hash).await
    }
    async fn unpaid_mint_quotes(&self, after: Timestamp, limit: u32) -> Result<Vec<MintQuote>, ReadError> {
        self.inner.unpaid_mint_quotes(after, limit).await
    }
    async fn melt_quote(&self, id: &QuoteId) -> Result<Option<MeltQuote>, ReadError> {
        self.inner.melt_quote(id).await
    }
    async fn keysets(&self) -> Result<Vec<KeysetRecord>, ReadError> {
        self.inner.keysets().await
    }
    async fn totals(&self) -> Result<Vec<(KeysetId, KeysetTotals)>, ReadError> {
        self.inner.totals().await
    }
    async fn audit(&self, before: Option<u64>, limit: u32) -> Result<Vec<AuditRecord>, ReadError> {
        self.inner.audit(before, limit).await
    }
    async fn cursor(&self, method: &PaymentMethod) -> Result<u64, ReadError> {
        self.inner.cursor(method).await
    }
}

/// A mint and everything around it.
pub struct Bottle {
    pub mint: Arc<Mint>,
    pub store: Arc<FaultyStore>,
    pub payments: Arc<ScriptedPayments>,
    pub rates: Arc<MovingRates>,
    pub world: Arc<TokioWorld>,
    pub curve: Curve,
    secrets: AtomicU64,
    config: MintConfig,
}

/// An output and what unblinds its signature.
#[derive(Clone)]
pub struct Prepared {
    pub message: BlindedMessage,
    secret: Secret,
    r: BlindingFactor,
}

pub const SEED: [u8; 64] = [7; 64];

pub fn config() -> MintConfig {
    MintConfig {
        request_deadline: Duration::from_secs(5),
        melt_wait: Duration::from_secs(3),
        sweep_interval: Duration::from_millis(50),
        ..MintConfig::default()
    }
}

pub fn with_fee(input_fee_ppk: u64) -> MintConfig {
    let unit = UnitConfig { input_fee_ppk, ..UnitConfig::new(CurrencyUnit::Sat) };
    MintConfig { units: vec![unit], ..config() }
}

impl Bottle {
    pub async fn new(config: MintConfig) -> Self {
        let store = Arc::new(FaultyStore { inner: MemoryStore::default(), fault: Mutex::default() });
        let payments = Arc::<ScriptedPayments>::default();
        let world = Arc::<TokioWorld>::default();
        let rates = Arc::<MovingRates>::default();
        let mint = open(&config, &store, &payments, &rates, &world).await;
        Self { mint, store, payments, rates, world, curve: Curve::new(&[1; 32]), secrets: AtomicU64::new(0), config }
    }

    /// Another process on the same ledger: the former one is gone.
    pub async fn restart(&mut self) {
        self.mint = open(&self.config, &self.store, &self.payments, &self.rates, &self.world).await;
    }

    /// The same with other settings.
    pub async fn reopen(mut self, config: MintConfig) -> Self {
        self.config = config;
        self.restart().await;
        self
    }

    /// The same, and the ledger answers again.
    pub async fn restart_without_faults(&mut self) {
        self.no_fault();
        self.restart().await;
    }

    pub fn fault(&self, fault: impl FnMut(&Change) -> Option<ApplyError> + Send + 'static) {
        *self.store.fault.lock().expect("no test panics holding it") = Some(Box::new(fault));
    }

    pub fn no_fault(&self) {
        *self.store.fault.lock().expect("no test panics holding it") = None;
    }

    pub fn say(&self, script: Script) {
        *self.payments.script.lock().expect("no test panics holding it") = script;
    }

    /// An output for `amount` on the active keyset.
    pub fn output(&self, amount: u64) -> Prepared {
        let id = self.mint.keyring().active(&CurrencyUnit::Sat, self.world.now()).expect("a sat keyset").id;
        self.output_on(id, amount)
    }

    pub fn output_on(&self, id: KeysetId, amount: u64) -> Prepared {
        let n = self.secrets.fetch_add(1, Ordering::SeqCst);
        self.output_of(id, amount, Secret::new(format!("secret-{n}")).expect("short"))
    }

    /// An output whose proof will have this secret.
    pub fn output_of(&self, id: KeysetId, amount: u64, secret: Secret) -> Prepared {
        let n = self.secrets.fetch_add(1, Ordering::SeqCst);
        let r = BlindingFactor::from_bytes(&sha256::Hash::hash(&n.to_le_bytes()).to_byte_array()).expect("a scalar");
        let b = crypto::blind(&self.curve, &secret.y(), &r).expect("not infinity");
        let message = BlindedMessage { amount: Amount::from_u64(amount), id, b: PointBytes::from(&b) };
        Prepared { message, secret, r }
    }

    pub fn outputs(&self, amounts: &[u64]) -> Vec<Prepared> {
        amounts.iter().map(|amount| self.output(*amount)).collect()
    }

    /// Unblinds and checks every signature.
    pub fn proofs(&self, prepared: &[Prepared], signatures: &[BlindSignature]) -> Vec<Proof> {
        prepared.iter().zip(signatures).map(|(p, s)| self.proof(p, s)).collect()
    }

    pub fn proof(&self, prepared: &Prepared, signature: &BlindSignature) -> Proof {
        let ring = self.mint.keyring();
        let key = *ring.known(&signature.id).expect("known").keys.get(signature.amount).expect("a key");
        let b = prepared.message.b.parse().expect("made by us");
        let dleq = signature.dleq.expect("this mint proves its signatures");
        crypto::verify_dleq(&key, &b, &signature.c, &dleq).expect("a good proof");
        let c = crypto::unblind(&signature.c, &prepared.r, &key).expect("not infinity");
        Proof {
            amount: signature.amount,
            id: signature.id,
            secret: prepared.secret.clone(),
            c: PointBytes::from(&c),
            witness: None,
            dleq: None,
            p2pk_e: None,
        }
    }

    /// A paid quote for `amount`.
    pub async fn paid_quote(&self, amount: u64) -> QuoteId {
        self.paid_locked_quote(amount, None).await
    }

    /// A paid quote for `amount`, locked to a key if one is given (NUT-20).
    pub async fn paid_locked_quote(&self, amount: u64, pubkey: Option<PublicKey>) -> QuoteId {
        let request = MintQuoteBolt11Request {
            amount: Amount::from_u64(amount),
            unit: CurrencyUnit::Sat,
            description: None,
            pubkey,
        };
        let quote = self.mint.open_mint_quote("bolt11", request).await.expect("within limits");
        let (hash, msat) = read_invoice(&quote.request).expect("ours");
        let n = self.secrets.fetch_add(1, Ordering::SeqCst);
        let credit = CreditMintQuote {
            quote: quote.quote.clone(),
            credit: format!("test-{n}-{}", PointHex(hash)),
            amount: Amount::from_u64(msat / 1_000),
            cursor: None,
            now: self.world.now(),
        };
        self.store.apply(Change::CreditMintQuote(credit)).await.expect("credited");
        quote.quote
    }

    /// Fresh proofs of these amounts.
    pub async fn fund(&self, amounts: &[u64]) -> Vec<Proof> {
        self.fund_outputs(self.outputs(amounts)).await
    }

    /// A fresh proof with a lock in its secret.
    pub async fn fund_locked(&self, amount: u64, lock: &Lock) -> Proof {
        let n = self.secrets.fetch_add(1, Ordering::SeqCst);
        let nonce = sha256::Hash::hash(&n.to_le_bytes()).to_byte_array();
        let id = self.mint.keyring().active(&CurrencyUnit::Sat, self.world.now()).expect("a sat keyset").id;
        let output = self.output_of(id, amount, lock.to_secret(&nonce).expect("short"));
        self.fund_outputs(vec![output]).await.remove(0)
    }

    async fn fund_outputs(&self, outputs: Vec<Prepared>) -> Vec<Proof> {
        let quote = self.paid_quote(outputs.iter().map(|output| output.message.amount.to_u64()).sum()).await;
        let request = MintRequest { quote, outputs: messages(&outputs), signature: None };
        let response = self.mint.issue("bolt11", request).await.expect("paid");
        self.proofs(&outputs, &response.signatures)
    }

    pub async fn swap(&self, inputs: &[Proof], outputs: &[Prepared]) -> Result<Vec<Proof>, hazel_mint::MintError> {
        let response = self.mint.swap(swap_request(inputs, outputs)).await?;
        Ok(self.proofs(outputs, &response.signatures))
    }

    pub async fn melt_quote(&self, invoice: &str) -> MeltQuoteBolt11Response {
        let request = MeltQuoteBolt11Request { request: invoice.to_owned(), unit: CurrencyUnit::Sat, options: None };
        self.mint.open_melt_quote("bolt11", request).await.expect("a quote")
    }

    pub async fn states(&self, proofs: &[Proof]) -> Vec<ProofState> {
        let ys: Vec<_> = proofs.iter().map(|proof| PointBytes::from(&proof.y())).collect();
        let request = hazel_protocol::check::CheckStateRequest { ys: ys.try_into().expect("few") };
        let response = self.mint.check_state(request).await.expect("readable");
        response.states.iter().map(|entry| entry.state).collect()
    }

    /// Issued minus redeemed, over all keysets, with nothing reserved: what users hold.
    pub async fn outstanding(&self) -> u64 {
        let totals = self.store.totals().await.expect("readable");
        totals
            .iter()
            .map(|(_, t)| {
                assert!(t.reserved.is_zero(), "something is still reserved: {t:?}");
                t.issued.to_u64() - t.redeemed.to_u64()
            })
            .sum()
    }

    pub async fn nothing_unfinished(&self) {
        let left = self.store.unfinished(None, 100).await.expect("readable");
        assert!(left.is_empty(), "unfinished: {left:?}");
    }

    /// Sweeps until nothing is unfinished.
    pub async fn settle_down(&self) {
        for _ in 0..100 {
            self.mint.sweep().await.expect("readable");
            if self.store.unfinished(None, 1).await.expect("readable").is_empty() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.nothing_unfinished().await;
    }
}

async fn open(
    config: &MintConfig,
    store: &Arc<FaultyStore>,
    payments: &Arc<ScriptedPayments>,
    rates: &Arc<MovingRates>,
    world: &Arc<TokioWorld>,
) -> Arc<Mint> {
    let environment: Arc<dyn Environment> = world.clone();
    let signer = LocalSigner::new(Zeroizing::new(SEED), &[2; 32], environment.clone()).expect("a good seed");
    let methods = config.methods.iter().map(|config| config.method.clone());
    let ports = Ports {
        store: store.clone(),
        signer: Arc::new(signer),
        payments: methods.fold(Backends::default(), |backends, method| backends.with(method, payments.clone())),
        rates: rates.clone(),
        environment,
    };
    Mint::open(config.clone(), ports).await.expect("opens")
}

pub fn messages(outputs: &[Prepared]) -> Outputs {
    outputs.iter().map(|o| o.message.clone()).collect::<Vec<_>>().try_into().expect("few")
}

pub fn swap_request(inputs: &[Proof], outputs: &[Prepared]) -> SwapRequest {
    SwapRequest { inputs: inputs.to_vec().try_into().expect("few"), outputs: messages(outputs) }
}

pub fn melt_request(quote: &QuoteId, inputs: &[Proof], blanks: &[Prepared]) -> MeltRequest {
    let outputs = (!blanks.is_empty()).then(|| messages(blanks));
    MeltRequest { quote: quote.clone(), inputs: inputs.to_vec().try_into().expect("few"), outputs, prefer_async: false }
}

/// The wire code of a refusal.
pub fn code<T: std::fmt::Debug>(answer: &Result<T, hazel_mint::MintError>) -> u16 {
    answer.as_ref().expect_err("refused").response().code
}
