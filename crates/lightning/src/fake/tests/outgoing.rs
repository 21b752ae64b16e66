//! Payments of a node that tells the truth.

use hazel_mint::ports::{PaymentsError, Refusal};

use super::*;

fn hash_of(proof: PaymentProof) -> [u8; 32] {
    match proof {
        PaymentProof::Preimage(preimage) => sha256::Hash::hash(&preimage).to_byte_array(),
        PaymentProof::Vouched => panic!("no preimage"),
    }
}

#[tokio::test]
async fn paying_an_invoice_of_the_ledger_settles_it_and_shows_its_preimage() {
    let bench = Bench::told();
    let invoice = bench.invoice(42_001).await;
    let payment = bench.payment(&invoice.request, 42_001);
    let status = bench.node.pay(payment.clone()).await.unwrap();
    let (proof, total) = paid(&status);
    assert_eq!((hash_of(proof), total), (invoice.payment_hash, 42_001));
    assert_eq!(bench.node.status(payment.id).await.unwrap(), status);
    assert_eq!(bench.ledger.settled_total_msat().unwrap(), 42_001);
    assert_eq!(bench.node.invoice_settlements(&invoice.payment_hash).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_payer_takes_the_place_of_the_one_to_come_and_the_next_is_too_late() {
    let bench = Bench::new(FakeConfig::default());
    let invoice = bench.invoice(5_000).await;
    let [first, second] = [(); 2].map(|()| bench.payment(&invoice.request, 5_000));
    let status = bench.node.pay(first).await.unwrap();
    assert_eq!(paid(&status).1, 5_500, "half of the reserve of 1,000 msat");
    bench.world.pass(60_000);
    assert_eq!(bench.node.pay(second).await.unwrap(), PaymentStatus::Failed);
    assert_eq!(bench.ledger.settled_total_msat().unwrap(), 5_000);
    assert_eq!(bench.ledger.paid_total_msat().unwrap(), 5_500);
    assert!(bench.ledger.paid_twice().unwrap().is_empty());
}

#[tokio::test]
async fn a_foreign_invoice_is_vouched_for_however_old() {
    let bench = Bench::instant();
    bench.world.pass(86_400_000);
    let payment = bench.payment(&foreign(7_001, "coffee"), 7_001);
    let status = bench.node.pay(payment).await.unwrap();
    assert_eq!(paid(&status), (PaymentProof::Vouched, 7_001));
    assert_eq!(bench.ledger.paid_total_msat().unwrap(), 7_001);
}

#[tokio::test]
async fn a_node_that_does_not_vouch_pays_the_ledger_only() {
    let bench = Bench::new(FakeConfig { vouches: false, ..FakeConfig::instant() });
    bench.ledger.steer(&Steer::Settle(Settle::WhenTold)).unwrap();
    let outside = bench.payment(&foreign(1_000, ""), 1_000);
    assert_eq!(bench.node.pay(outside).await.unwrap(), PaymentStatus::Failed);
    let invoice = bench.invoice(1_000).await;
    let inside = bench.payment(&invoice.request, 1_000);
    assert_eq!(hash_of(paid(&bench.node.pay(inside).await.unwrap()).0), invoice.payment_hash);
}

#[tokio::test]
async fn a_payment_takes_its_time() {
    let bench = Bench::instant();
    bench.ledger.steer(&Steer::PayDelayMs(5_000)).unwrap();
    bench.ledger.steer(&Steer::PayWaitMs(1_000)).unwrap();
    let payment = bench.payment(&foreign(1_000, ""), 1_000);
    assert_eq!(bench.node.pay(payment.clone()).await.unwrap(), PaymentStatus::Pending);
    assert_eq!(bench.node.status(payment.id).await.unwrap(), PaymentStatus::Pending);
    bench.world.pass(4_000);
    paid(&bench.node.status(payment.id).await.unwrap());
    let booked = &bench.ledger.payments_of(payment.id).unwrap()[0];
    assert_eq!(booked.ended_ms, Some(booked.started_ms + 5_000), "booked when it happened, not when it was seen");
}

#[tokio::test]
async fn a_payment_past_its_deadline_is_not_sent() {
    let bench = Bench::instant();
    let now = bench.world.now_ms() / 1_000;
    for late in [0, now - 1, now] {
        let payment = Payment { not_after: Timestamp::from_unix(late), ..bench.payment(&foreign(1_000, ""), 1_000) };
        let id = payment.id;
        let refused = bench.node.pay(payment).await;
        assert!(matches!(refused, Err(PaymentsError::Refused(..))), "{refused:?}");
        assert_eq!(bench.node.status(id).await.unwrap(), PaymentStatus::NeverHeard);
    }
    assert_eq!(bench.outcomes(), [CallOutcome::Late; 3]);
    assert!(bench.ledger.payments().unwrap().is_empty());
    let in_time = Payment { not_after: Timestamp::from_unix(now + 1), ..bench.payment(&foreign(1_000, ""), 1_000) };
    paid(&bench.node.pay(in_time).await.unwrap());
}

#[tokio::test]
async fn a_payment_whose_fence_is_closed_is_not_sent() {
    let bench = Bench::instant();
    let fenced = |fence| Payment { fence, ..bench.payment(&foreign(1_000, ""), 1_000) };
    let refused = bench.node.pay(fenced(Fence::new(|| false))).await;
    assert!(matches!(refused, Err(PaymentsError::Refused(Refusal::TooLate, _))), "{refused:?}");
    assert!(bench.ledger.payments().unwrap().is_empty());
    paid(&bench.node.pay(fenced(Fence::new(|| true))).await.unwrap());
    assert_eq!(bench.outcomes(), [CallOutcome::Late, CallOutcome::Started]);
}

#[tokio::test]
async fn a_late_second_call_leaves_the_first_payment_as_it_is() {
    let bench = Bench::instant();
    let payment = bench.payment(&foreign(1_000, ""), 1_000);
    paid(&bench.node.pay(payment.clone()).await.unwrap());
    bench.world.pass(600_000);
    assert!(bench.node.pay(payment.clone()).await.is_err());
    paid(&bench.node.status(payment.id).await.unwrap());
    assert_eq!(bench.outcomes(), [CallOutcome::Started, CallOutcome::Late]);
}

#[tokio::test]
async fn every_call_is_recorded_as_it_came() {
    let bench = Bench::new(FakeConfig { instance: "replica b".into(), ..FakeConfig::instant() });
    let request = foreign(1_000, "");
    let payment = Payment { max_fee_msat: u64::MAX, ..bench.payment(&request, 1_000) };
    bench.node.pay(payment.clone()).await.unwrap();
    let nonsense = Payment { not_after: Timestamp::from_unix(u64::MAX), ..bench.payment("not an invoice", u64::MAX) };
    bench.node.pay(nonsense.clone()).await.unwrap_err();
    let calls = bench.ledger.pay_calls().unwrap();
    assert_eq!((calls[0].id, &calls[0].request, calls[0].amount_msat), (payment.id, &request, 1_000));
    assert_eq!((calls[0].not_after, calls[0].at_ms), (payment.not_after, START_MS));
    assert_eq!((calls[0].instance.as_str(), calls[0].outcome), ("replica b", CallOutcome::Started));
    assert!(calls[0].payment_hash.is_some());
    assert_eq!((calls[1].id, calls[1].payment_hash, calls[1].outcome), (nonsense.id, None, CallOutcome::Refused));
    assert_eq!(bench.ledger.payments().unwrap()[0].call, calls[0].number);
}

#[tokio::test]
async fn wrong_amounts_are_refused_and_never_heard_of() {
    let bench = Bench::instant();
    let request = foreign(1_000, "");
    for amount in [0, 1_001, u64::MAX] {
        let payment = bench.payment(&request, amount);
        let id = payment.id;
        assert!(matches!(bench.node.pay(payment).await, Err(PaymentsError::Refused(..))), "{amount}");
        assert_eq!(bench.node.status(id).await.unwrap(), PaymentStatus::NeverHeard);
    }
    assert_eq!(bench.outcomes(), [CallOutcome::Refused; 3]);
}

#[tokio::test]
async fn an_idempotent_node_pays_once_even_after_a_failure() {
    let bench = Bench::instant();
    let payment = bench.payment(&foreign(1_000, ""), 1_000);
    let first = bench.node.pay(payment.clone()).await.unwrap();
    assert_eq!(bench.node.pay(payment).await.unwrap(), first);
    bench.ledger.steer(&Steer::FailNextPays(1)).unwrap();
    let failing = bench.payment(&foreign(1_000, ""), 1_000);
    for _ in 0..2 {
        assert_eq!(bench.node.pay(failing.clone()).await.unwrap(), PaymentStatus::Failed);
    }
    assert_eq!(bench.states(), [PaymentState::Paid, PaymentState::Failed]);
    assert_eq!(bench.outcomes()[1], CallOutcome::Joined);
    assert!(bench.ledger.paid_twice().unwrap().is_empty());
}

#[tokio::test]
async fn a_node_that_is_not_idempotent_pays_twice_and_the_audit_sees_it() {
    let bench = Bench::instant();
    bench.ledger.steer(&Steer::Idempotent(false)).unwrap();
    let payment = bench.payment(&foreign(1_000, ""), 1_000);
    paid(&bench.node.pay(payment.clone()).await.unwrap());
    paid(&bench.node.pay(payment.clone()).await.unwrap());
    assert!(!bench.node.capabilities().idempotent_by_id);
    assert_eq!(bench.ledger.payments_of(payment.id).unwrap().len(), 2);
    assert_eq!(bench.ledger.paid_total_msat().unwrap(), 2_000);
    assert_eq!(bench.ledger.paid_twice().unwrap().len(), 1);
}

#[tokio::test]
async fn a_foreign_invoice_paid_under_two_ids_is_seen_too() {
    let bench = Bench::instant();
    let request = foreign(1_000, "");
    for _ in 0..2 {
        paid(&bench.node.pay(bench.payment(&request, 1_000)).await.unwrap());
    }
    assert_eq!(bench.ledger.paid_twice().unwrap().len(), 1);
}

#[tokio::test]
async fn routing_that_costs_more_than_the_cap_fails_unless_told_otherwise() {
    let bench = Bench::new(FakeConfig::default());
    bench.ledger.steer(&Steer::FeeUsedPercent(200)).unwrap();
    let capped = |max_fee_msat| Payment { max_fee_msat, ..bench.payment(&foreign(100_000, ""), 100_000) };
    assert_eq!(bench.node.pay(capped(1_999)).await.unwrap(), PaymentStatus::Failed);
    assert_eq!(paid(&bench.node.pay(capped(2_000)).await.unwrap()).1, 102_000);
    bench.ledger.steer(&Steer::IgnoreFeeCap(true)).unwrap();
    assert_eq!(paid(&bench.node.pay(capped(0)).await.unwrap()).1, 102_000);
}

#[tokio::test]
async fn parts_of_an_invoice_wait_for_each_other() {
    let bench = Bench::told();
    bench.ledger.steer(&Steer::PayWaitMs(0)).unwrap();
    let invoice = bench.invoice(10_000).await;
    let [first, second] = [4_000, 6_000].map(|part| bench.payment(&invoice.request, part));
    assert_eq!(bench.node.pay(first.clone()).await.unwrap(), PaymentStatus::Pending);
    assert_eq!(bench.ledger.settled_total_msat().unwrap(), 0);
    assert_eq!(hash_of(paid(&bench.node.pay(second).await.unwrap()).0), invoice.payment_hash);
    assert_eq!(hash_of(paid(&bench.node.status(first.id).await.unwrap()).0), invoice.payment_hash);
    let settled = bench.node.settlements(0).await.unwrap();
    assert_eq!((settled.len(), settled[0].amount_msat), (1, 10_000));
    assert!(bench.ledger.paid_twice().unwrap().is_empty());
}

#[tokio::test]
async fn a_part_that_stays_alone_comes_back() {
    let bench = Bench::told();
    bench.ledger.steer(&Steer::PayWaitMs(0)).unwrap();
    let invoice = bench.invoice(10_000).await;
    let part = bench.payment(&invoice.request, 4_000);
    assert_eq!(bench.node.pay(part.clone()).await.unwrap(), PaymentStatus::Pending);
    bench.world.pass(59_999);
    assert_eq!(bench.node.status(part.id).await.unwrap(), PaymentStatus::Pending);
    bench.world.pass(1);
    assert_eq!(bench.node.status(part.id).await.unwrap(), PaymentStatus::Failed);
    assert_eq!(bench.ledger.settled_total_msat().unwrap(), 0);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_its_payment() {
    let bench = Bench::instant();
    bench.ledger.steer(&Steer::Hang(Hang::Forever)).unwrap();
    let payment = bench.payment(&foreign(1_000, ""), 1_000);
    let impatient = tokio::time::timeout(Duration::from_millis(300), bench.node.pay(payment.clone())).await;
    assert!(impatient.is_err());
    paid(&bench.node.status(payment.id).await.unwrap());
}
