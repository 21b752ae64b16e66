//! Documents that name files, and files that must then be there.

use super::super::Finding;
use super::super::tree::{Tree, folder_of, join};

pub(crate) const LINKS: &str = "links";
pub(crate) const NAMED_PATHS: &str = "named-paths";
pub(crate) const NUTS: &str = "nuts";

/// The page that says which file serves each NUT and which test proves it.
const NUTS_PAGE: &str = "docs/nuts.md";
/// Top folders by which a code span in a document is known to be a path.
const TOP_FOLDERS: &[&str] = &["crates/", "xtask/", "interop/", "docs/", "fuzz/", ".ci/"];

/// A relative link in a document leads to a file, and its `#part` to a heading.
pub(crate) fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in documents(tree) {
        for (line, target) in link_targets(text) {
            if let Some(message) = broken(tree, path, target) {
                findings.push(Finding { rule: LINKS, at: path.to_owned(), line, amount: 1, message });
            }
        }
    }
    findings
}

/// A path in a code span, in any document, is there; `path::name` names a function of that file.
pub(crate) fn named_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in documents(tree) {
        for (line, span) in code_spans(text).filter(|(_, span)| is_path(span)) {
            if let Some(message) = missing(tree, span) {
                findings.push(Finding { rule: NAMED_PATHS, at: path.to_owned(), line, amount: 1, message });
            }
        }
    }
    findings
}

/// Each row of the table in docs/nuts.md names a file that serves the NUT and, last, a test that proves it.
pub(crate) fn nuts(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let page = tree.text(NUTS_PAGE).unwrap_or_default();
    for (index, row) in page.lines().enumerate().filter(|(_, line)| is_nut_row(line)) {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').collect();
        let (before, last) = cells.split_at(cells.len() - 1);
        let is_file = |cell: &&str| code_spans(cell).any(|(_, span)| is_path(span) && !span.contains("::"));
        let has_test = code_spans(last[0]).any(|(_, span)| is_path(span) && span.contains("::"));
        if !before.iter().any(is_file) || !has_test {
            findings.push(Finding {
                rule: NUTS,
                at: NUTS_PAGE.to_owned(),
                line: index + 1,
                amount: 1,
                message: "name the file as `path` and, in the last column, the test as `path::test`".to_owned(),
            });
        }
    }
    findings
}

/// A row of a table whose first cell begins with a NUT's number: `| 03 | ...` or `| [03](...) | ...`.
fn is_nut_row(line: &str) -> bool {
    let first = line.trim().strip_prefix('|').and_then(|rest| rest.split('|').next()).unwrap_or_default();
    first.trim().trim_start_matches(['[', '*']).starts_with(|c: char| c.is_ascii_digit())
}

fn documents(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.files().filter(|(path, _)| path.rsplit_once('.').is_some_and(|(_, extension)| extension == "md"))
}

/// The lines outside fenced code, numbered from 1.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let is_fence = line.trim_start().starts_with("```");
        fenced ^= is_fence;
        (!fenced && !is_fence).then_some((index + 1, line))
    })
}

fn code_spans(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(line, content)| content.split('`').skip(1).step_by(2).map(move |span| (line, span)))
}

/// The targets of `[text](target)` and of `[label]: target`.
fn link_targets(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(line, content)| {
        let inline = content.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let definition = content.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
        inline.chain(definition).map(move |target| (line, target.trim()))
    })
}

fn broken(tree: &Tree, document: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, part) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() { document.to_owned() } else { join(folder_of(document), file)? };
    if !tree.exists(&path) {
        return Some(format!("the link {target} leads to no file"));
    }
    let headings = tree.text(&path).unwrap_or_default();
    let is_known = part.is_empty() || prose(headings).any(|(_, line)| line.starts_with('#') && anchor(line) == part);
    (!is_known).then(|| format!("the link {target} leads to no heading"))
}

/// The name under which a heading can be linked to.
fn anchor(heading: &str) -> String {
    let title = heading.trim_start_matches('#').trim().to_lowercase();
    title
        .chars()
        .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// A code span that names a file or folder of the workspace and not a pattern of names.
fn is_path(span: &str) -> bool {
    let is_pattern = span.contains(|c: char| " <>*{}$".contains(c)) || span.contains("NNNN");
    !is_pattern && TOP_FOLDERS.iter().any(|top| span.starts_with(top))
}

fn missing(tree: &Tree, span: &str) -> Option<String> {
    let (path, name) = span.split_once("::").unwrap_or((span, ""));
    if !tree.exists(path) {
        return Some(format!("there is no {path}"));
    }
    let name = name.rsplit("::").next().unwrap_or_default().trim_end_matches("()");
    let is_defined = |text: &str| ["fn ", "function ", "def "].iter().any(|before| defines(text, before, name));
    let found = name.is_empty() || tree.text(path).is_some_and(is_defined);
    (!found).then(|| format!("{path} has no function {name}"))
}

fn defines(text: &str, before: &str, name: &str) -> bool {
    let needle = format!("{before}{name}");
    let ends_word = |at: usize| !text[at + needle.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
    text.match_indices(&needle).any(|(at, _)| ends_word(at))
}
