//! `hazel mint`: ecash for a Lightning payment.

use hazel_protocol::Amount;
use hazel_wallet::ports::Timestamp;
use hazel_wallet::{PendingMint, Wallet};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::calendar::utc;
use crate::cli::MintArgs;
use crate::environment::now;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Report};
use crate::qr;
use crate::session::Session;

const GO_ON: &str = "The invoice can still be paid. Go on waiting with `hazel mint --resume`.";

pub(super) async fn run(session: &mut Session, args: MintArgs) -> Result<Report, Failure> {
    let amount = match args.amount {
        Some(amount) if !args.resume => amount,
        _ => return resume(session).await,
    };
    let wallet = session.selected_wallet().await?;
    let pending = wallet.prepare_mint(amount, args.description.as_deref()).await?;
    let mut json = describe(&wallet, &pending);
    if args.qr {
        qr::show(&session.output, pending.invoice()).await;
    }
    if args.no_wait {
        let lines = vec![pending.invoice().to_owned(), GO_ON.to_owned()];
        return Ok(Report::new(json, lines));
    }
    session.output.when_interrupted(GO_ON);
    show(&session.output, &wallet, &pending)?;
    let minted = wait(session.output.clone(), pending).await?;
    json["state"] = json!("issued");
    Ok(Report::line(json, format!("{minted} {} came in.", wallet.unit())))
}

fn describe(wallet: &Wallet, pending: &PendingMint) -> Value {
    json!({
        "mint": wallet.mint_url(),
        "unit": wallet.unit(),
        "amount": pending.amount(),
        "invoice": pending.invoice(),
        "operation": pending.operation().to_string(),
        "expires_at": pending.expiry(),
        "state": if pending.is_paid() { "paid" } else { "unpaid" },
    })
}

fn show(output: &Output, wallet: &Wallet, pending: &PendingMint) -> Result<(), Failure> {
    let until = pending.expiry().map(|expiry| {
        let time = utc(Timestamp::from_unix(expiry));
        format!(" until {time} UTC")
    });
    let until = until.unwrap_or_default();
    output.show(format!("Pay this invoice over {} {}{until}:", pending.amount(), wallet.unit()))?;
    output.show(pending.invoice())
}

/// Waits until the invoice is paid, and takes the ecash.
async fn wait(output: Output, mut pending: PendingMint) -> Result<Amount, Failure> {
    let operation = pending.operation();
    let began = now().to_unix();
    let ticker = output.clone();
    let mut waiting = move |_: &PendingMint| {
        let seconds = now().to_unix().saturating_sub(began);
        ticker.progress(&format!("Waiting for the payment ({seconds} s). Ctrl-C stops waiting."), seconds == 0);
    };
    let paid = pending.wait_paid(&mut waiting).await;
    paid.map_err(Failure::from).map_err(|failure| failure.about(operation))?;
    output.when_interrupted("The invoice is paid. Any `hazel` command takes its ecash.");
    let minted = output.while_waiting("Taking the ecash", pending.confirm()).await?;
    Ok(minted.amount)
}

/// Waits for all invoices that earlier calls have shown, at once, so that none has to wait for another.
async fn resume(session: &Session) -> Result<Report, Failure> {
    let mut waits = JoinSet::new();
    for mint in session.store.mints().await? {
        for unit in session.units(&mint.url).await? {
            let wallet = session.wallet(&mint.url, &unit)?;
            for pending in wallet.pending_mints().await? {
                show(&session.output, &wallet, &pending)?;
                let (json, output) = (describe(&wallet, &pending), session.output.clone());
                waits.spawn(async move { (json, wait(output, pending).await) });
            }
        }
    }
    if waits.is_empty() {
        return Ok(Report::line(json!({ "minted": [] }), "No invoice waits to be paid."));
    }
    session.output.when_interrupted(GO_ON);
    let mut done = Waited::default();
    while let Some(ended) = waits.join_next().await {
        let (json, end) = ended.map_err(|_| Failure::new(Kind::Bug, "waiting for an invoice ended unexpectedly"))?;
        done.add(&session.output, json, end);
    }
    done.report()
}

/// What came of several invoices.
#[derive(Default)]
struct Waited {
    minted: Vec<Value>,
    lines: Vec<String>,
    failure: Option<Failure>,
}

impl Waited {
    fn add(&mut self, output: &Output, mut json: Value, end: Result<Amount, Failure>) {
        match end {
            Ok(amount) => {
                json["state"] = json!("issued");
                self.lines.push(format!("{amount} {} came in.", json["unit"].as_str().unwrap_or_default()));
                self.minted.push(json);
            }
            Err(failure) => {
                output.note(format!("{}: {}", json["invoice"].as_str().unwrap_or_default(), failure.message));
                self.failure = Some(failure);
            }
        }
    }

    fn report(self) -> Result<Report, Failure> {
        match self.failure {
            Some(failure) if self.minted.is_empty() => Err(failure),
            _ => Ok(Report::new(json!({ "minted": self.minted }), self.lines)),
        }
    }
}
