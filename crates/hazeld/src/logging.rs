//! The log: structured lines on standard error.

use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

use crate::config::{Level, Log, LogFormat};

/// The crates whose lines the level is about. All others are heard from `warn` on: some print what travels at `trace`.
const OWN_CRATES: [&str; 6] =
    ["hazeld", "hazel_http", "hazel_lightning", "hazel_mint", "hazel_protocol", "hazel_sqlite"];

/// Starts the log. Panics, wherever they happen, become lines of it.
pub(crate) fn start(log: Log) {
    let colours = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter(log.level));
    // An error means that a log was started before; that one stays.
    let _ = match log.format {
        LogFormat::Text => lines.with_ansi(colours).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).with_ansi(false).try_init(),
    };
    std::panic::set_hook(Box::new(log_panic));
}

fn filter(level: Level) -> EnvFilter {
    let quiet = if level == Level::Error { Level::Error } else { Level::Warn };
    let directives = OWN_CRATES.iter().fold(quiet.to_string(), |text, name| format!("{text},{name}={level}"));
    EnvFilter::new(directives)
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let payload = panic.payload();
    let message =
        payload.downcast_ref::<&str>().copied().or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let location = panic.location().map(ToString::to_string);
    let thread = std::thread::current();
    tracing::error!(
        location = location.as_deref().unwrap_or("unknown"),
        thread = thread.name().unwrap_or("unnamed"),
        "panic: {}",
        message.unwrap_or("without a message")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_stay_quiet_at_every_level() {
        for (level, expected) in [(Level::Error, "error"), (Level::Info, "warn"), (Level::Trace, "warn")] {
            let text = filter(level).to_string();
            let directives: Vec<&str> = text.split(',').collect();
            assert!(directives.contains(&expected), "{text}");
            assert!(directives.contains(&format!("hazel_mint={level}").as_str()), "{text}");
        }
    }
}
