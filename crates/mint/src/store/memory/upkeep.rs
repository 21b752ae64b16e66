//! Taking over from the dead, and sweeping up.

use hazel_protocol::{PointBytes, QuoteId};

use crate::ports::{Applied, Conflict, MeltQuoteStatus, OperationId, OperationRecord, Prune, TakeOver};
use crate::store::TOMBSTONE_SECS;

use super::at_most;
use super::ledger::{Ledger, Outcome, Writes, refuse, unchanged};

pub(super) fn take_over(ledger: &Ledger, change: &TakeOver) -> Outcome {
    let Some(row) = ledger.operations.get(&change.operation) else {
        return refuse(Conflict::OperationGone);
    };
    if row.owner == change.to {
        return Ok(unchanged(Applied::Done));
    }
    if row.owner != change.from {
        return refuse(Conflict::OperationGone);
    }
    let mut writes = Writes::default();
    writes.operations.insert(change.operation, Some(OperationRecord { owner: change.to, ..row.clone() }));
    Ok((writes, Applied::Done))
}

pub(super) fn prune(ledger: &Ledger, change: &Prune) -> (Writes, Applied) {
    let mut writes = Writes::default();
    let limit = at_most(change.limit);
    writes.mint_quotes = stale_mint_quotes(ledger, change).take(limit).map(|id| (id.clone(), None)).collect();
    writes.melt_quotes = stale_melt_quotes(ledger, change).take(limit).map(|id| (id.clone(), None)).collect();
    writes.tombstones = old_tombstones(ledger, change).take(limit).map(|id| (id, None)).collect();
    for (operation, blank) in spare_blanks(ledger, change).take(limit) {
        writes.outputs.insert(blank, None);
        let brought = writes.brought.entry(operation).or_insert_with(|| ledger.brought.get(&operation).cloned());
        if let Some(brought) = brought {
            brought.bs.retain(|b| *b != blank);
        }
    }
    let quotes = writes.mint_quotes.len() + writes.melt_quotes.len();
    let rows = quotes + writes.tombstones.len() + writes.outputs.len();
    (writes, Applied::Pruned(u64::try_from(rows).unwrap_or(u64::MAX)))
}

fn stale_mint_quotes<'a>(ledger: &'a Ledger, change: &'a Prune) -> impl Iterator<Item = &'a QuoteId> {
    let never_paid = ledger.mint_quotes.values().filter(|quote| quote.amount_paid.is_zero());
    let of_method = never_paid.filter(|quote| quote.method == change.method.as_str());
    of_method.filter(|quote| quote.expiry < change.before).map(|quote| &quote.id)
}

fn stale_melt_quotes<'a>(ledger: &'a Ledger, change: &'a Prune) -> impl Iterator<Item = &'a QuoteId> {
    let unpaid = ledger.melt_quotes.values().filter(|quote| quote.status == MeltQuoteStatus::Unpaid);
    let of_method = unpaid.filter(|quote| quote.method == change.method.as_str());
    of_method.filter(|quote| quote.expiry < change.before).map(|quote| &quote.id)
}

/// Blanks without change, of melts that were paid long ago.
fn spare_blanks<'a>(ledger: &'a Ledger, change: &'a Prune) -> impl Iterator<Item = (OperationId, PointBytes)> + 'a {
    let paid = ledger.melt_quotes.values().filter(|quote| quote.status == MeltQuoteStatus::Paid);
    let old = paid.filter(|quote| quote.updated_at < change.before).filter_map(|quote| quote.operation);
    let outputs = old.flat_map(|operation| ledger.contents_of(operation).outputs);
    outputs.filter(|known| known.signature.is_none()).map(|known| (known.operation, known.output.b))
}

fn old_tombstones<'a>(ledger: &'a Ledger, change: &'a Prune) -> impl Iterator<Item = OperationId> + 'a {
    let before = change.now.minus(TOMBSTONE_SECS);
    ledger.tombstones.iter().filter(move |(_, written)| **written < before).map(|(id, _)| *id)
}
