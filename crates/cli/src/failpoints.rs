//! Named points where a test can stop the process. Compiled in only with the feature `failpoints`.
//!
//! `HAZEL_STOP_AT` holds `POINT#N`: the process that comes by the point for the `N`th time says so on standard error and stands still, so
//! that whoever started it can kill it right there.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fail::FailScenario;

/// The line on standard error, followed by the name of the point. Tests wait for it.
const REACHED: &str = "stopped at failpoint ";

/// Longer than any test.
const STAND_STILL: Duration = Duration::from_hours(1);

/// Keeps the point armed until it is dropped.
pub(crate) struct Armed {
    _scenario: FailScenario<'static>,
}

/// Arms the point that the environment names, if it names one.
pub(crate) fn arm() -> Result<Armed, String> {
    let scenario = FailScenario::setup();
    if let Ok(text) = std::env::var("HAZEL_STOP_AT") {
        let parts = text.split_once('#').and_then(|(name, number)| Some((name, number.parse::<u64>().ok()?)));
        let (name, number) = parts.ok_or("HAZEL_STOP_AT holds POINT#N")?;
        let (owned, passed) = (name.to_owned(), AtomicU64::new(1));
        fail::cfg_callback(name, move || {
            if passed.fetch_add(1, Ordering::Relaxed) == number {
                // Nobody reads it when the test is gone, and then nothing matters.
                let _ = writeln!(std::io::stderr(), "{REACHED}{owned}");
                std::thread::sleep(STAND_STILL);
            }
        })?;
    }
    Ok(Armed { _scenario: scenario })
}
