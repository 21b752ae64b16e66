//! Named places where a test can stop the process. They are compiled in only with the feature `failpoints`.
//!
//! Every step of every operation is one change of the store, and all go through one function: a point before it and one after it are a
//! point at every step. What a mint was asked in between is not known to the wallet before the next change.

/// Stops here when a test has asked for it.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        fail::fail_point!(concat!("hazel::fail::", $name));
    };
}

pub(crate) use failpoint;
