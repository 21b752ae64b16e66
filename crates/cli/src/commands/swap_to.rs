//! `hazel receive --swap-to`: the money of a mint that is not trusted, moved over Lightning to one that is.

use hazel_protocol::{CurrencyUnit, MintUrl, Token};
use hazel_wallet::{PreparedReceive, PreparedTransfer, ReceiveOptions, Wallet};
use serde_json::{Value, json};

use crate::consent::confirm;
use crate::failure::{Failure, Kind, add_mint_hint};
use crate::session::Session;

/// The mint that the money goes to.
///
/// # Errors
/// [`Kind::Refused`] when the user does not trust it.
pub(super) async fn target(session: &Session, url: &MintUrl, unit: &CurrencyUnit) -> Result<Wallet, Failure> {
    if !session.trusts(url).await? {
        return Err(Failure::new(Kind::Refused, format!("{url} is not in this wallet either"))
            .hint(add_mint_hint(url.as_str())));
    }
    session.wallet(url, unit)
}

/// Takes what the token holds of one mint, and moves it. The mint is known from then on, so that what is interrupted goes on, and
/// is not trusted: nothing else is received of it.
pub(super) async fn receive(
    session: &mut Session,
    token: &Token,
    from: &Wallet,
    to: &Wallet,
    options: &ReceiveOptions,
) -> Result<(Value, String), Failure> {
    session.preferences.remove(from.mint_url())?;
    session.output.while_waiting("Asking the other mint", from.add_mint()).await?;
    let prepared =
        session.output.while_waiting("Checking the token", from.prepare_receive_with(token, options)).await?;
    confirm(&session.output, session.global.yes, &question(from, to, &prepared)).await?;
    let memo = prepared.memo().map(str::to_owned);
    let received = session.output.while_waiting("Receiving", prepared.confirm()).await?;
    let moving =
        session.output.while_waiting("Asking what moving it costs", from.prepare_transfer(to, received.amount));
    let moved = match moving.await {
        Ok(transfer) => session.output.while_waiting("Moving the money", transfer_all(transfer)).await,
        Err(error) => Err(error),
    };
    let moved = moved.map_err(|error| stays(from, error.into()))?;
    let left = from.balance().await?.available;
    let json = json!({
        "mint": from.mint_url(),
        "unit": from.unit(),
        "amount": moved.amount,
        "fee": received.fee.checked_add(moved.fee).map_err(hazel_wallet::Error::from)?,
        "memo": memo,
        "swapped_to": to.mint_url(),
        "left": left,
        "state": "received",
        "operation": received.operation.to_string(),
        "payment": moved.melt.to_string(),
        "mint_operation": moved.mint.to_string(),
    });
    let rest = if left.is_zero() { String::new() } else { format!(", and {left} stay at {}", from.mint_url()) };
    Ok((json, format!("{} {} came in at {}{rest}.", moved.amount, from.unit(), to.mint_url())))
}

async fn transfer_all(transfer: PreparedTransfer) -> Result<hazel_wallet::Transferred, hazel_wallet::Error> {
    Box::pin(transfer.confirm()).await
}

fn question(from: &Wallet, to: &Wallet, prepared: &PreparedReceive) -> String {
    let fee = if prepared.fee().is_zero() { "no fee".to_owned() } else { format!("a fee of {}", prepared.fee()) };
    format!(
        "Take {} {} of {}, which is not trusted, for {fee}, and move it to {}, less what Lightning costs?",
        prepared.amount(),
        from.unit(),
        from.mint_url(),
        to.mint_url()
    )
}

/// Says of a failure where the money is.
fn stays(from: &Wallet, failure: Failure) -> Failure {
    let message = format!("the money was received and is at {}, but not moved: {}", from.mint_url(), failure.message);
    Failure { message, ..failure }.hint(format!("to keep it there: `hazel mints add {}`", from.mint_url()))
}
