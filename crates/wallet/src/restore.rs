//! Finding money again by the seed alone (NUT-13, NUT-09, NUT-07).
//!
//! Every keyset that the mint ever listed is scanned, active or not, in batches of counters, until three batches in a row hold
//! no signature. What was found is stored batch by batch, so that a scan that is cut off goes on where it was.

use std::collections::BTreeSet;

use hazel_protocol::{Amount, KeysetId, PointBytes, ProofState};

use crate::error::Error;
use crate::keysets::Keysets;
use crate::outputs;
use crate::ports::{
    Change, CounterStep, HistoryEntry, MarkSpent, Moves, OperationId, OperationKind, ProofRecord, ProofStatus,
};
use crate::saga::Saga;
use crate::state::{KeysetScan, PlannedOutput, RestoreCompleted, RestoreScanning, State};
use crate::wallet::{RESTORE_BATCH, Wallet};

/// Batches without a signature after which a keyset is done (NUT-13). A count.
const EMPTY_BATCHES: u32 = 3;

/// How far a restore got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestoreProgress {
    /// The keyset that is being scanned.
    pub keyset: KeysetId,
    /// Its number, beginning at 1.
    pub keyset_number: usize,
    /// How many keysets there are.
    pub keyset_count: usize,
    /// Counters of this keyset that were looked at.
    pub scanned: u64,
    /// Value of the unspent proofs found so far, over all keysets, in the minor unit.
    pub found: Amount,
}

/// What a restore found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// The operation.
    pub operation: OperationId,
    /// Value of the unspent proofs that the wallet did not have before, in the minor unit.
    pub amount: Amount,
}

/// What some outputs turned out to be.
pub(crate) struct Found {
    /// Proofs that can be spent.
    pub(crate) unspent: Vec<ProofRecord>,
    /// Proofs that were spent.
    pub(crate) spent: Vec<PointBytes>,
    /// One more than the last counter that has a signature; none when there is no signature.
    pub(crate) next: Option<u64>,
}

impl Wallet {
    /// Asks the mint for everything that the seed ever got of it, and keeps what is unspent.
    ///
    /// Proofs that the wallet knows stay as they are. A restore that was cut off goes on where it was.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Ambiguous`] and [`Error::HostileMint`]; what was found until then is kept.
    pub async fn restore(&self, progress: &mut (dyn FnMut(RestoreProgress) + Send)) -> Result<Restored, Error> {
        let keysets = self.refreshed_keysets().await?;
        let mut saga = if let Some(saga) = self.interrupted_restore().await? {
            saga
        } else {
            let scans = keysets.iter().map(|keyset| scan(keyset.id)).collect();
            self.begin(RestoreScanning { keysets: scans, found: Amount::ZERO }, Moves::default(), Vec::new()).await?
        };
        saga.include_new(&keysets);
        while let Some(number) = saga.state.keysets.iter().position(|scan| !scan.done) {
            saga.scan_batch(&keysets, number).await?;
            let scan = &saga.state.keysets[number];
            progress(RestoreProgress {
                keyset: scan.keyset,
                keyset_number: number + 1,
                keyset_count: saga.state.keysets.len(),
                scanned: scan.next,
                found: saga.state.found,
            });
        }
        saga.complete().await
    }

    async fn interrupted_restore(&self) -> Result<Option<Saga<RestoreScanning>>, Error> {
        for row in self.inner.store.unfinished(&self.inner.mint, &self.inner.unit).await? {
            let State::RestoreScanning(state) = row.state.clone() else { continue };
            if row.seed != self.inner.fingerprint {
                continue;
            }
            if let Some(saga) = self.adopt(row).await? {
                return Ok(Some(saga.with(state)));
            }
        }
        Ok(None)
    }

    /// Asks for the signatures on some outputs and for the states of the proofs they make.
    ///
    /// Outputs of unfinished operations are passed over, for they belong to those; `own` are looked at all the same.
    pub(crate) async fn find(
        &self,
        keysets: &Keysets,
        planned: &[PlannedOutput],
        own: &[PlannedOutput],
    ) -> Result<Found, Error> {
        let proofs = self.restore_outputs(keysets, planned, None).await?;
        let signed: Vec<ProofRecord> = planned
            .iter()
            .zip(proofs)
            .filter_map(|(output, proof)| Some(self.new_proof(proof?, output, ProofStatus::Available)))
            .collect();
        let next = signed.iter().filter_map(|proof| proof.origin).map(|origin| origin.counter.saturating_add(1)).max();
        let taken = self.outputs_in_flight(own).await?;
        let signed: Vec<ProofRecord> = signed.into_iter().filter(|proof| !taken.contains(&place(proof))).collect();
        let ys: Vec<PointBytes> = signed.iter().map(|proof| proof.y).collect();
        let states = self.states(&ys).await?;
        let (mut unspent, mut spent) = (Vec::new(), Vec::new());
        for (proof, state) in signed.into_iter().zip(states) {
            match state {
                ProofState::Spent => spent.push(proof.y),
                // A pending proof becomes unspent or spent; until then the mint refuses it, and it stays.
                ProofState::Unspent | ProofState::Pending => unspent.push(proof),
            }
        }
        Ok(Found { unspent, spent, next })
    }

    /// Keyset and counter of each output of an unfinished operation, but for `own`.
    async fn outputs_in_flight(&self, own: &[PlannedOutput]) -> Result<BTreeSet<(KeysetId, u64)>, Error> {
        let unfinished = self.inner.store.unfinished(&self.inner.mint, &self.inner.unit).await?;
        let outputs =
            unfinished.iter().filter(|row| row.seed == self.inner.fingerprint).flat_map(|row| row.state.outputs());
        let mut places: BTreeSet<_> = outputs.map(|output| (output.keyset, output.counter)).collect();
        for output in own {
            places.remove(&(output.keyset, output.counter));
        }
        Ok(places)
    }
}

fn place(proof: &ProofRecord) -> (KeysetId, u64) {
    (proof.proof.id, proof.origin.map_or(u64::MAX, |origin| origin.counter))
}

fn scan(keyset: KeysetId) -> KeysetScan {
    KeysetScan { keyset, next: 0, empty_batches: 0, done: false }
}

impl Saga<RestoreScanning> {
    /// A keyset that came up after the scan had begun is scanned too; one that is gone is passed over.
    fn include_new(&mut self, keysets: &Keysets) {
        for keyset in keysets.iter() {
            if !self.state.keysets.iter().any(|scan| scan.keyset == keyset.id) {
                self.state.keysets.push(scan(keyset.id));
            }
        }
        for scan in &mut self.state.keysets {
            scan.done |= keysets.get(&scan.keyset).is_none();
        }
    }

    async fn scan_batch(&mut self, keysets: &Keysets, number: usize) -> Result<(), Error> {
        let wallet = self.wallet.clone();
        let scan = self.state.keysets[number];
        let keyset = keysets.get(&scan.keyset).ok_or(Error::Bug("a keyset vanished while it was scanned"))?;
        let planned = outputs::plan_scan(keyset, scan.next, RESTORE_BATCH);
        let found = wallet.find(keysets, &planned, &[]).await.map_err(|error| error.of(self.id))?;
        if !found.spent.is_empty() {
            wallet.commit(Change::MarkSpent(MarkSpent { ys: found.spent.clone() })).await?;
        }
        let new = self.unknown(found.unspent).await?;
        let mut next = self.state.clone();
        next.found = Amount::checked_sum(new.iter().map(|proof| proof.proof.amount))?.checked_add(next.found)?;
        next.keysets[number] = advanced(scan, planned.len(), found.next.is_some());
        let counters = found.next.map(|next| CounterStep::AtLeast { keyset: scan.keyset, next }).into_iter().collect();
        self.advance(&next, Moves { add: new, ..Moves::default() }, counters).await?;
        self.state = next;
        Ok(())
    }

    async fn unknown(&self, proofs: Vec<ProofRecord>) -> Result<Vec<ProofRecord>, Error> {
        let ys: Vec<PointBytes> = proofs.iter().map(|proof| proof.y).collect();
        let known = self.wallet.inner.store.proofs_by_y(&ys).await?;
        Ok(proofs.into_iter().zip(known).filter(|(_, known)| known.is_none()).map(|(proof, _)| proof).collect())
    }

    async fn complete(self) -> Result<Restored, Error> {
        let amount = self.state.found;
        let history = HistoryEntry {
            operation: self.id,
            mint: self.wallet.inner.mint.clone(),
            unit: self.wallet.inner.unit.clone(),
            kind: OperationKind::Restore,
            amount,
            fee: Amount::ZERO,
            at: self.wallet.now(),
            memo: None,
            invoice: None,
            preimage: None,
        };
        let restored = Restored { operation: self.id, amount };
        self.settle(RestoreCompleted { found: amount }, Moves::default(), Some(history)).await?;
        Ok(restored)
    }
}

fn advanced(scan: KeysetScan, batch: usize, any: bool) -> KeysetScan {
    let empty_batches = if any { 0 } else { scan.empty_batches + 1 };
    let batch = u64::try_from(batch).unwrap_or(u64::MAX);
    KeysetScan { next: scan.next.saturating_add(batch), empty_batches, done: empty_batches >= EMPTY_BATCHES, ..scan }
}
