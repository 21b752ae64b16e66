//! `hazel send`: a token for somebody else.

use hazel_protocol::Amount;
use hazel_wallet::{LockTerms, PreparedSend, SendOptions, SentToken, Wallet};
use serde_json::json;

use crate::cli::amount;
use crate::consent::confirm;
use crate::failure::{Failure, Kind};
use crate::locking::{self, LockArgs};
use crate::output::Report;
use crate::qr;
use crate::session::Session;

/// What to send.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub(crate) struct SendArgs {
    /// How much
    #[arg(value_parser = amount)]
    pub(crate) amount: Amount,
    /// A text for the receiver
    #[arg(long, value_name = "TEXT")]
    pub(crate) memo: Option<String>,
    /// Add what the receiver's swap costs, so that the whole amount arrives
    #[arg(long)]
    pub(crate) include_fee: bool,
    /// Do not ask the mint: coins that fit exactly must be in the wallet
    #[arg(long)]
    pub(crate) offline: bool,
    /// Show the token as a QR code, too; a long one as several, one after the other (NUT-16)
    #[arg(long)]
    pub(crate) qr: bool,
    /// Lock the token as `hazel lock` describes it
    #[arg(long, value_name = "LOCK", conflicts_with_all = ["lock_to", "hash", "locktime", "sig_all"])]
    pub(crate) lock: Option<String>,
    /// Hide the keys of the lock from the mint (NUT-28)
    #[arg(long)]
    pub(crate) blind: bool,
    /// Who may spend it.
    #[command(flatten)]
    pub(crate) locking: LockArgs,
}

pub(super) async fn run(session: &mut Session, args: SendArgs) -> Result<Report, Failure> {
    let wallet = session.selected_wallet().await?;
    let lock = match &args.lock {
        Some(text) => Some(locking::read(text)?),
        None => args.locking.terms(&wallet)?,
    };
    let lock = lock.map(|terms| LockTerms { blind: args.blind, ..terms });
    if lock.is_none() && args.blind {
        return Err(Failure::new(Kind::Usage, "without a lock there are no keys to hide").hint("add `--lock-to KEY`"));
    }
    if lock.is_some() && args.offline {
        return Err(
            Failure::new(Kind::Usage, "a locked token cannot be made without the mint").hint("leave out `--offline`")
        );
    }
    let options = SendOptions {
        memo: args.memo.clone(),
        pay_receiver_fee: args.include_fee,
        lock: lock.clone(),
        offline: args.offline,
    };
    let prepared = match wallet.prepare_send(args.amount, options).await {
        Ok(prepared) => prepared,
        Err(error) => return Err(session.or_elsewhere(error.into(), args.amount, wallet.unit()).await),
    };
    session.output.when_interrupted(
        "If the token was being made, `hazel pending --tokens` shows it; else the money is free again.",
    );
    let question = question(&wallet, &prepared, lock.as_ref());
    if let Err(failure) = confirm(&session.output, session.global.yes, &question).await {
        prepared.cancel().await?;
        return Err(failure);
    }
    let sent = session.output.while_waiting("Making the token", prepared.confirm()).await?;
    if args.qr {
        session.output.when_interrupted("The token is made: `hazel pending --tokens` shows it again.");
        qr::show(&session.output, &sent.token.to_string()).await;
    }
    report(session, &wallet, &args, lock.as_ref(), &sent)
}

fn question(wallet: &Wallet, prepared: &PreparedSend, lock: Option<&LockTerms>) -> String {
    let fee = if prepared.fee().is_zero() { "no fee".to_owned() } else { format!("a fee of {}", prepared.fee()) };
    let (unit, mint) = (wallet.unit(), wallet.mint_url());
    let lock = lock.map(|terms| format!(", {}", locking::sentence(terms))).unwrap_or_default();
    format!("Make a token of {} {unit} from {mint}{lock}, for {fee}?", prepared.token_value())
}

fn report(
    session: &Session,
    wallet: &Wallet,
    args: &SendArgs,
    lock: Option<&LockTerms>,
    sent: &SentToken,
) -> Result<Report, Failure> {
    let token = sent.token.to_string();
    let warning = match lock {
        None => "It is money: whoever sees it first can take it.".to_owned(),
        Some(terms) => format!("It is {}.", locking::sentence(terms)),
    };
    session.output.note(format!("A token of {} {}. {warning}", sent.token_value, wallet.unit()));
    let lock = lock.map(locking::document).transpose()?;
    let json = json!({
        "mint": wallet.mint_url(),
        "unit": wallet.unit(),
        "amount": args.amount,
        "token_value": sent.token_value,
        "fee": sent.fee,
        "memo": args.memo,
        "lock": lock,
        "operation": sent.operation.to_string(),
        "token": token,
    });
    Ok(Report::line(json, token))
}
