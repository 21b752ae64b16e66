//! Where code stands and what it is called.

use std::collections::BTreeMap;

use super::super::Finding;
use super::super::tree::Tree;

pub(crate) const DEAD_FILES: &str = "dead-files";
pub(crate) const DUPLICATES: &str = "duplicates";
pub(crate) const VAGUE_NAMES: &str = "vague-names";

/// Bodies of fewer tokens are too small to be worth sharing.
const SMALL_BODY_TOKENS: usize = 25;
/// Bodies of at least this many tokens are duplicates whatever the functions are called.
const LARGE_BODY_TOKENS: usize = 80;
const VAGUE: &[&str] = &["common", "utils", "util", "types", "shared", "helpers", "helper", "misc"];

/// Every Rust file is part of some crate.
pub(crate) fn dead_files(tree: &Tree) -> Vec<Finding> {
    let dead = tree.unreached().iter();
    dead.map(|path| Finding {
        rule: DEAD_FILES,
        at: path.clone(),
        line: 0,
        amount: 1,
        message: "no module tree reaches this file: declare it or delete it".to_owned(),
    })
    .collect()
}

/// No function is written twice.
pub(crate) fn duplicates(tree: &Tree) -> Vec<Finding> {
    let mut first: BTreeMap<String, String> = BTreeMap::new();
    let mut findings = Vec::new();
    for source in tree.sources() {
        for function in source.functions().iter().filter(|function| function.body.len() >= SMALL_BODY_TOKENS) {
            let name = if function.body.len() >= LARGE_BODY_TOKENS { "" } else { function.name.as_str() };
            let key = format!("{name}: {}", source.normalized(function.body.clone()));
            let here = format!("{}::{}", source.path, function.name);
            match first.get(&key) {
                None => drop(first.insert(key, here)),
                Some(there) => findings.push(Finding {
                    rule: DUPLICATES,
                    line: *function.lines.start(),
                    amount: 1,
                    message: format!("the same function stands in {there}: keep one"),
                    at: here,
                }),
            }
        }
    }
    findings
}

/// No crate or module is named after nothing in particular.
pub(crate) fn vague_names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources() {
        for module in source.child_modules().iter().filter(|module| VAGUE.contains(&module.name.as_str())) {
            findings.push(vague(&source.path, &module.name));
        }
    }
    for (path, _) in tree.files().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        let folder = path.rsplit('/').nth(1).unwrap_or_default();
        if VAGUE.contains(&folder) {
            findings.push(vague(path, folder));
        }
    }
    findings
}

fn vague(at: &str, name: &str) -> Finding {
    let message = format!("`{name}` does not say what is in it: name it after its subject");
    Finding { rule: VAGUE_NAMES, at: at.to_owned(), line: 0, amount: 1, message }
}
