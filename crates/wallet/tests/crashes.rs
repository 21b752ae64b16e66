//! Every operation, cut off at every step, and every request, lost in every way: no value is lost and nothing stays held.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use hazel_protocol::{ErrorCode, Token};
use hazel_wallet::{Error, ErrorClass, MeltOutcome, ResumeOutcome, Resumed, SendOptions};
use support::mint::{Lightning, invoice};
use support::{Bank, Fault, KeysetKind, Peer, run_until_crash, sat};

/// More steps than any operation has.
const MAX_STEPS: u64 = 200;

fn bank() -> Arc<Bank> {
    Arc::new(Bank::new(KeysetKind::V2, 100))
}

fn pay(sat: u64) -> String {
    invoice(sat, &hazel_protocol::QuoteId::new("outside").unwrap())
}

/// One operation of a wallet, from its preparation to its end.
type Operation = for<'a> fn(&'a Peer, &'a Token) -> BoxFuture<'a, Result<(), Error>>;

fn mint<'a>(peer: &'a Peer, _: &'a Token) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async {
        let mut pending = peer.wallet.prepare_mint(sat(77), None).await?;
        pending.wait_paid(&mut |_| {}).await?;
        pending.confirm().await.map(drop)
    })
}

fn send<'a>(peer: &'a Peer, _: &'a Token) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async {
        let prepared = peer.wallet.prepare_send(sat(21), SendOptions::default()).await?;
        assert!(prepared.needs_swap());
        prepared.confirm().await.map(drop)
    })
}

fn send_exact<'a>(peer: &'a Peer, _: &'a Token) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async {
        let prepared = peer.wallet.prepare_send(sat(64), SendOptions::default()).await?;
        assert!(!prepared.needs_swap());
        prepared.confirm().await.map(drop)
    })
}

fn receive<'a>(peer: &'a Peer, token: &'a Token) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async { peer.wallet.prepare_receive(token).await?.confirm().await.map(drop) })
}

fn melt<'a>(peer: &'a Peer, _: &'a Token) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async {
        match peer.wallet.prepare_melt(&pay(30), None).await?.confirm().await? {
            MeltOutcome::Paid(_) | MeltOutcome::Pending { .. } => Ok(()),
        }
    })
}

/// At a mint that keeps what was paid too much.
fn melt_exact<'a>(peer: &'a Peer, token: &'a Token) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async {
        peer.link.bank.keep_change();
        peer.wallet.refresh_info().await?;
        melt(peer, token).await
    })
}

fn restore<'a>(peer: &'a Peer, _: &'a Token) -> BoxFuture<'a, Result<(), Error>> {
    Box::pin(async { peer.wallet.restore(&mut |_| {}).await.map(drop) })
}

const OPERATIONS: [(&str, Operation); 7] = [
    ("mint", mint),
    ("send", send),
    ("send_exact", send_exact),
    ("receive", receive),
    ("melt", melt),
    ("melt_exact", melt_exact),
    ("restore", restore),
];

/// A wallet with 192 in four proofs, and a token of 40 from somebody else.
async fn scene(bank: &Arc<Bank>) -> (Peer, Peer, Token) {
    let other = Peer::with(bank, 9, 100).await;
    let sent = other.wallet.prepare_send(sat(40), SendOptions::default()).await.unwrap().confirm().await.unwrap();
    let peer = Peer::with(bank, 1, 128).await;
    peer.mint(64).await;
    (peer, other, sent.token)
}

/// What belongs to somebody: the wallets, and a token that is in nobody's books.
async fn owned(peer: &Peer, other: &Peer) -> u64 {
    other.wallet.check_sent().await.unwrap();
    peer.total().await + other.total().await
}

/// Nothing may be held, and every unit that the mint owes must be somebody's.
async fn assert_nothing_lost(peer: &Peer, other: &Peer, at: &str) {
    peer.assert_sound(at).await;
    assert_eq!(owned(peer, other).await, peer.link.bank.outstanding(), "{at}: before == after");
}

/// Resumes until nothing is left that could move.
async fn resume_all(peer: &Peer, at: &str) -> Vec<Resumed> {
    let mut all = Vec::new();
    for _ in 0..4 {
        let resumed = peer.wallet.resume().await.unwrap();
        let moved = resumed.iter().any(|one| !matches!(one.outcome, ResumeOutcome::Waiting));
        for one in &resumed {
            if let ResumeOutcome::Failed(error) = &one.outcome {
                let fine = matches!(error.class(), ErrorClass::Refused | ErrorClass::Ambiguous);
                assert!(fine, "{at}: {error:?}");
            }
        }
        all.extend(resumed);
        if !moved {
            break;
        }
    }
    all
}

#[tokio::test]
async fn a_crash_at_any_step_loses_nothing() {
    for (name, operation) in OPERATIONS {
        for lightning in [Lightning::Pays(2), Lightning::Fails] {
            if lightning == Lightning::Fails && !name.starts_with("melt") {
                continue;
            }
            let mut steps = 0;
            loop {
                let at = format!("{name} with {lightning:?}, cut off after {steps} steps");
                let bank = bank();
                bank.set_lightning(lightning);
                let (peer, other, token) = scene(&bank).await;
                peer.crash.after(steps);
                let done = run_until_crash(&peer.crash, operation(&peer, &token)).await;
                let peer = peer.restart();
                resume_all(&peer, &at).await;
                assert_nothing_lost(&peer, &other, &at).await;
                // Whatever it was, the wallet works on.
                bank.set_lightning(Lightning::Pays(2));
                melt(&peer, &token).await.unwrap_or_else(|error| panic!("{at}: {error}"));
                if steps % 8 == 0 {
                    restore(&peer, &token).await.unwrap_or_else(|error| panic!("{at}: {error}"));
                }
                assert_nothing_lost(&peer, &other, &at).await;
                if done.is_some() {
                    break;
                }
                steps += 1;
                assert!(steps < MAX_STEPS, "{at}: no end");
            }
            assert!(steps > 2, "{name} was cut off");
        }
    }
}

#[tokio::test]
async fn a_crash_while_resuming_loses_nothing() {
    for (name, operation) in OPERATIONS {
        for first in (0..40).step_by(3) {
            for second in (0..30).step_by(2) {
                let at = format!("{name}, cut off after {first} steps and again after {second}");
                let bank = bank();
                let (peer, other, token) = scene(&bank).await;
                peer.crash.after(first);
                if run_until_crash(&peer.crash, operation(&peer, &token)).await.is_some() {
                    break;
                }
                let peer = peer.restart();
                peer.crash.after(second);
                let done = run_until_crash(&peer.crash, peer.wallet.resume()).await;
                let peer = peer.restart();
                resume_all(&peer, &at).await;
                assert_nothing_lost(&peer, &other, &at).await;
                if done.is_some() {
                    break;
                }
            }
        }
    }
}

const ROUTES: [&str; 10] = [
    "keysets",
    "swap",
    "mint_quote",
    "mint_quote_status",
    "mint",
    "melt_quote",
    "melt_quote_status",
    "melt",
    "restore",
    "check_state",
];

fn faults(kind: u8, count: usize) -> Vec<Fault> {
    let one = || match kind {
        0 => Fault::LoseRequest,
        1 => Fault::LoseAnswer,
        2 => Fault::NotSent,
        3 => Fault::Twice,
        _ => Fault::Hold,
    };
    (0..count).map(|_| one()).collect()
}

/// The routes that an operation uses.
async fn used_by(operation: Operation) -> Vec<&'static str> {
    let bank = bank();
    let (peer, _, token) = scene(&bank).await;
    peer.link.sent.lock().unwrap().clear();
    operation(&peer, &token).await.unwrap();
    ROUTES.into_iter().filter(|route| !peer.link.copies(route).is_empty()).collect()
}

#[tokio::test]
async fn requests_lost_in_any_way_lose_nothing() {
    for (name, operation) in OPERATIONS {
        for route in used_by(operation).await {
            for kind in 0..5 {
                // As many as a call sends, and fewer.
                for count in [1, 3] {
                    let at = format!("{name}: {count} faults of kind {kind} on {route}");
                    let bank = bank();
                    let (peer, other, token) = scene(&bank).await;
                    peer.link.fail(route, faults(kind, count));
                    let _ = operation(&peer, &token).await;
                    peer.link.deliver();
                    resume_all(&peer, &at).await;
                    peer.link.deliver();
                    let peer = peer.restart();
                    resume_all(&peer, &at).await;
                    resume_all(&peer, &at).await;
                    assert_nothing_lost(&peer, &other, &at).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn an_operation_in_doubt_is_sent_again_with_the_same_bytes() {
    let operations: [(_, Operation); 4] = [("swap", send), ("mint", mint), ("swap", receive), ("melt", melt)];
    for (route, operation) in operations {
        let bank = bank();
        let (peer, other, token) = scene(&bank).await;
        let before = peer.link.copies(route).len();
        peer.link.fail(route, faults(0, 2));
        peer.link.fail("melt_quote_status", []);
        operation(&peer, &token).await.unwrap();
        let copies = peer.link.copies(route).split_off(before);
        assert_eq!(copies.len(), 3, "{route}");
        assert!(copies.iter().all(|copy| *copy == copies[0]), "{route}: the same bytes");
        // And after a restart.
        peer.link.fail(route, faults(0, 9));
        let before = peer.link.copies(route).len();
        if route == "swap" {
            let error = send(&peer, &token).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Ambiguous);
            assert!(error.to_string().contains("nothing is lost"), "{error}");
            let peer = peer.restart();
            peer.wallet.resume().await.unwrap();
            peer.wallet.resume().await.unwrap();
            peer.wallet.resume().await.unwrap();
            let copies = peer.link.copies(route).split_off(before);
            assert!(copies.len() > 5 && copies.iter().all(|copy| *copy == copies[0]), "the same bytes");
            assert_nothing_lost(&peer, &other, route).await;
        }
    }
}

#[tokio::test]
async fn the_mint_never_sees_a_blinding_factor() {
    let bank = bank();
    let (peer, _, token) = scene(&bank).await;
    for (_, operation) in OPERATIONS {
        operation(&peer, &token).await.unwrap();
    }
    assert!(peer.link.sent.lock().unwrap().iter().all(|(_, json)| !json.contains("dleq")));
}

#[tokio::test]
async fn a_token_cut_off_before_it_was_shown_is_shown_by_resume() {
    let bank = bank();
    let (peer, other, token) = scene(&bank).await;
    peer.link.fail("swap", faults(1, 2));
    // The answers are lost, and the copies after the first are refused as spent: the evidence settles it at once.
    send(&peer, &token).await.unwrap();
    peer.link.fail("swap", faults(0, 3));
    assert_eq!(send(&peer, &token).await.unwrap_err().class(), ErrorClass::Ambiguous);
    let peer = peer.restart();
    let resumed = peer.wallet.resume().await.unwrap();
    let ResumeOutcome::Token(sent) = &resumed[0].outcome else { panic!("{resumed:?}") };
    assert_eq!(sent.token.value().unwrap(), sat(21));
    other.wallet.prepare_receive(&sent.token).await.unwrap().confirm().await.unwrap();
}

/// What the next requests meet after the first copy was held back: refusals that do not last, and lost copies.
fn second_copies() -> [Vec<Fault>; 5] {
    let refuse = || Fault::Refuse(ErrorCode::KeysetInactive);
    let lose = || Fault::LoseRequest;
    [
        vec![refuse()],
        vec![Fault::Refuse(ErrorCode::TransactionNotBalanced)],
        vec![refuse(), lose(), lose(), lose()],
        vec![refuse(), refuse(), refuse(), refuse(), refuse()],
        vec![Fault::Refuse(ErrorCode::ProofsPending), refuse(), lose(), lose(), lose()],
    ]
}

/// Sends an operation whose first copy is held back by a proxy and whose others are lost.
async fn held_back(peer: &Peer, token: &Token, operation: Operation) {
    for route in ["swap", "melt", "mint"] {
        peer.link.fail(route, [Fault::Hold, Fault::LoseRequest, Fault::LoseRequest, Fault::LoseRequest]);
    }
    let _ = operation(peer, token).await;
    for route in ["swap", "melt", "mint"] {
        peer.link.forget_faults(route);
    }
}

const ROUTES_THAT_MOVE: [&str; 3] = ["swap", "melt", "mint"];

#[tokio::test]
async fn a_request_held_back_and_delivered_between_any_two_steps() {
    for (name, operation) in OPERATIONS {
        for number in 0..second_copies().len() {
            for steps in 0..MAX_STEPS {
                let at = format!("{name}: delivered after {steps} steps of resuming, faults {number}");
                let bank = bank();
                let (peer, other, token) = scene(&bank).await;
                held_back(&peer, &token, operation).await;
                let peer = peer.restart();
                for route in ROUTES_THAT_MOVE {
                    peer.link.fail(route, second_copies().into_iter().nth(number).unwrap());
                }
                peer.crash.after(steps);
                let done = run_until_crash(&peer.crash, peer.wallet.resume()).await.is_some();
                peer.link.deliver();
                let peer = peer.restart();
                resume_all(&peer, &at).await;
                resume_all(&peer, &at).await;
                assert_nothing_lost(&peer, &other, &at).await;
                if done {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_request_held_back_and_delivered_after_the_wallet_has_resolved() {
    for (name, operation) in OPERATIONS {
        for number in 0..second_copies().len() {
            let at = format!("{name}: delivered at the end, faults {number}");
            let bank = bank();
            let (peer, other, token) = scene(&bank).await;
            held_back(&peer, &token, operation).await;
            let peer = peer.restart();
            for route in ROUTES_THAT_MOVE {
                peer.link.fail(route, second_copies().into_iter().nth(number).unwrap());
            }
            resume_all(&peer, &at).await;
            resume_all(&peer, &at).await;
            // Whatever is free now is spent at once, so that a late request could not have it too.
            for route in ROUTES_THAT_MOVE {
                peer.link.forget_faults(route);
            }
            if peer.available().await > 20 {
                peer.wallet.prepare_melt(&pay(10), None).await.unwrap().confirm().await.unwrap();
            }
            peer.link.deliver();
            resume_all(&peer, &at).await;
            assert_nothing_lost(&peer, &other, &at).await;
        }
    }
}

#[tokio::test]
async fn two_devices_with_one_seed_lose_nothing() {
    let bank = bank();
    let first = Peer::with(&bank, 1, 100).await;
    // The second device was restored long ago and knows nothing of what the first did since.
    let second = Peer::new(&bank, 1).await;
    let other = Peer::new(&bank, 9).await;
    second.mint(50).await;
    assert!(second.available().await >= 50, "the outputs of the first were found and passed over");
    first.mint(10).await;
    let token = other_token(&bank).await;
    second.wallet.prepare_receive(&token).await.unwrap().confirm().await.unwrap();
    send(&first, &token).await.unwrap();
    // The second believes to have what the first has spent.
    let mut progress = |_| {};
    second.wallet.restore(&mut progress).await.unwrap();
    first.wallet.restore(&mut progress).await.unwrap();
    assert!(first.available().await >= 139 - 3, "{}", first.available().await);
    let _ = other;
}

async fn other_token(bank: &Arc<Bank>) -> Token {
    let other = Peer::with(bank, 8, 20).await;
    other.wallet.prepare_send(sat(20), SendOptions::default()).await.unwrap().confirm().await.unwrap().token
}

#[tokio::test]
async fn a_proof_spent_by_the_other_device_is_found_out() {
    let bank = bank();
    let first = Peer::with(&bank, 1, 64).await;
    let second = Peer::new(&bank, 1).await;
    second.wallet.restore(&mut |_| {}).await.unwrap();
    assert_eq!(second.available().await, 64);
    first.wallet.prepare_melt(&pay(30), None).await.unwrap().confirm().await.unwrap();
    for attempt in [
        second.wallet.prepare_send(sat(10), SendOptions::default()).await.unwrap().confirm().await.map(drop),
        second.wallet.prepare_send(sat(10), SendOptions::default()).await.map(drop),
    ] {
        let error = attempt.unwrap_err();
        let expected = matches!(error, Error::SpentElsewhere(_) | Error::InsufficientFunds { .. });
        assert!(expected, "{error}");
    }
    assert_eq!(second.available().await, 0);
    second.assert_sound("second").await;
}
