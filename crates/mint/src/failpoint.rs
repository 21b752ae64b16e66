//! Named places where a test can stop the process. They are compiled in only with the feature `failpoints`.

/// Stops here when a test has asked for it.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!(concat!("hazel::fail::", $name));
    };
    // As that, and with the action `return` the function it stands in gives this.
    ($name:literal, $given:expr) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!(concat!("hazel::fail::", $name), |_| $given);
    };
}

pub(crate) use failpoint;
