//! The first transfer of the README, run as it is written there, by the real programs.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::Mint;

/// The shell block under the heading.
fn first_transfer() -> String {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let text = std::fs::read_to_string(readme).expect("the README");
    let section = text.split("## A first transfer").nth(1).expect("the section");
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a shell block").to_owned()
}

#[test]
fn the_first_transfer_works_as_written() {
    let home = tempfile::tempdir().expect("a folder");
    let mint = Mint::start(&home.path().join("mint"), &home.path().join("lightning.sqlite"), 1_000);
    let folder = home.path().display().to_string();
    let script = first_transfer();
    for expected in ["cargo build --release -p hazel\n", "target/release/hazel", "http://127.0.0.1:3338", "/tmp/"] {
        assert!(script.contains(expected), "{expected} is in the README");
    }
    // The same script, with the programs under test and folders of its own.
    let script = script
        .replace("cargo build --release -p hazel\n", "")
        .replace("target/release/hazel", env!("CARGO_BIN_EXE_hazel"))
        .replace("http://127.0.0.1:3338", &mint.url())
        .replace("/tmp/", &format!("{folder}/"));
    let run = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let (said, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{said}\n{errors}");
    assert!(said.contains("100 sat came in.") && said.contains("21 sat came in."), "{said}");
    assert!(said.contains("Paid 10 sat, for a fee of 1."), "{said}");
    let balances: Vec<&str> = said.lines().filter(|line| line.ends_with(" sat") && line.len() < 10).collect();
    assert_eq!(balances, ["68 sat", "21 sat"], "{said}");
}
