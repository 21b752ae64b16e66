//! Every code of `error_codes.md` that this mint can give, produced over HTTP by the real process.

mod client;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::{Answer, Launch, NEVER_MS, Server, Wallet, rotate};
use hazel_lightning::fake::InvoiceSpec;
use hazel_protocol::{
    Curve, ErrorCode, KeysResponse, KeysetsResponse, MeltQuoteBolt11Response, MintQuoteBolt11Response, MintQuoteState,
    Proof, SecretKey,
};
use serde_json::{Value, json};

/// The codes that only a mint with authentication gives, which this one does not serve (NUT-21, NUT-22).
const NOT_SERVED: &[ErrorCode] = &[
    ErrorCode::ClearAuthRequired,
    ErrorCode::ClearAuthFailed,
    ErrorCode::BlindAuthRequired,
    ErrorCode::BlindAuthFailed,
    ErrorCode::BatMintAmountExceeded,
    ErrorCode::BatMintRateExceeded,
];

/// What was produced: each code once, by the first case that gave it.
#[derive(Default)]
struct Produced(BTreeMap<u64, &'static str>);

impl Produced {
    /// Asserts that an answer is the refusal `code`.
    fn expect(&mut self, what: &'static str, code: ErrorCode, answer: &Answer) {
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        assert_eq!(answer.code(), Some(u64::from(code.code())), "{what}: {answer:?}");
        let detail = answer.body["detail"].as_str().expect("a sentence");
        assert!(!detail.is_empty() && detail.len() < 300, "{what}: {detail}");
        self.0.entry(u64::from(code.code())).or_insert(what);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// An invoice over 4 sat of some other node, with what the fake node is to do about it.
fn scripted(number: u8, word: &str, expiry_secs: u64) -> String {
    let script = json!({ "pay_invoice_state": word, "check_payment_state": word }).to_string();
    let spec = InvoiceSpec::foreign([number; 32], Some(4_000), script, now());
    InvoiceSpec { expiry_secs, ..spec }.build().expect("an invoice")
}

fn mint_quote(amount: u64) -> Value {
    json!({ "amount": amount, "unit": "sat" })
}

fn swap(inputs: &[Proof], outputs: &Value) -> Value {
    json!({ "inputs": inputs, "outputs": outputs })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_is_produced() {
    let mut produced = Produced::default();
    doors(&mut produced).await;
    let server = Server::start(
        "",
        "settle_after_ms = 150",
        "[[unit]]\nunit = \"sat\"\n[[unit]]\nunit = \"msat\"\n[limits]\nmax_inputs = 3\nmax_outputs = 8\nmax_batch = 2\nmint_max = 1000\n",
    );
    let wallet = Wallet::open(server.mint.url(), 1).await;
    proofs_and_outputs(&mut produced, &wallet).await;
    units_and_keysets(&mut produced, &wallet).await;
    quotes(&mut produced, &wallet).await;
    payments(&mut produced, &wallet).await;
    rotated(&mut produced).await;
    let missing: Vec<_> =
        ErrorCode::ALL.iter().filter(|code| !produced.0.contains_key(&u64::from(code.code()))).copied().collect();
    assert_eq!(missing, NOT_SERVED, "every other code has been produced");
}

/// What an operator has closed, and a keyset that is about to end.
async fn doors(produced: &mut Produced) {
    let closed = Server::start("minting = false", "", "");
    let answer = closed.api().post("/v1/mint/quote/bolt11", &mint_quote(1)).await;
    produced.expect("minting is closed", ErrorCode::MintingDisabled, &answer);

    let unit = format!("[[unit]]\nunit = \"sat\"\nfinal_expiry = {}\n", now() + 100);
    let strict = Server::start("require_pubkey = true", "amountless = false", &unit);
    let answer = strict.api().post("/v1/mint/quote/bolt11", &mint_quote(1)).await;
    produced.expect("a key is required", ErrorCode::MintPubkeyRequired, &answer);
    let mut locked = mint_quote(1);
    locked["pubkey"] = json!(SecretKey::from_bytes(&[7; 32]).expect("a key").public_key(&Curve::new(&[1; 32])));
    let answer = strict.api().post("/v1/mint/quote/bolt11", &locked).await;
    produced.expect("the keyset ends before the quote", ErrorCode::KeysetExpired, &answer);
    let open = InvoiceSpec::foreign([9; 32], None, "any amount", now()).build().expect("an invoice");
    let request = json!({ "request": open, "unit": "sat", "options": { "amountless": { "amount_msat": 1000 } } });
    let answer = strict.api().post("/v1/melt/quote/bolt11", &request).await;
    produced.expect("no amountless invoices", ErrorCode::AmountlessInvoiceUnsupported, &answer);
}

async fn proofs_and_outputs(produced: &mut Produced, wallet: &Wallet) {
    let api = &wallet.api;
    let coins = wallet.mint(7).await;
    let drafts = [wallet.draft(&[1, 2, 4]), wallet.draft(&[1]), wallet.draft(&[2, 4])];
    let outputs = |draft: usize| json!(drafts[draft].messages);
    let mut forged = coins[..1].to_vec();
    forged[0].c = coins[1].c;
    let answer = api.post("/v1/swap", &swap(&forged, &outputs(1))).await;
    produced.expect("another proof's signature", ErrorCode::ProofVerificationFailed, &answer);
    let answer =
        api.post("/v1/swap", &swap(&[coins[0].clone(), coins[0].clone()], &json!(wallet.draft(&[2]).messages))).await;
    produced.expect("a proof twice", ErrorCode::DuplicateInputs, &answer);
    let twice = json!([drafts[1].messages[0], drafts[1].messages[0]]);
    let answer = api.post("/v1/swap", &swap(&coins[1..2], &twice)).await;
    produced.expect("an output twice", ErrorCode::DuplicateOutputs, &answer);
    let answer = api.post("/v1/swap", &swap(&coins, &outputs(2))).await;
    produced.expect("less out than in", ErrorCode::TransactionNotBalanced, &answer);
    let four = vec![coins[0].clone(); 4];
    let answer = api.post("/v1/swap", &swap(&four, &outputs(1))).await;
    produced.expect("more inputs than the limit", ErrorCode::MaxInputsExceeded, &answer);
    let nine = json!(wallet.draft(&[1; 9]).messages);
    let answer = api.post("/v1/swap", &swap(&coins, &nine)).await;
    produced.expect("more outputs than the limit", ErrorCode::MaxOutputsExceeded, &answer);
    assert!(api.post("/v1/swap", &swap(&coins, &outputs(0))).await.is_ok());
    let answer = api.post("/v1/swap", &swap(&coins, &json!(wallet.draft(&[1, 2, 4]).messages))).await;
    produced.expect("spent before", ErrorCode::ProofsAlreadySpent, &answer);
    let fresh = wallet.mint(7).await;
    let answer = api.post("/v1/swap", &swap(&fresh, &outputs(0))).await;
    produced.expect("signed before", ErrorCode::OutputsAlreadySigned, &answer);
}

async fn units_and_keysets(produced: &mut Produced, wallet: &Wallet) {
    let api = &wallet.api;
    let keys: KeysResponse = api.get("/v1/keys").await.ok();
    let msat = keys.keysets.iter().find(|keyset| keyset.unit.to_string() == "msat").expect("a keyset for msat").id;
    let coins = wallet.mint(3).await;
    let mut outputs = json!(wallet.draft(&[1, 2]).messages);
    outputs[0]["id"] = json!(msat);
    let answer = api.post("/v1/swap", &swap(&coins, &outputs)).await;
    produced.expect("outputs of two units", ErrorCode::MultipleUnits, &answer);
    outputs[1]["id"] = json!(msat);
    let answer = api.post("/v1/swap", &swap(&coins, &outputs)).await;
    produced.expect("sat in, msat out", ErrorCode::UnitMismatch, &answer);
    outputs[0]["id"] = json!("00ffffffffffffff");
    let answer = api.post("/v1/swap", &swap(&coins, &outputs)).await;
    produced.expect("a keyset of nobody", ErrorCode::KeysetUnknown, &answer);
    let answer = api.post("/v1/mint/quote/bolt11", &json!({ "amount": 1, "unit": "eur" })).await;
    produced.expect("a unit that is not kept", ErrorCode::UnitUnsupported, &answer);
}

async fn quotes(produced: &mut Produced, wallet: &Wallet) {
    let api = &wallet.api;
    let answer = api.post("/v1/mint/quote/bolt11", &mint_quote(1_001)).await;
    produced.expect("more than the limit", ErrorCode::AmountOutsideLimit, &answer);
    let quote = wallet.paid_quote(1).await;
    let issue = |outputs: &[u64]| json!({ "quote": quote, "outputs": wallet.draft(outputs).messages });
    assert!(api.post("/v1/mint/bolt11", &issue(&[1])).await.is_ok());
    let answer = api.post("/v1/mint/bolt11", &issue(&[1])).await;
    produced.expect("issued before", ErrorCode::QuoteAlreadyIssued, &answer);
    let check = |quotes: &[&str]| json!({ "quotes": quotes });
    let answer = api.post("/v1/mint/quote/bolt11/check", &check(&[quote.as_str(), quote.as_str()])).await;
    produced.expect("a quote twice", ErrorCode::DuplicateQuoteIds, &answer);
    let answer = api.post("/v1/mint/quote/bolt11/check", &check(&["a", "b", "c"])).await;
    produced.expect("more quotes than the limit", ErrorCode::MaxBatchSizeExceeded, &answer);

    let mut request = mint_quote(1);
    request["pubkey"] = json!(SecretKey::from_bytes(&[7; 32]).expect("a key").public_key(&Curve::new(&[1; 32])));
    let locked: MintQuoteBolt11Response = api.post("/v1/mint/quote/bolt11", &request).await.ok();
    let unsigned = json!({ "quote": locked.quote, "outputs": wallet.draft(&[1]).messages });
    let answer = api.post("/v1/mint/bolt11", &unsigned).await;
    produced.expect("locked and not signed", ErrorCode::MintSignatureInvalid, &answer);

    let unpaid = Server::start("", &format!("settle_after_ms = {NEVER_MS}"), "");
    let other = Wallet::open(unpaid.mint.url(), 2).await;
    let quote = other.mint_quote(1).await.quote;
    assert_eq!(other.mint_quote_state(&quote).await, MintQuoteState::Unpaid);
    let request = json!({ "quote": quote, "outputs": other.draft(&[1]).messages });
    let answer = other.api.post("/v1/mint/bolt11", &request).await;
    produced.expect("not paid", ErrorCode::QuoteNotPaid, &answer);
}

async fn payments(produced: &mut Produced, wallet: &Wallet) {
    let api = &wallet.api;
    let invoice = scripted(1, "PAID", 3_600);
    let differing = json!({ "request": invoice, "unit": "sat", "options": { "amountless": { "amount_msat": 3000 } } });
    let answer = api.post("/v1/melt/quote/bolt11", &differing).await;
    produced.expect("another amount than the invoice's", ErrorCode::AmountMismatch, &answer);
    let quote = wallet.melt_quote(&invoice).await;
    assert!(pay(wallet, &quote, &wallet.mint(4).await).await.is_ok());
    let answer = api.post("/v1/melt/quote/bolt11", &json!({ "request": invoice, "unit": "sat" })).await;
    produced.expect("an invoice paid before", ErrorCode::InvoiceAlreadyPaid, &answer);

    let quote = wallet.melt_quote(&scripted(2, "FAILED", 3_600)).await;
    let answer = pay(wallet, &quote, &wallet.mint(4).await).await;
    produced.expect("a payment that fails", ErrorCode::LightningPaymentFailed, &answer);

    let quote = wallet.melt_quote(&scripted(3, "PAID", 2)).await;
    let coins = wallet.mint(4).await;
    while now() <= quote.expiry.expect("it ends") {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let answer = pay(wallet, &quote, &coins).await;
    produced.expect("a quote that has ended", ErrorCode::QuoteExpired, &answer);

    let quote = wallet.melt_quote(&scripted(4, "PENDING", 3_600)).await;
    let (held, blanks) = (wallet.mint(4).await, wallet.draft(&[1]));
    let request = json!({ "quote": quote.quote, "inputs": held, "outputs": blanks.messages, "prefer_async": true });
    let pending: MeltQuoteBolt11Response = api.post("/v1/melt/bolt11", &request).await.ok();
    assert_eq!(pending.state.as_str(), "PENDING");
    let answer = api.post("/v1/swap", &swap(&held, &json!(wallet.draft(&[4]).messages))).await;
    produced.expect("held by a payment", ErrorCode::ProofsPending, &answer);
    let answer = pay(wallet, &quote, &coins).await;
    produced.expect("a quote that is being paid", ErrorCode::QuotePending, &answer);
    let outputs = json!([blanks.messages[0], wallet.draft(&[2]).messages[0]]);
    let three = wallet.mint(3).await;
    let answer = api.post("/v1/swap", &swap(&three, &outputs)).await;
    produced.expect("a blank of a payment", ErrorCode::OutputsPending, &answer);
}

async fn pay(wallet: &Wallet, quote: &MeltQuoteBolt11Response, coins: &[Proof]) -> Answer {
    let request = json!({ "quote": quote.quote, "inputs": coins });
    wallet.api.post("/v1/melt/bolt11", &request).await
}

/// A keyset that signs no more.
async fn rotated(produced: &mut Produced) {
    let folder = tempfile::tempdir().expect("a folder");
    let mint = Launch::dev(folder.path()).start();
    let wallet = Wallet::open(mint.url(), 1).await;
    let coins = wallet.mint(1).await;
    rotate(folder.path());
    let keysets: KeysetsResponse = wallet.api.get("/v1/keysets").await.ok();
    assert_eq!(keysets.keysets.len(), 2);
    let answer = wallet.api.post("/v1/swap", &swap(&coins, &json!(wallet.draft(&[1]).messages))).await;
    produced.expect("the former keyset", ErrorCode::KeysetInactive, &answer);
    mint.stop();
}
