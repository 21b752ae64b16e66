//! Swaps: the heart of send, receive and swap (NUT-03).
//!
//! The loop is the same for all of them: send the request; when the answer is final, settle; when it is not, send the same
//! bytes again; when it is a refusal, gather evidence and do what [`evidence::judge`] says.

use std::future::Future;

use hazel_protocol::{
    Amount, BlindedMessage, BoundedVec, ErrorCode, Inputs, KeysetWithKeys, PointBytes, Proof, ProofState, SwapRequest,
};

use crate::error::Error;
use crate::evidence::{self, Evidence, Signed, Verdict};
use crate::keysets::Keysets;
use crate::lock::LockTerms;
use crate::outputs;
use crate::ports::{
    ApplyError, CounterStep, HistoryEntry, Moves, OperationId, OperationKind, ProofRecord, ProofStatus,
};
use crate::saga::Saga;
use crate::state::{
    Dispatch, Exchange, MeltReplaced, PlannedOutput, Purpose, ReceiveAbandoned, ReceiveCompleted, ReceiveRequested,
    Refused, SendCompleted, SendRequested, State, SwapCompleted, SwapRequested,
};
use crate::verify;
use crate::wallet::{Answer, RESTORE_BATCH, Wallet, was_overtaken};

/// How often one call makes a request anew with fresh outputs.
const MAX_REBUILDS: u32 = 1;

/// Most former requests whose outputs are watched. With so many the last one is sent again and no new one made. A count.
pub(crate) const MAX_SUPERSEDED: usize = 32;

/// How often a step is tried anew because somebody else moved a counter or took a proof.
pub(crate) const MAX_OVERTAKEN: u32 = 8;

/// Most batches that are looked through for outputs that another device used.
const MAX_CATCH_UP: usize = 1000;

/// A state that waits for the answer to a swap.
pub(crate) trait Exchanging: Clone + Into<State> + Send + Sync {
    const KIND: OperationKind;
    fn exchange(&self) -> &Exchange;
    fn exchange_mut(&mut self) -> &mut Exchange;
    /// The state after the swap, and kind and amount for the history; `kept` is what stays in the wallet.
    fn completed(&self, kept: Amount) -> (State, OperationKind, Amount);
    fn memo(&self) -> Option<String>;
    /// Whether the inputs are free when no copy of the swap can be applied. Not so when something else may spend them.
    fn may_release(&self) -> bool {
        true
    }
}

impl Exchanging for MeltReplaced {
    const KIND: OperationKind = OperationKind::Melt;
    fn exchange(&self) -> &Exchange {
        &self.exchange
    }
    fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }
    fn completed(&self, kept: Amount) -> (State, OperationKind, Amount) {
        let end = Refused { kind: OperationKind::Melt, code: self.requested.dispatch.refused };
        (end.into(), OperationKind::Swap, kept)
    }
    fn memo(&self) -> Option<String> {
        None
    }
    fn may_release(&self) -> bool {
        false
    }
}

impl Exchanging for SendRequested {
    const KIND: OperationKind = OperationKind::Send;
    fn exchange(&self) -> &Exchange {
        &self.exchange
    }
    fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }
    fn completed(&self, _kept: Amount) -> (State, OperationKind, Amount) {
        let token_value = self.prepared.token_value;
        (SendCompleted { token_value, memo: self.memo() }.into(), Self::KIND, token_value)
    }
    fn memo(&self) -> Option<String> {
        self.prepared.memo.clone()
    }
}

impl Exchanging for ReceiveRequested {
    const KIND: OperationKind = OperationKind::Receive;
    fn exchange(&self) -> &Exchange {
        &self.exchange
    }
    fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }
    fn completed(&self, kept: Amount) -> (State, OperationKind, Amount) {
        (ReceiveCompleted { amount: kept }.into(), Self::KIND, kept)
    }
    fn memo(&self) -> Option<String> {
        self.memo.clone()
    }
}

impl Exchanging for SwapRequested {
    const KIND: OperationKind = OperationKind::Swap;
    fn exchange(&self) -> &Exchange {
        &self.exchange
    }
    fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }
    fn completed(&self, kept: Amount) -> (State, OperationKind, Amount) {
        (SwapCompleted { amount: kept }.into(), Self::KIND, kept)
    }
    fn memo(&self) -> Option<String> {
        None
    }
}

/// How a swap ended.
#[derive(Debug)]
pub(crate) enum Outcome<S> {
    /// It was applied.
    Done(Exchanged),
    /// Somebody else spent inputs of it.
    Lost(Lost<S>),
}

/// A swap of which somebody else spent inputs.
#[derive(Debug)]
pub(crate) struct Lost<S> {
    pub(crate) saga: Saga<S>,
    pub(crate) spent: Vec<PointBytes>,
    pub(crate) code: u16,
    detail: String,
}

/// What a swap brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exchanged {
    pub(crate) operation: OperationId,
    /// What stays in the wallet.
    pub(crate) kept: Amount,
    pub(crate) fee: Amount,
}

impl Wallet {
    /// A swap of some proofs: `aside` in proofs of their own for a purpose, what the fee leaves for the wallet. Reads the
    /// counter, takes nothing.
    pub(crate) async fn plan_exchange(
        &self,
        keysets: &Keysets,
        inputs: &[Proof],
        aside: Aside<'_>,
    ) -> Result<(Exchange, CounterStep), Error> {
        let keyset = self.keyset_for_outputs(keysets)?;
        let fee = input_fee(keysets, inputs)?;
        let sum = Amount::checked_sum(inputs.iter().map(|proof| proof.amount))?;
        let keep = sum.checked_sub(fee)?.checked_sub(aside.amount)?;
        let from = self.next_counter(keyset.id).await?;
        let outputs = outputs::plan(keyset, from, &[(keep, Purpose::Keep), (aside.amount, aside.purpose)])?;
        let messages = self.messages(&outputs, aside.lock)?;
        let ephemeral = ephemeral_keys(inputs);
        let inputs = for_the_mint(&self.open_locks(inputs, &messages)?)?;
        let request = SwapRequest { inputs, outputs: messages };
        let counters = take(keyset, from, &outputs);
        let lock = aside.lock.cloned();
        let exchange =
            Exchange { request, outputs, lock, ephemeral, fee, dispatch: Dispatch::FIRST, superseded: Vec::new() };
        Ok((exchange, counters))
    }

    /// Outputs from `first` on that another device with the same seed got signed: steps that claim their proofs and move
    /// the counter past them.
    pub(crate) async fn used_elsewhere(
        &self,
        keysets: &Keysets,
        first: &PlannedOutput,
        own: &[PlannedOutput],
    ) -> Result<Vec<(Moves, CounterStep)>, Error> {
        let mut steps = Vec::new();
        let Some(keyset) = keysets.get(&first.keyset) else { return Ok(steps) };
        let mut from = first.counter;
        while steps.len() < MAX_CATCH_UP {
            let planned = outputs::plan_scan(keyset, from, RESTORE_BATCH);
            let found = self.find(keysets, &planned, own).await?;
            let Some(next) = found.next else { break };
            let moves = Moves { add: found.unspent, ..Moves::default() };
            steps.push((moves, CounterStep::AtLeast { keyset: keyset.id, next }));
            from = next;
        }
        Ok(steps)
    }

    /// The blinded messages of some outputs.
    pub(crate) fn messages(
        &self,
        planned: &[PlannedOutput],
        lock: Option<&LockTerms>,
    ) -> Result<hazel_protocol::Outputs, Error> {
        let messages: Vec<BlindedMessage> = self.derive(planned, lock)?.iter().map(outputs::Derived::message).collect();
        BoundedVec::try_from(messages).map_err(|_| Error::TooManyProofs)
    }
}

/// What a swap makes apart from what stays in the wallet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aside<'a> {
    /// How much, in the minor unit.
    pub(crate) amount: Amount,
    /// What it is for.
    pub(crate) purpose: Purpose,
    /// Who may spend it.
    pub(crate) lock: Option<&'a LockTerms>,
}

/// Nothing apart from what stays in the wallet.
pub(crate) const NOTHING_ASIDE: Aside<'_> = Aside { amount: Amount::ZERO, purpose: Purpose::Keep, lock: None };

/// What the mint takes for spending these proofs together (NUT-02).
pub(crate) fn input_fee(keysets: &Keysets, proofs: &[Proof]) -> Result<Amount, Error> {
    let fee = keysets.input_fee(proofs).ok_or(Error::Bug("a proof of an unknown keyset was selected"))?;
    Ok(fee?)
}

/// Inputs as a mint may see them.
pub(crate) fn for_the_mint(proofs: &[Proof]) -> Result<Inputs, Error> {
    let stripped: Vec<Proof> = proofs.iter().cloned().map(Proof::for_the_mint).collect();
    BoundedVec::try_from(stripped).map_err(|_| Error::TooManyProofs)
}

/// What inputs with blinded locks carry beside what the mint may see; nothing when there are none.
fn ephemeral_keys(inputs: &[Proof]) -> Vec<Option<PointBytes>> {
    if inputs.iter().all(|input| input.p2pk_e.is_none()) {
        return Vec::new();
    }
    inputs.iter().map(|input| input.p2pk_e).collect()
}

/// Takes the counters of some outputs.
pub(crate) fn take(keyset: &KeysetWithKeys, from: u64, outputs: &[PlannedOutput]) -> CounterStep {
    let count = u64::try_from(outputs.len()).unwrap_or(u64::MAX);
    CounterStep::Take { keyset: keyset.id, from, count }
}

/// Makes a step, anew while somebody else is faster.
pub(crate) async fn until_not_overtaken<T, F, Fut>(mut step: F) -> Result<T, Error>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Result<T, ApplyError>, Error>>,
{
    let mut tries = 1;
    loop {
        match step().await? {
            Ok(done) => return Ok(done),
            Err(error) if was_overtaken(&error) && tries < MAX_OVERTAKEN => tries += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

impl<S: Exchanging> Saga<S> {
    /// Drives a swap to its end, or to where only waiting helps. `fresh` says that the first copy, which is already counted,
    /// has not left yet.
    pub(crate) async fn exchange(mut self, fresh: bool) -> Result<Outcome<S>, Error> {
        let mut copy_is_counted = fresh;
        let mut copies = 0;
        let mut rebuilds = 0;
        loop {
            if !copy_is_counted {
                self.count_copy().await?;
            }
            copy_is_counted = false;
            copies += 1;
            let request = &self.state.exchange().request;
            match Answer::from(self.wallet.inner.connector.swap(request).await) {
                Answer::Final(answer) => return self.settle_with(&answer.signatures).await.map(Outcome::Done),
                Answer::Refused { code, detail } => {
                    self.note_refusal(code).await?;
                    match self.judge().await? {
                        Judged::Settle(outputs, proofs) => {
                            return self.settle_proofs(&outputs, proofs).await.map(Outcome::Done);
                        }
                        Judged::Repeat if self.is_worthless(code).await? => {
                            let outputs = self.state.clone().into().outputs().into_iter().copied().collect();
                            self.release(ReceiveAbandoned { code, outputs }).await?;
                            return Err(Error::Refused { code, detail });
                        }
                        Judged::Wait | Judged::Repeat => return Err(self.ambiguous(detail)),
                        Judged::Release => return Err(self.refuse(S::KIND, code, detail).await?),
                        Judged::Lost(spent) => return Ok(Outcome::Lost(Lost { saga: self, spent, code, detail })),
                        Judged::Rebuild { .. } if rebuilds >= MAX_REBUILDS => return Err(self.ambiguous(detail)),
                        Judged::Rebuild { former_is_dead: false } if self.is_full() => {
                            return Err(self.ambiguous(detail));
                        }
                        Judged::Rebuild { former_is_dead } => {
                            rebuilds += 1;
                            self.rebuild(former_is_dead).await?;
                            copy_is_counted = true;
                        }
                    }
                }
                Answer::NotSent(reason) if self.never_left() => {
                    self.release(Refused { kind: S::KIND, code: None }).await?;
                    return Err(Error::Unreachable(reason));
                }
                Answer::NotSent(reason) => return Err(self.ambiguous(reason)),
                Answer::Ambiguous(reason) if copies >= self.wallet.inner.policy.copies_per_call => {
                    return Err(self.ambiguous(reason));
                }
                Answer::Ambiguous(_) => self.wallet.sleep(u64::from(copies)).await,
            }
        }
    }

    /// Whether the copy that could not be sent was the only one there ever was.
    fn never_left(&self) -> bool {
        let exchange = self.state.exchange();
        exchange.dispatch.copies == 1 && exchange.superseded.is_empty() && self.state.may_release()
    }

    /// Whether the refusal says that somebody else's proofs are not of the mint, and nothing of the wallet's own is held.
    async fn is_worthless(&self, code: u16) -> Result<bool, Error> {
        let forged = evidence::is(Some(code), ErrorCode::ProofVerificationFailed);
        Ok(S::KIND == OperationKind::Receive && forged && self.held().await?.is_empty())
    }

    /// Whether as many former requests are watched as may be.
    fn is_full(&self) -> bool {
        self.state.exchange().superseded.len() >= MAX_SUPERSEDED
    }

    async fn count_copy(&mut self) -> Result<(), Error> {
        let mut next = self.state.clone();
        next.exchange_mut().dispatch = next.exchange().dispatch.again();
        self.to(next, Moves::default(), Vec::new()).await?;
        Ok(())
    }

    async fn note_refusal(&mut self, code: u16) -> Result<(), Error> {
        let mut next = self.state.clone();
        next.exchange_mut().dispatch.refused = Some(code);
        self.to(next, Moves::default(), Vec::new()).await?;
        Ok(())
    }

    async fn settle_with(self, signatures: &[hazel_protocol::BlindSignature]) -> Result<Exchanged, Error> {
        let keysets = self.wallet.known_keysets().await?;
        let outputs = self.state.exchange().outputs.clone();
        let derived = self.wallet.derive(&outputs, self.state.exchange().lock.as_ref())?;
        let proofs = verify::signatures(&keysets, &derived, signatures, self.wallet.inner.policy.mint_dleq)
            .map_err(|violation| Error::from(violation).of(self.id))?;
        self.settle_proofs(&outputs, proofs).await
    }

    async fn settle_proofs(self, outputs: &[PlannedOutput], proofs: Vec<Proof>) -> Result<Exchanged, Error> {
        let kept = outputs.iter().filter(|output| output.purpose != Purpose::Send).map(|output| output.amount);
        let kept = Amount::checked_sum(kept)?;
        let held = self.held().await?;
        let mut add: Vec<ProofRecord> =
            outputs.iter().zip(proofs).map(|(output, proof)| self.new_proof(output, proof)).collect();
        add.extend(self.foreign_inputs(&held));
        let exchange = self.state.exchange();
        let (end, kind, amount) = self.state.completed(kept);
        let history = HistoryEntry {
            operation: self.id,
            mint: self.wallet.inner.mint.clone(),
            unit: self.wallet.inner.unit.clone(),
            kind,
            amount,
            fee: exchange.fee,
            at: self.wallet.now(),
            memo: self.state.memo(),
            invoice: None,
            preimage: None,
        };
        let exchanged = Exchanged { operation: self.id, kept, fee: exchange.fee };
        self.settle(end, Moves { spend: held, add, ..Moves::default() }, Some(history)).await?;
        Ok(exchanged)
    }

    fn new_proof(&self, output: &PlannedOutput, proof: Proof) -> ProofRecord {
        match output.purpose {
            Purpose::Send => {
                let record = self.wallet.new_proof(proof, output, ProofStatus::Sent);
                ProofRecord { sent_by: Some(self.id), ..record }
            }
            Purpose::Keep | Purpose::Blank => self.wallet.new_proof(proof, output, ProofStatus::Available),
        }
    }

    /// Somebody else's proofs that are spent now, so that the same token is known when it comes again.
    fn foreign_inputs(&self, held: &[PointBytes]) -> Vec<ProofRecord> {
        let inputs = self.state.exchange().request.inputs.iter();
        let records = inputs.map(|proof| ProofRecord {
            y: PointBytes::from(&proof.y()),
            mint: self.wallet.inner.mint.clone(),
            unit: self.wallet.inner.unit.clone(),
            proof: proof.clone(),
            status: ProofStatus::Spent,
            held_by: None,
            sent_by: None,
            origin: None,
        });
        records.filter(|record| !held.contains(&record.y)).collect()
    }

    fn input_ys(&self) -> Vec<PointBytes> {
        self.state.exchange().request.inputs.iter().map(|proof| PointBytes::from(&proof.y())).collect()
    }

    /// Asks the mint what became of inputs and outputs, and decides.
    async fn judge(&self) -> Result<Judged, Error> {
        self.gather().await.map_err(|error| self.in_doubt(error))
    }

    async fn gather(&self) -> Result<Judged, Error> {
        let keysets = self.wallet.known_keysets().await?;
        let exchange = self.state.exchange();
        let ys = self.input_ys();
        let mut inputs = self.wallet.states(&ys).await?;
        let mut requests = Vec::new();
        for outputs in std::iter::once(&exchange.outputs).chain(&exchange.superseded) {
            requests.push((outputs, self.wallet.restore_outputs(&keysets, outputs, exchange.lock.as_ref()).await?));
        }
        let any_signed = requests.iter().any(|(_, proofs)| proofs.iter().any(Option::is_some));
        if any_signed && inputs.contains(&ProofState::Unspent) {
            // A request may have been applied between the two questions.
            inputs = self.wallet.states(&ys).await?;
        }
        let evidence = Evidence {
            outputs: requests.iter().map(|(_, proofs)| count(proofs)).collect(),
            inputs,
            code: exchange.dispatch.refused,
            finally_refused: exchange.dispatch.finally_refused()
                && exchange.superseded.is_empty()
                && self.state.may_release(),
        };
        Ok(match evidence::judge(&evidence) {
            Verdict::Settle(index) => {
                let (outputs, proofs) = requests.swap_remove(index);
                Judged::Settle(outputs.clone(), as_asked(outputs, proofs)?)
            }
            Verdict::Wait => Judged::Wait,
            Verdict::Repeat => Judged::Repeat,
            Verdict::Release => Judged::Release,
            Verdict::Rebuild { former_is_dead } => Judged::Rebuild { former_is_dead },
            Verdict::Lost => {
                let spent = ys.into_iter().zip(evidence.inputs);
                Judged::Lost(spent.filter(|(_, state)| *state == ProofState::Spent).map(|(y, _)| y).collect())
            }
        })
    }

    /// Makes the request anew with fresh outputs, of the keyset that is active now.
    async fn rebuild(&mut self, former_is_dead: bool) -> Result<(), Error> {
        let keysets = self.wallet.refreshed_keysets().await.map_err(|error| self.in_doubt(error))?;
        self.catch_up(&keysets).await?;
        let send = self.state.exchange().outputs.iter().filter(|output| output.purpose == Purpose::Send);
        let send = Amount::checked_sum(send.map(|output| output.amount))?;
        for _ in 0..MAX_OVERTAKEN {
            let former = self.state.exchange();
            let inputs = former.inputs();
            let aside = Aside { amount: send, purpose: Purpose::Send, lock: former.lock.as_ref() };
            let planned = self.wallet.plan_exchange(&keysets, &inputs, aside).await;
            let (mut exchange, counters) = planned.map_err(|error| self.in_doubt(error))?;
            let former = self.state.exchange();
            exchange.superseded.clone_from(&former.superseded);
            if !former_is_dead {
                exchange.superseded.push(former.outputs.clone());
            }
            let mut next = self.state.clone();
            *next.exchange_mut() = exchange;
            match self.to(next, Moves::default(), vec![counters]).await {
                Err(error) if was_overtaken(&error) => {}
                other => return Ok(other?),
            }
        }
        Err(self.ambiguous("another operation keeps taking the same counters"))
    }

    async fn catch_up(&mut self, keysets: &Keysets) -> Result<(), Error> {
        let wallet = self.wallet.clone();
        let own = self.state.exchange().outputs.clone();
        let Some(first) = own.first() else { return Ok(()) };
        let steps = wallet.used_elsewhere(keysets, first, &own).await.map_err(|error| self.in_doubt(error))?;
        for (moves, counter) in steps {
            self.to(self.state.clone(), moves, vec![counter]).await?;
        }
        Ok(())
    }
}

impl<S: Exchanging> Outcome<S> {
    /// What the swap brought; when inputs are lost, the operation ends here.
    pub(crate) async fn done(self) -> Result<Exchanged, Error> {
        match self {
            Self::Done(exchanged) => Ok(exchanged),
            Self::Lost(lost) => Err(lost.give_up().await?),
        }
    }
}

impl<S: Exchanging> Lost<S> {
    /// Ends the operation: what was spent is gone, the rest is free.
    pub(crate) async fn give_up(self) -> Result<Error, Error> {
        let Self { saga, spent: lost, code, detail } = self;
        let held = saga.wallet.inner.store.held_by(saga.id).await?;
        let (spent, free): (Vec<_>, Vec<_>) = held.into_iter().partition(|proof| lost.contains(&proof.y));
        // What had been handed out in a token was claimed, which is no loss.
        let own = spent.iter().filter(|proof| proof.sent_by.is_none()).map(|proof| proof.proof.amount);
        let own = Amount::checked_sum(own)?;
        let ys = |proofs: Vec<ProofRecord>| proofs.into_iter().map(|proof| proof.y).collect();
        let moves = Moves { spend: ys(spent), release: ys(free), ..Moves::default() };
        saga.settle(Refused { kind: S::KIND, code: Some(code) }, moves, None).await?;
        Ok(if own.is_zero() { Error::Refused { code, detail } } else { Error::SpentElsewhere(own) })
    }
}

enum Judged {
    Settle(Vec<PlannedOutput>, Vec<Proof>),
    Wait,
    Repeat,
    Release,
    Rebuild { former_is_dead: bool },
    Lost(Vec<PointBytes>),
}

fn count(proofs: &[Option<Proof>]) -> Signed {
    Signed { total: proofs.len(), signed: proofs.iter().flatten().count() }
}

/// All proofs of a request that was applied; each must be of the amount that was asked for.
fn as_asked(outputs: &[PlannedOutput], proofs: Vec<Option<Proof>>) -> Result<Vec<Proof>, Error> {
    let proofs: Vec<Proof> = proofs.into_iter().flatten().collect();
    let as_asked = outputs.len() == proofs.len()
        && outputs.iter().zip(&proofs).all(|(output, proof)| output.amount == proof.amount);
    if as_asked { Ok(proofs) } else { Err(crate::error::Violation::SignatureTerms.into()) }
}
