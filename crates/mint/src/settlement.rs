//! Hearing of payments: the backend's stream, and a question about a quote that somebody waits for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use hazel_protocol::{Amount, PaymentMethod, QuoteId};

use crate::error::{Blame, MintError};
use crate::failpoint::failpoint;
use crate::mint::Mint;
use crate::ports::{Applied, Change, CreditMintQuote, MintQuote, Settlement};

/// The pause after the stream failed.
const RETRY: Duration = Duration::from_secs(2);

/// The pause after the stream had nothing, for a backend that answers at once.
const BREATH: Duration = Duration::from_millis(50);

/// The pause between two rounds of questions that nobody rang for.
const ASK_INTERVAL: Duration = Duration::from_secs(10);

/// Questions about quotes asked in one round.
const QUESTIONS: usize = 64;

impl Mint {
    pub(crate) async fn hear_of_payments_until_stopped(self: Arc<Self>, method: PaymentMethod) {
        let mut seen = 0;
        while !self.is_draining() {
            let stopped = self.stop.notified().boxed();
            match select(self.hear_of_payments(&method, seen).boxed(), stopped).await {
                Either::Left((Ok(cursor), _)) => seen = cursor,
                Either::Left((Err(error), stopped)) => {
                    tracing::warn!(%method, %error, "the stream of payments broke off");
                    select(stopped, self.ports.environment.sleep(RETRY)).await;
                }
                Either::Right(_) => return,
            }
        }
    }

    /// Reads on in the stream of a method and credits what arrived; how far it is read. `seen` passes over what belongs to no quote.
    ///
    /// # Errors
    /// A port does not answer; nothing is passed over.
    async fn hear_of_payments(&self, method: &PaymentMethod, seen: u64) -> Result<u64, MintError> {
        if !self.ports.store.is_first().await? {
            self.ports.environment.sleep(RETRY).await;
            return Ok(seen);
        }
        self.look_for_strays().await?;
        let asked_at = self.now();
        let mut cursor = self.ports.store.cursor(method).await?.max(seen);
        let page = self.ports.payments.of(method.as_str())?.settlements(cursor).await?;
        if page.is_empty() {
            if let Some(caught_up) = self.caught_up.get(method) {
                caught_up.store(asked_at.to_unix(), Ordering::Release);
            }
            self.ports.environment.sleep(BREATH).await;
        }
        for settlement in page {
            let place = settlement.cursor;
            self.credit_or_alarm(method.as_str(), settlement).await?;
            cursor = cursor.max(place);
        }
        Ok(cursor)
    }

    /// Credits one settlement. What can never be credited is passed over with an alarm, so that it holds up nobody else.
    ///
    /// # Errors
    /// The ledger does not answer.
    async fn credit_or_alarm(&self, method: &str, settlement: Settlement) -> Result<(), MintError> {
        let credit = settlement.credit.clone();
        match self.credit(method, settlement).await {
            Err(error) if matches!(error.blame(), Blame::Client | Blame::Bug) => {
                tracing::error!(%credit, %error, "ALARM: money that arrived cannot be credited, an operator must look");
                Ok(())
            }
            answer => answer,
        }
    }

    /// Credits one settlement to its quote, at the rate of the quote. Delivered again it changes nothing.
    async fn credit(&self, method: &str, settlement: Settlement) -> Result<(), MintError> {
        let Some(quote) = self.quote_paid_by(&settlement).await? else {
            tracing::warn!(credit = %settlement.credit, "money arrived for an invoice of no quote of this mint");
            return Ok(());
        };
        if quote.method != method {
            tracing::debug!(credit = %settlement.credit, method, "left to the stream of another payment method");
            return Ok(());
        }
        let amount = quote.rate.arrived(settlement.amount_msat);
        if amount.is_zero() {
            tracing::warn!(credit = %settlement.credit, "less than one unit arrived");
            return Ok(());
        }
        let before = quote.amount_paid;
        let credit = CreditMintQuote {
            quote: quote.id.clone(),
            credit: name_of(method, settlement.credit),
            amount,
            cursor: Some(settlement.cursor),
            now: self.now(),
        };
        failpoint!("credit-before-commit");
        let applied = self.apply(Change::CreditMintQuote(credit)).await?;
        failpoint!("credit-after-commit");
        if let Applied::MintQuote(after) = applied {
            report_odd_sum(before, &after);
        }
        Ok(())
    }

    /// The quote of a payment. One that is committed just now is found by the second look, or finds the payment among the strays.
    async fn quote_paid_by(&self, settlement: &Settlement) -> Result<Option<MintQuote>, MintError> {
        let hash = &settlement.payment_hash;
        let found = self.ports.store.mint_quote_by_hash(hash).await?;
        if found.is_some() {
            return Ok(found);
        }
        self.strays.remember(*hash, self.now());
        Ok(self.ports.store.mint_quote_by_hash(hash).await?)
    }

    /// A quote that another process has committed meanwhile asks its own strays, so here those are looked at for a while that were remembered.
    ///
    /// # Errors
    /// The ledger's.
    async fn look_for_strays(&self) -> Result<(), MintError> {
        if !self.ports.store.is_shared() {
            return Ok(());
        }
        for hash in self.strays.recent(self.now()) {
            if let Some(quote) = self.ports.store.mint_quote_by_hash(&hash).await? {
                self.find_early_payment(&quote);
            }
        }
        Ok(())
    }

    /// A quote is in the ledger from now on: a payment that came before it is asked for.
    pub(crate) fn find_early_payment(&self, quote: &MintQuote) {
        if self.strays.take(&quote.payment_hash) {
            self.wonder_about(quote);
        }
    }

    /// Somebody looked at an unpaid quote: have the reconciler ask about it, unless it just did.
    pub(crate) fn wonder_about(&self, quote: &MintQuote) {
        self.wonder_about_id(&quote.id);
    }

    /// As [`wonder_about`](Self::wonder_about), by the quote's id.
    pub(crate) fn wonder_about_id(&self, quote: &QuoteId) {
        if self.questions.wonder(quote, self.now()) {
            self.wake.quotes_bell.notify_one();
        }
    }

    pub(crate) async fn ask_until_stopped(self: Arc<Self>) {
        while !self.is_draining() {
            let rung = select(self.stop.notified().boxed(), self.wake.quotes_bell.notified().boxed());
            select(rung, self.ports.environment.sleep(ASK_INTERVAL)).await;
            if let Err(error) = self.ask_about_quotes().await {
                tracing::warn!(%error, "quotes that are waited for cannot be asked about");
                self.ports.environment.sleep(RETRY).await;
            }
        }
    }

    /// Asks the backends about quotes that somebody waits for. One that is away holds up the questions to no other.
    ///
    /// # Errors
    /// A port did not answer, the last one; what was asked of it is asked again.
    pub(crate) async fn ask_about_quotes(&self) -> Result<(), MintError> {
        let mut answer = Ok(());
        for id in self.questions.take(QUESTIONS, self.now()) {
            if let Err(error) = self.ask_about(&id).await {
                self.questions.put_back(id);
                answer = Err(error);
            }
        }
        answer
    }

    async fn ask_about(&self, id: &QuoteId) -> Result<(), MintError> {
        let quotes = self.ports.store.mint_quotes(std::slice::from_ref(id)).await?;
        let Some(quote) = quotes.into_iter().flatten().next() else { return Ok(()) };
        // A method that is no longer configured has nobody to ask.
        let Ok(payments) = self.ports.payments.of(&quote.method) else { return Ok(()) };
        tracing::debug!(quote = ?quote.id, "asking the node about a quote");
        for mut settlement in payments.invoice_settlements(&quote.payment_hash).await? {
            // The stream's cursor may stand before this one: only the stream moves it.
            settlement.cursor = 0;
            self.credit_or_alarm(&quote.method, settlement).await?;
        }
        Ok(())
    }
}

/// The name of a credit. Two backends may give their payments the same names, so those of every method but bolt11 begin with the method's.
fn name_of(method: &str, credit: String) -> String {
    if *method == *PaymentMethod::bolt11().as_str() { credit } else { format!("{method}/{credit}") }
}

/// Money beyond what a quote asked for is kept and reported; less than that is not issued, and reported too.
fn report_odd_sum(before: Amount, after: &MintQuote) {
    let asked = after.amount.unwrap_or(after.amount_paid);
    if after.amount_paid > before && after.amount_paid != asked {
        tracing::warn!(quote = ?after.id, %asked, paid = %after.amount_paid, "a quote was not paid what it asked for");
    }
}
