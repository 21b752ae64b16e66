//! Everything that is written: the answer to standard output, all else to standard error.
//!
//! What comes from mints and senders may hold terminal escapes. Every line and every string of a document passes through
//! [`neutralise`] here, on its way out, so that no command has to remember it.

use std::future::Future;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hazel_protocol::neutralise;
use serde_json::{Map, Value};
use terminal_size::{Height, Width, terminal_size_of};

use crate::failure::{Failure, Kind};

/// How much room a terminal has. Characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// In a line.
    pub(crate) columns: usize,
    /// In a column.
    pub(crate) rows: usize,
}

/// What a command has to say when it is done.
#[derive(Debug)]
pub(crate) struct Report {
    /// The document for `--json`; an object.
    pub(crate) json: Value,
    /// The lines for people.
    pub(crate) lines: Vec<String>,
    /// Which of them are headings of tables.
    headings: Vec<usize>,
    /// What could not be done, when a part was: it stands in the document beside the rest, and gives the exit code.
    pub(crate) failure: Option<Failure>,
}

impl Report {
    /// A report of some lines.
    pub(crate) fn new(json: Value, lines: Vec<String>) -> Self {
        Self { json, lines, headings: Vec::new(), failure: None }
    }

    /// Says which line is the heading of a table.
    #[must_use]
    pub(crate) fn heading(mut self, place: usize) -> Self {
        self.headings.push(place);
        self
    }

    /// A report of one line.
    pub(crate) fn line(json: Value, line: impl Into<String>) -> Self {
        Self::new(json, vec![line.into()])
    }

    /// Says what could not be done.
    #[must_use]
    pub(crate) fn but(mut self, failure: Option<Failure>) -> Self {
        self.failure = failure;
        self
    }
}

/// Where a command writes. Clones write to the same place.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    json: bool,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What the start had to finish, for the document.
    resumed: Vec<Value>,
    /// What stays behind when the process is interrupted now.
    unfinished: Option<String>,
    /// How long the progress line on the terminal is. Characters.
    progress: usize,
}

impl Output {
    /// For people, or for programs.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, state: Arc::default() }
    }

    fn with_state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The width of tables: that of the terminal, or what `COLUMNS` says, else 80; unlimited when nobody looks.
    #[expect(clippy::unused_self, reason = "it belongs to the output")]
    pub(crate) fn width(&self) -> Option<usize> {
        if !io::stdout().is_terminal() {
            return None;
        }
        let said = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|columns| *columns > 0);
        Some(said.or_else(|| terminal_size_of(io::stdout()).and_then(size).map(|size| size.columns)).unwrap_or(80))
    }

    /// The room on standard error, as far as it is known.
    #[expect(clippy::unused_self, reason = "it belongs to the output")]
    pub(crate) fn terminal(&self) -> Option<Size> {
        terminal_size_of(io::stderr()).and_then(size)
    }

    /// A text of our own that goes out as it is, where no document does.
    pub(crate) fn verbatim(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { write_line(text.trim_end_matches('\n')) }
    }

    /// A line on the side: on standard error.
    pub(crate) fn note(&self, line: impl AsRef<str>) {
        self.clear_progress();
        // Nobody can be told that standard error is closed.
        let _ = writeln!(io::stderr(), "{}", neutralise(line.as_ref()));
    }

    /// A part of the answer that is needed before the end: on standard output, or on the side when a document follows.
    pub(crate) fn show(&self, line: impl AsRef<str>) -> Result<(), Failure> {
        if self.json {
            self.note(line);
            return Ok(());
        }
        self.clear_progress();
        write_line(&neutralise(line.as_ref()))
    }

    /// A question, on the side, without an end of line.
    pub(crate) fn ask(&self, question: &str) {
        self.clear_progress();
        let mut stderr = io::stderr();
        let _ = write!(stderr, "{} ", neutralise(question));
        let _ = stderr.flush();
    }

    /// Says how far it got: over the last such line on a terminal; elsewhere only when `text` is worth a line of its own.
    pub(crate) fn progress(&self, text: &str, is_news: bool) {
        let mut stderr = io::stderr();
        let text = neutralise(text);
        if !stderr.is_terminal() {
            if is_news {
                let _ = writeln!(stderr, "{text}");
            }
            return;
        }
        let length = text.chars().count();
        let before = self.with_state(|state| std::mem::replace(&mut state.progress, length));
        let _ = write!(stderr, "\r{text}{}", " ".repeat(before.saturating_sub(length)));
        let _ = stderr.flush();
    }

    fn clear_progress(&self) {
        let length = self.with_state(|state| std::mem::take(&mut state.progress));
        if length > 0 {
            let _ = write!(io::stderr(), "\r{}\r", " ".repeat(length));
        }
    }

    /// Waits for `work` and says every second that it still does.
    pub(crate) async fn while_waiting<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let mut work = std::pin::pin!(work);
        loop {
            if let Ok(done) = tokio::time::timeout(Duration::from_secs(1), &mut work).await {
                self.clear_progress();
                return done;
            }
            let seconds = began.elapsed().as_secs();
            self.progress(&format!("{what} ({seconds} s)"), seconds <= 1);
        }
    }

    /// Remembers what to say when the process is interrupted from now on.
    pub(crate) fn when_interrupted(&self, text: impl Into<String>) {
        let text = text.into();
        self.with_state(|state| state.unfinished = Some(text));
    }

    /// What to say now that the process is interrupted.
    pub(crate) fn interrupted(&self) -> Option<String> {
        self.with_state(|state| state.unfinished.take())
    }

    /// Adds to the document what the start had to finish.
    pub(crate) fn resumed(&self, entry: Value) {
        self.with_state(|state| state.resumed.push(entry));
    }

    /// Writes the answer, and gives back what could not be done of it.
    pub(crate) fn finish(&self, mut report: Report) -> Result<Option<Failure>, Failure> {
        self.clear_progress();
        if self.json {
            if let Some(failure) = &report.failure {
                report.json["error"] = failure.to_json()["error"].take();
            }
            self.document(report.json)?;
            return Ok(report.failure);
        }
        let has_colours = has_colours(&io::stdout());
        for (place, line) in report.lines.iter().enumerate() {
            let line = neutralise(line);
            let is_heading = has_colours && report.headings.contains(&place);
            write_line(&if is_heading { format!("\u{1b}[1m{line}\u{1b}[0m") } else { line })?;
        }
        if let Some(failure) = &report.failure {
            self.fail(failure);
        }
        Ok(report.failure)
    }

    /// Writes why there is no answer.
    pub(crate) fn fail(&self, failure: &Failure) {
        self.clear_progress();
        if self.json {
            // The exit code tells in any case.
            let _ = self.document(failure.to_json());
            return;
        }
        let name = if has_colours(&io::stderr()) { "\u{1b}[31mhazel:\u{1b}[0m" } else { "hazel:" };
        // Nobody can be told that standard error is closed.
        let _ = writeln!(io::stderr(), "{name} {}", neutralise(&failure.message));
        if let Some(hint) = &failure.hint {
            self.note(format!("  {hint}"));
        }
    }

    fn document(&self, mut json: Value) -> Result<(), Failure> {
        let resumed = self.with_state(|state| std::mem::take(&mut state.resumed));
        if let (Some(document), false) = (json.as_object_mut(), resumed.is_empty()) {
            document.insert("resumed".to_owned(), Value::Array(resumed));
        }
        write_line(&harmless(json).to_string())
    }
}

fn size((Width(columns), Height(rows)): (Width, Height)) -> Option<Size> {
    (columns > 0 && rows > 0).then(|| Size { columns: columns.into(), rows: rows.into() })
}

/// Whether a person looks who wants colours (no-color.org).
fn has_colours(stream: &impl IsTerminal) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    stream.is_terminal() && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// A line of the answer. It must arrive, since it may be a token.
fn write_line(line: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).map_err(|error| {
        Failure::new(Kind::Wallet, format!("the answer could not be written: {error}"))
            .hint("`hazel history` and `hazel pending --tokens` show what was done")
    })
}

/// The document with every string in it made safe to show.
fn harmless(json: Value) -> Value {
    match json {
        Value::String(text) => Value::String(neutralise(&text)),
        Value::Array(items) => Value::Array(items.into_iter().map(harmless).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (neutralise(&name), harmless(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nothing_in_a_document_can_steer_a_terminal() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{202e}b";
        let safe = harmless(json!({ hostile: [hostile, {"memo": hostile}], "amount": 21 }));
        let text = safe.to_string();
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
        assert!(!text.contains("\\u001b"), "{text}");
        assert_eq!(safe["amount"], 21);
    }
}
