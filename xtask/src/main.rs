//! `cargo xtask`: the project's own commands. What a contributor runs, CI runs.
#![expect(clippy::print_stdout, reason = "a command for people at a terminal")]

mod cluster;
mod fuzz;
mod interop;
mod prerequisites;
mod process;
mod python;
mod release;
mod suites;
mod tally;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::tally::Tally;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Hazel's own commands")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run every test there is.
    Test {
        /// Run these parts only, in the order of the table: unit, postgres, sqlcipher, crash, release, interop, fuzz.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Check the house rules.
    Tidy,
    /// Send the mint what schemathesis makes up from its `OpenAPI` document.
    FuzzHttp {
        /// How many requests for each route; the tests do a short run.
        #[arg(long, default_value_t = 1_000)]
        requests: u32,
        /// Another seed makes up other requests.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Against a development build, which is sooner ready.
        #[arg(long)]
        dev: bool,
    },
    /// Drive third-party wallets from npm and `PyPI` against a mint of ours, and our wallet against mints of others.
    Interop {
        /// Only these peers: cashu-ts, nutshell, cross, hazel, requests, nutshell-mint.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
        /// Against a development build, which is sooner ready.
        #[arg(long)]
        dev: bool,
    },
}

/// Where things are.
#[derive(Debug, Clone)]
struct Places {
    /// The workspace.
    root: PathBuf,
    /// Where cargo builds; parts that need other features build into folders of their own inside it.
    target: PathBuf,
}

impl Places {
    fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask stands in the workspace")?.to_owned();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self { root, target })
    }
}

fn main() -> Result<ExitCode> {
    let places = Places::find()?;
    let succeeded = match Arguments::parse().command {
        Command::Test { only } => report(suites::run(&places, &only)?),
        Command::Tidy => tidy::run(&places.root)? == 0,
        Command::FuzzHttp { requests, seed, dev } => {
            report(fuzz::run(&places, &release::build(&places, dev)?, requests, seed)?)
        }
        Command::Interop { only, dev } => report(interop::run_against(&places, &release::build(&places, dev)?, &only)?),
    };
    Ok(if succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints the closing line, which other programs read: keep its form. Returns whether all went well.
fn report(tally: Tally) -> bool {
    println!("\n{tally}");
    tally.is_success()
}
