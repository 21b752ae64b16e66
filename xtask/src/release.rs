//! Shows that the released mint and wallet hold none of the points at which a test can stop or kill them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Places;
use crate::process::{cargo, run as run_command};
use crate::tally::Tally;

/// Where what has failpoints is built, inside the target folder.
pub(crate) const FAILPOINTS_FOLDER: &str = "failpoints";

/// The mint's package, and its program.
const MINT: &str = "hazeld";

/// The wallet's package, and its program.
const WALLET: &str = "hazel";

/// The names of all failpoints begin with this.
const MARKER: &[u8] = b"hazel::fail::";

/// Builds mint and wallet both ways and looks for the marker. The builds with failpoints must hold it, or else the absence in
/// the released ones would prove nothing.
///
/// # Errors
/// When one of them does not build.
pub(crate) fn run(places: &Places) -> Result<Tally> {
    let with = places.target.join(FAILPOINTS_FOLDER);
    let mut tally = Tally::default();
    for program in [MINT, WALLET] {
        build_into(places, &with, program, &["--features", "failpoints"])?;
        build_into(places, &places.target, program, &["--release"])?;
        tally += expect_marker(&with.join("debug").join(program), true)?;
        tally += expect_marker(&places.target.join("release").join(program), false)?;
    }
    Ok(tally)
}

/// Builds the mint as it is released and says where it is.
///
/// # Errors
/// When it does not build.
pub(crate) fn build_release(places: &Places) -> Result<PathBuf> {
    build_into(places, &places.target, MINT, &["--release"])?;
    Ok(places.target.join("release/hazeld"))
}

/// Builds the mint, for development if `dev`, which takes less time, and says where it is.
///
/// # Errors
/// When it does not build.
pub(crate) fn build(places: &Places, dev: bool) -> Result<PathBuf> {
    if !dev {
        return build_release(places);
    }
    build_into(places, &places.target, MINT, &[])?;
    Ok(places.target.join("debug/hazeld"))
}

/// Builds the wallet for development and says where it is.
///
/// # Errors
/// When it does not build.
pub(crate) fn build_wallet(places: &Places) -> Result<PathBuf> {
    build_into(places, &places.target, WALLET, &[])?;
    Ok(places.target.join("debug/hazel"))
}

/// Builds the example of hazel-protocol that reads payment requests and says where it is.
///
/// # Errors
/// When it does not build.
pub(crate) fn build_request_reader(places: &Places) -> Result<PathBuf> {
    build_into(places, &places.target, "hazel-protocol", &["--example", "payment_request"])?;
    Ok(places.target.join("debug/examples/payment_request"))
}

fn build_into(places: &Places, target: &Path, package: &str, arguments: &[&str]) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--locked", "-p", package, "--target-dir"]).arg(target).args(arguments);
    run_command(build.current_dir(&places.root))
}

fn expect_marker(binary: &Path, expected: bool) -> Result<Tally> {
    let bytes = std::fs::read(binary).with_context(|| binary.display().to_string())?;
    let found = contains(&bytes, MARKER);
    let verdict = if found == expected { "ok" } else { "FAILED" };
    let words = if found { "holds failpoints" } else { "holds no failpoint" };
    println!("{verdict} {} {words}", binary.display());
    Ok(if found == expected { Tally::PASSED } else { Tally::FAILED })
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_is_found_anywhere() {
        assert!(contains(b"..hazel::fail::swap", MARKER));
        assert!(contains(b"hazel::fail::", MARKER));
        assert!(!contains(b"hazel::fai", MARKER));
    }
}
