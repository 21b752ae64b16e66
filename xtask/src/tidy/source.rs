//! One Rust file as the rules see it: tokens, comments, functions, and which lines are test code.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use super::lexer::{Kind, Token, tokenize};

/// A tokenized file.
#[derive(Debug)]
pub(crate) struct Source {
    /// Relative to the workspace, with forward slashes.
    pub(crate) path: String,
    text: String,
    code: Vec<Token>,
    comments: Vec<Token>,
    /// The index of the closing bracket of each opening one, by index into `code`.
    closing: BTreeMap<usize, usize>,
    functions: Vec<Function>,
    test_regions: Vec<TestRegion>,
    /// The whole file is test code.
    test_file: bool,
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From the line of the word `fn` to that of its closing brace.
    pub(crate) lines: RangeInclusive<usize>,
    /// Its body without the braces, as indices of code tokens.
    pub(crate) body: Range<usize>,
}

impl Function {
    /// How long it is, blank lines and comments included.
    pub(crate) fn length(&self) -> usize {
        self.lines.end() - self.lines.start() + 1
    }
}

/// An item that is compiled for tests only.
#[derive(Debug)]
pub(crate) struct TestRegion {
    pub(crate) lines: RangeInclusive<usize>,
    /// Whether it is a module with its body in this file.
    pub(crate) inline_module: bool,
}

/// A module that is declared here and stands in a file of its own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ChildModule {
    /// The inline modules around the declaration, outermost first.
    pub(crate) inside: Vec<String>,
    pub(crate) name: String,
    /// The text of a `#[path = "..."]` attribute.
    pub(crate) path: Option<String>,
    pub(crate) test: bool,
}

impl Source {
    /// Reads a file; `test_file` says that all of it is test code whatever it contains.
    pub(crate) fn new(path: &str, text: &str, test_file: bool) -> Self {
        let (comments, code): (Vec<Token>, Vec<Token>) =
            tokenize(text).into_iter().partition(|token| token.kind == Kind::Comment);
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            closing: BTreeMap::new(),
            functions: Vec::new(),
            test_regions: Vec::new(),
            test_file,
            code,
            comments,
        };
        source.closing = source.match_brackets();
        source.functions = source.find_functions();
        source.test_regions = source.find_test_regions();
        source
    }

    /// How many code tokens there are.
    pub(crate) fn len(&self) -> usize {
        self.code.len()
    }

    /// The text of code token `index`; empty past the end.
    pub(crate) fn word(&self, index: usize) -> &str {
        self.code.get(index).map_or("", |token| &self.text[token.start..token.end])
    }

    /// The line of code token `index`.
    pub(crate) fn line(&self, index: usize) -> usize {
        self.code.get(index).map_or(0, |token| token.line)
    }

    /// Whether the code tokens from `index` on read as `words`.
    pub(crate) fn reads(&self, index: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.word(index + offset) == *word)
    }

    /// The code tokens of `range`, joined by single spaces: equal for code that differs in layout and comments only.
    pub(crate) fn normalized(&self, range: Range<usize>) -> String {
        range.map(|index| self.word(index)).collect::<Vec<_>>().join(" ")
    }

    /// Every comment with the line it begins on.
    pub(crate) fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        self.comments.iter().map(|token| (token.line, &self.text[token.start..token.end]))
    }

    /// The comments that begin on `line` or on the line before it.
    pub(crate) fn comments_at(&self, line: usize) -> impl Iterator<Item = &str> {
        self.comments().filter(move |(at, _)| *at == line || at + 1 == line).map(|(_, text)| text)
    }

    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The functions that `line` lies in, outermost first.
    pub(crate) fn functions_around(&self, line: usize) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(move |function| function.lines.contains(&line))
    }

    pub(crate) fn test_regions(&self) -> &[TestRegion] {
        &self.test_regions
    }

    pub(crate) fn is_test_file(&self) -> bool {
        self.test_file
    }

    /// Whether `line` is compiled for tests only.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.test_file || self.test_regions.iter().any(|region| region.lines.contains(&line))
    }

    /// How many lines are not compiled for tests only.
    pub(crate) fn length_without_tests(&self) -> usize {
        (1..=self.text.lines().count()).filter(|line| !self.is_test(*line)).count()
    }

    /// The attributes `#[...]` and `#![...]`, as ranges of the tokens between the brackets.
    pub(crate) fn attributes(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.len()).filter_map(|index| {
            let open = index + 1 + usize::from(self.reads(index + 1, &["!"]));
            let is_attribute = self.reads(index, &["#"]) && self.reads(open, &["["]);
            is_attribute.then(|| open + 1..self.close_of(open))
        })
    }

    /// Whether an attribute with a `reason` names one of `lints` for an item or statement that `line` lies in.
    pub(crate) fn lint_is_excused(&self, line: usize, lints: &[&str]) -> bool {
        self.attributes().any(|attribute| {
            let names_lint = attribute.clone().any(|index| lints.contains(&self.word(index)));
            let has_reason = attribute.clone().any(|index| self.word(index) == "reason");
            let inner = self.reads(attribute.start.saturating_sub(2), &["!", "["]);
            names_lint && has_reason && (inner || self.region_after(&attribute).lines.contains(&line))
        })
    }

    /// The modules of this file that stand in files of their own.
    pub(crate) fn child_modules(&self) -> Vec<ChildModule> {
        let mut inline: Vec<(String, usize)> = Vec::new();
        let mut found = Vec::new();
        for index in 0..self.len() {
            inline.retain(|(_, close)| index < *close);
            if !self.reads(index, &["mod"]) || !self.is_word(index + 1) {
                continue;
            }
            let name = self.word(index + 1).to_owned();
            match self.word(index + 2) {
                "{" => inline.push((name, self.close_of(index + 2))),
                ";" => found.push(ChildModule {
                    inside: inline.iter().map(|(name, _)| name.clone()).collect(),
                    path: self.path_attribute(index),
                    test: self.is_test(self.line(index)),
                    name,
                }),
                _ => {}
            }
        }
        found
    }

    /// The texts of `include!("...")`, relative to this file's folder.
    pub(crate) fn included_files(&self) -> Vec<String> {
        let calls = (0..self.len()).filter(|index| self.reads(*index, &["include", "!", "("]));
        calls.map(|index| self.word(index + 3).trim_matches('"').to_owned()).collect()
    }

    /// The text of a `#[path = "..."]` that ends just before token `index`, a visibility in between aside.
    fn path_attribute(&self, index: usize) -> Option<String> {
        let is_near = |end: usize| end < index && index - end <= 5 && (end..index).all(|at| self.word(at) != ";");
        let attribute = self.attributes().filter(|range| is_near(range.end)).last()?;
        let literal = self.reads(attribute.start, &["path", "="]).then(|| self.word(attribute.start + 2))?;
        Some(literal.trim_matches('"').to_owned())
    }

    fn is_word(&self, index: usize) -> bool {
        self.code.get(index).is_some_and(|token| token.kind == Kind::Word)
    }

    /// The index of the bracket that closes the one at `open`, or the end of the file.
    fn close_of(&self, open: usize) -> usize {
        self.closing.get(&open).copied().unwrap_or(self.code.len())
    }

    fn match_brackets(&self) -> BTreeMap<usize, usize> {
        let mut open = Vec::new();
        let mut closing = BTreeMap::new();
        for index in 0..self.len() {
            match self.word(index) {
                "(" | "[" | "{" => open.push(index),
                ")" | "]" | "}" => {
                    if let Some(opened) = open.pop() {
                        closing.insert(opened, index);
                    }
                }
                _ => {}
            }
        }
        closing
    }

    fn find_functions(&self) -> Vec<Function> {
        (0..self.len()).filter_map(|index| self.function_at(index)).collect()
    }

    fn function_at(&self, index: usize) -> Option<Function> {
        if !self.reads(index, &["fn"]) || !self.is_word(index + 1) {
            return None;
        }
        let open = self.block_or_end(index + 2)?;
        let close = self.close_of(open);
        Some(Function {
            name: self.word(index + 1).to_owned(),
            lines: self.line(index)..=self.line(close.min(self.len() - 1)),
            body: open + 1..close,
        })
    }

    /// The first `{` from `index` on that is in no bracket; none when a `;` comes before it.
    fn block_or_end(&self, mut index: usize) -> Option<usize> {
        while index < self.len() {
            match self.word(index) {
                "{" => return Some(index),
                ";" => return None,
                "(" | "[" => index = self.close_of(index) + 1,
                _ => index += 1,
            }
        }
        None
    }

    fn find_test_regions(&self) -> Vec<TestRegion> {
        self.attributes().filter(|attribute| self.is_test_attribute(attribute)).map(|a| self.region_after(&a)).collect()
    }

    /// `#[test]`, `#[tokio::test]`, `#[cfg(test)]`; not `#[cfg(not(test))]` nor `#[cfg(any(test, ...))]`.
    fn is_test_attribute(&self, attribute: &Range<usize>) -> bool {
        let has = |word: &str| attribute.clone().any(|index| self.word(index) == word);
        if self.word(attribute.start) == "cfg" {
            return has("test") && !has("not") && !has("any");
        }
        let path_end = attribute.clone().find(|index| self.word(*index) == "(").unwrap_or(attribute.end);
        self.word(path_end.saturating_sub(1)) == "test"
    }

    fn region_after(&self, attribute: &Range<usize>) -> TestRegion {
        let item = self.skip_attributes(attribute.end + 1);
        let open = self.block_or_end(item);
        let end = match open {
            Some(open) => self.close_of(open),
            None => (item..self.len()).find(|index| self.word(*index) == ";").unwrap_or(item),
        };
        TestRegion {
            lines: self.line(attribute.start)..=self.line(end.min(self.len() - 1)),
            inline_module: open.is_some() && (item..item + 5).any(|index| self.word(index) == "mod"),
        }
    }

    fn skip_attributes(&self, mut index: usize) -> usize {
        while self.reads(index, &["#", "["]) {
            index = self.close_of(index + 1) + 1;
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r"
//! Docs.
fn short() -> [u8; 2] { [1, 2] }

impl Thing {
    // A comment.
    fn long(
        &self,
    ) {
        call();
    }
    fn declared(&self);
}

#[cfg(test)]
mod tests {
    #[test]
    fn works() {}
}
";

    #[test]
    fn functions_have_names_and_lengths() {
        let source = Source::new("a.rs", SAMPLE, false);
        let found: Vec<_> = source.functions().iter().map(|f| (f.name.as_str(), f.length())).collect();
        assert_eq!(found, [("short", 1), ("long", 5), ("works", 1)]);
    }

    #[test]
    fn tests_are_told_from_code() {
        let source = Source::new("a.rs", SAMPLE, false);
        assert!(!source.is_test(10));
        assert!(source.is_test(18));
        assert_eq!(source.length_without_tests(), 14);
        assert!(source.test_regions()[0].inline_module);
    }

    #[test]
    fn code_that_is_not_only_for_tests_is_code() {
        let text = "#[cfg(not(test))]\nfn a() {}\n#[cfg(any(test, feature = \"x\"))]\nfn b() {}\n";
        assert_eq!(Source::new("a.rs", text, false).length_without_tests(), 4);
    }

    #[test]
    fn child_modules_know_where_they_stand() {
        let text = "pub mod a;\nmod outer { mod b; }\n#[cfg(test)]\nmod tests;\n#[path = \"x/y.rs\"]\npub(crate) mod c;\nmod d;\n";
        let found = Source::new("a.rs", text, false).child_modules();
        let names: Vec<_> = found.iter().map(|m| (m.name.as_str(), m.inside.len(), m.test)).collect();
        assert_eq!(names, [("a", 0, false), ("b", 1, false), ("tests", 0, true), ("c", 0, false), ("d", 0, false)]);
        assert_eq!(found[3].path.as_deref(), Some("x/y.rs"));
        assert_eq!(found[4].path, None, "the path is the one module's");
    }

    #[test]
    fn a_lint_is_excused_by_a_reason_only() {
        let lints = ["as_conversions"];
        let with = "#[expect(clippy::as_conversions, reason = \"fits\")]\nfn f() {\n    x as u8;\n}\n";
        let without = "#[expect(clippy::as_conversions)]\nfn f() {\n    x as u8;\n}\n";
        assert!(Source::new("a.rs", with, false).lint_is_excused(3, &lints));
        assert!(!Source::new("a.rs", without, false).lint_is_excused(3, &lints));
    }
}
