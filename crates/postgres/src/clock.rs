//! A clock that goes on while the machine sleeps: a lease runs out meanwhile, too.

use std::time::Duration;

/// Time since the machine was started, suspended or not.
#[cfg(target_os = "linux")]
pub(crate) fn since_boot() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (secs, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
    // The clock stands at zero when the machine starts and its fraction is below a second.
    Duration::new(secs.expect("a time after the start"), nanos.expect("less than a second"))
}

/// Time since this was first asked. Elsewhere than on Linux this clock may stand still while the machine sleeps.
#[cfg(not(target_os = "linux"))]
pub(crate) fn since_boot() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static FIRST: OnceLock<Instant> = OnceLock::new();
    FIRST.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_forward() {
        let first = since_boot();
        std::thread::sleep(Duration::from_millis(5));
        assert!(since_boot() >= first + Duration::from_millis(5));
    }
}
