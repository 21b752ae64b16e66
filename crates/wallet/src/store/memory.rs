//! The wallet's memory as plain maps: for tests, and the model that other stores are compared with.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use hazel_protocol::{Amount, CurrencyUnit, KeysetId, MintUrl, PointBytes};

use crate::keysets::{collide, unchanged};
use crate::ports::{
    AddMint, ApplyError, BalanceRecord, Change, Conflict, CounterStep, ErrandId, ErrandRecord, HistoryEntry,
    KeysetRecord, MarkSpent, MintRecord, Moves, OperationId, OperationRecord, ProofRecord, ProofStatus, ReadError,
    RecordInfo, RecordKeysets, SeedFingerprint, SessionId, Step, Store, TakeOver,
};

#[derive(Debug, Clone, Default)]
struct Tables {
    mints: BTreeMap<MintUrl, MintRecord>,
    keysets: BTreeMap<(MintUrl, KeysetId), KeysetRecord>,
    counters: BTreeMap<(SeedFingerprint, KeysetId), u64>,
    proofs: BTreeMap<PointBytes, ProofRecord>,
    operations: BTreeMap<OperationId, OperationRecord>,
    history: Vec<HistoryEntry>,
    errands: BTreeMap<ErrandId, ErrandRecord>,
}

/// A store that forgets everything when its last clone is dropped.
#[derive(Debug)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    /// The number of the session that is open.
    newest: Arc<AtomicU64>,
    session: SessionId,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { tables: Arc::default(), newest: Arc::default(), session: session(0) }
    }

    /// The same content under a new session, as after a restart: this one counts as gone from now on.
    #[must_use]
    pub fn reopen(&self) -> Self {
        let number = self.newest.fetch_add(1, Ordering::SeqCst) + 1;
        Self { tables: Arc::clone(&self.tables), newest: Arc::clone(&self.newest), session: session(number) }
    }

    /// The same store under the same session.
    #[cfg(any(test, feature = "contract"))]
    pub(crate) fn twin(&self) -> Self {
        Self { tables: Arc::clone(&self.tables), newest: Arc::clone(&self.newest), session: self.session }
    }

    /// A store of its own with the content that this one has now, under a new session: a copy of the disk at a crash.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let tables = Arc::new(Mutex::new(self.lock().clone()));
        let number = self.newest.load(Ordering::SeqCst) + 1;
        Self { tables, newest: Arc::new(AtomicU64::new(number)), session: session(number) }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        // Changes are made on a copy, so a panic cannot leave the tables half changed.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn select<T>(&self, read: impl FnOnce(&Tables) -> T) -> T {
        read(&self.lock())
    }
}

fn session(number: u64) -> SessionId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

impl Tables {
    fn apply(&mut self, change: Change, open: SessionId) -> Result<(), Conflict> {
        match change {
            Change::AddMint(change) => self.add_mint(change),
            Change::RecordInfo(change) => return self.record_info(*change),
            Change::RecordKeysets(change) => return self.record_keysets(&change),
            Change::Begin(step) => return self.begin(*step),
            Change::Advance(step) => return self.go_on(*step, false),
            Change::Settle(step) => return self.go_on(*step, true),
            Change::TakeOver(change) => return self.take_over(&change, open),
            Change::MarkSpent(change) => self.mark_spent(&change),
            Change::KeepErrand(record) => return self.keep_errand(*record),
        }
        Ok(())
    }

    fn add_mint(&mut self, change: AddMint) {
        let record = MintRecord { url: change.url.clone(), info: None, added_at: change.at, refreshed_at: None };
        self.mints.entry(change.url).or_insert(record);
    }

    fn record_info(&mut self, change: RecordInfo) -> Result<(), Conflict> {
        let record = self.mints.get_mut(&change.url).ok_or(Conflict::MintUnknown(change.url))?;
        record.info = Some(change.info);
        record.refreshed_at = Some(change.at);
        Ok(())
    }

    fn record_keysets(&mut self, change: &RecordKeysets) -> Result<(), Conflict> {
        if !self.mints.contains_key(&change.mint) {
            return Err(Conflict::MintUnknown(change.mint.clone()));
        }
        for shown in &change.keysets {
            let place = (change.mint.clone(), shown.id);
            if let Some(known) = self.keysets.get_mut(&place) {
                if !unchanged(&known.keyset, shown) {
                    return Err(Conflict::KeysetChanged(shown.id));
                }
                known.keyset.active = shown.active;
                continue;
            }
            let collides = |known: &&KeysetRecord| collide((&known.mint, &known.keyset.id), (&change.mint, &shown.id));
            if let Some(other) = self.keysets.values().find(collides) {
                return Err(Conflict::KeysetCollides(shown.id, other.keyset.id, other.mint.clone()));
            }
            let record = KeysetRecord { mint: change.mint.clone(), keyset: shown.clone() };
            self.keysets.insert(place, record);
        }
        Ok(())
    }

    fn begin(&mut self, step: Step) -> Result<(), Conflict> {
        let row = &step.operation;
        if row.version != 1 || row.state.is_finished() {
            return Err(Conflict::Malformed("an operation begins unfinished, at version 1"));
        }
        if !self.mints.contains_key(&row.mint) {
            return Err(Conflict::MintUnknown(row.mint.clone()));
        }
        match self.operations.get(&row.id) {
            Some(known) if known == row => return Ok(()),
            Some(_) => return Err(Conflict::OperationExists),
            None => {}
        }
        self.step(step)
    }

    fn go_on(&mut self, step: Step, finish: bool) -> Result<(), Conflict> {
        let row = &step.operation;
        if row.state.is_finished() != finish {
            return Err(Conflict::Malformed("only a settled operation is finished"));
        }
        let known = self.operations.get(&row.id).ok_or(Conflict::OperationMoved)?;
        if known == row {
            return Ok(());
        }
        let expected = known.version.checked_add(1) == Some(row.version);
        if known.state.is_finished() || !expected || known.session != row.session {
            return Err(Conflict::OperationMoved);
        }
        let id = row.id;
        self.step(step)?;
        if finish && self.proofs.values().any(|proof| proof.held_by == Some(id)) {
            return Err(Conflict::Malformed("a settled operation leaves no proof held"));
        }
        Ok(())
    }

    fn step(&mut self, step: Step) -> Result<(), Conflict> {
        let Step { operation, moves, counters, history } = step;
        if history.is_some() && !operation.state.is_finished() {
            return Err(Conflict::Malformed("only a settled operation has a history"));
        }
        self.move_proofs(operation.id, moves)?;
        for counter in counters {
            self.count(operation.seed, counter)?;
        }
        if let Some(entry) = history {
            self.history.push(entry);
        }
        self.operations.insert(operation.id, operation);
        Ok(())
    }

    fn move_proofs(&mut self, id: OperationId, moves: Moves) -> Result<(), Conflict> {
        for y in &moves.hold {
            let proof = self.proofs.get_mut(y).ok_or(Conflict::ProofTaken)?;
            if !matches!(proof.status, ProofStatus::Available | ProofStatus::Sent) {
                return Err(Conflict::ProofTaken);
            }
            proof.status = ProofStatus::Held;
            proof.held_by = Some(id);
        }
        for y in &moves.spend {
            self.let_go(id, y)?.status = ProofStatus::Spent;
        }
        for y in &moves.release {
            let proof = self.let_go(id, y)?;
            proof.status = if proof.sent_by.is_some() { ProofStatus::Sent } else { ProofStatus::Available };
        }
        for y in &moves.send {
            let proof = self.let_go(id, y)?;
            proof.status = ProofStatus::Sent;
            proof.sent_by = Some(id);
        }
        for proof in moves.add {
            if (proof.status == ProofStatus::Held) != proof.held_by.is_some() {
                return Err(Conflict::Malformed("a held proof names its holder"));
            }
            if proof.status == ProofStatus::Sent && proof.sent_by.is_none() {
                return Err(Conflict::Malformed("a sent proof names its operation"));
            }
            self.proofs.entry(proof.y).or_insert(proof);
        }
        Ok(())
    }

    fn let_go(&mut self, id: OperationId, y: &PointBytes) -> Result<&mut ProofRecord, Conflict> {
        let proof = self.proofs.get_mut(y).filter(|proof| proof.held_by == Some(id)).ok_or(Conflict::ProofTaken)?;
        proof.held_by = None;
        Ok(proof)
    }

    fn count(&mut self, seed: SeedFingerprint, step: CounterStep) -> Result<(), Conflict> {
        match step {
            CounterStep::Take { keyset, from, count } => {
                let next = self.counters.entry((seed, keyset)).or_insert(0);
                let end = from.checked_add(count).ok_or(Conflict::Malformed("a counter overflows"))?;
                if *next != from {
                    return Err(Conflict::CounterMoved(keyset));
                }
                *next = end;
            }
            CounterStep::AtLeast { keyset, next } => {
                let counter = self.counters.entry((seed, keyset)).or_insert(0);
                *counter = (*counter).max(next);
            }
        }
        Ok(())
    }

    fn take_over(&mut self, change: &TakeOver, open: SessionId) -> Result<(), Conflict> {
        let row = self.operations.get_mut(&change.operation).ok_or(Conflict::OperationMoved)?;
        let is_open = row.session == open || row.session == change.session;
        if row.session == change.session && row.version == change.version.saturating_add(1) {
            return Ok(());
        }
        if row.version != change.version || row.state.is_finished() {
            return Err(Conflict::OperationMoved);
        }
        if is_open {
            return Err(Conflict::SessionAlive);
        }
        row.session = change.session;
        row.version = change.version.saturating_add(1);
        row.updated_at = change.at;
        Ok(())
    }

    fn keep_errand(&mut self, record: ErrandRecord) -> Result<(), Conflict> {
        let known = self.errands.get(&record.id);
        if known == Some(&record) {
            return Ok(());
        }
        let version = known.map_or(0, |known| known.version);
        if known.is_some_and(|known| known.errand.is_done()) || version.checked_add(1) != Some(record.version) {
            return Err(Conflict::ErrandMoved);
        }
        self.errands.insert(record.id, record);
        Ok(())
    }

    fn mark_spent(&mut self, change: &MarkSpent) {
        for y in &change.ys {
            if let Some(proof) = self.proofs.get_mut(y).filter(|proof| proof.held_by.is_none()) {
                proof.status = ProofStatus::Spent;
            }
        }
    }

    fn balances(&self) -> Result<Vec<BalanceRecord>, ReadError> {
        let mut sums: BTreeMap<(MintUrl, CurrencyUnit), BalanceRecord> = BTreeMap::new();
        for proof in self.proofs.values().filter(|proof| proof.status != ProofStatus::Spent) {
            let key = (proof.mint.clone(), proof.unit.clone());
            let sum = sums.entry(key).or_insert_with(|| BalanceRecord {
                mint: proof.mint.clone(),
                unit: proof.unit.clone(),
                available: Amount::ZERO,
                held: Amount::ZERO,
                sent: Amount::ZERO,
            });
            let part = match proof.status {
                ProofStatus::Available => &mut sum.available,
                ProofStatus::Held => &mut sum.held,
                ProofStatus::Sent => &mut sum.sent,
                ProofStatus::Spent => continue,
            };
            *part = part
                .checked_add(proof.proof.amount)
                .map_err(|_| ReadError::Corrupt("the balance overflows".to_owned()))?;
        }
        Ok(sums.into_values().collect())
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn session(&self) -> SessionId {
        self.session
    }

    async fn session_gone(&self, of: SessionId) -> Result<bool, ReadError> {
        Ok(of != session(self.newest.load(Ordering::SeqCst)))
    }

    async fn apply(&self, change: Change) -> Result<(), ApplyError> {
        let mut tables = self.lock();
        let mut next = tables.clone();
        next.apply(change, session(self.newest.load(Ordering::SeqCst)))?;
        *tables = next;
        Ok(())
    }

    async fn mints(&self) -> Result<Vec<MintRecord>, ReadError> {
        Ok(self.select(|tables| tables.mints.values().cloned().collect()))
    }

    async fn mint(&self, url: &MintUrl) -> Result<Option<MintRecord>, ReadError> {
        Ok(self.select(|tables| tables.mints.get(url).cloned()))
    }

    async fn keysets(&self, mint: &MintUrl) -> Result<Vec<KeysetRecord>, ReadError> {
        Ok(self.select(|tables| tables.keysets.values().filter(|record| record.mint == *mint).cloned().collect()))
    }

    async fn counter(&self, seed: SeedFingerprint, keyset: KeysetId) -> Result<u64, ReadError> {
        Ok(self.select(|tables| tables.counters.get(&(seed, keyset)).copied().unwrap_or(0)))
    }

    async fn proofs(
        &self,
        mint: &MintUrl,
        unit: &CurrencyUnit,
        status: ProofStatus,
    ) -> Result<Vec<ProofRecord>, ReadError> {
        Ok(self.select(|tables| {
            let proofs = tables.proofs.values();
            proofs.filter(|p| p.mint == *mint && p.unit == *unit && p.status == status).cloned().collect()
        }))
    }

    async fn proofs_by_y(&self, ys: &[PointBytes]) -> Result<Vec<Option<ProofRecord>>, ReadError> {
        Ok(self.select(|tables| ys.iter().map(|y| tables.proofs.get(y).cloned()).collect()))
    }

    async fn held_by(&self, operation: OperationId) -> Result<Vec<ProofRecord>, ReadError> {
        Ok(self.select(|tables| {
            tables.proofs.values().filter(|proof| proof.held_by == Some(operation)).cloned().collect()
        }))
    }

    async fn sent_by(&self, operation: OperationId) -> Result<Vec<ProofRecord>, ReadError> {
        Ok(self.select(|tables| {
            tables.proofs.values().filter(|proof| proof.sent_by == Some(operation)).cloned().collect()
        }))
    }

    async fn operation(&self, id: OperationId) -> Result<Option<OperationRecord>, ReadError> {
        Ok(self.select(|tables| tables.operations.get(&id).cloned()))
    }

    async fn unfinished(&self, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Vec<OperationRecord>, ReadError> {
        Ok(self.select(|tables| {
            let rows = tables.operations.values().filter(|row| row.mint == *mint && row.unit == *unit);
            rows.filter(|row| !row.state.is_finished()).cloned().collect()
        }))
    }

    async fn watched(&self, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Vec<OperationRecord>, ReadError> {
        Ok(self.select(|tables| {
            let rows = tables.operations.values().filter(|row| row.mint == *mint && row.unit == *unit);
            rows.filter(|row| row.state.is_watched()).cloned().collect()
        }))
    }

    async fn errand(&self, id: ErrandId) -> Result<Option<ErrandRecord>, ReadError> {
        Ok(self.select(|tables| tables.errands.get(&id).cloned()))
    }

    async fn open_errands(&self) -> Result<Vec<ErrandRecord>, ReadError> {
        Ok(self.select(|tables| tables.errands.values().filter(|record| !record.errand.is_done()).cloned().collect()))
    }

    async fn balances(&self) -> Result<Vec<BalanceRecord>, ReadError> {
        self.lock().balances()
    }

    async fn history(
        &self,
        of: Option<(&MintUrl, &CurrencyUnit)>,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, ReadError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok(self.select(|tables| {
            let written = &tables.history;
            let end = match before {
                Some(before) => written.iter().position(|entry| entry.operation == before).unwrap_or(0),
                None => written.len(),
            };
            let newest_first = written[..end].iter().rev();
            newest_first
                .filter(|entry| of.is_none_or(|(mint, unit)| entry.mint == *mint && entry.unit == *unit))
                .take(limit)
                .cloned()
                .collect()
        }))
    }
}
