//! Named points where a test can stop the process. Compiled in only with the feature `failpoints`.
//!
//! - `FAILPOINTS` takes what the `fail` crate takes: `hazel::fail::swap-after-sign=panic`.
//! - `HAZEL_STOP_AT` names points, with commas between, at which the process says so on standard error and stands still, so that
//!   whoever started it can kill it right there.
//! - `HAZEL_ARM_AT` holds `POINT>OTHER=ACTION`: reaching the one point gives the other its action, for faults that must not come
//!   earlier.
//!
//! The engine's points are named where they stand. The daemon adds one: `hazel::fail::compute`, which with `return` refuses a
//! computation as a full queue does.

use std::time::Duration;

use fail::FailScenario;

/// The line on standard error, followed by the name of the point. Tests wait for it.
const REACHED: &str = "stopped at failpoint ";

/// Longer than any test.
const STAND_STILL: Duration = Duration::from_hours(1);

/// Keeps the points armed until it is dropped.
pub(crate) struct Armed {
    _scenario: FailScenario<'static>,
}

/// Arms the points that the environment names.
pub(crate) fn arm() -> Result<Armed, String> {
    let scenario = FailScenario::setup();
    let names = std::env::var("HAZEL_STOP_AT").unwrap_or_default();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        let owned = name.to_owned();
        fail::cfg_callback(name, move || stand_still(&owned))?;
    }
    arm_later(&std::env::var("HAZEL_ARM_AT").unwrap_or_default())?;
    tracing::warn!("this build has failpoints: it is for tests");
    Ok(Armed { _scenario: scenario })
}

fn arm_later(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Ok(());
    }
    let parts = text.split_once('>').and_then(|(point, rest)| Some((point, rest.split_once('=')?)));
    let (point, (other, action)) = parts.ok_or("HAZEL_ARM_AT holds POINT>OTHER=ACTION")?;
    let (other, action) = (other.to_owned(), action.to_owned());
    fail::cfg_callback(point, move || {
        if let Err(error) = fail::cfg(other.as_str(), &action) {
            tracing::error!(%error, "a failpoint cannot be armed");
        }
    })
}

fn stand_still(name: &str) {
    use std::io::Write;
    // Nobody reads it when the test is gone, and then nothing matters.
    let _ = writeln!(std::io::stderr(), "{REACHED}{name}");
    std::thread::sleep(STAND_STILL);
}
