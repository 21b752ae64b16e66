//! Quotes: what is paid by itself becomes money to start with, what is to be paid is asked for before the clock starts.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use hazel_lightning::fake::InvoiceSpec;
use hazel_protocol::{
    Amount, CurrencyUnit, MeltQuoteBolt11Request, MeltQuoteBolt11Response, MintQuoteBolt11Request,
    MintQuoteBolt11Response, MintQuoteState, MintRequest, MintResponse, QuoteId,
};

use crate::connection::Connection;
use crate::purse::{Draft, Purse, random};

/// How long a mint's quotes may take to pay themselves.
const PATIENCE: Duration = Duration::from_mins(2);

/// Outputs of one mint request while the purse is filled.
const OUTPUTS_AT_ONCE: usize = 200;

/// Fills the purse until it has `count` proofs of each of these amounts.
pub(crate) async fn fund(connection: &mut Connection, purse: &mut Purse, wanted: &[(u64, usize)]) -> Result<()> {
    for (amount, count) in wanted {
        let missing = purse.lacks(*amount, *count);
        let requests = missing.div_ceil(OUTPUTS_AT_ONCE);
        let size = missing.div_ceil(requests.max(1));
        let total = amount * u64::try_from(size)?;
        let quotes = paid(connection, total, requests).await?;
        let drafts = purse.drafts(&vec![*amount; size], requests)?;
        let mut signed = Vec::new();
        for (quote, draft) in quotes.into_iter().zip(drafts) {
            let answer: MintResponse = connection.ask("/v1/mint/bolt11", &issue(quote, &draft)?).await?;
            signed.push((draft, answer.signatures.into_inner()));
        }
        purse.finish(signed)?;
    }
    Ok(())
}

/// The request that turns a paid quote into signatures.
pub(crate) fn issue(quote: QuoteId, draft: &Draft) -> Result<MintRequest> {
    Ok(MintRequest { quote, outputs: draft.messages.clone().try_into()?, signature: None })
}

/// So many mint quotes of `amount`, each paid.
pub(crate) async fn paid(connection: &mut Connection, amount: u64, count: usize) -> Result<Vec<QuoteId>> {
    let request = MintQuoteBolt11Request {
        amount: Amount::from_u64(amount),
        unit: CurrencyUnit::Sat,
        description: None,
        pubkey: None,
    };
    let mut quotes = Vec::new();
    for _ in 0..count {
        let quote: MintQuoteBolt11Response = connection.ask("/v1/mint/quote/bolt11", &request).await?;
        quotes.push(quote.quote);
    }
    for quote in &quotes {
        until_paid(connection, quote).await?;
    }
    Ok(quotes)
}

async fn until_paid(connection: &mut Connection, quote: &QuoteId) -> Result<()> {
    let path = format!("/v1/mint/quote/bolt11/{}", quote.as_str());
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        let now: MintQuoteBolt11Response = connection.get(&path).await?;
        if now.state == MintQuoteState::Paid {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("a quote does not pay itself: is the mint's Lightning node a fake one?")
}

/// So many melt quotes over `sat`, each for an invoice of its own of some other node.
pub(crate) async fn payments(
    connection: &mut Connection,
    sat: u64,
    count: usize,
) -> Result<Vec<MeltQuoteBolt11Response>> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs();
    let mut quotes: Vec<MeltQuoteBolt11Response> = Vec::new();
    for _ in 0..count {
        let request = InvoiceSpec::foreign(random()?, Some(sat * 1_000), "a payment", now).build()?;
        let request = MeltQuoteBolt11Request { request, unit: CurrencyUnit::Sat, options: None };
        let quote: MeltQuoteBolt11Response = connection.ask("/v1/melt/quote/bolt11", &request).await?;
        let first = quotes.first().unwrap_or(&quote);
        ensure!(
            (first.amount, first.fee_reserve) == (quote.amount, quote.fee_reserve),
            "two quotes over the same amount differ"
        );
        quotes.push(quote);
    }
    Ok(quotes)
}
