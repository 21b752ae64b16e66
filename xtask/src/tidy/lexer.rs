//! Cuts Rust source into tokens, so that no rule is fooled by a string or a comment.
//!
//! It knows only what the rules need: where words, marks, literals and comments begin and end. It is no parser, and it
//! trusts the compiler to refuse what is not Rust.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or a keyword.
    Word,
    /// One character of punctuation.
    Mark,
    /// A number, a string, a character or a lifetime: nothing a rule looks into.
    Literal,
    /// A line or block comment, with its delimiters.
    Comment,
}

/// A stretch of source text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Byte offsets into the text.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// The line of its first character, counted from 1.
    pub(crate) line: usize,
}

/// All tokens of `text` in order, comments among them.
pub(crate) fn tokenize(text: &str) -> Vec<Token> {
    let mut cursor = Cursor { text, at: 0, line: 1 };
    let mut tokens = Vec::new();
    while let Some(token) = cursor.next_token() {
        tokens.push(token);
    }
    tokens
}

struct Cursor<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let found = self.peek()?;
        self.at += found.len_utf8();
        self.line += usize::from(found == '\n');
        Some(found)
    }

    fn bump_while(&mut self, keep: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&keep) {
            self.bump();
        }
    }

    /// Moves past the next `end`, or to the end of the text.
    fn bump_past(&mut self, end: &str) {
        while !self.rest().is_empty() && !self.rest().starts_with(end) {
            self.bump();
        }
        for _ in end.chars() {
            self.bump();
        }
    }

    fn next_token(&mut self) -> Option<Token> {
        self.bump_while(char::is_whitespace);
        let (start, line) = (self.at, self.line);
        let kind = self.take()?;
        Some(Token { kind, start, end: self.at, line })
    }

    fn take(&mut self) -> Option<Kind> {
        let first = self.peek()?;
        if self.rest().starts_with("//") {
            self.bump_while(|c| c != '\n');
            return Some(Kind::Comment);
        }
        if self.rest().starts_with("/*") {
            self.block_comment();
            return Some(Kind::Comment);
        }
        if self.prefixed_string() {
            return Some(Kind::Literal);
        }
        if is_word_start(first) {
            self.bump_while(is_word);
            return Some(Kind::Word);
        }
        Some(self.number_quote_or_mark(first))
    }

    fn number_quote_or_mark(&mut self, first: char) -> Kind {
        match first {
            '0'..='9' => self.number(),
            '\'' => self.quote(),
            _ => {
                self.bump();
                return Kind::Mark;
            }
        }
        Kind::Literal
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.bump();
            } else if self.rest().starts_with("*/") {
                depth -= 1;
                self.bump();
            }
            if self.bump().is_none() || depth == 0 {
                return;
            }
        }
    }

    /// Takes `"..."`, `b"..."`, `c"..."`, `r"..."`, `r#"..."#` and the like; false when none begins here.
    fn prefixed_string(&mut self) -> bool {
        let prefix = self.rest().chars().take_while(|c| matches!(c, 'b' | 'c' | 'r')).count();
        let after = &self.rest()[prefix..];
        let raw = self.rest()[..prefix].contains('r');
        let hashes = if raw { after.chars().take_while(|c| *c == '#').count() } else { 0 };
        if prefix > 2 || !after[hashes..].starts_with('"') {
            return false;
        }
        self.at += prefix + hashes + 1;
        if raw {
            self.bump_past(&format!("\"{}", "#".repeat(hashes)));
        } else {
            self.until_unescaped('"');
        }
        true
    }

    fn until_unescaped(&mut self, end: char) {
        while let Some(found) = self.bump() {
            if found == '\\' {
                self.bump();
            } else if found == end {
                return;
            }
        }
    }

    /// A fraction belongs to the number; a range (`0..n`) or a method call (`1.max(2)`) does not.
    fn number(&mut self) {
        self.bump_while(is_word);
        let mut ahead = self.rest().chars();
        if ahead.next() == Some('.') && ahead.next().is_some_and(|c| c.is_ascii_digit()) {
            self.bump();
            self.bump_while(is_word);
        }
    }

    /// A character (`'a'`, `'\n'`) or a lifetime (`'a`).
    fn quote(&mut self) {
        self.bump();
        let mut ahead = self.rest().chars();
        let (first, second) = (ahead.next(), ahead.next());
        if first == Some('\\') || second == Some('\'') {
            self.until_unescaped('\'');
        } else {
            self.bump_while(is_word);
        }
    }
}

fn is_word_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<&str> {
        tokenize(text).iter().filter(|t| t.kind == Kind::Word).map(|t| &text[t.start..t.end]).collect()
    }

    fn kinds(text: &str) -> Vec<Kind> {
        tokenize(text).iter().map(|t| t.kind).collect()
    }

    #[test]
    fn strings_and_comments_hide_their_words() {
        assert_eq!(words(r#"a "b \" c" d // e"#), ["a", "d"]);
        assert_eq!(words("a /* b /* c */ d */ e"), ["a", "e"]);
        assert_eq!(words("a r#\"b \" c\"# d b\"e\" br##\"f\"# g\"## h c\"i\""), ["a", "d", "h"]);
    }

    #[test]
    fn characters_and_lifetimes_are_told_apart() {
        assert_eq!(words("f('\"', 'x', '\\'', b'y')"), ["f", "b"]);
        assert_eq!(words("fn f<'a>(x: &'a str) {}"), ["fn", "f", "x", "str"]);
    }

    #[test]
    fn a_range_is_two_numbers() {
        assert_eq!(kinds("0..10"), [Kind::Literal, Kind::Mark, Kind::Mark, Kind::Literal]);
        assert_eq!(kinds("1.5"), [Kind::Literal]);
        assert_eq!(words("1.max(2)"), ["max"]);
    }

    #[test]
    fn lines_are_counted_through_literals() {
        let lines: Vec<usize> = tokenize("a\n\"b\n\n\" c\n/*\n*/ d").iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 2, 4, 5, 6]);
    }

    #[test]
    fn an_open_end_does_not_loop() {
        for text in ["\"abc", "/* abc", "r#\"abc", "'", "'\\"] {
            assert_eq!(tokenize(text).len(), 1, "{text}");
        }
    }
}
