//! Finding money again by the seed alone (NUT-13, NUT-09, NUT-07).
//!
//! Every keyset that the mint ever listed is scanned, active or not, in batches of counters, several at once, until three batches in a
//! row hold no signature. What was found is stored as the scan goes, so that one that is cut off goes on where it was.
//!
//! A keyset that another mint of the wallet lists, too, is left alone unless asked for: keys are public, and a mint that copies them
//! could have the other's money shown as its own, to be handed to it when it is spent.

use std::collections::BTreeSet;

use futures_util::future::try_join_all;
use hazel_protocol::{Amount, KeysetId, KeysetWithKeys, PointBytes, ProofState};

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

/// Batches that are asked for at once. A count.
const BATCHES_AT_ONCE: usize = 4;

/// What a restore may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RestoreOptions {
    /// Whether to scan keysets that another mint of this wallet lists, too.
    pub shared_keysets: bool,
}

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The operation.
    pub operation: OperationId,
    /// Value of the unspent proofs that the wallet did not have before, in the minor unit.
    pub amount: Amount,
    /// Signatures that were none: the mint shows them, and they are worth nothing. A count.
    pub bad: u64,
    /// Keysets that were left alone because another mint of this wallet lists them, too.
    pub shared: Vec<KeysetId>,
}

/// What some outputs turned out to be.
pub(crate) struct Found {
    /// Proofs that can be spent.
    pub(crate) unspent: Vec<ProofRecord>,
    /// Proofs that were spent.
    pub(crate) spent: Vec<PointBytes>,
    /// One more than the last counter that has a signature; none when there is no signature.
    pub(crate) next: Option<u64>,
    /// Signatures that were none. A count.
    pub(crate) bad: u64,
}

impl Wallet {
    /// Asks the mint for everything that the seed ever got of it, and keeps what is unspent.
    ///
    /// Proofs that the wallet knows stay as they are. A restore that was cut off goes on where it was.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Ambiguous`] and [`Error::HostileMint`]; what was found until then is kept.
    pub async fn restore(&self, progress: &mut (dyn FnMut(RestoreProgress) + Send)) -> Result<Restored, Error> {
        self.restore_with(RestoreOptions::default(), progress).await
    }

    /// As [`restore`](Self::restore), with options.
    ///
    /// # Errors
    /// As [`restore`](Self::restore).
    pub async fn restore_with(
        &self,
        options: RestoreOptions,
        progress: &mut (dyn FnMut(RestoreProgress) + Send),
    ) -> Result<Restored, Error> {
        let keysets = self.refreshed_keysets().await?;
        let shared = if options.shared_keysets { BTreeSet::new() } else { self.shared_keysets(&keysets).await? };
        let mut saga = if let Some(saga) = self.interrupted_restore().await? {
            saga
        } else {
            let state = RestoreScanning { keysets: Vec::new(), found: Amount::ZERO, bad: 0 };
            self.begin(state, Moves::default(), Vec::new()).await?
        };
        saga.include_new(&keysets, &shared);
        while let Some(number) = saga.state.keysets.iter().position(|scan| !scan.done) {
            saga.scan_batches(&keysets, number).await?;
            let scan = &saga.state.keysets[number];
            progress(RestoreProgress {
                keyset: scan.keyset,
                keyset_number: number + 1,
                keyset_count: saga.state.keysets.len(),
                scanned: scan.next,
                found: saga.state.found,
            });
        }
        saga.complete(shared.into_iter().collect()).await
    }

    /// Those of the keysets that another mint of this wallet lists, too.
    async fn shared_keysets(&self, keysets: &Keysets) -> Result<BTreeSet<KeysetId>, Error> {
        let mut shared = BTreeSet::new();
        for mint in self.inner.store.mints().await? {
            if mint.url != self.inner.mint {
                let of_other = self.inner.store.keysets(&mint.url).await?.into_iter().map(|record| record.keyset.id);
                shared.extend(of_other.filter(|id| keysets.get(id).is_some()));
            }
        }
        Ok(shared)
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
        let found = self.restore_each(keysets, planned, None).await?;
        let shown = planned.iter().zip(&found).filter(|(_, proof)| proof.is_some());
        let next = shown.map(|(output, _)| output.counter.saturating_add(1)).max();
        let mut signed: Vec<ProofRecord> = Vec::new();
        let mut bad: u64 = 0;
        for (output, proof) in planned.iter().zip(found) {
            match proof {
                Some(Ok(proof)) => signed.push(self.new_proof(proof, output, ProofStatus::Available)),
                Some(Err(_)) => bad += 1,
                None => {}
            }
        }
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
        Ok(Found { unspent, spent, next, bad })
    }

    /// Those of the proofs that the wallet does not have yet.
    pub(crate) async fn unknown(&self, proofs: Vec<ProofRecord>) -> Result<Vec<ProofRecord>, Error> {
        let ys: Vec<PointBytes> = proofs.iter().map(|proof| proof.y).collect();
        let known = self.inner.store.proofs_by_y(&ys).await?;
        Ok(proofs.into_iter().zip(known).filter(|(_, known)| known.is_none()).map(|(proof, _)| proof).collect())
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
    /// A keyset that came up after the scan had begun is scanned too; one that is gone, or `shared`, is passed over.
    fn include_new(&mut self, keysets: &Keysets, shared: &BTreeSet<KeysetId>) {
        for keyset in keysets.iter().filter(|keyset| !shared.contains(&keyset.id)) {
            if !self.state.keysets.iter().any(|scan| scan.keyset == keyset.id) {
                self.state.keysets.push(scan(keyset.id));
            }
        }
        for scan in &mut self.state.keysets {
            scan.done |= keysets.get(&scan.keyset).is_none() || shared.contains(&scan.keyset);
        }
    }

    /// Looks at the next batches of a keyset, and stores what they hold.
    async fn scan_batches(&mut self, keysets: &Keysets, number: usize) -> Result<(), Error> {
        let wallet = self.wallet.clone();
        let mut scan = self.state.keysets[number];
        let keyset = keysets.get(&scan.keyset).ok_or(Error::Bug("a keyset vanished while it was scanned"))?;
        let batches = batches(keyset, scan.next);
        let asked = batches.iter().map(|planned| wallet.find(keysets, planned, &[]));
        let found = try_join_all(asked).await.map_err(|error| error.of(self.id))?;
        let mut next = self.state.clone();
        let (mut new, mut spent, mut counter) = (Vec::new(), Vec::new(), None);
        for (planned, found) in batches.iter().zip(found) {
            // Nothing beyond the end of the scan counts, but what is there is kept all the same.
            if !scan.done {
                scan = advanced(scan, planned.len(), found.next.is_some());
            }
            counter = counter.max(found.next);
            next.bad = next.bad.saturating_add(found.bad);
            spent.extend(found.spent);
            new.extend(found.unspent);
        }
        if !spent.is_empty() {
            wallet.commit(Change::MarkSpent(MarkSpent { ys: spent })).await?;
        }
        let new = wallet.unknown(new).await?;
        next.found = Amount::checked_sum(new.iter().map(|proof| proof.proof.amount))?.checked_add(next.found)?;
        next.keysets[number] = scan;
        let counters = counter.map(|next| CounterStep::AtLeast { keyset: scan.keyset, next }).into_iter().collect();
        self.to(next, Moves { add: new, ..Moves::default() }, counters).await?;
        Ok(())
    }

    pub(crate) async fn complete(self, shared: Vec<KeysetId>) -> Result<Restored, Error> {
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
        let restored = Restored { operation: self.id, amount, bad: self.state.bad, shared };
        self.settle(RestoreCompleted { found: amount }, Moves::default(), Some(history)).await?;
        Ok(restored)
    }
}

/// The next batches of counters.
fn batches(keyset: &KeysetWithKeys, from: u64) -> Vec<Vec<PlannedOutput>> {
    let planned = outputs::plan_scan(keyset, from, RESTORE_BATCH * BATCHES_AT_ONCE);
    planned.chunks(RESTORE_BATCH).map(<[PlannedOutput]>::to_vec).collect()
}

fn advanced(scan: KeysetScan, batch: usize, any: bool) -> KeysetScan {
    let empty_batches = if any { 0 } else { scan.empty_batches + 1 };
    let batch = u64::try_from(batch).unwrap_or(u64::MAX);
    KeysetScan { next: scan.next.saturating_add(batch), empty_batches, done: empty_batches >= EMPTY_BATCHES, ..scan }
}
