//! `OpenMeltQuote`.

use hazel_protocol::{Amount, CurrencyUnit};

use crate::ports::{Applied, Conflict, MeltOutcome, MeltQuote, MeltQuoteStatus, OpenMeltQuote};
use crate::store::contract::Bench;
use crate::store::contract::fixture::{Melt, NOW, evidence, melt_quote, operation, quote_id};

cases!("melt quotes":
    an_opened_quote_is_kept_whole,
    another_quote_of_the_id_is_refused,
    an_invoice_may_be_quoted_again_until_it_is_being_paid,
    opened_again_later_it_answers_as_it_is,
    a_new_quote_is_unpaid,
);

async fn an_opened_quote_is_kept_whole(bench: &Bench) {
    let quote = melt_quote(1);
    let answer = bench.accept_twice(OpenMeltQuote { quote: quote.clone() }).await;
    assert_eq!(answer, Applied::MeltQuote(quote.clone()));
    assert_eq!(bench.snapshot().await.melt_quotes.get(&quote.id), Some(&quote));
}

async fn another_quote_of_the_id_is_refused(bench: &Bench) {
    let quote = melt_quote(1);
    bench.accept(OpenMeltQuote { quote: quote.clone() }).await;
    let others = [
        MeltQuote { method: "bolt12".to_owned(), ..quote.clone() },
        MeltQuote { unit: CurrencyUnit::Usd, ..quote.clone() },
        MeltQuote { request: "lnbc1other".to_owned(), ..quote.clone() },
        MeltQuote { payment_hash: [9; 32], ..quote.clone() },
        MeltQuote { amount_msat: 1, ..quote.clone() },
        MeltQuote { amount: Amount::from_u64(9), ..quote.clone() },
        MeltQuote { fee_reserve: Amount::ZERO, ..quote.clone() },
        MeltQuote { expiry: NOW, ..quote.clone() },
        MeltQuote { created_at: NOW.plus(1), ..quote.clone() },
    ];
    for other in others {
        bench.refuse(OpenMeltQuote { quote: other }, Conflict::QuoteExists).await;
    }
}

async fn an_invoice_may_be_quoted_again_until_it_is_being_paid(bench: &Bench) {
    bench.fund().await;
    let melt = Melt::new(1);
    let again = |n: u32| OpenMeltQuote { quote: MeltQuote { id: quote_id("melt", n), ..melt.quote.clone() } };
    bench.accept(melt.open()).await;
    bench.accept(again(2)).await;
    bench.accept(melt.reserve()).await;
    bench.refuse(again(3), Conflict::InvoicePending).await;
    bench.accept(melt.release()).await;
    bench.accept(again(3)).await;
    let melt = Melt { operation: operation(9), ..melt.clone() };
    bench.accept(melt.reserve()).await;
    bench.accept(melt.dispatch()).await;
    bench.refuse(again(4), Conflict::InvoicePending).await;
    bench.accept(melt.record(MeltOutcome::Paid(evidence()))).await;
    bench.refuse(again(4), Conflict::InvoicePending).await;
    bench.accept(melt.settle()).await;
    bench.refuse(again(4), Conflict::InvoicePaid).await;
    // Of an id that exists its own contents are asked first.
    let other = MeltQuote { amount: Amount::from_u64(1), ..again(2).quote };
    bench.refuse(OpenMeltQuote { quote: other }, Conflict::QuoteExists).await;
    bench.repeat(again(2), &Applied::MeltQuote(again(2).quote)).await;
    bench.accept(Melt::new(5).open()).await;
}

async fn opened_again_later_it_answers_as_it_is(bench: &Bench) {
    bench.fund().await;
    let melt = Melt::new(1);
    bench.accept(melt.open()).await;
    let held = bench.accept(melt.reserve()).await;
    bench.repeat(melt.open(), &held).await;
    bench.accept(melt.dispatch()).await;
    bench.accept(melt.record(MeltOutcome::Paid(evidence()))).await;
    let paid = bench.accept(melt.settle()).await;
    bench.repeat(melt.open(), &paid).await;
}

async fn a_new_quote_is_unpaid(bench: &Bench) {
    let quote = melt_quote(1);
    let bad = [
        MeltQuote { status: MeltQuoteStatus::Pending, ..quote.clone() },
        MeltQuote { status: MeltQuoteStatus::Paid, ..quote.clone() },
        MeltQuote { operation: Some(operation(1)), ..quote.clone() },
        MeltQuote { preimage: Some([0; 32]), ..quote },
    ];
    for quote in bad {
        bench.reject(OpenMeltQuote { quote }).await;
    }
}
