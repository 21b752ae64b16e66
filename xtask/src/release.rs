//! Shows that the released mint holds none of the points at which a test can stop or kill it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Places;
use crate::process::{cargo, run as run_command};
use crate::tally::Tally;

/// Where the mint with failpoints is built, inside the target folder.
pub(crate) const FAILPOINTS_FOLDER: &str = "failpoints";

/// The names of all failpoints begin with this.
const MARKER: &[u8] = b"hazel::fail::";

/// Builds the mint both ways and looks for the marker. The build with failpoints must hold it, or else the absence in
/// the released one would prove nothing.
///
/// # Errors
/// When one of them does not build.
pub(crate) fn run(places: &Places) -> Result<Tally> {
    let with = places.target.join(FAILPOINTS_FOLDER);
    build_into(places, &with, &["--features", "failpoints"])?;
    let released = build_release(places)?;
    let mut tally = expect_marker(&with.join("debug/hazeld"), true)?;
    tally += expect_marker(&released, false)?;
    Ok(tally)
}

/// Builds the mint as it is released and says where it is.
///
/// # Errors
/// When it does not build.
pub(crate) fn build_release(places: &Places) -> Result<PathBuf> {
    build_into(places, &places.target, &["--release"])?;
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
    build_into(places, &places.target, &[])?;
    Ok(places.target.join("debug/hazeld"))
}

fn build_into(places: &Places, target: &Path, arguments: &[&str]) -> Result<()> {
    let mut build = cargo();
    build.args(["build", "--locked", "-p", "hazeld", "--target-dir"]).arg(target).args(arguments);
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
