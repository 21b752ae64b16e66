//! Asking before money moves.

use std::io::{self, IsTerminal};

use crate::failure::{Failure, Kind};
use crate::output::Output;

/// Goes on when the user says yes, or has said so on the command line.
///
/// # Errors
/// [`Kind::Declined`] for any other answer, and when there is nobody to answer.
pub(crate) async fn confirm(output: &Output, yes: bool, question: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    output.ask(&format!("{question} [y/N]"));
    // A thread of its own, so that Ctrl-C is heard meanwhile.
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        io::stdin().read_line(&mut line).map(|read| (read > 0).then_some(line))
    });
    let answer = answer.await.map_err(io::Error::other).and_then(|read| read).map_err(|error| {
        Failure::new(Kind::Declined, format!("the answer cannot be read: {error}")).hint("pass `--yes` in scripts")
    })?;
    if !io::stdin().is_terminal() {
        // Nobody has ended the line of the question.
        output.note("");
    }
    match answer.as_deref().map(str::trim) {
        Some(text) if text.eq_ignore_ascii_case("y") || text.eq_ignore_ascii_case("yes") => Ok(()),
        Some(_) => Err(Failure::new(Kind::Declined, "not confirmed, so nothing was done")),
        None => Err(Failure::new(Kind::Declined, "nobody is there to confirm, so nothing was done")
            .hint("pass `--yes` in scripts")),
    }
}
