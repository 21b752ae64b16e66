//! `hazel backup`: the list of mints kept at relays of Nostr, for whoever has the seed (NUT-27).

use clap::Args;
use hazel_nostr::backup::MintList;
use hazel_protocol::{MintUrl, neutralise};
use hazel_wallet::ports::RemoteError;
use serde_json::json;

use crate::consent::confirm;
use crate::failure::{Failure, Kind};
use crate::output::Report;
use crate::session::Session;

/// Where to keep the list of mints.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// A relay of Nostr that shall keep the list; name several, for any of them may forget
    #[arg(long, value_name = "RELAY", num_args = 1.., required = true)]
    pub(crate) to_nostr: Vec<String>,
}

pub(super) async fn run(session: &Session, args: &BackupArgs) -> Result<Report, Failure> {
    let mints: Vec<MintUrl> = session.mints().await?.into_iter().map(|mint| mint.url).collect();
    if mints.is_empty() {
        return Err(Failure::new(Kind::Refused, "there are no mints in this wallet to write down"));
    }
    let backup = session.mint_backup(&args.to_nostr)?;
    let publishing = backup.publish(session.environment(), &args.to_nostr, &mints);
    let answers = session.output.while_waiting("Asking relays to keep the list", publishing).await;
    let answers = answers.map_err(|error| Failure::new(Kind::Refused, format!("the list of mints: {error}")))?;
    let relays = args.to_nostr.iter().zip(&answers).map(|(url, answer)| {
        json!({ "relay": url, "kept": answer.is_ok(), "reason": answer.as_ref().err().map(ToString::to_string) })
    });
    let json = json!({ "mints": mints, "relays": relays.collect::<Vec<_>>() });
    let mut lines: Vec<String> = args.to_nostr.iter().zip(&answers).map(|(url, answer)| said(url, answer)).collect();
    let kept = answers.iter().filter(|answer| answer.is_ok()).count();
    if kept == 0 {
        return Err(nowhere(&answers.into_iter().filter_map(Result::err).collect::<Vec<_>>()));
    }
    lines.push(format!("{} mints are written down. `hazel restore --from-nostr` finds them by the seed.", mints.len()));
    Ok(Report::new(json, lines))
}

fn said(url: &str, answer: &Result<(), RemoteError>) -> String {
    let url = neutralise(url);
    match answer {
        Ok(()) => format!("{url} keeps it."),
        Err(error) => format!("{url} does not: {error}."),
    }
}

/// What it comes to when no relay did what it was asked.
fn nowhere(errors: &[RemoteError]) -> Failure {
    let all_unsent = errors.iter().all(|error| matches!(error, RemoteError::NotSent(_)));
    let kind = if all_unsent { Kind::Unreachable } else { Kind::Refused };
    let reason = errors.last().map(ToString::to_string).unwrap_or_default();
    Failure::new(kind, format!("no relay helped; the last one: {reason}"))
}

/// Adds the mints of the list that the relays keep, as far as the user trusts them.
pub(super) async fn add_mints(session: &mut Session, relays: &[String]) -> Result<(), Failure> {
    let backup = session.mint_backup(relays)?;
    let found = session.output.while_waiting("Asking relays for the list of mints", backup.find(relays)).await;
    let Some(MintList { mints, unreadable, .. }) = found.map_err(|error| nowhere(&[error]))? else {
        return Err(Failure::new(Kind::Refused, "the relays have no list of mints for this seed")
            .hint("name other relays, or the mint itself: `--mint URL`"));
    };
    if unreadable > 0 {
        session.output.note(format!("{unreadable} entries of the list are not mints."));
    }
    for mint in mints {
        if session.trusts(&mint).await? {
            continue;
        }
        match confirm(&session.output, session.global.yes, &format!("Trust {mint} and look for money there?")).await {
            Ok(()) => {}
            Err(failure) if failure.kind == Kind::Declined => continue,
            Err(failure) => return Err(failure),
        }
        let wallet = session.wallet(&mint, &session.global.unit_or_sat())?;
        // One mint that is gone must not keep the others from being found.
        if let Err(failure) = session.add(&wallet).await {
            session.output.note(format!("{mint} cannot be added: {}.", failure.message));
        }
    }
    Ok(())
}
