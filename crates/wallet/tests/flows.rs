//! The operations of a wallet against an honest mint.
#![allow(clippy::panic, clippy::unwrap_used, missing_docs, reason = "tests")]

mod support;

use std::sync::Arc;

use hazel_protocol::{Token, TokenV3};
use hazel_wallet::ports::{Direction, OperationKind};
use hazel_wallet::{Error, MeltOutcome, ResumeOutcome, SendOptions};
use support::mint::{Lightning, invoice};
use support::{Bank, KeysetKind, Peer, sat, send};

fn bank(fee_ppk: u64) -> Arc<Bank> {
    Arc::new(Bank::new(KeysetKind::V2, fee_ppk))
}

fn pay(sat: u64) -> String {
    invoice(sat, &hazel_protocol::QuoteId::new("outside").unwrap())
}

#[tokio::test]
async fn mint_send_receive_and_pay_add_up() {
    for (kind, fee) in [(KeysetKind::V1, 0), (KeysetKind::V2, 0), (KeysetKind::V2, 100), (KeysetKind::V1, 1000)] {
        let bank = Arc::new(Bank::new(kind, fee));
        let alice = Peer::with(&bank, 1, 100).await;
        let carol = Peer::new(&bank, 2).await;
        assert_eq!(alice.available().await, 100);

        let prepared = alice.wallet.prepare_send(sat(21), SendOptions::default()).await.unwrap();
        let (fee_shown, value) = (prepared.fee(), prepared.token_value());
        let sent = prepared.confirm().await.unwrap();
        assert_eq!((sent.fee, sent.token_value, value), (fee_shown, sat(21), sat(21)));
        let text = sent.token.to_string();
        assert!(text.starts_with("cashuB"));
        assert_eq!(alice.available().await, 100 - 21 - fee_shown.to_u64());

        let token: Token = text.parse().unwrap();
        let prepared = carol.wallet.prepare_receive(&token).await.unwrap();
        assert!(prepared.has_dleq());
        let expected = prepared.amount();
        let received = prepared.confirm().await.unwrap();
        assert_eq!((received.amount, received.amount.to_u64() + received.fee.to_u64()), (expected, 21));

        let prepared = alice.wallet.prepare_melt(&pay(30), None).await.unwrap();
        let before = alice.available().await + prepared.held().to_u64();
        let MeltOutcome::Paid(paid) = prepared.confirm().await.unwrap() else { panic!("pending") };
        assert_eq!(paid.amount, sat(30));
        assert_eq!(alice.available().await, before - 30 - paid.fee.to_u64());
        assert_eq!(paid.preimage, Some("00".repeat(32)));

        assert_eq!(alice.wallet.check_sent().await, Ok(sat(0)), "the token was claimed");
        assert_eq!(alice.total().await + carol.total().await, bank.outstanding());
        alice.assert_sound("alice").await;
        carol.assert_sound("carol").await;
    }
}

#[tokio::test]
async fn an_exact_match_needs_no_swap_and_works_offline() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 7).await;
    for route in ["keysets", "swap"] {
        alice.link.fail(route, (0..9).map(|_| support::Fault::NotSent));
    }
    let prepared = alice.wallet.prepare_send(sat(5), SendOptions::default()).await.unwrap();
    assert!(!prepared.needs_swap());
    let sent = prepared.confirm().await.unwrap();
    assert_eq!(sent.token.value().unwrap(), sat(5));
    let again = alice.wallet.token_of(sent.operation).await.unwrap();
    assert_eq!(again.token, sent.token);
}

#[tokio::test]
async fn the_sender_can_pay_the_fee_of_the_receiver() {
    for fee in [100, 900, 2000] {
        let bank = bank(fee);
        let alice = Peer::with(&bank, 1, 200).await;
        let carol = Peer::new(&bank, 2).await;
        let options =
            SendOptions { pay_receiver_fee: true, memo: Some("for you".to_owned()), ..SendOptions::default() };
        let sent = alice.wallet.prepare_send(sat(21), options).await.unwrap().confirm().await.unwrap();
        let prepared = carol.wallet.prepare_receive(&sent.token).await.unwrap();
        assert_eq!(prepared.memo(), Some("for you"));
        assert!(prepared.amount() >= sat(21), "{fee} ppk: {}", prepared.amount());
        prepared.confirm().await.unwrap();
    }
}

#[tokio::test]
async fn a_prepared_send_holds_its_proofs_until_it_is_cancelled() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 64).await;
    let first = alice.wallet.prepare_send(sat(10), SendOptions::default()).await.unwrap();
    let error = alice.wallet.prepare_send(sat(10), SendOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::InsufficientFunds { .. }), "{error}");
    assert!(error.to_string().contains("mint or receive more first"));
    first.cancel().await.unwrap();
    assert_eq!(alice.available().await, 64);
    alice.wallet.prepare_send(sat(10), SendOptions::default()).await.unwrap().cancel().await.unwrap();
}

#[tokio::test]
async fn a_token_can_be_taken_back_and_only_once() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 64).await;
    let token = send(&alice, 10).await;
    assert_eq!(alice.wallet.balance().await.unwrap().sent, sat(10));
    alice.wallet.prepare_receive(&token).await.unwrap().confirm().await.unwrap();
    assert_eq!(alice.available().await, 64);
    assert_eq!(alice.wallet.balance().await.unwrap().sent, sat(0));
    let again = alice.wallet.prepare_receive(&token).await.unwrap_err();
    assert_eq!(again, Error::TokenAlreadyOwned);
}

#[tokio::test]
async fn the_faster_one_gets_the_token() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 64).await;
    let (carol, dave) = (Peer::new(&bank, 2).await, Peer::new(&bank, 3).await);
    let token = send(&alice, 10).await;
    let late = dave.wallet.prepare_receive(&token).await.unwrap();
    carol.wallet.prepare_receive(&token).await.unwrap().confirm().await.unwrap();
    let error = late.confirm().await.unwrap_err();
    assert!(matches!(error, Error::Refused { code: 11_001, .. }), "{error}");
    let error = dave.wallet.prepare_receive(&token).await.unwrap_err();
    assert!(matches!(error, Error::Refused { code: 11_001, .. }), "{error}");
    assert_eq!(dave.total().await, 0);
    let error = carol.wallet.prepare_receive(&token).await.unwrap_err();
    assert_eq!(error, Error::TokenAlreadyOwned);
    // Alice does not know yet, and tries to take it back.
    assert_eq!(alice.wallet.prepare_receive(&token).await.unwrap_err(), Error::Claimed);
    assert_eq!(alice.wallet.balance().await.unwrap().sent, sat(0));
    alice.assert_sound("alice").await;
}

#[tokio::test]
async fn tokens_of_version_3_are_received() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 64).await;
    let carol = Peer::new(&bank, 2).await;
    let token = send(&alice, 10).await;
    let known: Vec<_> = bank.keysets().keysets.iter().map(|keyset| keyset.id).collect();
    let proofs = token.proofs(&known).unwrap();
    let v3 = TokenV3::new(support::world::url(), None, None, &proofs).unwrap();
    let text = Token::V3(v3).to_string();
    assert!(text.starts_with("cashuA"));
    let token: Token = text.parse().unwrap();
    let received = carol.wallet.prepare_receive(&token).await.unwrap().confirm().await.unwrap();
    assert_eq!(received.amount, sat(10));
}

#[tokio::test]
async fn tokens_that_do_not_fit_are_refused() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 64).await;
    let stranger = Peer::stranger(&bank, 2);
    let token = send(&alice, 10).await;
    let error = stranger.wallet.prepare_receive(&token).await.unwrap_err();
    assert!(matches!(error, Error::MintUnknown(_)), "{error}");

    let known: Vec<_> = bank.keysets().keysets.iter().map(|keyset| keyset.id).collect();
    let proofs = token.proofs(&known).unwrap();
    let token_of = |mint: &str, unit: &str| {
        let v4 = hazel_protocol::TokenV4::new(mint.parse().unwrap(), unit.parse().unwrap(), None, &proofs).unwrap();
        Token::V4(v4)
    };
    let carol = Peer::new(&bank, 3).await;
    let other_mint = carol.wallet.prepare_receive(&token_of("https://other.example", "sat")).await.unwrap_err();
    assert!(matches!(other_mint, Error::TokenOfOtherMint(_)), "{other_mint}");
    let other_unit = carol.wallet.prepare_receive(&token_of("https://mint.example", "usd")).await.unwrap_err();
    assert!(matches!(other_unit, Error::TokenOfOtherUnit(_)), "{other_unit}");

    let mut forged = proofs.clone();
    let last = forged.len() - 1;
    forged[last].dleq = forged[0].dleq.clone();
    let v4 = hazel_protocol::TokenV4::new(support::world::url(), "sat".parse().unwrap(), None, &forged).unwrap();
    assert_eq!(
        carol.wallet.prepare_receive(&Token::V4(v4)).await.unwrap_err(),
        Error::TokenForged,
        "every proof is checked"
    );

    let mut locked = proofs;
    let secret = r#"["P2PK",{"nonce":"00","data":"02"}]"#;
    locked[0].secret = hazel_protocol::Secret::new(secret).unwrap();
    locked[0].dleq = None;
    let v4 = hazel_protocol::TokenV4::new(support::world::url(), "sat".parse().unwrap(), None, &locked).unwrap();
    let malformed = carol.wallet.prepare_receive(&Token::V4(v4)).await.unwrap_err();
    assert!(matches!(malformed, Error::TokenLocked(_)), "{malformed}");
}

#[tokio::test]
async fn a_token_worth_less_than_its_fee_is_left_alone() {
    let bank = bank(1000);
    let alice = Peer::with(&bank, 1, 64).await;
    let token = send(&alice, 1).await;
    let carol = Peer::new(&bank, 2).await;
    let error = carol.wallet.prepare_receive(&token).await.unwrap_err();
    assert_eq!(error, Error::TokenWorthless { value: sat(1), fee: sat(1) });
}

#[tokio::test]
async fn an_unpaid_invoice_waits_and_expires() {
    let bank = bank(0);
    bank.pays_itself(false);
    let alice = Peer::new(&bank, 1).await;
    let mut pending = alice.wallet.prepare_mint(sat(10), Some("coffee")).await.unwrap();
    assert_eq!(pending.check().await, Ok(false));
    let quote = pending.quote().clone();
    assert_eq!(pending.confirm().await.unwrap_err(), Error::NotPaid);
    // It is still there, and after a restart too.
    let alice = alice.restart();
    let resumed = alice.wallet.resume().await.unwrap();
    assert!(matches!(resumed[0].outcome, ResumeOutcome::Waiting), "{resumed:?}");
    let mut again = alice.wallet.pending_mints().await.unwrap().remove(0);
    assert_eq!(again.quote(), &quote);
    assert!(alice.wallet.pending_mints().await.unwrap().is_empty(), "somebody works on it");
    alice.world.pass(20_000_000);
    assert_eq!(again.wait_paid(&mut |_| {}).await, Err(Error::InvoiceExpired));
    // Paid all the same, a little late.
    bank.pay_invoice(&quote);
    drop(again);
    let resumed = alice.wallet.resume().await.unwrap();
    assert!(matches!(resumed[0].outcome, ResumeOutcome::Completed { amount } if amount == sat(10)), "{resumed:?}");
    assert_eq!(alice.available().await, 10);
}

#[tokio::test]
async fn a_failed_payment_gives_the_money_back() {
    let bank = bank(100);
    let alice = Peer::with(&bank, 1, 100).await;
    bank.set_lightning(Lightning::Fails);
    let error = alice.wallet.prepare_melt(&pay(30), None).await.unwrap().confirm().await.unwrap_err();
    assert!(matches!(error, Error::Refused { code: 20_004, .. }), "{error}");
    assert!(error.to_string().contains("your money is back"), "{error}");
    assert_eq!(alice.available().await, 100);
    alice.assert_sound("after the failure").await;
}

#[tokio::test]
async fn a_mint_that_gives_no_change_gets_no_more_than_it_asked_for() {
    for fee in [0, 100, 1000] {
        let bank = bank(fee);
        bank.keep_change();
        let alice = Peer::with(&bank, 1, 1000).await;
        let prepared = alice.wallet.prepare_melt(&pay(30), None).await.unwrap();
        let most = prepared.most().to_u64();
        let MeltOutcome::Paid(paid) = prepared.confirm().await.unwrap() else { panic!("pending") };
        assert_eq!(paid.change, sat(0));
        let left = alice.available().await;
        assert!(left >= 1000 - most && left <= 1000 - 34, "{fee} ppk: {left} left, {most} said");
        assert_eq!(alice.total().await, bank.outstanding());
        alice.assert_sound("no change").await;
    }
}

#[tokio::test]
async fn a_payment_under_way_holds_its_money_until_it_is_known() {
    for paid in [true, false] {
        let bank = bank(0);
        let alice = Peer::with(&bank, 1, 100).await;
        bank.set_lightning(Lightning::Hangs);
        let outcome = alice.wallet.prepare_melt(&pay(30), None).await.unwrap().confirm().await.unwrap();
        let MeltOutcome::Pending { operation } = outcome else { panic!("paid") };
        let held = alice.wallet.balance().await.unwrap().held;
        assert!(held >= sat(34));
        let alice = alice.restart();
        let resumed = alice.wallet.resume().await.unwrap();
        assert!(matches!(resumed[0].outcome, ResumeOutcome::Waiting), "{resumed:?}");
        assert_eq!(alice.wallet.balance().await.unwrap().held, held);
        let quote = hazel_protocol::QuoteId::new("quote-2").unwrap();
        bank.resolve_melt(&quote, paid.then_some(2));
        bank.set_lightning(Lightning::Fails);
        let resumed = alice.wallet.resume().await.unwrap();
        assert_eq!(resumed[0].operation, operation);
        if paid {
            assert!(matches!(&resumed[0].outcome, ResumeOutcome::Paid(paid) if paid.fee == sat(2)), "{resumed:?}");
            assert_eq!(alice.available().await, 68);
        } else {
            assert!(matches!(&resumed[0].outcome, ResumeOutcome::Failed(Error::Refused { .. })), "{resumed:?}");
            assert_eq!(alice.available().await, 100);
        }
        assert_eq!(alice.total().await, bank.outstanding());
        alice.assert_sound("at the end").await;
    }
}

#[tokio::test]
async fn a_whole_balance_moves_to_another_mint_whatever_its_coins_cost() {
    for fee in [0, 100, 1_000] {
        let alice = Peer::with(&bank(fee), 1, 511).await;
        let other = Peer::new(&bank(0), 2).await;
        let prepared = alice.wallet.prepare_transfer(&other.wallet, sat(511)).await.unwrap();
        let done = prepared.confirm().await.unwrap();
        assert!(done.amount > sat(480), "{fee}: {}", done.amount);
        assert_eq!(sat(other.available().await), done.amount, "{fee}");
        alice.assert_sound("moved").await;
    }
}

#[tokio::test]
async fn inactive_keysets_are_spent_first_and_leave() {
    let bank = bank(0);
    let alice = Peer::with(&bank, 1, 64).await;
    bank.add_keyset(KeysetKind::V2, 0);
    alice.mint(64).await;
    let sent = alice.wallet.prepare_send(sat(10), SendOptions::default()).await.unwrap().confirm().await.unwrap();
    let known: Vec<_> = bank.keysets().keysets.iter().map(|keyset| keyset.id).collect();
    assert!(sent.token.proofs(&known).unwrap().iter().all(|proof| proof.id == known[1]));
    let left = alice.free_keysets().await;
    assert!(left.iter().all(|id| *id == known[1]), "the old proof was swapped, not the new one");
}

#[tokio::test]
async fn the_history_says_what_happened() {
    let bank = bank(1000);
    let alice = Peer::with(&bank, 1, 128).await;
    let carol = Peer::new(&bank, 2).await;
    let token = send(&alice, 20).await;
    let received = carol.wallet.prepare_receive(&token).await.unwrap().confirm().await.unwrap();
    alice.wallet.prepare_melt(&pay(30), None).await.unwrap().confirm().await.unwrap();
    let history = alice.wallet.history(None, 10).await.unwrap();
    let lines: Vec<_> = history.iter().map(|entry| (entry.kind, entry.kind.direction(), entry.amount)).collect();
    assert_eq!(
        lines,
        vec![
            (OperationKind::Melt, Direction::Out, sat(30)),
            (OperationKind::Send, Direction::Out, sat(20)),
            (OperationKind::Mint, Direction::In, sat(128)),
        ]
    );
    let sums: i64 = history
        .iter()
        .map(|entry| {
            let (amount, fee) = (entry.amount.to_u64().cast_signed(), entry.fee.to_u64().cast_signed());
            if entry.kind.direction() == Direction::In { amount } else { -amount - fee }
        })
        .sum();
    assert_eq!(sums, alice.available().await.cast_signed(), "the lines add up to the balance");
    let theirs = carol.wallet.history(None, 10).await.unwrap();
    assert_eq!((theirs[0].amount, theirs[0].fee), (received.amount, received.fee));
    assert_eq!(carol.available().await, received.amount.to_u64());
}
