//! A node that is told to misbehave.

use hazel_mint::ports::{PaymentsError, Portion};

use super::*;

const WORDS: [&str; 5] = ["PAID", "UNPAID", "PENDING", "UNKNOWN", "FAILED"];

fn script(pay: &str, check: &str, pay_err: bool, check_err: bool) -> String {
    format!(
        r#"{{"pay_invoice_state":"{pay}","check_payment_state":"{check}","pay_err":{pay_err},"check_err":{check_err}}}"#
    )
}

/// What a word means when the payment was really made.
fn meant(word: &str) -> PaymentStatus {
    match word {
        "PENDING" => PaymentStatus::Pending,
        "UNKNOWN" => PaymentStatus::Unknown,
        "UNPAID" | "FAILED" => PaymentStatus::Failed,
        other => panic!("{other} has no fixed meaning"),
    }
}

fn assert_says(status: &PaymentStatus, word: &str) {
    if word == "PAID" {
        assert_eq!(paid(status), (PaymentProof::Vouched, 7_000));
    } else {
        assert_eq!(*status, meant(word));
    }
}

#[test]
fn only_the_known_object_is_a_script() {
    for text in ["", "coffee", "[]", "{}", r#"{"pay":"PAID"}"#, r#"{"pay_err":1}"#, r#"{"pay_invoice_state":"paid?"}"#]
    {
        assert_eq!(Script::from_description(text), None, "{text}");
    }
    let partial = Script::from_description(r#"{"check_payment_state":"UNKNOWN","more":1}"#).unwrap();
    assert_eq!(partial, Script { check_payment_state: Says::Unknown, ..Script::default() });
}

#[tokio::test]
async fn a_description_decides_what_pay_and_status_say() {
    let bench = Bench::instant();
    for pay in WORDS {
        for check in WORDS {
            let payment = bench.payment(&foreign(7_000, &script(pay, check, false, false)), 7_000);
            let id = payment.id;
            assert_says(&bench.node.pay(payment).await.unwrap(), pay);
            for _ in 0..2 {
                assert_says(&bench.node.status(id).await.unwrap(), check);
            }
            let truth = bench.ledger.payments_of(id).unwrap()[0].state;
            let expected = match (pay, check) {
                ("PAID", _) | (_, "PAID") => PaymentState::Paid,
                (_, "FAILED" | "UNPAID") => PaymentState::Failed,
                _ => PaymentState::InFlight,
            };
            assert_eq!(truth, expected, "{pay} {check}");
        }
    }
}

#[tokio::test]
async fn errors_come_after_the_node_has_the_payment() {
    let bench = Bench::instant();
    let payment = bench.payment(&foreign(7_000, &script("FAILED", "PAID", true, false)), 7_000);
    assert!(matches!(bench.node.pay(payment.clone()).await, Err(PaymentsError::Unavailable(_))));
    assert_says(&bench.node.status(payment.id).await.unwrap(), "PAID");
    let mute = bench.payment(&foreign(7_000, &script("UNKNOWN", "UNKNOWN", true, true)), 7_000);
    assert!(bench.node.pay(mute.clone()).await.is_err());
    assert!(matches!(bench.node.status(mute.id).await, Err(PaymentsError::Unavailable(_))));
    assert_eq!(bench.outcomes(), [CallOutcome::Started; 2]);
}

#[tokio::test]
async fn a_stuck_payment_ends_when_told() {
    let bench = Bench::instant();
    for (fate, state) in [(Fate::Paid, PaymentState::Paid), (Fate::Failed, PaymentState::Failed)] {
        let payment = bench.payment(&foreign(7_000, &script("PENDING", "UNKNOWN", false, true)), 7_000);
        assert_eq!(bench.node.pay(payment.clone()).await.unwrap(), PaymentStatus::Pending);
        bench.world.pass(86_400_000);
        assert!(bench.node.status(payment.id).await.is_err());
        bench.ledger.resolve(payment.id, fate).unwrap();
        assert_eq!(bench.ledger.payments_of(payment.id).unwrap()[0].state, state);
        let status = bench.node.status(payment.id).await.unwrap();
        assert_says(&status, if fate == Fate::Paid { "PAID" } else { "FAILED" });
        assert!(matches!(bench.ledger.resolve(payment.id, fate), Err(FakeError::NotFound(_))));
    }
}

#[tokio::test]
async fn a_script_for_all_yields_to_that_of_the_invoice() {
    let bench = Bench::instant();
    let all = Script { pay_invoice_state: Says::Unknown, ..Script::default() };
    bench.ledger.steer(&Steer::Script(Some(all))).unwrap();
    assert_says(&bench.node.pay(bench.payment(&foreign(7_000, ""), 7_000)).await.unwrap(), "UNKNOWN");
    let own = foreign(7_000, &script("FAILED", "FAILED", false, false));
    assert_says(&bench.node.pay(bench.payment(&own, 7_000)).await.unwrap(), "FAILED");
    bench.ledger.steer(&Steer::Script(None)).unwrap();
    assert_says(&bench.node.pay(bench.payment(&foreign(7_000, ""), 7_000)).await.unwrap(), "PAID");
}

#[tokio::test]
async fn a_script_on_an_invoice_of_the_ledger_bends_talk_not_truth() {
    let bench = Bench::told();
    let description = Some(script("UNKNOWN", "PAID", false, false));
    let invoice = bench.node.create_invoice(NewInvoice { description, ..new_invoice(7_000) }).await.unwrap();
    bench.ledger.settle(&invoice.payment_hash, 7_000).unwrap();
    let payment = bench.payment(&invoice.request, 7_000);
    assert_eq!(bench.node.pay(payment.clone()).await.unwrap(), PaymentStatus::Unknown);
    assert_eq!(bench.node.status(payment.id).await.unwrap(), PaymentStatus::Failed, "it was paid by someone else");
}

#[tokio::test]
async fn a_poller_sees_paid_before_pay_returns() {
    let bench = Bench::instant();
    bench.ledger.steer(&Steer::Hang(Hang::Forever)).unwrap();
    let payment = bench.payment(&foreign(1_000, ""), 1_000);
    let id = payment.id;
    let poller = async {
        while !matches!(bench.node.status(id).await.unwrap(), PaymentStatus::Paid(_)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        answer = bench.node.pay(payment) => panic!("pay answered {answer:?}"),
        () = poller => {}
    }
    bench.ledger.steer(&Steer::Hang(Hang::ForMs(2_000))).unwrap();
    let before = bench.world.now_ms();
    paid(&bench.node.pay(bench.payment(&foreign(1_000, ""), 1_000)).await.unwrap());
    assert_eq!(bench.world.now_ms(), before + 2_000);
}

#[tokio::test]
async fn a_node_that_forgets_has_never_heard_and_pays_again() {
    let bench = Bench::instant();
    let payment = bench.payment(&foreign(1_000, ""), 1_000);
    paid(&bench.node.pay(payment.clone()).await.unwrap());
    bench.ledger.steer(&Steer::Forget(true)).unwrap();
    assert_eq!(bench.node.status(payment.id).await.unwrap(), PaymentStatus::NeverHeard);
    bench.ledger.steer(&Steer::Forget(false)).unwrap();
    paid(&bench.node.status(payment.id).await.unwrap());
    bench.ledger.forget(payment.id).unwrap();
    assert_eq!(bench.node.status(payment.id).await.unwrap(), PaymentStatus::NeverHeard);
    paid(&bench.node.pay(payment.clone()).await.unwrap());
    assert_eq!(bench.ledger.paid_twice().unwrap().len(), 1);
    assert!(matches!(bench.ledger.forget(fresh_id()), Err(FakeError::NotFound(_))));
}

#[tokio::test]
async fn a_stale_failure_is_told_while_a_new_attempt_runs() {
    let bench = Bench::instant();
    for steer in [Steer::FailNextPays(1), Steer::StaleFailed(true), Steer::PayDelayMs(1_000), Steer::PayWaitMs(0)] {
        bench.ledger.steer(&steer).unwrap();
    }
    let request = foreign(1_000, "");
    let [first, second] = [(); 2].map(|()| bench.payment(&request, 1_000));
    bench.node.pay(first.clone()).await.unwrap();
    bench.world.pass(1_000);
    assert_eq!(bench.node.status(first.id).await.unwrap(), PaymentStatus::Failed);
    assert_eq!(bench.node.pay(second.clone()).await.unwrap(), PaymentStatus::Pending);
    assert_eq!(bench.node.status(second.id).await.unwrap(), PaymentStatus::Failed, "the stale word");
    bench.world.pass(1_000);
    paid(&bench.node.status(second.id).await.unwrap());
}

#[tokio::test]
async fn wrong_preimages_are_shown_when_told() {
    let bench = Bench::told();
    for (shows, invoice) in
        [(Shows::WrongPreimage, bench.invoice(5).await), (Shows::ZeroPreimage, bench.invoice(5).await)]
    {
        bench.ledger.steer(&Steer::Shows(shows)).unwrap();
        let status = bench.node.pay(bench.payment(&invoice.request, 5)).await.unwrap();
        let (PaymentProof::Preimage(shown), _) = paid(&status) else { panic!("vouched") };
        assert_ne!(sha256::Hash::hash(&shown).to_byte_array(), invoice.payment_hash);
        assert_eq!(shown == [0; 32], shows == Shows::ZeroPreimage);
    }
}

#[tokio::test]
async fn a_node_that_is_down_fails_everything_and_records_the_pay() {
    let bench = Bench::instant();
    let invoice = bench.invoice(5).await;
    bench.ledger.steer(&Steer::Down(true)).unwrap();
    let request = foreign(1_000, "");
    let payment = bench.payment(&request, 1_000);
    assert!(matches!(bench.node.pay(payment.clone()).await, Err(PaymentsError::Unavailable(_))));
    assert!(bench.node.status(payment.id).await.is_err());
    assert!(bench.node.route(&request, Portion::Whole).await.is_err());
    assert!(bench.node.settlements(0).await.is_err());
    assert!(bench.node.invoice_settlements(&invoice.payment_hash).await.is_err());
    assert!(bench.node.create_invoice(new_invoice(1)).await.is_err());
    assert!(bench.node.cancel_invoice(&invoice.payment_hash).await.is_err());
    bench.ledger.steer_back().unwrap();
    assert_eq!(bench.outcomes(), [CallOutcome::Unreachable]);
    assert_eq!(bench.node.status(payment.id).await.unwrap(), PaymentStatus::NeverHeard);
}

#[tokio::test]
async fn single_calls_fail_and_calls_are_slow_when_told() {
    let bench = Bench::instant();
    let request = foreign(1_000, "");
    bench.ledger.steer(&Steer::PayUnreachable(true)).unwrap();
    let payment = bench.payment(&request, 1_000);
    assert!(bench.node.pay(payment.clone()).await.is_err());
    assert_eq!(bench.node.status(payment.id).await.unwrap(), PaymentStatus::NeverHeard);
    bench.ledger.steer(&Steer::RouteFault(Some(RouteFault::Refused))).unwrap();
    assert!(matches!(bench.node.route(&request, Portion::Whole).await, Err(PaymentsError::Refused(..))));
    bench.ledger.steer(&Steer::RouteFault(Some(RouteFault::Unavailable))).unwrap();
    assert!(matches!(bench.node.route(&request, Portion::Whole).await, Err(PaymentsError::Unavailable(_))));
    bench.ledger.steer_back().unwrap();
    bench.ledger.steer(&Steer::LatencyMs(700)).unwrap();
    let before = bench.world.now_ms();
    bench.node.route(&request, Portion::Whole).await.unwrap();
    assert_eq!(bench.world.now_ms(), before + 700);
}

#[tokio::test]
async fn the_next_pays_fail_and_the_count_outlives_a_restart() {
    let bench = Bench::instant();
    bench.ledger.steer(&Steer::FailNextPays(2)).unwrap();
    let request = foreign(1_000, "");
    assert_eq!(bench.node.pay(bench.payment(&request, 1_000)).await.unwrap(), PaymentStatus::Failed);
    let again = FakeNode::open(&bench.path, FakeConfig::instant(), bench.world.clone()).unwrap();
    assert_eq!(again.pay(bench.payment(&request, 1_000)).await.unwrap(), PaymentStatus::Failed);
    paid(&again.pay(bench.payment(&request, 1_000)).await.unwrap());
}

#[test]
fn every_steer_reads_back() {
    let bench = Bench::instant();
    let steers = [
        Steer::Settle(Settle::AfterMs(1)),
        Steer::Hang(Hang::ForMs(3)),
        Steer::Shows(Shows::ZeroPreimage),
        Steer::Script(Some(Script::default())),
        Steer::RouteFault(None),
        Steer::FailNextPays(u32::MAX),
    ];
    for steer in &steers {
        bench.ledger.steer(steer).unwrap();
    }
    bench.ledger.steer(&Steer::Settle(Settle::WhenTold)).unwrap();
    let stored = bench.ledger.steering().unwrap();
    assert_eq!(stored.len(), steers.len());
    assert!(stored.contains(&Steer::Settle(Settle::WhenTold)));
    assert!(steers[1..].iter().all(|steer| stored.contains(steer)));
}
