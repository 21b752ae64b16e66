//! NUT-15 over HTTP: one invoice paid in parts by several mints, each a process of its own on the same Lightning network.

mod client;

use std::path::Path;

use client::{Answer, Hazeld, Launch, Wallet, audit};
use hazel_lightning::fake::{Steer, open_ledger};
use hazel_protocol::{
    Amount, AmountlessOption, CurrencyUnit, MeltOptions, MeltQuoteBolt11Request, MeltQuoteBolt11Response,
    MeltQuoteState, MintInfo, MintQuoteState, MppOption, Proof, ProofState,
};
use serde_json::json;
use tempfile::TempDir;

/// Longer than any test: an invoice of the payee is paid by somebody or not at all.
const NEVER_MS: u64 = 24 * 3_600 * 1_000;

/// A mint with a wallet at it.
struct Side {
    folder: std::path::PathBuf,
    mint: Hazeld,
    wallet: Wallet,
}

impl Side {
    async fn open(folder: &Path, name: &str, seed: u8, settle_after_ms: u64) -> Self {
        let (ledger, folder) = (folder.join("lightning.sqlite"), folder.join(name));
        let launch = Launch::dev(&folder).arg("--fake-ledger").arg(ledger).fake("settle-after-ms", settle_after_ms);
        let mint = launch.start();
        let wallet = Wallet::open(mint.url(), seed).await;
        Self { folder, mint, wallet }
    }

    async fn quote(&self, invoice: &str, options: MeltOptions) -> Answer {
        let request =
            MeltQuoteBolt11Request { request: invoice.to_owned(), unit: CurrencyUnit::Sat, options: Some(options) };
        self.wallet.api.post("/v1/melt/quote/bolt11", &request).await
    }

    async fn quote_part(&self, invoice: &str, msat: u64) -> MeltQuoteBolt11Response {
        self.quote(invoice, part(msat)).await.ok()
    }

    async fn pay(&self, quote: &MeltQuoteBolt11Response, proofs: &[Proof]) -> Answer {
        self.wallet.try_melt(&quote.quote, proofs, &self.wallet.draft(&[])).await.expect("the mint answers")
    }

    /// Stops and looks at the books.
    fn close(self, held: u64) {
        self.mint.stop();
        audit(&self.folder.join("mint.sqlite")).assert_settled(held);
    }
}

fn part(msat: u64) -> MeltOptions {
    MeltOptions { amountless: None, mpp: Some(MppOption { amount: Amount::from_u64(msat) }) }
}

/// Two who pay and one who is paid.
async fn three() -> (TempDir, Side, Side, Side) {
    let folder = tempfile::tempdir().expect("a folder");
    let first = Side::open(folder.path(), "first", 1, 150).await;
    let second = Side::open(folder.path(), "second", 2, 150).await;
    let payee = Side::open(folder.path(), "payee", 3, NEVER_MS).await;
    (folder, first, second, payee)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_mints_pay_one_invoice_together() {
    let (_folder, first, second, payee) = three().await;
    let info: MintInfo = first.wallet.api.get("/v1/info").await.ok();
    assert_eq!(json!(info.nuts.nut15), json!({ "methods": [{ "method": "bolt11", "unit": "sat" }] }));
    let invoice = payee.wallet.mint_quote(100).await;
    // 60.5 sat are 61 for the user of a mint that counts in sat.
    let (some, rest) =
        (first.quote_part(&invoice.request, 60_500).await, second.quote_part(&invoice.request, 39_500).await);
    assert_eq!((some.amount.to_u64(), rest.amount.to_u64()), (61, 40));
    let (coins, others) = (first.wallet.mint(61).await, second.wallet.mint(40).await);
    let (one, other) = tokio::join!(first.pay(&some, &coins), second.pay(&rest, &others));
    for (answer, side, spent) in [(one, &first, &coins), (other, &second, &others)] {
        let paid: MeltQuoteBolt11Response = answer.ok();
        assert_eq!(paid.state, MeltQuoteState::Paid);
        assert!(paid.payment_preimage.is_some(), "each has the proof of the whole payment");
        assert!(side.wallet.states(spent).await.iter().all(|state| *state == ProofState::Spent));
    }
    assert_eq!(payee.wallet.mint_quote_state(&invoice.quote).await, MintQuoteState::Paid);
    first.close(0);
    second.close(0);
    payee.close(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_stays_alone_fails_and_its_proofs_come_back() {
    let (folder, first, second, payee) = three().await;
    let ledger = open_ledger(folder.path().join("lightning.sqlite")).expect("the ledger opens");
    ledger.steer(&Steer::MppTimeoutMs(500)).expect("steered");
    let invoice = payee.wallet.mint_quote(100).await;
    let quote = first.quote_part(&invoice.request, 60_000).await;
    let coins = first.wallet.mint(60).await;
    let refused = first.pay(&quote, &coins).await;
    assert_eq!(refused.code(), Some(20_004), "{refused:?}");
    assert!(first.wallet.states(&coins).await.iter().all(|state| *state == ProofState::Unspent));
    assert_eq!(payee.wallet.mint_quote_state(&invoice.quote).await, MintQuoteState::Unpaid);
    // The same proofs and the same quote pay once the other part is on its way.
    ledger.steer(&Steer::MppTimeoutMs(60_000)).expect("steered");
    let rest = second.quote_part(&invoice.request, 40_000).await;
    let others = second.wallet.mint(40).await;
    let (one, other) = tokio::join!(first.pay(&quote, &coins), second.pay(&rest, &others));
    for answer in [one, other] {
        assert_eq!(answer.ok::<MeltQuoteBolt11Response>().state, MeltQuoteState::Paid);
    }
    first.close(0);
    second.close(0);
    payee.close(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_make_no_sense_are_refused_at_the_quote() {
    let (_folder, first, second, payee) = three().await;
    let invoice = payee.wallet.mint_quote(100).await.request;
    let own = first.wallet.mint_quote(50).await.request;
    let msat = Amount::from_u64(40_000);
    let both =
        MeltOptions { amountless: Some(AmountlessOption { amount_msat: msat }), mpp: Some(MppOption { amount: msat }) };
    let chosen = MeltOptions { amountless: Some(AmountlessOption { amount_msat: msat }), mpp: None };
    for (what, request, options, code) in [
        ("more than the invoice", &invoice, part(100_001), 11_012),
        ("nothing", &invoice, part(0), 11_006),
        ("part of an own invoice", &own, part(40_000), 11_012),
        ("part and amountless", &invoice, both, 11_012),
        ("another amount than the invoice's, not called a part", &invoice, chosen, 11_012),
    ] {
        let answer = first.quote(request, options).await;
        assert_eq!((answer.status, answer.code()), (400, Some(code)), "{what}: {answer:?}");
    }
    let whole = first.quote_part(&invoice, 100_000).await;
    assert_eq!(whole.amount.to_u64(), 100, "the whole is a part, too");
    first.close(0);
    second.close(0);
    payee.close(0);
}
