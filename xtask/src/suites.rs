//! `cargo xtask test`: every test there is, as one table of suites.
//!
//! Suites whose features replace a library or plant failpoints build into target folders of their own, so that no two
//! meanings of one crate ever meet in one folder.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::cluster::Cluster;
use crate::tally::Tally;
use crate::{Places, fuzz, interop, prerequisites, process, release};

/// A group of tests that is built and run together.
struct Suite {
    /// What `--only` calls it.
    name: &'static str,
    /// What it proves.
    about: &'static str,
    run: fn(&Places) -> Result<Tally>,
}

/// In the order in which they run: the quickest to fail first.
const SUITES: &[Suite] = &[
    Suite { name: "unit", about: "all tests of the workspace with default features", run: unit },
    Suite {
        name: "postgres",
        about: "the store contract, what PostgreSQL can do to it, and the mint on it, on a server of its own",
        run: postgres,
    },
    Suite { name: "sqlcipher", about: "the store contract and the mint on encrypted databases", run: sqlcipher },
    Suite { name: "crash", about: "mint and wallet are killed at every point and recover", run: crash },
    Suite { name: "release", about: "what is released holds no failpoint", run: release::run },
    Suite { name: "interop", about: "wallets of others move money through our mint", run: interop::run },
    Suite {
        name: "fuzz",
        about: "no request made up from the OpenAPI document gets an answer it does not name",
        run: fuzz::run_short,
    },
];

/// Runs the suites named in `only`, or all when it is empty.
///
/// # Errors
/// When `only` names no suite. A suite that fails is counted, and the next one runs.
pub(crate) fn run(places: &Places, only: &[String]) -> Result<Tally> {
    if let Some(unknown) = only.iter().find(|name| SUITES.iter().all(|suite| suite.name != *name)) {
        bail!(
            "no suite is called {unknown}; there are: {}",
            SUITES.iter().map(|s| s.name).collect::<Vec<_>>().join(", ")
        );
    }
    let mut total = Tally::default();
    let mut lines = Vec::new();
    for suite in SUITES.iter().filter(|suite| only.is_empty() || only.iter().any(|name| name == suite.name)) {
        println!("\n== {}: {}", suite.name, suite.about);
        let (tally, took) = timed(suite, places);
        lines.push(format!("{:<10} {tally}, {} s", suite.name, took.as_secs()));
        total += tally;
    }
    println!("\n== summary\n{}", lines.join("\n"));
    Ok(total)
}

/// Runs a suite; one that cannot run, or finds nothing to run, has failed.
fn timed(suite: &Suite, places: &Places) -> (Tally, Duration) {
    let start = Instant::now();
    let tally = (suite.run)(places).unwrap_or_else(|error| {
        println!("{}: {error:#}", suite.name);
        Tally::FAILED
    });
    let is_empty = tally == Tally::default();
    if is_empty {
        println!("{}: no test ran", suite.name);
    }
    (if is_empty { Tally::FAILED } else { tally }, start.elapsed())
}

/// How long the clients of the mint's load test go on, in seconds: what a release is judged by.
const LOAD: (&str, &str) = ("HAZEL_LOAD_SECS", "60");

fn unit(places: &Places) -> Result<Tally> {
    prerequisites::ensure_nginx()?;
    cargo_test(places, None, &["--workspace"], &[LOAD])
}

fn postgres(places: &Places) -> Result<Tally> {
    let cluster = Cluster::start()?;
    let url = cluster.url();
    let server = [("HAZEL_TEST_POSTGRES", url.as_str())];
    let mut tally = cargo_test(places, None, &["-p", "hazel-postgres", "--features", "server-tests"], &server)?;
    tally +=
        cargo_test(places, None, &[&["-p", "hazeld", "--features", "server-tests"], ON_POSTGRES].concat(), &server)?;
    Ok(tally)
}

/// The tests of the mint that say something of its database, and are not about a file of SQLite.
const ON_POSTGRES: &[&str] = &[
    "--test",
    "run",
    "--test",
    "errors",
    "--test",
    "concurrency",
    "--test",
    "subscriptions",
    "--test",
    "rotation",
    "--test",
    "hostile",
    "--test",
    "replicas",
];

fn sqlcipher(places: &Places) -> Result<Tally> {
    prerequisites::ensure_openssl_headers()?;
    let store = ["-p", "hazel-sqlite", "--no-default-features", "--features", "wallet,mint,sqlcipher"];
    let mint = ["-p", "hazeld", "--features", "sqlcipher", "--test", "cipher"];
    let mut tally = cargo_test(places, Some("sqlcipher"), &store, &[])?;
    tally += cargo_test(places, Some("sqlcipher"), &mint, &[])?;
    Ok(tally)
}

fn crash(places: &Places) -> Result<Tally> {
    let mint = ["-p", "hazeld", "--features", "failpoints", "--test", "crash"];
    // Its wallet meets the mint that the first has built beside it.
    let wallet = ["-p", "hazel", "--features", "failpoints", "--test", "crash"];
    let mut tally = cargo_test(places, Some(release::FAILPOINTS_FOLDER), &mint, &[])?;
    tally += cargo_test(places, Some(release::FAILPOINTS_FOLDER), &wallet, &[])?;
    Ok(tally)
}

/// Runs `cargo test` in the folder `inside` of the target folder and adds up what its test binaries say.
fn cargo_test(
    places: &Places,
    inside: Option<&str>,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<Tally> {
    let target = inside.map_or_else(|| places.target.clone(), |folder| places.target.join(folder));
    let mut cargo = process::cargo();
    cargo.args(["test", "--locked", "--no-fail-fast", "--target-dir"]).arg(target).args(arguments);
    cargo.envs(environment.iter().copied());
    let mut tally = Tally::default();
    let status = process::run_watched(cargo.current_dir(&places.root), |line| {
        tally += Tally::of_result_line(line).unwrap_or_default();
    })?;
    if !status.success() && tally.failed == 0 {
        // It did not compile, or a test binary died before it could say how it went.
        tally += Tally::FAILED;
    }
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places { root: ".".into(), target: "target".into() }
    }

    #[test]
    fn an_unknown_suite_is_refused() {
        assert!(run(&places(), &["nonsense".to_owned()]).is_err());
    }

    #[test]
    fn a_suite_without_tests_has_failed() {
        let empty = Suite { name: "empty", about: "", run: |_| Ok(Tally::default()) };
        let broken = Suite { name: "broken", about: "", run: |_| bail!("cannot run") };
        assert_eq!(timed(&empty, &places()).0, Tally::FAILED);
        assert_eq!(timed(&broken, &places()).0, Tally::FAILED);
    }
}
