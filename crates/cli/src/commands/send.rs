//! `hazel send`: a token for somebody else.

use hazel_wallet::{SendOptions, SentToken, Wallet};
use serde_json::json;

use crate::cli::SendArgs;
use crate::consent::confirm;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, args: SendArgs) -> Result<Report, Failure> {
    let wallet = session.selected_wallet().await?;
    let options = SendOptions { memo: args.memo.clone(), pay_receiver_fee: args.include_fee, ..SendOptions::default() };
    let prepared = match wallet.prepare_send(args.amount, options).await {
        Ok(prepared) => prepared,
        Err(error) => return Err(session.or_elsewhere(error.into(), args.amount, wallet.unit()).await),
    };
    session.output.when_interrupted(
        "If the token was being made, `hazel pending --tokens` shows it; else the money is free again.",
    );
    let fee = if prepared.fee().is_zero() { "no fee".to_owned() } else { format!("a fee of {}", prepared.fee()) };
    let (unit, mint) = (wallet.unit(), wallet.mint_url());
    let question = format!("Make a token of {} {unit} from {mint}, for {fee}?", prepared.token_value());
    if let Err(failure) = confirm(&session.output, session.global.yes, &question).await {
        prepared.cancel().await?;
        return Err(failure);
    }
    let sent = session.output.while_waiting("Making the token", prepared.confirm()).await?;
    Ok(report(&session.output, &wallet, &args, &sent))
}

fn report(output: &crate::output::Output, wallet: &Wallet, args: &SendArgs, sent: &SentToken) -> Report {
    let token = sent.token.to_string();
    output.note(format!(
        "A token of {} {}. It is money: whoever sees it first can take it.",
        sent.token_value,
        wallet.unit()
    ));
    let json = json!({
        "mint": wallet.mint_url(),
        "unit": wallet.unit(),
        "amount": args.amount,
        "token_value": sent.token_value,
        "fee": sent.fee,
        "memo": args.memo,
        "operation": sent.operation.to_string(),
        "token": token,
    });
    Report::line(json, token)
}
