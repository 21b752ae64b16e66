//! NUT-03 on the engine: rules, races, replays, failures at every step, recovery.

mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use hazel_mint::ports::*;
use hazel_mint::store::contract::Plant;
use hazel_protocol::*;
use world::*;

#[tokio::test]
async fn a_swap_turns_inputs_into_outputs_of_the_same_sum() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8, 2]).await;
    let new = bottle.swap(&proofs, &bottle.outputs(&[1, 1, 8])).await.expect("balanced");
    assert_eq!(bottle.states(&proofs).await, [ProofState::Spent; 2]);
    assert_eq!(bottle.states(&new).await, [ProofState::Unspent; 3]);
    bottle.nothing_unfinished().await;
    assert_eq!(bottle.outstanding().await, 10);
}

#[tokio::test]
async fn every_rule_has_its_code_and_changes_nothing() {
    let bottle = Bottle::new(with_fee(100)).await;
    let p = bottle.fund(&[8, 2]).await;
    let twice = vec![p[0].clone(), p[0].clone()];
    let mut forged = p.clone();
    forged[0].c = p[1].c;
    let mut no_key = p.clone();
    no_key[0].amount = Amount::from_u64(3);
    let mut conditional = p.clone();
    conditional[0].secret = Secret::new(r#"["P2PK",{"nonce":"a","data":"b"}]"#).expect("short");
    let same = bottle.output(1);
    let mut off_curve = bottle.outputs(&[1, 8]);
    let mut x = [0xff; 33];
    x[0] = 2;
    off_curve[0].message.b = PointBytes::from_bytes(&x).expect("33 bytes with a prefix");
    let table: Vec<(&str, Vec<Proof>, Vec<Prepared>, u16)> = vec![
        ("no inputs", vec![], bottle.outputs(&[8]), 11_000),
        ("no outputs", p.clone(), vec![], 11_000),
        ("fee evaded", p.clone(), bottle.outputs(&[8, 2]), 11_005),
        ("too little out", p.clone(), bottle.outputs(&[8]), 11_005),
        ("an input twice", twice, bottle.outputs(&[8, 4, 2, 1]), 11_007),
        ("an output twice", p.clone(), vec![same.clone(), same, bottle.output(4), bottle.output(1)], 11_008),
        ("a forged signature", forged, bottle.outputs(&[1, 8]), 10_001),
        ("an input no key signs", no_key, bottle.outputs(&[4]), 10_001),
        ("an output no key signs", p.clone(), bottle.outputs(&[3, 4, 2]), 11_006),
        ("a malformed spending condition", conditional, bottle.outputs(&[1, 8]), 10_001),
        ("a point off the curve", p.clone(), off_curve, 11_000),
    ];
    for (what, inputs, outputs, expected) in table {
        let answer = bottle.mint.swap(swap_request(&inputs, &outputs)).await;
        assert_eq!(code(&answer), expected, "{what}");
    }
    assert_eq!(bottle.states(&p).await, [ProofState::Unspent; 2]);
    bottle.swap(&p, &bottle.outputs(&[1, 8])).await.expect("the fee of one is paid");
    assert_eq!(bottle.outstanding().await, 9);
}

#[tokio::test]
async fn of_fifty_swaps_of_one_proof_one_wins() {
    let bottle = Arc::new(Bottle::new(config()).await);
    let proofs = bottle.fund(&[8]).await;
    let tries = (0..50).map(|_| {
        let (bottle, proofs) = (Arc::clone(&bottle), proofs.clone());
        async move { bottle.swap(&proofs, &bottle.outputs(&[8])).await }
    });
    let answers = futures_util::future::join_all(tries).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for answer in answers.iter().filter(|answer| answer.is_err()) {
        assert!([11_001, 11_002].contains(&code(answer)), "{answer:?}");
    }
    bottle.nothing_unfinished().await;
    assert_eq!(bottle.outstanding().await, 8);
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_signatures_for_ever() {
    let mut bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8, 2]).await;
    let outputs = bottle.outputs(&[2, 8]);
    let request = swap_request(&proofs, &outputs);
    let first = bottle.mint.swap(request.clone()).await.expect("first");
    assert_eq!(bottle.mint.swap(request.clone()).await.as_ref(), Ok(&first));
    bottle.restart().await;
    assert_eq!(bottle.mint.swap(request.clone()).await.as_ref(), Ok(&first));
    // The order of the request is the order of the answer.
    let reversed = swap_request(&proofs, &[outputs[1].clone(), outputs[0].clone()]);
    let answer = bottle.mint.swap(reversed).await.expect("a replay");
    assert_eq!(answer.signatures[0], first.signatures[1]);
    // After a rotation too, when a new swap to this keyset would be refused.
    let rotate = hazel_mint::config::UnitConfig::new(CurrencyUnit::Sat).into();
    bottle.mint.rotate_keyset(rotate, "operator").await.expect("rotates");
    assert_eq!(bottle.mint.swap(request).await.as_ref(), Ok(&first));
}

#[tokio::test]
async fn anything_but_the_same_request_is_no_replay() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8, 2, 2]).await;
    let outputs = bottle.outputs(&[2, 8]);
    bottle.swap(&proofs[..2], &outputs).await.expect("first");
    let other_outputs = bottle.outputs(&[2, 8]);
    let code_of = |inputs: Vec<Proof>, outputs: Vec<Prepared>| {
        let bottle = &bottle;
        async move { code(&bottle.mint.swap(swap_request(&inputs, &outputs)).await) }
    };
    assert_eq!(code_of(proofs[..2].to_vec(), other_outputs).await, 11_001, "other outputs");
    assert_eq!(code_of(proofs[..1].to_vec(), vec![outputs[1].clone()]).await, 11_001, "fewer of both");
    let more = vec![outputs[0].clone(), outputs[1].clone(), bottle.output(2)];
    assert_eq!(code_of(proofs.clone(), more).await, 11_001, "more of both");
    let fresh = bottle.fund(&[8, 2]).await;
    assert_eq!(code_of(fresh, outputs).await, 11_003, "other inputs for the same outputs");
}

#[tokio::test]
async fn a_failure_after_the_setup_gives_the_inputs_back() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    bottle
        .fault(|change| matches!(change, Change::SettleSwap(_)).then(|| ApplyError::Unavailable("planted".to_owned())));
    assert!(bottle.swap(&proofs, &bottle.outputs(&[8])).await.is_err());
    bottle.no_fault();
    bottle.nothing_unfinished().await;
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent]);
    bottle.swap(&proofs, &bottle.outputs(&[8])).await.expect("spendable again");
}

#[tokio::test]
async fn a_release_that_fails_ten_times_is_done_by_the_sweeper() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    bottle.fault(|change| {
        let broken = matches!(change, Change::SettleSwap(_) | Change::ReleaseSwap(_));
        broken.then(|| ApplyError::Unavailable("planted".to_owned()))
    });
    assert!(bottle.swap(&proofs, &bottle.outputs(&[8])).await.is_err());
    assert_eq!(bottle.states(&proofs).await, [ProofState::Pending]);
    bottle.settle_down().await;
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent]);
}

#[tokio::test]
async fn a_task_that_panics_is_cleaned_up_by_the_sweeper() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    bottle.fault(|change| match change {
        Change::SettleSwap(_) => panic!("planted"),
        _ => None,
    });
    assert_eq!(code(&bottle.swap(&proofs, &bottle.outputs(&[8])).await), 50_000);
    bottle.store.fault.clear_poison();
    bottle.no_fault();
    bottle.settle_down().await;
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent]);
}

#[tokio::test]
async fn a_commit_in_doubt_is_sent_again_until_it_is_definite() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    let doubts = AtomicU32::new(0);
    bottle.fault(move |change| {
        let doubt = matches!(change, Change::SettleSwap(_)) && doubts.fetch_add(1, Ordering::SeqCst) < 3;
        doubt.then(|| ApplyError::Ambiguous("planted".to_owned()))
    });
    bottle.swap(&proofs, &bottle.outputs(&[8])).await.expect("definite at the fourth try");
    bottle.nothing_unfinished().await;
}

#[tokio::test]
async fn a_swap_goes_on_when_its_caller_hangs_up() {
    let bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    let outputs = bottle.outputs(&[8]);
    let asked = bottle.mint.swap(swap_request(&proofs, &outputs));
    // Hang up somewhere between the first look at the request and its answer.
    let hang_up = bottle.world.sleep(std::time::Duration::from_micros(300));
    drop(futures_util::future::select(Box::pin(asked), hang_up).await);
    assert!(bottle.mint.drain(std::time::Duration::from_secs(5)).await);
    bottle.nothing_unfinished().await;
    assert_ne!(bottle.states(&proofs).await, [ProofState::Pending]);
}

/// A reservation as a crashed process leaves it.
async fn interrupted(bottle: &Bottle, proofs: &[Proof], outputs: &[Prepared]) -> OperationId {
    let operation = OperationId::from_bytes([9; 16]);
    let reserve = ReserveSwap {
        operation,
        owner: OwnerId::from_bytes([1; 16]),
        inputs: proofs
            .iter()
            .map(|p| InputRow { y: PointBytes::from(&p.y()), keyset: p.id, amount: p.amount, c: p.c, witness: None })
            .collect(),
        outputs: outputs
            .iter()
            .map(|o| OutputRow { b: o.message.b, keyset: o.message.id, amount: o.message.amount })
            .collect(),
        now: bottle.world.now(),
    };
    bottle.store.apply(Change::ReserveSwap(reserve)).await.expect("reserved");
    operation
}

#[tokio::test]
async fn recovery_removes_the_proofs_of_a_swap_without_signatures() {
    let mut bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    interrupted(&bottle, &proofs, &bottle.outputs(&[8])).await;
    assert_eq!(bottle.states(&proofs).await, [ProofState::Pending]);
    bottle.restart().await;
    let report = bottle.mint.recover_from_bad_swaps().await.expect("readable");
    assert_eq!((report.removed, report.spent, report.mixed), (1, 0, 0));
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent]);
    bottle.swap(&proofs, &bottle.outputs(&[8])).await.expect("spendable again");
}

#[tokio::test]
async fn recovery_spends_the_proofs_of_a_swap_with_signatures() {
    let mut bottle = Bottle::new(config()).await;
    let proofs = bottle.fund(&[8]).await;
    let outputs = bottle.outputs(&[8]);
    let operation = interrupted(&bottle, &proofs, &outputs).await;
    // No version of this mint leaves such rows: they stand for an import or an older database.
    let output = OutputRow { b: outputs[0].message.b, keyset: outputs[0].message.id, amount: Amount::from_u64(8) };
    let any = Scalar32::from_bytes([1; 32]);
    let signed = SignedRow { output, c: proofs[0].c, dleq: Dleq { e: any, s: any } };
    bottle.store.inner.plant_signatures(operation, &[signed]).await;
    bottle.restart().await;
    let report = bottle.mint.recover_from_bad_swaps().await.expect("readable");
    assert_eq!((report.removed, report.spent, report.mixed), (0, 1, 0));
    assert_eq!(bottle.states(&proofs).await, [ProofState::Spent]);
    bottle.nothing_unfinished().await;
}

#[tokio::test]
async fn recovery_leaves_alone_what_this_process_drives() {
    let bottle = Bottle::new(config()).await;
    bottle.mint.start();
    for _ in 0..20 {
        let proofs = bottle.fund(&[4, 4]).await;
        bottle.swap(&proofs, &bottle.outputs(&[8])).await.expect("the sweeper does not interfere");
    }
    assert!(bottle.mint.drain(std::time::Duration::from_secs(5)).await);
}
