//! The fake against its own books, on real files.

mod incoming;
mod invoices;
mod opening;
mod outgoing;
mod scripts;
mod sharing;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bitcoin::hashes::{Hash, sha256};
use hazel_mint::ports::{
    Fence, Invoice, NewInvoice, OperationId, Payment, PaymentProof, PaymentStatus, Payments, Timestamp,
};

use super::*;

/// Time that stands still until somebody sleeps or `pass` is called.
pub(super) struct HeldWorld {
    now_ms: AtomicU64,
    draws: AtomicU64,
}

const START_MS: u64 = 1_800_000_000_000;

impl HeldWorld {
    fn new() -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicU64::new(START_MS), draws: AtomicU64::new(0) })
    }

    fn pass(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl World for HeldWorld {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        let draw = self.draws.fetch_add(1, Ordering::SeqCst);
        let digest = sha256::Hash::hash(&draw.to_be_bytes()).to_byte_array();
        bytes.copy_from_slice(&digest[..bytes.len()]);
    }

    async fn sleep(&self, delay: Duration) {
        self.pass(u64::try_from(delay.as_millis()).unwrap());
        tokio::task::yield_now().await;
    }
}

/// A ledger in a folder of its own, a node on it, and the auditor's view.
struct Bench {
    world: Arc<HeldWorld>,
    node: FakeNode,
    ledger: FakeLedger,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(config: FakeConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lightning.db");
        let world = HeldWorld::new();
        let node = FakeNode::open(&path, config, world.clone()).unwrap();
        let ledger = FakeLedger::open(&path, world.clone()).unwrap();
        Self { world, node, ledger, path, _folder: folder }
    }

    fn instant() -> Self {
        Self::new(FakeConfig { stream_wait_ms: 0, ..FakeConfig::instant() })
    }

    /// An instant node whose invoices wait to be paid.
    fn told() -> Self {
        let bench = Self::instant();
        bench.ledger.steer(&Steer::Settle(Settle::WhenTold)).unwrap();
        bench
    }

    async fn invoice(&self, amount_msat: u64) -> Invoice {
        self.node.create_invoice(new_invoice(amount_msat)).await.unwrap()
    }

    fn payment(&self, request: &str, amount_msat: u64) -> Payment {
        Payment {
            id: fresh_id(),
            request: request.into(),
            amount_msat,
            max_fee_msat: 1_000_000,
            not_after: Timestamp::from_unix(self.world.now_ms() / 1_000 + 600),
            fence: Fence::default(),
        }
    }

    fn states(&self) -> Vec<PaymentState> {
        self.ledger.payments().unwrap().into_iter().map(|payment| payment.state).collect()
    }

    fn outcomes(&self) -> Vec<CallOutcome> {
        self.ledger.pay_calls().unwrap().into_iter().map(|call| call.outcome).collect()
    }
}

fn new_invoice(amount_msat: u64) -> NewInvoice {
    NewInvoice { amount_msat, description: Some("a test".into()), expiry_secs: 3_600 }
}

fn fresh_id() -> OperationId {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    OperationId::from_bytes(bytes)
}

/// An invoice of a node that is not on the ledger.
fn foreign(amount_msat: u64, description: &str) -> String {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let preimage = [NEXT.fetch_add(1, Ordering::SeqCst); 32];
    InvoiceSpec::foreign(preimage, Some(amount_msat), description, START_MS / 1_000).build().unwrap()
}

fn paid(status: &PaymentStatus) -> (PaymentProof, u64) {
    match status {
        PaymentStatus::Paid(evidence) => (evidence.proof, evidence.total_msat),
        other => panic!("not paid: {other:?}"),
    }
}
