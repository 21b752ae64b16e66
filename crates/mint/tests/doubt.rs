//! What the engine must not believe: of backends, of clocks, of its own memory.

mod world;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};
use hazel_mint::ports::*;
use hazel_mint::store::memory::MemoryStore;
use hazel_mint::*;
use hazel_protocol::melt::{MeltQuoteBolt11Request, MeltQuoteState};
use hazel_protocol::mint::{MintQuoteBolt11Request, MintQuoteBolt11Response, MintQuoteState};
use hazel_protocol::*;
use world::*;

const SAT: u64 = 1_000;

fn eight() -> MintQuoteBolt11Request {
    MintQuoteBolt11Request { amount: Amount::from_u64(8), unit: CurrencyUnit::Sat, description: None, pubkey: None }
}

async fn open_quote(bottle: &Bottle) -> MintQuoteBolt11Response {
    bottle.mint.open_mint_quote("bolt11", eight()).await.expect("within limits")
}

async fn look_at(bottle: &Bottle, id: &QuoteId) -> MintQuoteState {
    bottle.mint.mint_quote("bolt11", id).await.expect("known").state
}

fn change_of(paid: &hazel_protocol::melt::MeltQuoteBolt11Response) -> u64 {
    paid.change.iter().flat_map(|change| change.iter()).map(|signature| signature.amount.to_u64()).sum()
}

#[tokio::test]
async fn a_quote_that_is_looked_at_is_asked_about_again_and_again() {
    let bottle = Bottle::new(config()).await;
    let quote = open_quote(&bottle).await;
    assert_eq!(look_at(&bottle, &quote.quote).await, MintQuoteState::Unpaid);
    bottle.mint.sweep().await.expect("readable");
    let (hash, msat) = read_invoice(&quote.request).expect("ours");
    bottle.payments.settle(hash, msat);
    look_at(&bottle, &quote.quote).await;
    bottle.mint.sweep().await.expect("readable");
    assert_eq!(look_at(&bottle, &quote.quote).await, MintQuoteState::Unpaid, "asked a moment ago");
    bottle.world.ahead.fetch_add(11, Ordering::SeqCst);
    look_at(&bottle, &quote.quote).await;
    bottle.mint.sweep().await.expect("readable");
    assert_eq!(look_at(&bottle, &quote.quote).await, MintQuoteState::Paid);
}

/// Whether the ledger has the quote paid before long; nobody looks at it by the mint.
async fn is_credited(bottle: &Bottle, id: &QuoteId) -> bool {
    for _ in 0..1_000 {
        let found = bottle.store.mint_quotes(std::slice::from_ref(id)).await.expect("readable");
        if found.into_iter().flatten().any(|quote| quote.amount_paid == Amount::from_u64(8)) {
            return true;
        }
        bottle.world.sleep(Duration::from_millis(10)).await;
    }
    false
}

#[tokio::test]
async fn a_payment_that_comes_before_its_quote_is_credited_though_nobody_looks() {
    let bottle = Bottle::new(config()).await;
    bottle.payments.early.store(true, Ordering::SeqCst);
    bottle.mint.start();
    let quote = open_quote(&bottle).await;
    assert!(is_credited(&bottle, &quote.quote).await, "the stream passed over it, and nothing called it back");
}

#[tokio::test]
async fn however_often_a_quote_is_looked_at_the_backend_is_asked_once_per_interval() {
    let bottle = Bottle::new(config()).await;
    bottle.mint.start();
    let quote = open_quote(&bottle).await.quote;
    let asked = || bottle.payments.invoice_calls.load(Ordering::SeqCst);
    assert_eq!(asked(), 0, "opening a quote asks nothing");
    let began = bottle.world.now().to_unix();
    // Two questions stand ten seconds of the mint's clock apart, however slowly this runs.
    let allowed = || 1 + (bottle.world.now().to_unix() - began) / 10;
    for _ in 0..10_000 {
        look_at(&bottle, &quote).await;
        tokio::task::yield_now().await;
    }
    while asked() == 0 {
        bottle.world.sleep(Duration::from_millis(1)).await;
    }
    assert!(asked() <= allowed(), "{} questions", asked());
    let before = asked();
    bottle.world.ahead.fetch_add(11, Ordering::SeqCst);
    look_at(&bottle, &quote).await;
    while asked() == before {
        bottle.world.sleep(Duration::from_millis(1)).await;
    }
    look_at(&bottle, &quote).await;
    assert!(asked() <= allowed(), "{} questions", asked());
}

#[tokio::test]
async fn a_quote_paid_while_the_mint_was_down_outlives_pruning_until_it_is_credited() {
    let bottle = Bottle::new(config()).await;
    let quote = open_quote(&bottle).await;
    let (hash, msat) = read_invoice(&quote.request).expect("ours");
    bottle.payments.settle(hash, msat);
    // Long after the quote's expiry; the stream has never been read.
    bottle.world.ahead.store(1 << 33, Ordering::SeqCst);
    bottle.mint.prune().await;
    bottle.mint.start();
    for _ in 0..200 {
        if look_at(&bottle, &quote.quote).await == MintQuoteState::Paid {
            return;
        }
        bottle.world.sleep(Duration::from_millis(10)).await;
    }
    panic!("the money was never credited");
}

#[tokio::test]
async fn never_heard_is_not_believed_while_our_call_may_be_on_its_way() {
    let mut bottle = Bottle::new(config()).await;
    bottle.say(Script::Break(PaymentStatus::NeverHeard));
    let proofs = bottle.fund(&[8]).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
    let request = melt_request(&quote.quote, &proofs, &[]);
    let answer = bottle.mint.melt("bolt11", request).await.expect("in doubt");
    assert_eq!(answer.state, MeltQuoteState::Pending);
    bottle.restart().await;
    bottle.mint.sweep().await.expect("readable");
    bottle.world.sleep(Duration::from_millis(50)).await;
    assert_eq!(bottle.states(&proofs).await, [ProofState::Pending]);
    // Past the deadline of the call, and its margin.
    bottle.world.ahead.fetch_add(70, Ordering::SeqCst);
    bottle.settle_down().await;
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent]);
}

#[tokio::test]
async fn a_payment_that_fails_while_the_ledger_is_compared_is_no_sign_of_an_old_copy() {
    let bottle = Bottle::new(config()).await;
    bottle.payments.lists.store(true, Ordering::SeqCst);
    bottle.say(Script::Say(PaymentStatus::Failed));
    let proofs = bottle.fund(&[8]).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
    bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &[])).await.expect_err("failed");
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent]);
    bottle.mint.compare_with_node().await.expect("compared");
    assert!(!bottle.store.keysets().await.expect("readable")[0].latched, "it was released, as it had to be");
    // Had it gone through, the ledger would have to know it.
    bottle.say(Script::Say(PaymentStatus::Pending));
    bottle.mint.compare_with_node().await.expect("compared");
    assert!(bottle.store.keysets().await.expect("readable")[0].latched);
}

#[tokio::test]
async fn a_payment_the_backend_had_and_forgot_is_never_given_back() {
    let mut bottle = Bottle::new(config()).await;
    bottle.say(Script::Say(PaymentStatus::Pending));
    let proofs = bottle.fund(&[8]).await;
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
    let answer = bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &[])).await.expect("pending");
    assert_eq!(answer.state, MeltQuoteState::Pending);
    bottle.say(Script::Say(PaymentStatus::NeverHeard));
    bottle.world.ahead.fetch_add(10_000, Ordering::SeqCst);
    bottle.restart().await;
    for _ in 0..5 {
        bottle.mint.sweep().await.expect("readable");
        bottle.world.sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bottle.states(&proofs).await, [ProofState::Pending]);
}

#[tokio::test]
async fn a_cost_outside_what_was_allowed_is_not_the_users_gain_or_loss() {
    let preimage = |n: u64| sha256::Hash::hash(&n.to_be_bytes()).to_byte_array();
    for (total_msat, expected_change) in [(0, 12), (100 * SAT, 12), (101 * SAT, 11), (150 * SAT, 10)] {
        let bottle = Bottle::new(config()).await;
        bottle.payments.fee_reserve_msat.store(2 * SAT, Ordering::SeqCst);
        let proofs = bottle.fund(&[64, 32, 16]).await;
        let invoice = bottle.payments.foreign_invoice(100 * SAT);
        // The bottle numbers its invoices; this is the second.
        let proof = PaymentProof::Preimage(preimage(1));
        bottle.say(Script::Say(PaymentStatus::Paid(PaidEvidence { proof, total_msat })));
        let quote = bottle.melt_quote(&invoice).await;
        let blanks = bottle.outputs(&[1; 8]);
        let paid = bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &blanks)).await.expect("paid");
        assert_eq!(change_of(&paid), expected_change, "{total_msat} msat");
    }
}

#[tokio::test]
async fn a_melt_is_not_answered_with_another_melts_result() {
    let bottle = Bottle::new(MintConfig { melt_wait: Duration::from_millis(1), ..config() }).await;
    bottle.payments.fee_reserve_msat.store(2 * SAT, Ordering::SeqCst);
    bottle.say(Script::Say(PaymentStatus::Pending));
    let (x, y) = (bottle.fund(&[8, 2]).await, bottle.fund(&[8, 2]).await);
    let quote = bottle.melt_quote(&bottle.payments.foreign_invoice(8 * SAT)).await;
    let first = melt_request(&quote.quote, &x, &[]);
    let pending = bottle.mint.melt("bolt11", first.clone()).await.expect("pending");
    assert_eq!(pending.state, MeltQuoteState::Pending);
    let (send, waiting) = tokio::sync::oneshot::channel();
    let mint = Arc::clone(&bottle.mint);
    bottle.world.spawn(Box::pin(async move { drop(send.send(mint.melt("bolt11", first).await)) }));
    bottle.say(Script::Say(PaymentStatus::Failed));
    while bottle.states(&x).await != [ProofState::Unspent; 2] {
        bottle.world.sleep(Duration::from_millis(1)).await;
    }
    bottle.say(Script::Pay { fee_msat: 0 });
    let second = melt_request(&quote.quote, &y, &bottle.outputs(&[1, 1]));
    bottle.mint.melt("bolt11", second).await.expect("taken");
    assert_eq!(code(&waiting.await.expect("answered")), 20_004, "its inputs were given back");
}

#[tokio::test]
async fn an_expired_keyset_sells_no_quotes_and_is_not_shown_as_active() {
    let first = Bottle::new(config()).await;
    let expiry = first.world.now().plus(10_000);
    let unit = UnitConfig { final_expiry: Some(expiry), ..UnitConfig::new(CurrencyUnit::Sat) };
    let mut bottle = Bottle::new(MintConfig { units: vec![unit], ..config() }).await;
    open_quote(&bottle).await;
    bottle.world.ahead.store(8_000, Ordering::SeqCst);
    let too_late = bottle.mint.open_mint_quote("bolt11", eight()).await;
    assert_eq!(code(&too_late), 12_003, "it could be paid after the expiry");
    bottle.world.ahead.store(20_000, Ordering::SeqCst);
    for _ in 0..2 {
        assert_eq!(code(&bottle.mint.open_mint_quote("bolt11", eight()).await), 12_003);
        assert!(bottle.mint.keys().keysets.is_empty());
        assert_eq!(bottle.mint.keysets().keysets.len(), 1);
        assert!(!bottle.mint.keysets().keysets[0].active);
        bottle.restart().await;
    }
}

#[tokio::test]
async fn a_wrong_seed_leaves_no_trace() {
    let bottle = Bottle::new(config()).await;
    let mut keysets = bottle.store.keysets().await.expect("readable");
    // An imported ledger: keysets, and no seed bound yet.
    let store = Arc::new(MemoryStore::default());
    store.apply(Change::AddKeyset(AddKeyset { keyset: keysets.remove(0) })).await.expect("imported");
    let environment: Arc<dyn Environment> = bottle.world.clone();
    let open = |seed: [u8; 64]| {
        let signer = LocalSigner::new(zeroize::Zeroizing::new(seed), &[2; 32], environment.clone()).expect("a seed");
        let ports = Ports {
            store: store.clone(),
            signer: Arc::new(signer),
            payments: Backends::bolt11(bottle.payments.clone()),
            rates: Arc::new(FixedRates::default()),
            environment: environment.clone(),
        };
        Mint::open(config(), ports)
    };
    assert!(matches!(open([9; 64]).await, Err(OpenError::OtherKeys(_))));
    open(SEED).await.expect("the right seed still opens it");
    assert!(matches!(open([9; 64]).await, Err(OpenError::OtherKeys(_) | OpenError::OtherSeed)));
}

#[tokio::test]
async fn an_own_invoice_paid_meanwhile_is_refused_by_its_code() {
    let bottle = Bottle::new(config()).await;
    let own = open_quote(&bottle).await;
    let proofs = bottle.fund(&[8]).await;
    let quote = bottle.melt_quote(&own.request).await;
    let credit = CreditMintQuote {
        quote: own.quote.clone(),
        credit: "from outside".to_owned(),
        amount: Amount::from_u64(8),
        cursor: None,
        now: bottle.world.now(),
    };
    bottle.store.apply(Change::CreditMintQuote(credit)).await.expect("credited");
    assert_eq!(code(&bottle.mint.melt("bolt11", melt_request(&quote.quote, &proofs, &[])).await), 20_006);
    assert_eq!(bottle.states(&proofs).await, [ProofState::Unspent]);
}

#[tokio::test]
async fn what_a_backend_says_stays_in_the_log() {
    let told: MintError =
        PaymentsError::Refused(Refusal::Other, "rpc error at /var/lib/lnd/tls.cert".to_owned()).into();
    assert!(!told.response().detail.contains("lnd"));
    let told: MintError = PaymentsError::Unavailable("rpc error at /var/lib/lnd/tls.cert".to_owned()).into();
    assert!(!told.response().detail.contains("lnd"));
    let bottle = Bottle::new(config()).await;
    let request = MeltQuoteBolt11Request { request: "nonsense".to_owned(), unit: CurrencyUnit::Sat, options: None };
    assert_eq!(code(&bottle.mint.open_melt_quote("bolt11", request).await), 20_000);
}

#[tokio::test]
async fn a_keyset_needs_denominations_above_zero() {
    let bottle = Bottle::new(config()).await;
    for amounts in [vec![], vec![0, 1], vec![1, 1]] {
        let denominations = amounts.iter().map(|amount| Amount::from_u64(*amount)).collect();
        let rotate = RotateKeyset { unit: CurrencyUnit::Sat, denominations, input_fee_ppk: 0, final_expiry: None };
        assert_eq!(code(&bottle.mint.rotate_keyset(rotate, "operator").await), 12_000, "{amounts:?}");
    }
}

#[tokio::test]
async fn a_background_loop_that_panics_begins_anew() {
    let bottle = Bottle::new(config()).await;
    let mut panics = 1;
    bottle.fault(move |change| match change {
        Change::CreditMintQuote(_) if panics > 0 => {
            panics -= 1;
            panic!("planted")
        }
        _ => None,
    });
    let quote = open_quote(&bottle).await;
    let (hash, msat) = read_invoice(&quote.request).expect("ours");
    bottle.payments.settle(hash, msat);
    bottle.mint.start();
    // Nobody looks at the quote, so nothing but the stream can credit it.
    for _ in 0..300 {
        bottle.world.sleep(Duration::from_millis(10)).await;
        bottle.store.fault.clear_poison();
    }
    assert_eq!(look_at(&bottle, &quote.quote).await, MintQuoteState::Paid);
}
