//! Mints that others wrote, met by our wallet: how each is installed, configured and started.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Mint, Script, free_address, run_script};
use crate::tally::Tally;
use crate::{Places, python, release};

/// A mint of others.
struct Foreign {
    /// What `--only` calls it.
    name: &'static str,
    /// Installs it and says how to start it at the address, with all that it keeps in the folder.
    command: fn(&Places, SocketAddr, &Path) -> Result<Command>,
}

const MINTS: &[Foreign] = &[Foreign { name: "nutshell-mint", command: nutshell }];

/// What it takes of inputs, in thousandths of a sat for each.
const INPUT_FEE_PPK: &str = "100";

/// What `--only` may name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    MINTS.iter().map(|mint| mint.name)
}

/// Has our wallet meet the mints named in `only`, or all when it is empty.
///
/// # Errors
/// When a mint, or the wallet, cannot be installed or built, or does not start.
pub(super) fn meet(places: &Places, only: &[String], scratch: &Path, payee: &Mint) -> Result<Tally> {
    let mut tally = Tally::default();
    for foreign in MINTS.iter().filter(|mint| only.is_empty() || only.iter().any(|name| name == mint.name)) {
        let mut line = vec!["python3".into(), "-B".into(), "main.py".into()];
        line.push(release::build_wallet(places)?.into());
        let script = Script { folder: places.root.join("interop/hazel"), line };
        let (address, folder) = (free_address()?, scratch.join(foreign.name));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let command = (foreign.command)(places, address, &folder)?;
        let mint = Mint::run(command, address, scratch.join(format!("{}.log", foreign.name)))?;
        println!("-- hazel meets {}", foreign.name);
        let flows = run_script(&script, &mint, payee, &folder.join("wallets"))?;
        if flows.failed > 0 {
            println!("-- log of {}\n{}", foreign.name, mint.log());
        }
        tally += flows;
    }
    Ok(tally)
}

/// The mint of nutshell, from `PyPI`, with a wallet for Lightning that is a fake.
fn nutshell(places: &Places, address: SocketAddr, folder: &Path) -> Result<Command> {
    let mut command = Command::new(python::environment(places, "nutshell")?.join("mint"));
    command.current_dir(folder).envs([("HOME", folder), ("CASHU_DIR", folder)]).envs([
        ("TOR", "false"),
        ("MINT_PRIVATE_KEY", "of a test"),
        ("MINT_BACKEND_BOLT11_SAT", "FakeWallet"),
        ("MINT_DATABASE", "mint"),
        ("MINT_INPUT_FEE_PPK", INPUT_FEE_PPK),
        ("MINT_RATE_LIMIT", "false"),
        ("FAKEWALLET_DELAY_INCOMING_PAYMENT", "0"),
        ("FAKEWALLET_DELAY_OUTGOING_PAYMENT", "0"),
    ]);
    command.env("MINT_LISTEN_HOST", address.ip().to_string()).env("MINT_LISTEN_PORT", address.port().to_string());
    Ok(command)
}
