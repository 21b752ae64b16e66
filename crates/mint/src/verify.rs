//! Semantic validity: what a request must satisfy whatever the ledger says. Pure functions, one rule each.
//!
//! The rules run in one order, cheapest first, inputs before outputs, and no curve arithmetic happens before all others have passed:
//!
//! 1. something is there, and not too much of it
//! 2. every keyset is known and in the right state (12001, 12003, 12002), all of one unit (11009)
//! 3. no blinded message twice (11008)
//! 4. every amount has a key (10001, 11006)
//! 5. the same unit on both sides (11010), inputs equal outputs plus fee (11005)
//! 6. spending conditions, as far as they cost nothing (10001)
//! 7. the blinded messages are points on the curve
//! 8. no secret twice (11007), spending conditions are met (10001), the mint's signatures are good (10001)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hazel_protocol::conditions::{Plan, Spend};
use hazel_protocol::crypto::hash_to_curve;
use hazel_protocol::{
    Amount, BlindedMessage, CurrencyUnit, ErrorCode, KeysetId, PointBytes, Proof, PublicKey, QuoteId, input_fee,
};

use crate::config::Limits;
use crate::error::{Group, MintError};
use crate::keyring::Keyring;
use crate::ports::{Claim, Environment, InputRow, KeysetRecord, OutputRow, Signer, Timestamp, ToSign, compute};

/// What the rules are checked against.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The keysets.
    pub keyring: Arc<Keyring>,
    /// The limits.
    pub limits: Limits,
    /// The time.
    pub now: Timestamp,
}

/// Inputs that satisfy every rule about inputs alone but their spending conditions and the mint's signature.
#[derive(Debug)]
pub struct CheckedInputs {
    proofs: Vec<Proof>,
    /// Their common unit.
    pub unit: CurrencyUnit,
    /// Their sum.
    pub sum: Amount,
    /// The NUT-02 fee for spending them.
    pub fee: Amount,
}

/// Inputs of one request whose spending conditions hold as far as that can be told without the curve.
#[derive(Debug)]
pub struct UnlockedInputs {
    checked: CheckedInputs,
    plan: Plan,
}

/// Outputs that satisfy every rule about outputs alone but that their points are on the curve.
#[derive(Debug)]
pub struct CheckedOutputs {
    messages: Vec<BlindedMessage>,
    /// Their common unit.
    pub unit: CurrencyUnit,
    /// Their sum.
    pub sum: Amount,
}

/// Inputs whose mint signatures are good.
#[derive(Debug)]
pub struct VerifiedInputs {
    /// The rows to take into custody.
    pub rows: Vec<InputRow>,
    /// Their common unit.
    pub unit: CurrencyUnit,
    /// Their sum.
    pub sum: Amount,
    /// The NUT-02 fee for spending them.
    pub fee: Amount,
}

/// Outputs that can be signed.
#[derive(Debug, Clone)]
pub struct VerifiedOutputs {
    /// What to sign; parsed once, here.
    pub to_sign: Vec<ToSign>,
    /// Their common unit.
    pub unit: CurrencyUnit,
    /// Their sum.
    pub sum: Amount,
}

impl VerifiedOutputs {
    /// The rows to reserve.
    pub fn rows(&self) -> Vec<OutputRow> {
        self.to_sign.iter().map(output_row).collect()
    }
}

/// A swap that may be tried: everything but the ledger has agreed.
#[derive(Debug)]
pub struct VerifiedSwap {
    /// What is spent.
    pub inputs: Vec<InputRow>,
    /// What is signed.
    pub outputs: VerifiedOutputs,
    /// The fee by keyset.
    pub fees: Vec<(KeysetId, Amount)>,
}

/// The row of an output that is to be signed.
pub fn output_row(output: &ToSign) -> OutputRow {
    OutputRow { b: PointBytes::from(&output.b), keyset: output.keyset, amount: output.amount }
}

impl Rules {
    /// Rules 1 to 4 for the inputs of a swap or melt.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check_inputs(&self, proofs: Vec<Proof>) -> Result<CheckedInputs, MintError> {
        if proofs.is_empty() {
            return Err(MintError::invalid(Group::Transaction, "the request has no inputs"));
        }
        if proofs.len() > self.limits.max_inputs {
            return Err(MintError::refused(ErrorCode::MaxInputsExceeded));
        }
        let mut unit = None;
        let mut fees_ppk = Vec::with_capacity(proofs.len());
        for proof in &proofs {
            let keyset = self.keyring.spendable(&proof.id, self.now)?;
            one_unit(&mut unit, keyset)?;
            fees_ppk.push(keyset.input_fee_ppk);
            refuse_without_key(keyset, proof.amount, ErrorCode::ProofVerificationFailed)?;
        }
        let sum = sum(proofs.iter().map(|proof| proof.amount))?;
        let fee = input_fee(fees_ppk).map_err(|_| MintError::refused(ErrorCode::TransactionNotBalanced))?;
        let unit = unit.ok_or_else(|| MintError::Bug("inputs without a unit".to_owned()))?;
        Ok(CheckedInputs { proofs, unit, sum, fee })
    }

    /// Rules 1 to 4 for outputs that carry amounts.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check_outputs(&self, messages: Vec<BlindedMessage>) -> Result<CheckedOutputs, MintError> {
        if messages.is_empty() {
            return Err(MintError::invalid(Group::Transaction, "the request has no outputs"));
        }
        let unit = self.check_blanks(&messages)?;
        for message in &messages {
            let keyset = self.keyring.known(&message.id)?;
            refuse_without_key(keyset, message.amount, ErrorCode::AmountOutsideLimit)?;
        }
        let sum = sum(messages.iter().map(|message| message.amount))?;
        let unit = unit.ok_or_else(|| MintError::Bug("outputs without a unit".to_owned()))?;
        Ok(CheckedOutputs { messages, unit, sum })
    }

    /// The rules for outputs whose amounts do not count (NUT-08 blanks). No outputs, no unit.
    ///
    /// # Errors
    /// The rule that is broken.
    pub fn check_blanks(&self, messages: &[BlindedMessage]) -> Result<Option<CurrencyUnit>, MintError> {
        if messages.len() > self.limits.max_outputs {
            return Err(MintError::refused(ErrorCode::MaxOutputsExceeded));
        }
        let mut unit = None;
        for message in messages {
            one_unit(&mut unit, self.keyring.signing(&message.id, self.now)?)?;
        }
        let distinct: BTreeSet<_> = messages.iter().map(|message| message.b).collect();
        if distinct.len() != messages.len() {
            return Err(MintError::refused(ErrorCode::DuplicateOutputs));
        }
        Ok(unit)
    }
}

/// NUT-03: rule 5 and both sides' units.
///
/// # Errors
/// 11010, 11005.
pub fn check_balance(inputs: &CheckedInputs, outputs: &CheckedOutputs) -> Result<(), MintError> {
    if inputs.unit != outputs.unit {
        return Err(MintError::refused(ErrorCode::UnitMismatch));
    }
    let needed =
        outputs.sum.checked_add(inputs.fee).map_err(|_| MintError::refused(ErrorCode::TransactionNotBalanced))?;
    if needed == inputs.sum {
        return Ok(());
    }
    Err(MintError::refused_because(
        ErrorCode::TransactionNotBalanced,
        format!("inputs of {} do not equal outputs of {} plus a fee of {}", inputs.sum, outputs.sum, inputs.fee),
    ))
}

impl CheckedInputs {
    /// Rule 6: the spending conditions of the inputs (NUT-10), in the request that has these outputs and pays this quote.
    ///
    /// # Errors
    /// 10001, with what is missing.
    pub fn unlock(
        self,
        outputs: &[BlindedMessage],
        quote: Option<&QuoteId>,
        now: Timestamp,
    ) -> Result<UnlockedInputs, MintError> {
        let plan = Spend { inputs: &self.proofs, outputs, quote, now: now.to_unix() }.plan()?;
        Ok(UnlockedInputs { checked: self, plan })
    }
}

impl UnlockedInputs {
    /// Rule 8: no secret twice, every lock opened, every signature good.
    ///
    /// # Errors
    /// 11007, 10001.
    pub async fn verify(self, signer: &dyn Signer, environment: &dyn Environment) -> Result<VerifiedInputs, MintError> {
        let Self { checked: CheckedInputs { proofs, unit, sum, fee }, plan } = self;
        let (claims, rows) = compute(environment, move || claims_of(proofs)).await??;
        if !plan.is_empty() {
            compute(environment, move || plan.verify()).await??;
        }
        if signer.verify(claims).await?.contains(&false) {
            return Err(MintError::refused(ErrorCode::ProofVerificationFailed));
        }
        Ok(VerifiedInputs { rows, unit, sum, fee })
    }
}

impl CheckedOutputs {
    /// The blinded messages, in the order of the request.
    pub fn messages(&self) -> &[BlindedMessage] {
        &self.messages
    }

    /// Rule 7: the points are on the curve.
    ///
    /// # Errors
    /// A malformed request.
    pub async fn verify(self, environment: &dyn Environment) -> Result<VerifiedOutputs, MintError> {
        let Self { messages, unit, sum } = self;
        let to_sign = compute(environment, move || points_of(messages)).await??;
        Ok(VerifiedOutputs { to_sign, unit, sum })
    }
}

/// Parses the blinded messages of blanks; their amounts count as zero.
///
/// # Errors
/// A malformed request.
pub async fn verify_blanks(
    messages: Vec<BlindedMessage>,
    environment: &dyn Environment,
) -> Result<Vec<OutputRow>, MintError> {
    let to_sign = compute(environment, move || points_of(messages)).await??;
    Ok(to_sign.iter().map(|output| OutputRow { amount: Amount::ZERO, ..output_row(output) }).collect())
}

fn claims_of(proofs: Vec<Proof>) -> Result<(Vec<Claim>, Vec<InputRow>), MintError> {
    let mut seen = BTreeSet::new();
    let mut claims = Vec::with_capacity(proofs.len());
    let mut rows = Vec::with_capacity(proofs.len());
    for proof in proofs {
        let y = hash_to_curve(proof.secret.as_bytes());
        let row = InputRow {
            y: PointBytes::from(&y),
            keyset: proof.id,
            amount: proof.amount,
            c: proof.c,
            witness: proof.witness,
        };
        if !seen.insert(row.y) {
            return Err(MintError::refused(ErrorCode::DuplicateInputs));
        }
        claims.push(Claim { keyset: row.keyset, amount: row.amount, y, c: row.c });
        rows.push(row);
    }
    Ok((claims, rows))
}

fn points_of(messages: Vec<BlindedMessage>) -> Result<Vec<ToSign>, MintError> {
    messages
        .into_iter()
        .map(|message| {
            let b: PublicKey = message
                .b
                .parse()
                .map_err(|_| MintError::invalid(Group::Transaction, "an output's B_ is not a point on the curve"))?;
            Ok(ToSign { keyset: message.id, amount: message.amount, b })
        })
        .collect()
}

fn one_unit(unit: &mut Option<CurrencyUnit>, keyset: &KeysetRecord) -> Result<(), MintError> {
    if keyset.unit == CurrencyUnit::Auth {
        return Err(MintError::refused_because(ErrorCode::UnitUnsupported, "auth tokens are not money"));
    }
    match unit {
        None => *unit = Some(keyset.unit.clone()),
        Some(first) if *first == keyset.unit => {}
        Some(_) => return Err(MintError::refused(ErrorCode::MultipleUnits)),
    }
    Ok(())
}

fn refuse_without_key(keyset: &KeysetRecord, amount: Amount, code: ErrorCode) -> Result<(), MintError> {
    if keyset.keys.get(amount).is_some() {
        return Ok(());
    }
    Err(MintError::refused_because(code, format!("keyset {} has no key for amount {amount}", keyset.id)))
}

/// The sum of amounts of a request. A sum that does not fit can be no valid request.
fn sum(amounts: impl Iterator<Item = Amount>) -> Result<Amount, MintError> {
    Amount::checked_sum(amounts)
        .map_err(|_| MintError::refused_because(ErrorCode::AmountOutsideLimit, "the sum of the amounts is too large"))
}

/// Books `fee` on the keyset that brought the largest sum; the books per keyset need it in one place, not split.
pub fn attribute_fee(inputs: &[InputRow], fee: Amount) -> Vec<(KeysetId, Amount)> {
    if fee.is_zero() {
        return Vec::new();
    }
    let mut sums: BTreeMap<KeysetId, u64> = BTreeMap::new();
    for input in inputs {
        let sum = sums.entry(input.keyset).or_default();
        *sum = sum.saturating_add(input.amount.to_u64());
    }
    let largest = sums.into_iter().max_by_key(|(_, sum)| *sum);
    largest.map(|(keyset, _)| (keyset, fee)).into_iter().collect()
}
