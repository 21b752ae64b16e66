//! A token from somebody else: its proofs are checked, then swapped for own ones (NUT-03).

use hazel_protocol::{
    Amount, ErrorCode, KeysetError, MintUrl, PointBytes, Proof, ProofState, Token, TokenError, TokenV4,
};

use crate::error::Error;
use crate::exchange::{MAX_OVERTAKEN, NOTHING_ASIDE, input_fee, until_not_overtaken};
use crate::keysets::Keysets;
use crate::lock;
use crate::ports::{Change, MarkSpent, Moves, OperationId, ProofStatus};
use crate::saga::Saga;
use crate::state::{ReceiveRequested, ReceiveStored, State};
use crate::verify::{self, RequireDleq};
use crate::wallet::{Wallet, was_overtaken};

/// What a receiver can choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiveOptions {
    /// What opens a hash lock (NUT-14), in hex.
    pub preimage: Option<String>,
}

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
    /// Checks the part of a token that is of this wallet's mint: unit, keysets, DLEQ proof of each proof, that this wallet can open
    /// its locks, and that it is worth more than its fee.
    ///
    /// Of a token that this wallet handed out itself, what nobody has claimed is taken back.
    ///
    /// # Errors
    /// [`Error::MintUnknown`] or [`Error::TokenOfOtherMint`]: a mint has to be added first. [`Error::TokenAlreadyOwned`]
    /// for a token that was received before; [`Error::TokenLocked`]. Others of the `Token` kind say what is wrong with it.
    pub async fn prepare_receive(&self, token: &Token) -> Result<PreparedReceive, Error> {
        self.prepare_receive_with(token, &ReceiveOptions::default()).await
    }

    /// As [`prepare_receive`](Self::prepare_receive), with options.
    ///
    /// # Errors
    /// As [`prepare_receive`](Self::prepare_receive).
    pub async fn prepare_receive_with(
        &self,
        token: &Token,
        options: &ReceiveOptions,
    ) -> Result<PreparedReceive, Error> {
        let other_mints = self.other_mints(token)?;
        let keysets = self.refreshed_keysets().await?;
        let proofs = self.proofs_of(token, &keysets)?;
        verify::token(&keysets, &proofs, self.inner.policy.token_dleq)?;
        let proofs = match &options.preimage {
            Some(preimage) => lock::with_preimage(&proofs, preimage)?,
            None => proofs,
        };
        let own = self.own_among(&proofs).await?;
        let proofs = self.without_spent(proofs, &own).await?;
        self.prepared_receive(&keysets, proofs, own, token.memo().map(str::to_owned), other_mints)
    }

    /// Takes back what nobody has claimed of a token that this wallet handed out.
    ///
    /// # Errors
    /// [`Error::OperationUnknown`] when there is no such send, [`Error::Claimed`] when nothing is left of it, and
    /// [`Error::TokenLocked`] as long as its lock lets only others take it.
    pub async fn prepare_take_back(&self, operation: OperationId) -> Result<PreparedReceive, Error> {
        let row = self.inner.store.operation(operation).await?.ok_or(Error::OperationUnknown)?;
        if !matches!(row.state, State::SendCompleted(_)) || row.mint != self.inner.mint || row.unit != self.inner.unit {
            return Err(Error::OperationUnknown);
        }
        let sent = self.inner.store.sent_by(operation).await?;
        let sent: Vec<_> = sent.into_iter().filter(|proof| proof.status == ProofStatus::Sent).collect();
        let own: Vec<PointBytes> = sent.iter().map(|proof| proof.y).collect();
        let keysets = self.refreshed_keysets().await?;
        let proofs = sent.into_iter().map(|proof| proof.proof).collect();
        let proofs = self.without_spent(proofs, &own).await?;
        self.prepared_receive(&keysets, proofs, own, None, Vec::new())
    }

    fn prepared_receive(
        &self,
        keysets: &Keysets,
        proofs: Vec<Proof>,
        mut own: Vec<PointBytes>,
        memo: Option<String>,
        other_mints: Vec<MintUrl>,
    ) -> Result<PreparedReceive, Error> {
        self.open_locks(&proofs, &[])?;
        let value = Amount::checked_sum(proofs.iter().map(|proof| proof.amount))?;
        let fee = input_fee(keysets, &proofs)?;
        if value <= fee {
            return Err(Error::TokenWorthless { value, fee });
        }
        self.keyset_for_outputs(keysets)?;
        let ys = ys_of(&proofs);
        own.retain(|y| ys.contains(y));
        Ok(PreparedReceive { wallet: self.clone(), proofs, own, value, fee, memo, other_mints })
    }

    /// The other mints of a token that has something of this wallet's mint and unit.
    fn other_mints(&self, token: &Token) -> Result<Vec<MintUrl>, Error> {
        let other_mints: Vec<MintUrl> =
            token.mints().into_iter().filter(|url| **url != self.inner.mint).cloned().collect();
        if let (Some(other), false) = (other_mints.first(), token.mints().contains(&&self.inner.mint)) {
            return Err(Error::TokenOfOtherMint(other.clone()));
        }
        if let Some(unit) = token.unit().filter(|unit| **unit != self.inner.unit) {
            return Err(Error::TokenOfOtherUnit(unit.clone()));
        }
        Ok(other_mints)
    }

    /// Takes a token without asking the mint, to be swapped when the mint can be reached: [`resume`](Self::resume) does that.
    ///
    /// That is safe only for proofs that the mint has signed, as their DLEQ proofs show, and that nobody but this wallet can
    /// spend for as long as [`Policy::offline_lock_secs`](crate::Policy::offline_lock_secs).
    ///
    /// # Errors
    /// [`Error::NotOffline`]: why it would not be safe. [`Error::TokenForged`], [`Error::TokenWithoutDleq`],
    /// [`Error::TokenAlreadyOwned`] and others of that kind.
    pub async fn receive_offline(&self, token: &Token, options: &ReceiveOptions) -> Result<StoredReceive, Error> {
        self.other_mints(token)?;
        let keysets = self.known_keysets().await?;
        let proofs = self.proofs_of(token, &keysets)?;
        verify::token(&keysets, &proofs, RequireDleq::Yes)?;
        let proofs = match &options.preimage {
            Some(preimage) => lock::with_preimage(&proofs, preimage)?,
            None => proofs,
        };
        self.refuse_unless_only_ours(&proofs)?;
        self.open_locks(&proofs, &[])?;
        self.refuse_if_stored(&proofs).await?;
        let value = Amount::checked_sum(proofs.iter().map(|proof| proof.amount))?;
        let fee = input_fee(&keysets, &proofs)?;
        if value <= fee {
            return Err(Error::TokenWorthless { value, fee });
        }
        let memo = token.memo().map(str::to_owned);
        let saga = self.begin(ReceiveStored { memo, proofs }, Moves::default(), Vec::new()).await?;
        Ok(StoredReceive { operation: saga.id, value, fee })
    }

    /// Nobody else may be able to spend the proofs before they are swapped.
    fn refuse_unless_only_ours(&self, proofs: &[Proof]) -> Result<(), Error> {
        if !proofs.iter().all(lock::is_locked) {
            return Err(Error::NotOffline("it is not locked to this wallet, so whoever made it can still spend it"));
        }
        let until = self.now().plus(self.inner.policy.offline_lock_secs).to_unix();
        for lock in self.locks_of(proofs)? {
            let others = lock.keys - lock.own_keys;
            if lock.own_keys < lock.needed || others >= lock.needed.max(1) || lock.keys == 0 {
                return Err(Error::NotOffline("somebody else can open its lock, too"));
            }
            if lock.locktime.is_some_and(|time| time < until) {
                return Err(Error::NotOffline("its lock expires too soon"));
            }
        }
        Ok(())
    }

    /// The same token must not count twice.
    async fn refuse_if_stored(&self, proofs: &[Proof]) -> Result<(), Error> {
        let ys = ys_of(proofs);
        if self.inner.store.proofs_by_y(&ys).await?.iter().any(Option::is_some) {
            return Err(Error::TokenAlreadyOwned);
        }
        for row in self.inner.store.unfinished(&self.inner.mint, &self.inner.unit).await? {
            let taken = match &row.state {
                State::ReceiveStored(state) => ys_of(&state.proofs),
                State::ReceiveRequested(state) => ys_of(&state.exchange.request.inputs),
                _ => continue,
            };
            if ys.iter().any(|y| taken.contains(y)) {
                return Err(Error::TokenAlreadyOwned);
            }
        }
        Ok(())
    }

    /// Adds this wallet's signatures to a token that several have to sign for, for the next of them to do the same.
    ///
    /// # Errors
    /// [`Error::TokenLocked`] for a malformed lock; [`Error::NothingToSign`] when no lock names a key of this wallet, or when the
    /// signatures must cover the request that spends the token.
    pub async fn cosign(&self, token: &Token) -> Result<Token, Error> {
        self.cosign_with(token, &ReceiveOptions::default()).await
    }

    /// As [`cosign`](Self::cosign), with a preimage to be put where a hash lock wants one.
    ///
    /// # Errors
    /// As [`cosign`](Self::cosign).
    pub async fn cosign_with(&self, token: &Token, options: &ReceiveOptions) -> Result<Token, Error> {
        self.other_mints(token)?;
        let keysets = self.keysets_if_reachable().await?;
        let proofs = self.proofs_of(token, &keysets)?;
        let opened = match &options.preimage {
            Some(preimage) => lock::with_preimage(&proofs, preimage)?,
            None => proofs.clone(),
        };
        let signed = self.add_signatures(&opened, None)?;
        if signed == proofs {
            return Err(Error::NothingToSign);
        }
        let memo = token.memo().map(str::to_owned);
        let token = TokenV4::new(self.inner.mint.clone(), self.inner.unit.clone(), memo, &signed)?;
        Ok(Token::V4(token))
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
    /// answer that does not come is not waited for. Of a token that is all the wallet's own, what was claimed is left out.
    async fn without_spent(&self, proofs: Vec<Proof>, own: &[PointBytes]) -> Result<Vec<Proof>, Error> {
        let ys = ys_of(&proofs);
        let states = match self.states(&ys).await {
            Err(Error::HostileMint { operation, violation }) => {
                return Err(Error::HostileMint { operation, violation });
            }
            Err(_) => return Ok(proofs),
            Ok(states) => states,
        };
        let all_own = ys.iter().all(|y| own.contains(y));
        let spent: Vec<PointBytes> =
            ys.iter().zip(states).filter(|(_, state)| *state == ProofState::Spent).map(|(y, _)| *y).collect();
        if spent.is_empty() && !ys.is_empty() {
            return Ok(proofs);
        }
        // Among them may be proofs that this wallet had handed out.
        self.commit(Change::MarkSpent(MarkSpent { ys: spent.clone() })).await?;
        if !all_own {
            return Err(Error::Refused { code: ErrorCode::ProofsAlreadySpent.code(), detail: String::new() });
        }
        let left = proofs.into_iter().zip(ys).filter(|(_, y)| !spent.contains(y)).map(|(proof, _)| proof);
        let left: Vec<Proof> = left.collect();
        if left.is_empty() { Err(Error::Claimed) } else { Ok(left) }
    }

    /// Those of the proofs that this wallet handed out and nobody was seen to claim.
    async fn own_among(&self, proofs: &[Proof]) -> Result<Vec<PointBytes>, Error> {
        let known = self.inner.store.proofs_by_y(&ys_of(proofs)).await?;
        let known: Vec<_> = known.into_iter().flatten().collect();
        if known.iter().any(|proof| proof.status != ProofStatus::Sent) {
            return Err(Error::TokenAlreadyOwned);
        }
        Ok(known.into_iter().map(|proof| proof.y).collect())
    }
}

fn ys_of(proofs: &[Proof]) -> Vec<PointBytes> {
    proofs.iter().map(|proof| PointBytes::from(&proof.y())).collect()
}

/// A token that was taken while the mint was away. Its money counts once it is swapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredReceive {
    /// The operation, which stays open until the mint was asked.
    pub operation: OperationId,
    /// What the token holds, in the minor unit.
    pub value: Amount,
    /// What the mint will take as far as is known, in the minor unit.
    pub fee: Amount,
}

impl Saga<ReceiveStored> {
    /// Writes down the swap of a token that was taken offline.
    pub(crate) async fn request(mut self) -> Result<Saga<ReceiveRequested>, Error> {
        let keysets = self.wallet.refreshed_keysets().await?;
        for _ in 0..MAX_OVERTAKEN {
            let planned = self.wallet.plan_exchange(&keysets, &self.state.proofs, NOTHING_ASIDE).await;
            let (exchange, counters) = planned?;
            let next = ReceiveRequested { memo: self.state.memo.clone(), exchange };
            match self.advance(&next, Moves::default(), vec![counters]).await {
                Ok(()) => return Ok(self.with(next)),
                Err(error) if was_overtaken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Stale)
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

    /// What would be swapped.
    pub(crate) fn proofs(&self) -> &[Proof] {
        &self.proofs
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
        let id = self.wallet.new_operation_id();
        self.confirm_as(id).await
    }

    /// As [`confirm`](Self::confirm), in an operation whose id was drawn before.
    pub(crate) async fn confirm_as(self, id: OperationId) -> Result<Received, Error> {
        let wallet = &self.wallet;
        let keysets = wallet.refreshed_keysets().await?;
        let saga = until_not_overtaken(|| async {
            let (exchange, counters) = wallet.plan_exchange(&keysets, &self.proofs, NOTHING_ASIDE).await?;
            let state = ReceiveRequested { memo: self.memo.clone(), exchange };
            let moves = Moves { hold: self.own.clone(), ..Moves::default() };
            Ok(wallet.begin_as(id, state, moves, vec![counters]).await)
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
