//! Periods of the calendar, in UTC. Each has a number, which grows.
//!
//! Spec: RFC 3339 §5.6

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// From the first Monday before 1970-01-01, a Thursday.
const WEEK_SHIFT: i64 = 3;

/// A period of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Period {
    /// From full hour to full hour.
    Hour,
    /// From midnight.
    Day,
    /// From Monday's midnight.
    Week,
    /// From the first of the month.
    Month,
    /// From the first of January.
    Year,
}

impl Period {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The period of a word.
    pub fn named(word: &str) -> Option<Self> {
        let all = [Self::Hour, Self::Day, Self::Week, Self::Month, Self::Year];
        all.into_iter().find(|own| own.as_str() == word)
    }

    /// How long it lasts in seconds, months and years as their longest.
    pub(crate) const fn longest_seconds(self) -> u64 {
        match self {
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Month => 31 * 86_400,
            Self::Year => 366 * 86_400,
        }
    }

    /// The number of the period in which an instant lies, in milliseconds.
    pub(crate) fn number(self, milliseconds: i64) -> i64 {
        let day = milliseconds.div_euclid(DAY);
        match self {
            Self::Hour => milliseconds.div_euclid(HOUR),
            Self::Day => day,
            Self::Week => (day + WEEK_SHIFT).div_euclid(7),
            Self::Month => month_of(day),
            Self::Year => month_of(day).div_euclid(12),
        }
    }

    /// When the period of a number ends, in milliseconds.
    pub(crate) fn end(self, number: i64) -> i64 {
        let next = number + 1;
        match self {
            Self::Hour => next * HOUR,
            Self::Day => next * DAY,
            Self::Week => (next * 7 - WEEK_SHIFT) * DAY,
            Self::Month => first_of(next) * DAY,
            Self::Year => first_of(next * 12) * DAY,
        }
    }
}

/// The number of the day of an instant.
pub(crate) fn day(milliseconds: i64) -> i64 {
    milliseconds.div_euclid(DAY)
}

/// The month of a day, counted from the year 0; years begin in March inside,
/// so that the day that comes and goes is the last of them.
fn month_of(day: i64) -> i64 {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    (era * 400 + year) * 12 + month + 2
}

/// The first day of a month.
fn first_of(month: i64) -> i64 {
    let shifted = month - 2;
    let (years, month) = (shifted.div_euclid(12), shifted.rem_euclid(12));
    let (era, year) = (years.div_euclid(400), years.rem_euclid(400));
    let of_year = (153 * month + 2) / 5;
    era * 146_097 + year * 365 + year / 4 - year / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use symbolon_protocol::Timestamp;

    use super::*;

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().millis()
    }

    #[test]
    fn a_period_ends_where_the_calendar_says() {
        for (period, within, end) in [
            (Period::Hour, "2026-11-28T17:59:59Z", "2026-11-28T18:00:00Z"),
            (Period::Day, "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z"),
            (Period::Week, "2026-11-28T17:00:00Z", "2026-11-30T00:00:00Z"),
            (Period::Week, "2026-11-30T00:00:00Z", "2026-12-07T00:00:00Z"),
            (
                Period::Month,
                "2026-12-31T23:59:59Z",
                "2027-01-01T00:00:00Z",
            ),
            (
                Period::Month,
                "2028-02-29T12:00:00Z",
                "2028-03-01T00:00:00Z",
            ),
            (
                Period::Month,
                "2100-02-28T12:00:00Z",
                "2100-03-01T00:00:00Z",
            ),
            (Period::Year, "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ] {
            let number = period.number(millis(within));
            assert_eq!(period.end(number), millis(end), "{within} {period:?}");
        }
    }

    #[test]
    fn every_instant_lies_between_the_ends_of_two_periods() {
        let start = millis("1999-12-25T00:00:00Z");
        for hour in (0..30 * 366 * 24).step_by(7) {
            let now = start + hour * HOUR;
            for word in ["hour", "day", "week", "month", "year"] {
                let period = Period::named(word).unwrap();
                let number = period.number(now);
                assert!(
                    period.end(number - 1) <= now && now < period.end(number),
                    "{word}"
                );
            }
        }
    }
}
