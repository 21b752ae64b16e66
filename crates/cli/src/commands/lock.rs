//! `hazel lock` and `hazel unlock`: a lock for others to use, and a signature on a token that needs several.

use hazel_protocol::Token;
use hazel_protocol::conditions::{Condition, Unlock};
use hazel_wallet::ReceiveOptions;
use serde_json::json;

use super::receive;
use crate::failure::{Failure, Kind};
use crate::locking::{self, LockArgs, PreimageArgs};
use crate::output::Report;
use crate::qr;
use crate::session::Session;

/// Which lock to describe.
#[derive(Debug, clap::Args)]
pub(crate) struct LockCommandArgs {
    /// Who may open it.
    #[command(flatten)]
    pub(crate) lock: LockArgs,
}

/// Which token to sign.
#[derive(Debug, clap::Args)]
pub(crate) struct UnlockArgs {
    /// The token, or `-` to read it from standard input
    #[arg(default_value = "-")]
    pub(crate) token: String,
    /// What opens a hash lock.
    #[command(flatten)]
    pub(crate) preimage: PreimageArgs,
    /// Show the token as a QR code, too
    #[arg(long)]
    pub(crate) qr: bool,
}

pub(super) async fn describe(session: &Session, args: &LockCommandArgs) -> Result<Report, Failure> {
    let mint = session.selected_mint().await?;
    let wallet = session.wallet(&mint, &session.global.unit_or_sat())?;
    let Some(terms) = args.lock.terms(&wallet)? else {
        return Err(Failure::new(Kind::Usage, "a lock needs a key or a hash")
            .hint("`hazel lock --lock-to KEY`; `--lock-to me` for a key of this wallet"));
    };
    let document = locking::document(&terms)?;
    let text = document.to_string();
    session.output.note(format!("A lock {}. Use it with `hazel send AMOUNT --lock LOCK`.", locking::sentence(&terms)));
    Ok(Report::line(json!({ "lock": document, "text": text }), text))
}

pub(super) async fn unlock(session: &mut Session, args: UnlockArgs) -> Result<Report, Failure> {
    let mut texts = receive::texts(vec![args.token])?;
    let (Some(text), true) = (texts.pop(), texts.is_empty()) else {
        return Err(Failure::new(Kind::Usage, "one token at a time can be signed"));
    };
    let token = receive::parse(&text)?;
    let mints = receive::distinct(&token);
    let [mint] = mints.as_slice() else {
        return Err(Failure::new(Kind::Refused, "the token holds money of several mints")
            .hint("ask the sender for one token for each"));
    };
    let wallet = receive::wallet_for(session, &token, mint, false).await?;
    let options = ReceiveOptions { preimage: args.preimage.read()? };
    let signing = wallet.cosign_with(&token, &options);
    let signed = session.output.while_waiting("Looking at the token", signing).await?;
    let (has, needs) = signatures(&signed);
    let missing = needs.saturating_sub(has);
    session.output.note(match missing {
        0 => "Everything that opens the token is in it: whoever sees it can take its money.".to_owned(),
        1 => "One more signature is missing: hand the token to whoever has the next key.".to_owned(),
        more => format!("{more} more signatures are missing: hand the token to whoever has the next key."),
    });
    let text = signed.to_string();
    if args.qr {
        qr::show(&session.output, &text).await;
    }
    Ok(Report::line(json!({ "token": text, "signatures": has, "needed": needs }), text))
}

/// How many signatures the proof has that has fewest of those it needs, and how many it needs.
fn signatures(token: &Token) -> (usize, usize) {
    let counts = token.token_proofs().into_iter().filter_map(|(_, proof)| {
        let condition = Condition::of(&proof.secret).ok().flatten()?;
        let (_, needed) = condition.signers()?;
        let has = Unlock::read(proof.witness.as_ref()).map_or(0, |unlock| unlock.signatures.len());
        Some((has, needed))
    });
    counts.max_by_key(|(has, needed)| needed.saturating_sub(*has)).unwrap_or_default()
}
