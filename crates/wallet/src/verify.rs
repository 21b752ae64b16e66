//! What a wallet checks before it believes a mint or a token. Every function here is pure.
//!
//! A signature counts only if it is for the amount and keyset that were asked for and carries a DLEQ proof that the mint
//! made it with the published key (NUT-12). Otherwise a mint could hand out money that it will not take back, or mark
//! its users with keys of their own.

use std::collections::BTreeMap;

use hazel_protocol::{
    Amount, BlindSignature, CheckStateResponse, PointBytes, Proof, ProofState, RestoreResponse, crypto,
};

use crate::error::{Error, Violation};
use crate::keysets::Keysets;
use crate::outputs::Derived;

/// What to do about a signature without a DLEQ proof. One that is there must always hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RequireDleq {
    /// Refuse it.
    Yes,
    /// Take it: for mints and wallets from before NUT-12.
    IfPresent,
}

/// Turns signatures on outputs into proofs.
///
/// # Errors
/// [`Violation`] when the number, an amount, a keyset or a DLEQ proof is not as it must be.
pub(crate) fn signatures(
    keysets: &Keysets,
    outputs: &[Derived],
    signatures: &[BlindSignature],
    dleq: RequireDleq,
) -> Result<Vec<Proof>, Violation> {
    if outputs.len() != signatures.len() {
        return Err(Violation::SignatureCount { expected: outputs.len(), got: signatures.len() });
    }
    let pairs = outputs.iter().zip(signatures);
    pairs
        .map(|(output, signature)| {
            if signature.amount != output.planned.amount {
                return Err(Violation::SignatureTerms);
            }
            unblind(keysets, output, signature, dleq)
        })
        .collect()
}

/// Turns the signatures on the first of some blank outputs into proofs (NUT-08).
///
/// # Errors
/// [`Violation`] as in [`signatures`]; [`Violation::TooMuchChange`] when they are worth more than `at_most`.
pub(crate) fn change(
    keysets: &Keysets,
    blanks: &[Derived],
    signatures: &[BlindSignature],
    at_most: Amount,
    dleq: RequireDleq,
) -> Result<Vec<Proof>, Violation> {
    if signatures.len() > blanks.len() {
        return Err(Violation::SignatureCount { expected: blanks.len(), got: signatures.len() });
    }
    let pairs = blanks.iter().zip(signatures);
    let proofs: Vec<Proof> =
        pairs.map(|(blank, signature)| unblind(keysets, blank, signature, dleq)).collect::<Result<_, _>>()?;
    within(&proofs, at_most)?;
    Ok(proofs)
}

/// Checks that change is worth no more than can have been left over.
pub(crate) fn within(proofs: &[Proof], at_most: Amount) -> Result<(), Violation> {
    match Amount::checked_sum(proofs.iter().map(|proof| proof.amount)) {
        Ok(sum) if sum <= at_most => Ok(()),
        _ => Err(Violation::TooMuchChange),
    }
}

/// Turns the signatures that a mint found again into proofs, one entry for each output asked for (NUT-09): none where it found
/// nothing, a [`Violation`] as in [`signatures`] where it shows something that is no signature.
///
/// # Errors
/// [`Violation::Restored`] when the lists do not fit each other or the question.
pub(crate) fn restored(
    keysets: &Keysets,
    outputs: &[Derived],
    answer: &RestoreResponse,
    dleq: RequireDleq,
) -> Result<Vec<Option<Result<Proof, Violation>>>, Violation> {
    if answer.outputs.len() != answer.signatures.len() {
        return Err(Violation::Restored);
    }
    let places: BTreeMap<PointBytes, usize> =
        outputs.iter().enumerate().map(|(place, output)| (PointBytes::from(&output.b), place)).collect();
    let mut proofs: Vec<Option<Result<Proof, Violation>>> = vec![None; outputs.len()];
    for (output, signature) in answer.outputs.iter().zip(answer.signatures.iter()) {
        let place = *places.get(&output.b).ok_or(Violation::Restored)?;
        if proofs[place].is_some() {
            return Err(Violation::Restored);
        }
        proofs[place] = Some(unblind(keysets, &outputs[place], signature, dleq));
    }
    Ok(proofs)
}

fn unblind(
    keysets: &Keysets,
    output: &Derived,
    signature: &BlindSignature,
    dleq: RequireDleq,
) -> Result<Proof, Violation> {
    if signature.id != output.planned.keyset {
        return Err(Violation::SignatureTerms);
    }
    let key = keysets.key(&signature.id, signature.amount).ok_or(Violation::SignatureTerms)?;
    match &signature.dleq {
        Some(proof) => {
            crypto::verify_dleq(key, &output.b, &signature.c, proof).map_err(|_| Violation::DleqInvalid)?;
        }
        None if dleq == RequireDleq::Yes => return Err(Violation::DleqMissing),
        None => {}
    }
    let c = crypto::unblind(&signature.c, &output.r, key).map_err(|_| Violation::DleqInvalid)?;
    Ok(Proof {
        amount: signature.amount,
        id: signature.id,
        secret: output.secret.clone(),
        c: PointBytes::from(&c),
        witness: None,
        dleq: signature.dleq.map(|proof| proof.with_blinding_factor(output.r.clone())),
        p2pk_e: output.ephemeral,
    })
}

/// The states of the proofs asked for, in that order (NUT-07).
///
/// # Errors
/// [`Violation::States`] when the list has another length or order.
pub fn states(asked: &[PointBytes], answer: &CheckStateResponse) -> Result<Vec<ProofState>, Violation> {
    if asked.len() != answer.states.len() {
        return Err(Violation::States);
    }
    let pairs = asked.iter().zip(answer.states.iter());
    pairs.map(|(y, entry)| if entry.y == *y { Ok(entry.state) } else { Err(Violation::States) }).collect()
}

/// Checks every proof of a token: the mint has a key for its amount, and its DLEQ proof holds.
///
/// # Errors
/// [`Error::TokenForged`] or [`Error::TokenWithoutDleq`].
pub fn token(keysets: &Keysets, proofs: &[Proof], dleq: RequireDleq) -> Result<(), Error> {
    for proof in proofs {
        let key = keysets.key(&proof.id, proof.amount).ok_or(Error::TokenForged)?;
        match &proof.dleq {
            Some(dleq) => {
                let c = proof.c.parse().map_err(|_| Error::TokenForged)?;
                crypto::verify_proof_dleq(key, &proof.secret, &c, dleq).map_err(|_| Error::TokenForged)?;
            }
            None if dleq == RequireDleq::Yes => return Err(Error::TokenWithoutDleq),
            None => {}
        }
    }
    Ok(())
}
