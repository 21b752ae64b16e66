//! Mint quotes: opened, credited, issued on.

use hazel_protocol::{Amount, QuoteId};

use crate::ports::{
    Applied, ApplyError, Conflict, CreditMintQuote, Issue, KnownOutput, MintQuote, OpenMintQuote, OperationId,
    OperationKind, SignedRow, Timestamp,
};
use crate::store::rules::{same_mint_offer, same_outputs};

use super::custody::{Books, refuse_known_outputs, refuse_unknown_keysets};
use super::ledger::{Brought, Ledger, Outcome, Writes, corrupt, later, refuse, unchanged};

pub(super) fn open(ledger: &Ledger, change: &OpenMintQuote) -> Outcome {
    let new = &change.quote;
    if let Some(old) = ledger.mint_quotes.get(&new.id) {
        return if same_mint_offer(old, new) {
            Ok(unchanged(Applied::MintQuote(old.clone())))
        } else {
            refuse(Conflict::QuoteExists)
        };
    }
    if ledger.mint_quotes.values().any(|old| old.payment_hash == new.payment_hash) {
        return refuse(Conflict::QuoteExists);
    }
    Ok((writing(new.clone()), Applied::MintQuote(new.clone())))
}

/// A known credit moves the cursor and nothing else: the stream has been read that far all the same.
pub(super) fn credit(ledger: &Ledger, change: &CreditMintQuote) -> Outcome {
    let quote = ledger.mint_quote(&change.quote)?;
    let mut credited = quote.clone();
    let mut writes = Writes::default();
    match ledger.credits.get(&change.credit) {
        Some(known) if *known != change.quote => return corrupt("a credit that counted for another quote"),
        Some(_) => {}
        None => {
            credited = paid(quote, change.amount, change.now)?;
            writes = writing(credited.clone());
            writes.credits.insert(change.credit.clone(), change.quote.clone());
        }
    }
    let read = ledger.cursors.get(&quote.method).copied().unwrap_or(0);
    writes.cursor = change.cursor.filter(|cursor| *cursor > read).map(|cursor| (quote.method.clone(), cursor));
    Ok((writes, Applied::MintQuote(credited)))
}

/// The quote after `amount` has arrived for it.
pub(super) fn paid(quote: &MintQuote, amount: Amount, now: Timestamp) -> Result<MintQuote, ApplyError> {
    let amount_paid = add(quote.amount_paid, amount)?;
    Ok(MintQuote { amount_paid, updated_at: later(now, quote.updated_at), ..quote.clone() })
}

pub(super) fn issue(ledger: &Ledger, change: &Issue) -> Outcome {
    if ledger.operations.contains_key(&change.operation) {
        return corrupt("the id of another operation");
    }
    if ledger.finished(change.operation) {
        return issued_before(ledger, change);
    }
    ledger.usable(change.operation)?;
    let mut writes = Writes::default();
    for (id, amount) in &change.draws {
        let quote = drawn(ledger.mint_quote(id)?, *amount, change.now)?;
        writes.mint_quotes.insert(id.clone(), Some(quote));
    }
    refuse_known_outputs(ledger, &change.outputs.iter().map(|signed| &signed.output))?;
    refuse_unknown_keysets(ledger, change.outputs.iter().map(|signed| signed.output.keyset))?;
    let mut books = Books::new(ledger);
    for signed in &change.outputs {
        books.issue(&signed.output)?;
        writes.outputs.insert(signed.output.b, Some(known(change.operation, signed)));
    }
    writes.totals = books.totals;
    writes.brought.insert(change.operation, Some(brought(change)));
    Ok((writes, Applied::Signatures(change.outputs.clone())))
}

/// The same issue again gets what it got, from the ledger; the id of anything else has been used up.
fn issued_before(ledger: &Ledger, change: &Issue) -> Outcome {
    let contents = ledger.contents_of(change.operation);
    let same_quotes = contents.quotes.iter().eq(change.draws.iter().map(|(quote, _)| quote));
    let issue = contents.outputs.iter().all(|known| known.kind == OperationKind::Issue);
    if same_outputs(&contents.outputs, &change.outputs) && same_quotes && issue {
        return Ok(unchanged(Applied::Signatures(signatures(&contents.outputs)?)));
    }
    refuse(Conflict::OperationEnded)
}

/// The stored signatures of outputs that must all have one.
pub(super) fn signatures(outputs: &[KnownOutput]) -> Result<Vec<SignedRow>, ApplyError> {
    let signed = |known: &KnownOutput| {
        let (c, dleq) = known.signature?;
        Some(SignedRow { output: known.output.clone(), c, dleq })
    };
    let rows: Option<Vec<SignedRow>> = outputs.iter().map(signed).collect();
    rows.ok_or_else(|| ApplyError::Corrupt("a finished operation has unsigned outputs".to_owned()))
}

/// The quote after `amount` has been issued on it.
fn drawn(quote: &MintQuote, amount: Amount, now: Timestamp) -> Result<MintQuote, ApplyError> {
    let enough = quote.amount_issued.checked_add(amount).is_ok_and(|issued| issued <= quote.amount_paid);
    if !enough {
        let untouched = quote.amount_issued.is_zero();
        return refuse(if untouched { Conflict::QuoteNotPaid } else { Conflict::QuoteIssued });
    }
    let amount_issued = add(quote.amount_issued, amount)?;
    Ok(MintQuote { amount_issued, updated_at: later(now, quote.updated_at), ..quote.clone() })
}

fn known(operation: OperationId, signed: &SignedRow) -> KnownOutput {
    KnownOutput {
        output: signed.output.clone(),
        signature: Some((signed.c, signed.dleq)),
        operation,
        kind: OperationKind::Issue,
    }
}

fn brought(change: &Issue) -> Brought {
    let quotes: Vec<QuoteId> = change.draws.iter().map(|(quote, _)| quote.clone()).collect();
    Brought { ys: Vec::new(), bs: change.outputs.iter().map(|signed| signed.output.b).collect(), quotes }
}

fn writing(quote: MintQuote) -> Writes {
    let mut writes = Writes::default();
    writes.mint_quotes.insert(quote.id.clone(), Some(quote));
    writes
}

fn add(a: Amount, b: Amount) -> Result<Amount, ApplyError> {
    a.checked_add(b).map_err(|error| ApplyError::Corrupt(error.to_string()))
}
