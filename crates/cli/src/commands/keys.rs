//! `hazel keys`: the wallet's public keys, for others to lock money to. They come from the seed.

use hazel_wallet::{LOCK_KEYS, Wallet};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;

/// What can be done with keys.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum KeysCommand {
    /// List the keys in use
    List,
    /// Take one more key into use, so that two senders cannot see that they pay the same person
    New,
}

pub(super) async fn run(session: &mut Session, command: Option<KeysCommand>) -> Result<Report, Failure> {
    let mint = session.selected_mint().await?;
    let wallet = session.wallet(&mint, &session.global.unit_or_sat())?;
    let count = session.preferences.key_count().min(LOCK_KEYS);
    if matches!(command, Some(KeysCommand::New)) {
        let (document, line) = key(&wallet, count)?;
        session.preferences.add_key()?;
        return Ok(Report::line(json!({ "keys": [document] }), line));
    }
    let keys = (0..count).map(|number| key(&wallet, number)).collect::<Result<Vec<_>, Failure>>()?;
    let (documents, lines): (Vec<Value>, Vec<String>) = keys.into_iter().unzip();
    Ok(Report::new(json!({ "keys": documents }), lines))
}

fn key(wallet: &Wallet, number: u32) -> Result<(Value, String), Failure> {
    let key = wallet.lock_key(number)?.to_string();
    Ok((json!({ "number": number, "key": key }), key))
}
