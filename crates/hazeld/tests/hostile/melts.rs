//! Payments that are in doubt, fail, are said to fail, or are not proven; and what comes back of them.

use hazel_lightning::fake::{CallOutcome, Fate, Hang, InvoiceSpec, PaymentState, Shows, Steer};
use hazel_protocol::{CurrencyUnit, MeltQuoteBolt11Response, Proof, ProofState};
use serde_json::{Value, json};

use crate::bench::{Bench, eventually, foreign};
use crate::client::{Answer, Api, Launch, Server, Wallet, sum};
use crate::replays::with_reserve;

/// An attempt may take five seconds: soon nobody can call the node for it any more, and only its own word counts.
fn short(launch: Launch) -> Launch {
    launch.args(&["--payment-timeout-secs", "5"])
}

/// A melt under way.
struct Begun {
    spec: InvoiceSpec,
    quote: MeltQuoteBolt11Response,
    coins: Vec<Proof>,
    fate: Fate,
}

impl Bench {
    async fn begin(&self, number: u8, description: &str, fate: Fate) -> Begun {
        let spec = foreign(number, 8_000, description);
        let coins = self.wallet.mint(8).await;
        let quote = self.wallet.melt_quote(&spec.build().expect("an invoice")).await;
        let answer: MeltQuoteBolt11Response = self.begin_melt(&quote, &coins, &json!([])).await.ok();
        assert_eq!(answer.state.as_str(), "PENDING");
        Begun { spec, quote, coins, fate }
    }

    async fn assert_held(&self, begun: &Begun) {
        assert_eq!(self.melt_state(&begun.quote).await, "PENDING", "{}", begun.spec.description);
        self.assert_all(&begun.coins, ProofState::Pending).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_doubt_stays_pending_over_polls_and_restarts() {
    let mut bench = Bench::new(short).await;
    let says = |pay: &str, check: &str| format!(r#"{{"pay_invoice_state":"{pay}","check_payment_state":"{check}"}}"#);
    let silent =
        r#"{"pay_invoice_state":"UNKNOWN","check_payment_state":"UNKNOWN","pay_err":true,"check_err":true}"#.to_owned();
    let mut melts = Vec::new();
    for (number, description, fate) in [
        (1, silent, Fate::Paid),
        (2, says("PENDING", "PENDING"), Fate::Failed),
        (3, says("UNKNOWN", "UNKNOWN"), Fate::Paid),
        (4, says("PENDING", "UNKNOWN"), Fate::Failed),
    ] {
        melts.push(bench.begin(number, &description, fate).await);
    }
    // The node had this one and then forgets it: that is no failure.
    let forgotten = bench.begin(5, &says("PENDING", "PENDING"), Fate::Paid).await;
    eventually("the node has it", async || !bench.payments_for(&forgotten.spec).is_empty()).await;
    eventually("it is in doubt", async || unknown(&bench).await >= 3).await;
    bench.node.forget(bench.payments_for(&forgotten.spec)[0].id).expect("forgotten");
    for _ in 0..3 {
        // One of them cannot be asked about, which the log tells: all of them have been tried as often.
        eventually("rounds of questions", async || {
            for begun in melts.iter().chain([&forgotten]) {
                bench.assert_held(begun).await;
            }
            bench.logged("does not say what became of a payment") >= 3
        })
        .await;
        bench = bench.killed();
    }
    eventually("an alarm", async || bench.logged("ALARM: the backend has forgotten a payment it had") > 0).await;
    let spare = bench.wallet.mint(8).await;
    assert_eq!(bench.melt(&melts[0].quote, &spare, &json!([])).await.code(), Some(20_005), "the quote is held");
    let outputs = bench.wallet.draft(&[8]).messages;
    let swap = json!({ "inputs": melts[0].coins, "outputs": outputs });
    assert_eq!(bench.post("/v1/swap", &swap).await.code(), Some(11_002), "the proofs are held");
    for begun in &melts {
        let id = bench.payments_for(&begun.spec)[0].id;
        bench.node.resolve(id, begun.fate).expect("on its way");
        let (state, proofs) = match begun.fate {
            Fate::Paid => ("PAID", ProofState::Spent),
            _ => ("UNPAID", ProofState::Unspent),
        };
        bench.until_melt(&begun.quote, state).await;
        bench.assert_all(&begun.coins, proofs).await;
        assert_eq!(bench.payments_for(&begun.spec).len(), 1, "asked to pay once");
    }
    bench.assert_held(&forgotten).await;
    bench.mint.stop();
}

/// Melts whose doubt is written down.
async fn unknown(bench: &Bench) -> usize {
    let operations = Api::of_operator(bench.folder.path()).get("/v1/admin/operations").await;
    operations.body.to_string().matches("\"unknown\"").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_reached_the_node_unlocks_by_itself() {
    let bench = Bench::new(short).await;
    bench.node.steer(&Steer::PayUnreachable(true)).expect("steered");
    let begun = bench.begin(1, "nobody hears of it", Fate::Failed).await;
    bench.assert_held(&begun).await;
    bench.until_melt(&begun.quote, "UNPAID").await;
    bench.assert_all(&begun.coins, ProofState::Unspent).await;
    let calls = bench.node.pay_calls().expect("read");
    assert!(calls.iter().map(|call| call.outcome).eq([CallOutcome::Unreachable]), "{calls:?}");
    bench.node.steer_back().expect("steered");
    let paid: MeltQuoteBolt11Response = bench.melt(&begun.quote, &begun.coins, &json!([])).await.ok();
    assert_eq!(paid.state.as_str(), "PAID", "the same quote and the same proofs");
    bench.close(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_failure_of_an_earlier_attempt_frees_nothing() {
    let bench = Bench::new(|launch| launch).await;
    let spec = foreign(1, 8_000, "twice");
    let (request, coins) = (spec.build().expect("an invoice"), bench.wallet.mint(8).await);
    bench.node.steer(&Steer::FailNextPays(1)).expect("steered");
    let first = bench.wallet.melt_quote(&request).await;
    assert_eq!(bench.melt(&first, &coins, &json!([])).await.code(), Some(20_004));
    // From now on the node says of the new attempt what became of the old one, as long as it is on its way.
    bench.node.steer(&Steer::StaleFailed(true)).expect("steered");
    bench.node.steer(&Steer::PayDelayMs(3_000)).expect("steered");
    let began: MeltQuoteBolt11Response = bench.begin_melt(&first, &coins, &json!([])).await.ok();
    assert_eq!(began.state.as_str(), "PENDING");
    let in_flight = || bench.payments_for(&spec).get(1).is_none_or(|second| second.state == PaymentState::InFlight);
    eventually("paid", async || {
        let (state, proofs) = (bench.melt_state(&first).await, bench.wallet.states(&coins).await);
        if in_flight() {
            assert_eq!((state.as_str(), proofs[0]), ("PENDING", ProofState::Pending), "in flight");
        }
        assert_ne!(state, "UNPAID", "the attempt that runs has not failed");
        state == "PAID"
    })
    .await;
    assert_eq!(bench.payments_for(&spec).len(), 2, "one that failed and one that was made");
    assert!(bench.node.paid_twice().expect("read").is_empty());
    bench.close(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_seen_as_paid_before_its_call_returns_is_settled_once() {
    let mut bench = Bench::new(|launch| with_reserve(short(launch))).await;
    let mut held = 0;
    for (number, hang, kill) in [(1, Hang::ForMs(2_500), false), (2, Hang::Forever, false), (3, Hang::Forever, true)] {
        bench.node.steer(&Steer::Hang(hang)).expect("steered");
        let spec = foreign(number, 11_000, "silent");
        let (coins, blanks) = (bench.wallet.mint(15).await, bench.wallet.draft(&[0, 0]));
        let quote = bench.wallet.melt_quote(&spec.build().expect("an invoice")).await;
        let messages = json!(blanks.messages);
        let _: MeltQuoteBolt11Response = bench.begin_melt(&quote, &coins, &messages).await.ok();
        eventually("the node has paid", async || {
            bench.payments_for(&spec).iter().any(|payment| payment.state == PaymentState::Paid)
        })
        .await;
        if kill {
            bench = bench.killed();
        }
        // Sixteen pollers, while the call has not returned.
        let pollers: Vec<_> = (0..16)
            .map(|_| {
                let (wallet, id) = (bench.wallet.clone(), quote.quote.clone());
                tokio::spawn(async move {
                    for _ in 0..20 {
                        wallet.melt_quote_now(&id).await;
                    }
                })
            })
            .collect();
        for poller in pollers {
            poller.await.expect("answered");
        }
        bench.until_melt(&quote, "PAID").await;
        let answer: MeltQuoteBolt11Response = bench.melt(&quote, &coins, &messages).await.ok();
        let change = bench.wallet.finish(&blanks, &answer.change.expect("2 of 4 come back"));
        assert_eq!(sum(&change), 2);
        held += 2;
        assert_eq!(bench.payments_for(&spec).len(), 1, "asked to pay once");
    }
    bench.close(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hash_to_the_payment_hash_is_no_proof() {
    let mut bench = Bench::new(short).await;
    for (number, shows) in [(1, Shows::ZeroPreimage), (2, Shows::WrongPreimage)] {
        bench.node.steer(&Steer::Shows(shows)).expect("steered");
        let begun = bench.begin(number, "paid, it says", Fate::Paid).await;
        eventually("an alarm", async || {
            bench.assert_held(&begun).await;
            bench.logged("ALARM: the backend says paid without a proof") > 0
        })
        .await;
        bench = bench.killed();
        eventually("an alarm after a restart", async || {
            bench.assert_held(&begun).await;
            bench.logged("ALARM: the backend says paid without a proof") > 0
        })
        .await;
        bench.node.steer(&Steer::Shows(Shows::Truth)).expect("steered");
        bench.until_melt(&begun.quote, "PAID").await;
        bench.assert_all(&begun.coins, ProofState::Spent).await;
        bench = bench.killed();
    }
    bench.close(0);
}

/// Blanks that carry these amounts, which say nothing.
fn valued(blanks: &Value, amount: u64) -> Value {
    let mut blanks = blanks.clone();
    for blank in blanks.as_array_mut().expect("a list") {
        blank["amount"] = json!(amount);
    }
    blanks
}

#[tokio::test(flavor = "multi_thread")]
async fn change_is_laid_onto_the_blanks_there_are() {
    let mut bench = Bench::new(with_reserve).await;
    let mut held = 0;
    // 11 and a reserve of 4, of which 2 are used: what is left of the inputs, and what the blanks make of it.
    for (number, paid_in, cost_percent, count, amount, given) in [
        (1, 15, 50, 0, 0, &[][..]),
        (2, 15, 50, 1, 0, &[2][..]),
        (3, 15, 50, 5, 0, &[2]),
        (4, 15, 50, 3, 1 << 20, &[2]),
        (5, 31, 50, 1, 0, &[16]),
        (6, 31, 50, 2, 1, &[2, 16]),
        (7, 15, 100, 3, 0, &[]),
        (8, 63, 0, 2, 3, &[16, 32]),
    ] {
        bench.node.steer(&Steer::FeeUsedPercent(cost_percent)).expect("steered");
        let blanks = bench.wallet.draft(&vec![0; count]);
        let messages = valued(&json!(blanks.messages), amount);
        let coins = bench.wallet.mint(paid_in).await;
        let quote = bench.wallet.melt_quote(&foreign(number, 11_000, "change").build().expect("an invoice")).await;
        let first = bench.melt(&quote, &coins, &messages).await;
        let change = change_of(&first);
        assert_eq!(change, given, "case {number}");
        let answer: MeltQuoteBolt11Response = first.clone().ok();
        if let Some(signatures) = answer.change {
            held += sum(&bench.wallet.finish(&blanks, &signatures));
        }
        bench = bench.killed();
        let again = bench.melt(&quote, &coins, &messages).await;
        assert_eq!(again.body, first.body, "the same change in the same order after a restart");
    }
    held += blanks_of_a_failure(&bench).await;
    bench.close(held);
}

fn change_of(answer: &Answer) -> Vec<u64> {
    let change = answer.body["change"].as_array().cloned().unwrap_or_default();
    change.iter().map(|signature| signature["amount"].as_u64().expect("an amount")).collect()
}

/// Blanks of a melt that failed can be outputs of something else; then they are no blanks any more. Gives what the wallet holds after.
async fn blanks_of_a_failure(bench: &Bench) -> u64 {
    bench.node.steer(&Steer::FailNextPays(1)).expect("steered");
    let blanks = bench.wallet.draft(&[0, 0]);
    let (coins, one) = (bench.wallet.mint(15).await, bench.wallet.mint(1).await);
    let quote = bench.wallet.melt_quote(&foreign(9, 11_000, "fails").build().expect("an invoice")).await;
    let messages = json!(blanks.messages);
    assert_eq!(bench.melt(&quote, &coins, &messages).await.code(), Some(20_004));
    bench.assert_all(&coins, ProofState::Unspent).await;
    let outputs = json!([valued(&messages, 1)[0]]);
    assert!(bench.post("/v1/swap", &json!({ "inputs": one, "outputs": outputs })).await.is_ok(), "the blank is free");
    assert_eq!(bench.melt(&quote, &coins, &messages).await.code(), Some(11_003), "and now it is signed");
    16
}

#[tokio::test(flavor = "multi_thread")]
async fn amounts_are_rounded_against_the_payer_and_the_payee_gets_all_of_it() {
    let lightning = "settle_after_ms = 150\nfee_used_percent = 100";
    let server = Server::start("", lightning, "[[unit]]\nunit = \"sat\"\n[[unit]]\nunit = \"msat\"\n");
    let node = server.node();
    node.steer(&Steer::ReserveMinMsat(700)).expect("steered");
    let sat = Wallet::open(server.mint.url(), 1).await;
    let msat = Wallet::open_in(server.mint.url(), 2, CurrencyUnit::Msat).await;
    for (number, wallet, amount, reserve, change) in [(1, &sat, 11, 1, 0), (2, &msat, 10_500, 700, 0)] {
        let quote = wallet.melt_quote(&foreign(number, 10_500, "half a sat").build().expect("an invoice")).await;
        assert_eq!((quote.amount.to_u64(), quote.fee_reserve.to_u64()), (amount, reserve));
        let (less, blanks) = (wallet.mint(amount + reserve - 1).await, wallet.draft(&[0]));
        assert_eq!(wallet.try_melt(&quote.quote, &less, &blanks).await.expect("answered").code(), Some(11_005));
        let coins = [less, wallet.mint(1).await].concat();
        let answer = wallet.try_melt(&quote.quote, &coins, &blanks).await.expect("answered");
        assert_eq!(answer.body["state"], "PAID");
        // 11.2 sat are 12.
        assert_eq!(change_of(&answer).iter().sum::<u64>(), change);
        let call = node.pay_calls().expect("read").pop().expect("a call");
        assert_eq!(call.amount_msat, 10_500, "the whole invoice, and no more");
        assert!(call.max_fee_msat <= reserve * if number == 1 { 1_000 } else { 1 }, "a cap in msat: {call:?}");
    }
    server.mint.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn amount_and_reserve_above_the_limit_are_said_in_the_quote() {
    let server = Server::start("", "settle_after_ms = 150", "[limits]\nmelt_min = 2\nmelt_max = 20\n");
    server.node().steer(&Steer::ReserveMinMsat(4_000)).expect("steered");
    let wallet = Wallet::open(server.mint.url(), 1).await;
    let ask = async |number: u8, sat: u64| {
        let request = foreign(number, sat * 1_000, "large").build().expect("an invoice");
        wallet.api.post("/v1/melt/quote/bolt11", &json!({ "request": request, "unit": "sat" })).await
    };
    for (number, sat) in [(1, 17), (2, 20), (3, 21), (4, 1)] {
        assert_eq!(ask(number, sat).await.code(), Some(11_006), "{sat}");
    }
    let quote: MeltQuoteBolt11Response = ask(5, 16).await.ok();
    let coins = wallet.mint(20).await;
    let answer = wallet.try_melt(&quote.quote, &coins, &wallet.draft(&[])).await.expect("answered");
    assert_eq!(answer.body["state"], "PAID", "what was quoted is not refused for its size");
    server.mint.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_melt_that_is_not_waited_for_is_pending_at_once() {
    let bench = Bench::new(|launch| launch.fake("pay-after-ms", 2_500)).await;
    let coins = bench.wallet.mint(8).await;
    let spec = foreign(1, 8_000, "slow");
    let quote = bench.wallet.melt_quote(&spec.build().expect("an invoice")).await;
    let answer: MeltQuoteBolt11Response = bench.begin_melt(&quote, &coins, &json!([])).await.ok();
    let now = bench.melt_state(&quote).await;
    let payments = bench.payments_for(&spec);
    if payments.iter().all(|payment| payment.state == PaymentState::InFlight) {
        assert_eq!((answer.state.as_str(), now.as_str()), ("PENDING", "PENDING"));
    }
    bench.until_melt(&quote, "PAID").await;
    bench.close(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_node_is_away_the_rest_goes_on() {
    let bench = Bench::new(|launch| launch.fake("settle-after-ms", 3_600_000)).await;
    let open = bench.wallet.mint_quote(8).await;
    let hash = bench.node.invoices().expect("read")[0].payment_hash;
    let late = bench.wallet.mint_quote(16).await;
    bench.node.settle(&hash, 8_000).expect("paid");
    eventually("paid", async || bench.wallet.mint_quote_state(&open.quote).await.as_str() == "PAID").await;
    bench.node.steer(&Steer::Down(true)).expect("steered");
    let draft = bench.wallet.draft_for(8);
    let issued: hazel_protocol::MintResponse =
        bench.wallet.try_issue(&open.quote, &draft).await.expect("answered").ok();
    let mut coins = bench.wallet.finish_all(&draft, &issued.signatures);
    let request = foreign(1, 8_000, "not now").build().expect("an invoice");
    // As many rounds as there are half minutes in ten of them.
    for _ in 0..20 {
        let began = std::time::Instant::now();
        for (path, body) in [
            ("/v1/mint/quote/bolt11", json!({ "amount": 4, "unit": "sat" })),
            ("/v1/melt/quote/bolt11", json!({ "request": request, "unit": "sat" })),
        ] {
            let answer = bench.post(path, &body).await;
            assert_eq!((answer.status, answer.code()), (503, Some(20_000)), "{answer:?}");
        }
        assert!(began.elapsed().as_secs() < 10, "quotes fail fast");
        coins = bench.wallet.swap(&coins).await;
        bench.assert_all(&coins, ProofState::Unspent).await;
        assert_eq!(bench.wallet.mint_quote_state(&late.quote).await.as_str(), "UNPAID");
        assert!(bench.wallet.restore(&draft.messages).await.iter().all(Option::is_some));
    }
    let hash = bench.node.invoices().expect("read")[1].payment_hash;
    bench.node.settle(&hash, 16_000).expect("paid while the mint could not hear of it");
    bench.node.steer_back().expect("steered");
    eventually("credited", async || bench.wallet.mint_quote_state(&late.quote).await.as_str() == "PAID").await;
    let quote = bench.wallet.melt_quote(&request).await;
    let answer = bench.melt(&quote, &coins, &json!([])).await;
    assert_eq!(answer.body["state"], "PAID", "{answer:?}");
    bench.close(0);
}
