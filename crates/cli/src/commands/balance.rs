//! `hazel balance`: what the wallet holds, for each mint. Asks nothing of the mints.

use std::collections::BTreeMap;

use hazel_protocol::{Amount, CurrencyUnit};
use hazel_wallet::ports::BalanceRecord;
use serde_json::json;

use crate::failure::{Failure, Kind};
use crate::output::Report;
use crate::session::Session;
use crate::table::{Align, Table};

pub(super) async fn run(session: &Session) -> Result<Report, Failure> {
    let mut balances = session.store.balances().await?;
    balances.retain(|sum| session.global.mint.as_ref().is_none_or(|mint| sum.mint == *mint));
    balances.retain(|sum| session.global.unit.as_ref().is_none_or(|unit| sum.unit == *unit));
    let totals = totals(&balances)?;
    let json = json!({
        "balances": balances.iter().map(entry).collect::<Vec<_>>(),
        "total": totals.iter().map(|(unit, amount)| (unit.to_string(), json!(amount))).collect::<serde_json::Map<_, _>>(),
    });
    let mut lines: Vec<String> = totals.iter().map(|(unit, amount)| format!("{amount} {unit}")).collect();
    if balances.is_empty() {
        lines.push(format!("0 {}", session.global.unit_or_sat()));
    }
    if balances.len() > 1 || balances.iter().any(|sum| !sum.held.is_zero() || !sum.sent.is_zero()) {
        lines.push(String::new());
        let heading = lines.len();
        lines.extend(table(&balances).lines(session.output.width()));
        return Ok(Report::new(json, lines).heading(heading));
    }
    Ok(Report::new(json, lines))
}

/// What is free to spend of each unit.
fn totals(balances: &[BalanceRecord]) -> Result<BTreeMap<CurrencyUnit, Amount>, Failure> {
    let mut totals = BTreeMap::new();
    for sum in balances {
        let total: &mut Amount = totals.entry(sum.unit.clone()).or_default();
        *total = total.checked_add(sum.available).map_err(|error| Failure::new(Kind::Wallet, error.to_string()))?;
    }
    Ok(totals)
}

fn entry(sum: &BalanceRecord) -> serde_json::Value {
    json!({ "mint": sum.mint, "unit": sum.unit, "available": sum.available, "held": sum.held, "sent": sum.sent })
}

fn table(balances: &[BalanceRecord]) -> Table {
    let mut table = Table::new(&[
        ("free", Align::Right),
        ("held", Align::Right),
        ("handed out", Align::Right),
        ("unit", Align::Left),
        ("mint", Align::Left),
    ]);
    for sum in balances {
        table.row(&[
            sum.available.to_string(),
            sum.held.to_string(),
            sum.sent.to_string(),
            sum.unit.to_string(),
            sum.mint.to_string(),
        ]);
    }
    table
}
