//! One module for each command: from its arguments to its report.

mod balance;
mod history;
mod init;
mod mint;
mod mints;
mod pay;
mod pending;
mod receive;
mod restore;
mod seed;
mod send;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::resume::Interest;
use crate::session::Session;

/// Does what the command line asks.
pub(crate) async fn run(cli: Cli, output: &Output) -> Result<Report, Failure> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(args) => return init::run(&global, output, &args),
        Command::Seed { command } => return seed::run(&global, output, &command).await,
        Command::Restore => restore::refuse_new_wallet(&global)?,
        _ => {}
    }
    let mut session = Session::open(global, output.clone()).await?;
    session.resume(interest(&command)).await?;
    match command {
        Command::Mint(args) => mint::run(&mut session, args).await,
        Command::Balance => balance::run(&session).await,
        Command::Send(args) => send::run(&mut session, args).await,
        Command::Receive(args) => receive::run(&mut session, args).await,
        Command::Pay(args) => pay::run(&mut session, args).await,
        Command::Restore => restore::run(&mut session).await,
        Command::History(args) => history::run(&session, &args).await,
        Command::Pending(args) => pending::run(&session, &args).await,
        Command::Mints { command } => mints::run(&mut session, command).await,
        Command::Init(_) | Command::Seed { .. } => Err(Failure::new(crate::failure::Kind::Bug, "a command was not run")),
    }
}

const fn interest(command: &Command) -> Interest {
    match command {
        Command::Balance => Interest::All,
        _ => Interest::Payments,
    }
}
