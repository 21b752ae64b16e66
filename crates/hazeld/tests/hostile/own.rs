//! Invoices of the mint's own, paid by a melt, from outside, or by both.

use hazel_lightning::fake::FakeLedger;
use hazel_protocol::{CurrencyUnit, MintQuoteBolt11Response, MintResponse, ProofState};
use serde_json::{Value, json};

use crate::bench::{eventually, now};
use crate::client::{Answer, NEVER_MS, Server, Wallet, audit};

const UNITS: &str = "[[unit]]\nunit = \"sat\"\n[[unit]]\nunit = \"msat\"\n";

/// Pays a quote's invoice from outside; false when it is called off.
fn settle(node: &FakeLedger, quote: &MintQuoteBolt11Response, msat: u64) -> bool {
    let invoices = node.invoices().expect("read");
    let invoice = invoices.iter().find(|invoice| invoice.request == quote.request).expect("its invoice");
    node.settle(&invoice.payment_hash, msat).is_ok()
}

async fn until_paid(wallet: &Wallet, quote: &MintQuoteBolt11Response) {
    eventually("paid", async || wallet.mint_quote_state(&quote.quote).await.as_str() == "PAID").await;
}

/// Money for a mint whose invoices wait to be paid.
async fn fund(node: &FakeLedger, wallet: &Wallet, sat: u64) -> Vec<hazel_protocol::Proof> {
    let quote = wallet.mint_quote(sat).await;
    assert!(settle(node, &quote, sat * 1_000));
    until_paid(wallet, &quote).await;
    let draft = wallet.draft_for(sat);
    let answer: MintResponse = wallet.try_issue(&quote.quote, &draft).await.expect("answered").ok();
    wallet.finish_all(&draft, &answer.signatures)
}

async fn ask(wallet: &Wallet, quote: &MintQuoteBolt11Response, unit: &str) -> Answer {
    wallet.api.post("/v1/melt/quote/bolt11", &json!({ "request": quote.request, "unit": unit })).await
}

async fn melt(wallet: &Wallet, quote: &Value, coins: &[hazel_protocol::Proof]) -> Answer {
    wallet.api.post("/v1/melt/bolt11", &json!({ "quote": quote["quote"], "inputs": coins })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn own_invoices_that_are_not_owed_any_more() {
    let server = Server::start("", &format!("settle_after_ms = {NEVER_MS}"), UNITS);
    let (node, wallet) = (server.node(), Wallet::open(server.mint.url(), 1).await);
    let msat = Wallet::open_in(server.mint.url(), 2, CurrencyUnit::Msat).await;
    let coins = fund(&node, &wallet, 8).await;

    let other = msat.mint_quote(8_000).await;
    assert_eq!(ask(&wallet, &other, "sat").await.code(), Some(11_010), "an invoice of another unit");

    // Paid from outside after the quote of the melt was given.
    let paid = wallet.mint_quote(8).await;
    let quote: Value = ask(&wallet, &paid, "sat").await.ok();
    assert!(settle(&node, &paid, 8_000));
    until_paid(&wallet, &paid).await;
    assert_eq!(melt(&wallet, &quote, &coins).await.code(), Some(20_006), "paid meanwhile");
    assert_eq!(ask(&wallet, &paid, "sat").await.code(), Some(20_006), "paid before");
    let draft = wallet.draft_for(8);
    let issued: MintResponse = wallet.try_issue(&paid.quote, &draft).await.expect("answered").ok();
    wallet.finish_all(&draft, &issued.signatures);
    assert_eq!(melt(&wallet, &quote, &coins).await.code(), Some(20_006), "issued meanwhile");
    assert_eq!(ask(&wallet, &paid, "sat").await.code(), Some(20_006), "issued before");
    assert!(wallet.states(&coins).await.iter().all(|state| *state == ProofState::Unspent));

    let owed = wallet.mint_quote(8).await;
    let quote: Value = ask(&wallet, &owed, "sat").await.ok();
    assert_eq!(melt(&wallet, &quote, &coins).await.body["state"], "PAID", "the same proofs pay one that is owed");
    assert!(node.pay_calls().expect("read").is_empty(), "inside");
    until_paid(&wallet, &owed).await;
    let database = server.database();
    server.mint.stop();
    // 8 issued on the invoice that was paid; the 8 of the last one have not been issued yet.
    audit(&database).assert_settled(8);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_invoices_paid_from_outside_at_the_same_time() {
    let server = Server::start("", &format!("settle_after_ms = {NEVER_MS}"), "");
    let (node, wallet) = (server.node(), Wallet::open(server.mint.url(), 1).await);
    let mut held = 0;
    let (mut inside, mut outside) = (0, 0);
    for round in 0..12 {
        let coins = fund(&node, &wallet, 8).await;
        let own = wallet.mint_quote(8).await;
        let quote: Value = ask(&wallet, &own, "sat").await.ok();
        let (other, path) = (own.clone(), server.folder.path().join("lightning.sqlite"));
        let payer = tokio::task::spawn_blocking(move || {
            let node = hazel_lightning::fake::open_ledger(path).expect("opens");
            // Now earlier, now later.
            std::thread::sleep(std::time::Duration::from_millis(round * 3));
            settle(&node, &other, 8_000)
        });
        let answer = melt(&wallet, &quote, &coins).await;
        let arrived = payer.await.expect("no panic");
        until_paid(&wallet, &own).await;
        if answer.is_ok() {
            inside += 1;
        } else {
            assert_eq!(answer.code(), Some(20_006), "{answer:?}");
            assert!(arrived, "only a payment stands in the way");
            assert!(wallet.states(&coins).await.iter().all(|state| *state == ProofState::Unspent));
            held += 8;
            outside += 1;
        }
        let credits = u64::from(answer.is_ok()) + u64::from(arrived);
        eventually("each payment is credited", async || {
            let answer = wallet.api.get(&format!("/v1/mint/quote/bolt11/{}", own.quote.as_str())).await;
            answer.body["amount_paid"] == json!(8 * credits)
        })
        .await;
        let draft = wallet.draft_for(8);
        let issued = wallet.try_issue(&own.quote, &draft).await.expect("answered");
        assert!(issued.is_ok(), "{issued:?}");
        let again = wallet.try_issue(&own.quote, &wallet.draft_for(8)).await.expect("answered");
        assert_eq!(again.code(), Some(20_002), "what came twice is kept, not issued twice");
        held += 8;
    }
    assert_eq!(inside + outside, 12);
    let database = server.database();
    server.mint.stop();
    audit(&database).assert_settled(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn own_invoices_that_have_expired() {
    let server = Server::start("mint_quote_secs = 3", "settle_after_ms = 150", "");
    let wallet = Wallet::open(server.mint.url(), 1).await;
    let coins = wallet.mint(8).await;
    server
        .node()
        .steer(&hazel_lightning::fake::Steer::Settle(hazel_lightning::fake::Settle::WhenTold))
        .expect("steered");
    let own = wallet.mint_quote(8).await;
    let quote: Value = ask(&wallet, &own, "sat").await.ok();
    let expiry = own.expiry.expect("it ends");
    assert!(quote["expiry"].as_u64().expect("it ends") <= expiry, "the melt's quote ends with its invoice");
    eventually("it expires", async || now() > expiry).await;
    assert_eq!(melt(&wallet, &quote, &coins).await.code(), Some(20_007), "at the melt");
    assert_eq!(ask(&wallet, &own, "sat").await.code(), Some(20_007), "at the quote");
    assert!(wallet.states(&coins).await.iter().all(|state| *state == ProofState::Unspent));
    assert_eq!(wallet.mint_quote_state(&own.quote).await.as_str(), "UNPAID");
    // Its payer comes all the same, late: the money is the quote's.
    assert!(settle(&server.node(), &own, 8_000));
    until_paid(&wallet, &own).await;
    let draft = wallet.draft_for(8);
    assert!(wallet.try_issue(&own.quote, &draft).await.expect("answered").is_ok(), "paid past its expiry");
    let database = server.database();
    server.mint.stop();
    audit(&database).assert_settled(16);
}
