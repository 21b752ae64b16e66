//! What is wrong with a configuration, and where.

use std::path::{Path, PathBuf};

/// A configuration that is not used. Its text tells the operator what to change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: std::io::Error,
    },
    /// The file is not TOML, or a key of it is unknown or has the wrong type.
    #[error("{}:{line}:{column}: {message}", path.display())]
    At {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What is wrong there.
        message: String,
    },
    /// An environment variable starts with `HAZELD_` and is not usable.
    #[error("environment variable {variable}: {message}")]
    Environment {
        /// The variable.
        variable: String,
        /// What is wrong with it.
        message: String,
    },
    /// The values do not go together, or one is missing.
    #[error("{}: {message}", path.display())]
    Rule {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
}

impl ConfigError {
    /// Turns a parse error into one with a line, a column and, for an unknown key, a suggestion.
    pub(super) fn parse(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let (line, column) = position(text, offset);
        Self::At { path: path.to_owned(), line, column, message: explain(error.message()) }
    }
}

/// Line and column of a byte offset, both from 1; the column counts characters.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (line, before[start..].chars().count() + 1)
}

/// The message of a parse error in one line, with a suggestion where a key is close to a known one.
pub(super) fn explain(message: &str) -> String {
    let line = message.lines().map(str::trim).collect::<Vec<_>>().join("; ");
    let mut names = line.split('`').skip(1).step_by(2);
    match (line.starts_with("unknown field"), names.next()) {
        (true, Some(given)) => unknown_key(given, &names.collect::<Vec<_>>()),
        _ => line,
    }
}

fn unknown_key(given: &str, known: &[&str]) -> String {
    let keys = known.join(", ");
    match closest(given, known) {
        Some(near) => format!("unknown key '{given}': did you mean '{near}'? Known here: {keys}"),
        None => format!("unknown key '{given}'. Known here: {keys}"),
    }
}

/// The word most like `given`, when it is like it at all: at most a third of its letters differ.
pub(super) fn closest<'a>(given: &str, known: &[&'a str]) -> Option<&'a str> {
    let (near, away) = known.iter().map(|word| (*word, distance(given, word))).min_by_key(|(_, away)| *away)?;
    (away * 3 <= near.chars().count().max(3)).then_some(near)
}

/// The Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        assert_eq!(position("", 0), (1, 1));
        assert_eq!(position("a = 1\nüb = 2", 6), (2, 1));
        assert_eq!(position("a = 1\nüb = 2", 8), (2, 2));
        assert_eq!(position("a", 99), (1, 2), "an offset past the end is the end");
    }

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        assert_eq!(closest("lsten", &["listen", "max_body_bytes"]), Some("listen"));
        assert_eq!(closest("htp", &["http", "log"]), Some("http"));
        assert_eq!(closest("colour", &["listen", "level"]), None);
        assert_eq!(closest("x", &[]), None);
    }
}
