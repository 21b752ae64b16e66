//! `hazel keys`: the wallet's public keys, for others to lock money to. They come from the seed.

use hazel_wallet::{LOCK_KEYS, Wallet};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Report;
use crate::qr;
use crate::session::Session;

/// What to do with keys.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArgs {
    /// Show the last of them as a QR code, too
    #[arg(long, global = true)]
    qr: bool,
    /// What to do with them.
    #[command(subcommand)]
    command: Option<KeysCommand>,
}

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
enum KeysCommand {
    /// List the keys in use
    List,
    /// Take one more key into use, so that two senders cannot see that they pay the same person
    New,
}

pub(super) async fn run(session: &mut Session, args: KeysArgs) -> Result<Report, Failure> {
    let mint = session.selected_mint().await?;
    let wallet = session.wallet(&mint, &session.global.unit_or_sat())?;
    let count = session.preferences.key_count().min(LOCK_KEYS);
    if matches!(args.command, Some(KeysCommand::New)) {
        let (document, line) = key(&wallet, count)?;
        if args.qr {
            qr::show(&session.output, &line).await;
        }
        session.preferences.add_key()?;
        return Ok(Report::line(json!({ "keys": [document] }), line));
    }
    let keys = (0..count).map(|number| key(&wallet, number)).collect::<Result<Vec<_>, Failure>>()?;
    let (documents, lines): (Vec<Value>, Vec<String>) = keys.into_iter().unzip();
    if let (Some(last), true) = (lines.last(), args.qr) {
        qr::show(&session.output, last).await;
    }
    Ok(Report::new(json!({ "keys": documents }), lines))
}

fn key(wallet: &Wallet, number: u32) -> Result<(Value, String), Failure> {
    let key = wallet.lock_key(number)?.to_string();
    Ok((json!({ "number": number, "key": key }), key))
}
