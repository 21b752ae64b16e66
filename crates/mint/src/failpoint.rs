//! Named places where a test can stop the process. They are compiled in only with the feature `failpoints`.

/// Stops here when a test has asked for it.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!(concat!("hazel::fail::", $name));
    };
}

pub(crate) use failpoint;
