//! `hazel history`: what came in and went out, newest first. Asks nothing of the mints.

use clap::ValueEnum;
use hazel_wallet::ports::{Direction, HistoryEntry, OperationId, OperationKind, Timestamp};
use serde_json::{Value, json};

use crate::calendar::{When, utc};
use crate::environment::now;
use crate::failure::Failure;
use crate::output::Report;
use crate::resume::verb;
use crate::session::Session;
use crate::table::{Align, Table};

/// How many lines are read at once. A count.
const PAGE: u32 = 500;

/// Which part of the history.
#[derive(Debug, clap::Args)]
pub(crate) struct HistoryArgs {
    /// At most this many lines, newest first
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Only what is older than this operation
    #[arg(long, value_name = "OPERATION")]
    before: Option<OperationId>,
    /// Only operations of this kind; repeat it for several
    #[arg(long, value_name = "KIND")]
    kind: Vec<KindName>,
    /// Only what came in, went out, or stayed within the wallet
    #[arg(long, value_name = "DIRECTION")]
    direction: Option<DirectionName>,
    /// Only from this time on: `7d` ago, `2031-02-28`, `2031-02-28T09:05`, or seconds since 1970
    #[arg(long, value_name = "TIME")]
    since: Option<When>,
    /// Only until this time
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
    /// Only what has this text in its memo, in any case of letters
    #[arg(long, value_name = "TEXT")]
    memo: Option<String>,
}

/// A kind of operation, by the name of its command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KindName {
    Mint,
    Send,
    Receive,
    Swap,
    Pay,
    Restore,
}

impl KindName {
    const fn kind(self) -> OperationKind {
        match self {
            Self::Mint => OperationKind::Mint,
            Self::Send => OperationKind::Send,
            Self::Receive => OperationKind::Receive,
            Self::Swap => OperationKind::Swap,
            Self::Pay => OperationKind::Melt,
            Self::Restore => OperationKind::Restore,
        }
    }
}

/// Which way money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DirectionName {
    In,
    Out,
    Within,
}

impl DirectionName {
    const fn direction(self) -> Direction {
        match self {
            Self::In => Direction::In,
            Self::Out => Direction::Out,
            Self::Within => Direction::Within,
        }
    }
}

impl HistoryArgs {
    fn wants(&self, entry: &HistoryEntry, now: Timestamp) -> bool {
        let is_kind = self.kind.is_empty() || self.kind.iter().any(|kind| kind.kind() == entry.kind);
        let is_direction = self.direction.is_none_or(|way| way.direction() == entry.kind.direction());
        let is_since = self.since.is_none_or(|when| entry.at >= when.before(now));
        let is_until = self.until.is_none_or(|when| entry.at <= when.before(now));
        let memo = || entry.memo.as_deref().unwrap_or_default().to_lowercase();
        let has_memo = self.memo.as_ref().is_none_or(|text| memo().contains(&text.to_lowercase()));
        is_kind && is_direction && is_since && is_until && has_memo
    }
}

pub(super) async fn run(session: &Session, args: &HistoryArgs) -> Result<Report, Failure> {
    let entries = wanted(session, args).await?;
    let json = json!({ "history": entries.iter().map(document).collect::<Vec<_>>() });
    if entries.is_empty() {
        return Ok(Report::line(json, "Nothing yet."));
    }
    Ok(Report::new(json, table(&entries).lines(session.output.width())).heading(0))
}

/// The lines that are asked for, read page by page.
async fn wanted(session: &Session, args: &HistoryArgs) -> Result<Vec<HistoryEntry>, Failure> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut wanted = Vec::new();
    let mut before = args.before;
    let now = now();
    loop {
        let page = session.store.history(None, before, PAGE).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        before = page.last().map(|entry| entry.operation);
        let of = |entry: &HistoryEntry| {
            session.global.mint.as_ref().is_none_or(|mint| entry.mint == *mint)
                && session.global.unit.as_ref().is_none_or(|unit| entry.unit == *unit)
        };
        wanted.extend(page.into_iter().filter(|entry| of(entry) && args.wants(entry, now)));
        if is_last || wanted.len() >= limit {
            wanted.truncate(limit);
            return Ok(wanted);
        }
    }
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
