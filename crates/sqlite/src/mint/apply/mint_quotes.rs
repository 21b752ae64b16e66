//! Mint quotes: opened, credited, issued on.

use hazel_mint::ports::{
    Applied, Conflict, CreditMintQuote, Issue, KnownOutput, MintQuote, OpenMintQuote, OperationId, OperationKind,
    SignedRow, Timestamp,
};
use hazel_mint::store::rules::{same_mint_offer, same_outputs};
use hazel_protocol::{Amount, PublicKey, QuoteId};
use rusqlite::{Connection, params};

use super::custody::{Books, refuse_known_outputs};
use super::{LedgerFault, Outcome, corrupt, is_given_up, left_something, refuse, rows, sql};
use crate::columns::{Columns, one, run_one, stored};
use crate::fault::StoreFault;

pub(super) fn open(connection: &Connection, change: &OpenMintQuote) -> Outcome {
    let new = &change.quote;
    if let Some(old) = rows::mint_quote(connection, &new.id)? {
        return if same_mint_offer(&old, new) { Ok(Applied::MintQuote(old)) } else { refuse(Conflict::QuoteExists) };
    }
    if rows::mint_quote_by_hash(connection, &new.payment_hash)?.is_some() {
        return refuse(Conflict::QuoteExists);
    }
    let row = params![
        new.id.as_str(),
        new.method,
        new.unit.as_str(),
        new.amount.map(|amount| stored(amount.to_u64(), "an amount")).transpose()?,
        new.request,
        new.payment_hash,
        new.pubkey.map(PublicKey::to_bytes),
        stored(new.expiry.to_unix(), "a quote's expiry")?,
        stored(new.created_at.to_unix(), "a time")?,
        stored(new.updated_at.to_unix(), "a time")?,
        new.rate.to_string(),
    ];
    run_one(connection, sql::ADD_MINT_QUOTE, row, "a mint quote was not added")?;
    Ok(Applied::MintQuote(new.clone()))
}

/// A known credit moves the cursor and nothing else: the stream has been read that far all the same.
pub(super) fn credit(connection: &Connection, change: &CreditMintQuote) -> Outcome {
    let quote = known(connection, &change.quote)?;
    let quote = match credited(connection, &change.credit)? {
        Some(other) if other != change.quote => return corrupt("a credit that counted for another quote"),
        Some(_) => quote,
        None => add_credit(connection, &quote, &change.credit, change.amount, change.now)?,
    };
    if let Some(cursor) = change.cursor {
        let cursor = stored(cursor, "the payment stream's cursor")?;
        run_one(connection, sql::MOVE_CURSOR, params![quote.method, cursor], "a cursor was not moved")?;
    }
    Ok(Applied::MintQuote(quote))
}

/// The quote that a credit counted for.
pub(super) fn credited(connection: &Connection, credit: &str) -> Result<Option<QuoteId>, StoreFault> {
    one(connection, sql::CREDITED_QUOTE, [credit], |row| Columns::of(row, "credits").quote_of_row("mint_quotes"))
}

/// Books money that arrived for a quote, and gives the quote as it then is.
pub(super) fn add_credit(
    connection: &Connection,
    quote: &MintQuote,
    credit: &str,
    amount: Amount,
    now: Timestamp,
) -> Result<MintQuote, LedgerFault> {
    let now = stored(now.to_unix(), "a time")?;
    let row = params![credit, quote.id.as_str(), stored(amount.to_u64(), "a credit")?, now];
    run_one(connection, sql::ADD_CREDIT, row, "a credit was not added")?;
    let paid = stored(add(quote.amount_paid, amount)?.to_u64(), "what was paid on a quote")?;
    let row = params![quote.id.as_str(), paid, now];
    let quote = one(connection, sql::CREDIT_MINT_QUOTE, row, rows::mint_quote_record)?;
    quote.ok_or_else(|| StoreFault::corrupt("a mint quote was not there to be credited").into())
}

/// A mint quote that must be there.
pub(super) fn known(connection: &Connection, id: &QuoteId) -> Result<MintQuote, LedgerFault> {
    rows::mint_quote(connection, id)?.ok_or_else(|| Conflict::QuoteUnknown.into())
}

pub(super) fn issue(connection: &Connection, change: &Issue) -> Outcome {
    if rows::operation(connection, change.operation)?.is_some() {
        return corrupt("the id of another operation");
    }
    if left_something(connection, change.operation)? {
        return issued_before(connection, change);
    }
    if is_given_up(connection, change.operation)? {
        return refuse(Conflict::OperationEnded);
    }
    for (position, (quote, amount)) in (0_i64..).zip(&change.draws) {
        draw(connection, change, position, quote, *amount)?;
    }
    refuse_known_outputs(connection, change.outputs.iter().map(|signed| &signed.output))?;
    let mut books = Books::default();
    books.open(connection, change.outputs.iter().map(|signed| signed.output.keyset))?;
    for signed in &change.outputs {
        books.issue(signed.output.keyset, signed.output.amount)?;
    }
    add_signatures(connection, change.operation, &change.outputs, &books)?;
    books.write(connection)?;
    Ok(Applied::Signatures(change.outputs.clone()))
}

/// The same issue again gets what it got, from the ledger; the id of anything else has been used up.
fn issued_before(connection: &Connection, change: &Issue) -> Outcome {
    let contents = rows::contents(connection, change.operation)?;
    let same_quotes = contents.quotes.iter().eq(change.draws.iter().map(|(quote, _)| quote));
    let is_issue = contents.outputs.iter().all(|known| known.kind == OperationKind::Issue);
    if same_outputs(&contents.outputs, &change.outputs) && same_quotes && is_issue {
        return Ok(Applied::Signatures(signatures(contents.outputs)?));
    }
    refuse(Conflict::OperationEnded)
}

/// The stored signatures of outputs that must all have one.
pub(super) fn signatures(outputs: Vec<KnownOutput>) -> Result<Vec<SignedRow>, StoreFault> {
    let signed = |known: KnownOutput| {
        let (c, dleq) = known.signature?;
        Some(SignedRow { output: known.output, c, dleq })
    };
    let rows: Option<Vec<SignedRow>> = outputs.into_iter().map(signed).collect();
    rows.ok_or_else(|| StoreFault::corrupt("a finished operation has unsigned outputs"))
}

/// Takes `amount` of what was paid on a quote.
fn draw(
    connection: &Connection,
    change: &Issue,
    position: i64,
    quote: &QuoteId,
    amount: Amount,
) -> Result<(), LedgerFault> {
    let found = known(connection, quote)?;
    let issued = match found.amount_issued.checked_add(amount) {
        Ok(issued) if issued <= found.amount_paid => stored(issued.to_u64(), "what was issued on a quote")?,
        _ if found.amount_issued.is_zero() => return refuse(Conflict::QuoteNotPaid),
        _ => return refuse(Conflict::QuoteIssued),
    };
    let now = stored(change.now.to_unix(), "a time")?;
    run_one(connection, sql::DRAW_MINT_QUOTE, params![quote.as_str(), issued, now], "a mint quote was not drawn on")?;
    let amount = stored(amount.to_u64(), "a draw")?;
    let row = params![change.operation.as_bytes(), position, quote.as_str(), amount];
    Ok(run_one(connection, sql::ADD_DRAW, row, "a draw was not added")?)
}

/// Stores outputs that are signed already, as those of an issue.
pub(super) fn add_signatures(
    connection: &Connection,
    operation: OperationId,
    outputs: &[SignedRow],
    books: &Books,
) -> Result<(), LedgerFault> {
    let mut statement = connection.prepare_cached(sql::ADD_SIGNATURE)?;
    for (position, signed) in (0_i64..).zip(outputs) {
        statement.execute(params![
            signed.output.b.as_bytes(),
            books.row(signed.output.keyset)?,
            stored(signed.output.amount.to_u64(), "an amount")?,
            signed.c.as_bytes(),
            signed.dleq.e.as_bytes(),
            signed.dleq.s.as_bytes(),
            operation.as_bytes(),
            OperationKind::Issue.as_str(),
            position,
        ])?;
    }
    Ok(())
}

fn add(a: Amount, b: Amount) -> Result<Amount, StoreFault> {
    a.checked_add(b).map_err(|error| StoreFault::corrupt(error.to_string()))
}
