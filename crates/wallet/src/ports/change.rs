//! Everything that may be written, as named changes.

use hazel_protocol::{KeysetId, KeysetWithKeys, MintInfo, MintUrl, PointBytes};

use super::{ErrandRecord, HistoryEntry, OperationId, OperationRecord, ProofRecord, SessionId, Timestamp};

/// One atomic change. Applied in full and durable when [`Store::apply`](super::Store::apply) returns `Ok`, else not at all.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The user trusts this mint from now on. A mint that is known stays as it is.
    AddMint(AddMint),
    /// What the mint says about itself.
    RecordInfo(Box<RecordInfo>),
    /// The mint's keysets.
    RecordKeysets(RecordKeysets),
    /// A new operation, in an unfinished state, at version 1. Its id must be new.
    Begin(Box<Step>),
    /// An unfinished operation goes on to another unfinished state.
    Advance(Box<Step>),
    /// An unfinished operation finishes. No proof may stay held by it.
    Settle(Box<Step>),
    /// An unfinished operation of a session that is gone gets a new driver.
    TakeOver(TakeOver),
    /// The mint showed that these proofs, held by nobody, are spent. Unknown and spent ones are passed over;
    /// held ones too, for they belong to their operation.
    MarkSpent(MarkSpent),
    /// An errand is new, at version 1, or follows the stored version of itself. What equals the stored one is this change applied
    /// earlier. One that is done never changes.
    KeepErrand(Box<ErrandRecord>),
}

/// See [`Change::AddMint`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddMint {
    /// Where it is reached.
    pub url: MintUrl,
    /// When the user added it.
    pub at: Timestamp,
}

/// See [`Change::RecordInfo`]. The mint must have been added.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordInfo {
    /// The mint.
    pub url: MintUrl,
    /// What it said.
    pub info: MintInfo,
    /// When.
    pub at: Timestamp,
}

/// See [`Change::RecordKeysets`]. The mint must have been added.
///
/// Everything about a keyset but its `active` flag is fixed when it is first seen. Refused as a whole when one keyset
/// contradicts that, or collides with another (see [`collide`](crate::keysets::collide)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordKeysets {
    /// The mint.
    pub mint: MintUrl,
    /// New keysets, and known ones whose flag changes.
    pub keysets: Vec<KeysetWithKeys>,
}

/// One step of an operation: how its row stands afterwards, and what moves with it.
///
/// The stored row must be at `operation.version - 1` and driven by `operation.session`; a row that equals `operation`
/// already is this same step applied earlier, and answers as the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The row as it stands after the step.
    pub operation: OperationRecord,
    /// What becomes of proofs.
    pub moves: Moves,
    /// What becomes of counters, under the seed of the operation.
    pub counters: Vec<CounterStep>,
    /// What the history says; only with [`Change::Settle`].
    pub history: Option<HistoryEntry>,
}

/// What a step does with proofs. The lists share no proof.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moves {
    /// Available or sent proofs that the operation takes hold of.
    pub hold: Vec<PointBytes>,
    /// Held proofs that were spent.
    pub spend: Vec<PointBytes>,
    /// Held proofs that go back to what they were: sent if they had been sent, else available.
    pub release: Vec<PointBytes>,
    /// Held proofs that are handed out in the operation's token.
    pub send: Vec<PointBytes>,
    /// New proofs, as they shall stand. One that is known stays as it is.
    pub add: Vec<ProofRecord>,
}

/// What a step does with a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CounterStep {
    /// Takes `count` counters beginning at `from`, which must be the next one.
    Take {
        /// The keyset.
        keyset: KeysetId,
        /// The next counter as it was read.
        from: u64,
        /// How many.
        count: u64,
    },
    /// Moves the next counter up to `next`, never down.
    AtLeast {
        /// The keyset.
        keyset: KeysetId,
        /// The first counter not known to be used.
        next: u64,
    },
}

/// See [`Change::TakeOver`]. The former session must be gone. The version goes up by one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeOver {
    /// The operation.
    pub operation: OperationId,
    /// Its version as it was read.
    pub version: u64,
    /// Who drives it from now on.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
}

/// See [`Change::MarkSpent`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkSpent {
    /// The proofs.
    pub ys: Vec<PointBytes>,
}
