//! `cargo xtask interop`: wallets that others wrote, as their registries deliver them, against a mint of ours; and our wallet against
//! theirs, and against mints that others wrote.
//!
//! Each script meets mints with and without input fees. Beside them runs a payee: a mint that owns the invoice which the
//! wallet pays through the mint under test, so that the payment leaves it. The fake Lightning nodes of all share one
//! ledger, and the payee's invoices do not pay themselves: what reaches it, the mint under test has paid. All must stop
//! cleanly when asked to.

mod mints;
mod peers;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use self::peers::Script;
use crate::tally::Tally;
use crate::{Places, process, release};

const START_LIMIT: Duration = Duration::from_mins(1);
const SCRIPT_LIMIT_S: &str = "300";
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The mints under test: a name, and how they differ from `hazeld dev` as it comes.
const MINTS: &[(&str, &[&str])] = &[("no-input-fee", &[]), ("input-fee", &["--input-fee-ppk", "100"])];

/// A fee reserve of 10 sat of which 4 are used, so that change comes back.
const FEE_RESERVE: &[&str] = &["--fake-reserve-min-msat", "10000", "--fake-fee-used-percent", "40"];

/// Longer than any script: an invoice of the payee is paid by somebody or not at all.
const NEVER: &[&str] = &["--fake-settle-after-ms", "86400000"];

/// Runs every script against the mint as released: what belongs to the tests.
///
/// # Errors
/// When something the scripts need is missing or does not build.
pub(crate) fn run(places: &Places) -> Result<Tally> {
    run_against(places, &release::build_release(places)?, &[])
}

/// Runs the scripts of the peers named in `only`, or all when it is empty, against the mint `program`.
///
/// # Errors
/// When `only` names no peer, or something the scripts need is missing.
pub(crate) fn run_against(places: &Places, program: &Path, only: &[String]) -> Result<Tally> {
    let names: Vec<&str> = peers::names().chain(mints::names()).collect();
    if let Some(unknown) = only.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("no peer is called {unknown}; there are: {}", names.join(", "));
    }
    let scripts = peers::prepare(places, only)?;
    let scratch = Scratch::new(&places.target, "interop")?;
    let payee = Mint::start(program, &scratch.0, "payee", NEVER)?;
    let mut tally = Tally::default();
    for (name, arguments) in MINTS.iter().filter(|_| !scripts.is_empty()) {
        let mint = Mint::start(program, &scratch.0, name, &[arguments, FEE_RESERVE].concat())?;
        let mut flows = Tally::default();
        for (peer, script) in &scripts {
            println!("-- {peer} meets {name}");
            flows += run_script(script, &mint, &payee, &scratch.0.join(format!("{name}-{peer}")))?;
        }
        if flows.failed > 0 {
            println!("-- log of {name}\n{}", mint.log());
        }
        tally += flows;
        tally += mint.stop();
    }
    tally += mints::meet(places, only, &scratch.0, &payee)?;
    tally += payee.stop();
    Ok(tally)
}

/// Runs a script that prints a line `ok ...` for each flow that worked, and ends with 0 if all did.
fn run_script(script: &Script, mint: &Mint, payee: &Mint, folder: &Path) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut command = Command::new("timeout");
    command.arg(SCRIPT_LIMIT_S).args(&script.line).args([mint.url(), payee.url()]).arg(folder);
    let status = process::run_watched(command.current_dir(&script.folder), |line| {
        if line.starts_with("ok ") {
            tally += Tally::PASSED;
        }
    })?;
    if !status.success() {
        tally += Tally::FAILED;
    }
    Ok(tally)
}

/// A folder that goes away with it.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(target: &Path, name: &str) -> Result<Self> {
        let path = target.join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            println!("{} stays behind: {error}", self.0.display());
        }
    }
}

/// An address of loopback that nobody listens on: its port is free again, and nobody else is likely to take it so soon.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A running mint.
pub(crate) struct Mint {
    process: Child,
    address: SocketAddr,
    log: PathBuf,
}

impl Mint {
    /// Starts `hazeld dev` on an empty folder and a free port of loopback and waits until it answers.
    pub(crate) fn start(program: &Path, scratch: &Path, name: &str, arguments: &[&str]) -> Result<Self> {
        let address = free_address()?;
        let mut command = Command::new(program);
        command.args(["dev", "--listen", &address.to_string(), "--data-dir"]).arg(scratch.join(name));
        command.arg("--fake-ledger").arg(scratch.join("lightning.sqlite")).args(arguments);
        Self::run(command, address, scratch.join(format!("{name}.log")))
    }

    /// Runs a mint that writes into `log`, and waits until it answers at the address.
    fn run(mut command: Command, address: SocketAddr, log: PathBuf) -> Result<Self> {
        let output = File::create(&log)?;
        command.stdin(std::process::Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let process = command.spawn().with_context(|| format!("{command:?}"))?;
        let mut mint = Self { process, address, log };
        let name = mint.log.file_stem().unwrap_or_default().display().to_string();
        match process::poll(START_LIMIT, || mint.has_started()) {
            Some(true) => println!("{name} listens on {address}"),
            Some(false) => bail!("{name} ended at its start:\n{}", mint.log()),
            None => bail!("{name} does not answer on {address}:\n{}", mint.log()),
        }
        Ok(mint)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_else(|error| error.to_string())
    }

    /// True once it answers, false when it has ended, none before either.
    fn has_started(&mut self) -> Option<bool> {
        if matches!(self.process.try_wait(), Ok(Some(_)) | Err(_)) {
            return Some(false);
        }
        status_line(self.address, "/v1/info").ok().filter(|line| line.contains(" 200 ")).map(|_| true)
    }

    /// Asks it to end and says whether it did so in time and with 0.
    pub(crate) fn stop(mut self) -> Tally {
        match self.end() {
            Ok(status) if status.success() => {
                println!("ok {} stopped cleanly", self.address);
                Tally::PASSED
            }
            Ok(status) => self.not_clean(&format!("ended with {status}")),
            Err(error) => self.not_clean(&format!("{error:#}")),
        }
    }

    fn not_clean(&self, how: &str) -> Tally {
        println!("FAILED {} {how}\n{}", self.address, self.log());
        Tally::FAILED
    }

    fn end(&mut self) -> Result<ExitStatus> {
        let pid = self.process.id().to_string();
        ensure!(process::succeeds(Command::new("kill").args(["-TERM", &pid])), "cannot signal {pid}");
        let ended = process::poll(STOP_LIMIT, || self.process.try_wait().transpose());
        ended.context("does not stop")?.context("cannot be waited for")
    }
}

impl Drop for Mint {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            // Only after a failure: it did not stop when asked, or was never asked.
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// The first line of the answer to a GET.
fn status_line(address: SocketAddr, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(1024).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned())
}
