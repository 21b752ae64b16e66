//! The real process: started, watched, killed, started again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::postgres;

/// How long anything may take that should be quick, on a machine that is busy with other things.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A process about to be started.
pub(crate) struct Launch {
    command: Command,
    /// How the fake node behaves, by the name of the flag.
    fake: BTreeMap<String, u64>,
}

impl Launch {
    /// `hazeld` with these arguments, in an environment without anything meant for it.
    pub(crate) fn hazeld(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hazeld"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            let name_text = name.to_string_lossy();
            if name_text.starts_with("HAZEL") || name_text == "FAILPOINTS" {
                command.env_remove(&name);
            }
        }
        Self { command, fake: BTreeMap::new() }
    }

    /// `hazeld dev` in a folder, on a free port, with a Lightning node that loses little time and takes no fees.
    ///
    /// Invoices are paid a moment after they were made: no real one is paid before the mint has given it out.
    pub(crate) fn dev(folder: &Path) -> Self {
        Self::hazeld(&["dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(folder).on_database_of(folder).quick_node()
    }

    /// One of several `hazeld dev` that share a folder's database, seed and node; its own things are in the folder `name` there.
    pub(crate) fn replica(shared: &Path, name: &str) -> Self {
        Self::hazeld(&["dev", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(shared.join(name))
            .on_database_of(shared)
            .args(&["--seed-file"])
            .arg(shared.join("seed"))
            .args(&["--fake-ledger"])
            .arg(shared.join("lightning.sqlite"))
            .quick_node()
    }

    fn quick_node(self) -> Self {
        self.fake("settle-after-ms", 150).fake("pay-after-ms", 0).fake("reserve-min-msat", 0).fake("reserve-ppm", 0)
    }

    /// On PostgreSQL: with the folder's database in place of a file.
    pub(crate) fn on_database_of(self, folder: &Path) -> Self {
        match postgres::database_of(folder) {
            None => self,
            Some(url) if self.command.get_args().next().is_some_and(|first| first == "dev") => {
                self.arg("--database").arg(url)
            }
            Some(url) => self.env("HAZELD_DATABASE__URL", url),
        }
    }

    /// Has the fake node behave differently: `--fake-<name>`.
    pub(crate) fn fake(mut self, name: &str, value: u64) -> Self {
        self.fake.insert(format!("--fake-{name}"), value);
        self
    }

    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Changes the command itself.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Command)) -> Self {
        change(&mut self.command);
        self
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(self) -> Hazeld {
        let mut hazeld = self.spawn();
        match hazeld.lines.recv_timeout(PATIENCE) {
            Ok(line) => match line.strip_prefix("listening on ") {
                Some(url) => url.clone_into(&mut hazeld.url),
                None => panic!("the first line on standard output is {line:?}"),
            },
            Err(error) => panic!("hazeld does not listen ({error}):\n{}", hazeld.log()),
        }
        hazeld
    }

    /// Starts it without waiting for anything.
    pub(crate) fn spawn(mut self) -> Hazeld {
        self.command.args(self.fake.iter().flat_map(|(name, value)| [name.clone(), value.to_string()]));
        let mut child = self.command.spawn().expect("hazeld starts");
        let out = child.stdout.take().expect("its output is piped");
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let log = Arc::new(Mutex::new(String::new()));
        let (kept, mut errors) = (Arc::clone(&log), child.stderr.take().expect("its errors are piped"));
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = errors.read(&mut buffer) {
                kept.lock().expect("no test panics here").push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        Hazeld { child, url: String::new(), lines, log }
    }

    /// Runs it to its end, which must come soon.
    pub(crate) fn output(self) -> Output {
        let mut hazeld = self.spawn();
        let status = hazeld.wait();
        let mut stdout = String::new();
        loop {
            match hazeld.lines.recv_timeout(PATIENCE) {
                Ok(line) => stdout = stdout + &line + "\n",
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("its output stays open"),
            }
        }
        // The reader of the log has seen its end, or is about to.
        thread::sleep(Duration::from_millis(50));
        Output { status, stdout: stdout.into_bytes(), stderr: hazeld.log().into_bytes() }
    }
}

/// A running process; killed when dropped.
pub(crate) struct Hazeld {
    child: Child,
    url: String,
    lines: Receiver<String>,
    log: Arc<Mutex<String>>,
}

impl Hazeld {
    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// What it has written to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("no test panics here").clone()
    }

    /// Waits until the log holds `text`; false when it does not within `patience`.
    pub(crate) fn logs(&self, text: &str, patience: Duration) -> bool {
        wait_until(patience, || self.log().contains(text))
    }

    /// SIGKILL: nothing of the process runs any more when this returns.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("the process is ours");
        self.child.wait().expect("the process is ours");
    }

    /// Sends SIGTERM and does not wait.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends a signal, by its name without SIG.
    pub(crate) fn signal(&self, name: &str) {
        let process = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &process]).status();
        assert!(sent.is_ok_and(|sent| sent.success()), "{name} is not sent");
    }

    /// SIGTERM, and the orderly end that must follow.
    pub(crate) fn stop(mut self) {
        self.terminate();
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "an orderly end:\n{}", self.log());
    }

    /// Waits for the end, which must come soon.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        wait_until(PATIENCE, || {
            ended = self.child.try_wait().expect("the process is ours");
            ended.is_some()
        });
        ended.unwrap_or_else(|| panic!("hazeld does not end:\n{}", self.log()))
    }
}

impl Drop for Hazeld {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks every few ms until `condition` holds; false when it never does within `patience`.
pub(crate) fn wait_until(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + patience;
    while !condition() {
        if Instant::now() >= until {
            return false;
        }
        thread::sleep(Duration::from_millis(5));
    }
    true
}

/// Copies the files of a folder, without going deeper, and the database that goes with it.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("copied");
    }
    postgres::copy(from, to);
}
