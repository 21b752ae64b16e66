//! What code may not do. Most of these stand in the compiler's or clippy's lints as well; here they also hold inside
//! macros and for every feature at once.

use super::super::Finding;
use super::super::source::Source;
use super::super::tree::Tree;

pub(crate) const UNWRAP: &str = "unwrap";
pub(crate) const UNSAFE: &str = "unsafe";
pub(crate) const STUBS: &str = "stubs";
pub(crate) const CASTS: &str = "casts";
pub(crate) const DECODED_ROWS: &str = "decoded-rows";
pub(crate) const IGNORED_TESTS: &str = "ignored-tests";

const INTEGERS: &[&str] =
    &["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize", "_"];
const CAST_LINTS: &[&str] = &[
    "as_conversions",
    "cast_lossless",
    "cast_possible_truncation",
    "cast_possible_wrap",
    "cast_precision_loss",
    "cast_sign_loss",
];

/// The crates that read rows, and the words by which a function shows that it does.
const STORE_CRATES: &[&str] = &["crates/sqlite/", "crates/postgres/"];
const ROW_WORDS: &[&str] =
    &["row", "rows", "Row", "Rows", "ValueRef", "FromSql", "FromSqlResult", "query_row", "query_map", "query_one"];
/// Says on the same line or the line before that a default is not for something read from a row.
const NOT_A_ROW: &str = "not a row:";

/// No `.unwrap()` outside tests: `expect("why this holds")` says why it holds.
pub(crate) fn unwrap(tree: &Tree) -> Vec<Finding> {
    in_code(tree, UNWRAP, "say why it holds with expect(\"...\"), or return the error", |source, index| {
        source.reads(index, &[".", "unwrap", "(", ")"])
    })
}

/// No `unsafe`, tests included.
pub(crate) fn unsafe_code(tree: &Tree) -> Vec<Finding> {
    anywhere(tree, UNSAFE, "unsafe code", |source, index| source.reads(index, &["unsafe"]))
}

/// Nothing is left for later, and no place is called unreachable without saying why.
pub(crate) fn stubs(tree: &Tree) -> Vec<Finding> {
    anywhere(tree, STUBS, "a stub: build it, or say why it cannot be reached", |source, index| {
        let macros = ["todo", "unimplemented", "dbg"];
        macros.iter().any(|name| source.reads(index, &[name, "!"]))
            || source.reads(index, &["unreachable", "!", "(", ")"])
    })
}

/// An integer `as` has a comment, or a lint attribute with a reason, that says why it is exact.
pub(crate) fn casts(tree: &Tree) -> Vec<Finding> {
    in_code(tree, CASTS, "use From or TryFrom, or say in a comment why this `as` is exact", |source, index| {
        let line = source.line(index);
        source.reads(index, &["as"])
            && INTEGERS.contains(&source.word(index + 1))
            && !is_in_use(source, index)
            && source.comments_at(line).next().is_none()
            && !source.lint_is_excused(line, CAST_LINTS)
    })
}

/// What a store reads from a row is never replaced by a default: a malformed row is an error.
pub(crate) fn decoded_rows(tree: &Tree) -> Vec<Finding> {
    let advice = "a malformed row is Corrupt, never a default; if no row is meant, say `not a row: why`";
    in_code(tree, DECODED_ROWS, advice, |source, index| {
        let line = source.line(index);
        STORE_CRATES.iter().any(|store| source.path.starts_with(store))
            && is_default(source, index)
            && source.functions_around(line).any(|f| f.body.clone().any(|i| ROW_WORDS.contains(&source.word(i))))
            && !source.comments_at(line).any(|comment| comment.contains(NOT_A_ROW))
    })
}

/// An ignored test says why.
pub(crate) fn ignored_tests(tree: &Tree) -> Vec<Finding> {
    anywhere(tree, IGNORED_TESTS, "give the reason: #[ignore = \"...\"]", |source, index| {
        source.reads(index, &["[", "ignore", "]"])
    })
}

fn is_default(source: &Source, index: usize) -> bool {
    let defaults = ["unwrap_or", "unwrap_or_default", "unwrap_or_else"];
    source.reads(index, &[".", "ok", "(", ")"])
        || (source.reads(index, &["."]) && defaults.contains(&source.word(index + 1)))
}

/// Whether token `index` belongs to a `use` declaration, where `as` renames.
fn is_in_use(source: &Source, index: usize) -> bool {
    let start = (0..index).rev().find(|i| matches!(source.word(*i), ";" | "=" | ")"));
    (start.unwrap_or(0)..index).any(|i| source.reads(i, &["use"]))
}

fn anywhere(tree: &Tree, rule: &'static str, message: &str, breaks: impl Fn(&Source, usize) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources() {
        for index in (0..source.len()).filter(|index| breaks(source, *index)) {
            let line = source.line(index);
            findings.push(Finding { rule, at: source.path.clone(), line, amount: 1, message: message.to_owned() });
        }
    }
    findings
}

fn in_code(tree: &Tree, rule: &'static str, message: &str, breaks: impl Fn(&Source, usize) -> bool) -> Vec<Finding> {
    anywhere(tree, rule, message, |source, index| breaks(source, index) && !source.is_test(source.line(index)))
}
