//! `hazel init`: a new wallet, or one from the words of an old one.

use serde_json::json;

use crate::cli::{Global, InitArgs};
use crate::failure::Failure;
use crate::folder::Folder;
use crate::output::{Output, Report};
use crate::seed;
use crate::session::welcome;

pub(super) async fn run(global: &Global, output: &Output, args: &InitArgs) -> Result<Report, Failure> {
    let folder = Folder::new(global.wallet.as_deref())?;
    let json = |from_words: bool, sealed: bool| json!({ "wallet": folder.path(), "seed_file": folder.seed(), "from_words": from_words, "sealed": sealed });
    if seed::exists(&folder) {
        return Err(seed::already_there(&folder));
    }
    let source = global.passphrase();
    let sealing = if args.passphrase || source.is_named() { Some(source.new_one().await?) } else { None };
    if let Some(from) = &args.from_words {
        if from.as_os_str() == "-" {
            output.progress("Type the words with spaces between them, then Enter:", false);
        }
        seed::adopt(&folder, from, sealing.as_ref())?;
        let next = format!("Get its money back: `hazel --wallet {} --mint URL restore`.", folder.path().display());
        let made = format!("Made a wallet of your words in {}.", folder.path().display());
        return Ok(Report::new(json(true, sealing.is_some()), vec![made, next]));
    }
    seed::create(&folder, sealing.as_ref())?;
    welcome(&folder, output);
    Ok(Report::new(json(false, sealing.is_some()), Vec::new()))
}
