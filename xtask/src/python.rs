//! Programs from `PyPI`, each in an environment of its own inside the target folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{Places, prerequisites, process};

/// The folder of the programs that `interop/<name>/requirements.txt` names, installed as it pins them.
///
/// # Errors
/// Python is missing and cannot be installed, or the registry does not have what is pinned.
pub(crate) fn environment(places: &Places, name: &str) -> Result<PathBuf> {
    prerequisites::ensure_python()?;
    let wanted = places.root.join("interop").join(name).join("requirements.txt");
    let folder = places.target.join("python").join(name);
    let installed = folder.join("installed.txt");
    let pins = fs::read_to_string(&wanted).with_context(|| wanted.display().to_string())?;
    // Written last: an environment that holds it is whole.
    if fs::read_to_string(&installed).is_ok_and(|text| text == pins) {
        return Ok(folder.join("bin"));
    }
    process::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let pip = [
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
        "--require-hashes",
        "--requirement",
    ];
    process::run(Command::new(folder.join("bin/pip")).args(pip).arg(&wanted))?;
    fs::write(&installed, pins)?;
    Ok(folder.join("bin"))
}
