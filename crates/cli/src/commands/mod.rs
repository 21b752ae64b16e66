//! One module for each command: from its arguments to its report.

mod address;
mod backup;
mod balance;
mod consolidate;
mod decode;
mod doctor;
mod history;
mod init;
mod keys;
mod lock;
mod manual;
mod mint;
mod mints;
mod pay;
mod pay_request;
mod pending;
mod receive;
mod request;
mod restore;
mod seed;
mod send;
mod swap_to;
mod take_back;

use std::time::Duration;

pub(crate) use backup::BackupArgs;
pub(crate) use decode::DecodeArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use history::HistoryArgs;
pub(crate) use keys::KeysArgs;
pub(crate) use lock::{LockCommandArgs, UnlockArgs};
pub(crate) use manual::{CompletionsArgs, ManArgs};
pub(crate) use receive::ReceiveArgs;
pub(crate) use request::id as request_id;
pub(crate) use restore::RestoreArgs;
pub(crate) use seed::SeedCommand;
pub(crate) use send::SendArgs;
pub(crate) use take_back::TakeBackArgs;

use crate::cli::{Cli, Command, Global};
use crate::failure::{Failure, Kind};
use crate::output::{Output, Report};
use crate::resume::Start;
use crate::session::Session;

/// Does what the command line asks.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<Report, Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(args) => init::run(&global, output, &args).await,
        Command::Seed { command } => seed::run(&global, output, command).await,
        Command::Decode(args) => decode::run(&global, output, args).await,
        Command::Completions(args) => manual::completions(output, &args),
        Command::Man(args) => manual::man(output, &args),
        command => with_wallet(global, output, command).await,
    }
}

/// Does what needs the wallet's money, once what an earlier start had to leave open is finished.
async fn with_wallet(global: Global, output: &Output, command: Command) -> Result<Report, Failure> {
    if matches!(command, Command::Restore(_)) {
        restore::refuse_new_wallet(&global)?;
    }
    let may_stay_sealed = matches!(command, Command::Balance | Command::History(_));
    let mut session = Session::open(global, output.clone(), may_stay_sealed).await?;
    if !matches!(command, Command::Doctor(_)) {
        session.resume(start(&command)).await?;
    }
    match command {
        Command::Mint(args) => mint::run(&mut session, args).await,
        Command::Balance => balance::run(&session).await,
        Command::Send(args) => send::run(&mut session, args).await,
        Command::Receive(args) => receive::run(&mut session, args).await,
        Command::TakeBack(args) => take_back::run(&session, &args).await,
        Command::Consolidate => consolidate::run(&mut session).await,
        Command::Keys(args) => keys::run(&mut session, args).await,
        Command::Lock(args) => lock::describe(&session, &args).await,
        Command::Unlock(args) => lock::unlock(&mut session, args).await,
        Command::Pay(args) => Box::pin(pay::run(&mut session, args)).await,
        Command::Request(args) => Box::pin(request::run(&mut session, args)).await,
        Command::PayRequest(args) => Box::pin(pay_request::run(&mut session, args)).await,
        Command::Backup(args) => backup::run(&session, &args).await,
        Command::Restore(args) => restore::run(&mut session, &args).await,
        Command::History(args) => history::run(&session, &args).await,
        Command::Pending(args) => pending::run(&session, &args).await,
        Command::Mints { command } => mints::run(&mut session, command).await,
        Command::Doctor(args) => doctor::run(&session, &args).await,
        Command::Init(_) | Command::Seed { .. } | Command::Decode(_) | Command::Completions(_) | Command::Man(_) => {
            Err(Failure::new(Kind::Bug, "a command was not run"))
        }
    }
}

/// What needs no mint does not wait long for one.
const fn start(command: &Command) -> Start {
    match command {
        Command::Balance => Start { limit: Duration::from_secs(5), tells_invoices: true },
        Command::History(_) | Command::Mints { .. } | Command::Keys(_) | Command::Lock(_) => {
            Start { limit: Duration::from_secs(5), tells_invoices: false }
        }
        _ => Start { limit: Duration::from_secs(30), tells_invoices: false },
    }
}
