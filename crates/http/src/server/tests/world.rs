//! The real engine and signer on the ledger in memory, with a Lightning node that does as a test says.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hazel_mint::ports::{
    Capabilities, Environment, FixedRates, Invoice, NewInvoice, OperationId, PaidEvidence, Payment, PaymentProof,
    PaymentStatus, Payments, PaymentsError, Portion, Refusal, Route, Settlement, Timestamp,
};
use hazel_mint::store::memory::MemoryStore;
use hazel_mint::{Backends, LocalSigner, MintConfig, Ports};
use hazel_protocol::crypto::{Curve, blind, unblind};
use hazel_protocol::{
    Amount, BlindSignature, BlindedMessage, BlindingFactor, CurrencyUnit, KeysetId, PointBytes, Proof, Secret,
};
use zeroize::Zeroizing;

use super::*;

/// Far enough for every test, in seconds since 1970.
const NEVER: Timestamp = Timestamp::from_unix(1 << 33);

/// Tokio's tasks and time; bytes that differ with each draw.
#[derive(Default)]
struct World {
    drawn: AtomicU64,
    /// Added to the clock, in seconds.
    ahead: AtomicU64,
}

impl Environment for World {
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        Timestamp::from_unix(since_1970.as_secs()).plus(self.ahead.load(Ordering::SeqCst))
    }
    fn fill_random(&self, bytes: &mut [u8]) {
        let n = self.drawn.fetch_add(1, Ordering::SeqCst).to_le_bytes();
        bytes.iter_mut().zip(n.iter().cycle()).for_each(|(byte, drawn)| *byte = *drawn);
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

/// A node whose word is believed. An invoice reads `inv:<number>:<msat>`; every invoice of its own is paid as soon as it is made.
#[derive(Default)]
pub(super) struct Node {
    invoices: AtomicU8,
    settled: Mutex<Vec<Settlement>>,
    /// Payments and what they cost, in msat.
    begun: Mutex<Vec<(OperationId, u64)>>,
    /// Payments stay on their way.
    pub(super) slow: AtomicBool,
    /// Nothing answers.
    pub(super) down: AtomicBool,
    /// Asking it for an invoice panics.
    pub(super) broken: AtomicBool,
}

impl Node {
    fn up(&self) -> Result<(), PaymentsError> {
        assert!(!self.broken.load(Ordering::SeqCst), "a secret of the node");
        if self.down.load(Ordering::SeqCst) {
            return Err(PaymentsError::Unavailable("macaroon 0201 refused at /srv/lnd".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl Payments for Node {
    fn capabilities(&self) -> Capabilities {
        Capabilities { description: true, vouches: true, ..Capabilities::default() }
    }
    async fn create_invoice(&self, invoice: NewInvoice) -> Result<Invoice, PaymentsError> {
        self.up()?;
        let n = self.invoices.fetch_add(1, Ordering::SeqCst) + 1;
        let (payment_hash, amount_msat) = ([n; 32], invoice.amount_msat);
        let settlement = Settlement { payment_hash, credit: format!("s{n}"), amount_msat, cursor: u64::from(n) };
        self.settled.lock().expect("no panic holds it").push(settlement);
        Ok(Invoice { request: format!("inv:{n}:{amount_msat}"), payment_hash, expires_at: NEVER })
    }
    async fn cancel_invoice(&self, _: &[u8; 32]) -> Result<(), PaymentsError> {
        Ok(())
    }
    async fn settlements(&self, cursor: u64) -> Result<Vec<Settlement>, PaymentsError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let settled = self.settled.lock().expect("no panic holds it");
        Ok(settled.iter().filter(|settlement| settlement.cursor > cursor).cloned().collect())
    }
    async fn invoice_settlements(&self, hash: &[u8; 32]) -> Result<Vec<Settlement>, PaymentsError> {
        let settled = self.settled.lock().expect("no panic holds it");
        Ok(settled.iter().filter(|settlement| settlement.payment_hash == *hash).cloned().collect())
    }
    async fn route(&self, request: &str, _: Portion) -> Result<Route, PaymentsError> {
        self.up()?;
        let parts: Vec<u64> = request.split(':').skip(1).filter_map(|part| part.parse().ok()).collect();
        let [n, amount_msat] = parts[..] else {
            return Err(PaymentsError::Refused(Refusal::NotAnInvoice, "not an invoice".to_owned()));
        };
        let payment_hash = [u8::try_from(n).expect("a small number"); 32];
        Ok(Route { payment_hash, expires_at: NEVER, amount_msat, fee_reserve_msat: 2_000 })
    }
    async fn pay(&self, payment: Payment) -> Result<PaymentStatus, PaymentsError> {
        let total_msat = payment.amount_msat + 1_000;
        self.begun.lock().expect("no panic holds it").push((payment.id, total_msat));
        if self.slow.load(Ordering::SeqCst) {
            return Ok(PaymentStatus::Pending);
        }
        Ok(PaymentStatus::Paid(PaidEvidence { proof: PaymentProof::Vouched, total_msat }))
    }
    async fn status(&self, id: OperationId) -> Result<PaymentStatus, PaymentsError> {
        let begun = self.begun.lock().expect("no panic holds it").iter().find(|begun| begun.0 == id).copied();
        match begun {
            Some((_, total_msat)) if !self.slow.load(Ordering::SeqCst) => {
                Ok(PaymentStatus::Paid(PaidEvidence { proof: PaymentProof::Vouched, total_msat }))
            }
            _ => Ok(PaymentStatus::Pending),
        }
    }
}

/// A mint behind its API.
pub(super) struct Served {
    pub(super) address: SocketAddr,
    pub(super) mint: Arc<Mint>,
    pub(super) node: Arc<Node>,
    world: Arc<World>,
    curve: Curve,
    secrets: AtomicU64,
}

/// An output and what makes a proof of its signature.
pub(super) struct Prepared {
    pub(super) message: BlindedMessage,
    secret: Secret,
    r: BlindingFactor,
}

impl Served {
    pub(super) async fn new() -> Self {
        Self::with(MintConfig::default()).await
    }

    /// A mint whose keyset expires so many seconds from now.
    pub(super) async fn with_expiry(secs: u64) -> Self {
        let mut config = MintConfig::default();
        config.units[0].final_expiry = Some(World::default().now().plus(secs));
        Self::with(config).await
    }

    /// A mint that limits how fast one client may ask.
    pub(super) async fn with_rate(rate: RateConfig) -> Self {
        Self::served(MintConfig::default(), ServerConfig { rate: Some(rate), ..ServerConfig::default() }).await
    }

    async fn with(config: MintConfig) -> Self {
        Self::served(config, ServerConfig::default()).await
    }

    async fn served(config: MintConfig, server: ServerConfig) -> Self {
        let (world, node) = (Arc::<World>::default(), Arc::<Node>::default());
        let environment: Arc<dyn Environment> = Arc::<World>::clone(&world);
        let signer = LocalSigner::new(Zeroizing::new([7; 64]), &[1; 32], Arc::clone(&environment)).expect("a seed");
        let config = MintConfig {
            melt_wait: Duration::from_millis(500),
            request_deadline: Duration::from_secs(2),
            sweep_interval: Duration::from_millis(50),
            ..config
        };
        let store = Arc::new(MemoryStore::new());
        let methods = config.methods.iter().map(|config| config.method.clone());
        let payments =
            methods.fold(Backends::default(), |backends, method| backends.with(method, Arc::<Node>::clone(&node)));
        let rates = Arc::new(FixedRates::default());
        let ports = Ports { store, signer: Arc::new(signer), payments, rates, environment };
        let mint = Mint::open(config, ports).await.expect("an empty ledger");
        mint.start();
        let router = router(Arc::clone(&mint), server);
        let address = listen(router, ListenConfig::default()).await;
        Self { address, mint, node, world, curve: Curve::new(&[2; 32]), secrets: AtomicU64::new(1) }
    }

    /// The mint's clock, in seconds since 1970.
    pub(super) fn now(&self) -> u64 {
        self.world.now().to_unix()
    }

    /// Moves the mint's clock on.
    pub(super) fn wait(&self, secs: u64) {
        self.world.ahead.fetch_add(secs, Ordering::SeqCst);
    }

    /// The keyset that signs.
    pub(super) fn keyset(&self) -> KeysetId {
        self.mint.keyring().active(&CurrencyUnit::Sat, Timestamp::default()).expect("a sat keyset").id
    }

    pub(super) fn outputs(&self, amounts: &[u64]) -> Vec<Prepared> {
        self.outputs_on(self.keyset(), amounts)
    }

    pub(super) fn outputs_on(&self, keyset: KeysetId, amounts: &[u64]) -> Vec<Prepared> {
        amounts.iter().map(|amount| self.output(keyset, *amount)).collect()
    }

    fn output(&self, keyset: KeysetId, amount: u64) -> Prepared {
        let n = self.secrets.fetch_add(1, Ordering::SeqCst);
        let secret = Secret::new(format!("secret-{n}")).expect("short");
        let mut scalar = [0; 32];
        scalar[24..].copy_from_slice(&n.to_be_bytes());
        let r = BlindingFactor::from_bytes(&scalar).expect("a scalar");
        let b = blind(&self.curve, &secret.y(), &r).expect("not infinity");
        let message = BlindedMessage { amount: Amount::from_u64(amount), id: keyset, b: PointBytes::from(&b) };
        Prepared { message, secret, r }
    }

    /// The proofs that the signatures make.
    pub(super) fn proofs(&self, prepared: &[Prepared], signatures: &[BlindSignature]) -> Vec<Proof> {
        let ring = self.mint.keyring();
        let proof = |(prepared, signature): (&Prepared, &BlindSignature)| {
            let key = ring.known(&signature.id).expect("known").keys.get(signature.amount).expect("a key");
            let c = unblind(&signature.c, &prepared.r, key).expect("not infinity");
            Proof {
                amount: signature.amount,
                id: signature.id,
                secret: prepared.secret.clone(),
                c: PointBytes::from(&c),
                witness: None,
                dleq: None,
                p2pk_e: None,
            }
        };
        prepared.iter().zip(signatures).map(proof).collect()
    }
}
