//! The two programs as their users run them: the wallet command, and a mint to talk to.
#![allow(dead_code, reason = "each test program uses its own part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that should be quick, on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_mins(2);

/// Longer than any test: the invoice does not pay itself.
pub(crate) const NEVER_MS: u64 = 3_600_000;

/// The mint's program, which is another package of the workspace: beside ours, and built when it is not there yet.
pub(crate) fn hazeld() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let folder = Path::new(env!("CARGO_BIN_EXE_hazel")).parent().expect("a program is in a folder");
        let program = folder.join(format!("hazeld{}", std::env::consts::EXE_SUFFIX));
        if !program.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
            let mut build = Command::new(cargo);
            build.args(["build", "--package", "hazeld", "--target-dir"]).arg(folder.parent().expect("a target folder"));
            if folder.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().expect("cargo runs").success(), "hazeld is built");
        }
        program
    })
}

/// A port that nobody listens on at this moment.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("an address").port()
}

/// A mint on a port of its own, with a folder that outlives a restart.
pub(crate) struct Mint {
    folder: PathBuf,
    ledger: PathBuf,
    port: u16,
    process: Option<Child>,
}

impl Mint {
    /// `hazeld dev` in a folder. Mints with one ledger share a Lightning network, on which invoices pay themselves after
    /// `settle_ms`.
    pub(crate) fn start(folder: &Path, ledger: &Path, settle_ms: u64) -> Self {
        let port = free_port();
        let mut mint = Self { folder: folder.to_owned(), ledger: ledger.to_owned(), port, process: None };
        mint.run(&[("settle-after-ms", settle_ms)]);
        mint
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops it at once and starts it anew, with a Lightning node that behaves differently.
    pub(crate) fn restart(&mut self, fake: &[(&str, u64)]) {
        self.kill();
        self.run(fake);
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn run(&mut self, fake: &[(&str, u64)]) {
        let mut command = plain(hazeld());
        command.args(["dev", "--log-level", "warn", "--listen", &format!("127.0.0.1:{}", self.port)]);
        command.arg("--data-dir").arg(&self.folder).arg("--fake-ledger").arg(&self.ledger);
        for (name, value) in fake {
            command.args([format!("--fake-{name}"), value.to_string()]);
        }
        let mut process =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("hazeld starts");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("read");
        self.process = Some(process);
        assert_eq!(line.trim(), format!("listening on {}", self.url()));
    }
}

impl Drop for Mint {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A folder, and in it a mint whose invoices pay themselves after a time.
pub(crate) struct World {
    home: TempDir,
    /// The mint.
    pub(crate) mint: Mint,
}

impl World {
    pub(crate) fn new(settle_ms: u64) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        let mint = Mint::start(&home.path().join("mint"), &home.path().join("lightning.sqlite"), settle_ms);
        Self { home, mint }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.home.path()
    }

    /// A user whose alias names the mint.
    pub(crate) fn user(&self, name: &str) -> User {
        User::new(self.home.path().join(name), Some(&self.mint))
    }

    /// Another mint on the same Lightning network, whose invoices do not pay themselves.
    pub(crate) fn payee(&self) -> Mint {
        Mint::start(&self.home.path().join("payee"), &self.home.path().join("lightning.sqlite"), NEVER_MS)
    }

    /// From here on no invoice pays itself, and paying takes no time.
    pub(crate) fn stop_settling(&mut self) {
        self.mint.restart(&[("settle-after-ms", NEVER_MS), ("pay-after-ms", 0)]);
    }
}

/// A program in an environment without anything meant for it.
fn plain(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HAZEL") {
            command.env_remove(&name);
        }
    }
    command
}

/// A user: a wallet folder, and the mint that its alias names.
#[derive(Clone)]
pub(crate) struct User {
    folder: PathBuf,
    mint: Option<String>,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    /// It went well.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.fails_with(0)
    }

    /// It ended with this code.
    #[track_caller]
    pub(crate) fn fails_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// What it wrote is one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let document = serde_json::from_str(&self.out);
        assert!(document.is_ok(), "{self:#?}");
        document.expect("asserted")
    }

    /// The token, in an answer for people: the only line of it.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        assert!(self.out.starts_with("cashuB") && self.out.lines().count() == 1, "{self:#?}");
        self.out.trim().to_owned()
    }
}

impl User {
    /// A user of `mint`, if there is one, who keeps the wallet in `folder`.
    pub(crate) fn new(folder: PathBuf, mint: Option<&Mint>) -> Self {
        Self { folder, mint: mint.map(Mint::url) }
    }

    /// The same wallet, used at the mint or proxy at `url`.
    pub(crate) fn at(&self, url: String) -> Self {
        Self { folder: self.folder.clone(), mint: Some(url) }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `hazel`, which has failpoints, until it comes by `point`, and kills it there; what it said when it never came by.
    #[track_caller]
    pub(crate) fn killed_at(&self, point: &str, arguments: &[&str]) -> Option<Said> {
        let child = self.command(arguments).env("HAZEL_STOP_AT", point).spawn().expect("hazel starts");
        let mut running = Running { child };
        let mut said = String::new();
        let mut errors = BufReader::new(running.child.stderr.take().expect("piped"));
        while errors.read_line(&mut said).expect("text") > 0 {
            if said.contains("stopped at failpoint ") {
                running.child.kill().expect("it stands still");
                return None;
            }
        }
        Some(Said { err: said, ..running.end() })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = plain(Path::new(env!("CARGO_BIN_EXE_hazel")));
        command.arg("--wallet").arg(&self.folder);
        if let Some(mint) = &self.mint {
            command.args(["--mint", mint]);
        }
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// `hazel` with these arguments, and nothing on standard input.
    pub(crate) fn hazel(&self, arguments: &[&str]) -> Said {
        self.hazel_reads(arguments, "")
    }

    /// `hazel` with these arguments and this on standard input.
    pub(crate) fn hazel_reads(&self, arguments: &[&str], input: &str) -> Said {
        let mut running = self.begin(arguments);
        // It need not read what it is given.
        let _ = running.child.stdin.take().expect("piped").write_all(input.as_bytes());
        running.end()
    }

    /// `hazel` with these arguments in an environment that has these variables.
    pub(crate) fn hazel_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Said {
        let child = self.command(arguments).envs(variables.iter().copied()).spawn().expect("hazel starts");
        Running { child }.end()
    }

    /// Starts `hazel` on a terminal of its own, on which it reads and writes.
    pub(crate) fn begin_on_terminal(&self, arguments: &[&str]) -> Running {
        self.begin_on_terminal_with(arguments, &[])
    }

    /// As [`begin_on_terminal`](Self::begin_on_terminal), with these variables.
    pub(crate) fn begin_on_terminal_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let inner = self.command(arguments);
        let words = std::iter::once(inner.get_program()).chain(inner.get_args());
        // No argument of the tests holds a quote.
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let mut command = plain(Path::new("script"));
        command.args(["--quiet", "--return", "--flush", "--command", &line.join(" "), "/dev/null"]);
        command.env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS").envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: command.spawn().expect("script, of util-linux, starts") }
    }

    /// Starts `hazel` and leaves it running.
    pub(crate) fn begin(&self, arguments: &[&str]) -> Running {
        Running { child: self.command(arguments).spawn().expect("hazel starts") }
    }

    /// What is free, held and handed out, over all mints.
    #[track_caller]
    pub(crate) fn balance(&self) -> (u64, u64, u64) {
        let json = self.hazel(&["balance", "--json"]).ok().json();
        let sums = json["balances"].as_array().expect("a list").clone();
        let sum = |what: &str| sums.iter().map(|sum| sum[what].as_u64().expect("an amount")).sum();
        (sum("available"), sum("held"), sum("sent"))
    }

    /// An invoice over `amount` that somebody else may pay.
    #[track_caller]
    pub(crate) fn invoice(&self, amount: &str) -> String {
        let json = self.hazel(&["mint", amount, "--no-wait", "--json"]).ok().json();
        json["invoice"].as_str().expect("an invoice").to_owned()
    }
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
}

impl Running {
    /// Reads standard output until it holds `text`.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) -> String {
        read_until(self.child.stdout.as_mut().expect("piped"), text)
    }

    /// Reads standard error until it holds `text`.
    #[track_caller]
    pub(crate) fn says(&mut self, text: &str) -> String {
        read_until(self.child.stderr.as_mut().expect("piped"), text)
    }

    /// Types on the terminal.
    pub(crate) fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().expect("piped").write_all(text.as_bytes()).expect("typed");
    }

    /// Waits for the end; false when it does not come in time.
    pub(crate) fn ends_within(&mut self, limit: Duration) -> bool {
        let until = Instant::now() + limit;
        while self.child.try_wait().expect("the process is ours").is_none() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status();
        assert!(sent.expect("a shell").success());
    }

    /// Waits for the end, which must come soon.
    #[track_caller]
    pub(crate) fn end(mut self) -> Said {
        drop(self.child.stdin.take());
        let until = Instant::now() + PATIENCE;
        let (out, err) =
            (reader(self.child.stdout.take()), self.child.stderr.take().map(|stream| reader(Some(stream))));
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the process is ours") {
                break status;
            }
            assert!(Instant::now() < until, "hazel does not end");
            std::thread::sleep(Duration::from_millis(5));
        };
        Said {
            code: status.code(),
            out: out.join().expect("read"),
            err: err.map_or(String::new(), |err| err.join().expect("read")),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn read_until(stream: &mut impl Read, text: &str) -> String {
    let mut seen = Vec::new();
    let mut byte = [0];
    while !String::from_utf8_lossy(&seen).contains(text) {
        assert_eq!(stream.read(&mut byte).expect("read"), 1, "it ended: {}", String::from_utf8_lossy(&seen));
        seen.push(byte[0]);
    }
    String::from_utf8(seen).expect("text")
}

fn reader(stream: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = String::new();
        stream.expect("piped").read_to_string(&mut text).expect("text");
        text
    })
}
