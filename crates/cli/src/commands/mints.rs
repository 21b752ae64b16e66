//! `hazel mints`: which mints the wallet deals with.

use hazel_protocol::{MintInfo, MintUrl};
use hazel_wallet::ports::OperationKind;
use serde_json::{Value, json};

use crate::cli::MintsCommand;
use crate::failure::{Failure, Kind, add_mint_hint};
use crate::output::Report;
use crate::session::Session;
use crate::table::{Align, Table};

pub(super) async fn run(session: &mut Session, command: Option<MintsCommand>) -> Result<Report, Failure> {
    match command.unwrap_or(MintsCommand::List) {
        MintsCommand::List => list(session).await,
        MintsCommand::Add { url } => add(session, &url).await,
        MintsCommand::Info { url } => info(session, &url).await,
        MintsCommand::Default { url } => set_default(session, url).await,
        MintsCommand::Remove { url } => remove(session, &url).await,
    }
}

async fn list(session: &Session) -> Result<Report, Failure> {
    let mints = session.mints().await?;
    let selected = session.selected_mint().await?;
    let mut table = Table::new(&[("", Align::Left), ("mint", Align::Left), ("name", Align::Left)]);
    let mut documents = Vec::new();
    for mint in &mints {
        let name = mint.info.as_ref().and_then(|info| info.name.clone());
        let is_default = mint.url == selected;
        documents.push(json!({
            "url": mint.url,
            "name": name,
            "default": is_default,
            "units": session.units(&mint.url).await?,
            "added_at": mint.added_at.to_unix(),
        }));
        let mark = if is_default { "*" } else { "" };
        table.row(&[mark.to_owned(), mint.url.to_string(), name.unwrap_or_default()]);
    }
    let json = json!({ "mints": documents });
    if mints.is_empty() {
        return Ok(Report::line(json, "No mints yet. Add one that you trust: `hazel mints add URL`."));
    }
    Ok(Report::new(json, table.lines(session.output.width())).heading(0))
}

async fn add(session: &mut Session, url: &MintUrl) -> Result<Report, Failure> {
    let wallet = session.wallet(url, &session.global.unit_or_sat())?;
    let is_new = !session.trusts(url).await?;
    let record = session.add(&wallet).await?;
    let name = record.info.and_then(|info| info.name);
    Ok(Report::new(json!({ "url": url, "name": name, "new": is_new }), Vec::new()))
}

/// Asks the mint itself, also one that is not in the wallet.
async fn info(session: &Session, url: &MintUrl) -> Result<Report, Failure> {
    let wallet = session.wallet(url, &session.global.unit_or_sat())?;
    let is_known = session.trusts(url).await?;
    let info = if is_known { wallet.refresh_info().await? } else { ask(session, url).await? };
    let document = serde_json::to_value(&info)
        .map_err(|error| Failure::new(Kind::Bug, format!("what the mint says cannot be written: {error}")))?;
    let mut lines = describe(&info, &document);
    if !is_known {
        lines.push(format!("This mint is not in the wallet; {}.", add_mint_hint(url.as_str())));
    }
    Ok(Report::new(json!({ "url": url, "known": is_known, "info": document }), lines))
}

async fn ask(session: &Session, url: &MintUrl) -> Result<MintInfo, Failure> {
    use hazel_wallet::ports::MintConnector;
    let answer = session.connector(url)?.info().await;
    Ok(answer.map_err(hazel_wallet::Error::from)?)
}

fn describe(info: &MintInfo, document: &Value) -> Vec<String> {
    let named = [
        ("name", &info.name),
        ("version", &info.version),
        ("about", &info.description),
        ("more", &info.description_long),
        ("message", &info.motd),
        ("terms", &info.tos_url),
    ];
    let mut lines: Vec<String> = named
        .iter()
        .filter_map(|(name, text)| Some(format!("{name:8} {}", text.as_deref().filter(|text| !text.is_empty())?)))
        .collect();
    lines.extend(info.contact.iter().map(|contact| format!("{:8} {} {}", "contact", contact.method, contact.info)));
    if let Some(nuts) = document["nuts"].as_object() {
        let mut numbers: Vec<&str> = nuts.keys().map(String::as_str).collect();
        numbers.sort_by_key(|number| number.parse::<u32>().unwrap_or(u32::MAX));
        lines.push(format!("{:8} {}", "NUTs", numbers.join(", ")));
    }
    lines
}

async fn set_default(session: &mut Session, url: MintUrl) -> Result<Report, Failure> {
    known(session, &url).await?;
    let report = Report::line(json!({ "url": url, "default": true }), format!("{url} is used when no mint is named."));
    session.preferences.set_default(url)?;
    Ok(report)
}

async fn remove(session: &mut Session, url: &MintUrl) -> Result<Report, Failure> {
    known(session, url).await?;
    for sum in session.store.balances().await?.into_iter().filter(|sum| sum.mint == *url) {
        if !sum.available.is_zero() || !sum.held.is_zero() {
            let left =
                format!("there are {} {} of {url} in the wallet, and {} held", sum.available, sum.unit, sum.held);
            return Err(Failure::new(Kind::Refused, left).hint("spend them first, with `hazel send` or `hazel pay`"));
        }
    }
    for unit in session.units(url).await? {
        let open = session.store.unfinished(url, &unit).await?;
        // An invoice may stay unpaid for ever; should it be paid after all, its ecash still comes in.
        if open.iter().any(|row| row.state.kind() != OperationKind::Mint) {
            return Err(Failure::new(Kind::Refused, format!("something is not finished at {url}"))
                .hint("`hazel pending` shows it"));
        }
    }
    session.preferences.remove(url)?;
    let line = format!("{url} is not trusted any more. `hazel mints add {url}` would take it back.");
    Ok(Report::line(json!({ "url": url, "removed": true }), line))
}

async fn known(session: &Session, url: &MintUrl) -> Result<(), Failure> {
    if session.trusts(url).await? {
        return Ok(());
    }
    Err(Failure::new(Kind::Refused, format!("{url} is not in this wallet")).hint("`hazel mints` lists those that are"))
}
