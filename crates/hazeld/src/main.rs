//! The Hazel mint daemon.
//!
//! This is the only place of the mint that touches the world: it reads the configuration, the environment and the clock, opens
//! the database, starts threads, and hands all of that to the engine through its ports.
//!
//! | module | what it holds |
//! |---|---|
//! | `cli` | the command line |
//! | `admin` | the operator's surface: its tokens, and the commands that ask it |
//! | `config` | the file, the environment over it, the rules between the values |
//! | `dev`, `start` | how each command comes to a plan |
//! | `wiring` | from a plan to a running mint and back down |
//! | `ledger` | the database, whichever it is |
//! | `environment` | clock, randomness, tasks, threads for arithmetic |
//! | `seed` | the words every key comes from |
//! | `import` | keysets of other mints: their keys, and their history |
//! | `private` | files that hold secrets |
//! | `logging`, `shutdown`, `failure` | the log, the signals, the exit codes |

mod admin;
mod cli;
mod config;
mod dev;
mod environment;
#[cfg(feature = "failpoints")]
mod failpoints;
mod failure;
mod import;
mod ledger;
mod logging;
mod private;
mod seed;
mod shutdown;
mod start;
mod wiring;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, ConfigCommand, SeedCommand};
use failure::Failure;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            report(&failure);
            failure.exit_code()
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Dev(args) => wiring::run(dev::plan(args)?),
        Command::Start(args) => wiring::run(start::plan(&args.config)?),
        Command::Keyset { command } => admin::keyset(command),
        Command::Audit { at, before, limit } => admin::audit(&at, before, limit),
        Command::Config { command: ConfigCommand::Check(args) } => start::check(&args.config),
        Command::Config { command: ConfigCommand::Example } => start::example(),
        Command::Seed { command: SeedCommand::New { file } } => Ok(seed::create(&file)?),
    }
}

/// Into the log once there is one, so that a reader of JSON lines sees only such; before that as plain text.
fn report(failure: &Failure) {
    if tracing::dispatcher::has_been_set() {
        tracing::error!("{failure}");
    } else {
        // There is nobody to tell when standard error is closed; the exit code still tells.
        let _ = writeln!(std::io::stderr(), "hazeld: {failure}");
    }
}
