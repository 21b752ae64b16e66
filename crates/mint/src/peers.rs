//! What other processes on the same ledger do, seen by reading it again: their keysets, and what they tell nobody here of quotes and proofs.
//!
//! Nothing of it runs on a ledger that this process has for itself. A process hears of its own commits at once and in order; of the others' it sees
//! the last state, and may miss what came between (NUT-17 allows that).

use std::sync::Arc;
use std::time::Duration;

use hazel_protocol::{PointBytes, QuoteId};

use crate::error::MintError;
use crate::events::{Event, Key};
use crate::lookup::entry;
use crate::mint::Mint;

/// The pause between two looks at what is listened to.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// Looks at what is listened to between two looks at the keysets.
const LOOKS_A_KEYRING: u32 = 2;

/// Things of one kind read at once.
const CHUNK: usize = 1_000;

impl Mint {
    /// Follows the other processes until the mint stops.
    pub(crate) async fn follow_others_until_stopped(self: Arc<Self>) {
        if !self.ports.store.is_shared() {
            return;
        }
        let mut looks = 0;
        while !self.is_draining() {
            self.pause(LOOK_INTERVAL, None).await;
            looks = (looks + 1) % LOOKS_A_KEYRING;
            if looks == 0
                && let Err(error) = self.follow_keysets().await
            {
                tracing::error!(%error, "the keysets of the ledger cannot be read again");
            }
            if let Err(error) = self.tell_of_others().await {
                tracing::warn!(%error, "what is subscribed to cannot be read again");
            }
        }
    }

    /// Tells listeners what has become of that which they listen to, whoever changed it.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn tell_of_others(&self) -> Result<(), MintError> {
        let (mut proofs, mut mint_quotes, mut melt_quotes) = (Vec::new(), Vec::new(), Vec::new());
        let (watched, moment) = self.hub.watched();
        for key in watched {
            match key {
                Key::Proof(y) => proofs.push(y),
                Key::MintQuote(id) => mint_quotes.push(id),
                Key::MeltQuote(id) => melt_quotes.push(id),
            }
        }
        self.look_at_proofs(&proofs, moment).await?;
        self.look_at_mint_quotes(&mint_quotes, moment).await?;
        for id in melt_quotes {
            if let Some(quote) = self.ports.store.melt_quote(&id).await? {
                self.hub.tell(&Event::MeltQuote(Box::new(quote)), moment);
            }
        }
        Ok(())
    }

    async fn look_at_proofs(&self, ys: &[PointBytes], moment: u64) -> Result<(), MintError> {
        for chunk in ys.chunks(CHUNK) {
            let known = self.ports.store.inputs(chunk).await?;
            for (y, known) in chunk.iter().zip(known) {
                let entry = entry(*y, known);
                self.hub.tell(&Event::ProofSeen(entry.y, entry.state, entry.witness), moment);
            }
        }
        Ok(())
    }

    async fn look_at_mint_quotes(&self, ids: &[QuoteId], moment: u64) -> Result<(), MintError> {
        for chunk in ids.chunks(CHUNK) {
            for quote in self.ports.store.mint_quotes(chunk).await?.into_iter().flatten() {
                self.hub.tell(&Event::MintQuote(Box::new(quote)), moment);
            }
        }
        Ok(())
    }
}
