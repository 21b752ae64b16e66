//! The melt and the outside world: `DispatchMelt`, `RecordMelt`.

use hazel_protocol::Amount;

use crate::ports::{
    Applied, Conflict, DispatchMelt, KeysetTotals, LatchKeyset, MeltOutcome, MeltProgress, OperationRecord,
    OperationState, PaidEvidence, PaymentProof,
};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{ALICE, BOB, CAROL, FUNDS, Melt, NOW, Swap, evidence, input, sat, usd};

cases!("dispatch and record":
    dispatching_is_written_down,
    only_the_same_dispatch_stands,
    dispatching_needs_the_row_of_this_owner,
    dispatching_leads_on_from_reserved_and_unknown_only,
    an_unknown_melt_is_dispatched_anew,
    a_former_owners_dispatch_is_not_repeated,
    an_overdrawn_keyset_is_not_dispatched,
    a_latched_keyset_is_still_dispatched,
    paid_is_accepted_from_anybody,
    paid_is_accepted_from_every_state_but_reserved,
    the_first_evidence_stays,
    words_need_the_rows_owner,
    words_lead_on_from_dispatched_and_unknown_only,
    failed_and_unknown_are_kept,
    the_quote_stays_pending_throughout,
    nothing_is_recorded_without_a_row,
);

async fn dispatched(bench: &Bench, n: u32) -> Melt {
    let melt = bench.reserved_melt(n).await;
    bench.accept(melt.dispatch()).await;
    melt
}

/// The ways to put a melt into each state.
async fn in_state(bench: &Bench, n: u32, state: OperationState) -> Melt {
    let melt = bench.reserved_melt(n).await;
    let word = match state {
        OperationState::SetupComplete | OperationState::Reserved => return melt,
        OperationState::Dispatched => None,
        OperationState::Paid => Some(MeltOutcome::Paid(evidence())),
        OperationState::Failed => Some(MeltOutcome::Failed),
        OperationState::Unknown => Some(MeltOutcome::Unknown),
    };
    bench.accept(melt.dispatch()).await;
    if let Some(word) = word {
        bench.accept(melt.record(word)).await;
    }
    melt
}

async fn row(bench: &Bench, melt: &Melt) -> OperationRecord {
    bench.snapshot().await.operations[&melt.operation].clone()
}

async fn dispatching_is_written_down(bench: &Bench) {
    bench.fund().await;
    let melt = bench.reserved_melt(1).await;
    let before = row(bench, &melt).await;
    let quote = bench.snapshot().await.melt_quotes[&melt.quote.id].clone();
    assert_eq!(bench.accept_twice(melt.dispatch()).await, Applied::MeltQuote(quote));
    let progress = MeltProgress {
        quote: melt.quote.id.clone(),
        not_after: Some(NOW.plus(60)),
        dispatched_by: Some(ALICE),
        paid: None,
    };
    let expected = OperationRecord { state: OperationState::Dispatched, melt: Some(progress), ..before };
    assert_eq!(row(bench, &melt).await, expected);
}

/// Whoever asks with another `not_after` must not believe that it was written down.
async fn only_the_same_dispatch_stands(bench: &Bench) {
    bench.fund().await;
    let melt = dispatched(bench, 1).await;
    for not_after in [NOW.plus(59), NOW.plus(61)] {
        bench.refuse(DispatchMelt { not_after, ..melt.dispatch() }, Conflict::WrongState).await;
    }
    bench.accept(DispatchMelt { now: NOW.plus(30), ..melt.dispatch() }).await;
}

async fn dispatching_needs_the_row_of_this_owner(bench: &Bench) {
    bench.fund().await;
    let melt = Melt::new(1);
    bench.refuse(melt.dispatch(), Conflict::OperationGone).await;
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    bench.refuse(Melt { owner: BOB, ..melt.clone() }.dispatch(), Conflict::OperationGone).await;
    bench.accept(melt.release()).await;
    bench.refuse(melt.dispatch(), Conflict::OperationGone).await;
    let swap = Swap::new(2);
    bench.accept(swap.reserve()).await;
    bench.refuse(Melt { operation: swap.operation, ..melt.clone() }.dispatch(), Conflict::OperationGone).await;
}

async fn dispatching_leads_on_from_reserved_and_unknown_only(bench: &Bench) {
    bench.fund().await;
    for (n, state) in [(1, OperationState::Paid), (2, OperationState::Failed)] {
        let melt = in_state(bench, n, state).await;
        bench.refuse(melt.dispatch(), Conflict::WrongState).await;
    }
    let melt = dispatched(bench, 3).await;
    bench.accept(melt.record(MeltOutcome::Paid(evidence()))).await;
    bench.accept(melt.settle()).await;
    bench.refuse(melt.dispatch(), Conflict::OperationGone).await;
}

async fn an_unknown_melt_is_dispatched_anew(bench: &Bench) {
    bench.fund().await;
    let melt = in_state(bench, 1, OperationState::Unknown).await;
    let known = row(bench, &melt).await.melt.expect("a melt");
    assert_eq!(
        (known.not_after, known.dispatched_by),
        (Some(NOW.plus(60)), Some(ALICE)),
        "the last call is remembered"
    );
    bench.accept(melt.take_over(BOB)).await;
    let anew = DispatchMelt { not_after: NOW.plus(600), ..Melt { owner: BOB, ..melt.clone() }.dispatch() };
    bench.accept_twice(anew).await;
    let row = row(bench, &melt).await;
    let known = row.melt.expect("a melt");
    assert_eq!((row.state, row.owner), (OperationState::Dispatched, BOB));
    assert_eq!((known.not_after, known.dispatched_by), (Some(NOW.plus(600)), Some(BOB)));
}

/// The former owner may be about to call the backend: its taker cannot pass for it.
async fn a_former_owners_dispatch_is_not_repeated(bench: &Bench) {
    bench.fund().await;
    let melt = dispatched(bench, 1).await;
    bench.accept(melt.take_over(BOB)).await;
    bench.refuse(Melt { owner: BOB, ..melt.clone() }.dispatch(), Conflict::WrongState).await;
    bench.refuse(melt.dispatch(), Conflict::OperationGone).await;
    let known = row(bench, &melt).await.melt.expect("a melt");
    assert_eq!(known.dispatched_by, Some(ALICE), "who called last is still known");
}

/// As when two reservations could not see each other.
async fn an_overdrawn_keyset_is_not_dispatched(bench: &Bench) {
    bench.fund().await;
    let melt = Melt { inputs: vec![input(1, sat(), 8), input(2, usd(), 4)], ..Melt::new(1) };
    bench.accept(melt.open()).await;
    bench.accept(melt.reserve()).await;
    let unseen = |reserved| KeysetTotals {
        issued: Amount::from_u64(FUNDS),
        reserved: Amount::from_u64(reserved),
        ..KeysetTotals::default()
    };
    bench.plant_totals(usd(), unseen(FUNDS + 1)).await;
    bench.refuse(melt.dispatch(), Conflict::Overdrawn(usd())).await;
    bench.plant_totals(sat(), unseen(FUNDS + 1)).await;
    bench.refuse(melt.dispatch(), Conflict::Overdrawn(sat().min(usd()))).await;
    bench.plant_totals(usd(), unseen(FUNDS)).await;
    bench.plant_totals(sat(), unseen(FUNDS)).await;
    bench.accept(melt.dispatch()).await;
    bench.accept(melt.record(MeltOutcome::Unknown)).await;
    bench.plant_totals(sat(), unseen(FUNDS + 1)).await;
    bench.refuse(melt.dispatch(), Conflict::Overdrawn(sat())).await;
    // What has been paid is settled all the same.
    bench.accept(melt.record(MeltOutcome::Paid(evidence()))).await;
    bench.accept(melt.settle()).await;
}

async fn a_latched_keyset_is_still_dispatched(bench: &Bench) {
    bench.fund().await;
    let melt = bench.reserved_melt(1).await;
    bench.accept(LatchKeyset { keyset: sat(), latched: true }).await;
    bench.accept(melt.dispatch()).await;
}

async fn paid_is_accepted_from_anybody(bench: &Bench) {
    bench.fund().await;
    for (n, owner) in [(1, ALICE), (2, BOB), (3, CAROL)] {
        let melt = dispatched(bench, n).await;
        let quote = bench.snapshot().await.melt_quotes[&melt.quote.id].clone();
        let word = Melt { owner, ..melt.clone() }.record(MeltOutcome::Paid(evidence()));
        assert_eq!(bench.accept_twice(word).await, Applied::MeltQuote(quote));
        let row = row(bench, &melt).await;
        assert_eq!((row.state, row.owner), (OperationState::Paid, ALICE), "the row keeps its owner");
        assert_eq!(row.melt.expect("a melt").paid, Some(evidence()));
    }
}

async fn paid_is_accepted_from_every_state_but_reserved(bench: &Bench) {
    bench.fund().await;
    let melt = bench.reserved_melt(1).await;
    bench.refuse(melt.record(MeltOutcome::Paid(evidence())), Conflict::WrongState).await;
    for (n, state) in [(2, OperationState::Dispatched), (3, OperationState::Failed), (4, OperationState::Unknown)] {
        let melt = in_state(bench, n, state).await;
        bench.accept_twice(melt.record(MeltOutcome::Paid(evidence()))).await;
        bench.refuse(melt.release(), Conflict::WrongState).await;
        bench.accept(melt.settle()).await;
    }
}

async fn the_first_evidence_stays(bench: &Bench) {
    bench.fund().await;
    let melt = dispatched(bench, 1).await;
    let first = PaidEvidence { proof: PaymentProof::Vouched, total_msat: u64::MAX };
    let answer = bench.accept_twice(melt.record(MeltOutcome::Paid(first.clone()))).await;
    bench.repeat(melt.record(MeltOutcome::Paid(evidence())), &answer).await;
    assert_eq!(row(bench, &melt).await.melt.expect("a melt").paid, Some(first));
}

async fn words_need_the_rows_owner(bench: &Bench) {
    bench.fund().await;
    for (n, word) in [(1, MeltOutcome::Failed), (2, MeltOutcome::Unknown)] {
        let melt = dispatched(bench, n).await;
        let stranger = Melt { owner: BOB, ..melt.clone() };
        bench.refuse(stranger.record(word.clone()), Conflict::OperationGone).await;
        bench.accept(melt.record(word.clone())).await;
        bench.refuse(stranger.record(word), Conflict::OperationGone).await;
    }
    let other = dispatched(bench, 3).await;
    bench.accept(other.take_over(BOB)).await;
    bench.refuse(other.record(MeltOutcome::Failed), Conflict::OperationGone).await;
    bench.accept(Melt { owner: BOB, ..other }.record(MeltOutcome::Failed)).await;
}

async fn words_lead_on_from_dispatched_and_unknown_only(bench: &Bench) {
    bench.fund().await;
    let words = [MeltOutcome::Failed, MeltOutcome::Unknown];
    for (n, state) in [(1, OperationState::Reserved), (2, OperationState::Paid)] {
        let melt = in_state(bench, n, state).await;
        for word in &words {
            bench.refuse(melt.record(word.clone()), Conflict::WrongState).await;
        }
    }
    let failed = in_state(bench, 3, OperationState::Failed).await;
    bench.refuse(failed.record(MeltOutcome::Unknown), Conflict::WrongState).await;
    let unknown = in_state(bench, 4, OperationState::Unknown).await;
    bench.accept_twice(unknown.record(MeltOutcome::Failed)).await;
}

async fn failed_and_unknown_are_kept(bench: &Bench) {
    bench.fund().await;
    for (n, state) in [(1, OperationState::Failed), (2, OperationState::Unknown)] {
        let melt = dispatched(bench, n).await;
        let before = row(bench, &melt).await;
        let word = if state == OperationState::Failed { MeltOutcome::Failed } else { MeltOutcome::Unknown };
        bench.accept_twice(melt.record(word)).await;
        assert_eq!(row(bench, &melt).await, OperationRecord { state, ..before });
    }
}

async fn the_quote_stays_pending_throughout(bench: &Bench) {
    bench.fund().await;
    let melt = Melt::new(1);
    bench.accept(melt.open()).await;
    let held = bench.accept(melt.reserve()).await;
    assert_eq!(bench.accept(melt.dispatch()).await, held);
    assert_eq!(bench.accept(melt.record(MeltOutcome::Unknown)).await, held);
    assert_eq!(bench.accept(melt.record(MeltOutcome::Failed)).await, held);
    assert_eq!(bench.accept(melt.record(MeltOutcome::Paid(evidence()))).await, held);
    assert_eq!(bench.totals(sat()).await, [FUNDS, 0, 12, 0]);
}

async fn nothing_is_recorded_without_a_row(bench: &Bench) {
    bench.fund().await;
    let words = [MeltOutcome::Paid(evidence()), MeltOutcome::Failed, MeltOutcome::Unknown];
    let (never, swap) = (Melt::new(1), Swap::new(2));
    bench.accept(swap.reserve()).await;
    let settled = dispatched(bench, 3).await;
    bench.accept(settled.record(MeltOutcome::Paid(evidence()))).await;
    bench.accept(settled.settle()).await;
    for word in words {
        bench.refuse(never.record(word.clone()), Conflict::OperationGone).await;
        let of_swap = Melt { operation: swap.operation, ..never.clone() };
        bench.refuse(of_swap.record(word.clone()), Conflict::OperationGone).await;
        bench.refuse(settled.record(word), Conflict::OperationGone).await;
    }
}
