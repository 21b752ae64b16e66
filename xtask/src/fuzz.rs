//! `cargo xtask fuzz-http`: requests that schemathesis makes up from the mint's own `OpenAPI` document, against the mint as released.
//!
//! It finds answers that no client should get: a 5xx, a status or a body that the document does not name, a crash. The mint is stocked
//! first with quotes and proofs in each state, which a part of the requests is about: a route that never succeeds has failed, as
//! nothing behind its first rule was reached. What is sent depends on nothing but the seed, the document and the stock.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::interop::{Mint, Scratch};
use crate::tally::Tally;
use crate::{Places, process, python, release};

/// What every answer is held to.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,\
                      response_schema_conformance,allow_header_conformance,unsupported_method";

/// Requests made up for each route in the run that belongs to the tests: less than a minute in all.
pub(crate) const SHORT: u32 = 25;

/// How long the whole may take, in seconds, before it counts as stuck.
const LIMIT_S: u32 = 3_600;

/// The run that belongs to the tests.
///
/// # Errors
/// When something it needs is missing or does not build.
pub(crate) fn run_short(places: &Places) -> Result<Tally> {
    run(places, &release::build_release(places)?, SHORT, 1)
}

/// The fee reserve is more than is used, so that change comes back.
const MINT: &[&str] = &[
    "--log-level",
    "warn",
    "--fake-reserve-min-msat",
    "2000",
    "--fake-fee-used-percent",
    "50",
    "--fake-pay-after-ms",
    "20",
];

/// Invoices made while the mint is stocked are paid at once, later ones never: so there are quotes of both.
const STOCKING: &[&str] = &["--fake-settle-after-ms", "100"];
const LATER: &[&str] = &["--fake-settle-after-ms", "86400000"];

/// Runs `requests` for each route and phase against the mint `program`.
///
/// # Errors
/// When something it needs is missing.
pub(crate) fn run(places: &Places, program: &Path, requests: u32, seed: u64) -> Result<Tally> {
    let tools = python::environment(places, "schemathesis")?;
    let scripts = places.root.join("interop/schemathesis");
    let scratch = Scratch::new(&places.target, "fuzz")?;
    let stock = scratch.path().join("stock.json");
    let payee = Mint::start(program, scratch.path(), "payee", LATER)?;
    let mut tally = Tally::default();
    let mint = Mint::start(program, scratch.path(), "mint", &[MINT, STOCKING].concat())?;
    let mut fill = Command::new(tools.join("python"));
    fill.arg("-B").arg(scripts.join("stock.py")).args([mint.url(), payee.url()]).arg(&stock);
    process::run(&mut fill)?;
    tally += mint.stop();
    let mint = Mint::start(program, scratch.path(), "mint", &[MINT, LATER].concat())?;
    let mut fuzzer = Command::new("timeout");
    fuzzer.arg(LIMIT_S.to_string()).arg(tools.join("st")).args(["run", &format!("{}/openapi.json", mint.url())]);
    fuzzer.args(["--checks", CHECKS, "--seed", &seed.to_string(), "--max-examples", &requests.to_string()]);
    fuzzer.args(["--suppress-health-check", "all", "--continue-on-failure", "--no-color"]);
    fuzzer.env("SCHEMATHESIS_HOOKS", scripts.join("hooks.py")).env("MINT_STOCK", &stock);
    fuzzer.env("PYTHONPATH", &scripts).env("PYTHONDONTWRITEBYTECODE", "1");
    // It leaves a folder of its own where it runs.
    let judged = judge(fuzzer.current_dir(scratch.path()))?;
    if !judged.is_success() {
        println!("-- log of the mint\n{}", mint.log());
    }
    tally += judged;
    tally += mint.stop();
    tally += payee.stop();
    Ok(tally)
}

/// Runs the fuzzer: what it found, and a verdict for each route.
fn judge(fuzzer: &mut Command) -> Result<Tally> {
    let mut routes = Tally::default();
    let status = process::run_watched(fuzzer, |line| routes += verdict(line))?;
    if routes == Tally::default() {
        println!("FAILED no route was judged");
        routes += Tally::FAILED;
    }
    routes += if status.success() { Tally::PASSED } else { Tally::FAILED };
    Ok(routes)
}

/// What a line at the end of the run says of a route.
fn verdict(line: &str) -> Tally {
    match line.split_whitespace().take(2).collect::<Vec<_>>()[..] {
        ["ok", "GET" | "POST"] => Tally::PASSED,
        ["FAILED", "GET" | "POST"] => Tally::FAILED,
        _ => Tally::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_is_judged() {
        assert_eq!(verdict("ok POST /v1/swap answered 200 x 9, 400 x 50"), Tally::PASSED);
        assert_eq!(verdict("FAILED GET /v1/keys answered nothing"), Tally::FAILED);
        assert_eq!(verdict("FAILED to connect"), Tally::default());
        assert_eq!(verdict(""), Tally::default());
    }

    #[test]
    fn a_run_without_a_verdict_has_failed() {
        assert!(!judge(&mut Command::new("true")).expect("it runs").is_success());
    }
}
