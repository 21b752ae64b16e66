//! `hazel history`: what came in and went out, newest first. Asks nothing of the mints.

use hazel_wallet::ports::{Direction, HistoryEntry};
use serde_json::{Value, json};

use crate::calendar::utc;
use crate::cli::HistoryArgs;
use crate::failure::Failure;
use crate::output::Report;
use crate::resume::verb;
use crate::session::Session;
use crate::table::{Align, Table};

pub(super) async fn run(session: &Session, args: &HistoryArgs) -> Result<Report, Failure> {
    let unit = session.global.unit_or_sat();
    let of = session.global.mint.as_ref().map(|mint| (mint, &unit));
    let entries = session.store.history(of, args.before, args.limit).await?;
    let json = json!({ "history": entries.iter().map(document).collect::<Vec<_>>() });
    if entries.is_empty() {
        return Ok(Report::line(json, "Nothing yet."));
    }
    Ok(Report { json, lines: table(&entries).lines(session.output.width()) })
}

fn document(entry: &HistoryEntry) -> Value {
    json!({
        "operation": entry.operation.to_string(),
        "at": entry.at.to_unix(),
        "kind": verb(entry.kind),
        "direction": match entry.kind.direction() {
            Direction::In => "in",
            Direction::Out => "out",
            Direction::Within => "within",
        },
        "amount": entry.amount,
        "fee": entry.fee,
        "unit": entry.unit,
        "mint": entry.mint,
        "memo": entry.memo,
        "invoice": entry.invoice,
        "preimage": entry.preimage,
    })
}

fn table(entries: &[HistoryEntry]) -> Table {
    let mut table = Table::new(&[
        ("time (UTC)", Align::Left),
        ("what", Align::Left),
        ("amount", Align::Right),
        ("fee", Align::Right),
        ("unit", Align::Left),
        ("mint and memo", Align::Left),
    ]);
    for entry in entries {
        let sign = match entry.kind.direction() {
            Direction::In => "+",
            Direction::Out => "-",
            Direction::Within => "",
        };
        let memo = entry.memo.as_deref().map(|memo| format!("  {memo}")).unwrap_or_default();
        table.row(&[
            utc(entry.at),
            verb(entry.kind).to_owned(),
            format!("{sign}{}", entry.amount),
            entry.fee.to_string(),
            entry.unit.to_string(),
            format!("{}{memo}", entry.mint),
        ]);
    }
    table
}
