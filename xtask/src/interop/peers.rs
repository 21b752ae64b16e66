//! The wallets that are met: how each is installed, and what runs its flows.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{Places, prerequisites, process, python, release};

/// A script of `interop/`.
struct Peer {
    /// What `--only` calls it.
    name: &'static str,
    /// Installs what it needs and says how to run it.
    prepare: fn(&Places) -> Result<Script>,
}

/// How to run the flows of a peer: the mint's address, the payee's and a folder are still to be added.
pub(super) struct Script {
    pub(super) folder: PathBuf,
    pub(super) line: Vec<OsString>,
}

const PEERS: &[Peer] = &[
    Peer { name: "cashu-ts", prepare: cashu_ts },
    Peer { name: "nutshell", prepare: |places| nutshell(places, "main.py") },
    Peer { name: "cross", prepare: cross },
    Peer { name: "hazel", prepare: hazel },
    Peer { name: "requests", prepare: requests },
];

/// What `--only` may name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PEERS.iter().map(|peer| peer.name)
}

/// Prepares the peers named in `only`, or all when it is empty.
///
/// # Errors
/// Something that a peer needs is missing.
pub(super) fn prepare(places: &Places, only: &[String]) -> Result<Vec<(&'static str, Script)>> {
    let wanted = PEERS.iter().filter(|peer| only.is_empty() || only.iter().any(|name| name == peer.name));
    wanted.map(|peer| Ok((peer.name, (peer.prepare)(places)?))).collect()
}

fn cashu_ts(places: &Places) -> Result<Script> {
    let folder = install_cashu_ts(&places.root)?;
    // Node 20 has WebSockets behind this flag; later ones have them anyway.
    let line = ["node", "--experimental-websocket", "main.mjs"].map(OsString::from).to_vec();
    Ok(Script { folder, line })
}

fn install_cashu_ts(root: &Path) -> Result<PathBuf> {
    prerequisites::ensure_node()?;
    let folder = root.join("interop/cashu-ts");
    process::run(Command::new("npm").args(["ci", "--loglevel=error"]).current_dir(&folder))?;
    Ok(folder)
}

fn nutshell(places: &Places, script: &str) -> Result<Script> {
    let python = python::environment(places, "nutshell")?.join("python");
    // Without `-B`, Python would write what it compiles beside the scripts.
    let line = vec![python.into(), "-B".into(), script.into()];
    Ok(Script { folder: places.root.join("interop/nutshell"), line })
}

/// Tokens from one wallet to the other: nutshell's script runs the one of cashu-ts.
fn cross(places: &Places) -> Result<Script> {
    install_cashu_ts(&places.root)?;
    nutshell(places, "cross.py")
}

/// Tokens from our wallet to the others and back: nutshell's script runs all three.
fn hazel(places: &Places) -> Result<Script> {
    install_cashu_ts(&places.root)?;
    let mut script = nutshell(places, "hazel.py")?;
    script.line.push(release::build_wallet(places)?.into());
    Ok(script)
}

/// Payment requests, which need no mint.
fn requests(places: &Places) -> Result<Script> {
    let folder = install_cashu_ts(&places.root)?;
    let line = vec!["node".into(), "requests.mjs".into(), release::build_request_reader(places)?.into()];
    Ok(Script { folder, line })
}
