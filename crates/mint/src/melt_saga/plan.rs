//! What to do next with an unfinished melt that nobody drives: a pure function of what is known.

use crate::ports::{
    MeltOutcome, MeltProgress, OperationRecord, OperationState, OwnerId, PaymentProof, PaymentStatus, Timestamp,
};

/// Seconds after `not_after` during which a call that was begun in time may still reach the backend.
pub(super) const NOT_AFTER_MARGIN_SECS: u64 = 5;

/// What is known beside the record.
#[derive(Debug, Clone)]
pub struct Facts {
    /// What the backend says of our payment id; `None` when it was not asked or did not answer.
    pub status: Option<PaymentStatus>,
    /// Whether what it says is proven: the preimage hashes to the payment hash, or the backend vouches and may.
    pub proof_holds: bool,
    /// This process; it drives nothing of this operation, or it would not ask.
    pub me: OwnerId,
    /// Whether the process that dispatched is known to be dead.
    pub dispatcher_is_dead: bool,
    /// The time.
    pub now: Timestamp,
}

/// The next step of a melt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing was ever paid: give the inputs back.
    Release,
    /// The payment is proven: settle.
    Settle,
    /// Write down the backend's word, then plan again.
    Record(MeltOutcome),
    /// Nothing can be decided now.
    Wait,
    /// Nothing can be decided, and an operator has to know why.
    Alarm(&'static str),
    /// A swap, or a record that makes no sense: leave it alone.
    NotMine,
}

/// Decides the next step.
pub fn plan(record: &OperationRecord, facts: &Facts) -> Step {
    let Some(melt) = &record.melt else { return Step::NotMine };
    match record.state {
        OperationState::SetupComplete => Step::NotMine,
        OperationState::Reserved | OperationState::Failed => Step::Release,
        OperationState::Paid => Step::Settle,
        OperationState::Dispatched | OperationState::Unknown => by_evidence(record.state, melt, facts),
    }
}

fn by_evidence(state: OperationState, melt: &MeltProgress, facts: &Facts) -> Step {
    let acknowledged = state == OperationState::Unknown;
    match &facts.status {
        Some(PaymentStatus::Paid(evidence)) if facts.proof_holds => Step::Record(MeltOutcome::Paid(evidence.clone())),
        Some(PaymentStatus::Failed) if !may_still_pay(melt, facts) => Step::Record(MeltOutcome::Failed),
        Some(PaymentStatus::NeverHeard) if !acknowledged && is_too_late(melt, facts) => {
            Step::Record(MeltOutcome::Failed)
        }
        Some(PaymentStatus::NeverHeard) if acknowledged => Step::Alarm("the backend has forgotten a payment it had"),
        Some(PaymentStatus::Paid(_)) if acknowledged => Step::Alarm("the backend says paid without a proof"),
        Some(PaymentStatus::Paid(_) | PaymentStatus::Pending) if !acknowledged => Step::Record(MeltOutcome::Unknown),
        _ => Step::Wait,
    }
}

/// Whether some process can still call the backend for this melt, so that "failed" may be old news.
fn may_still_pay(melt: &MeltProgress, facts: &Facts) -> bool {
    let dispatched_by_me = melt.dispatched_by == Some(facts.me);
    !(dispatched_by_me || facts.dispatcher_is_dead || is_too_late(melt, facts))
}

/// Whether no call can be on its way to the backend any more, not even in the buffers of a dead process.
fn is_too_late(melt: &MeltProgress, facts: &Facts) -> bool {
    melt.not_after.is_some_and(|not_after| facts.now > not_after.plus(NOT_AFTER_MARGIN_SECS))
}

/// Whether `proof` proves the payment of `payment_hash`.
pub(super) fn proof_holds(proof: &PaymentProof, payment_hash: &[u8; 32], backend_vouches: bool) -> bool {
    use bitcoin::hashes::{Hash, sha256};
    match proof {
        PaymentProof::Preimage(preimage) => sha256::Hash::hash(preimage).to_byte_array() == *payment_hash,
        PaymentProof::Vouched => backend_vouches,
    }
}

#[cfg(test)]
mod tests;
