//! Hours of the day and days of the week, in a time zone: `09:00-18:00
//! Europe/Berlin`, `mon,tue Europe/Berlin`. Without a zone they are in UTC.
//!
//! The zones are those of the IANA database, compiled in, so that server and
//! verifiers mean the same.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use symbolon_protocol::Timestamp;

/// How long the name of a zone may be, in bytes.
const MAX_ZONE_BYTES: usize = 64;

/// Text that names neither hours nor days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither hours nor days in a time zone")]
pub struct InvalidCalendar;

#[derive(Clone, PartialEq)]
struct Zone {
    name: Option<String>,
    zone: TimeZone,
}

impl Zone {
    fn read(name: Option<&str>) -> Result<Self, InvalidCalendar> {
        let Some(name) = name else {
            return Ok(Self {
                name: None,
                zone: TimeZone::UTC,
            });
        };
        // The database finds names whatever their case; a caveat has one spelling.
        let zone = (name.len() <= MAX_ZONE_BYTES)
            .then(|| TimeZoneDatabase::bundled().get(name).ok())
            .flatten()
            .filter(|zone| zone.iana_name() == Some(name));
        Ok(Self {
            name: Some(name.to_owned()),
            zone: zone.ok_or(InvalidCalendar)?,
        })
    }

    /// Minutes since midnight and the day of the week, where it is `now`.
    fn local(&self, now: Timestamp) -> Option<(u16, Weekday)> {
        let instant = jiff::Timestamp::from_millisecond(now.millis()).ok()?;
        let local = self.zone.to_datetime(instant);
        let minutes =
            u16::try_from(i32::from(local.hour()) * 60 + i32::from(local.minute())).ok()?;
        Some((minutes, local.weekday()))
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, " {name}"),
            None => Ok(()),
        }
    }
}

/// The part before the zone and the zone, with one space between them.
fn split(text: &str) -> Result<(&str, Zone), InvalidCalendar> {
    match text.split_once(' ') {
        Some((value, zone)) => Ok((value, Zone::read(Some(zone))?)),
        None => Ok((text, Zone::read(None)?)),
    }
}

/// Hours of every day, from the first minute up to but without the last.
/// Where the end is before the beginning, they go over midnight.
#[derive(Clone, PartialEq)]
pub struct Hours {
    from: u16,
    to: u16,
    zone: Zone,
}

impl Hours {
    /// Whether it is one of them now.
    pub fn contain(&self, now: Timestamp) -> bool {
        let Some((minute, _)) = self.zone.local(now) else {
            return false;
        };
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl FromStr for Hours {
    type Err = InvalidCalendar;

    fn from_str(text: &str) -> Result<Self, InvalidCalendar> {
        let (hours, zone) = split(text)?;
        let (from, to) = hours.split_once('-').ok_or(InvalidCalendar)?;
        let from = minute(from).filter(|from| *from < DAY);
        let to = minute(to).filter(|to| *to > 0);
        let (Some(from), Some(to)) = (from, to) else {
            return Err(InvalidCalendar);
        };
        if from == to {
            return Err(InvalidCalendar);
        }
        Ok(Self { from, to, zone })
    }
}

const DAY: u16 = 24 * 60;

/// `HH:MM`, up to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let [h1, h2, b':', m1, m2] = text.as_bytes() else {
        return None;
    };
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
    let hours = digit(h1)? * 10 + digit(h2)?;
    let minutes = digit(m1)? * 10 + digit(m2)?;
    let all = hours * 60 + minutes;
    (minutes < 60 && all <= DAY).then_some(all)
}

impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        write!(f, "{}-{}", clock(self.from), clock(self.to))?;
        self.zone.write(f)
    }
}

impl fmt::Debug for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Days of the week.
#[derive(Clone, PartialEq)]
pub struct Days {
    days: Vec<Weekday>,
    zone: Zone,
}

const NAMES: [(Weekday, &str); 7] = [
    (Weekday::Monday, "mon"),
    (Weekday::Tuesday, "tue"),
    (Weekday::Wednesday, "wed"),
    (Weekday::Thursday, "thu"),
    (Weekday::Friday, "fri"),
    (Weekday::Saturday, "sat"),
    (Weekday::Sunday, "sun"),
];

impl Days {
    /// Whether today is one of them.
    pub fn contain(&self, now: Timestamp) -> bool {
        let local = self.zone.local(now);
        local.is_some_and(|(_, today)| self.days.contains(&today))
    }
}

impl FromStr for Days {
    type Err = InvalidCalendar;

    fn from_str(text: &str) -> Result<Self, InvalidCalendar> {
        let (names, zone) = split(text)?;
        let mut days = Vec::new();
        for name in names.split(',') {
            let found = NAMES.iter().find(|(_, own)| *own == name);
            let (day, _) = found.ok_or(InvalidCalendar)?;
            if days.contains(day) {
                return Err(InvalidCalendar);
            }
            days.push(*day);
        }
        Ok(Self { days, zone })
    }
}

impl fmt::Display for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |day: &Weekday| {
            NAMES
                .iter()
                .find(|(own, _)| own == day)
                .map(|(_, name)| *name)
        };
        let names: Vec<_> = self.days.iter().filter_map(name).collect();
        f.write_str(&names.join(","))?;
        self.zone.write(f)
    }
}

impl fmt::Debug for Days {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_open(hours: &str, now: &str) -> bool {
        let hours: Hours = hours.parse().unwrap();
        hours.contain(now.parse().unwrap())
    }

    #[test]
    fn hours_follow_the_clock_of_their_zone_summer_and_winter() {
        let office = "09:00-18:00 Europe/Berlin";
        assert!(is_open(office, "2026-01-15T08:00:00Z"));
        assert!(!is_open(office, "2026-01-15T07:59:59Z"));
        assert!(!is_open(office, "2026-01-15T17:00:00Z"));
        assert!(is_open(office, "2026-07-15T07:00:00Z"));
        assert!(!is_open(office, "2026-07-15T16:00:00Z"));
        assert!(is_open("09:00-18:00", "2026-07-15T17:59:59Z"));
    }

    #[test]
    fn hours_go_over_midnight_and_to_the_end_of_the_day() {
        assert!(is_open("22:00-06:00", "2026-01-15T23:00:00Z"));
        assert!(is_open("22:00-06:00", "2026-01-15T05:59:00Z"));
        assert!(!is_open("22:00-06:00", "2026-01-15T06:00:00Z"));
        assert!(is_open("00:00-24:00", "2026-01-15T23:59:59Z"));
    }

    #[test]
    fn days_begin_at_midnight_of_their_zone() {
        let days: Days = "fri Pacific/Auckland".parse().unwrap();
        // Thursday noon in UTC is Friday in Auckland.
        assert!(days.contain("2026-01-15T12:00:00Z".parse().unwrap()));
        assert!(!days.contain("2026-01-16T12:00:00Z".parse().unwrap()));
    }
}
