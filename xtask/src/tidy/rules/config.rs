//! Settings that must agree with each other.

use super::super::Finding;
use super::super::tree::Tree;

pub(crate) const CLIPPY: &str = "clippy-config";
pub(crate) const NPM_LOCK: &str = "npm-lock";

/// A crate's own clippy.toml replaces that of the workspace, so it must say the same where both speak.
pub(crate) fn clippy(tree: &Tree) -> Vec<Finding> {
    let workspace = tree.manifest("clippy.toml").unwrap_or_default();
    let own = tree.files().filter(|(path, _)| path.ends_with("/clippy.toml"));
    let mut findings = Vec::new();
    for (path, _) in own {
        let table = tree.manifest(path).unwrap_or_default();
        for (key, value) in workspace.iter().filter(|(key, value)| table.get(key.as_str()) != Some(*value)) {
            let message = format!("repeat `{key} = {value}` of the workspace's clippy.toml");
            findings.push(Finding { rule: CLIPPY, at: path.to_owned(), line: 0, amount: 1, message });
        }
    }
    findings
}

/// A package-lock.json pins hashes and names no host: it must work with any registry.
pub(crate) fn npm_lock(tree: &Tree) -> Vec<Finding> {
    let locks = tree.files().filter(|(path, _)| path.ends_with("package-lock.json"));
    let mut findings = Vec::new();
    for (path, text) in locks {
        let naming = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("\"resolved\""));
        findings.extend(naming.map(|(index, _)| Finding {
            rule: NPM_LOCK,
            at: path.to_owned(),
            line: index + 1,
            amount: 1,
            message: "a registry's host in the lock file: set omit-lockfile-registry-resolved in .npmrc".to_owned(),
        }));
    }
    findings
}
