//! NUT-15 over HTTP: one invoice paid in parts by several mints, each a process of its own on the same Lightning network.

mod client;

use std::path::Path;
use std::time::Duration;

use client::{Answer, Hazeld, Launch, Wallet, audit, wait_until};
use hazel_lightning::fake::{FakeLedger, Fate, Hang, OutgoingPayment, PaymentState, Says, Script, Steer, open_ledger};
use hazel_protocol::{
    Amount, AmountlessOption, CurrencyUnit, MeltOptions, MeltQuoteBolt11Request, MeltQuoteBolt11Response,
    MeltQuoteState, MintInfo, MintQuoteState, MppOption, Proof, ProofState,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::task::{JoinHandle, block_in_place};

/// Longer than any test: an invoice of the payee is paid by somebody or not at all.
const NEVER_MS: u64 = 24 * 3_600 * 1_000;

/// How long what has to come may take on a machine that is busy.
const PATIENCE: Duration = Duration::from_mins(2);

/// After so many seconds without a word from the node a mint stops waiting for it.
const PAYMENT_TIMEOUT_SECS: u64 = 8;

/// Longer than [`PAYMENT_TIMEOUT_SECS`], the margin after it and some rounds of the reconciler.
const AFTER_TIMEOUT: Duration = Duration::from_secs(18);

/// Some rounds of the reconciler.
const SOME_ROUNDS: Duration = Duration::from_secs(5);

/// A mint with a wallet at it.
struct Side {
    folder: std::path::PathBuf,
    mint: Hazeld,
    wallet: Wallet,
}

impl Side {
    async fn open(folder: &Path, name: &str, seed: u8, settle_after_ms: u64) -> Self {
        let folder = folder.join(name);
        let mint = launch(&folder, settle_after_ms).start();
        let wallet = Wallet::open(mint.url(), seed).await;
        Self { folder, mint, wallet }
    }

    /// Kills it where it stands; nothing of it runs any more.
    fn kill(self) -> Killed {
        self.mint.kill();
        assert_eq!(audit(&self.folder.join("mint.sqlite")).unfinished, 1, "killed in the middle of a payment");
        Killed { folder: self.folder, wallet: self.wallet }
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

    /// Pays in a task of its own.
    fn start_paying(
        &self,
        quote: &MeltQuoteBolt11Response,
        proofs: &[Proof],
    ) -> JoinHandle<Option<MeltQuoteBolt11Response>> {
        let (wallet, quote, proofs) = (self.wallet.clone(), quote.quote.clone(), proofs.to_vec());
        tokio::spawn(async move {
            let answer = wallet.try_melt(&quote, &proofs, &wallet.draft(&[])).await;
            answer.map(Answer::ok)
        })
    }

    async fn all_are(&self, proofs: &[Proof], state: ProofState) -> bool {
        self.wallet.states(proofs).await.iter().all(|found| *found == state)
    }

    /// For so long the proofs are neither given back nor of any use.
    async fn assert_held(&self, quote: &MeltQuoteBolt11Response, proofs: &[Proof], so_long: Duration) {
        let until = tokio::time::Instant::now() + so_long;
        loop {
            assert!(self.all_are(proofs, ProofState::Pending).await, "the node may pay:\n{}", self.mint.log());
            assert_eq!(self.wallet.melt_quote_now(&quote.quote).await.state, MeltQuoteState::Pending);
            let swap = self.wallet.try_swap(proofs, &self.wallet.draft_for(client::sum(proofs))).await;
            assert_eq!(swap.expect("an answer").code(), Some(11_002));
            if tokio::time::Instant::now() >= until {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    /// Waits until the proofs are spent, and never sees them given back before.
    async fn wait_until_spent(&self, quote: &MeltQuoteBolt11Response, proofs: &[Proof]) {
        let until = tokio::time::Instant::now() + PATIENCE;
        while !self.all_are(proofs, ProofState::Spent).await {
            assert!(!self.all_are(proofs, ProofState::Unspent).await, "what was paid came back");
            assert!(tokio::time::Instant::now() < until, "it is not settled:\n{}", self.mint.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // The same request again tells what was paid for.
        let paid: MeltQuoteBolt11Response = self.pay(quote, proofs).await.ok();
        assert_eq!(paid.state, MeltQuoteState::Paid);
        assert!(paid.payment_preimage.is_some(), "with the proof of the whole payment");
    }

    /// Stops and looks at the books.
    fn close(self, held: u64) {
        self.mint.stop();
        audit(&self.folder.join("mint.sqlite")).assert_settled(held);
    }

    /// As [`close`](Self::close), after one payment of so much with all that there was.
    fn close_having_paid(self, sat: i64) {
        let database = self.folder.join("mint.sqlite");
        self.close(0);
        let books = audit(&database);
        assert_eq!((books.paid_out, books.routing), (sat, 0), "{books:?}");
    }
}

/// A mint that is no more, and its wallet.
struct Killed {
    folder: std::path::PathBuf,
    wallet: Wallet,
}

impl Killed {
    /// A new process on the same files.
    fn restart(self) -> Side {
        let mint = launch(&self.folder, 150).start();
        let wallet = self.wallet.moved_to(mint.url());
        Side { folder: self.folder, mint, wallet }
    }
}

/// A mint in this folder, on the Lightning network of the folder around it.
fn launch(folder: &Path, settle_after_ms: u64) -> Launch {
    let ledger = folder.with_file_name("lightning.sqlite");
    let launch = Launch::dev(folder).arg("--fake-ledger").arg(ledger).fake("settle-after-ms", settle_after_ms);
    launch.args(&["--payment-timeout-secs", &PAYMENT_TIMEOUT_SECS.to_string()])
}

/// Waits until the network has so many payments that it did not send back.
fn wait_for_payments(ledger: &FakeLedger, count: usize) -> Vec<OutgoingPayment> {
    let alive = || {
        let mut payments = ledger.payments().expect("read");
        payments.retain(|payment| payment.state != PaymentState::Failed);
        payments
    };
    assert!(block_in_place(|| wait_until(PATIENCE, || alive().len() == count)), "{:?}", ledger.payments());
    alive()
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

/// An invoice of 100 sat, and two mints about to pay 60 and 40 of them with all that their wallets have.
struct Parted {
    _folder: TempDir,
    ledger: FakeLedger,
    first: Side,
    second: Side,
    payee: Side,
    invoice: String,
    some: MeltQuoteBolt11Response,
    rest: MeltQuoteBolt11Response,
    coins: Vec<Proof>,
    others: Vec<Proof>,
}

impl Parted {
    async fn new() -> Self {
        let (folder, first, second, payee) = three().await;
        let ledger = open_ledger(folder.path().join("lightning.sqlite")).expect("the ledger opens");
        let invoice = payee.wallet.mint_quote(100).await.request;
        let (some, rest) = (first.quote_part(&invoice, 60_000).await, second.quote_part(&invoice, 40_000).await);
        let (coins, others) = (first.wallet.mint(60).await, second.wallet.mint(40).await);
        Self { _folder: folder, ledger, first, second, payee, invoice, some, rest, coins, others }
    }

    /// The first mint holds what it was given to pay with, for so long.
    async fn assert_held(&self, so_long: Duration) {
        self.first.assert_held(&self.some, &self.coins, so_long).await;
    }

    /// The first mint gives its proofs back, and sends its part again.
    async fn fail_and_start_again(&self) -> JoinHandle<Option<MeltQuoteBolt11Response>> {
        let until = tokio::time::Instant::now() + PATIENCE;
        while !self.first.all_are(&self.coins, ProofState::Unspent).await {
            assert!(tokio::time::Instant::now() < until, "they do not come back:\n{}", self.first.mint.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(self.first.wallet.melt_quote_now(&self.some.quote).await.state, MeltQuoteState::Unpaid);
        let asked = self.first.start_paying(&self.some, &self.coins);
        wait_for_payments(&self.ledger, 1);
        asked
    }

    /// The second mint sends its part, which is the last.
    async fn pay_the_rest(&self) {
        let paid: MeltQuoteBolt11Response = self.second.pay(&self.rest, &self.others).await.ok();
        assert_eq!(paid.state, MeltQuoteState::Paid);
    }

    /// Both settle, the payee was paid once, and all books agree.
    async fn close(self) {
        self.first.wait_until_spent(&self.some, &self.coins).await;
        self.second.wait_until_spent(&self.rest, &self.others).await;
        let invoices = self.ledger.invoices().expect("read");
        let invoice = invoices.iter().find(|invoice| invoice.request == self.invoice).expect("it is there");
        assert_eq!(invoice.settled_msat, 100_000);
        assert_eq!(self.ledger.paid_total_msat().expect("read"), 100_000);
        assert!(self.ledger.paid_twice().expect("read").is_empty());
        self.first.close_having_paid(60);
        self.second.close_having_paid(40);
        self.payee.close(0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_which_the_node_says_nothing_is_held_until_it_speaks() {
    let parted = Parted::new().await;
    parted.ledger.steer(&Steer::Hang(Hang::Forever)).expect("steered");
    let asked = parted.first.start_paying(&parted.some, &parted.coins);
    wait_for_payments(&parted.ledger, 1);
    // Its deadline passes while the part waits at the payee, and nobody has answered.
    parted.assert_held(AFTER_TIMEOUT).await;
    let asked_too = parted.second.start_paying(&parted.rest, &parted.others);
    wait_for_payments(&parted.ledger, 2);
    for answer in [asked, asked_too] {
        let answer = answer.await.expect("no panic").expect("an answer");
        assert_ne!(answer.state, MeltQuoteState::Unpaid, "{answer:?}");
    }
    parted.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_ends_unknown_is_held_over_a_kill_until_there_is_evidence() {
    for fate in [Fate::Paid, Fate::Failed] {
        let mut parted = Parted::new().await;
        let unknown =
            Script { pay_invoice_state: Says::Unknown, check_payment_state: Says::Unknown, ..Script::default() };
        parted.ledger.steer(&Steer::Script(Some(unknown))).expect("steered");
        let answer: MeltQuoteBolt11Response = parted.first.pay(&parted.some, &parted.coins).await.ok();
        assert_eq!(answer.state, MeltQuoteState::Pending, "nobody knows");
        parted.assert_held(SOME_ROUNDS).await;
        parted.first = parted.first.kill().restart();
        parted.assert_held(SOME_ROUNDS).await;
        parted.ledger.steer(&Steer::Script(None)).expect("steered");
        let stuck = wait_for_payments(&parted.ledger, 1)[0].id;
        parted.ledger.resolve(stuck, fate).expect("resolved");
        let again = if fate == Fate::Failed { Some(parted.fail_and_start_again().await) } else { None };
        parted.pay_the_rest().await;
        if let Some(answer) = again {
            assert_eq!(answer.await.expect("no panic").expect("an answer").state, MeltQuoteState::Paid);
        }
        parted.close().await;
    }
}

/// What becomes of a part whose mint was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sequel {
    /// The other part comes while the mint is dead.
    PaidMeanwhile,
    /// The other part comes when it is back.
    PaidAfterwards,
    /// It fails while the mint is dead.
    FailedMeanwhile,
    /// It fails when the mint is back.
    FailedAfterwards,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_outlives_the_mint_that_sent_it() {
    use Sequel::{FailedAfterwards, FailedMeanwhile, PaidAfterwards, PaidMeanwhile};
    for sequel in [PaidMeanwhile, PaidAfterwards, FailedMeanwhile, FailedAfterwards] {
        let mut parted = Parted::new().await;
        let asked = parted.first.start_paying(&parted.some, &parted.coins);
        let part = wait_for_payments(&parted.ledger, 1)[0].id;
        let killed = parted.first.kill();
        assert!(asked.await.expect("no panic").is_none(), "{sequel:?}: nobody answered");
        match sequel {
            PaidMeanwhile => {
                let paid: MeltQuoteBolt11Response = parted.second.pay(&parted.rest, &parted.others).await.ok();
                assert_eq!(paid.state, MeltQuoteState::Paid);
            }
            FailedMeanwhile => parted.ledger.resolve(part, Fate::Failed).expect("resolved"),
            PaidAfterwards | FailedAfterwards => {}
        }
        parted.first = killed.restart();
        if matches!(sequel, PaidAfterwards | FailedAfterwards) {
            parted.assert_held(SOME_ROUNDS).await;
        }
        if sequel == FailedAfterwards {
            parted.ledger.resolve(part, Fate::Failed).expect("resolved");
        }
        if matches!(sequel, FailedMeanwhile | FailedAfterwards) {
            let _again = parted.fail_and_start_again().await;
            parted.pay_the_rest().await;
        } else if sequel == PaidAfterwards {
            parted.pay_the_rest().await;
        }
        parted.close().await;
    }
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
