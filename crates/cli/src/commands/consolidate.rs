//! `hazel consolidate`: many small coins, or coins of old keysets, exchanged for few new ones.

use hazel_wallet::Error;
use serde_json::json;

use crate::consent::confirm;
use crate::failure::Failure;
use crate::output::Report;
use crate::session::Session;

pub(super) async fn run(session: &mut Session) -> Result<Report, Failure> {
    let wallet = session.selected_wallet().await?;
    let (unit, mint) = (wallet.unit(), wallet.mint_url());
    let prepared = match session.output.while_waiting("Choosing coins", wallet.prepare_consolidate()).await {
        Ok(prepared) => prepared,
        Err(Error::NothingToConsolidate) => {
            let json = json!({ "mint": mint, "unit": unit, "consolidated": false });
            return Ok(Report::line(json, "The coins are few and new already."));
        }
        Err(error) => return Err(error.into()),
    };
    let (before, after) = (prepared.coins_before(), prepared.coins_after());
    let fee = if prepared.fee().is_zero() { "no fee".to_owned() } else { format!("a fee of {}", prepared.fee()) };
    let question =
        format!("Exchange {before} coins over {} {unit} for {after} new ones at {mint}, for {fee}?", prepared.value());
    confirm(&session.output, session.global.yes, &question).await?;
    session.output.when_interrupted("Any `hazel` command goes on with the exchange.");
    let done = session.output.while_waiting("Exchanging coins", prepared.confirm()).await?;
    let json = json!({
        "mint": mint,
        "unit": unit,
        "consolidated": true,
        "amount": done.amount,
        "fee": done.fee,
        "coins_before": before,
        "coins_after": after,
        "operation": done.operation.to_string(),
    });
    Ok(Report::line(json, format!("{before} coins are {after} now, over {} {unit}.", done.amount)))
}
