//! What the tests need besides the Rust toolchain, and how to get it.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cluster;
use crate::process::{run, succeeds};

/// A tool or library outside the workspace.
struct Prerequisite {
    /// What needs it.
    used_by: &'static str,
    /// What it is called.
    name: &'static str,
    /// The Debian packages that bring it.
    packages: &'static [&'static str],
    is_there: fn() -> bool,
}

/// SQLCipher encrypts with OpenSSL and is compiled against its headers.
pub(crate) fn ensure_openssl_headers() -> Result<()> {
    ensure(&Prerequisite {
        used_by: "hazel-sqlite with the feature sqlcipher",
        name: "the headers of OpenSSL",
        packages: &["libssl-dev", "pkg-config"],
        is_there: has_openssl_headers,
    })
}

/// The third-party wallets come from npm and run on Node.
pub(crate) fn ensure_node() -> Result<()> {
    ensure(&Prerequisite {
        used_by: "the interop scripts",
        name: "Node 20 or later with npm",
        packages: &["nodejs", "npm"],
        is_there: has_node,
    })
}

/// The fuzzer and some of the wallets come from `PyPI`.
pub(crate) fn ensure_python() -> Result<()> {
    ensure(&Prerequisite {
        used_by: "the programs from PyPI",
        name: "Python 3.10 or later with venv",
        packages: &["python3", "python3-venv"],
        is_there: has_python,
    })
}

/// The tests of hazel-postgres run a server of their own.
pub(crate) fn ensure_postgres() -> Result<()> {
    ensure(&Prerequisite {
        used_by: "hazel-postgres",
        name: "a PostgreSQL server",
        packages: &["postgresql"],
        is_there: || cluster::programs().is_some(),
    })
}

/// The mint is tested behind a real reverse proxy.
pub(crate) fn ensure_nginx() -> Result<()> {
    ensure(&Prerequisite { used_by: "hazeld", name: "nginx", packages: &["nginx"], is_there: has_nginx })
}

/// Finds the prerequisite, installs it where that is ours to do, or says what to install.
fn ensure(wanted: &Prerequisite) -> Result<()> {
    let Prerequisite { used_by, name, packages, is_there } = wanted;
    if is_there() {
        return Ok(());
    }
    if !may_install() {
        bail!("{used_by} needs {name}; on Debian: apt-get install {}", packages.join(" "));
    }
    println!("{used_by} needs {name}: installing {} from Debian", packages.join(" "));
    run(Command::new("apt-get").args(["update", "-q"]))?;
    let install = ["install", "-q", "-y", "--no-install-recommends"];
    run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(install).args(*packages))?;
    if !is_there() {
        bail!("{} did not bring {name}", packages.join(" "));
    }
    Ok(())
}

fn has_openssl_headers() -> bool {
    std::env::var_os("OPENSSL_DIR").is_some()
        || succeeds(Command::new("pkg-config").args(["--exists", "openssl"]))
        || Path::new("/usr/include/openssl/ssl.h").exists()
}

fn has_node() -> bool {
    let is_recent = "process.exit(Number(process.versions.node.split('.')[0]) >= 20 ? 0 : 1)";
    succeeds(Command::new("node").args(["-e", is_recent])) && succeeds(Command::new("npm").arg("--version"))
}

/// Debian keeps it where only root's path leads.
fn has_nginx() -> bool {
    ["nginx", "/usr/sbin/nginx"].iter().any(|program| succeeds(Command::new(program).arg("-v")))
}

fn has_python() -> bool {
    let is_recent = "import sys, venv, ensurepip; sys.exit(0 if sys.version_info >= (3, 10) else 1)";
    succeeds(Command::new("python3").args(["-c", is_recent]))
}

/// Root on a Debian machine: a container or CI. Anyone else is asked to install by hand.
fn may_install() -> bool {
    is_root() && Path::new("/etc/debian_version").exists() && succeeds(Command::new("apt-get").arg("--version"))
}

pub(crate) fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.trim_ascii() == b"0")
}
