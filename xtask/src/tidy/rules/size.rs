//! How long things may be. Tests are not counted.

use super::super::Finding;
use super::super::source::{Function, Source};
use super::super::tree::Tree;

pub(crate) const FUNCTION_LENGTH: &str = "function-length";
pub(crate) const SHORT_FUNCTIONS: &str = "short-functions";
pub(crate) const FILE_LENGTH: &str = "file-length";
pub(crate) const INLINE_TESTS: &str = "inline-tests";

const MAX_FUNCTION_LINES: usize = 70;
/// A function under this many lines is short.
const SHORT_FUNCTION_LINES: usize = 30;
const MIN_SHORT_PERCENT: usize = 90;
const MAX_FILE_LINES: usize = 800;
const MAX_INLINE_TEST_LINES: usize = 200;

/// No function is longer than 70 lines.
pub(crate) fn function_length(tree: &Tree) -> Vec<Finding> {
    let long = functions(tree).filter(|(_, function)| function.length() > MAX_FUNCTION_LINES);
    long.map(|(source, function)| Finding {
        rule: FUNCTION_LENGTH,
        at: format!("{}::{}", source.path, function.name),
        line: *function.lines.start(),
        amount: function.length(),
        message: format!("a function of {} lines; {MAX_FUNCTION_LINES} are allowed", function.length()),
    })
    .collect()
}

/// Nine of ten functions in the workspace are shorter than 30 lines.
pub(crate) fn short_functions(tree: &Tree) -> Vec<Finding> {
    let all = functions(tree).count();
    let mut long: Vec<_> = functions(tree).filter(|(_, f)| f.length() >= SHORT_FUNCTION_LINES).collect();
    // Integer percent, in favour of the rule: the share of short functions is not rounded up.
    let short_percent = (all - long.len()) * 100 / all.max(1);
    if all == 0 || short_percent >= MIN_SHORT_PERCENT {
        return Vec::new();
    }
    long.sort_by_key(|(_, function)| std::cmp::Reverse(function.length()));
    let longest: Vec<String> =
        long.iter().take(10).map(|(s, f)| format!("{}::{} ({})", s.path, f.name, f.length())).collect();
    vec![Finding {
        rule: SHORT_FUNCTIONS,
        at: "workspace".to_owned(),
        line: 0,
        amount: MIN_SHORT_PERCENT - short_percent,
        message: format!(
            "{short_percent} % of {all} functions are under {SHORT_FUNCTION_LINES} lines, {MIN_SHORT_PERCENT} % must be; the longest: {}",
            longest.join(", ")
        ),
    }]
}

/// No file has more than 800 lines besides its tests.
pub(crate) fn file_length(tree: &Tree) -> Vec<Finding> {
    let long = tree.sources().iter().map(|source| (source, source.length_without_tests()));
    long.filter(|(_, lines)| *lines > MAX_FILE_LINES)
        .map(|(source, lines)| Finding {
            rule: FILE_LENGTH,
            at: source.path.clone(),
            line: 0,
            amount: lines,
            message: format!("{lines} lines without tests; {MAX_FILE_LINES} are allowed"),
        })
        .collect()
}

/// Tests of more than 200 lines stand in a sibling `tests.rs`.
pub(crate) fn inline_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for source in tree.sources().iter().filter(|source| !source.is_test_file()) {
        for region in source.test_regions().iter().filter(|region| region.inline_module) {
            let lines = region.lines.end() - region.lines.start() + 1;
            if lines > MAX_INLINE_TEST_LINES {
                findings.push(Finding {
                    rule: INLINE_TESTS,
                    at: source.path.clone(),
                    line: *region.lines.start(),
                    amount: lines,
                    message: format!("{lines} lines of inline tests: move them into a sibling tests.rs"),
                });
            }
        }
    }
    findings
}

/// The functions that are not tests.
fn functions(tree: &Tree) -> impl Iterator<Item = (&Source, &Function)> {
    tree.sources().iter().flat_map(|source| {
        let code = source.functions().iter().filter(|function| !source.is_test(*function.lines.start()));
        code.map(move |function| (source, function))
    })
}
