//! The wallet's memory: one funnel for every write, and reads that cost one query each.

use async_trait::async_trait;
use hazel_protocol::{CurrencyUnit, KeysetId, MintUrl, PointBytes};

use super::{
    BalanceRecord, Change, ErrandId, ErrandRecord, HistoryEntry, KeysetRecord, MintRecord, OperationId,
    OperationRecord, ProofRecord, ProofStatus, SeedFingerprint, SessionId,
};

/// Why the store refuses a change. Nothing was applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// The mint was not added.
    #[error("the mint {0} was not added to this wallet")]
    MintUnknown(MintUrl),
    /// The mint shows other keys, another unit, fee or expiry under an id than before.
    #[error("the mint changed keyset {0}, which must never change")]
    KeysetChanged(KeysetId),
    /// Another keyset has the same short id at this mint, or the same derivation path at any.
    #[error("keyset {0} collides with keyset {1} of {2}")]
    KeysetCollides(KeysetId, KeysetId, MintUrl),
    /// A proof is unknown, held by another operation, or spent.
    #[error("a proof is in use by another operation")]
    ProofTaken,
    /// A counter has moved since it was read.
    #[error("the counter of keyset {0} has moved")]
    CounterMoved(KeysetId),
    /// An operation of this id exists.
    #[error("the operation exists")]
    OperationExists,
    /// The operation is unknown, has finished, has moved on since it was read, or another session drives it.
    #[error("the operation has moved on")]
    OperationMoved,
    /// The errand is not at the version that was read.
    #[error("the errand has moved on")]
    ErrandMoved,
    /// The former session of an operation is still open.
    #[error("the operation belongs to a session that is still open")]
    SessionAlive,
    /// The change breaks the rules of [`Change`]; a bug.
    #[error("the change breaks its own rules: {0}")]
    Malformed(&'static str),
}

/// Why a change did not apply, or may not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// Refused by the state of the store. Definite.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// Not applied: the disk is full, the database is away. Definite.
    #[error("the wallet's database is unavailable: {0}")]
    Unavailable(String),
    /// The outcome of the commit is not known. Send the same change again until the answer is definite.
    #[error("the outcome of a commit is not known: {0}")]
    Ambiguous(String),
    /// A row is malformed. Nothing was applied; the evidence stays.
    #[error("the wallet's database is corrupt: {0}")]
    Corrupt(String),
}

/// Why a read has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Try again later.
    #[error("the wallet's database is unavailable: {0}")]
    Unavailable(String),
    /// A row is malformed. It is never read as a default value.
    #[error("the wallet's database is corrupt: {0}")]
    Corrupt(String),
}

/// The memory of wallets: mints, keysets, counters, proofs, operations, history. It holds no seed.
///
/// # Crash semantics
/// [`apply`](Store::apply) returns `Ok` only after the change would survive a power cut; after such a cut the store holds
/// a prefix of the applied changes, in their order, and every acknowledged one. Reads see every change whose `apply`
/// has returned.
///
/// # Sessions
/// Each opening of the store is a session. A store that locks out other processes knows that all earlier sessions are
/// gone; one that is shared knows by leases.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The session of this opening.
    fn session(&self) -> SessionId;

    /// Whether nobody acts for that session any more. False for [`session`](Self::session).
    async fn session_gone(&self, session: SessionId) -> Result<bool, ReadError>;

    /// Applies one change atomically and durably, or nothing at all.
    async fn apply(&self, change: Change) -> Result<(), ApplyError>;

    /// Every mint, in the order of their URLs.
    async fn mints(&self) -> Result<Vec<MintRecord>, ReadError>;

    /// One mint.
    async fn mint(&self, url: &MintUrl) -> Result<Option<MintRecord>, ReadError>;

    /// The keysets of a mint, in the order of their ids.
    async fn keysets(&self, mint: &MintUrl) -> Result<Vec<KeysetRecord>, ReadError>;

    /// The first counter that the seed never used under the keyset; 0 when it used none.
    async fn counter(&self, seed: SeedFingerprint, keyset: KeysetId) -> Result<u64, ReadError>;

    /// The proofs of one mint and unit in one status, in the order of their Ys.
    async fn proofs(
        &self,
        mint: &MintUrl,
        unit: &CurrencyUnit,
        status: ProofStatus,
    ) -> Result<Vec<ProofRecord>, ReadError>;

    /// These proofs, one entry for each Y, in that order.
    async fn proofs_by_y(&self, ys: &[PointBytes]) -> Result<Vec<Option<ProofRecord>>, ReadError>;

    /// The proofs that an operation holds, in the order of their Ys.
    async fn held_by(&self, operation: OperationId) -> Result<Vec<ProofRecord>, ReadError>;

    /// The proofs that were handed out in an operation's token, whatever became of them, in the order of their Ys.
    async fn sent_by(&self, operation: OperationId) -> Result<Vec<ProofRecord>, ReadError>;

    /// One operation, finished or not.
    async fn operation(&self, id: OperationId) -> Result<Option<OperationRecord>, ReadError>;

    /// The unfinished operations of one mint and unit, oldest id first.
    async fn unfinished(&self, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Vec<OperationRecord>, ReadError>;

    /// Finished operations of one mint and unit whose request may still reach the mint, oldest id first.
    async fn watched(&self, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Vec<OperationRecord>, ReadError>;

    /// One errand, done or not.
    async fn errand(&self, id: ErrandId) -> Result<Option<ErrandRecord>, ReadError>;

    /// The errands that are not done, oldest id first.
    async fn open_errands(&self) -> Result<Vec<ErrandRecord>, ReadError>;

    /// What there is of each mint and unit, in their order; pairs without unspent proofs are left out.
    async fn balances(&self) -> Result<Vec<BalanceRecord>, ReadError>;

    /// Up to `limit` lines of the history, last written first, of one mint and unit or of all; only those written before
    /// the line of the operation `before`, and none when that has no line.
    async fn history(
        &self,
        of: Option<(&MintUrl, &CurrencyUnit)>,
        before: Option<OperationId>,
        limit: u32,
    ) -> Result<Vec<HistoryEntry>, ReadError>;
}
