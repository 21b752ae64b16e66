//! `hazeld start` and `hazeld config`: a mint from a configuration file.

use std::io::Write;
use std::path::Path;

use crate::config::{self, Config};
use crate::failure::Failure;
use crate::wiring::{Plan, SeedPolicy};

/// The plan that a configuration makes. The seed must be there: a server is given its seed, it never makes one.
pub(crate) fn plan(path: &Path) -> Result<Plan, Failure> {
    let config = config::load(path, std::env::vars_os())?;
    let seed = SeedPolicy::Given(config.seed.clone());
    Ok(Plan { banner: Some(banner()), config, seed })
}

/// Every backend so far is a fake, so every start says so.
fn banner() -> String {
    "the Lightning backend is a fake: THIS IS NOT REAL MONEY\n".to_owned()
}

/// Says whether a configuration is whole, and what it comes to.
pub(crate) fn check(path: &Path) -> Result<(), Failure> {
    let config = config::load(path, std::env::vars_os())?;
    say(&summary(path, &config))
}

/// Prints the commented example.
pub(crate) fn example() -> Result<(), Failure> {
    say(config::EXAMPLE)
}

fn summary(path: &Path, config: &Config) -> String {
    let units: Vec<String> = config.mint.units.iter().map(|unit| unit.unit.to_string()).collect();
    format!(
        "{} is a whole configuration: units {}, listening on {}, database {}\n",
        path.display(),
        units.join(", "),
        config.http.listen,
        config.database
    )
}

fn say(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::Internal(format!("cannot write to standard output: {error}")))
}
