//! Words that may not stand in tracked files.

use super::super::Finding;
use super::super::tree::Tree;

pub(crate) const LOOSE_ENDS: &str = "loose-ends";
pub(crate) const WORKPLACE: &str = "workplace";

const MARKS: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];
/// Files with comments other than Rust's, in which the marks are looked for on every line.
const COMMENTED: &[&str] =
    &[".sh", ".toml", ".mjs", ".js", ".ts", ".sql", ".yml", ".yaml", ".proto", ".css", ".ci/run"];

/// A mark in a comment names the issue that will settle it: `#12` or a link.
pub(crate) fn loose_ends(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources() {
        let open = source.comments().filter(|(_, comment)| is_loose_end(comment));
        findings.extend(open.map(|(line, _)| loose_end(&source.path, line)));
    }
    for (path, text) in tree.files().filter(|(path, _)| COMMENTED.iter().any(|ending| path.ends_with(ending))) {
        let open = text.lines().enumerate().filter(|(_, line)| is_loose_end(line));
        findings.extend(open.map(|(index, _)| loose_end(path, index + 1)));
    }
    findings
}

/// No path of one person's machine, and no reference to notes that are not in the repository.
pub(crate) fn workplace(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.files() {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = workplace_word(line) {
                findings.push(Finding {
                    rule: WORKPLACE,
                    at: path.to_owned(),
                    line: index + 1,
                    amount: 1,
                    message: format!("`{word}` means something on one machine only"),
                });
            }
        }
    }
    findings
}

fn loose_end(path: &str, line: usize) -> Finding {
    let message = "name the issue: #12 or a link to it".to_owned();
    Finding { rule: LOOSE_ENDS, at: path.to_owned(), line, amount: 1, message }
}

fn is_loose_end(comment: &str) -> bool {
    let is_marked = comment.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| MARKS.contains(&word));
    let after_hash = comment.split('#').skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    is_marked && !after_hash && !comment.contains("/issues/")
}

/// The patterns are put together here, so that this file does not hold them itself.
fn workplace_word(line: &str) -> Option<String> {
    let homes = ["home", "root", "work", "Users"].map(|folder| format!("/{folder}/"));
    let notes = ["..", "sha"].concat().replace("sha", "/shared/");
    let starts_path = |at: usize| !line[..at].ends_with(|c: char| c.is_alphanumeric() || "-_./~}*".contains(c));
    let absolute = homes.iter().find(|home| line.match_indices(home.as_str()).any(|(at, _)| starts_path(at)));
    absolute.cloned().or_else(|| line.contains(&notes).then_some(notes))
}
