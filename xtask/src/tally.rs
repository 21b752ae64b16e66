//! How many tests passed and failed.

use std::fmt;
use std::ops::AddAssign;

/// A sum over tests of any kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tally {
    /// One test that passed.
    pub(crate) const PASSED: Self = Self { passed: 1, failed: 0 };
    /// One test that failed.
    pub(crate) const FAILED: Self = Self { passed: 0, failed: 1 };

    /// Something was tested, and nothing failed.
    pub(crate) const fn is_success(self) -> bool {
        self.passed > 0 && self.failed == 0
    }

    /// Reads the line by which a Rust test binary closes: `test result: ok. 3 passed; 0 failed; ...`.
    pub(crate) fn of_result_line(line: &str) -> Option<Self> {
        let (_, counts) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            let part = counts.split("; ").find_map(|part| part.strip_suffix(word))?;
            part.trim().parse().ok()
        };
        Some(Self { passed: count(" passed")?, failed: count(" failed")? })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_read() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(Tally::of_result_line(line), Some(Tally { passed: 12, failed: 3 }));
        assert_eq!(Tally::of_result_line("test result: ok."), None);
        assert_eq!(Tally::of_result_line("test result::tests::works ... ok"), None);
    }

    #[test]
    fn the_closing_line_keeps_its_form() {
        assert_eq!(Tally { passed: 12, failed: 0 }.to_string(), "12 passed, 0 failed");
    }

    #[test]
    fn nothing_tested_is_no_success() {
        assert!(!Tally::default().is_success());
        assert!(Tally::PASSED.is_success());
        assert!(!Tally { passed: 9, failed: 1 }.is_success());
    }
}
