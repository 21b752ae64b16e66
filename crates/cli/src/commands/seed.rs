//! `hazel seed`: the words, to be written down, and the passphrase that they are under.

use std::path::PathBuf;

use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::Global;
use crate::consent::confirm;
use crate::failure::{Failure, Kind};
use crate::folder::Folder;
use crate::output::{Output, Report};
use crate::passphrase::Source;
use crate::seed;

/// What can be done with the seed.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum SeedCommand {
    /// Show the words, to write them down
    Show,
    /// Put the words under a passphrase, another one, or none
    Passphrase(PassphraseArgs),
}

/// Which passphrase.
#[derive(Debug, clap::Args)]
pub(crate) struct PassphraseArgs {
    /// Keep the words without a passphrase from now on
    #[arg(long, conflicts_with_all = ["new_passphrase_file", "new_passphrase_fd", "new_passphrase_env"])]
    remove: bool,
    /// Read the new passphrase from the first line of this file; else it is asked for on the terminal
    #[arg(long, value_name = "FILE")]
    new_passphrase_file: Option<PathBuf>,
    /// Read the new passphrase from this open file
    #[arg(long, value_name = "FD")]
    new_passphrase_fd: Option<u32>,
    /// Read the new passphrase from this variable of the environment
    #[arg(long, value_name = "NAME")]
    new_passphrase_env: Option<String>,
}

pub(super) async fn run(global: &Global, output: &Output, command: SeedCommand) -> Result<Report, Failure> {
    let folder = Folder::new(global.wallet.as_deref())?;
    if !seed::exists(&folder) {
        return Err(Failure::new(Kind::Refused, format!("there is no wallet in {}", folder.path().display()))
            .hint("`hazel init` makes one"));
    }
    match command {
        SeedCommand::Show => show(global, output, &folder).await,
        SeedCommand::Passphrase(args) => change(global, &folder, args).await,
    }
}

async fn show(global: &Global, output: &Output, folder: &Folder) -> Result<Report, Failure> {
    let question = "Whoever sees the words can take all the money. Show them on this screen?";
    confirm(output, global.yes, question).await?;
    let passphrase = seed::passphrase(folder, &global.passphrase()).await?;
    let words = Zeroizing::new(seed::words(folder, passphrase.as_ref())?.to_string());
    Ok(Report::line(json!({ "words": *words }), words.as_str()))
}

async fn change(global: &Global, folder: &Folder, args: PassphraseArgs) -> Result<Report, Failure> {
    let former = seed::passphrase(folder, &global.passphrase()).await?;
    let words = seed::words(folder, former.as_ref())?;
    let source = Source { file: args.new_passphrase_file, fd: args.new_passphrase_fd, env: args.new_passphrase_env };
    let next = if args.remove { None } else { Some(source.new_one().await?) };
    seed::reseal(folder, &words, next.as_ref())?;
    let line = match (&former, &next) {
        (None, None) => "The words were under no passphrase, and are not now.",
        (_, None) => "The words are under no passphrase any more: the file holds them as they are.",
        (None, Some(_)) => {
            "The words are under a passphrase from now on. Write them down all the same: nobody can open them without it."
        }
        (Some(_), Some(_)) => "The words are under the new passphrase.",
    };
    Ok(Report::line(json!({ "sealed": next.is_some(), "was_sealed": former.is_some() }), line))
}
