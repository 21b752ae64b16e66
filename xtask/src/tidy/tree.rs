//! The files of the workspace, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::source::Source;

/// Every text file that is tracked, or would be, with its Rust files tokenized.
#[derive(Debug)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
    sources: Vec<Source>,
    unreached: Vec<String>,
}

impl Tree {
    /// Reads the workspace at `root`: all files that git tracks or does not ignore.
    ///
    /// # Errors
    /// When git cannot list them.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let listing = Command::new("git")
            .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
            .current_dir(root)
            .output()
            .context("running git ls-files")?;
        ensure!(listing.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listing.stderr));
        let names = String::from_utf8(listing.stdout).context("a file name is not UTF-8")?;
        // A file that cannot be read as text is binary, or was deleted and not yet committed: no rule is about it.
        let read = |name: &str| Some((name.to_owned(), std::fs::read_to_string(root.join(name)).ok()?));
        Ok(Self::new(names.split('\0').filter(|name| !name.is_empty()).filter_map(read)))
    }

    /// A tree of these paths and texts.
    pub(crate) fn new(files: impl IntoIterator<Item = (String, String)>) -> Self {
        let files: BTreeMap<String, String> = files.into_iter().collect();
        let mut reached = BTreeMap::new();
        for root in crate_roots(&files) {
            let test = is_test_path(&root);
            reach(&files, &root, test, true, &mut reached);
        }
        let rust = files.iter().filter(|(path, _)| is_rust(path));
        let sources = rust
            .map(|(path, text)| {
                let test = is_test_path(path) || reached.get(path).copied().unwrap_or(false);
                Source::new(path, text, test)
            })
            .collect();
        let unreached = files.keys().filter(|path| is_rust(path) && !reached.contains_key(*path)).cloned().collect();
        Self { files, sources, unreached }
    }

    /// How many files there are.
    pub(crate) fn len(&self) -> usize {
        self.files.len()
    }

    /// The Rust files.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// The Rust files that no crate's module tree reaches.
    pub(crate) fn unreached(&self) -> &[String] {
        &self.unreached
    }

    /// Every file's path and text.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of the file at `path`.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether `path` is a file, or a folder with a file in it.
    pub(crate) fn exists(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        path.is_empty() || self.files.contains_key(path) || self.files.keys().any(|file| file.starts_with(&folder))
    }

    /// The manifest at `path` as a table; none when it is missing or malformed, which cargo itself reports.
    pub(crate) fn manifest(&self, path: &str) -> Option<toml::Table> {
        self.text(path)?.parse().ok()
    }
}

/// The folder of `path`, without a slash at its end; empty for the top folder.
pub(crate) fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Joins a folder and a relative path, resolving `.` and `..`; none when it leaves the workspace.
pub(crate) fn join(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn is_rust(path: &str) -> bool {
    path.rsplit_once('.').is_some_and(|(_, extension)| extension == "rs")
}

/// Whether a path says by itself that the file is test code.
fn is_test_path(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| matches!(part, "tests" | "benches"))
}

/// The files that cargo compiles as crates: what it finds by itself, and what a manifest names with `path = "..."`.
fn crate_roots(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut roots = BTreeSet::new();
    for (manifest, text) in files.iter().filter(|(path, _)| *path == "Cargo.toml" || path.ends_with("/Cargo.toml")) {
        let folder = folder_of(manifest);
        let inside = |path: &String| is_rust(path) && (folder.is_empty() || path.starts_with(&format!("{folder}/")));
        roots.extend(files.keys().filter(|path| inside(path) && is_found_by_cargo(folder, path)).cloned());
        let named = text.lines().filter_map(|line| line.trim().strip_prefix("path = \""));
        roots.extend(named.filter_map(|rest| join(folder, rest.trim_end_matches('"'))).filter(|path| is_rust(path)));
    }
    roots
}

fn is_found_by_cargo(package: &str, path: &str) -> bool {
    let inside = path.strip_prefix(package).unwrap_or(path).trim_start_matches('/');
    let parts: Vec<&str> = inside.split('/').collect();
    matches!(
        parts.as_slice(),
        ["build.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["tests" | "examples" | "benches", _]
            | ["src", "bin", _]
            | ["tests" | "examples" | "benches", _, "main.rs"]
            | ["src", "bin", _, "main.rs"]
    )
}

/// Notes `path` and every file its modules lead to. The value says whether all ways to it are for tests only.
fn reach(
    files: &BTreeMap<String, String>,
    path: &str,
    test: bool,
    is_root: bool,
    reached: &mut BTreeMap<String, bool>,
) {
    let Some(content) = files.get(path) else { return };
    match reached.get(path) {
        // Reached before, and by a way that says no less.
        Some(known) if *known <= test => return,
        _ => reached.insert(path.to_owned(), test),
    };
    let source = Source::new(path, content, test);
    let folder = folder_of(path);
    let stem = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    let home = if is_root || stem == "mod" { folder.to_owned() } else { format!("{folder}/{stem}") };
    for child in source.child_modules() {
        let base = child.inside.iter().fold(home.clone(), |base, part| format!("{base}/{part}"));
        let candidates = match &child.path {
            Some(named) => vec![join(folder, named)],
            None => vec![join(&base, &format!("{}.rs", child.name)), join(&base, &format!("{}/mod.rs", child.name))],
        };
        for candidate in candidates.into_iter().flatten() {
            reach(files, &candidate, test || child.test, false, reached);
        }
    }
    for included in source.included_files() {
        if let Some(included) = join(folder, &included) {
            reach(files, &included, test, false, reached);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        Tree::new(files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())))
    }

    #[test]
    fn the_module_tree_is_followed() {
        let tree = tree(&[
            ("crates/a/Cargo.toml", ""),
            ("crates/a/src/lib.rs", "mod b;\nmod c { mod d; }\n#[cfg(test)]\nmod probe;"),
            ("crates/a/src/b.rs", "mod e;"),
            ("crates/a/src/b/e.rs", ""),
            ("crates/a/src/c/d.rs", ""),
            ("crates/a/src/probe.rs", ""),
            ("crates/a/src/dead.rs", ""),
            ("crates/a/tests/it.rs", "mod support;"),
            ("crates/a/tests/support/mod.rs", ""),
        ]);
        assert_eq!(tree.unreached(), ["crates/a/src/dead.rs"]);
        let tests: Vec<_> = tree.sources().iter().filter(|s| s.is_test_file()).map(|s| s.path.as_str()).collect();
        assert_eq!(tests, ["crates/a/src/probe.rs", "crates/a/tests/it.rs", "crates/a/tests/support/mod.rs"]);
    }

    #[test]
    fn paths_are_joined_within_the_workspace() {
        assert_eq!(join("a/b", "../c.md").as_deref(), Some("a/c.md"));
        assert_eq!(join("", "./c.md").as_deref(), Some("c.md"));
        assert_eq!(join("a", "../../c.md"), None);
    }
}
