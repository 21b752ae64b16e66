//! `hazel pay`: a Lightning invoice or address, paid with ecash.

use hazel_protocol::CurrencyUnit;
use hazel_wallet::{MeltOutcome, PaidMelt, PreparedMelt, Wallet};
use serde_json::json;

use crate::cli::PayArgs;
use crate::consent::confirm;
use crate::failure::{Failure, Kind};
use crate::output::Report;
use crate::session::Session;

pub(super) async fn run(session: &mut Session, args: PayArgs) -> Result<Report, Failure> {
    let wallet = session.selected_wallet().await?;
    let msat = args.amount.map(|amount| in_msat(amount.to_u64(), wallet.unit())).transpose()?;
    let found = super::address::invoice(session, &args.invoice, msat, args.comment.as_deref()).await?;
    let (invoice, msat) = match found {
        Some(invoice) => (invoice, None),
        None => (args.invoice, msat),
    };
    let prepared = match wallet.prepare_melt(&invoice, msat).await {
        Ok(prepared) => prepared,
        Err(hazel_wallet::Error::InsufficientFunds { needed, available, unit }) => {
            let error = hazel_wallet::Error::InsufficientFunds { needed, available, unit };
            return Err(session.or_elsewhere(error.into(), needed, wallet.unit()).await);
        }
        Err(error) => return Err(error.into()),
    };
    session.output.when_interrupted(
        "If the payment was ordered, any `hazel` command sees to its end and its change; else the money is free again.",
    );
    if let Err(failure) = confirm(&session.output, session.global.yes, &question(&wallet, &prepared)).await {
        prepared.cancel().await?;
        return Err(failure);
    }
    match session.output.while_waiting("Paying", Box::pin(prepared.confirm())).await? {
        MeltOutcome::Paid(paid) => Ok(report(&wallet, &paid)),
        MeltOutcome::Pending { operation } => {
            Err(Failure::new(Kind::Pending, "the payment is under way, and the mint does not know its end yet")
                .hint("its money stays held; any `hazel` command asks again, and `hazel pending` shows it")
                .about(operation))
        }
    }
}

/// The amount for an invoice that leaves it open.
fn in_msat(amount: u64, unit: &CurrencyUnit) -> Result<u64, Failure> {
    let factor = match unit {
        CurrencyUnit::Sat => 1_000,
        CurrencyUnit::Msat => 1,
        other => {
            return Err(Failure::new(Kind::Usage, format!("an open invoice cannot be paid in {other}"))
                .hint("ask for an invoice with an amount"));
        }
    };
    amount.checked_mul(factor).ok_or_else(|| Failure::new(Kind::Usage, "the amount is too large"))
}

fn question(wallet: &Wallet, prepared: &PreparedMelt) -> String {
    let unit = wallet.unit();
    let mut most = Vec::new();
    if !prepared.fee_reserve().is_zero() {
        most.push(format!("at most {} for routing", prepared.fee_reserve()));
    }
    if !prepared.input_fee().is_zero() {
        most.push(format!("{} for the mint", prepared.input_fee()));
    }
    let fees = if most.is_empty() { "no fee".to_owned() } else { most.join(" and ") };
    format!("Pay {} {unit} from {}, plus {fees}?", prepared.amount(), wallet.mint_url())
}

fn report(wallet: &Wallet, paid: &PaidMelt) -> Report {
    let json = json!({
        "mint": wallet.mint_url(),
        "unit": wallet.unit(),
        "amount": paid.amount,
        "fee": paid.fee,
        "change": paid.change,
        "preimage": paid.preimage,
        "state": "paid",
        "operation": paid.operation.to_string(),
    });
    let fee = if paid.fee.is_zero() { "no fee".to_owned() } else { format!("a fee of {}", paid.fee) };
    Report::line(json, format!("Paid {} {}, for {fee}.", paid.amount, wallet.unit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_invoices_are_paid_in_bitcoin_units_without_overflow() {
        assert_eq!(in_msat(21, &CurrencyUnit::Sat).expect("fits"), 21_000);
        assert_eq!(in_msat(21, &CurrencyUnit::Msat).expect("fits"), 21);
        assert!(in_msat(u64::MAX, &CurrencyUnit::Sat).is_err());
        assert!(in_msat(21, &CurrencyUnit::Usd).is_err());
    }
}
