//! Working days: Monday to Friday but for holidays, which the caller names.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use jiff::{Span, Unit};

use super::Outcome;

/// The most working days that are added.
const MOST: i64 = 100_000;

fn works(date: Date, holidays: &BTreeSet<Date>) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday) && !holidays.contains(&date)
}

/// The working day that is so many after a date, or before it.
///
/// # Errors
/// More of them than anybody means, and a calendar that ends.
pub(super) fn plus(date: Date, days: i64, holidays: &BTreeSet<Date>) -> Outcome<Date> {
    if !(-MOST..=MOST).contains(&days) {
        return Err(format!("{MOST} working days are added at most"));
    }
    let step = Span::new().days(days.signum());
    let (mut date, mut left) = (date, days.abs());
    while left > 0 {
        date = date.checked_add(step).map_err(|error| error.to_string())?;
        left -= i64::from(works(date, holidays));
    }
    Ok(date)
}

/// Working days after the earlier of two dates up to the later one, with the sign of the way from `from` to `to`.
///
/// # Errors
/// None, for dates of the calendar.
pub(super) fn between(from: Date, to: Date, holidays: &BTreeSet<Date>) -> Outcome<i64> {
    if to < from {
        return Ok(-between(to, from, holidays)?);
    }
    let days = from
        .until((Unit::Day, to))
        .map_err(|error| error.to_string())?;
    let days = i64::from(days.get_days());
    // Each week has five; the days that are left over are looked at, and so are the holidays.
    let (weeks, rest) = (days / 7, days % 7);
    let none = BTreeSet::new();
    let mut count = weeks * 5;
    let mut date = to;
    for _ in 0..rest {
        count += i64::from(works(date, &none));
        date = date.yesterday().map_err(|error| error.to_string())?;
    }
    let off = holidays
        .iter()
        .filter(|day| **day > from && **day <= to && works(**day, &none));
    Ok(count - i64::try_from(off.count()).unwrap_or_default())
}
