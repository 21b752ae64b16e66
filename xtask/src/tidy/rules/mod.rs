//! The rules, one function each, grouped by what they look at.

mod code;
mod config;
mod dependencies;
mod docs;
mod size;
mod structure;
mod words;

#[cfg(test)]
mod tests;

use super::Finding;
use super::tree::Tree;

/// A house rule.
#[derive(Debug)]
pub(crate) struct Rule {
    /// What findings and exceptions call it.
    pub(crate) name: &'static str,
    pub(crate) check: fn(&Tree) -> Vec<Finding>,
}

/// Every rule there is.
pub(crate) const RULES: &[Rule] = &[
    Rule { name: size::FUNCTION_LENGTH, check: size::function_length },
    Rule { name: size::SHORT_FUNCTIONS, check: size::short_functions },
    Rule { name: size::FILE_LENGTH, check: size::file_length },
    Rule { name: size::INLINE_TESTS, check: size::inline_tests },
    Rule { name: code::UNWRAP, check: code::unwrap },
    Rule { name: code::UNSAFE, check: code::unsafe_code },
    Rule { name: code::STUBS, check: code::stubs },
    Rule { name: code::CASTS, check: code::casts },
    Rule { name: code::DECODED_ROWS, check: code::decoded_rows },
    Rule { name: code::IGNORED_TESTS, check: code::ignored_tests },
    Rule { name: words::LOOSE_ENDS, check: words::loose_ends },
    Rule { name: words::WORKPLACE, check: words::workplace },
    Rule { name: structure::DEAD_FILES, check: structure::dead_files },
    Rule { name: structure::DUPLICATES, check: structure::duplicates },
    Rule { name: structure::VAGUE_NAMES, check: structure::vague_names },
    Rule { name: dependencies::ARROWS, check: dependencies::arrows },
    Rule { name: dependencies::FEW, check: dependencies::few },
    Rule { name: dependencies::LOCK, check: dependencies::lock },
    Rule { name: docs::LINKS, check: docs::links },
    Rule { name: docs::NAMED_PATHS, check: docs::named_paths },
    Rule { name: docs::NUTS, check: docs::nuts },
    Rule { name: config::CLIPPY, check: config::clippy },
    Rule { name: config::NPM_LOCK, check: config::npm_lock },
];
