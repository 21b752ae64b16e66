//! Hearing of payments: the backend's stream, and a question about a quote that somebody waits for.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};

use crate::error::MintError;
use crate::failpoint::failpoint;
use crate::mint::{AskedAbout, Mint};
use crate::msat::arrived;
use crate::ports::{Change, CreditMintQuote, MintQuote, Settlement, Timestamp};

/// The pause after the stream failed.
const RETRY: Duration = Duration::from_secs(2);

/// Questions about quotes asked in one sweep.
const QUESTIONS: usize = 64;

impl Mint {
    pub(crate) async fn hear_of_payments_until_stopped(self: Arc<Self>) {
        let mut seen = 0;
        while !self.is_draining() {
            let stopped = self.stop.notified().boxed();
            match select(self.hear_of_payments(seen).boxed(), stopped).await {
                Either::Left((Ok(cursor), _)) => seen = cursor,
                Either::Left((Err(error), stopped)) => {
                    tracing::warn!(%error, "the stream of payments broke off");
                    select(stopped, self.ports.environment.sleep(RETRY)).await;
                }
                Either::Right(_) => return,
            }
        }
    }

    /// Reads on in the stream and credits what arrived; how far it is read. `seen` passes over what belongs to no quote.
    ///
    /// # Errors
    /// A port does not answer; nothing is passed over.
    async fn hear_of_payments(&self, seen: u64) -> Result<u64, MintError> {
        let mut cursor = self.ports.store.cursor().await?.max(seen);
        for settlement in self.ports.payments.settlements(cursor).await? {
            let place = settlement.cursor;
            self.credit(settlement).await?;
            cursor = cursor.max(place);
        }
        Ok(cursor)
    }

    /// Credits one settlement to its quote. Delivered again it changes nothing.
    async fn credit(&self, settlement: Settlement) -> Result<(), MintError> {
        let quote = self.ports.store.mint_quote_by_hash(&settlement.payment_hash).await?;
        let Some(quote) = quote else {
            tracing::warn!(credit = %settlement.credit, "money arrived for an invoice of no quote");
            return Ok(());
        };
        let amount = arrived(&quote.unit, settlement.amount_msat)?;
        if amount.is_zero() {
            tracing::warn!(credit = %settlement.credit, "less than one unit arrived");
            return Ok(());
        }
        report_second_payment(&quote, &settlement);
        let credit = CreditMintQuote {
            quote: quote.id,
            credit: settlement.credit,
            amount,
            cursor: Some(settlement.cursor),
            now: self.now(),
        };
        failpoint!("credit-before-commit");
        self.apply(Change::CreditMintQuote(credit)).await?;
        failpoint!("credit-after-commit");
        Ok(())
    }

    /// Asks the backend about quotes that somebody waits for.
    pub(crate) async fn ask_about_quotes(&self) -> Result<(), MintError> {
        for id in self.quotes_wondered_about() {
            if !self.may_ask(&AskedAbout::MintQuote(id.clone())) {
                continue;
            }
            let Some(quote) = self.ports.store.mint_quotes(&[id]).await?.into_iter().flatten().next() else { continue };
            for mut settlement in self.ports.payments.invoice_settlements(&quote.payment_hash).await? {
                // The stream's cursor may stand before this one: only the stream moves it.
                settlement.cursor = 0;
                self.credit(settlement).await?;
            }
        }
        Ok(())
    }

    fn quotes_wondered_about(&self) -> Vec<hazel_protocol::QuoteId> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = asked.iter().filter(|(_, last)| **last == Timestamp::default());
        let quotes = waiting.filter_map(|(what, _)| match what {
            AskedAbout::MintQuote(id) => Some(id.clone()),
            AskedAbout::Melt(_) => None,
        });
        quotes.take(QUESTIONS).collect()
    }
}

fn report_second_payment(quote: &MintQuote, settlement: &Settlement) {
    if !quote.amount_paid.is_zero() && quote.amount_issued >= quote.amount_paid {
        tracing::warn!(quote = ?quote.id, credit = %settlement.credit, "money arrived again for a quote that was issued");
    }
}
