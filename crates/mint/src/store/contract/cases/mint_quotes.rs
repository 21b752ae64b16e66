//! Mint quotes: `OpenMintQuote`, `CreditMintQuote`.

use hazel_protocol::{Amount, CurrencyUnit, QuoteId};

use crate::ports::{Applied, Conflict, CreditMintQuote, MeltQuote, MintQuote, OpenMeltQuote, OpenMintQuote};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{Minting, NOW, melt_quote, payment_hash, quote_id, sat};

cases!("mint quotes":
    an_opened_quote_is_kept_whole,
    odd_texts_are_kept_as_they_are,
    another_quote_of_the_id_is_refused,
    another_quote_of_the_payment_hash_is_refused,
    opened_again_after_a_credit_it_answers_as_it_is,
    a_new_quote_is_neither_paid_nor_issued,
    a_credit_counts,
    a_credit_counts_once_in_twenty_deliveries,
    two_credits_add_up,
    a_credit_id_belongs_to_one_quote,
    a_credit_of_an_unknown_quote_is_refused,
    a_credit_has_a_name_and_an_amount,
    a_credit_that_does_not_fit_is_rejected,
    the_cursor_moves_with_a_credit_and_only_forward,
    the_cursor_moves_with_a_known_credit_too,
    every_payment_method_has_a_cursor_of_its_own,
    the_agreed_rate_is_kept,
    a_change_is_never_dated_before_the_last_one,
);

async fn an_opened_quote_is_kept_whole(bench: &Bench) {
    for n in [1, 2] {
        let minting = Minting::new(n);
        let answer = bench.accept_twice(minting.open()).await;
        assert_eq!(answer, Applied::MintQuote(minting.quote.clone()));
        let ledger = bench.snapshot().await;
        assert_eq!(ledger.mint_quotes.get(&minting.quote.id), Some(&minting.quote));
        assert_eq!(ledger.by_hash.get(&minting.quote.payment_hash), Some(&minting.quote));
    }
    let bare = MintQuote { amount: None, ..Minting::of(3, sat(), CurrencyUnit::Auth, &[1]).quote };
    assert_eq!(bench.accept(OpenMintQuote { quote: bare.clone() }).await, Applied::MintQuote(bare));
}

async fn odd_texts_are_kept_as_they_are(bench: &Bench) {
    let texts = [
        "'); DROP TABLE mint_quotes; --",
        "\u{1b}[31m\u{202e}ünï¢øðé\u{1f4a9}",
        "line\r\nline\0end",
        &"x".repeat(8_192),
    ];
    for (n, text) in (1..).zip(texts) {
        let mut minting = Minting::new(n);
        minting.quote.id = QuoteId::new(format!("{n}{}", "_-A".repeat(21))).expect("64 characters");
        minting.quote.request = text.to_owned();
        bench.accept_twice(minting.open()).await;
        let credit = CreditMintQuote { credit: text.to_owned(), ..minting.credit() };
        bench.accept_twice(credit).await;
        let kept = &bench.snapshot().await.mint_quotes[&minting.quote.id];
        assert_eq!((kept.request.as_str(), kept.amount_paid), (text, minting.amount()));
    }
}

async fn another_quote_of_the_id_is_refused(bench: &Bench) {
    let quote = Minting::new(1).quote;
    bench.accept(OpenMintQuote { quote: quote.clone() }).await;
    let others = [
        MintQuote { method: "bolt12".to_owned(), ..quote.clone() },
        MintQuote { unit: CurrencyUnit::Msat, ..quote.clone() },
        MintQuote { amount: None, ..quote.clone() },
        MintQuote { request: "lnbc1other".to_owned(), ..quote.clone() },
        MintQuote { payment_hash: [3; 32], ..quote.clone() },
        MintQuote { pubkey: Minting::new(2).quote.pubkey, ..quote.clone() },
        MintQuote { expiry: quote.expiry.plus(1), ..quote.clone() },
        MintQuote { created_at: quote.created_at.plus(1), ..quote.clone() },
    ];
    for other in others {
        bench.refuse(OpenMintQuote { quote: other }, Conflict::QuoteExists).await;
    }
}

async fn another_quote_of_the_payment_hash_is_refused(bench: &Bench) {
    let quote = Minting::new(1).quote;
    bench.accept(OpenMintQuote { quote: quote.clone() }).await;
    let rival = MintQuote { id: quote_id("mint", 2), ..quote };
    bench.refuse(OpenMintQuote { quote: rival }, Conflict::QuoteExists).await;
}

async fn opened_again_after_a_credit_it_answers_as_it_is(bench: &Bench) {
    bench.fund().await;
    let minting = Minting::new(1);
    bench.mint(&minting).await;
    let now = bench.snapshot().await.mint_quotes[&minting.quote.id].clone();
    assert_eq!(now.amount_issued, minting.amount());
    bench.repeat(minting.open(), &Applied::MintQuote(now)).await;
}

async fn a_new_quote_is_neither_paid_nor_issued(bench: &Bench) {
    let quote = Minting::new(1).quote;
    let one = Amount::from_u64(1);
    bench.reject(OpenMintQuote { quote: MintQuote { amount_paid: one, ..quote.clone() } }).await;
    bench.reject(OpenMintQuote { quote: MintQuote { amount_paid: one, amount_issued: one, ..quote } }).await;
}

async fn a_credit_counts(bench: &Bench) {
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    let now = minting.quote.expiry.plus(100);
    let answer = bench.accept_twice(CreditMintQuote { now, ..minting.credit() }).await;
    let paid = MintQuote { amount_paid: minting.amount(), updated_at: now, ..minting.quote.clone() };
    assert_eq!(answer, Applied::MintQuote(paid.clone()));
    let ledger = bench.snapshot().await;
    assert_eq!(ledger.mint_quotes[&minting.quote.id], paid);
    assert!(ledger.unpaid.is_empty(), "a paid quote is not listed as unpaid");
}

async fn a_credit_counts_once_in_twenty_deliveries(bench: &Bench) {
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    let first = bench.accept(minting.credit()).await;
    for delivery in 1..20 {
        let late = CreditMintQuote { now: NOW.plus(delivery * 10), ..minting.credit() };
        bench.repeat(late, &first).await;
    }
}

async fn two_credits_add_up(bench: &Bench) {
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    bench.accept(minting.credit()).await;
    bench
        .accept_twice(CreditMintQuote { credit: "other".to_owned(), amount: Amount::from_u64(3), ..minting.credit() })
        .await;
    let quote = &bench.snapshot().await.mint_quotes[&minting.quote.id];
    assert_eq!(quote.amount_paid, Amount::from_u64(19));
}

async fn a_credit_id_belongs_to_one_quote(bench: &Bench) {
    let (one, two) = (Minting::new(1), Minting::new(2));
    bench.accept(one.open()).await;
    bench.accept(two.open()).await;
    bench.accept(one.credit()).await;
    bench.reject(CreditMintQuote { quote: two.quote.id.clone(), cursor: Some(9), ..one.credit() }).await;
}

async fn a_credit_of_an_unknown_quote_is_refused(bench: &Bench) {
    let change = CreditMintQuote { cursor: Some(5), ..Minting::new(1).credit() };
    bench.refuse(change, Conflict::QuoteUnknown).await;
}

async fn a_credit_has_a_name_and_an_amount(bench: &Bench) {
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    bench.reject(CreditMintQuote { amount: Amount::ZERO, ..minting.credit() }).await;
    bench.reject(CreditMintQuote { credit: String::new(), ..minting.credit() }).await;
}

async fn a_credit_that_does_not_fit_is_rejected(bench: &Bench) {
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    bench.accept(minting.credit()).await;
    let change =
        CreditMintQuote { credit: "huge".to_owned(), amount: Amount::MAX, cursor: Some(8), ..minting.credit() };
    bench.reject(change).await;
}

async fn the_cursor_moves_with_a_credit_and_only_forward(bench: &Bench) {
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    for (delivery, cursor, expected) in [(1, None, 0), (2, Some(7), 7), (3, Some(5), 7), (4, None, 7), (5, Some(8), 8)]
    {
        let credit = format!("credit-{delivery}");
        bench.accept_twice(CreditMintQuote { credit, cursor, ..minting.credit() }).await;
        assert_eq!(bench.snapshot().await.cursor, expected);
    }
    let quote = &bench.snapshot().await.mint_quotes[&minting.quote.id];
    assert_eq!(quote.amount_paid, Amount::from_u64(5 * 16), "every credit counts, wherever its cursor stands");
}

/// A poller may have credited it first; the stream has been read that far all the same.
async fn the_cursor_moves_with_a_known_credit_too(bench: &Bench) {
    let minting = Minting::new(1);
    bench.accept(minting.open()).await;
    let first = bench.accept(minting.credit()).await;
    let again = bench.accept_twice(CreditMintQuote { cursor: Some(12), ..minting.credit() }).await;
    assert_eq!(first, again);
    assert_eq!(bench.snapshot().await.cursor, 12);
}

async fn a_change_is_never_dated_before_the_last_one(bench: &Bench) {
    let minting =
        Minting { quote: MintQuote { payment_hash: payment_hash(77), ..Minting::new(1).quote }, ..Minting::new(1) };
    bench.fund().await;
    bench.accept(minting.open()).await;
    let opened = minting.quote.updated_at;
    for (change, now, expected) in [
        ("one", opened, opened.plus(1)),
        ("two", opened.minus(50), opened.plus(2)),
        ("three", opened.plus(90), opened.plus(90)),
    ] {
        let credit = CreditMintQuote { credit: change.to_owned(), now, ..minting.credit() };
        bench.accept(credit).await;
        assert_eq!(bench.snapshot().await.mint_quotes[&minting.quote.id].updated_at, expected, "after credit {change}");
    }
    bench.accept(minting.issue()).await;
    assert_eq!(bench.snapshot().await.mint_quotes[&minting.quote.id].updated_at, opened.plus(91));
}

async fn every_payment_method_has_a_cursor_of_its_own(bench: &Bench) {
    let (one, mut other) = (Minting::new(1), Minting::new(2));
    "other_method".clone_into(&mut other.quote.method);
    for (minting, cursor) in [(&one, 7), (&other, 3)] {
        bench.accept(minting.open()).await;
        bench.accept_twice(CreditMintQuote { cursor: Some(cursor), ..minting.credit() }).await;
    }
    let cursor = async |method: &str| bench.store().cursor(&method.parse().expect("a method")).await;
    assert_eq!(cursor("bolt11").await, Ok(7));
    assert_eq!(cursor("other_method").await, Ok(3));
    assert_eq!(cursor("third").await, Ok(0));
}

/// To the last digit, and a quote at another rate is another offer.
async fn the_agreed_rate_is_kept(bench: &Bench) {
    let mut minting = Minting::new(1);
    minting.quote.rate = "999999999999999989/999999999999999877".parse().expect("a rate");
    bench.accept_twice(minting.open()).await;
    assert_eq!(bench.snapshot().await.mint_quotes[&minting.quote.id].rate, minting.quote.rate);
    minting.quote.rate = crate::Rate::SAT;
    bench.refuse(minting.open(), Conflict::QuoteExists).await;
    let quote = MeltQuote { rate: "20000/19".parse().expect("a rate"), ..melt_quote(1) };
    bench.accept_twice(OpenMeltQuote { quote: quote.clone() }).await;
    assert_eq!(bench.snapshot().await.melt_quotes[&quote.id].rate, quote.rate);
    let other = MeltQuote { rate: crate::Rate::MSAT, ..quote };
    bench.refuse(OpenMeltQuote { quote: other }, Conflict::QuoteExists).await;
}
