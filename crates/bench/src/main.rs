//! `hazel-bench`: load for a mint, over nothing but its public API, so that any mint can be measured by its address.
//!
//! A run is a closed loop: each client sends its next request when it has the answer to its last. Everything that a wallet computes
//! is done before the clock starts: proofs are minted from quotes that pay themselves, outputs blinded, bodies written. What is left in
//! the measured time is to send and to read. Afterwards every answer is read as a wallet would, and its signatures unblinded: they are
//! the money of the next run. A refusal is counted by its code, never taken for speed.
#![expect(clippy::print_stdout, reason = "a command for people at a terminal")]

mod connection;
mod cpu;
mod drive;
mod jobs;
mod purse;
mod quotes;
mod report;
mod shape;

use anyhow::{Result, ensure};
use clap::Parser;

use crate::cpu::Processes;
use crate::jobs::{Load, Workshop};
use crate::report::Report;

/// Puts load on a Cashu mint and measures it. Its Lightning node must be fake: quotes have to pay themselves.
#[derive(Debug, Parser)]
#[command(name = "hazel-bench", version)]
struct Arguments {
    /// The mint, such as `http://127.0.0.1:3338`. Plain http only: this is for a mint on the same machine.
    #[arg(long)]
    url: String,
    /// What to ask for.
    #[arg(long, value_enum, default_value_t = Load::Swap)]
    load: Load,
    /// Proofs that each swap spends.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=500))]
    inputs: u64,
    /// Outputs of each swap and mint.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=500))]
    outputs: u64,
    /// Ys of each checkstate, outputs of each restore.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1000))]
    keys: u64,
    /// How many clients ask at the same time, each on a connection of its own.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=4096))]
    clients: u64,
    /// About how long each run takes, from the rate of a short run before it.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Exactly how many operations each run does, instead of how long it takes.
    #[arg(long)]
    operations: Option<u64>,
    /// How many runs.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1000))]
    repeat: u64,
    /// Processes of the mint: their CPU time, with that of all their children, is measured.
    #[arg(long, value_delimiter = ',')]
    mint_pid: Vec<u32>,
    /// Processes of its database, likewise.
    #[arg(long, value_delimiter = ',')]
    database_pid: Vec<u32>,
    /// One line of JSON for each run instead of text.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(&arguments))
}

async fn run(arguments: &Arguments) -> Result<()> {
    let mut workshop = Workshop::open(arguments).await?;
    let operations = match arguments.operations {
        Some(operations) => operations,
        None => calibrate(arguments, &mut workshop).await?,
    };
    for _ in 0..arguments.repeat {
        let report = measure(arguments, &mut workshop, operations).await?;
        if arguments.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!("{report}");
        }
    }
    Ok(())
}

/// How many operations fill the time asked for: from a run that is long enough to be warm.
async fn calibrate(arguments: &Arguments, workshop: &mut Workshop) -> Result<u64> {
    let trial = measure(arguments, workshop, (arguments.clients * 8).max(200)).await?;
    ensure!(trial.succeeded > 0, "not one operation succeeds:\n{trial}");
    Ok(trial.operations_in(arguments.seconds).max(arguments.clients))
}

/// Prepares so many operations, does them, and reads what was answered.
async fn measure(arguments: &Arguments, workshop: &mut Workshop, operations: u64) -> Result<Report> {
    let jobs = workshop.prepare(operations).await?;
    let watched = Processes { mint: arguments.mint_pid.clone(), database: arguments.database_pid.clone() };
    let before = watched.measure()?;
    let outcome = drive::run(workshop.address(), &jobs, arguments.clients).await?;
    let used = watched.measure()?.since(&before);
    workshop.take_back(&outcome)?;
    Ok(Report::new(arguments.load, arguments.clients, &outcome, used))
}
