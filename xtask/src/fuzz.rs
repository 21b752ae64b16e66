//! `cargo xtask fuzz-http`: requests that schemathesis makes up from the mint's own `OpenAPI` document, against the mint as released.
//!
//! It finds answers that no client should get: a 5xx, a status or a body that the document does not name, a crash. What it sends depends on
//! nothing but its seed and the document, so a run that failed can be had again.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::interop::{Mint, Scratch};
use crate::tally::Tally;
use crate::{Places, process, python, release};

/// What every answer is held to.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,allow_header_conformance,unsupported_method";

/// Requests made up for each route in the run that belongs to the tests: about a minute in all.
pub(crate) const SHORT: u32 = 60;

/// How long the whole may take, in seconds, before it counts as stuck.
const LIMIT_S: u32 = 3_600;

/// The run that belongs to the tests.
///
/// # Errors
/// When something it needs is missing or does not build.
pub(crate) fn run_short(places: &Places) -> Result<Tally> {
    run(places, &release::build_release(places)?, SHORT, 1)
}

/// Runs `requests` for each route and phase against the mint `program`.
///
/// # Errors
/// When something it needs is missing.
pub(crate) fn run(places: &Places, program: &Path, requests: u32, seed: u64) -> Result<Tally> {
    let tools = python::environment(places, "schemathesis")?;
    let scratch = Scratch::new(&places.target, "fuzz")?;
    let mint = Mint::start(program, scratch.path(), "mint", &["--log-level", "warn"])?;
    let mut fuzzer = Command::new("timeout");
    fuzzer.arg(LIMIT_S.to_string()).arg(tools.join("st")).args(["run", &format!("{}/openapi.json", mint.url())]);
    fuzzer.args(["--checks", CHECKS, "--seed", &seed.to_string(), "--max-examples", &requests.to_string()]);
    fuzzer.args(["--suppress-health-check", "all", "--continue-on-failure", "--no-color"]);
    // It leaves a folder of its own where it runs.
    fs::create_dir_all(scratch.path())?;
    let mut tally = Tally::default();
    let status = process::run_watched(fuzzer.current_dir(scratch.path()), |_| {})?;
    tally += if status.success() { Tally::PASSED } else { Tally::FAILED };
    if !status.success() {
        println!("-- log of the mint\n{}", mint.log());
    }
    tally += mint.stop();
    Ok(tally)
}
