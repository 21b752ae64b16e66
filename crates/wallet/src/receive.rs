//! A token from somebody else: its proofs are checked, then swapped for own ones (NUT-03).

use hazel_protocol::{Amount, ErrorCode, KeysetError, MintUrl, PointBytes, Proof, ProofState, Token, TokenError};

use crate::error::Error;
use crate::exchange::{NOTHING_ASIDE, input_fee, until_not_overtaken};
use crate::keysets::Keysets;
use crate::ports::{Change, MarkSpent, Moves, OperationId, ProofStatus};
use crate::state::ReceiveRequested;
use crate::verify;
use crate::wallet::Wallet;

/// A token that was checked and can be received, with what that costs. Nothing is stored until it is confirmed.
#[derive(Debug)]
pub struct PreparedReceive {
    wallet: Wallet,
    proofs: Vec<Proof>,
    /// Those of the proofs that this wallet had handed out itself.
    own: Vec<PointBytes>,
    value: Amount,
    fee: Amount,
    memo: Option<String>,
    other_mints: Vec<MintUrl>,
}

/// Money that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// The operation.
    pub operation: OperationId,
    /// What arrived, in the minor unit.
    pub amount: Amount,
    /// What the mint took, in the minor unit.
    pub fee: Amount,
}

impl Wallet {
    /// Checks the part of a token that is of this wallet's mint: unit, keysets, DLEQ proof of each proof, and that it is
    /// worth more than its fee.
    ///
    /// # Errors
    /// [`Error::MintUnknown`] or [`Error::TokenOfOtherMint`]: a mint has to be added first. [`Error::TokenAlreadyOwned`]
    /// for a token that was received before. Others of the `Token` kind say what is wrong with it.
    pub async fn prepare_receive(&self, token: &Token) -> Result<PreparedReceive, Error> {
        let other_mints: Vec<MintUrl> =
            token.mints().into_iter().filter(|url| **url != self.inner.mint).cloned().collect();
        if let (Some(other), false) = (other_mints.first(), token.mints().contains(&&self.inner.mint)) {
            return Err(Error::TokenOfOtherMint(other.clone()));
        }
        if let Some(unit) = token.unit().filter(|unit| **unit != self.inner.unit) {
            return Err(Error::TokenOfOtherUnit(unit.clone()));
        }
        let keysets = self.refreshed_keysets().await?;
        let proofs = self.proofs_of(token, &keysets)?;
        verify::token(&keysets, &proofs, self.inner.policy.token_dleq)?;
        let own = self.own_among(&proofs).await?;
        self.refuse_if_spent(&proofs).await?;
        let value = Amount::checked_sum(proofs.iter().map(|proof| proof.amount))?;
        let fee = input_fee(&keysets, &proofs)?;
        if value <= fee {
            return Err(Error::TokenWorthless { value, fee });
        }
        self.keyset_for_outputs(&keysets)?;
        let memo = token.memo().map(str::to_owned);
        Ok(PreparedReceive { wallet: self.clone(), proofs, own, value, fee, memo, other_mints })
    }

    fn proofs_of(&self, token: &Token, keysets: &Keysets) -> Result<Vec<Proof>, Error> {
        let proofs = token.proofs_of(&self.inner.mint, &keysets.ids())?;
        if proofs.len() > hazel_protocol::MAX_INPUTS {
            return Err(Error::TooManyProofs);
        }
        if proofs.iter().any(|proof| keysets.get(&proof.id).is_none()) {
            return Err(TokenError::Keyset(KeysetError::Unknown).into());
        }
        Ok(proofs)
    }

    /// Asks whether somebody was faster, before counters are used up for nothing. The swap decides all the same, so an
    /// answer that does not come is not waited for.
    async fn refuse_if_spent(&self, proofs: &[Proof]) -> Result<(), Error> {
        let ys: Vec<PointBytes> = proofs.iter().map(|proof| PointBytes::from(&proof.y())).collect();
        let states = match self.states(&ys).await {
            Err(Error::HostileMint { operation, violation }) => {
                return Err(Error::HostileMint { operation, violation });
            }
            Err(_) => return Ok(()),
            Ok(states) => states,
        };
        let spent: Vec<PointBytes> =
            ys.into_iter().zip(states).filter(|(_, state)| *state == ProofState::Spent).map(|(y, _)| y).collect();
        if spent.is_empty() {
            return Ok(());
        }
        // Among them may be proofs that this wallet had handed out.
        self.commit(Change::MarkSpent(MarkSpent { ys: spent })).await?;
        Err(Error::Refused { code: ErrorCode::ProofsAlreadySpent.code(), detail: String::new() })
    }

    /// Those of the proofs that this wallet handed out and nobody was seen to claim.
    async fn own_among(&self, proofs: &[Proof]) -> Result<Vec<PointBytes>, Error> {
        let ys: Vec<PointBytes> = proofs.iter().map(|proof| PointBytes::from(&proof.y())).collect();
        let known = self.inner.store.proofs_by_y(&ys).await?;
        let known: Vec<_> = known.into_iter().flatten().collect();
        if known.iter().any(|proof| proof.status != ProofStatus::Sent) {
            return Err(Error::TokenAlreadyOwned);
        }
        Ok(known.into_iter().map(|proof| proof.y).collect())
    }
}

impl PreparedReceive {
    /// What will arrive after the fee, in the minor unit.
    pub fn amount(&self) -> Amount {
        // The fee was found to be smaller than the value.
        self.value.checked_sub(self.fee).unwrap_or_default()
    }

    /// What the token holds of this mint, in the minor unit.
    pub fn value(&self) -> Amount {
        self.value
    }

    /// What the mint takes, in the minor unit.
    pub fn fee(&self) -> Amount {
        self.fee
    }

    /// The sender's text, as the sender wrote it: show it through [`hazel_protocol::neutralise`].
    pub fn memo(&self) -> Option<&str> {
        self.memo.as_deref()
    }

    /// Other mints that the token holds money of, to be received by their own wallets.
    pub fn other_mints(&self) -> &[MintUrl] {
        &self.other_mints
    }

    /// Whether every proof carries evidence that the mint signed it (NUT-12). The swap shows it in any case.
    pub fn has_dleq(&self) -> bool {
        self.proofs.iter().all(|proof| proof.dleq.is_some())
    }

    /// Swaps the proofs for own ones. Only then the money is the wallet's.
    ///
    /// # Errors
    /// [`Error::Refused`] when somebody was faster. [`Error::Ambiguous`]: [`Wallet::resume`] goes on with it.
    pub async fn confirm(self) -> Result<Received, Error> {
        let wallet = &self.wallet;
        let keysets = wallet.refreshed_keysets().await?;
        let saga = until_not_overtaken(|| async {
            let (exchange, counters) = wallet.plan_exchange(&keysets, &self.proofs, NOTHING_ASIDE).await?;
            let state = ReceiveRequested { memo: self.memo.clone(), exchange };
            let moves = Moves { hold: self.own.clone(), ..Moves::default() };
            Ok(wallet.begin(state, moves, vec![counters]).await)
        })
        .await?;
        let done = saga.exchange(true).await?.done().await?;
        Ok(Received { operation: done.operation, amount: done.kept, fee: done.fee })
    }

    /// Leaves the token alone. It stays good for whoever has it.
    pub fn cancel(self) {
        drop(self);
    }
}
