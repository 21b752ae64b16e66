//! Settlements.

use hazel_mint::ports::PaymentsError;

use super::*;

#[tokio::test]
async fn an_invoice_pays_itself_when_it_is_due_and_not_before() {
    let bench = Bench::new(FakeConfig { stream_wait_ms: 0, ..FakeConfig::default() });
    let invoice = bench.invoice(21_000).await;
    bench.world.pass(1_499);
    assert!(bench.node.settlements(0).await.unwrap().is_empty());
    bench.world.pass(1);
    let settled = bench.node.settlements(0).await.unwrap();
    assert_eq!((settled.len(), settled[0].amount_msat, settled[0].payment_hash), (1, 21_000, invoice.payment_hash));
    assert_eq!(bench.node.invoice_settlements(&invoice.payment_hash).await.unwrap(), settled);
    assert_eq!(bench.node.settlements(0).await.unwrap(), settled, "delivered again it is the same");
    assert!(bench.node.settlements(settled[0].cursor).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_stream_waits_for_the_first_settlement() {
    let bench = Bench::new(FakeConfig::default());
    bench.invoice(1).await;
    assert_eq!(bench.node.settlements(0).await.unwrap().len(), 1);
    let before = bench.world.now_ms();
    assert!(bench.node.settlements(1).await.unwrap().is_empty());
    assert!(bench.world.now_ms() - before >= 3_000);
    assert!(bench.node.settlements(u64::MAX).await.unwrap().is_empty());
}

#[tokio::test]
async fn events_are_booked_in_the_order_they_fell_due() {
    let bench = Bench::instant();
    for delay in [300, 100, 200] {
        bench.ledger.steer(&Steer::Settle(Settle::AfterMs(delay))).unwrap();
        bench.invoice(delay).await;
    }
    bench.world.pass(1_000);
    let settled = bench.node.settlements(0).await.unwrap();
    assert_eq!(settled.iter().map(|s| s.amount_msat).collect::<Vec<_>>(), [100, 200, 300]);
    assert!(settled.windows(2).all(|pair| pair[0].cursor < pair[1].cursor));
}

#[tokio::test]
async fn an_invoice_does_not_pay_itself_after_it_has_expired() {
    let bench = Bench::new(FakeConfig { stream_wait_ms: 0, ..FakeConfig::default() });
    let new = NewInvoice { expiry_secs: 1, ..new_invoice(5) };
    bench.node.create_invoice(new).await.unwrap();
    bench.world.pass(60_000);
    assert!(bench.node.settlements(0).await.unwrap().is_empty());
}

#[tokio::test]
async fn told_payers_pay_too_little_too_much_and_again() {
    let bench = Bench::told();
    let invoice = bench.invoice(10_000).await;
    bench.world.pass(86_400_000);
    assert!(bench.node.settlements(0).await.unwrap().is_empty());
    for amount in [4_000, 4_000, 9_999] {
        bench.ledger.settle(&invoice.payment_hash, amount).unwrap();
    }
    let settled = bench.node.invoice_settlements(&invoice.payment_hash).await.unwrap();
    assert_eq!(settled.iter().map(|s| s.amount_msat).collect::<Vec<_>>(), [4_000, 4_000, 9_999]);
    let credits: std::collections::BTreeSet<_> = settled.iter().map(|s| &s.credit).collect();
    assert_eq!(credits.len(), 3);
    assert_eq!(bench.ledger.settled_total_msat().unwrap(), 17_999);
    assert_eq!(bench.ledger.invoices().unwrap()[0].settled_msat, 17_999);
}

#[tokio::test]
async fn a_told_payer_takes_the_place_of_the_one_to_come() {
    let bench = Bench::new(FakeConfig::default());
    let invoice = bench.invoice(10).await;
    bench.ledger.settle(&invoice.payment_hash, 10).unwrap();
    bench.world.pass(10_000);
    assert_eq!(bench.ledger.settled_total_msat().unwrap(), 10);
}

#[tokio::test]
async fn telling_nonsense_is_refused() {
    let bench = Bench::told();
    let invoice = bench.invoice(10).await;
    assert!(matches!(bench.ledger.settle(&[9; 32], 1), Err(FakeError::NotFound(_))));
    assert!(matches!(bench.ledger.settle(&invoice.payment_hash, 0), Err(FakeError::Refused(..))));
    assert_eq!(bench.ledger.settled_total_msat().unwrap(), 0);
}

#[tokio::test]
async fn a_cancelled_invoice_takes_no_money() {
    let bench = Bench::new(FakeConfig { stream_wait_ms: 0, ..FakeConfig::default() });
    let invoice = bench.invoice(10).await;
    bench.node.cancel_invoice(&invoice.payment_hash).await.unwrap();
    bench.world.pass(60_000);
    assert!(bench.node.settlements(0).await.unwrap().is_empty());
    assert!(matches!(bench.ledger.settle(&invoice.payment_hash, 10), Err(FakeError::Refused(..))));
    let status = bench.node.pay(bench.payment(&invoice.request, 10)).await.unwrap();
    assert_eq!(status, PaymentStatus::Failed);
    let unknown = bench.node.cancel_invoice(&[9; 32]).await;
    assert!(matches!(unknown, Err(PaymentsError::Refused(..))));
}

#[tokio::test]
async fn cancelling_is_best_effort() {
    let bench = Bench::told();
    let (paid, open) = (bench.invoice(10).await, bench.invoice(20).await);
    bench.ledger.settle(&paid.payment_hash, 10).unwrap();
    bench.node.cancel_invoice(&paid.payment_hash).await.unwrap();
    bench.ledger.steer(&Steer::Cancels(false)).unwrap();
    bench.node.cancel_invoice(&open.payment_hash).await.unwrap();
    assert!(bench.ledger.invoices().unwrap().iter().all(|invoice| !invoice.cancelled));
    bench.ledger.settle(&open.payment_hash, 20).unwrap();
}

#[tokio::test]
async fn at_most_a_thousand_settlements_come_at_once() {
    let bench = Bench::told();
    let invoice = bench.invoice(1).await;
    for _ in 0..1_001 {
        bench.ledger.settle(&invoice.payment_hash, 1).unwrap();
    }
    let first = bench.node.settlements(0).await.unwrap();
    assert_eq!(first.len(), 1_000);
    assert_eq!(bench.node.settlements(first[999].cursor).await.unwrap().len(), 1);
}
