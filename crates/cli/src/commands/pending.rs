//! `hazel pending`: what is not finished. Asks the mints which tokens were claimed.

use std::collections::BTreeMap;

use hazel_protocol::{Amount, CurrencyUnit, MintUrl};
use hazel_wallet::Wallet;
use hazel_wallet::ports::{OperationId, OperationRecord, ProofStatus};
use hazel_wallet::state::State;
use serde_json::{Value, json};

use crate::cli::PendingArgs;
use crate::failure::{Failure, Kind};
use crate::output::Report;
use crate::resume::verb;
use crate::session::Session;

pub(super) async fn run(session: &Session, args: &PendingArgs) -> Result<Report, Failure> {
    let mut pending = Pending::default();
    for mint in session.store.mints().await? {
        for unit in session.units(&mint.url).await? {
            pending.operations(session, &mint.url, &unit).await?;
            pending.tokens(session, &mint.url, &unit, args.tokens).await?;
        }
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

    /// Tokens that were handed out and not seen claimed.
    async fn tokens(
        &mut self,
        session: &Session,
        mint: &MintUrl,
        unit: &CurrencyUnit,
        show: bool,
    ) -> Result<(), Failure> {
        if session.store.proofs(mint, unit, ProofStatus::Sent).await?.is_empty() {
            return Ok(());
        }
        let wallet = session.wallet(mint, unit)?;
        if let Err(error) = wallet.check_sent().await {
            session.output.note(format!("Whether tokens of {mint} were claimed is not known: {error}."));
        }
        for (operation, value) in unclaimed(session, mint, unit).await? {
            self.token(&wallet, operation, value, show).await?;
        }
        Ok(())
    }

    async fn token(
        &mut self,
        wallet: &Wallet,
        operation: OperationId,
        value: Amount,
        show: bool,
    ) -> Result<(), Failure> {
        let (mint, unit) = (wallet.mint_url(), wallet.unit());
        self.lines.push(format!("token with {value} {unit} of {mint}: not claimed yet"));
        let mut json = json!({ "operation": operation.to_string(), "mint": mint, "unit": unit, "unclaimed": value });
        if show {
            let token = wallet.token_of(operation).await?.token.to_string();
            self.lines.push(format!("    {token}"));
            json["token"] = json!(token);
        }
        self.tokens.push(json);
        Ok(())
    }

    fn report(mut self) -> Report {
        if self.lines.is_empty() {
            self.lines.push("Everything is finished.".to_owned());
        } else if self.tokens.iter().any(|token| token.get("token").is_none()) {
            self.lines
                .push("`hazel pending --tokens` shows the tokens; `hazel receive TOKEN` takes one back.".to_owned());
        }
        Report { json: json!({ "operations": self.operations, "tokens": self.tokens }), lines: self.lines }
    }
}

async fn unclaimed(
    session: &Session,
    mint: &MintUrl,
    unit: &CurrencyUnit,
) -> Result<BTreeMap<OperationId, Amount>, Failure> {
    let mut sums: BTreeMap<OperationId, Amount> = BTreeMap::new();
    for proof in session.store.proofs(mint, unit, ProofStatus::Sent).await? {
        let Some(operation) = proof.sent_by else { continue };
        let sum = sums.entry(operation).or_default();
        *sum = sum
            .checked_add(proof.proof.amount)
            .map_err(|error| Failure::new(Kind::Wallet, format!("the tokens do not add up: {error}")))?;
    }
    Ok(sums)
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
        _ => "the mint has not given a clear answer yet",
    }
}
