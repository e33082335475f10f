//! Time zones, as the rules that hold in them now: so many hours beside UTC, and others from one Sunday to another.
//!
//! A zone is named (`Europe/Berlin`), or written as POSIX writes it in the variable TZ: `CET-1CEST,M3.5.0,M10.5.0/3`. There is no
//! database here, which would know of 1916 and be old by next year: for a zone that is not in the list, or that has changed its
//! mind, the rule is written.

use crate::time::{days_since_1970, weekday};
use std::fmt;

/// A time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of UTC.
    standard: i64,
    summer: Option<Summer>,
}

/// When clocks go by another time.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Summer {
    /// Seconds east of UTC.
    offset: i64,
    /// In standard time.
    begins: Change,
    /// In summer time.
    ends: Change,
}

/// A moment of each year: the `week`th such day of a month, the last one where it is 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Change {
    month: u32,
    week: u32,
    /// 0 is Sunday.
    day: u32,
    /// Seconds from midnight; may be before it or after the next one.
    at: i64,
}

/// Zones that are known by name, with the rules of 2026.
const ZONES: [(&str, &str); 52] = [
    ("UTC", "UTC0"),
    ("Africa/Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24"),
    ("Africa/Johannesburg", "SAST-2"),
    ("Africa/Lagos", "WAT-1"),
    ("Africa/Nairobi", "EAT-3"),
    ("America/Argentina/Buenos_Aires", "<-03>3"),
    ("America/Bogota", "<-05>5"),
    ("America/Chicago", "CST6CDT,M3.2.0,M11.1.0"),
    ("America/Denver", "MST7MDT,M3.2.0,M11.1.0"),
    ("America/Halifax", "AST4ADT,M3.2.0,M11.1.0"),
    ("America/Los_Angeles", "PST8PDT,M3.2.0,M11.1.0"),
    ("America/Mexico_City", "CST6"),
    ("America/New_York", "EST5EDT,M3.2.0,M11.1.0"),
    ("America/Phoenix", "MST7"),
    ("America/Sao_Paulo", "<-03>3"),
    ("America/St_Johns", "NST3:30NDT,M3.2.0,M11.1.0"),
    ("America/Toronto", "EST5EDT,M3.2.0,M11.1.0"),
    ("America/Vancouver", "PST8PDT,M3.2.0,M11.1.0"),
    ("Asia/Bangkok", "<+07>-7"),
    ("Asia/Dubai", "<+04>-4"),
    ("Asia/Hong_Kong", "HKT-8"),
    ("Asia/Jerusalem", "IST-2IDT,M3.4.4/26,M10.5.0"),
    ("Asia/Karachi", "PKT-5"),
    ("Asia/Kolkata", "IST-5:30"),
    ("Asia/Manila", "PST-8"),
    ("Asia/Seoul", "KST-9"),
    ("Asia/Shanghai", "CST-8"),
    ("Asia/Singapore", "<+08>-8"),
    ("Asia/Tokyo", "JST-9"),
    ("Australia/Adelaide", "ACST-9:30ACDT,M10.1.0,M4.1.0/3"),
    ("Australia/Brisbane", "AEST-10"),
    ("Australia/Perth", "AWST-8"),
    ("Australia/Sydney", "AEST-10AEDT,M10.1.0,M4.1.0/3"),
    ("Europe/Amsterdam", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Athens", "EET-2EEST,M3.5.0/3,M10.5.0/4"),
    ("Europe/Berlin", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Brussels", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Dublin", "GMT0IST,M3.5.0/1,M10.5.0"),
    ("Europe/Helsinki", "EET-2EEST,M3.5.0/3,M10.5.0/4"),
    ("Europe/Istanbul", "<+03>-3"),
    ("Europe/Kyiv", "EET-2EEST,M3.5.0/3,M10.5.0/4"),
    ("Europe/Lisbon", "WET0WEST,M3.5.0/1,M10.5.0"),
    ("Europe/London", "GMT0BST,M3.5.0/1,M10.5.0"),
    ("Europe/Madrid", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Moscow", "MSK-3"),
    ("Europe/Paris", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Prague", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Rome", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Vienna", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Warsaw", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Europe/Zurich", "CET-1CEST,M3.5.0,M10.5.0/3"),
    ("Pacific/Auckland", "NZST-12NZDT,M9.5.0,M4.1.0/3"),
];

impl Zone {
    /// UTC.
    pub const UTC: Zone = Zone { standard: 0, summer: None };

    /// The zone of a name or a rule.
    pub fn of(text: &str) -> Option<Zone> {
        let rule = ZONES.iter().find(|(name, _)| *name == text).map_or(text, |(_, rule)| *rule);
        Rule(rule).zone()
    }

    /// The names that are known.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ZONES.iter().map(|(name, _)| *name)
    }

    /// What clocks show, as if it were UTC, when it is `utc` seconds since 1970.
    pub fn shows(&self, utc: i64) -> i64 {
        let Some(summer) = &self.summer else { return utc + self.standard };
        let year = crate::time::year_of(utc + self.standard);
        let begins = summer.begins.in_year(year) - self.standard;
        let ends = summer.ends.in_year(year) - summer.offset;
        // South of the equator summer begins in the one year and ends in the next.
        let is_summer = match begins < ends {
            true => (begins..ends).contains(&utc),
            false => !(ends..begins).contains(&utc),
        };
        utc + if is_summer { summer.offset } else { self.standard }
    }
}

impl Change {
    /// Seconds since 1970, as clocks show them.
    fn in_year(self, year: i64) -> i64 {
        let first = days_since_1970(year, self.month, 1);
        let to_the_day = (i64::from(self.day) - i64::from(weekday(first))).rem_euclid(7);
        let next_month = match self.month {
            12 => days_since_1970(year + 1, 1, 1),
            month => days_since_1970(year, month + 1, 1),
        };
        let mut day = first + to_the_day + 7 * i64::from(self.week - 1);
        while day >= next_month {
            day -= 7;
        }
        day * 86_400 + self.at
    }
}

/// A rule as POSIX writes it, what is left of it.
struct Rule<'a>(&'a str);

impl Rule<'_> {
    fn zone(mut self) -> Option<Zone> {
        self.name()?;
        // POSIX counts west of Greenwich.
        let standard = -self.time(24)?;
        if self.0.is_empty() {
            return Some(Zone { standard, summer: None });
        }
        self.name()?;
        let offset = if self.0.starts_with(',') { standard + 3_600 } else { -self.time(24)? };
        let begins = self.change()?;
        let ends = self.change()?;
        self.0.is_empty().then_some(Zone { standard, summer: Some(Summer { offset, begins, ends }) })
    }

    /// `CET`, `<+03>`
    fn name(&mut self) -> Option<()> {
        let end = match self.0.strip_prefix('<') {
            Some(rest) => rest.find('>')? + 2,
            None => self.0.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(self.0.len()),
        };
        self.0 = self.0.get(end..).filter(|_| (3..=12).contains(&end))?;
        Some(())
    }

    /// `-1`, `3:30`, at most so many hours.
    fn time(&mut self, most: i64) -> Option<i64> {
        let sign = match self.0.strip_prefix(['-', '+']) {
            Some(rest) => {
                let sign = if self.0.starts_with('-') { -1 } else { 1 };
                self.0 = rest;
                sign
            }
            None => 1,
        };
        let mut seconds = i64::from(self.number()?) * 3_600;
        for unit in [60, 1] {
            if let Some(rest) = self.0.strip_prefix(':') {
                self.0 = rest;
                seconds += i64::from(self.number().filter(|number| *number < 60)?) * unit;
            }
        }
        (seconds <= most * 3_600).then_some(sign * seconds)
    }

    /// `,M3.5.0/2`
    fn change(&mut self) -> Option<Change> {
        self.0 = self.0.strip_prefix(",M")?;
        let month = self.number().filter(|month| (1..=12).contains(month))?;
        self.0 = self.0.strip_prefix('.')?;
        let week = self.number().filter(|week| (1..=5).contains(week))?;
        self.0 = self.0.strip_prefix('.')?;
        let day = self.number().filter(|day| *day < 7)?;
        let at = match self.0.strip_prefix('/') {
            Some(rest) => {
                self.0 = rest;
                self.time(167)?
            }
            None => 7_200,
        };
        Some(Change { month, week, day, at })
    }

    fn number(&mut self) -> Option<u32> {
        let end = self.0.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.0.len());
        let (digits, rest) = self.0.split_at(end);
        self.0 = rest;
        digits.parse().ok()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UTC{:+}", self.standard as f64 / 3_600.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds since 1970 of a time in UTC.
    fn utc(year: i64, month: u32, day: u32, hour: i64, minute: i64) -> i64 {
        (days_since_1970(year, month, day) * 24 + hour) * 3_600 + minute * 60
    }

    fn hours_beside_utc(zone: &str, at: i64) -> f64 {
        (Zone::of(zone).expect("it is known").shows(at) - at) as f64 / 3_600.0
    }

    #[test]
    fn clocks_change_when_they_should() {
        let table = [
            ("Europe/Berlin", utc(2026, 3, 29, 0, 59), 1.0),
            ("Europe/Berlin", utc(2026, 3, 29, 1, 0), 2.0),
            ("Europe/Berlin", utc(2026, 10, 25, 0, 59), 2.0),
            ("Europe/Berlin", utc(2026, 10, 25, 1, 0), 1.0),
            ("Europe/London", utc(2027, 3, 28, 1, 0), 1.0),
            ("America/New_York", utc(2026, 3, 8, 6, 59), -5.0),
            ("America/New_York", utc(2026, 3, 8, 7, 0), -4.0),
            ("America/New_York", utc(2026, 11, 1, 6, 0), -5.0),
            ("Australia/Sydney", utc(2026, 1, 1, 0, 0), 11.0),
            ("Australia/Sydney", utc(2026, 4, 4, 15, 59), 11.0),
            ("Australia/Sydney", utc(2026, 4, 4, 16, 0), 10.0),
            ("Australia/Sydney", utc(2026, 12, 31, 23, 0), 11.0),
            ("Asia/Kolkata", utc(2026, 6, 1, 0, 0), 5.5),
            ("America/St_Johns", utc(2026, 7, 1, 0, 0), -2.5),
        ];
        for (zone, at, expected) in table {
            assert_eq!(hours_beside_utc(zone, at), expected, "{zone} at {at}");
        }
    }

    #[test]
    fn every_name_leads_to_a_rule_and_nonsense_to_none() {
        for (name, rule) in ZONES {
            assert!(Zone::of(name).is_some(), "{name}: {rule}");
        }
        let nonsense = [
            "",
            "Berlin",
            "CET",
            "CET-1CEST",
            "CET-1CEST,M13.5.0,M10.5.0",
            "CET-1CEST,M3.5.0,M10.5.0x",
            "CET-99",
        ];
        for text in nonsense {
            assert_eq!(Zone::of(text), None, "{text}");
        }
    }
}
