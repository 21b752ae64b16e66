//! What an operator, or the mint in an operator's place, does to keysets: each act with a line in the audit log, in one commit.

use hazel_protocol::{Amount, KeysetId};

use super::Timestamp;
use super::change::{AddKeyset, LatchKeyset};
use super::record::{InputRow, OperationId, SignedRow};

/// Longest name of whoever acted, in bytes.
pub const MAX_ACTOR_BYTES: usize = 64;

/// Longest detail of a line of the audit log, in bytes.
pub const MAX_AUDIT_DETAIL_BYTES: usize = 1_024;

/// Most rows of each kind in one [`ImportRows`].
pub const MAX_IMPORT_ROWS: usize = 1_000;

/// Does `act` and writes `entry`, both or neither.
///
/// Refused as the act is; then nothing is written. An entry whose id is in the log already answers as the first time and
/// changes nothing, whatever happened since; with another act or another text it is refused
/// ([`Conflict::OperationEnded`](super::Conflict)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administer {
    /// The line of the log.
    pub entry: AuditEntry,
    /// What is done.
    pub act: Act,
}

/// One act on one keyset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// A new keyset, or one that is imported. As [`AddKeyset`].
    AddKeyset(AddKeyset),
    /// As [`LatchKeyset`].
    LatchKeyset(LatchKeyset),
    /// Rows that another mint wrote about an imported keyset.
    ImportRows(ImportRows),
    /// The end of an import: what is still out.
    MeterKeyset(MeterKeyset),
}

impl Act {
    /// Its name in the audit log.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AddKeyset(_) => "keyset.add",
            Self::LatchKeyset(LatchKeyset { latched: true, .. }) => "keyset.stop",
            Self::LatchKeyset(_) => "keyset.allow",
            Self::ImportRows(_) => "keyset.import",
            Self::MeterKeyset(_) => "keyset.meter",
        }
    }

    /// The keyset it is about.
    pub const fn keyset(&self) -> KeysetId {
        match self {
            Self::AddKeyset(act) => act.keyset.id,
            Self::LatchKeyset(act) => act.keyset,
            Self::ImportRows(act) => act.keyset,
            Self::MeterKeyset(act) => act.keyset,
        }
    }
}

/// Takes over what another mint had written of an imported keyset, at most [`MAX_IMPORT_ROWS`] of each kind at a time.
///
/// `spent` become SPENT, of kind swap, and count as redeemed; `signed` are stored with their signatures, of kind issue, and
/// count as issued. The rows are of the operation that has the id of the entry. Refused when the keyset is unknown, is no import or is metered
/// already (`WrongState`), or when one of the rows is known (`InputsSpent`, `InputsPending`, `OutputsSigned`, `OutputsPending`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRows {
    /// The imported keyset; every row is of it.
    pub keyset: KeysetId,
    /// Proofs that were spent at the other mint.
    pub spent: Vec<InputRow>,
    /// Outputs that the other mint has signed.
    pub signed: Vec<SignedRow>,
}

/// Says what was signed of an imported keyset elsewhere and is not among its rows. From then on no more of it is redeemed
/// than `issued + carried`.
///
/// Refused when the keyset is unknown, is no import, or carries another sum already (`WrongState`); when more than that has been
/// redeemed or is reserved (`Overdrawn`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeterKeyset {
    /// The imported keyset.
    pub keyset: KeysetId,
    /// In its unit.
    pub carried: Amount,
}

/// A line of the audit log as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// One act; never reused.
    pub id: OperationId,
    /// When.
    pub at: Timestamp,
    /// Who: the name of a credential, or the mint itself. At most [`MAX_ACTOR_BYTES`], not empty.
    pub actor: String,
    /// What more there is to say; no secrets. At most [`MAX_AUDIT_DETAIL_BYTES`].
    pub detail: String,
}

/// A line of the audit log as it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// The order of the commits: grows, and may have gaps.
    pub sequence: u64,
    /// What was written.
    pub entry: AuditEntry,
    /// [`Act::name`].
    pub action: String,
    /// The keyset it was about.
    pub keyset: KeysetId,
}

impl AuditRecord {
    /// Whether this line is the one that `change` would write.
    pub fn is_of(&self, change: &Administer) -> bool {
        self.entry == change.entry && self.action == change.act.name() && self.keyset == change.act.keyset()
    }
}
