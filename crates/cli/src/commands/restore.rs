//! `hazel restore`: money found again by the seed, over every keyset that the mints ever had.

use std::collections::BTreeSet;

use hazel_protocol::{CurrencyUnit, MintUrl};
use hazel_wallet::ports::MintConnector;
use hazel_wallet::{RestoreOptions, RestoreProgress};
use serde_json::{Value, json};

use super::backup::add_mints;
use crate::cli::Global;
use crate::failure::{Failure, Kind};
use crate::folder::Folder;
use crate::output::{Output, Report};
use crate::seed;
use crate::session::Session;

/// How far to look.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// Look through keysets, too, that another mint of this wallet lists: a mint that copies the keys of another could show its
    /// money as its own
    #[arg(long)]
    shared_keysets: bool,
    /// Look for the list of mints at this relay of Nostr first; may be given several times
    #[arg(long, value_name = "RELAY", num_args = 1..)]
    from_nostr: Vec<String>,
}

/// A seed made this moment has no money anywhere.
pub(super) fn refuse_new_wallet(global: &Global) -> Result<(), Failure> {
    let folder = Folder::new(global.wallet.as_deref())?;
    if seed::exists(&folder) {
        return Ok(());
    }
    Err(Failure::new(Kind::Refused, format!("there is no seed in {} to restore from", folder.path().display()))
        .hint("give it the words of the old wallet: `hazel init --from-words -`"))
}

pub(super) async fn run(session: &mut Session, args: &RestoreArgs) -> Result<Report, Failure> {
    if !args.from_nostr.is_empty() {
        add_mints(session, &args.from_nostr).await?;
    }
    session.output.when_interrupted("What was found is kept. `hazel restore` goes on where it was.");
    let mut restored = Vec::new();
    let mut lines = Vec::new();
    let options = RestoreOptions { shared_keysets: args.shared_keysets };
    for mint in mints(session).await? {
        for unit in units(session, &mint).await? {
            let (json, found) = restore(session, &mint, &unit, options).await?;
            restored.push(json);
            lines.extend(found);
        }
    }
    if lines.is_empty() {
        lines.push("The mint has no money to look for.".to_owned());
    }
    Ok(Report::new(json!({ "restored": restored }), lines))
}

/// The mint that was named; else all that are known; else the usual one.
async fn mints(session: &Session) -> Result<Vec<MintUrl>, Failure> {
    let known = session.mints().await?;
    if session.global.mint.is_some() || known.is_empty() {
        return Ok(vec![session.selected_mint().await?]);
    }
    Ok(known.into_iter().map(|mint| mint.url).collect())
}

/// The unit that was named; else all that the mint lists.
async fn units(session: &Session, mint: &MintUrl) -> Result<BTreeSet<CurrencyUnit>, Failure> {
    if let Some(unit) = &session.global.unit {
        return Ok(BTreeSet::from([unit.clone()]));
    }
    let listed = session.connector(mint)?.keysets().await.map_err(hazel_wallet::Error::from)?;
    let mut units: BTreeSet<CurrencyUnit> = listed.keysets.iter().map(|keyset| keyset.unit.clone()).collect();
    // Not money (NUT-22).
    units.remove(&CurrencyUnit::Auth);
    Ok(units)
}

async fn restore(
    session: &mut Session,
    mint: &MintUrl,
    unit: &CurrencyUnit,
    options: RestoreOptions,
) -> Result<(Value, Vec<String>), Failure> {
    let wallet = session.wallet(mint, unit)?;
    if !session.trusts(mint).await? {
        session.add(&wallet).await?;
    }
    let mut last = None;
    let output = session.output.clone();
    let done = wallet
        .restore_with(options, &mut |progress: RestoreProgress| {
            let is_news = last.replace(progress.keyset) != Some(progress.keyset);
            tell(&output, unit, &progress, is_news);
        })
        .await?;
    let json = json!({
        "mint": mint,
        "unit": unit,
        "amount": done.amount,
        "bad_signatures": done.bad,
        "shared_keysets": done.shared.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "operation": done.operation.to_string(),
    });
    let mut lines = vec![format!("{} {unit} found at {mint}.", done.amount)];
    if done.bad > 0 {
        lines.push(format!("    {} of its signatures are none, and worth nothing.", done.bad));
    }
    if !done.shared.is_empty() {
        let count = done.shared.len();
        lines.push(format!(
            "    {count} of its keysets are listed by another mint, too, and left alone; `--shared-keysets` looks."
        ));
    }
    Ok((json, lines))
}

fn tell(output: &Output, unit: &CurrencyUnit, progress: &RestoreProgress, is_news: bool) {
    let RestoreProgress { keyset_number, keyset_count, scanned, found, .. } = progress;
    output.progress(
        &format!("Keyset {keyset_number} of {keyset_count}: {scanned} places looked at, {found} {unit} found so far"),
        is_news,
    );
}
