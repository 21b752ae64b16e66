//! `cargo xtask tidy`: the house rules, as a test.
//!
//! A rule is a function from the tree of files to findings. What a rule finds stands or falls by the ratchet in
//! `xtask/tidy-allow.toml`: what is written there may stay, nothing new may come, and an entry that is no longer needed
//! must go. The tree is plain data, so each rule is tested on a few planted lines.

mod lexer;
mod ratchet;
mod rules;
mod source;
mod tree;

use std::path::Path;

use anyhow::{Context, Result};

use self::ratchet::Ratchet;
use self::rules::RULES;
use self::tree::Tree;

/// Where the exceptions are written down.
const RATCHET_PATH: &str = "xtask/tidy-allow.toml";

/// A place that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The rule's name.
    pub(crate) rule: &'static str,
    /// Where it is, without the line, so that it stays the same when other code moves: a path, or `path::function`.
    pub(crate) at: String,
    /// The line, or 0 when the whole file or tree is meant.
    pub(crate) line: usize,
    /// How far it is from the rule: a length for rules that measure, 1 for rules that count.
    pub(crate) amount: usize,
    /// What to do about it.
    pub(crate) message: String,
}

/// Checks the workspace at `root` and prints what it finds. Returns how many findings there are.
///
/// # Errors
/// When the files or the ratchet cannot be read.
pub(crate) fn run(root: &Path) -> Result<usize> {
    let tree = Tree::read(root).context("reading the files of the workspace")?;
    let rules: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
    let ratchet = Ratchet::parse(tree.text(RATCHET_PATH).unwrap_or_default(), &rules)
        .with_context(|| format!("reading {RATCHET_PATH}"))?;
    let all: Vec<Finding> = RULES.iter().flat_map(|rule| (rule.check)(&tree)).collect();
    let findings = ratchet.filter(all);
    for finding in &findings {
        let Finding { rule, at, line, message, .. } = finding;
        let line = if *line == 0 { String::new() } else { format!(" line {line}") };
        println!("{at}{line}: {message} [{rule}]");
    }
    println!("tidy: {} rules, {} files, {} findings", RULES.len(), tree.len(), findings.len());
    Ok(findings.len())
}
