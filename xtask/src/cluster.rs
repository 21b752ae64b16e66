//! A PostgreSQL of the tests' own: made from Debian's packages, on a free port, with the durability that PostgreSQL has by default, and
//! removed when the tests have run.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::prerequisites;
use crate::process::{run, succeeds};

/// Where Debian puts the programs of each version.
const VERSIONS: &str = "/usr/lib/postgresql";

/// PostgreSQL refuses to run as root; these are there on every Debian machine, the first once its package is.
const USERS: &[&str] = &["postgres", "nobody"];

/// A running server; dropped, it is stopped and its data removed.
pub(crate) struct Cluster {
    programs: PathBuf,
    folder: PathBuf,
    /// Whom the server runs as, when we are root.
    user: Option<&'static str>,
    port: u16,
}

impl Cluster {
    /// Makes a cluster and starts it.
    pub(crate) fn start() -> Result<Self> {
        prerequisites::ensure_postgres()?;
        let programs = programs().context("the programs of PostgreSQL are there")?;
        let user = prerequisites::is_root().then(|| USERS.iter().copied().find(|user| exists(user))).flatten();
        let folder = std::env::temp_dir().join(format!("hazel-postgres-{}", std::process::id()));
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let cluster = Self { programs, folder, user, port };
        run(cluster.command(Path::new("mkdir")).arg("-m").arg("700").arg(&cluster.folder))?;
        let mut initdb = cluster.command(&cluster.programs.join("initdb"));
        run(initdb.args(["-U", "hazel", "-A", "trust", "-E", "UTF8", "--no-locale", "-D"]).arg(cluster.data()))?;
        let options = format!("-p {port} -h 127.0.0.1 -k {}", cluster.folder.display());
        let log = cluster.folder.join("log");
        run(cluster.control().args(["-w", "-t", "60", "-o", &options, "-l"]).arg(log).arg("start"))?;
        Ok(cluster)
    }

    /// A URL to it, as somebody who may do everything there.
    pub(crate) fn url(&self) -> String {
        format!("postgres://hazel@127.0.0.1:{}/postgres", self.port)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// `program` as the user that the server runs as, in a folder that this user may enter.
    fn command(&self, program: &Path) -> Command {
        let mut command = match self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(program);
                command
            }
        };
        command.current_dir(std::env::temp_dir());
        command
    }

    fn control(&self) -> Command {
        let mut command = self.command(&self.programs.join("pg_ctl"));
        command.arg("-D").arg(self.data());
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let is_stopped = succeeds(self.control().args(["-m", "immediate", "-w", "stop"]));
        if !is_stopped || std::fs::remove_dir_all(&self.folder).is_err() {
            println!("what is left of the tests' PostgreSQL is in {}", self.folder.display());
        }
    }
}

/// The programs of the newest version there is.
pub(crate) fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).ok()?.filter_map(Result::ok);
    let number = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest =
        versions.map(|entry| entry.path()).filter(|path| path.join("bin/initdb").exists()).max_by_key(number)?;
    Some(newest.join("bin"))
}

fn exists(user: &str) -> bool {
    succeeds(Command::new("id").arg(user))
}
