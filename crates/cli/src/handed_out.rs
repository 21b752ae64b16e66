//! Tokens that were handed out: what of them was claimed, and what can be had back.

use std::collections::BTreeMap;

use hazel_protocol::{Amount, CurrencyUnit, MintUrl};
use hazel_wallet::ports::{OperationId, ProofStatus};
use hazel_wallet::state::State;

use crate::calendar::utc;
use crate::failure::{Failure, Kind};
use crate::session::Session;

/// A token that was handed out, and was not all claimed when it was last looked at.
#[derive(Debug, Clone)]
pub(crate) struct HandedOut {
    /// The send that made it.
    pub(crate) operation: OperationId,
    /// The mint it is of.
    pub(crate) mint: MintUrl,
    /// The unit of the amounts.
    pub(crate) unit: CurrencyUnit,
    /// What it was worth, in the minor unit.
    pub(crate) value: Amount,
    /// What nobody was seen to claim, in the minor unit.
    pub(crate) unclaimed: Amount,
    /// When it was made, for people.
    pub(crate) made_at: String,
}

impl HandedOut {
    /// How it stands: a word for scripts.
    pub(crate) fn state(&self) -> &'static str {
        if self.unclaimed.is_zero() {
            "claimed"
        } else if self.unclaimed < self.value {
            "partly-claimed"
        } else {
            "unclaimed"
        }
    }
}

/// Asks every mint about the tokens that were handed out and not seen claimed; those that turn out to be claimed are among
/// them this once. A mint that does not answer is told about on the side.
pub(crate) async fn look(session: &Session) -> Result<Vec<HandedOut>, Failure> {
    let mut tokens = Vec::new();
    for mint in session.store.mints().await? {
        for unit in session.units(&mint.url).await? {
            tokens.extend(look_at(session, &mint.url, &unit).await?);
        }
    }
    Ok(tokens)
}

async fn look_at(session: &Session, mint: &MintUrl, unit: &CurrencyUnit) -> Result<Vec<HandedOut>, Failure> {
    let before = unclaimed(session, mint, unit).await?;
    if before.is_empty() {
        return Ok(Vec::new());
    }
    if let Err(error) = session.wallet(mint, unit)?.check_sent().await {
        session.output.note(format!("Whether tokens of {mint} were claimed is not known: {error}."));
    }
    let after = unclaimed(session, mint, unit).await?;
    let mut tokens = Vec::new();
    for (operation, known) in before {
        let row = session.store.operation(operation).await?;
        let (value, made_at) = match row {
            Some(row) => match row.state {
                State::SendCompleted(state) => (state.token_value, utc(row.created_at)),
                _ => (known, utc(row.created_at)),
            },
            None => (known, String::new()),
        };
        let unclaimed = after.get(&operation).copied().unwrap_or_default();
        tokens.push(HandedOut { operation, mint: mint.clone(), unit: unit.clone(), value, unclaimed, made_at });
    }
    Ok(tokens)
}

async fn unclaimed(
    session: &Session,
    mint: &MintUrl,
    unit: &CurrencyUnit,
) -> Result<BTreeMap<OperationId, Amount>, Failure> {
    let mut sums: BTreeMap<OperationId, Amount> = BTreeMap::new();
    for proof in session.store.proofs(mint, unit, ProofStatus::Sent).await? {
        let Some(operation) = proof.sent_by else { continue };
        let sum = sums.entry(operation).or_default();
        *sum = sum
            .checked_add(proof.proof.amount)
            .map_err(|error| Failure::new(Kind::Wallet, format!("the tokens do not add up: {error}")))?;
    }
    Ok(sums)
}
