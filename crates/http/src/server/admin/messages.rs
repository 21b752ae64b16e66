//! The messages of the operator's surface.

use hazel_mint::KeysetState;
use hazel_mint::ports::{AuditRecord, OperationRecord, Timestamp};
use hazel_protocol::{Amount, BoundedVec, CurrencyUnit, KeysetId, MAX_KEYS_PER_KEYSET};
use serde::{Deserialize, Serialize};

/// Longest reason for stopping or allowing a keyset, in bytes of UTF-8.
pub(super) const MAX_REASON_BYTES: usize = 512;

/// A new keyset for a unit. Fee and denominations are those of the configuration where they are not given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RotateRequest {
    pub(super) unit: CurrencyUnit,
    #[serde(default)]
    pub(super) input_fee_ppk: Option<u64>,
    #[serde(default)]
    pub(super) denominations: Option<BoundedVec<Amount, MAX_KEYS_PER_KEYSET>>,
    /// In seconds since 1970; without it the keyset never expires.
    #[serde(default)]
    pub(super) final_expiry: Option<u64>,
}

/// Why a keyset is stopped or allowed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LatchRequest {
    pub(super) reason: String,
}

/// What was signed of an import elsewhere.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeterRequest {
    pub(super) carried: Amount,
}

/// A page of keysets, in the order they were added.
#[derive(Debug, Serialize)]
pub(super) struct KeysetList {
    /// How many there are.
    pub(super) count: usize,
    pub(super) keysets: Vec<KeysetView>,
}

/// A keyset with its books, in its unit.
#[derive(Debug, Serialize)]
pub(super) struct KeysetView {
    id: KeysetId,
    unit: CurrencyUnit,
    /// Whether it signs outputs.
    active: bool,
    /// Whether nothing of it is redeemed until an operator allows it.
    stopped: bool,
    imported: bool,
    input_fee_ppk: u64,
    final_expiry: Option<u64>,
    created_at: u64,
    denominations: Vec<Amount>,
    issued: Amount,
    redeemed: Amount,
    reserved: Amount,
    fees: Amount,
    /// What was signed of it elsewhere; null for an import that is unmetered.
    carried: Option<Amount>,
}

impl From<KeysetState> for KeysetView {
    fn from(KeysetState { record, totals, signs }: KeysetState) -> Self {
        Self {
            id: record.id,
            active: signs,
            stopped: record.latched,
            imported: record.index().is_none(),
            input_fee_ppk: record.input_fee_ppk,
            final_expiry: record.final_expiry.map(Timestamp::to_unix),
            created_at: record.created_at.to_unix(),
            denominations: record.keys.amounts().into_iter().collect(),
            issued: totals.issued,
            redeemed: totals.redeemed,
            reserved: totals.reserved,
            fees: totals.fees,
            carried: record.carried(),
            unit: record.unit,
        }
    }
}

/// A page of unfinished operations.
#[derive(Debug, Serialize)]
pub(super) struct OperationList {
    pub(super) operations: Vec<OperationView>,
}

/// An unfinished operation. Its quote is not shown: who knows the id of a quote can act on it.
#[derive(Debug, Serialize)]
pub(super) struct OperationView {
    id: String,
    kind: &'static str,
    state: &'static str,
    created_at: u64,
    /// Until when the backend may begin the payment of a melt.
    not_after: Option<u64>,
}

impl From<OperationRecord> for OperationView {
    fn from(record: OperationRecord) -> Self {
        Self {
            id: record.id.to_string(),
            kind: record.kind.as_str(),
            state: record.state.as_str(),
            created_at: record.created_at.to_unix(),
            not_after: record.melt.and_then(|melt| melt.not_after).map(Timestamp::to_unix),
        }
    }
}

/// A page of the audit log, newest first.
#[derive(Debug, Serialize)]
pub(super) struct AuditList {
    pub(super) audit: Vec<AuditView>,
}

/// A line of the audit log.
#[derive(Debug, Serialize)]
pub(super) struct AuditView {
    sequence: u64,
    id: String,
    at: u64,
    actor: String,
    action: String,
    keyset: KeysetId,
    detail: String,
}

impl From<AuditRecord> for AuditView {
    fn from(record: AuditRecord) -> Self {
        Self {
            sequence: record.sequence,
            id: record.entry.id.to_string(),
            at: record.entry.at.to_unix(),
            actor: record.entry.actor,
            action: record.action,
            keyset: record.keyset,
            detail: record.entry.detail,
        }
    }
}
