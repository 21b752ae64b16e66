//! `hazel seed show`: the words, to be written down.

use serde_json::json;
use zeroize::Zeroizing;

use crate::cli::{Global, SeedCommand};
use crate::consent::confirm;
use crate::failure::{Failure, Kind};
use crate::folder::Folder;
use crate::output::{Output, Report};
use crate::seed;

pub(super) async fn run(global: &Global, output: &Output, command: &SeedCommand) -> Result<Report, Failure> {
    let SeedCommand::Show = command;
    let folder = Folder::new(global.wallet.as_deref())?;
    if !seed::exists(&folder) {
        return Err(Failure::new(Kind::Refused, format!("there is no wallet in {}", folder.path().display()))
            .hint("`hazel init` makes one"));
    }
    let question = "Whoever sees the words can take all the money. Show them on this screen?";
    confirm(output, global.yes, question).await?;
    let words = Zeroizing::new(seed::words(&folder)?.to_string());
    Ok(Report::line(json!({ "words": *words }), words.as_str()))
}
