//! How an operation moves from state to state: every step is one atomic, durable change of the store.

use hazel_protocol::PointBytes;

use crate::error::Error;
use crate::ports::{
    ApplyError, Change, CounterStep, HistoryEntry, Moves, OperationId, OperationKind, OperationRecord, SessionId, Step,
    TakeOver, Timestamp,
};
use crate::state::{Refused, State};
use crate::wallet::{Driving, Wallet};

/// An unfinished operation in state `S`, driven by this process.
///
/// Dropping it leaves the operation as it stands in the store, for [`Wallet::resume`].
#[derive(Debug)]
pub(crate) struct Saga<S> {
    pub(crate) wallet: Wallet,
    pub(crate) id: OperationId,
    pub(crate) state: S,
    version: u64,
    session: SessionId,
    created_at: Timestamp,
    driving: Driving,
}

impl Wallet {
    /// Begins an operation.
    pub(crate) async fn begin<S: Clone + Into<State>>(
        &self,
        state: S,
        moves: Moves,
        counters: Vec<CounterStep>,
    ) -> Result<Saga<S>, ApplyError> {
        self.begin_as(self.new_operation_id(), state, moves, counters).await
    }

    /// As [`begin`](Self::begin), with an id that was drawn before.
    pub(crate) async fn begin_as<S: Clone + Into<State>>(
        &self,
        id: OperationId,
        state: S,
        moves: Moves,
        counters: Vec<CounterStep>,
    ) -> Result<Saga<S>, ApplyError> {
        let driving = self.drive(id).ok_or_else(|| ApplyError::Corrupt("an operation id came twice".to_owned()))?;
        let session = self.inner.store.session();
        let mut saga = Saga { wallet: self.clone(), id, state, version: 0, session, created_at: self.now(), driving };
        let operation = saga.next_record(saga.state.clone().into());
        self.commit(Change::Begin(Box::new(Step { operation, moves, counters, history: None }))).await?;
        saga.version = 1;
        Ok(saga)
    }

    /// Takes up an operation that nobody drives; none when somebody does.
    pub(crate) async fn adopt(&self, row: OperationRecord) -> Result<Option<Saga<State>>, Error> {
        let Some(driving) = self.drive(row.id) else { return Ok(None) };
        // Read again: it may have moved between the listing and this point.
        let Some(row) = self.inner.store.operation(row.id).await?.filter(|row| !row.state.is_finished()) else {
            return Ok(None);
        };
        let session = self.inner.store.session();
        let mut version = row.version;
        if row.session != session {
            if !self.inner.store.session_gone(row.session).await? {
                return Ok(None);
            }
            let change = TakeOver { operation: row.id, version, session, at: self.now() };
            self.commit(Change::TakeOver(change)).await?;
            version = version.saturating_add(1);
        }
        let OperationRecord { id, created_at, state, .. } = row;
        Ok(Some(Saga { wallet: self.clone(), id, state, version, session, created_at, driving }))
    }
}

impl<S: Clone + Into<State>> Saga<S> {
    /// Goes on to another value of the same state. On an error the operation stays where it is.
    pub(crate) async fn to(&mut self, next: S, moves: Moves, counters: Vec<CounterStep>) -> Result<(), ApplyError> {
        self.advance(&next, moves, counters).await?;
        self.state = next;
        Ok(())
    }
}

impl<S> Saga<S> {
    fn next_record(&self, state: State) -> OperationRecord {
        OperationRecord {
            id: self.id,
            mint: self.wallet.inner.mint.clone(),
            unit: self.wallet.inner.unit.clone(),
            seed: self.wallet.inner.fingerprint,
            version: self.version.saturating_add(1),
            session: self.session,
            created_at: self.created_at,
            updated_at: self.wallet.now(),
            state,
        }
    }

    /// The same operation with another value for its state, which must be the stored one.
    pub(crate) fn with<N>(self, state: N) -> Saga<N> {
        let Self { wallet, id, version, session, created_at, driving, .. } = self;
        Saga { wallet, id, state, version, session, created_at, driving }
    }

    /// Goes on to another unfinished state. On an error the operation stays where it is.
    pub(crate) async fn advance<N: Clone + Into<State>>(
        &mut self,
        next: &N,
        moves: Moves,
        counters: Vec<CounterStep>,
    ) -> Result<(), ApplyError> {
        let operation = self.next_record(next.clone().into());
        let step = Step { operation, moves, counters, history: None };
        self.wallet.commit(Change::Advance(Box::new(step))).await?;
        self.version = self.version.saturating_add(1);
        Ok(())
    }

    /// Ends the operation.
    pub(crate) async fn settle(
        self,
        end: impl Into<State>,
        moves: Moves,
        history: Option<HistoryEntry>,
    ) -> Result<(), Error> {
        let operation = self.next_record(end.into());
        let step = Step { operation, moves, counters: Vec::new(), history };
        Ok(self.wallet.commit(Change::Settle(Box::new(step))).await?)
    }

    /// Ends an operation that was never applied: everything it holds is free again.
    pub(crate) async fn release(self, end: impl Into<State>) -> Result<(), Error> {
        let release = self.held().await?;
        self.settle(end, Moves { release, ..Moves::default() }, None).await
    }

    /// Ends an operation that the mint refused for good, and says so.
    pub(crate) async fn refuse(self, kind: OperationKind, code: u16, detail: String) -> Result<Error, Error> {
        self.release(Refused { kind, code: Some(code) }).await?;
        Ok(Error::Refused { code, detail })
    }

    /// The proofs that the operation holds.
    pub(crate) async fn held(&self) -> Result<Vec<PointBytes>, Error> {
        let held = self.wallet.inner.store.held_by(self.id).await?;
        Ok(held.into_iter().map(|proof| proof.y).collect())
    }

    pub(crate) fn ambiguous(&self, reason: impl Into<String>) -> Error {
        Error::Ambiguous { operation: Some(self.id), reason: reason.into() }
    }

    /// What an error means while copies of a request may be under way: what cannot be had now can be had later, so the outcome
    /// is open. What the mint or this side did wrong stays what it is.
    pub(crate) fn in_doubt(&self, error: Error) -> Error {
        match error {
            Error::HostileMint { .. } | Error::Store(_) | Error::Read(_) | Error::Bug(_) => error.of(self.id),
            Error::Unreachable(reason) | Error::Ambiguous { reason, .. } => self.ambiguous(reason),
            Error::Refused { detail, .. } if !detail.is_empty() => self.ambiguous(detail),
            other => self.ambiguous(other.to_string()),
        }
    }
}
