//! Mint quotes: opened, credited, issued on.

use std::collections::BTreeMap;

use hazel_mint::ports::{
    Applied, Conflict, CreditMintQuote, Issue, KnownOutput, MintQuote, OpenMintQuote, OperationId, OperationKind,
    SignedRow, Timestamp,
};
use hazel_mint::store::rules::{same_mint_offer, same_outputs};
use hazel_protocol::{Amount, PublicKey, QuoteId};

use super::custody::{Books, Placed, add_outputs, refuse_known_outputs};
use super::{LedgerFault, Outcome, Standing, Tx, corrupt, left_something, outputs_of, refuse, rows, sql, standing};
use crate::columns::stored;
use crate::fault::RowFault;

pub(super) async fn open(tx: Tx<'_>, change: &OpenMintQuote) -> Outcome {
    let new = &change.quote;
    let amount = new.amount.map(|amount| stored(amount.to_u64(), "an amount")).transpose()?;
    let pubkey = new.pubkey.map(PublicKey::to_bytes);
    let (pubkey, hash) = (pubkey.as_ref().map(<[u8; 33]>::as_slice), new.payment_hash.as_slice());
    let (expiry, created_at, updated_at) = (
        stored(new.expiry.to_unix(), "a quote's expiry")?,
        stored(new.created_at.to_unix(), "a time")?,
        stored(new.updated_at.to_unix(), "a time")?,
    );
    let (id, unit, rate) = (new.id.as_str(), new.unit.as_str(), new.rate.to_string());
    let values: crate::session::Values<'_> = &[
        &id,
        &new.method,
        &unit,
        &amount,
        &new.request.as_bytes(),
        &hash,
        &pubkey,
        &expiry,
        &created_at,
        &updated_at,
        &rate,
    ];
    if tx.run(sql::ADD_MINT_QUOTE, values).await? == 1 {
        return Ok(Applied::MintQuote(new.clone()));
    }
    match locked(tx, [&new.id]).await?.remove(&new.id) {
        Some(old) if same_mint_offer(&old, new) => Ok(Applied::MintQuote(old)),
        // The id, or else the payment hash, is another quote's.
        _ => refuse(Conflict::QuoteExists),
    }
}

/// Locks mint quotes in the order of their ids; gives those that are there.
async fn locked<'a>(
    tx: Tx<'_>,
    ids: impl IntoIterator<Item = &'a QuoteId>,
) -> Result<BTreeMap<QuoteId, MintQuote>, LedgerFault> {
    let ids: Vec<&str> = ids.into_iter().map(QuoteId::as_str).collect();
    let quotes = tx.all(sql::LOCK_MINT_QUOTES, &[&ids], rows::mint_quote).await?;
    Ok(quotes.into_iter().map(|quote| (quote.id.clone(), quote)).collect())
}

/// A mint quote that must be there, locked.
pub(super) async fn known(tx: Tx<'_>, id: &QuoteId) -> Result<MintQuote, LedgerFault> {
    locked(tx, [id]).await?.remove(id).ok_or_else(|| Conflict::QuoteUnknown.into())
}

/// A known credit moves the cursor and nothing else: the stream has been read that far all the same.
pub(super) async fn credit(tx: Tx<'_>, change: &CreditMintQuote) -> Outcome {
    let quote = known(tx, &change.quote).await?;
    let quote = match credited(tx, &change.credit).await? {
        Some(other) if other != change.quote => return corrupt("a credit that counted for another quote"),
        Some(_) => {
            tx.mark().await?;
            quote
        }
        None => add_credit(tx, &quote, &change.credit, change.amount, change.now).await?,
    };
    if let Some(cursor) = change.cursor {
        tx.run(sql::MOVE_CURSOR, &[&quote.method, &stored(cursor, "the payment stream's cursor")?]).await?;
    }
    Ok(Applied::MintQuote(quote))
}

/// The quote that a credit counted for.
pub(super) async fn credited(tx: Tx<'_>, credit: &str) -> Result<Option<QuoteId>, RowFault> {
    tx.one(sql::CREDITED_QUOTE, &[&credit.as_bytes()], |row| rows::named_quote(row, "credits")).await
}

/// Books money that arrived for a quote, which is locked, and gives the quote as it then is.
pub(super) async fn add_credit(
    tx: Tx<'_>,
    quote: &MintQuote,
    credit: &str,
    amount: Amount,
    now: Timestamp,
) -> Result<MintQuote, LedgerFault> {
    let (id, now, booked) = (quote.id.as_str(), stored(now.to_unix(), "a time")?, stored(amount.to_u64(), "a credit")?);
    // The name of a credit to another quote, which came between.
    tx.run_one(sql::ADD_CREDIT, &[&credit.as_bytes(), &id, &booked, &now], "a credit that counted for another quote")
        .await?;
    let paid = quote.amount_paid.checked_add(amount).map_err(|error| RowFault::corrupt(error.to_string()))?;
    let paid = stored(paid.to_u64(), "what was paid on a quote")?;
    let credited = tx.one(sql::CREDIT_MINT_QUOTE, &[&id, &paid, &now], rows::mint_quote).await?;
    Ok(credited.ok_or_else(|| RowFault::corrupt("a mint quote was not there to be credited"))?)
}

/// The quotes are locked before anything is looked at, so that the same issue sent twice at once does not see half of itself.
pub(super) async fn issue(tx: Tx<'_>, change: &Issue) -> Outcome {
    let quotes = locked(tx, change.draws.iter().map(|(quote, _)| quote)).await?;
    let found = standing(tx, change.operation).await?;
    if matches!(found, Standing::Running(_)) {
        return corrupt("the id of another operation");
    }
    if left_something(tx, change.operation).await? {
        return issued_before(tx, change).await;
    }
    if matches!(found, Standing::GivenUp) {
        return refuse(Conflict::OperationEnded);
    }
    draw(tx, change, &quotes).await?;
    add_signatures(tx, change.operation, &change.outputs).await?;
    Ok(Applied::Signatures(change.outputs.clone()))
}

/// The same issue again gets what it got, from the ledger; the id of anything else has been used up.
async fn issued_before(tx: Tx<'_>, change: &Issue) -> Outcome {
    let id = change.operation.as_bytes().as_slice();
    let quotes = tx.all(sql::DRAWN_QUOTES, &[&id], |row| rows::named_quote(row, "draws")).await?;
    let outputs = outputs_of(tx, change.operation).await?;
    let is_issue = outputs.iter().all(|known| known.kind == OperationKind::Issue);
    let are_same_quotes = quotes.iter().eq(change.draws.iter().map(|(quote, _)| quote));
    if !is_issue || !are_same_quotes || !same_outputs(&outputs, &change.outputs) {
        return refuse(Conflict::OperationEnded);
    }
    tx.mark().await?;
    Ok(Applied::Signatures(signatures(outputs)?))
}

/// The stored signatures of outputs that must all have one.
pub(super) fn signatures(outputs: Vec<KnownOutput>) -> Result<Vec<SignedRow>, RowFault> {
    let mut signed = Vec::with_capacity(outputs.len());
    for known in outputs {
        let Some((c, dleq)) = known.signature else {
            return Err(RowFault::corrupt("a finished operation has unsigned outputs"));
        };
        signed.push(SignedRow { output: known.output, c, dleq });
    }
    Ok(signed)
}

/// Takes what is issued from the quotes, which are locked; the first that has too little refuses.
async fn draw(tx: Tx<'_>, change: &Issue, quotes: &BTreeMap<QuoteId, MintQuote>) -> Result<(), LedgerFault> {
    let (mut ids, mut issued, mut amounts) = (Vec::new(), Vec::new(), Vec::new());
    for (id, amount) in &change.draws {
        let quote = quotes.get(id).ok_or(Conflict::QuoteUnknown)?;
        let sum = quote.amount_issued.checked_add(*amount).ok().filter(|sum| *sum <= quote.amount_paid);
        let Some(sum) = sum else {
            let is_untouched = quote.amount_issued.is_zero();
            return refuse(if is_untouched { Conflict::QuoteNotPaid } else { Conflict::QuoteIssued });
        };
        ids.push(id.as_str());
        issued.push(stored(sum.to_u64(), "what was issued on a quote")?);
        amounts.push(stored(amount.to_u64(), "a draw")?);
    }
    let now = stored(change.now.to_unix(), "a time")?;
    let drawn = tx.run(sql::DRAW_MINT_QUOTES, &[&ids, &issued, &now]).await?;
    let id = change.operation.as_bytes().as_slice();
    let added = tx.run(sql::ADD_DRAWS, &[&id, &ids, &amounts]).await?;
    let all = u64::try_from(ids.len()).map_err(|_| RowFault::corrupt("more quotes than can be counted"))?;
    if drawn == all && added == all { Ok(()) } else { corrupt("a mint quote was not drawn on") }
}

/// Stores outputs that are signed already, as those of an issue, and counts them as issued.
pub(super) async fn add_signatures(
    tx: Tx<'_>,
    operation: OperationId,
    outputs: &[SignedRow],
) -> Result<(), LedgerFault> {
    let mut books = Books::default();
    if let Some(unknown) = books.open(tx, outputs.iter().map(|signed| signed.output.keyset)).await? {
        refuse_known_outputs(tx, operation, outputs.iter().map(|signed| &signed.output)).await?;
        return refuse(Conflict::KeysetUnknown(unknown));
    }
    let placed: Vec<Placed<'_>> = outputs.iter().map(|signed| (&signed.output, Some(signed))).collect();
    add_outputs(tx, (operation, OperationKind::Issue), &placed, &books).await?;
    for signed in outputs {
        books.issue(signed.output.keyset, signed.output.amount)?;
    }
    books.write(tx).await
}
