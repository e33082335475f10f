//! The time as a value.
//!
//! Nothing in the core asks for the time; it is told. An [`Instant`] counts from a start that the shell chose
//! (the start of the process, the start of a simulated world), a [`WallClock`] says what o'clock that was.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};
pub use std::time::Duration;

/// A moment on the monotonic clock, in nanoseconds since the start of the run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Instant(u64);

impl Instant {
    /// The start of the run.
    pub const START: Instant = Instant(0);

    /// The moment `nanos` nanoseconds after the start.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// The moment `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Instant {
        Instant(millis * 1_000_000)
    }

    /// Nanoseconds since the start.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;
    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Instant> for Instant {
    type Output = Duration;
    fn sub(self, earlier: Instant) -> Duration {
        self.since(earlier)
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;
    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// Seconds with microseconds, as a ladder shows them: `12.340000s`.
impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}s", self.0 / 1_000_000_000, self.0 % 1_000_000_000 / 1_000)
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What o'clock it was at [`Instant::START`]; read once by the shell, a fixed date in a simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// Microseconds from 1970-01-01T00:00:00Z to [`Instant::START`].
    pub epoch_micros: u64,
}

impl WallClock {
    /// Microseconds since 1970-01-01T00:00:00Z at `now`.
    pub fn micros(&self, now: Instant) -> u64 {
        self.epoch_micros + now.as_nanos() / 1_000
    }

    /// `2026-11-21T07:45:06.123456Z` (RFC 3339).
    pub fn rfc3339(&self, now: Instant) -> String {
        let date = Date::of(self.micros(now));
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
            date.year, date.month, date.day, date.hour, date.minute, date.second, date.micros
        )
    }

    /// `Sat, 21 Nov 2026 07:45:06 GMT`, the form of the SIP and HTTP Date header (RFC 3261 section 20.17).
    pub fn http_date(&self, now: Instant) -> String {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let date = Date::of(self.micros(now));
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            DAYS[(date.days % 7) as usize],
            date.day,
            MONTHS[(date.month - 1) as usize],
            date.year,
            date.hour,
            date.minute,
            date.second
        )
    }
}

/// A civil date in UTC, by the days-from-civil arithmetic of the proleptic Gregorian calendar.
struct Date {
    days: u64,
    year: u64,
    month: u64,
    day: u64,
    hour: u64,
    minute: u64,
    second: u64,
    micros: u64,
}

impl Date {
    fn of(micros_since_1970: u64) -> Date {
        let seconds = micros_since_1970 / 1_000_000;
        let days = seconds / 86_400;
        // Years are counted from 1 March of year 0, so that a leap day is the last of its year.
        let from_march = days + 719_468;
        let era = from_march / 146_097;
        let day_of_era = from_march % 146_097;
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
        Date {
            days,
            year: year_of_era + era * 400 + u64::from(month <= 2),
            month,
            day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
            hour: seconds % 86_400 / 3_600,
            minute: seconds % 3_600 / 60,
            second: seconds % 60,
            micros: micros_since_1970 % 1_000_000,
        }
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, the inverse of [`Date::of`].
pub(crate) fn days_since_1970(year: i64, month: u32, day: u32) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = i64::from(if month > 2 { month - 3 } else { month + 9 });
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day that begin so many days after 1970-01-01, the inverse of [`days_since_1970`].
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    let date = Date::of(u64::try_from(days).unwrap_or_default() * 86_400_000_000);
    (date.year as i64, date.month as u32, date.day as u32)
}

/// The year of so many seconds since 1970.
pub(crate) fn year_of(seconds: i64) -> i64 {
    civil(seconds.div_euclid(86_400)).0
}

/// The day of the week so many days after 1970-01-01, which was a Thursday; 0 is Sunday.
pub(crate) fn weekday(days: i64) -> u32 {
    (days + 4).rem_euclid(7) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_both_ways() {
        for (date, days) in [((1970, 1, 1), 0), ((2000, 2, 29), 11_016), ((2026, 11, 21), 20_778)] {
            assert_eq!((days_since_1970(date.0, date.1, date.2), civil(days)), (days, date));
        }
        assert_eq!(weekday(20_778), 6, "a Saturday");
    }

    #[test]
    fn a_date_is_written_as_people_and_headers_write_it() {
        let clock = WallClock { epoch_micros: 1_795_247_106_000_000 };
        assert_eq!(clock.rfc3339(Instant::from_millis(1_500)), "2026-11-21T07:45:07.500000Z");
        assert_eq!(clock.http_date(Instant::START), "Sat, 21 Nov 2026 07:45:06 GMT");
    }

    #[test]
    fn a_leap_day_is_a_day() {
        let clock = WallClock { epoch_micros: 951_782_400_000_000 };
        assert_eq!(clock.rfc3339(Instant::START), "2000-02-29T00:00:00.000000Z");
    }
}
