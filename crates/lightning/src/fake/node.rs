//! The node: [`Payments`] on top of the ledger file.

use std::future::pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::Network;
use hazel_mint::ports::{
    Capabilities, Invoice, NewInvoice, OperationId, Payment, PaymentStatus, Payments, PaymentsError, Portion, Refusal,
    Route, Settlement, Timestamp,
};

use super::books::Books;
use super::error::FakeError;
use super::incoming;
use super::invoice;
use super::outgoing::{self, Begun, Caller, Look};
use super::steering::{Behaviour, Hang, RouteFault};
use super::worker::Worker;
use super::world::World;

/// How one process uses the node.
#[derive(Debug, Clone)]
pub struct FakeConfig {
    /// Written beside everything this process does, so an audit can tell replicas apart.
    pub instance: String,
    /// The network of the invoices it makes. It pays those of any.
    pub network: Network,
    /// Pays invoices without an amount.
    pub amountless: bool,
    /// Pays parts of invoices (NUT-15).
    pub mpp: bool,
    /// Pays invoices of nodes outside the ledger, whose preimage it cannot show, and gives its word. Without this such payments fail.
    pub vouches: bool,
    /// How long `settlements` waits for the first one, in ms.
    pub stream_wait_ms: u64,
    /// How often it looks into the file while it waits, in ms; at least 1.
    pub poll_ms: u64,
    /// How the node behaves unless the ledger file says otherwise.
    pub behaviour: Behaviour,
}

impl Default for FakeConfig {
    /// A regtest node for development that pays everything by itself.
    fn default() -> Self {
        Self {
            instance: format!("process {}", std::process::id()),
            network: Network::Regtest,
            amountless: true,
            mpp: true,
            vouches: true,
            stream_wait_ms: 3_000,
            poll_ms: 75,
            behaviour: Behaviour::default(),
        }
    }
}

impl FakeConfig {
    /// The default without delays and fees, for tests that are about something else.
    pub fn instant() -> Self {
        Self { behaviour: Behaviour::instant(), poll_ms: 10, ..Self::default() }
    }
}

/// A Lightning node that lives in one SQLite file. Every `FakeNode` on the same file, in any process, is the same node.
pub struct FakeNode {
    worker: Worker,
    world: Arc<dyn World>,
    config: FakeConfig,
    caller: Caller,
    /// What the node last was in truth; steering may change it.
    idempotent: AtomicBool,
}

impl std::fmt::Debug for FakeNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeNode").field("instance", &self.config.instance).finish_non_exhaustive()
    }
}

impl FakeNode {
    /// Opens the ledger file, or makes one with a new node key. Blocks for file access, so call it at start-up.
    ///
    /// # Errors
    /// As [`open_ledger`](super::open_ledger).
    pub fn open(path: impl AsRef<Path>, config: FakeConfig, world: Arc<dyn World>) -> Result<Self, FakeError> {
        let books = Books::open(path.as_ref(), Arc::clone(&world), config.behaviour.clone())?;
        let idempotent = AtomicBool::new(books.behaviour()?.idempotent);
        let caller = Caller {
            instance: config.instance.clone(),
            amountless: config.amountless,
            mpp: config.mpp,
            vouches: config.vouches,
        };
        Ok(Self { worker: Worker::start(books)?, world, config, caller, idempotent })
    }

    /// How the node behaves now, after it has taken its time to answer.
    async fn wake(&self) -> Result<Behaviour, PaymentsError> {
        let behaviour = self.worker.run(|books| books.behaviour()).await?;
        self.idempotent.store(behaviour.idempotent, Ordering::Relaxed);
        if behaviour.latency_ms > 0 {
            self.world.sleep(Duration::from_millis(behaviour.latency_ms)).await;
        }
        Ok(behaviour)
    }

    /// As [`wake`](Self::wake), for every call but `pay`, which records that the node was down.
    async fn wake_up(&self) -> Result<Behaviour, PaymentsError> {
        match self.wake().await? {
            behaviour if behaviour.down => Err(unavailable("it was told to be down")),
            behaviour => Ok(behaviour),
        }
    }

    async fn look(&self, attempt: i64) -> Result<Look, FakeError> {
        let caller = self.caller.clone();
        self.worker
            .run(move |books| {
                let behaviour = books.behaviour()?;
                books.read(|conn| outgoing::look(conn, &behaviour, &caller, attempt))
            })
            .await
    }

    async fn begin(&self, payment: Payment) -> Result<Begun, FakeError> {
        tracing::debug!(operation = %payment.id, msat = payment.amount_msat, "the fake node is asked to pay");
        let caller = self.caller.clone();
        let parsed = invoice::parse(&payment.request);
        self.worker.run(move |books| books.write(|write| outgoing::begin(write, &caller, &payment, parsed))).await
    }

    /// Waits until the payment has ended, or for `pay_wait_ms`.
    async fn follow(&self, attempt: i64, behaviour: &Behaviour) -> Result<Look, FakeError> {
        let until = self.world.now_ms().saturating_add(behaviour.pay_wait_ms);
        loop {
            let look = self.look(attempt).await?;
            if !look.moving || self.world.now_ms() >= until {
                return Ok(look);
            }
            self.pause().await;
        }
    }

    async fn pause(&self) {
        self.world.sleep(Duration::from_millis(self.config.poll_ms.max(1))).await;
    }

    async fn hang(&self, hang: Hang) {
        match hang {
            Hang::No => {}
            Hang::ForMs(ms) => self.world.sleep(Duration::from_millis(ms)).await,
            Hang::Forever => pending().await,
        }
    }
}

fn unavailable(why: &str) -> PaymentsError {
    PaymentsError::Unavailable(why.into())
}

#[async_trait]
impl Payments for FakeNode {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            description: true,
            amountless: self.config.amountless,
            mpp: self.config.mpp,
            idempotent_by_id: self.idempotent.load(Ordering::Relaxed),
            vouches: self.config.vouches,
        }
    }

    async fn create_invoice(&self, invoice: NewInvoice) -> Result<Invoice, PaymentsError> {
        self.wake_up().await?;
        let (world, network, instance) = (Arc::clone(&self.world), self.config.network, self.config.instance.clone());
        let made = self.worker.run(move |books| {
            books.write(|write| incoming::create(write, world.as_ref(), network, &instance, &invoice))
        });
        Ok(made.await?)
    }

    async fn cancel_invoice(&self, payment_hash: &[u8; 32]) -> Result<(), PaymentsError> {
        self.wake_up().await?;
        let hash = *payment_hash;
        Ok(self.worker.run(move |books| books.write(|write| incoming::cancel(write, &hash))).await?)
    }

    async fn settlements(&self, cursor: u64) -> Result<Vec<Settlement>, PaymentsError> {
        let until = self.world.now_ms().saturating_add(self.config.stream_wait_ms);
        loop {
            self.wake_up().await?;
            let read = move |books: &mut Books| books.read(|conn| incoming::settlements_after(conn, cursor));
            let found = self.worker.run(read).await?;
            if !found.is_empty() || self.world.now_ms() >= until {
                return Ok(found);
            }
            self.pause().await;
        }
    }

    async fn invoice_settlements(&self, payment_hash: &[u8; 32]) -> Result<Vec<Settlement>, PaymentsError> {
        self.wake_up().await?;
        let hash = *payment_hash;
        Ok(self.worker.run(move |books| books.read(|conn| incoming::settlements_of(conn, &hash))).await?)
    }

    async fn route(&self, request: &str, portion: Portion) -> Result<Route, PaymentsError> {
        let behaviour = self.wake_up().await?;
        match behaviour.route_fault {
            Some(RouteFault::Refused) => {
                return Err(PaymentsError::Refused(Refusal::NoRoute, "there is no route to the payee".into()));
            }
            Some(RouteFault::Unavailable) => return Err(unavailable("it was told to fail")),
            None => {}
        }
        let parsed = invoice::parse(request)?;
        let amount_msat = outgoing::amount_to_pay(&self.caller, &parsed, portion)?;
        Ok(Route {
            payment_hash: parsed.payment_hash,
            expires_at: Timestamp::from_unix(parsed.expires_at),
            amount_msat,
            fee_reserve_msat: behaviour.fee_reserve_msat(amount_msat),
        })
    }

    async fn pay(&self, payment: Payment) -> Result<PaymentStatus, PaymentsError> {
        let behaviour = self.wake().await?;
        let attempt = match self.begin(payment).await? {
            Begun::Attempt(attempt) => attempt,
            Begun::Refused(refusal, why) => return Err(PaymentsError::Refused(refusal, why)),
            Begun::Unreachable => return Err(unavailable("it was told to be out of reach")),
        };
        let look = self.follow(attempt, &behaviour).await?;
        self.hang(behaviour.hang).await;
        look.says.ok_or_else(|| unavailable("it was told to fail after it got the payment"))
    }

    async fn made(&self) -> Result<Vec<OperationId>, PaymentsError> {
        self.wake_up().await?;
        Ok(self.worker.run(|books| books.read(outgoing::made)).await?)
    }

    async fn status(&self, id: OperationId) -> Result<PaymentStatus, PaymentsError> {
        self.wake_up().await?;
        let caller = self.caller.clone();
        let status = self.worker.run(move |books| {
            let behaviour = books.behaviour()?;
            books.read(|conn| outgoing::status(conn, &behaviour, &caller, id))
        });
        status.await?.ok_or_else(|| unavailable("it was told to fail when asked"))
    }
}
