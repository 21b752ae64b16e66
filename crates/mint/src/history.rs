//! An old copy of the ledger behind a node that has gone on, found by the payments that only the node knows.
//!
//! The id of a payment is in the ledger, durably, before the node is asked to pay, and stays there unless the payment failed. A payment that
//! the node has made by an id of this mint's, and that the ledger has never seen, therefore says that the ledger is an old copy: what it
//! holds for unspent may be spent, and what it holds for unsigned may be signed. Every keyset is stopped then, until an operator has looked
//! and allows it again; what only reads goes on.
//!
//! The ids of payments carry a mark of the seed, since several mints may pay by one node.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use hazel_protocol::KeysetId;

use crate::administer::BY_THE_MINT;
use crate::error::MintError;
use crate::mint::Mint;
use crate::ports::{OperationId, OperationState, PaymentStatus, Payments, Timestamp};

/// Of the payments that bear our mark the newest so many are looked up: a copy lacks the newest.
const LOOKED_UP: usize = 100;

/// Where the mark begins in an id; before it are the time and enough randomness.
const MARK_AT: usize = 12;

/// Lines of the audit log read at once.
const AUDIT_PAGE: u32 = 1_000;

/// The pause after the node or the ledger did not answer.
const RETRY: Duration = Duration::from_secs(2);

impl Mint {
    /// The id of a new payment, with the mark.
    pub(crate) fn new_payment(&self) -> OperationId {
        let mut bytes = *self.new_operation().as_bytes();
        let mark = self.mark_of(&bytes);
        bytes[MARK_AT..].copy_from_slice(&mark);
        OperationId::from_bytes(bytes)
    }

    fn is_marked(&self, id: OperationId) -> bool {
        id.as_bytes()[MARK_AT..] == self.mark_of(id.as_bytes())
    }

    fn mark_of(&self, id: &[u8; 16]) -> [u8; 16 - MARK_AT] {
        let mut engine = sha256::Hash::engine();
        engine.input(&self.ports.signer.fingerprint());
        engine.input(&id[..MARK_AT]);
        let digest = sha256::Hash::from_engine(engine).to_byte_array();
        [digest[0], digest[1], digest[2], digest[3]]
    }

    /// Compares the ledger with what the node has paid, once after each start, and stops every keyset when the ledger is an old copy.
    ///
    /// Called before requests are taken it keeps the old copy from being used at all.
    ///
    /// # Errors
    /// The node or the ledger does not answer; [`start`](Self::start) has it tried again.
    pub async fn compare_with_node(&self) -> Result<(), MintError> {
        for method in self.ports.payments.methods() {
            let payments = self.ports.payments.of(method.as_str())?;
            if let Some(newest) = self.newest_missing(&**payments, payments.made().await?).await? {
                self.stop_everything(newest).await?;
            }
        }
        self.compared.store(true, Ordering::Release);
        Ok(())
    }

    /// The first of these payments that is this mint's and not in the ledger.
    ///
    /// One that was on its way and has failed meanwhile may have been released since the node was asked, so the node is asked again.
    async fn newest_missing(
        &self,
        payments: &dyn Payments,
        made: Vec<OperationId>,
    ) -> Result<Option<OperationId>, MintError> {
        for id in made.into_iter().filter(|id| self.is_marked(*id)).take(LOOKED_UP) {
            if !self.is_in_ledger(id).await?
                && matches!(payments.status(id).await?, PaymentStatus::Paid(_) | PaymentStatus::Pending)
            {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    pub(crate) async fn compare_until_done(&self) {
        while !self.is_draining() && !self.compared.load(Ordering::Acquire) {
            if let Err(error) = self.compare_with_node().await {
                tracing::error!(%error, "the ledger is not compared with the node yet: an old copy would not be noticed");
                self.ports.environment.sleep(RETRY).await;
            }
        }
    }

    async fn is_in_ledger(&self, id: OperationId) -> Result<bool, MintError> {
        if let Some(row) = self.ports.store.operation(id).await? {
            // The node is called only after its dispatch is on disk: of a payment that is merely reserved here, the rest is lost.
            return Ok(row.state != OperationState::Reserved);
        }
        Ok(!self.ports.store.contents(id).await?.inputs.is_empty())
    }

    /// Stops the keysets that have not been stopped for this payment before: an operator who allowed one has decided.
    async fn stop_everything(&self, newest: OperationId) -> Result<(), MintError> {
        let why = format!("the node has made payment {newest}, which this ledger does not know: it is an old copy");
        let said = self.stopped_before(&why).await?;
        let ring = self.keyring();
        for keyset in ring.iter().filter(|keyset| !keyset.latched && !said.covers(&keyset.id, keyset.created_at)) {
            self.latch_keyset(keyset.id, true, BY_THE_MINT, &why).await?;
        }
        if self.keyring().iter().any(|keyset| keyset.latched) {
            tracing::error!("ALARM: {why}; keysets are stopped until an operator has looked");
        } else {
            tracing::warn!("{why}; an operator has allowed it");
        }
        Ok(())
    }

    async fn stopped_before(&self, why: &str) -> Result<Said, MintError> {
        let mut said = Said::default();
        let mut before = None;
        loop {
            let page = self.ports.store.audit(before, AUDIT_PAGE).await?;
            let Some(oldest) = page.last() else { return Ok(said) };
            before = Some(oldest.sequence);
            for line in page.iter().filter(|line| line.entry.actor == BY_THE_MINT && line.entry.detail == why) {
                said.keysets.insert(line.keyset);
                said.first = Some(said.first.map_or(line.entry.at, |first| first.min(line.entry.at)));
            }
        }
    }
}

/// What was stopped for a reason before.
#[derive(Debug, Default)]
struct Said {
    keysets: BTreeSet<KeysetId>,
    first: Option<Timestamp>,
}

impl Said {
    /// Whether the keyset was stopped, or made after the others were.
    fn covers(&self, keyset: &KeysetId, made_at: Timestamp) -> bool {
        self.keysets.contains(keyset) || self.first.is_some_and(|first| made_at > first)
    }
}
