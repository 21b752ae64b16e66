//! The Hazel wallet command.
//!
//! The only place of the wallet that touches the world: it reads the command line, the environment and the clock, opens the
//! wallet's files and connections, and hands all of that to the engine through its ports. It decides nothing about money.
//!
//! | module | what it holds |
//! |---|---|
//! | `cli` | the command line |
//! | `commands` | what each command does, from its arguments to its report |
//! | `session` | an open wallet folder |
//! | `resume` | what every start does first |
//! | `folder`, `seed`, `preferences` | the wallet's files |
//! | `sealed`, `passphrase` | a seed under a passphrase |
//! | `locking`, `handed_out` | locks as they are written, tokens that nobody claimed |
//! | `consent`, `output`, `table`, `calendar`, `qr` | the dialogue with the user |
//! | `environment` | clock, randomness, waiting |
//! | `failpoints` | points where a test stops it; never in a release |
//! | `failure` | kinds of failure, advice, exit codes |

mod calendar;
mod cli;
mod commands;
mod consent;
mod environment;
#[cfg(feature = "failpoints")]
mod failpoints;
mod failure;
mod folder;
mod handed_out;
mod locking;
mod output;
mod passphrase;
mod preferences;
mod qr;
mod resume;
mod sealed;
mod seed;
mod session;
mod table;

use std::process::ExitCode;

use clap::Parser;

use cli::Cli;
use failure::{Failure, Kind};
use output::{Output, Report};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    let output = Output::new(cli.global.json);
    #[cfg(feature = "failpoints")]
    let _armed = match failpoints::arm() {
        Ok(armed) => armed,
        Err(message) => return end(&output, Err(Failure::new(Kind::Usage, message))),
    };
    if cli.global.verbose {
        log();
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return end(&output, Err(Failure::new(Kind::Wallet, format!("no threads to run on: {error}")))),
    };
    let done = runtime.block_on(until_interrupted(cli, &output));
    let code = end(&output, done);
    // A thread may still wait for an answer on standard input.
    runtime.shutdown_background();
    code
}

/// Runs the command, or stops it where it stands: every step is durable, so nothing is lost by that.
async fn until_interrupted(cli: Cli, output: &Output) -> Result<Report, Failure> {
    tokio::select! {
        done = commands::run(cli, output) => done,
        kind = interruption() => {
            let hint = output.interrupted().unwrap_or_else(|| "Nothing is lost: the next start goes on with what is open.".to_owned());
            Err(Failure::new(kind, "interrupted").hint(hint))
        }
    }
}

async fn interruption() -> Kind {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return std::future::pending().await };
        tokio::select! {
            Ok(()) = tokio::signal::ctrl_c() => Kind::Interrupted,
            _ = terminate.recv() => Kind::Terminated,
        }
    }
    #[cfg(not(unix))]
    {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Kind::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}

fn end(output: &Output, done: Result<Report, Failure>) -> ExitCode {
    match done.and_then(|report| output.finish(report)) {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(failure)) => ExitCode::from(failure.kind.exit_code()),
        Err(failure) => {
            output.fail(&failure);
            ExitCode::from(failure.kind.exit_code())
        }
    }
}

/// Help, the version, or what is wrong with the command line.
fn explain(error: &clap::Error) -> ExitCode {
    let is_json = std::env::args_os().any(|argument| argument == "--json");
    if !error.use_stderr() || !is_json {
        // Nobody can be told that the terminal is closed.
        let _ = error.print();
        return if error.use_stderr() { ExitCode::from(Kind::Usage.exit_code()) } else { ExitCode::SUCCESS };
    }
    let text = error.render().to_string();
    let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
    end(&Output::new(true), Err(Failure::new(Kind::Usage, message).hint("`hazel --help` says what there is")))
}

/// What the engine and its adapters report, on standard error.
fn log() {
    let filter =
        tracing_subscriber::EnvFilter::new("info,hazel=debug,hazel_wallet=debug,hazel_sqlite=debug,hazel_http=debug");
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // A second call would be a bug, and logging is not worth stopping for.
    let _ = subscriber.try_init();
}
