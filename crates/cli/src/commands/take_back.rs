//! `hazel take-back`: tokens that nobody claimed, swapped for proofs that only this wallet knows.

use hazel_protocol::Amount;
use hazel_wallet::ports::OperationId;
use hazel_wallet::{PreparedReceive, Wallet};
use serde_json::{Value, json};

use crate::consent::confirm;
use crate::failure::Failure;
use crate::handed_out::{self, HandedOut};
use crate::output::Report;
use crate::session::Session;
use crate::table::{Align, Table};

/// What to take back.
#[derive(Debug, clap::Args)]
pub(crate) struct TakeBackArgs {
    /// The sends whose tokens to take back, as the list names them
    #[arg(value_name = "OPERATION", conflicts_with = "all")]
    pub(crate) operations: Vec<OperationId>,
    /// Take back every token that nobody claimed
    #[arg(long)]
    pub(crate) all: bool,
}

pub(super) async fn run(session: &Session, args: &TakeBackArgs) -> Result<Report, Failure> {
    if !args.all && args.operations.is_empty() {
        return list(session).await;
    }
    session.output.when_interrupted(
        "If a token was being taken back, any `hazel` command goes on with it; else it is still good.",
    );
    let mut taken = Taken::default();
    for operation in wanted(session, args).await? {
        let back = match prepare(session, operation).await {
            Ok((wallet, prepared)) => take(session, operation, &wallet, prepared).await,
            Err(failure) => Err(failure),
        };
        taken.add(session, operation, back);
    }
    taken.report()
}

async fn list(session: &Session) -> Result<Report, Failure> {
    let mut tokens = handed_out::look(session).await?;
    tokens.retain(|token| !token.unclaimed.is_zero());
    let json = json!({ "tokens": tokens.iter().map(document).collect::<Vec<_>>() });
    if tokens.is_empty() {
        return Ok(Report::line(json, "No token waits to be claimed."));
    }
    let mut table = Table::new(&[
        ("made (UTC)", Align::Left),
        ("unclaimed", Align::Right),
        ("unit", Align::Left),
        ("operation", Align::Left),
        ("mint", Align::Left),
    ]);
    for token in &tokens {
        table.row(&[
            token.made_at.clone(),
            token.unclaimed.to_string(),
            token.unit.to_string(),
            token.operation.to_string(),
            token.mint.to_string(),
        ]);
    }
    let mut lines = table.lines(session.output.width());
    lines.push("`hazel take-back OPERATION` takes one back, `hazel take-back --all` all of them.".to_owned());
    Ok(Report::new(json, lines).heading(0))
}

fn document(token: &HandedOut) -> Value {
    json!({
        "operation": token.operation.to_string(),
        "mint": token.mint,
        "unit": token.unit,
        "value": token.value,
        "unclaimed": token.unclaimed,
    })
}

async fn wanted(session: &Session, args: &TakeBackArgs) -> Result<Vec<OperationId>, Failure> {
    if !args.all {
        return Ok(args.operations.clone());
    }
    let tokens = handed_out::look(session).await?;
    Ok(tokens.iter().filter(|token| !token.unclaimed.is_zero()).map(|token| token.operation).collect())
}

async fn prepare(session: &Session, operation: OperationId) -> Result<(Wallet, PreparedReceive), Failure> {
    let row = session.store.operation(operation).await?.ok_or(hazel_wallet::Error::OperationUnknown)?;
    let wallet = session.wallet(&row.mint, &row.unit)?;
    let prepared = session.output.while_waiting("Looking at the token", wallet.prepare_take_back(operation)).await?;
    Ok((wallet, prepared))
}

async fn take(
    session: &Session,
    operation: OperationId,
    wallet: &Wallet,
    prepared: PreparedReceive,
) -> Result<Value, Failure> {
    let (unit, mint) = (wallet.unit(), wallet.mint_url());
    let fee = if prepared.fee().is_zero() { "no fee".to_owned() } else { format!("a fee of {}", prepared.fee()) };
    let question = format!(
        "Take back {} {unit} of {mint}, for {fee}? Whoever has the token is left with nothing.",
        prepared.amount()
    );
    confirm(&session.output, session.global.yes, &question).await?;
    let done = session.output.while_waiting("Taking it back", prepared.confirm()).await?;
    Ok(json!({
        "operation": done.operation.to_string(),
        "send": operation.to_string(),
        "mint": mint,
        "unit": unit,
        "amount": done.amount,
        "fee": done.fee,
    }))
}

/// What came of several tokens.
#[derive(Default)]
struct Taken {
    parts: Vec<Value>,
    lines: Vec<String>,
    failure: Option<Failure>,
}

impl Taken {
    fn add(&mut self, session: &Session, operation: OperationId, back: Result<Value, Failure>) {
        match back {
            Ok(part) => {
                let (amount, unit) = (&part["amount"], part["unit"].as_str().unwrap_or_default());
                self.lines.push(format!("{amount} {unit} are back."));
                self.parts.push(part);
            }
            Err(failure) => {
                session.output.note(format!("{operation}: {}", failure.message));
                self.failure = Some(failure);
            }
        }
    }

    fn report(self) -> Result<Report, Failure> {
        match self.failure {
            Some(failure) if self.parts.is_empty() => Err(failure),
            failure if self.parts.is_empty() => {
                Ok(Report::line(json!({ "taken_back": [] }), "No token waits to be claimed.").but(failure))
            }
            failure => Ok(Report::new(json!({ "taken_back": self.parts }), self.lines).but(failure)),
        }
    }
}

/// What of a token was claimed, for people.
pub(super) fn claimed(token: &HandedOut) -> String {
    let claimed: Amount = token.value.checked_sub(token.unclaimed).unwrap_or_default();
    match token.state() {
        "claimed" => "was claimed".to_owned(),
        "unclaimed" => "not claimed yet".to_owned(),
        _ => format!("{claimed} of it were claimed, {} not yet", token.unclaimed),
    }
}
