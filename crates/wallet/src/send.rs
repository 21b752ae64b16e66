//! A token for somebody else (NUT-00).

use hazel_protocol::{Amount, MAX_MEMO_BYTES, PointBytes, Proof, Token, TokenV4};

use crate::error::Error;
use crate::exchange::{Aside, input_fee, until_not_overtaken};
use crate::keysets::Keysets;
use crate::lock::LockTerms;
use crate::ports::{HistoryEntry, Moves, OperationId, OperationKind, ProofRecord, ProofStatus};
use crate::saga::Saga;
use crate::select::{self, Coin, Fees, Shortage};
use crate::state::{Cancelled, Purpose, SendCompleted, SendPrepared, SendRequested, State};
use crate::waiting::{Awaited, Waiting};
use crate::wallet::{Wallet, was_overtaken};

/// What a sender can choose.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SendOptions {
    /// A text for the receiver, at most [`MAX_MEMO_BYTES`] bytes.
    pub memo: Option<String>,
    /// Whether to add what the receiver's mint takes for swapping the token, so that the whole amount arrives.
    pub pay_receiver_fee: bool,
    /// Who may spend the token (NUT-11, NUT-14); whoever has it if nothing is said.
    pub lock: Option<LockTerms>,
    /// Whether the mint is not to be asked: the wallet must have proofs that fit exactly.
    pub offline: bool,
}

/// A token that can be made, with what it costs. Its proofs are held until it is confirmed or cancelled.
#[derive(Debug)]
pub struct PreparedSend {
    saga: Saga<SendPrepared>,
}

/// A token to hand out. It is money: whoever sees it first can take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentToken {
    /// The operation.
    pub operation: OperationId,
    /// The token; its `Display` is the text to hand out.
    pub token: Token,
    /// What the token holds, in the minor unit.
    pub token_value: Amount,
    /// What the mint took to make it, in the minor unit.
    pub fee: Amount,
}

impl Wallet {
    /// Chooses proofs for a token: such as are worth the amount exactly, else such as can be swapped into it.
    ///
    /// # Errors
    /// [`Error::InsufficientFunds`], [`Error::MemoTooLong`]; [`Error::Lock`] for a lock that makes no sense or that the mint does
    /// not enforce; [`Error::NoExactMatch`] when only a swap would do and the mint is not to be asked.
    pub async fn prepare_send(&self, amount: Amount, options: SendOptions) -> Result<PreparedSend, Error> {
        if amount.is_zero() {
            return Err(Error::ZeroAmount);
        }
        if options.memo.as_ref().is_some_and(|memo| memo.len() > MAX_MEMO_BYTES) {
            return Err(Error::MemoTooLong);
        }
        if let Some(lock) = &options.lock {
            lock.check()?;
            lock.check_support(self.mint_record().await?.info.as_ref())?;
        }
        // Proofs that fit exactly can be sent while the mint is away.
        let keysets = if options.offline { self.known_keysets().await? } else { self.keysets_if_reachable().await? };
        let saga = until_not_overtaken(|| async {
            let (prepared, hold) = self.choose_for_token(&keysets, amount, &options).await?;
            Ok(self.begin(prepared, Moves { hold, ..Moves::default() }, Vec::new()).await)
        })
        .await?;
        Ok(PreparedSend { saga })
    }

    async fn choose_for_token(
        &self,
        keysets: &Keysets,
        amount: Amount,
        options: &SendOptions,
    ) -> Result<(SendPrepared, Vec<PointBytes>), Error> {
        let (proofs, coins) = self.available(keysets).await?;
        let fees = if options.pay_receiver_fee { Fees::Included } else { Fees::Excluded };
        let memo = options.memo.clone();
        let exact = if options.lock.is_some() { None } else { select::exact(&coins, amount.to_u64(), fees) };
        if let Some(chosen) = exact {
            let token_value = value_of(&proofs, &chosen)?;
            let prepared = SendPrepared { amount, token_value, fee: Amount::ZERO, swap: false, memo, lock: None };
            return Ok((prepared, ys_of(&proofs, &chosen)));
        }
        if options.offline {
            return Err(Error::NoExactMatch);
        }
        let token_value = self.token_value(keysets, amount, options.pay_receiver_fee)?;
        let chosen = self.cover(&coins, token_value)?;
        let inputs: Vec<Proof> = chosen.iter().map(|index| proofs[*index].proof.clone()).collect();
        let fee = input_fee(keysets, &inputs)?;
        let prepared = SendPrepared { amount, token_value, fee, swap: true, memo, lock: options.lock.clone() };
        Ok((prepared, ys_of(&proofs, &chosen)))
    }

    /// What a token of fresh proofs must hold for `amount` to arrive.
    pub(crate) fn token_value(
        &self,
        keysets: &Keysets,
        amount: Amount,
        pay_receiver_fee: bool,
    ) -> Result<Amount, Error> {
        let keyset = self.keyset_for_outputs(keysets)?;
        let denominations = keyset.keys.amounts();
        let mut value = amount;
        // The fee grows with the number of proofs, and that with the value: a few rounds settle it.
        for _ in 0..16 {
            let parts = value.split(&denominations)?;
            let fee = hazel_protocol::input_fee(parts.iter().map(|_| keyset.input_fee_ppk))?;
            let wanted = if pay_receiver_fee { amount.checked_add(fee)? } else { amount };
            if wanted <= value {
                return Ok(value);
            }
            value = wanted;
        }
        Ok(value)
    }

    /// Proofs that are worth `needed` after the mint's fee.
    pub(crate) fn cover(&self, coins: &[Coin], needed: Amount) -> Result<Vec<usize>, Error> {
        select::cover(coins, needed.to_u64()).or_else(|shortage| match shortage {
            Shortage::TooMany => Err(Error::TooManyProofs),
            Shortage::TooLittle => {
                let available = Amount::checked_sum(coins.iter().map(|coin| Amount::from_u64(coin.amount)))?;
                Err(Error::InsufficientFunds { needed, available, unit: self.inner.unit.clone() })
            }
        })
    }

    /// Waits until all of a token was claimed, asking every few seconds and whenever the mint speaks up (NUT-17). `waiting` is called before each
    /// wait.
    ///
    /// # Errors
    /// [`Error::OperationUnknown`] when there is no such send; [`Error::HostileMint`]. An answer that does not come is waited for.
    pub async fn wait_claimed(&self, operation: OperationId, waiting: &mut (dyn FnMut() + Send)) -> Result<(), Error> {
        self.token_of(operation).await?;
        let mut wait = None;
        loop {
            match self.check_sent().await {
                Ok(_) | Err(Error::Unreachable(_) | Error::Ambiguous { .. }) => {}
                Err(error) => return Err(error),
            }
            let left = self.inner.store.sent_by(operation).await?;
            let left = left.into_iter().filter(|proof| proof.status != ProofStatus::Spent);
            let left: Vec<PointBytes> = left.map(|proof| proof.y).collect();
            if left.is_empty() {
                return Ok(());
            }
            waiting();
            wait.get_or_insert_with(|| Waiting::new(self, Awaited::Proofs(left))).pause().await;
        }
    }

    /// The token of a completed send, as long as its proofs are in the store: to show it again after a crash.
    ///
    /// # Errors
    /// [`Error::OperationUnknown`] when there is no such send.
    pub async fn token_of(&self, operation: OperationId) -> Result<SentToken, Error> {
        let row = self.inner.store.operation(operation).await?.ok_or(Error::OperationUnknown)?;
        let State::SendCompleted(SendCompleted { token_value, memo }) = row.state else {
            return Err(Error::OperationUnknown);
        };
        let proofs = self.inner.store.sent_by(operation).await?;
        let mut proofs: Vec<Proof> = proofs.into_iter().map(|proof| proof.proof).collect();
        proofs.sort_by_key(|proof| (proof.id, proof.amount));
        let token = TokenV4::new(row.mint, row.unit, memo, &proofs)?;
        Ok(SentToken { operation, token: Token::V4(token), token_value, fee: Amount::ZERO })
    }
}

pub(crate) fn value_of(proofs: &[ProofRecord], chosen: &[usize]) -> Result<Amount, Error> {
    Ok(Amount::checked_sum(chosen.iter().map(|index| proofs[*index].proof.amount))?)
}

pub(crate) fn ys_of(proofs: &[ProofRecord], chosen: &[usize]) -> Vec<PointBytes> {
    chosen.iter().map(|index| proofs[*index].y).collect()
}

impl PreparedSend {
    /// The operation.
    pub fn operation(&self) -> OperationId {
        self.saga.id
    }

    /// What was asked for, in the minor unit.
    pub fn amount(&self) -> Amount {
        self.saga.state.amount
    }

    /// What the token will hold: the amount, and the receiver's fee if the sender pays it. In the minor unit.
    pub fn token_value(&self) -> Amount {
        self.saga.state.token_value
    }

    /// What the mint takes to make the token, in the minor unit; zero when the wallet has fitting proofs.
    pub fn fee(&self) -> Amount {
        self.saga.state.fee
    }

    /// Whether the mint is needed to make the token.
    pub fn needs_swap(&self) -> bool {
        self.saga.state.swap
    }

    /// Makes the token.
    ///
    /// # Errors
    /// [`Error::Ambiguous`]: [`Wallet::resume`] goes on with it, and then the token can be had. After
    /// [`Error::Refused`], [`Error::Unreachable`] and [`Error::Stale`] the money is free again.
    pub async fn confirm(self) -> Result<SentToken, Error> {
        let wallet = self.saga.wallet.clone();
        let operation = self.saga.id;
        let mut fee = Amount::ZERO;
        if self.saga.state.swap {
            fee = self.saga.request().await?.exchange(true).await?.done().await?.fee;
        } else {
            self.saga.complete().await?;
        }
        Ok(SentToken { fee, ..wallet.token_of(operation).await? })
    }

    /// Gives up the token; its proofs are free again.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn cancel(self) -> Result<(), Error> {
        self.saga.release(Cancelled { kind: OperationKind::Send }).await
    }
}

impl Saga<SendPrepared> {
    /// Hands out the proofs that are held, as they are.
    async fn complete(self) -> Result<(), Error> {
        let send = self.held().await?;
        let SendPrepared { token_value, memo, .. } = self.state.clone();
        let history = HistoryEntry {
            operation: self.id,
            mint: self.wallet.inner.mint.clone(),
            unit: self.wallet.inner.unit.clone(),
            kind: OperationKind::Send,
            amount: token_value,
            fee: Amount::ZERO,
            at: self.wallet.now(),
            memo: memo.clone(),
            invoice: None,
            preimage: None,
        };
        let end = SendCompleted { token_value, memo };
        self.settle(end, Moves { send, ..Moves::default() }, Some(history)).await
    }

    /// Writes down the swap that makes the token. When that fails the proofs are free again.
    async fn request(mut self) -> Result<Saga<SendRequested>, Error> {
        match self.try_request().await {
            Ok(requested) => Ok(self.with(requested)),
            Err(error) => {
                self.release(Cancelled { kind: OperationKind::Send }).await?;
                Err(error)
            }
        }
    }

    async fn try_request(&mut self) -> Result<SendRequested, Error> {
        let keysets = self.wallet.refreshed_keysets().await?;
        let held = self.wallet.inner.store.held_by(self.id).await?;
        let inputs: Vec<Proof> = held.into_iter().map(|proof| proof.proof).collect();
        for _ in 0..crate::exchange::MAX_OVERTAKEN {
            let SendPrepared { token_value: amount, lock, .. } = &self.state;
            let aside = Aside { amount: *amount, purpose: Purpose::Send, lock: lock.as_ref() };
            let (exchange, counters) = self.wallet.plan_exchange(&keysets, &inputs, aside).await?;
            let next = SendRequested { prepared: self.state.clone(), exchange };
            match self.advance(&next, Moves::default(), vec![counters]).await {
                Ok(()) => return Ok(next),
                Err(error) if was_overtaken(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Stale)
    }
}
