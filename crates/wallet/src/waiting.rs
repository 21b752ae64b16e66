//! Waiting for a mint to change its mind: by asking every few seconds, and sooner when it speaks up by itself (NUT-17).
//!
//! What a mint says unasked is never believed. It only wakes a look, and looks come no quicker than one a second, so a mint that lies,
//! goes back on its word or never stops talking changes nothing but when it is asked next.

use futures_util::future::{Either, select};
use hazel_protocol::{PointBytes, QuoteId};

use crate::ports::{Notices, Subject};
use crate::wallet::Wallet;

/// The longest pause between two looks when the mint does not speak up, in seconds.
const MAX_PAUSE_SECS: u64 = 5;

/// The same when it does.
const MAX_QUIET_SECS: u64 = 30;

/// The longest pause between two attempts to be told, in looks.
const MAX_RETRY_LOOKS: u32 = 32;

/// What is waited for.
#[derive(Debug, Clone)]
pub(crate) enum Awaited {
    MintQuote(QuoteId),
    MeltQuote(QuoteId),
    Proofs(Vec<PointBytes>),
}

/// The pauses between looks.
pub(crate) struct Waiting {
    wallet: Wallet,
    awaited: Awaited,
    notices: Option<Box<dyn Notices>>,
    pause_secs: u64,
    /// After how many looks the next attempt to be told is made, and the pause before the one after that.
    retry: (u32, u32),
}

impl Waiting {
    pub(crate) fn new(wallet: &Wallet, awaited: Awaited) -> Self {
        Self { wallet: wallet.clone(), awaited, notices: None, pause_secs: 1, retry: (0, 1) }
    }

    /// Pauses before the next look.
    pub(crate) async fn pause(&mut self) {
        self.listen().await;
        self.wallet.sleep(1).await;
        let rest = self.wallet.sleep(self.pause_secs.saturating_sub(1));
        let Some(notices) = &mut self.notices else {
            rest.await;
            self.pause_secs = (self.pause_secs + 1).min(MAX_PAUSE_SECS);
            return;
        };
        self.pause_secs = (self.pause_secs * 2).min(MAX_QUIET_SECS);
        let broke_off = matches!(select(notices.next(), Box::pin(rest)).await, Either::Left((false, _)));
        if broke_off {
            // It may have changed while the line went down, so the next look comes at once.
            self.notices = None;
            self.pause_secs = 1;
        }
    }

    /// Asks to be told, now and then, as long as nobody does.
    async fn listen(&mut self) {
        if self.notices.is_some() {
            return;
        }
        let (left, next) = self.retry;
        if left > 0 {
            self.retry.0 = left - 1;
            return;
        }
        self.retry = (next, (next * 2).min(MAX_RETRY_LOOKS));
        let subject = match &self.awaited {
            Awaited::MintQuote(quote) => Subject::MintQuote(quote),
            Awaited::MeltQuote(quote) => Subject::MeltQuote(quote),
            Awaited::Proofs(ys) => Subject::Proofs(ys),
        };
        self.notices = self.wallet.inner.connector.notices(subject).await;
    }
}
