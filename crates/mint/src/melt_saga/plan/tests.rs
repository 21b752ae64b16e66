use super::*;
use crate::ports::{OperationId, OperationKind, PaidEvidence};
use hazel_protocol::QuoteId;

const ME: OwnerId = OwnerId::from_bytes([1; 16]);
const OTHER: OwnerId = OwnerId::from_bytes([2; 16]);
const NOT_AFTER: u64 = 1_000;

fn record(state: OperationState, dispatched_by: OwnerId) -> OperationRecord {
    let melt = MeltProgress {
        quote: QuoteId::new("q").expect("well formed"),
        not_after: Some(Timestamp::from_unix(NOT_AFTER)),
        dispatched_by: Some(dispatched_by),
        paid: None,
    };
    OperationRecord {
        id: OperationId::from_bytes([0; 16]),
        kind: OperationKind::Melt,
        state,
        owner: ME,
        created_at: Timestamp::default(),
        melt: Some(melt),
    }
}

fn facts(status: Option<PaymentStatus>) -> Facts {
    let now = Timestamp::from_unix(NOT_AFTER);
    Facts { status, proof_holds: true, me: ME, dispatcher_is_dead: false, now }
}

fn evidence() -> PaidEvidence {
    PaidEvidence { proof: PaymentProof::Preimage([3; 32]), total_msat: 5 }
}

#[test]
fn states_before_and_after_the_doubt_need_no_word() {
    for (state, expected) in [
        (OperationState::Reserved, Step::Release),
        (OperationState::Failed, Step::Release),
        (OperationState::Paid, Step::Settle),
        (OperationState::SetupComplete, Step::NotMine),
    ] {
        for status in [None, Some(PaymentStatus::Paid(evidence())), Some(PaymentStatus::Failed)] {
            assert_eq!(plan(&record(state, OTHER), &facts(status)), expected, "{state:?}");
        }
    }
}

#[test]
fn paid_with_proof_is_recorded_whoever_dispatched() {
    for state in [OperationState::Dispatched, OperationState::Unknown] {
        for owner in [ME, OTHER] {
            let step = plan(&record(state, owner), &facts(Some(PaymentStatus::Paid(evidence()))));
            assert_eq!(step, Step::Record(MeltOutcome::Paid(evidence())));
        }
    }
}

#[test]
fn paid_without_proof_is_doubt() {
    let facts = Facts { proof_holds: false, ..facts(Some(PaymentStatus::Paid(evidence()))) };
    assert!(matches!(plan(&record(OperationState::Unknown, ME), &facts), Step::Alarm(_)));
    assert_eq!(plan(&record(OperationState::Dispatched, ME), &facts), Step::Record(MeltOutcome::Unknown));
}

const TOO_LATE: Timestamp = Timestamp::from_unix(NOT_AFTER + NOT_AFTER_MARGIN_SECS + 1);

#[test]
fn failure_counts_only_when_nobody_can_still_pay() {
    let failed = Step::Record(MeltOutcome::Failed);
    let known = facts(Some(PaymentStatus::Failed));
    for state in [OperationState::Dispatched, OperationState::Unknown] {
        let cases = [
            (ME, known.clone(), failed.clone(), "it was me, and I do not drive it"),
            (OTHER, known.clone(), Step::Wait, "the other may be about to call"),
            (OTHER, Facts { dispatcher_is_dead: true, ..known.clone() }, failed.clone(), "dead"),
            (OTHER, Facts { now: TOO_LATE, ..known.clone() }, failed.clone(), "too late to call"),
        ];
        for (owner, facts, expected, why) in cases {
            assert_eq!(plan(&record(state, owner), &facts), expected, "{why}");
        }
    }
}

#[test]
fn never_heard_counts_only_when_no_call_can_be_on_its_way() {
    let known = facts(Some(PaymentStatus::NeverHeard));
    for owner in [ME, OTHER] {
        let dispatched = record(OperationState::Dispatched, owner);
        let dead = Facts { dispatcher_is_dead: true, ..known.clone() };
        assert_eq!(plan(&dispatched, &dead), Step::Wait, "its bytes may still be on the way");
        let late = Facts { now: TOO_LATE, ..known.clone() };
        assert_eq!(plan(&dispatched, &late), Step::Record(MeltOutcome::Failed));
    }
}

#[test]
fn what_the_backend_had_and_forgot_is_never_given_back() {
    let late = Facts { now: TOO_LATE, dispatcher_is_dead: true, ..facts(Some(PaymentStatus::NeverHeard)) };
    assert!(matches!(plan(&record(OperationState::Unknown, ME), &late), Step::Alarm(_)));
}

#[test]
fn no_word_and_no_news_wait() {
    for status in [None, Some(PaymentStatus::Pending), Some(PaymentStatus::Unknown)] {
        assert_eq!(plan(&record(OperationState::Unknown, ME), &facts(status)), Step::Wait);
    }
    assert_eq!(plan(&record(OperationState::Dispatched, ME), &facts(None)), Step::Wait);
    let pending = facts(Some(PaymentStatus::Pending));
    assert_eq!(plan(&record(OperationState::Dispatched, ME), &pending), Step::Record(MeltOutcome::Unknown));
}

#[test]
fn only_the_preimage_proves_and_a_word_only_where_it_counts() {
    use bitcoin::hashes::{Hash, sha256};
    let hash = sha256::Hash::hash(&[3; 32]).to_byte_array();
    assert!(proof_holds(&PaymentProof::Preimage([3; 32]), &hash, false));
    assert!(!proof_holds(&PaymentProof::Preimage([0; 32]), &hash, true));
    assert!(proof_holds(&PaymentProof::Vouched, &hash, true));
    assert!(!proof_holds(&PaymentProof::Vouched, &hash, false));
}
