//! Times as people read them, in UTC: the system's time zone is not read, so that two machines write the same.

use hazel_wallet::ports::Timestamp;

const DAY_SECS: u64 = 24 * 3600;

/// `2031-02-28 09:05`, in UTC. Times beyond the year 9999 are written as its last minute.
pub(crate) fn utc(time: Timestamp) -> String {
    const LAST: u64 = 253_402_300_799;
    let secs = time.to_unix().min(LAST);
    let (year, month, day) = date(secs / DAY_SECS);
    let minute_of_day = secs % DAY_SECS / 60;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}", minute_of_day / 60, minute_of_day % 60)
}

/// Year, month and day of a day counted from 1970-01-01.
///
/// Years are counted from March, so that the leap day is the last of its year, in cycles of 400 years.
fn date(days: u64) -> (u64, u64, u64) {
    const CYCLE_DAYS: u64 = 146_097;
    const CENTURY_DAYS: u64 = 36_524;
    const FOUR_YEARS_DAYS: u64 = 1_461;
    // From 0000-03-01 to 1970-01-01.
    let days = days + 719_468;
    let (cycle, day) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
    let century = (day / CENTURY_DAYS).min(3);
    let day = day - century * CENTURY_DAYS;
    let (four, day) = (day / FOUR_YEARS_DAYS, day % FOUR_YEARS_DAYS);
    let year = (day / 365).min(3);
    let day = day - year * 365;
    // Five months of 153 days repeat: 31, 30, 31, 30, 31.
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let year = cycle * 400 + century * 100 + four * 4 + year;
    if month < 10 { (year, month + 3, day_of_month) } else { (year + 1, month - 9, day_of_month) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        for (secs, text) in [
            (0, "1970-01-01 00:00"),
            (951_782_400, "2000-02-29 00:00"),
            (951_868_800, "2000-03-01 00:00"),
            (1_234_567_890, "2009-02-13 23:31"),
            (1_709_251_199, "2024-02-29 23:59"),
            (1_735_689_599, "2024-12-31 23:59"),
            (4_107_542_400, "2100-03-01 00:00"),
            (u64::MAX, "9999-12-31 23:59"),
        ] {
            assert_eq!(utc(Timestamp::from_unix(secs)), text);
        }
    }

    #[test]
    fn every_day_of_a_cycle_follows_the_one_before() {
        let mut before = date(0);
        for day in 1..146_097 {
            let now = date(day);
            let next_day = now == (before.0, before.1, before.2 + 1);
            let next_month = now == (before.0, before.1 + 1, 1) && before.2 >= 28;
            let next_year = now == (before.0 + 1, 1, 1) && before == (before.0, 12, 31);
            assert!(next_day || next_month || next_year, "{before:?} then {now:?}");
            before = now;
        }
        assert_eq!(before, (2369, 12, 31));
    }
}
