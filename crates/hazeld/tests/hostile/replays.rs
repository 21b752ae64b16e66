//! The same request again is answered from the ledger (NUT-19); what is nearly the same is refused and changes nothing.

use hazel_protocol::BlindedMessage;
use serde_json::{Value, json};

use crate::bench::Bench;
use crate::client::{Launch, Wallet, audit, invoice, payments_by_hash, rotate, wait_until};

impl Bench {
    /// Each is refused by its code; then the books are as they were.
    async fn refused(&self, cases: Vec<(&str, &str, Value, u64)>) {
        let before = audit(&self.database());
        for (what, path, body, code) in cases {
            let answer = self.post(path, &body).await;
            assert_eq!((answer.status, answer.code()), (400, Some(code)), "{what}: {answer:?}");
        }
        assert_eq!(before, audit(&self.database()), "a refusal changes nothing");
    }

    /// The request is answered alike: at once, with a new keyset, after a restart, and all of it changes nothing.
    async fn answered_for_ever(mut self, path: &str, body: &Value, first: &Value) -> Self {
        let before = audit(&self.database());
        assert_eq!(self.post(path, body).await.ok::<Value>(), *first, "the same again");
        rotate(self.folder.path());
        assert_eq!(self.post(path, body).await.ok::<Value>(), *first, "with another keyset");
        self = self.killed();
        assert_eq!(self.post(path, body).await.ok::<Value>(), *first, "after a restart");
        assert_eq!(before, audit(&self.database()), "a repeat changes nothing");
        self
    }
}

/// Its payments cost 2 sat of a reserve of 4.
pub(crate) fn with_reserve(launch: Launch) -> Launch {
    launch.fake("reserve-min-msat", 4_000)
}

/// A list of JSON in another order.
fn pick(list: &Value, places: &[usize]) -> Value {
    places.iter().map(|place| list[*place].clone()).collect()
}

fn with(list: &Value, more: &Value) -> Value {
    let both = list.as_array().into_iter().chain(more.as_array());
    both.flatten().cloned().collect()
}

fn swap(inputs: &Value, outputs: &Value) -> Value {
    json!({ "inputs": inputs, "outputs": outputs })
}

fn messages(wallet: &Wallet, amounts: &[u64]) -> Value {
    json!(wallet.draft(amounts).messages)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_and_what_is_nearly_the_same() {
    let bench = Bench::new(with_reserve).await;
    let wallet = &bench.wallet;
    let (inputs, outputs) = (json!(wallet.mint(15).await), messages(wallet, &[1, 2, 4, 8]));
    let request = swap(&inputs, &outputs);
    let first: Value = bench.post("/v1/swap", &request).await.ok();
    let (one, fifteen) = (json!(wallet.mint(1).await), json!(wallet.mint(15).await));
    let (spare, others) = (messages(wallet, &[1]), messages(wallet, &[1, 2, 4, 8]));
    let changed = |list: &Value, change: &dyn Fn(&mut Value)| {
        let mut list = list.clone();
        change(&mut list);
        list
    };
    let exchanged = |name: &'static str| {
        move |list: &mut Value| {
            let first = list[0][name].take();
            list[0][name] = std::mem::replace(&mut list[1][name], first);
        }
    };
    let fewer = [1, 2, 3];
    let half = with(&pick(&outputs, &fewer), &spare);
    let paid = wallet.paid_quote(15).await;
    let invoice = wallet.melt_quote(&invoice(1, 10)).await.quote;
    bench
        .refused(vec![
            ("one of both fewer", "/v1/swap", swap(&pick(&inputs, &fewer), &pick(&outputs, &fewer)), 11_001),
            ("one output fewer", "/v1/swap", swap(&inputs, &pick(&outputs, &fewer)), 11_005),
            ("one input fewer", "/v1/swap", swap(&pick(&inputs, &fewer), &outputs), 11_005),
            ("one of both more", "/v1/swap", swap(&with(&inputs, &one), &with(&outputs, &spare)), 11_001),
            ("other outputs", "/v1/swap", swap(&inputs, &others), 11_001),
            ("one other output", "/v1/swap", swap(&inputs, &half), 11_001),
            (
                "amounts of outputs exchanged",
                "/v1/swap",
                swap(&inputs, &changed(&outputs, &exchanged("amount"))),
                11_001,
            ),
            (
                "amounts of inputs exchanged",
                "/v1/swap",
                swap(&changed(&inputs, &exchanged("amount")), &outputs),
                10_001,
            ),
            ("signatures exchanged", "/v1/swap", swap(&changed(&inputs, &exchanged("C")), &outputs), 10_001),
            ("other inputs", "/v1/swap", swap(&fifteen, &outputs), 11_003),
            ("as an issue", "/v1/mint/bolt11", json!({ "quote": paid, "outputs": outputs }), 11_003),
            ("as a melt", "/v1/melt/bolt11", json!({ "quote": invoice, "inputs": inputs, "outputs": outputs }), 11_001),
            (
                "as blanks",
                "/v1/melt/bolt11",
                json!({ "quote": invoice, "inputs": fifteen, "outputs": outputs }),
                11_003,
            ),
        ])
        .await;
    let order = [2, 0, 3, 1];
    let reordered: Value =
        bench.post("/v1/swap", &swap(&pick(&inputs, &[3, 1, 0, 2]), &pick(&outputs, &order))).await.ok();
    assert_eq!(reordered["signatures"], pick(&first["signatures"], &order), "in the order of the request");
    let bench = bench.answered_for_ever("/v1/swap", &request, &first).await;
    bench.close(31);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issue_and_what_is_nearly_the_same() {
    let bench = Bench::new(with_reserve).await;
    let wallet = &bench.wallet;
    let (quote, other) = (wallet.paid_quote(6).await, wallet.paid_quote(6).await);
    let outputs = messages(wallet, &[2, 4]);
    let request = json!({ "quote": quote, "outputs": outputs });
    let first: Value = bench.post("/v1/mint/bolt11", &request).await.ok();
    let six = json!(wallet.mint(6).await);
    let more = with(&outputs, &messages(wallet, &[1]));
    let issue = |quote: &Value, outputs: &Value| json!({ "quote": quote, "outputs": outputs });
    let (quote, other) = (json!(quote), json!(other));
    let batch = |quotes: &[&Value], outputs: &Value| json!({ "quotes": quotes, "outputs": outputs });
    bench
        .refused(vec![
            ("other outputs", "/v1/mint/bolt11", issue(&quote, &messages(wallet, &[2, 4])), 20_002),
            ("one output fewer", "/v1/mint/bolt11", issue(&quote, &pick(&outputs, &[1])), 20_002),
            ("one output more", "/v1/mint/bolt11", issue(&quote, &more), 20_002),
            ("another quote", "/v1/mint/bolt11", issue(&other, &outputs), 11_003),
            ("as a swap", "/v1/swap", swap(&six, &outputs), 11_003),
            ("in a batch of another quote", "/v1/mint/bolt11/batch", batch(&[&other], &outputs), 11_003),
            ("in a batch with another quote", "/v1/mint/bolt11/batch", batch(&[&quote, &other], &more), 20_002),
        ])
        .await;
    let reordered: Value = bench.post("/v1/mint/bolt11", &issue(&quote, &pick(&outputs, &[1, 0]))).await.ok();
    assert_eq!(reordered["signatures"], pick(&first["signatures"], &[1, 0]), "in the order of the request");
    // The same quote and the same outputs are the same issue, however they are asked for.
    let alone: Value = bench.post("/v1/mint/bolt11/batch", &batch(&[&quote], &outputs)).await.ok();
    assert_eq!(alone["signatures"], first["signatures"]);
    let bench = bench.answered_for_ever("/v1/mint/bolt11", &request, &first).await;
    bench.close(12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_and_what_is_nearly_the_same() {
    let bench = Bench::new(with_reserve).await;
    let wallet = &bench.wallet;
    let quotes = json!([wallet.paid_quote(4).await, wallet.paid_quote(8).await]);
    let third = json!([wallet.paid_quote(4).await]);
    let outputs = messages(wallet, &[4, 8]);
    let batch = |quotes: &Value, outputs: &Value| json!({ "quotes": quotes, "outputs": outputs });
    let request = batch(&quotes, &outputs);
    let first: Value = bench.post("/v1/mint/bolt11/batch", &request).await.ok();
    let one = pick(&outputs, &[0]);
    let all = with(&quotes, &third);
    bench
        .refused(vec![
            ("other outputs", "/v1/mint/bolt11/batch", batch(&quotes, &messages(wallet, &[4, 8])), 20_002),
            ("one quote of it", "/v1/mint/bolt11/batch", batch(&pick(&quotes, &[0]), &one), 20_002),
            ("one quote more", "/v1/mint/bolt11/batch", batch(&all, &with(&outputs, &messages(wallet, &[4]))), 20_002),
            ("another quote in it", "/v1/mint/bolt11/batch", batch(&pick(&all, &[2, 1]), &outputs), 20_002),
            ("another quote alone", "/v1/mint/bolt11/batch", batch(&third, &one), 11_003),
            ("alone", "/v1/mint/bolt11", json!({ "quote": quotes[0], "outputs": one }), 20_002),
        ])
        .await;
    let reordered: Value =
        bench.post("/v1/mint/bolt11/batch", &batch(&pick(&quotes, &[1, 0]), &pick(&outputs, &[1, 0]))).await.ok();
    assert_eq!(reordered["signatures"], pick(&first["signatures"], &[1, 0]), "in the order of the request");
    let bench = bench.answered_for_ever("/v1/mint/bolt11/batch", &request, &first).await;
    bench.close(12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_melt_and_what_is_nearly_the_same() {
    let bench = Bench::new(with_reserve).await;
    let wallet = &bench.wallet;
    let quote = json!(wallet.melt_quote(&invoice(1, 11)).await.quote);
    let other = json!(wallet.melt_quote(&invoice(2, 11)).await.quote);
    let (inputs, blanks) = (json!(wallet.mint(15).await), messages(wallet, &[0, 0, 0]));
    let melt =
        |quote: &Value, inputs: &Value, blanks: &Value| json!({ "quote": quote, "inputs": inputs, "outputs": blanks });
    let request = melt(&quote, &inputs, &blanks);
    let first: Value = bench.post("/v1/melt/bolt11", &request).await.ok();
    assert_eq!(first["state"], "PAID");
    assert_eq!(first["change"].as_array().map(Vec::len), Some(1), "2 of 4 come back: {first}");
    let fifteen = json!(wallet.mint(15).await);
    let mut valued = pick(&blanks, &[0]);
    valued[0]["amount"] = json!(2);
    bench
        .refused(vec![
            ("another quote", "/v1/melt/bolt11", melt(&other, &inputs, &blanks), 11_001),
            ("other inputs", "/v1/melt/bolt11", melt(&quote, &fifteen, &blanks), 20_006),
            ("one input fewer", "/v1/melt/bolt11", melt(&quote, &pick(&inputs, &[0, 1, 2]), &blanks), 20_006),
            ("more inputs", "/v1/melt/bolt11", melt(&quote, &with(&inputs, &fifteen), &blanks), 20_006),
            ("blanks in another order", "/v1/melt/bolt11", melt(&quote, &inputs, &pick(&blanks, &[2, 1, 0])), 20_006),
            ("other blanks", "/v1/melt/bolt11", melt(&quote, &inputs, &messages(wallet, &[0, 0, 0])), 20_006),
            ("as a swap", "/v1/swap", swap(&inputs, &messages(wallet, &[1, 2, 4, 8])), 11_001),
            ("its change as an output", "/v1/swap", swap(&pick(&fifteen, &[1]), &valued), 11_003),
        ])
        .await;
    // The quote and the inputs decide; the amounts of blanks and their absence say nothing.
    for same in [json!({ "quote": quote, "inputs": inputs }), melt(&quote, &pick(&inputs, &[3, 2, 1, 0]), &blanks)] {
        assert_eq!(bench.post("/v1/melt/bolt11", &same).await.ok::<Value>(), first, "{same}");
    }
    let bench = bench.answered_for_ever("/v1/melt/bolt11", &request, &first).await;
    assert!(payments_by_hash(&bench.folder.path().join("lightning.sqlite")).values().eq(&[1]), "paid once");
    bench.close(17);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_melt_again_while_it_runs_has_one_answer_and_one_payment() {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = with_reserve(Launch::dev(folder.path())).fake("pay-after-ms", 1_000).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let (coins, blanks) = (wallet.mint(15).await, wallet.draft(&[0, 0, 0]));
    let quote = wallet.melt_quote(&invoice(1, 11)).await.quote;
    let again: Vec<_> = (0..8)
        .map(|_| {
            let (wallet, coins, blanks, quote) = (wallet.clone(), coins.clone(), blanks.clone(), quote.clone());
            tokio::spawn(async move { wallet.try_melt(&quote, &coins, &blanks).await.expect("answered") })
        })
        .collect();
    let mut answers: Vec<Value> = Vec::new();
    for each in again {
        answers.push(each.await.expect("no client panics").ok());
    }
    assert_eq!(answers[0]["state"], "PAID");
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert!(payments_by_hash(&folder.path().join("lightning.sqlite")).values().eq(&[1]), "paid once");
    mint.stop();
    audit(&folder.path().join("mint.sqlite")).assert_settled(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_single_and_batched_mints_of_two_quotes_issue_each_once() {
    let bench = Bench::new(with_reserve).await;
    let wallet = &bench.wallet;
    let quotes = [wallet.paid_quote(4).await, wallet.paid_quote(8).await];
    let single = |place: usize, outputs: Vec<BlindedMessage>| {
        ("/v1/mint/bolt11", json!({ "quote": quotes[place], "outputs": outputs }))
    };
    let requests: Vec<(&str, Value)> = (0..50)
        .map(|number| match number % 4 {
            0 => single(0, wallet.draft(&[4]).messages),
            1 => single(1, wallet.draft(&[8]).messages),
            2 => ("/v1/mint/bolt11/batch", json!({ "quotes": quotes, "outputs": wallet.draft(&[4, 8]).messages })),
            _ => {
                let backwards = [&quotes[1], &quotes[0]];
                ("/v1/mint/bolt11/batch", json!({ "quotes": backwards, "outputs": wallet.draft(&[4, 8]).messages }))
            }
        })
        .collect();
    let running: Vec<_> = requests
        .into_iter()
        .map(|(path, body)| {
            let api = wallet.api.clone();
            tokio::spawn(async move { api.post(path, &body).await })
        })
        .collect();
    let mut signed = 0;
    for each in running {
        let answer = each.await.expect("no client panics");
        match answer.code() {
            None => signed += answer.body["signatures"].as_array().expect("signatures").len(),
            Some(code) => assert_eq!((answer.status, code), (400, 20_002), "{answer:?}"),
        }
    }
    assert_eq!(signed, 2, "one signature for each quote");
    assert!(wait_until(std::time::Duration::from_secs(10), || audit(&bench.database()).unfinished == 0));
    bench.close(12);
}
