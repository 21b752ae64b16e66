//! `hazel completions` and `hazel man`: what shells and manuals want, made from the command line itself.

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::cli::Cli;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Report};

/// For which shell.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// Which page.
#[derive(Debug, clap::Args)]
pub(crate) struct ManArgs {
    /// The command the page is about, `mints add` for instance [default: hazel itself]
    #[arg(value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

pub(super) fn completions(output: &Output, args: &CompletionsArgs) -> Result<Report, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "hazel", &mut script);
    raw(output, "completions", &script)
}

pub(super) fn man(output: &Output, args: &ManArgs) -> Result<Report, Failure> {
    let mut whole = Cli::command();
    whole.build();
    let mut command = &whole;
    for name in &args.command {
        command = command.find_subcommand(name).ok_or_else(|| {
            Failure::new(Kind::Usage, format!("there is no command {name}")).hint("`hazel --help` lists them")
        })?;
    }
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command.clone()).render(&mut page);
    rendered.map_err(|error| Failure::new(Kind::Bug, format!("the page cannot be written: {error}")))?;
    raw(output, "man", &page)
}

/// A text of our own, which goes out as it is.
fn raw(output: &Output, name: &str, text: &[u8]) -> Result<Report, Failure> {
    let text = String::from_utf8_lossy(text);
    let lines: Vec<&str> = text.lines().collect();
    output.verbatim(&text)?;
    Ok(Report::new(json!({ name: lines }), Vec::new()))
}
