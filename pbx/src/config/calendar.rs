//! When a route holds: days, hours, dates, holidays, in the time zone of the office.

use super::raw::{self, S};
use super::reader::{Reader, Result};
use super::zone::Zone;
use crate::time::{civil, weekday};

/// `[calendar]`: what o'clock it is in the office, and when it is closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Calendar {
    /// Where the office is.
    pub zone: Zone,
    /// When nobody works.
    pub holidays: Vec<Dates>,
}

/// Days of one year or of each, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    from: Day,
    to: Day,
}

/// A day of one year or of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Day {
    year: Option<i64>,
    month: u32,
    day: u32,
}

/// When a route holds: all that is said is to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// By day of the week, Sunday first.
    days: [bool; 7],
    /// Minutes since midnight, the first inclusive, the second not; where it is not after the first it is of the next day.
    hours: Vec<(u16, u16)>,
    /// On one of these.
    dates: Vec<Dates>,
    /// On holidays alone, or never on one.
    holidays: Option<bool>,
}

impl Calendar {
    /// Whether a route holds that is to hold at such times, when it is `utc` seconds since 1970.
    pub fn is_now(&self, when: &When, utc: i64) -> bool {
        let shown = self.zone.shows(utc);
        let (today, minute) = (shown.div_euclid(86_400), shown.rem_euclid(86_400) / 60);
        let minute = u16::try_from(minute).unwrap_or_default();
        if when.hours.is_empty() {
            return self.is_on(when, today);
        }
        when.hours.iter().any(|&(from, to)| match from < to {
            true => (from..to).contains(&minute) && self.is_on(when, today),
            // A night belongs to the day on which it begins.
            false => minute >= from && self.is_on(when, today) || minute < to && self.is_on(when, today - 1),
        })
    }

    fn is_on(&self, when: &When, day: i64) -> bool {
        let among = |all: &[Dates]| all.iter().any(|dates| dates.hold(day));
        when.days[weekday(day) as usize]
            && (when.dates.is_empty() || among(&when.dates))
            && when.holidays.is_none_or(|wanted| among(&self.holidays) == wanted)
    }
}

impl Default for Calendar {
    fn default() -> Calendar {
        Calendar { zone: Zone::UTC, holidays: Vec::new() }
    }
}

impl Dates {
    fn hold(&self, day: i64) -> bool {
        let (year, month, day) = civil(day);
        let place = |of: Day| (of.year.unwrap_or(year), of.month, of.day);
        let (from, to, at) = (place(self.from), place(self.to), (year, month, day));
        match from <= to {
            true => (from..=to).contains(&at),
            // From one year into the next, each year.
            false => at >= from || at <= to,
        }
    }
}

const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Reader<'_> {
    pub(super) fn calendar(&self, raw: raw::Calendar) -> Result<Calendar> {
        let zone = match &raw.time_zone {
            None => Zone::UTC,
            Some(text) => Zone::of(text.as_ref()).ok_or_else(|| {
                let message = format!("unknown time zone `{}`", text.as_ref());
                let error = self.wrong(text.span(), message).did_you_mean(text.as_ref(), Zone::names());
                match error.hint.is_some() {
                    true => error,
                    false => error.hint("a rule will do, too: `CET-1CEST,M3.5.0,M10.5.0/3`"),
                }
            })?,
        };
        Ok(Calendar { zone, holidays: self.all_dates(raw.holidays)? })
    }

    pub(super) fn when(&self, raw: raw::When) -> Result<When> {
        let mut days = [raw.days.is_none(); 7];
        for text in raw.days.iter().flatten() {
            let (from, to) = text.as_ref().split_once('-').unwrap_or((text.as_ref(), text.as_ref()));
            let number = |name: &str| DAYS.iter().position(|day| *day == name.trim());
            let (Some(from), Some(to)) = (number(from), number(to)) else {
                return Err(self.wrong(text.span(), "expected a day or days, like `sat` or `mon-fri`"));
            };
            let mut day = from;
            days[day] = true;
            while day != to {
                day = (day + 1) % 7;
                days[day] = true;
            }
        }
        let hours = raw.hours.unwrap_or_default();
        Ok(When {
            days,
            hours: hours.iter().map(|text| self.hours(text)).collect::<Result<_>>()?,
            dates: self.all_dates(raw.dates)?,
            holidays: raw.holidays,
        })
    }

    /// `08:00-17:30`
    fn hours(&self, text: &S<String>) -> Result<(u16, u16)> {
        let minutes = |text: &str| {
            let (hour, minute) = text.trim().split_once(':')?;
            let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
            (minute < 60 && hour * 60 + minute <= 24 * 60).then_some(hour * 60 + minute)
        };
        let both = text.as_ref().split_once('-').and_then(|(from, to)| Some((minutes(from)?, minutes(to)?)));
        both.filter(|(from, to)| from != to && *from < 24 * 60).ok_or_else(|| {
            self.wrong(text.span(), "expected hours like `08:00-17:30`, or `22:00-06:00` for a night")
        })
    }

    fn all_dates(&self, texts: Option<Vec<S<String>>>) -> Result<Vec<Dates>> {
        texts.unwrap_or_default().iter().map(|text| self.dates(text)).collect()
    }

    /// `12-25`, `2026-04-03`, `12-24..01-01`
    fn dates(&self, text: &S<String>) -> Result<Dates> {
        let (from, to) = text.as_ref().split_once("..").unwrap_or((text.as_ref(), text.as_ref()));
        let both = day(from).zip(day(to)).filter(|(from, to)| match (from.year, to.year) {
            (Some(first), Some(last)) => (first, from.month, from.day) <= (last, to.month, to.day),
            (None, None) => true,
            _ => false,
        });
        let (from, to) = both.ok_or_else(|| {
            let message = "expected a date like `12-25` or `2026-04-03`, or dates like `12-24..01-01`";
            self.wrong(text.span(), message)
        })?;
        Ok(Dates { from, to })
    }
}

fn day(text: &str) -> Option<Day> {
    let parts: Vec<&str> = text.trim().split('-').collect();
    let (year, month, day) = match parts[..] {
        [month, day] => (None, month, day),
        [year, month, day] => {
            (Some(year.parse().ok().filter(|year| (1970..=9999).contains(year))?), month, day)
        }
        _ => return None,
    };
    let (month, day): (u32, u32) = (month.parse().ok()?, day.parse().ok()?);
    // Of each year: the leap day, too.
    let in_year = year.unwrap_or(2_000);
    let is_one = (1..=12).contains(&month) && (1..=31).contains(&day);
    let is_one = is_one && civil(crate::time::days_since_1970(in_year, month, day)) == (in_year, month, day);
    is_one.then_some(Day { year, month, day })
}
