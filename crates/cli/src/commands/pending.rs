//! `hazel pending`: what is not finished. Asks the mints which tokens were claimed.

use hazel_protocol::{Amount, CurrencyUnit, MintUrl};
use hazel_wallet::ports::OperationRecord;
use hazel_wallet::state::State;
use serde_json::{Value, json};

use super::take_back::claimed;
use crate::cli::PendingArgs;
use crate::failure::Failure;
use crate::handed_out::{self, HandedOut};
use crate::output::Report;
use crate::resume::verb;
use crate::session::Session;

pub(super) async fn run(session: &Session, args: &PendingArgs) -> Result<Report, Failure> {
    let mut pending = Pending::default();
    for mint in session.store.mints().await? {
        for unit in session.units(&mint.url).await? {
            pending.operations(session, &mint.url, &unit).await?;
        }
    }
    for token in handed_out::look(session).await? {
        pending.token(session, &token, args.tokens).await?;
    }
    Ok(pending.report())
}

#[derive(Default)]
struct Pending {
    operations: Vec<Value>,
    tokens: Vec<Value>,
    lines: Vec<String>,
}

impl Pending {
    async fn operations(&mut self, session: &Session, mint: &MintUrl, unit: &CurrencyUnit) -> Result<(), Failure> {
        for row in session.store.unfinished(mint, unit).await? {
            let (amount, invoice) = facts(&row);
            let amount_text = amount.map(|amount| format!(" of {amount} {unit}")).unwrap_or_default();
            self.lines.push(format!("{}{amount_text} at {mint}: {}", verb(row.state.kind()), stands(&row.state)));
            if let Some(invoice) = &invoice {
                self.lines.push(format!("    {invoice}"));
            }
            self.operations.push(json!({
                "operation": row.id.to_string(),
                "kind": verb(row.state.kind()),
                "state": row.state.name(),
                "mint": mint,
                "unit": unit,
                "amount": amount,
                "invoice": invoice,
                "began_at": row.created_at.to_unix(),
            }));
        }
        Ok(())
    }

    /// A token that was handed out.
    async fn token(&mut self, session: &Session, token: &HandedOut, show: bool) -> Result<(), Failure> {
        let HandedOut { operation, mint, unit, value, unclaimed, made_at } = token;
        self.lines.push(format!("token with {value} {unit} of {mint}, made {made_at} UTC: {}", claimed(token)));
        let mut json = json!({
            "operation": operation.to_string(),
            "state": token.state(),
            "mint": mint,
            "unit": unit,
            "value": value,
            "unclaimed": unclaimed,
        });
        if show && !unclaimed.is_zero() {
            let token = session.wallet(mint, unit)?.token_of(*operation).await?.token.to_string();
            self.lines.push(format!("    {token}"));
            json["token"] = json!(token);
        }
        self.tokens.push(json);
        Ok(())
    }

    fn report(mut self) -> Report {
        if self.lines.is_empty() {
            self.lines.push("Everything is finished.".to_owned());
        } else if self.tokens.iter().any(|token| token["state"] != "claimed" && token.get("token").is_none()) {
            self.lines.push("`hazel pending --tokens` shows the tokens; `hazel take-back` takes them back.".to_owned());
        }
        Report::new(json!({ "operations": self.operations, "tokens": self.tokens }), self.lines)
    }
}

/// What it is about: an amount, an invoice.
fn facts(row: &OperationRecord) -> (Option<Amount>, Option<String>) {
    match &row.state {
        State::MintQuoted(state) => (Some(state.amount), Some(state.request.clone())),
        State::MintRequested(state) => (Some(state.quoted.amount), Some(state.quoted.request.clone())),
        State::SendPrepared(state) => (Some(state.amount), None),
        State::SendRequested(state) => (Some(state.prepared.amount), None),
        State::MeltPrepared(state) => (Some(state.quote.amount), Some(state.quote.request.clone())),
        State::MeltRequested(state) => (Some(state.prepared.quote.amount), Some(state.prepared.quote.request.clone())),
        State::MeltReplaced(state) => {
            let quote = &state.requested.prepared.quote;
            (Some(quote.amount), Some(quote.request.clone()))
        }
        _ => (None, None),
    }
}

/// How it stands, for people.
fn stands(state: &State) -> &'static str {
    match state {
        State::MintQuoted(state) if state.paid => "paid; any command takes the ecash",
        State::MintQuoted(_) => "waits to be paid: `hazel mint --resume`",
        State::MeltRequested(_) => "the payment is under way, its money is held",
        State::MeltReplaced(_) => "the payment failed, its money is being brought back",
        State::RestoreScanning(_) => "`hazel restore` goes on with it",
        State::SendPrepared(_) | State::MeltPrepared(_) => "not confirmed",
        State::ReceiveStored(_) => "taken while the mint was away; any command swaps it",
        _ => "the mint has not given a clear answer yet",
    }
}
