//! `hazel doctor`: finds whatever is unfinished, brings it as far as it goes, and says what it did, and what it could not do and why.

use std::time::Duration;

use hazel_protocol::{CurrencyUnit, MintUrl};
use hazel_wallet::ports::OperationKind;
use hazel_wallet::{Policy, ResumeOutcome, Resumed, Wallet};
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::output::Report;
use crate::resume::{Start, document, sentence};
use crate::session::Session;

/// How much patience to have.
#[derive(Debug, clap::Args)]
pub(crate) struct DoctorArgs {
    /// How long to work on each mint and unit at most, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) patience: u64,
}

pub(super) async fn run(session: &Session, args: &DoctorArgs) -> Result<Report, Failure> {
    session.output.when_interrupted("Nothing is lost: the next start, or `hazel doctor`, goes on with what is open.");
    let mut findings = Findings::default();
    for mint in session.store.mints().await? {
        for unit in session.units(&mint.url).await? {
            let patience = Duration::from_secs(args.patience);
            let looked = tokio::time::timeout(patience, findings.look(session, &mint.url, &unit)).await;
            match looked {
                Ok(looked) => looked?,
                Err(_) => findings.could_not(&mint.url, &unit, "its mint is slow; more patience may help"),
            }
        }
    }
    Ok(findings.report())
}

/// What was found.
#[derive(Default)]
struct Findings {
    mints: Vec<Value>,
    done: Vec<Value>,
    waiting: Vec<Value>,
    failed: Vec<Value>,
    lines: Vec<String>,
}

impl Findings {
    async fn look(&mut self, session: &Session, mint: &MintUrl, unit: &CurrencyUnit) -> Result<(), Failure> {
        let wallet = match session.wallet_with(mint, unit, Policy::default()) {
            Ok(wallet) => wallet,
            Err(failure) => {
                self.could_not(mint, unit, &failure.message);
                return Ok(());
            }
        };
        let resumed = session.output.while_waiting(&format!("Looking at {mint}"), wallet.resume()).await?;
        for one in resumed {
            self.add(mint, unit, &one);
        }
        self.ask(session, &wallet).await;
        Ok(())
    }

    /// What only the mint can tell: money that came late, tokens that were claimed, coins that are gone.
    async fn ask(&mut self, session: &Session, wallet: &Wallet) {
        let (mint, unit) = (wallet.mint_url(), wallet.unit());
        let asking = format!("Asking {mint}");
        let looked = session.output.while_waiting(&asking, async {
            let late = wallet.look_after().await?;
            let unclaimed = wallet.check_sent().await?;
            Ok::<_, hazel_wallet::Error>((late, unclaimed, wallet.spent_elsewhere().await?))
        });
        let (late, unclaimed, gone) = match looked.await {
            Ok(answers) => answers,
            Err(error) => {
                self.could_not(mint, unit, &error.to_string());
                return;
            }
        };
        for one in &late {
            self.add(mint, unit, one);
        }
        if !gone.is_zero() {
            self.could_not(
                mint,
                unit,
                &format!("{gone} {unit} were spent elsewhere: is the seed in use on another device?"),
            );
        }
        self.mints.push(json!({ "mint": mint, "unit": unit, "unclaimed": unclaimed, "spent_elsewhere": gone }));
    }

    fn add(&mut self, mint: &MintUrl, unit: &CurrencyUnit, one: &Resumed) {
        let start = Start { limit: Duration::ZERO, tells_invoices: true };
        if let Some(line) = sentence(unit, one, start) {
            self.lines.push(format!("{mint}: {line}"));
        }
        let list = match &one.outcome {
            ResumeOutcome::Failed(_) => &mut self.failed,
            ResumeOutcome::Waiting => &mut self.waiting,
            _ => &mut self.done,
        };
        list.push(document(mint, unit, one));
    }

    fn could_not(&mut self, mint: &MintUrl, unit: &CurrencyUnit, why: &str) {
        self.lines.push(format!("{mint}: {why}"));
        self.failed.push(json!({ "mint": mint, "unit": unit, "error": { "message": why } }));
    }

    fn report(mut self) -> Report {
        let undecided =
            self.waiting.iter().filter(|one| one["kind"] != crate::resume::verb(OperationKind::Mint)).count();
        let open = undecided + self.failed.len();
        let failure = (open > 0).then(|| {
            Failure::new(Kind::Pending, format!("{open} things are not settled")).hint("run `hazel doctor` again later")
        });
        if self.lines.is_empty() {
            self.lines.push("Everything is finished, and every mint answers.".to_owned());
        }
        let json = json!({
            "mints": self.mints,
            "done": self.done,
            "waiting": self.waiting,
            "failed": self.failed,
        });
        Report::new(json, self.lines).but(failure)
    }
}
