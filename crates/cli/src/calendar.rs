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

/// A point in time as people write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// So many seconds away from now.
    Away(u64),
    /// This one, in seconds since 1970.
    At(u64),
}

impl When {
    /// The time, counted forward from `now`.
    pub(crate) fn at(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Away(secs) => now.plus(secs),
            Self::At(secs) => Timestamp::from_unix(secs),
        }
    }

    /// The time, counted back from `now`.
    pub(crate) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Away(secs) => Timestamp::from_unix(now.to_unix().saturating_sub(secs)),
            Self::At(secs) => Timestamp::from_unix(secs),
        }
    }
}

impl std::str::FromStr for When {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = |text: &str| Some(text).filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?.parse().ok();
        let away =
            |unit: char, secs: u64| text.strip_suffix(unit).and_then(number).and_then(|n: u64| n.checked_mul(secs));
        let away =
            [('s', 1), ('m', 60), ('h', 3600), ('d', DAY_SECS)].into_iter().find_map(|(unit, secs)| away(unit, secs));
        let at = || number(text).or_else(|| day_and_minute(text)).map(Self::At);
        away.map(Self::Away)
            .or_else(at)
            .ok_or("not a time: write `7d`, `12h`, `30m`, `2031-02-28` or `2031-02-28T09:05`")
    }
}

/// `2031-02-28` or `2031-02-28T09:05`, in UTC, in seconds since 1970.
fn day_and_minute(text: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>, text: &str| {
        let digits = text.get(range).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<u64>().ok()
    };
    let (day, clock) = match text.split_once(['T', ' ']) {
        Some((day, clock)) => (day, clock),
        None => (text, "00:00"),
    };
    let at = |text: &str, place: usize| text.as_bytes().get(place).copied();
    let is_shaped = day.len() == 10 && at(day, 4) == Some(b'-') && at(day, 7) == Some(b'-');
    if !is_shaped || clock.len() != 5 || at(clock, 2) != Some(b':') {
        return None;
    }
    let wanted = (number(0..4, day)?, number(5..7, day)?, number(8..10, day)?);
    let (hour, minute) = (number(0..2, clock)?, number(3..5, clock)?);
    // Days grow with the date, so the day is where a search by halves ends.
    let (mut low, mut high) = (0, 10_000 * 366);
    while low < high {
        let middle = u64::midpoint(low, high);
        if date(middle) < wanted { low = middle + 1 } else { high = middle }
    }
    (date(low) == wanted && hour < 24 && minute < 60).then_some(low * DAY_SECS + hour * 3600 + minute * 60)
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
    fn times_are_read_as_people_write_them() {
        for (text, secs) in [
            ("7d", When::Away(7 * DAY_SECS)),
            ("90m", When::Away(5_400)),
            ("1h", When::Away(3_600)),
            ("1900000000", When::At(1_900_000_000)),
            ("1970-01-01", When::At(0)),
            ("2000-02-29", When::At(951_782_400)),
            ("2009-02-13T23:31", When::At(1_234_567_860)),
            ("2009-02-13 23:31", When::At(1_234_567_860)),
        ] {
            assert_eq!(text.parse(), Ok(secs), "{text}");
        }
        for text in
            ["", "d", "-1d", "+1", "1.5h", "2001-02-29", "2001-13-01", "2001-1-1", "2001-01-01T24:00", "20é0-01-01"]
        {
            assert!(text.parse::<When>().is_err(), "{text}");
        }
        assert!(format!("{}d", u64::MAX).parse::<When>().is_err());
        let now = Timestamp::from_unix(100);
        assert_eq!(When::Away(7).at(now).to_unix(), 107);
        assert_eq!(When::Away(7).before(now).to_unix(), 93);
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
