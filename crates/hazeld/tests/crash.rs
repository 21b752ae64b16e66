//! The real process is stopped at every named point between two steps, and killed there with SIGKILL; or its task panics there.
//!
//! After that each operation is done or undone, the same request again is answered, nothing is pending, and the sums of the
//! books are what the client holds.
#![cfg(feature = "failpoints")]

mod client;

use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Answer, Draft, Hazeld, Launch, Wallet, audit, copy_folder, invoice, payments_by_hash, sum, wait_until};
use hazel_lightning::fake::{InvoiceSpec, open_ledger};
use hazel_protocol::{
    MeltQuoteBolt11Response, MeltQuoteState, MintQuoteState, MintResponse, Proof, ProofState, QuoteId, SwapResponse,
};
use tempfile::TempDir;

/// How long recovery may take. It starts at once; a sweep after a panic comes within seconds.
const RECOVERY: Duration = Duration::from_mins(1);

/// What goes wrong at the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The process is killed.
    Kill,
    /// The task panics, once; the process lives.
    Panic,
}

const FAULTS: [Fault; 2] = [Fault::Kill, Fault::Panic];

/// A mint with some money out, at rest.
struct Prepared {
    folder: TempDir,
    wallet: Wallet,
    money: Vec<Proof>,
    /// Paid, and nothing issued on it.
    quote: QuoteId,
}

/// What is on the paid quote.
const QUOTED: u64 = 32;

async fn prepare() -> Prepared {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).args(&["--input-fee-ppk", "100"]).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let money = wallet.mint(63).await;
    let quote = wallet.paid_quote(QUOTED).await;
    mint.stop();
    Prepared { folder, wallet, money, quote }
}

/// One fault at one point, on a copy of the prepared mint.
struct Case {
    folder: TempDir,
    point: String,
    fault: Fault,
    bend: fn(Launch) -> Launch,
    /// How many operations a kill at the point leaves unfinished, which shows that it is the point it says.
    leaves: i64,
}

/// Points at which an operation has a row in the ledger.
const WITH_A_ROW: [&str; 10] = [
    "swap-after-reserve",
    "swap-after-sign",
    "swap-before-release",
    "melt-after-reserve",
    "melt-after-dispatch",
    "melt-after-pay",
    "melt-after-record",
    "melt-after-sign",
    "melt-before-release",
    "melt-internal-before-settle",
];

impl Case {
    fn new(prepared: &Prepared, point: &str, fault: Fault, bend: fn(Launch) -> Launch) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        copy_folder(prepared.folder.path(), folder.path());
        let leaves = i64::from(WITH_A_ROW.contains(&point));
        Self { folder, point: format!("hazel::fail::{point}"), fault, bend, leaves }
    }

    fn launch(&self) -> Launch {
        (self.bend)(Launch::dev(self.folder.path()))
    }

    /// A process in which the fault will come.
    fn armed(&self) -> Launch {
        match self.fault {
            Fault::Kill => self.launch().env("HAZEL_STOP_AT", &self.point),
            Fault::Panic => self.launch().env("FAILPOINTS", format!("{}=1*panic", self.point)),
        }
    }

    /// Sends the request into the fault. What comes back goes on: the same process, or the one after it.
    async fn interrupt(&self, mint: Hazeld, request: impl Future<Output = Option<Answer>> + Send + 'static) -> Hazeld {
        let asked = tokio::spawn(request);
        self.suffer(mint, || async {
            let answer = asked.await.expect("the client does not panic");
            match self.fault {
                Fault::Kill => assert!(answer.is_none(), "{}: nobody answered: {answer:?}", self.point),
                Fault::Panic => assert!(answer.is_some_and(|answer| answer.status != 400), "{}", self.point),
            }
        })
        .await
    }

    /// Waits until the point is reached, and for `then` after the fault.
    async fn suffer<F: Future<Output = ()>>(&self, mint: Hazeld, then: impl FnOnce() -> F) -> Hazeld {
        if self.fault == Fault::Panic {
            self.wait_for_point(&mint, &format!("failpoint {} panic", self.point));
            then().await;
            return mint;
        }
        self.kill_at_point(mint);
        then().await;
        self.launch().start()
    }

    fn kill_at_point(&self, mint: Hazeld) {
        self.wait_for_point(&mint, &format!("stopped at failpoint {}\n", self.point));
        mint.kill();
        assert_eq!(audit(&self.database()).unfinished, self.leaves, "{}: left by the kill", self.point);
    }

    fn wait_for_point(&self, mint: &Hazeld, sign: &str) {
        let reached = tokio::task::block_in_place(|| mint.logs(sign, RECOVERY));
        assert!(reached, "{} is not reached:\n{}", self.point, mint.log());
    }

    fn database(&self) -> PathBuf {
        self.folder.path().join("mint.sqlite")
    }

    /// Waits until nothing is under way any more.
    fn wait_for_recovery(&self, mint: &Hazeld) {
        let settled = || {
            let books = audit(&self.database());
            (books.unfinished, books.pending, books.reserved_outputs) == (0, 0, 0)
        };
        let settled = tokio::task::block_in_place(|| wait_until(RECOVERY, settled));
        assert!(settled, "{}: {:?}\n{}", self.point, audit(&self.database()), mint.log());
    }

    /// Ends the mint and reads its books: wallets hold so much, and no invoice was paid twice.
    fn close(&self, mint: Hazeld, held: u64) {
        mint.stop();
        audit(&self.database()).assert_settled(held);
        assert_one_payment_each(self.folder.path());
    }
}

fn assert_one_payment_each(folder: &Path) {
    let payments = payments_by_hash(&folder.join("lightning.sqlite"));
    assert!(payments.values().all(|count| *count == 1), "{payments:?}");
    assert!(open_ledger(folder.join("lightning.sqlite")).expect("opens").paid_twice().expect("read").is_empty());
}

fn as_is(launch: Launch) -> Launch {
    launch
}

/// Done or undone, and then the same request as often as one likes. Gives what the client holds in the end.
async fn check_swap(wallet: &Wallet, money: &[Proof], draft: &Draft, done: bool) -> Vec<Proof> {
    let expected = if done { ProofState::Spent } else { ProofState::Unspent };
    assert!(wallet.states(money).await.iter().all(|state| *state == expected), "all {expected:?}");
    let restored = wallet.restore(&draft.messages).await;
    assert!(restored.iter().all(|signature| signature.is_some() == done), "all signed, or none");

    let first: SwapResponse = wallet.try_swap(money, draft).await.expect("answered").ok();
    let again: SwapResponse = wallet.try_swap(money, draft).await.expect("answered").ok();
    assert_eq!(first, again);
    assert!(!done || restored.iter().flatten().eq(first.signatures.iter()), "signed once and never otherwise");
    let other = wallet.try_swap(money, &wallet.draft_for(sum(money) - wallet.fee(money.len()))).await;
    assert_eq!(other.expect("answered").code(), Some(11001));
    let fresh = wallet.finish_all(draft, &first.signatures);
    wallet.swap(&fresh).await
}

async fn swap_case(prepared: &Prepared, point: &str, fault: Fault) {
    let case = Case::new(prepared, point, fault, as_is);
    let mint = case.armed().start();
    let wallet = prepared.wallet.moved_to(mint.url());
    let draft = wallet.draft_for(sum(&prepared.money) - wallet.fee(prepared.money.len()));
    let request = {
        let (wallet, money, draft) = (wallet.clone(), prepared.money.clone(), draft.clone());
        async move { wallet.try_swap(&money, &draft).await }
    };
    let mint = case.interrupt(mint, request).await;
    case.wait_for_recovery(&mint);
    let wallet = wallet.moved_to(mint.url());
    let held = check_swap(&wallet, &prepared.money, &draft, point == "swap-after-settle").await;
    case.close(mint, sum(&held));
}

#[tokio::test(flavor = "multi_thread")]
async fn swap_survives_a_fault_at_every_point() {
    let prepared = prepare().await;
    for point in ["swap-before-reserve", "swap-after-reserve", "swap-after-sign", "swap-after-settle"] {
        for fault in FAULTS {
            swap_case(&prepared, point, fault).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swap_survives_a_fault_before_its_release() {
    let prepared = prepare().await;
    for fault in FAULTS {
        // The signer fails, but only once the inputs are held.
        let case = Case::new(&prepared, "swap-before-release", fault, as_is);
        let failing = "hazel::fail::swap-after-reserve>hazel::fail::compute=1*return";
        let mint = case.armed().env("HAZEL_ARM_AT", failing).start();
        let wallet = prepared.wallet.moved_to(mint.url());
        let draft = wallet.draft_for(sum(&prepared.money) - wallet.fee(prepared.money.len()));
        let request = {
            let (wallet, money, draft) = (wallet.clone(), prepared.money.clone(), draft.clone());
            async move { wallet.try_swap(&money, &draft).await }
        };
        let mint = case.interrupt(mint, request).await;
        case.wait_for_recovery(&mint);
        if fault == Fault::Panic {
            // This process would fail the next swap as well.
            mint.stop();
        } else {
            drop(mint);
        }
        let mint = case.launch().start();
        let held = check_swap(&wallet.moved_to(mint.url()), &prepared.money, &draft, false).await;
        case.close(mint, sum(&held));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_whose_signer_fails_gives_its_inputs_back_at_once() {
    let prepared = prepare().await;
    let case = Case::new(&prepared, "unused", Fault::Kill, as_is);
    let failing = "hazel::fail::swap-after-reserve>hazel::fail::compute=1*return";
    let mint = case.launch().env("HAZEL_ARM_AT", failing).start();
    let wallet = prepared.wallet.moved_to(mint.url());
    let draft = wallet.draft_for(sum(&prepared.money) - wallet.fee(prepared.money.len()));
    let answer = wallet.try_swap(&prepared.money, &draft).await.expect("answered");
    assert!(answer.status >= 500, "{answer:?}");
    assert!(wallet.states(&prepared.money).await.iter().all(|state| *state == ProofState::Unspent));
    mint.stop();
    audit(&case.database()).assert_settled(63);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_whose_release_fails_ten_times_gives_its_inputs_back_all_the_same() {
    let prepared = prepare().await;
    let case = Case::new(&prepared, "unused", Fault::Kill, as_is);
    let failing = "hazel::fail::swap-after-reserve>hazel::fail::compute=1*return";
    let mint =
        case.launch().env("HAZEL_ARM_AT", failing).env("FAILPOINTS", "hazel::fail::swap-release=10*return").start();
    let wallet = prepared.wallet.moved_to(mint.url());
    let draft = wallet.draft_for(sum(&prepared.money) - wallet.fee(prepared.money.len()));
    let answer = wallet.try_swap(&prepared.money, &draft).await.expect("answered");
    assert!(answer.status >= 500, "{answer:?}");
    let left = tokio::task::block_in_place(|| mint.logs("a failed swap is left to the sweeper", RECOVERY));
    assert!(left, "{}", mint.log());
    assert_eq!(mint.log().matches("a failed swap is not released yet").count(), 10, "{}", mint.log());
    case.wait_for_recovery(&mint);
    assert!(wallet.states(&prepared.money).await.iter().all(|state| *state == ProofState::Unspent));
    mint.stop();
    audit(&case.database()).assert_settled(63);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_asked_again_while_it_runs_is_answered_once_it_has_ended() {
    let prepared = prepare().await;
    for point in ["swap-after-reserve", "swap-after-sign", "swap-after-settle"] {
        let case = Case::new(&prepared, point, Fault::Kill, as_is);
        let mint = case.launch().env("FAILPOINTS", format!("{}=1*sleep(2000)", case.point)).start();
        let wallet = prepared.wallet.moved_to(mint.url());
        let value = sum(&prepared.money) - wallet.fee(prepared.money.len());
        let (draft, other) = (wallet.draft_for(value), wallet.draft_for(value));
        let first = tokio::spawn({
            let (wallet, money, draft) = (wallet.clone(), prepared.money.clone(), draft.clone());
            async move { wallet.try_swap(&money, &draft).await }
        });
        let begun = || {
            let books = audit(&case.database());
            books.unfinished > 0 || books.outstanding == i64::try_from(value).expect("small")
        };
        assert!(tokio::task::block_in_place(|| wait_until(RECOVERY, begun)), "{point}");
        let nearly = wallet.try_swap(&prepared.money, &other).await.expect("answered");
        assert!(matches!(nearly.code(), Some(11_001 | 11_002)), "{point}: {nearly:?}");
        let again: SwapResponse = wallet.try_swap(&prepared.money, &draft).await.expect("answered").ok();
        let answer: SwapResponse = first.await.expect("no panic").expect("answered").ok();
        assert_eq!(answer, again, "{point}: one answer");
        wallet.finish_all(&draft, &answer.signatures);
        case.close(mint, value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn issue_survives_a_fault_at_every_point() {
    let prepared = prepare().await;
    for point in ["issue-before-sign", "issue-after-sign", "issue-after-commit"] {
        for fault in FAULTS {
            let case = Case::new(&prepared, point, fault, as_is);
            let mint = case.armed().start();
            let wallet = prepared.wallet.moved_to(mint.url());
            let draft = wallet.draft_for(QUOTED);
            let request = {
                let (wallet, quote, draft) = (wallet.clone(), prepared.quote.clone(), draft.clone());
                async move { wallet.try_issue(&quote, &draft).await }
            };
            let mint = case.interrupt(mint, request).await;
            case.wait_for_recovery(&mint);
            let wallet = wallet.moved_to(mint.url());
            check_issue(&wallet, &prepared.quote, &draft, point == "issue-after-commit").await;
            case.close(mint, 63 + QUOTED);
        }
    }
}

async fn check_issue(wallet: &Wallet, quote: &QuoteId, draft: &Draft, done: bool) {
    let state = wallet.mint_quote_state(quote).await;
    assert_eq!(state, if done { MintQuoteState::Issued } else { MintQuoteState::Paid });
    let restored = wallet.restore(&draft.messages).await;
    assert!(restored.iter().all(|signature| signature.is_some() == done), "all signed, or none");
    let first: MintResponse = wallet.try_issue(quote, draft).await.expect("answered").ok();
    let again: MintResponse = wallet.try_issue(quote, draft).await.expect("answered").ok();
    assert_eq!(first, again);
    assert!(!done || restored.iter().flatten().eq(first.signatures.iter()), "signed once and never otherwise");
    let other = wallet.try_issue(quote, &wallet.draft_for(QUOTED)).await.expect("answered");
    assert_eq!(other.code(), Some(20002), "issued once");
    wallet.finish_all(draft, &first.signatures);
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_survives_a_fault_at_every_point() {
    let prepared = prepare().await;
    for point in ["credit-before-commit", "credit-after-commit"] {
        for fault in FAULTS {
            let case = Case::new(&prepared, point, fault, as_is);
            let mint = case.armed().start();
            let wallet = prepared.wallet.moved_to(mint.url());
            // The invoice pays itself, and the mint hears of it.
            let quote = wallet.mint_quote(16).await.quote;
            let mint = case.suffer(mint, || async {}).await;
            let wallet = wallet.moved_to(mint.url());
            let mut state = wallet.mint_quote_state(&quote).await;
            for _ in 0..600 {
                if state == MintQuoteState::Paid {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                state = wallet.mint_quote_state(&quote).await;
            }
            assert_eq!(state, MintQuoteState::Paid, "{point} {fault:?}\n{}", mint.log());
            let draft = wallet.draft_for(16);
            let issued: MintResponse = wallet.try_issue(&quote, &draft).await.expect("answered").ok();
            wallet.finish_all(&draft, &issued.signatures);
            mint.stop();
            let books = audit(&case.database());
            books.assert_settled(63 + 16);
            assert_eq!(books.credited, 63 + i64::try_from(QUOTED).expect("small") + 16, "credited once");
        }
    }
}

/// Two sats of reserve, one of which routing uses up. An attempt may take five seconds: until some time after that nobody believes
/// a node that has never heard of it.
fn with_reserve(launch: Launch) -> Launch {
    launch.fake("reserve-min-msat", 2_000).args(&["--payment-timeout-secs", "5"])
}

fn with_reserve_and_a_forgetful_node(launch: Launch) -> Launch {
    with_reserve(launch).args(&["--fake-idempotent", "false"])
}

/// What is left of the money after an invoice of 21, one sat of routing and the fee on the inputs.
fn change_of(wallet: &Wallet, money: &[Proof]) -> u64 {
    sum(money) - 21 - 1 - wallet.fee(money.len())
}

/// Starts a melt of everything, into the fault.
async fn interrupted_melt(case: &Case, prepared: &Prepared, request: &str) -> (Hazeld, Wallet, QuoteId, Draft) {
    let mint = case.armed().start();
    let wallet = prepared.wallet.moved_to(mint.url());
    let quote = wallet.melt_quote(request).await.quote;
    let blanks = wallet.draft(&[0; 8]);
    let asked = {
        let (wallet, quote, money, blanks) = (wallet.clone(), quote.clone(), prepared.money.clone(), blanks.clone());
        async move { wallet.try_melt(&quote, &money, &blanks).await }
    };
    let mint = case.interrupt(mint, asked).await;
    let wallet = wallet.moved_to(mint.url());
    (mint, wallet, quote, blanks)
}

/// The quote is PAID or UNPAID as it should be; then the melt asked again pays, or says what was paid, as often as one likes.
/// Gives what the client holds in the end.
async fn check_melt(wallet: &Wallet, quote: &QuoteId, money: &[Proof], blanks: &Draft, done: bool) -> u64 {
    let found = wallet.melt_quote_now(quote).await.state;
    assert_eq!(found, if done { MeltQuoteState::Paid } else { MeltQuoteState::Unpaid });
    let expected = if done { ProofState::Spent } else { ProofState::Unspent };
    assert!(wallet.states(money).await.iter().all(|state| *state == expected), "all {expected:?}");

    let first: MeltQuoteBolt11Response = wallet.try_melt(quote, money, blanks).await.expect("answered").ok();
    let again: MeltQuoteBolt11Response = wallet.try_melt(quote, money, blanks).await.expect("answered").ok();
    assert_eq!(first.state, MeltQuoteState::Paid);
    assert_eq!(first, again);
    let change = wallet.finish(blanks, &first.change.expect("change"));
    assert_eq!(sum(&change), change_of(wallet, money));
    sum(&wallet.swap(&change).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn melt_survives_a_fault_at_every_point() {
    let prepared = prepare().await;
    // Done is what recovery makes of it: before the node was called it gives the inputs back, after that it finds the payment.
    for (point, done) in [
        ("melt-before-reserve", false),
        ("melt-after-reserve", false),
        ("melt-after-dispatch", false),
        ("melt-after-pay", true),
        ("melt-after-record", true),
        ("melt-after-sign", true),
        ("melt-after-settle", true),
    ] {
        for fault in FAULTS {
            melt_case(&prepared, point, fault, done, with_reserve).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn melt_survives_a_kill_around_a_node_that_would_pay_twice() {
    let prepared = prepare().await;
    for (point, done) in [("melt-after-dispatch", false), ("melt-after-pay", true)] {
        melt_case(&prepared, point, Fault::Kill, done, with_reserve_and_a_forgetful_node).await;
    }
}

async fn melt_case(prepared: &Prepared, point: &str, fault: Fault, done: bool, bend: fn(Launch) -> Launch) {
    let case = Case::new(prepared, point, fault, bend);
    let (mint, wallet, quote, blanks) = interrupted_melt(&case, prepared, &invoice(1, 21)).await;
    case.wait_for_recovery(&mint);
    let held = check_melt(&wallet, &quote, &prepared.money, &blanks, done).await;
    case.close(mint, held);
    let payments = payments_by_hash(&case.folder.path().join("lightning.sqlite"));
    assert!(payments.values().eq(&[1]), "{point} {fault:?}: paid once: {payments:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_melt_survives_a_fault_before_its_release() {
    let prepared = prepare().await;
    for fault in FAULTS {
        let case = Case::new(&prepared, "melt-before-release", fault, with_reserve);
        let script = r#"{"pay_invoice_state":"FAILED","check_payment_state":"FAILED"}"#;
        let request = InvoiceSpec::foreign([9; 32], Some(21_000), script, now()).build().expect("an invoice");
        let (mint, wallet, quote, blanks) = interrupted_melt(&case, &prepared, &request).await;
        case.wait_for_recovery(&mint);
        assert_eq!(wallet.melt_quote_now(&quote).await.state, MeltQuoteState::Unpaid);
        assert!(wallet.states(&prepared.money).await.iter().all(|state| *state == ProofState::Unspent));
        let again = wallet.try_melt(&quote, &prepared.money, &blanks).await.expect("answered");
        assert_eq!(again.code(), Some(20004), "it fails again, and says so");
        let held = wallet.swap(&prepared.money).await;
        case.close(mint, sum(&held));
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs()
}

/// Invoices pay themselves an hour later, so that only the mint itself pays them now.
fn paying_late(launch: Launch) -> Launch {
    launch.fake("settle-after-ms", 3_600_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_melt_survives_a_fault_around_its_settlement() {
    let prepared = prepare().await;
    for (point, done) in [("melt-internal-before-settle", false), ("melt-internal-after-settle", true)] {
        for fault in FAULTS {
            internal_melt_case(&prepared, point, fault, done).await;
        }
    }
}

async fn internal_melt_case(prepared: &Prepared, point: &str, fault: Fault, done: bool) {
    let case = Case::new(prepared, point, fault, paying_late);
    let quoting = case.launch().start();
    let payee = prepared.wallet.another(2).moved_to(quoting.url());
    let request = payee.mint_quote(21).await;
    quoting.stop();
    let (mint, wallet, quote, blanks) = interrupted_melt(&case, prepared, &request.request).await;
    case.wait_for_recovery(&mint);
    let payee = payee.moved_to(mint.url());
    // Both legs, or none.
    let credited = payee.mint_quote_state(&request.quote).await;
    assert_eq!(credited, if done { MintQuoteState::Paid } else { MintQuoteState::Unpaid }, "{point} {fault:?}");
    let change = check_internal_melt(&wallet, &quote, &prepared.money, &blanks, done).await;
    assert_eq!(payee.mint_quote_state(&request.quote).await, MintQuoteState::Paid);
    let draft = payee.draft_for(21);
    assert!(payee.try_issue(&request.quote, &draft).await.expect("answered").is_ok());
    case.close(mint, sum(&change) + 21);
    let books = audit(&case.database());
    assert_eq!(books.credited, 63 + i64::try_from(QUOTED).expect("small") + 21, "{point} {fault:?}: credited once");
    assert!(payments_by_hash(&case.folder.path().join("lightning.sqlite")).is_empty());
}

/// As [`check_melt`], without Lightning and so without routing. Gives the change.
async fn check_internal_melt(
    wallet: &Wallet,
    quote: &QuoteId,
    money: &[Proof],
    blanks: &Draft,
    done: bool,
) -> Vec<Proof> {
    let found = wallet.melt_quote_now(quote).await.state;
    assert_eq!(found, if done { MeltQuoteState::Paid } else { MeltQuoteState::Unpaid });
    let expected = if done { ProofState::Spent } else { ProofState::Unspent };
    assert!(wallet.states(money).await.iter().all(|state| *state == expected), "all {expected:?}");
    let restored: Vec<_> = wallet.restore(&blanks.messages).await.into_iter().flatten().collect();
    assert_eq!(!restored.is_empty(), done, "the change is signed, or not");

    let first: MeltQuoteBolt11Response = wallet.try_melt(quote, money, blanks).await.expect("answered").ok();
    let again: MeltQuoteBolt11Response = wallet.try_melt(quote, money, blanks).await.expect("answered").ok();
    assert_eq!(first.state, MeltQuoteState::Paid);
    assert_eq!(first, again);
    let signatures = first.change.expect("change");
    assert!(!done || restored.iter().eq(signatures.iter()), "signed once and never otherwise");
    let change = wallet.finish(blanks, &signatures);
    assert_eq!(sum(&change), sum(money) - 21 - wallet.fee(money.len()));
    change
}

/// The node takes its time.
fn slow(launch: Launch) -> Launch {
    with_reserve(launch).fake("pay-after-ms", 1_500)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_the_payment_is_on_its_way_loses_nothing() {
    let prepared = prepare().await;
    let case = Case::new(&prepared, "unused", Fault::Kill, slow);
    let mint = case.launch().start();
    let wallet = prepared.wallet.moved_to(mint.url());
    let quote = wallet.melt_quote(&invoice(2, 21)).await.quote;
    let blanks = wallet.draft(&[0; 8]);
    let asked = tokio::spawn({
        let (wallet, quote, money, blanks) = (wallet.clone(), quote.clone(), prepared.money.clone(), blanks.clone());
        async move { wallet.try_melt(&quote, &money, &blanks).await }
    });
    let ledger = case.folder.path().join("lightning.sqlite");
    assert!(tokio::task::block_in_place(|| wait_until(RECOVERY, || !payments_by_hash(&ledger).is_empty())));
    mint.kill();
    assert!(asked.await.expect("no panic").is_none());
    let mint = case.launch().start();
    case.wait_for_recovery(&mint);
    let wallet = wallet.moved_to(mint.url());
    let held = check_melt(&wallet, &quote, &prepared.money, &blanks, true).await;
    case.close(mint, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_itself_may_be_killed() {
    let prepared = prepare().await;
    let mut case = Case::new(&prepared, "melt-after-record", Fault::Kill, with_reserve);
    let mint = case.armed().start();
    let wallet = prepared.wallet.moved_to(mint.url());
    let quote = wallet.melt_quote(&invoice(3, 21)).await.quote;
    let blanks = wallet.draft(&[0; 8]);
    let asked = {
        let (wallet, quote, money, blanks) = (wallet.clone(), quote.clone(), prepared.money.clone(), blanks.clone());
        async move { wallet.try_melt(&quote, &money, &blanks).await }
    };
    let asked = tokio::spawn(asked);
    case.kill_at_point(mint);
    assert!(asked.await.expect("no panic").is_none());
    // Killed twice while it settles what the first kill left, and once right after.
    for (point, leaves) in [("melt-after-sign", 1), ("melt-after-sign", 1), ("melt-after-settle", 0)] {
        (case.point, case.leaves) = (format!("hazel::fail::{point}"), leaves);
        case.kill_at_point(case.armed().start());
    }
    let mint = case.launch().start();
    case.wait_for_recovery(&mint);
    let held = check_melt(&wallet.moved_to(mint.url()), &quote, &prepared.money, &blanks, true).await;
    case.close(mint, held);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_mid_swap_leaves_nothing_pending() {
    let prepared = prepare().await;
    for point in ["swap-before-reserve", "swap-after-reserve", "swap-after-sign", "swap-after-settle"] {
        let case = Case::new(&prepared, point, Fault::Kill, as_is);
        let mint = case.launch().env("FAILPOINTS", format!("{}=1*sleep(1500)", case.point)).start();
        let wallet = prepared.wallet.moved_to(mint.url());
        let draft = wallet.draft_for(sum(&prepared.money) - wallet.fee(prepared.money.len()));
        let request = {
            let (wallet, money, draft) = (wallet.clone(), prepared.money.clone(), draft.clone());
            async move { wallet.try_swap(&money, &draft).await }
        };
        // The connection closes while the swap stands at the point.
        let patience = Duration::from_millis(700);
        assert!(tokio::time::timeout(patience, request).await.is_err(), "{point}: the swap stands still");
        let done = || audit(&case.database()).outstanding == 62;
        assert!(tokio::task::block_in_place(|| wait_until(RECOVERY, done)), "it runs to its end\n{}", mint.log());
        case.wait_for_recovery(&mint);
        let held = check_swap(&wallet, &prepared.money, &draft, true).await;
        case.close(mint, sum(&held));
    }
}
