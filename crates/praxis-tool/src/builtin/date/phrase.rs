//! When a text means: a date or a time as people and programs write them, or a phrase such as `next month`.
//!
//! Left out: phrases that name no year or no day (`in March`), and dates that are read in two ways (`03/04/2026`),
//! which are refused.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::{Outcome, business};

/// What a text means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum When {
    /// A point in time, in a zone.
    Moment(Zoned),
    /// A day.
    Day(Date),
    /// From the first day to the last.
    Range(Date, Date),
}

/// What is added to a date.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// A span of the calendar or the clock.
    Span(Span),
    /// Working days.
    Working(i64),
}

const WEEKDAYS: [(&str, &str, Weekday); 7] = [
    ("monday", "mon", Weekday::Monday),
    ("tuesday", "tue", Weekday::Tuesday),
    ("wednesday", "wed", Weekday::Wednesday),
    ("thursday", "thu", Weekday::Thursday),
    ("friday", "fri", Weekday::Friday),
    ("saturday", "sat", Weekday::Saturday),
    ("sunday", "sun", Weekday::Sunday),
];

/// Days of the week behind 周 and 星期.
const CHINESE_DAYS: [&str; 8] = ["一", "二", "三", "四", "五", "六", "日", "天"];

/// How dates are written, beside ISO 8601.
const FORMATS: &[&str] = &[
    "%B %d, %Y",
    "%B %d %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%b %d %Y",
    "%d %b %Y",
    "%d-%b-%Y",
    "%A, %B %d, %Y",
    "%A, %d %B %Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%Y-%m-%d",
];

/// What a text means, said at `now`, in whose zone it is.
///
/// # Errors
/// Words for what is no time, and for what is read in two ways.
pub(super) fn when(text: &str, now: &Zoned) -> Outcome<When> {
    let text = text.trim();
    if let Some(moment) = exact(text, now)? {
        return Ok(When::Moment(moment));
    }
    let words = text
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .to_lowercase();
    let (rest, time) = split_time(&words)?;
    let found = match day(rest, now)? {
        Some(found) => found,
        None => return Err(unknown(text)),
    };
    match (found, time) {
        (found, None) => Ok(found),
        (When::Day(date), Some(time)) => {
            let zoned = date.to_datetime(time).to_zoned(now.time_zone().clone());
            zoned.map(When::Moment).map_err(|error| error.to_string())
        }
        (When::Moment(_) | When::Range(..), Some(_)) => Err(unknown(text)),
    }
}

fn unknown(text: &str) -> String {
    format!(
        "`{text}` is no time: write 2026-03-05, 2026-03-05T14:30, 2026-03, now, tomorrow, next friday, next month, \
         in 3 days or 2 weeks ago"
    )
}

/// A point in time that says all about itself, but for the zone perhaps.
fn exact(text: &str, now: &Zoned) -> Outcome<Option<Zoned>> {
    let zone = || now.time_zone().clone();
    if let Ok(zoned) = text.parse::<Zoned>() {
        return Ok(Some(zoned));
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Some(moment.to_zoned(zone())));
    }
    if let Some(seconds) = text.strip_prefix('@') {
        let seconds = seconds.parse::<i64>().map_err(|_| unknown(text))?;
        let moment = Timestamp::from_second(seconds).map_err(|error| error.to_string())?;
        return Ok(Some(moment.to_zoned(zone())));
    }
    if let Ok(zoned) = jiff::fmt::rfc2822::parse(text) {
        return Ok(Some(zoned.with_time_zone(zone())));
    }
    if text.contains(':')
        && let Ok(local) = text.parse::<DateTime>()
    {
        let zoned = local.to_zoned(zone()).map_err(|error| error.to_string())?;
        return Ok(Some(zoned));
    }
    Ok(None)
}

/// `friday at 9:30am`, taken apart.
fn split_time(text: &str) -> Outcome<(&str, Option<Time>)> {
    let (rest, time) = match text.rsplit_once(" at ") {
        Some(parts) => parts,
        None => match text.rsplit_once(' ') {
            Some((rest, last)) if last.contains(':') => (rest, last),
            _ => return Ok((text, None)),
        },
    };
    let wrong = || format!("`{time}` is no time of day: write 14:30 or 2:30pm");
    let (clock, afternoon) = match time.trim() {
        clock if clock.ends_with("am") => (clock.trim_end_matches("am"), Some(false)),
        clock if clock.ends_with("pm") => (clock.trim_end_matches("pm"), Some(true)),
        clock => (clock, None),
    };
    let mut parts = [0i8; 3];
    let numbers: Vec<&str> = clock.trim().split(':').collect();
    if numbers.len() > 3 || (numbers.len() == 1 && afternoon.is_none()) {
        return Err(wrong());
    }
    for (part, number) in parts.iter_mut().zip(&numbers) {
        *part = number.parse().map_err(|_| wrong())?;
    }
    if let Some(afternoon) = afternoon {
        if !(1..=12).contains(&parts[0]) {
            return Err(wrong());
        }
        parts[0] = parts[0] % 12 + if afternoon { 12 } else { 0 };
    }
    let time = Time::new(parts[0], parts[1], parts[2], 0).map_err(|_| wrong())?;
    Ok((rest.trim_end_matches(','), Some(time)))
}

/// A day, a range or a moment by a phrase.
fn day(text: &str, now: &Zoned) -> Outcome<Option<When>> {
    let today = now.date();
    let shifted = |days: i64| plus(today, Span::new().days(days)).map(|d| Some(When::Day(d)));
    match text {
        "now" | "现在" => return Ok(Some(When::Moment(now.clone()))),
        "today" | "今天" => return shifted(0),
        "tomorrow" | "明天" => return shifted(1),
        "yesterday" | "昨天" => return shifted(-1),
        "day after tomorrow" | "the day after tomorrow" | "后天" => return shifted(2),
        "day before yesterday" | "the day before yesterday" | "前天" => return shifted(-2),
        _ => {}
    }
    if let Some(date) = by_weekday(text, today)? {
        return Ok(Some(When::Day(date)));
    }
    if let Some((first, last)) = range(text, today)? {
        return Ok(Some(When::Range(first, last)));
    }
    if let Some(date) = edge(text, today)? {
        return Ok(Some(When::Day(date)));
    }
    if let Some(found) = relative(text, now)? {
        return Ok(Some(found));
    }
    written(text).map(|date| date.map(When::Day))
}

fn plus(date: Date, span: Span) -> Outcome<Date> {
    date.checked_add(span).map_err(|error| error.to_string())
}

fn weekday(text: &str) -> Option<Weekday> {
    let found = WEEKDAYS
        .iter()
        .find(|(long, short, _)| text == *long || text == *short);
    if let Some((_, _, day)) = found {
        return Some(*day);
    }
    let behind = text
        .strip_prefix("星期")
        .or_else(|| text.strip_prefix('周'))?;
    let at = CHINESE_DAYS.iter().position(|day| *day == behind)?;
    WEEKDAYS.get(at.min(6)).map(|(_, _, day)| *day)
}

/// The Monday of a day's week.
fn monday(date: Date) -> Outcome<Date> {
    plus(
        date,
        Span::new().days(-i64::from(date.weekday().to_monday_zero_offset())),
    )
}

/// `friday` is the next one, today included; `next friday` comes after today, `last friday` came before it, and `this
/// friday` is in this week.
fn by_weekday(text: &str, today: Date) -> Outcome<Option<Date>> {
    let failed = |error: jiff::Error| error.to_string();
    if let Some(day) = weekday(text) {
        if today.weekday() == day {
            return Ok(Some(today));
        }
        return today.nth_weekday(1, day).map(Some).map_err(failed);
    }
    // 下周一 is of next week, whatever day it is.
    for (before, weeks) in [("下", 7), ("本", 0), ("这", 0), ("上", -7)] {
        if let Some(day) = text.strip_prefix(before).and_then(weekday) {
            let days = weeks + i64::from(day.to_monday_zero_offset());
            return plus(monday(today)?, Span::new().days(days)).map(Some);
        }
    }
    let Some((before, day)) = text.split_once(' ') else {
        return Ok(None);
    };
    let Some(day) = weekday(day) else {
        return Ok(None);
    };
    match before {
        "next" | "coming" => today.nth_weekday(1, day).map(Some).map_err(failed),
        "last" | "previous" | "past" => today.nth_weekday(-1, day).map(Some).map_err(failed),
        "this" | "on" => {
            let days = i64::from(day.to_monday_zero_offset());
            plus(monday(today)?, Span::new().days(days)).map(Some)
        }
        _ => Ok(None),
    }
}

/// A span of days that has a name.
#[derive(Debug, Clone, Copy)]
enum Period {
    Week,
    Weekend,
    Month,
    Quarter,
    Year,
}

const PERIODS: [(&str, Period); 5] = [
    ("week", Period::Week),
    ("weekend", Period::Weekend),
    ("month", Period::Month),
    ("quarter", Period::Quarter),
    ("year", Period::Year),
];

const CHINESE_PERIODS: [(&str, Period, i64); 22] = [
    ("本周", Period::Week, 0),
    ("这周", Period::Week, 0),
    ("这个星期", Period::Week, 0),
    ("下周", Period::Week, 1),
    ("下个星期", Period::Week, 1),
    ("上周", Period::Week, -1),
    ("上个星期", Period::Week, -1),
    ("周末", Period::Weekend, 0),
    ("本周末", Period::Weekend, 0),
    ("下周末", Period::Weekend, 1),
    ("本月", Period::Month, 0),
    ("这个月", Period::Month, 0),
    ("下月", Period::Month, 1),
    ("下个月", Period::Month, 1),
    ("上月", Period::Month, -1),
    ("上个月", Period::Month, -1),
    ("本季度", Period::Quarter, 0),
    ("下季度", Period::Quarter, 1),
    ("上季度", Period::Quarter, -1),
    ("今年", Period::Year, 0),
    ("明年", Period::Year, 1),
    ("去年", Period::Year, -1),
];

/// `next month` as its first and its last day, and `2026`, `2026-03`, `2026-Q1`, `2026-W10` and `March 2026`.
fn range(text: &str, today: Date) -> Outcome<Option<(Date, Date)>> {
    let named = CHINESE_PERIODS.iter().find(|(name, ..)| *name == text);
    if let Some((_, period, offset)) = named {
        return period.around(today, *offset).map(Some);
    }
    let text = text.strip_prefix("the ").unwrap_or(text);
    if let Some((before, period)) = text.split_once(' ')
        && let Some((_, period)) = PERIODS.iter().find(|(name, _)| *name == period)
    {
        let offset = match before {
            "this" | "current" => 0,
            "next" | "coming" => 1,
            "last" | "previous" | "past" => -1,
            _ => return Ok(None),
        };
        return period.around(today, offset).map(Some);
    }
    written_range(text)
}

impl Period {
    /// The period of a day, or one that is `offset` of its kind later.
    fn around(self, day: Date, offset: i64) -> Outcome<(Date, Date)> {
        let span = Span::new();
        let failed = |error: jiff::Error| error.to_string();
        match self {
            Self::Week | Self::Weekend => {
                let monday = plus(monday(day)?, span.weeks(offset))?;
                let first = match self {
                    Self::Weekend => plus(monday, span.days(5))?,
                    _ => monday,
                };
                Ok((first, plus(monday, span.days(6))?))
            }
            Self::Month => {
                let first = plus(day.first_of_month(), span.months(offset))?;
                Ok((first, first.last_of_month()))
            }
            Self::Quarter => {
                let month = (day.month() - 1) / 3 * 3 + 1;
                let first = Date::new(day.year(), month, 1).map_err(failed)?;
                let first = plus(first, span.months(offset * 3))?;
                Ok((first, plus(first, span.months(2))?.last_of_month()))
            }
            Self::Year => {
                let first = plus(day.first_of_year(), span.years(offset))?;
                Ok((first, first.last_of_year()))
            }
        }
    }
}

fn written_range(text: &str) -> Outcome<Option<(Date, Date)>> {
    let text = text.trim_end_matches(['月']).replace('年', "-");
    let text = text.trim_end_matches('-');
    let number = |part: &str| {
        part.chars()
            .all(|c| c.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let year = |part: &str| {
        number(part)
            .filter(|_| part.len() == 4)
            .and_then(|y: i16| Date::new(y, 1, 1).ok())
    };
    if let Some(first) = year(text) {
        return Period::Year.around(first, 0).map(Some);
    }
    let Some((before, behind)) = text.split_once(['-', ' ', '/']) else {
        return Ok(None);
    };
    // `Q1 2026` and `March 2026` have the year behind.
    let (first, part) = match (year(before), year(behind)) {
        (Some(first), _) => (first, behind),
        (None, Some(first)) => (first, before),
        (None, None) => return Ok(None),
    };
    let in_year = |offset: i64, period: Period| period.around(first, offset).map(Some);
    if let Some(quarter) = part.strip_prefix('q').and_then(number) {
        let quarter = i64::from(quarter);
        return if (1..=4).contains(&quarter) {
            in_year(quarter - 1, Period::Quarter)
        } else {
            Ok(None)
        };
    }
    if let Some(week) = part.strip_prefix('w').and_then(number) {
        let week = i64::from(week);
        // The fourth of January is always in the first week (ISO 8601).
        let in_first = plus(first, Span::new().days(3))?;
        return if (1..=53).contains(&week) {
            Period::Week.around(in_first, week - 1).map(Some)
        } else {
            Ok(None)
        };
    }
    let month = match number(part) {
        Some(month) => i64::from(month),
        None => match ["%B %d %Y", "%b %d %Y"]
            .iter()
            .find_map(|format| Date::strptime(format, format!("{part} 1 2000")).ok())
        {
            Some(date) => i64::from(date.month()),
            None => return Ok(None),
        },
    };
    if (1..=12).contains(&month) {
        in_year(month - 1, Period::Month)
    } else {
        Ok(None)
    }
}

/// `end of next month`, and `first monday of next month`.
fn edge(text: &str, today: Date) -> Outcome<Option<Date>> {
    let text = text.strip_prefix("the ").unwrap_or(text);
    let Some((which, of)) = text.split_once(" of ") else {
        return Ok(None);
    };
    let of = match of {
        "week" | "month" | "quarter" | "year" => format!("this {of}"),
        other => other.to_owned(),
    };
    let Some((first, last)) = range(&of, today)? else {
        return Ok(None);
    };
    match which {
        "start" | "beginning" | "first day" => return Ok(Some(first)),
        "end" | "last day" => return Ok(Some(last)),
        _ => {}
    }
    let Some((nth, day)) = which.split_once(' ') else {
        return Ok(None);
    };
    let numbers = ["first", "second", "third", "fourth", "fifth"];
    let number = numbers.iter().zip(1i8..).find(|(name, _)| **name == nth);
    let nth = match (nth, number) {
        ("last", _) => -1,
        (_, Some((_, number))) => number,
        _ => return Ok(None),
    };
    let Some(day) = weekday(day) else {
        return Ok(None);
    };
    if first.day() != 1 {
        return Ok(None);
    }
    let found = if nth < 0 { last } else { first }.nth_weekday_of_month(nth, day);
    found
        .map(Some)
        .map_err(|_| format!("there is no {which} in that month"))
}

/// `in 3 days`, `2 hours ago`, `5 working days from now`.
fn relative(text: &str, now: &Zoned) -> Outcome<Option<When>> {
    let (span, back) = if let Some(span) = text.strip_prefix("in ") {
        (span, false)
    } else if let Some(span) = text.strip_suffix(" ago") {
        (span, true)
    } else if let Some(span) = text
        .strip_suffix(" from now")
        .or_else(|| text.strip_suffix(" from today"))
    {
        (span, false)
    } else {
        return Ok(None);
    };
    let step = step(span)?;
    let step = match (step, back) {
        (Step::Span(span), true) => Step::Span(-span),
        (Step::Working(days), true) => Step::Working(days.saturating_neg()),
        (step, false) => step,
    };
    let from = match &step {
        Step::Span(span) if has_clock(span) => When::Moment(now.clone()),
        _ => When::Day(now.date()),
    };
    added(
        &from,
        &step,
        &std::collections::BTreeSet::new(),
        now.time_zone(),
    )
    .map(Some)
}

/// A span: `1 month 3 days`, `2h 30m`, `P1M`, `5 working days`.
///
/// # Errors
/// What is none.
pub(super) fn step(text: &str) -> Outcome<Step> {
    let wrong = || {
        format!(
            "`{text}` is no span: write 3 days, 1 month 2 weeks, -2h 30m, P1M or 5 working days"
        )
    };
    let lower = text.trim().to_lowercase();
    for word in [
        "business day",
        "working day",
        "workday",
        "weekday",
        "工作日",
    ] {
        let days = lower
            .strip_suffix(word)
            .or_else(|| lower.strip_suffix(&format!("{word}s")));
        if let Some(days) = days {
            let days = days
                .trim()
                .trim_start_matches('+')
                .trim_end_matches('个')
                .trim();
            return days.parse().map(Step::Working).map_err(|_| wrong());
        }
    }
    let lower = lower.trim_start_matches('+').trim();
    let worded = match lower.split_once(' ') {
        Some(("a" | "an" | "one", unit)) => format!("1 {unit}"),
        _ => lower.to_owned(),
    };
    let parsed = worded
        .parse::<Span>()
        .or_else(|_| text.trim().parse::<Span>());
    parsed.map(Step::Span).map_err(|_| wrong())
}

/// Whether a span has hours, or less.
fn has_clock(span: &Span) -> bool {
    let (hours, minutes) = (i64::from(span.get_hours()), span.get_minutes());
    let small = [
        hours,
        minutes,
        span.get_seconds(),
        span.get_milliseconds(),
        span.get_microseconds(),
        span.get_nanoseconds(),
    ];
    small.iter().any(|n| *n != 0)
}

/// What comes after a step. A day stays one, unless hours are added to it; of a range, the first day counts.
///
/// # Errors
/// A calendar that ends.
pub(super) fn added(
    from: &When,
    step: &Step,
    holidays: &std::collections::BTreeSet<Date>,
    zone: &TimeZone,
) -> Outcome<When> {
    let failed = |error: jiff::Error| error.to_string();
    match (from, step) {
        (When::Moment(moment), Step::Span(span)) => {
            moment.checked_add(*span).map(When::Moment).map_err(failed)
        }
        (When::Moment(moment), Step::Working(days)) => {
            let date = business::plus(moment.date(), *days, holidays)?;
            let zoned = date
                .to_datetime(moment.time())
                .to_zoned(moment.time_zone().clone());
            zoned.map(When::Moment).map_err(failed)
        }
        (When::Day(date) | When::Range(date, _), Step::Span(span)) if has_clock(span) => {
            let midnight = date.to_zoned(zone.clone()).map_err(failed)?;
            midnight
                .checked_add(*span)
                .map(When::Moment)
                .map_err(failed)
        }
        (When::Day(date) | When::Range(date, _), Step::Span(span)) => {
            plus(*date, *span).map(When::Day)
        }
        (When::Day(date) | When::Range(date, _), Step::Working(days)) => {
            business::plus(*date, *days, holidays).map(When::Day)
        }
    }
}

/// A date as it is written.
fn written(text: &str) -> Outcome<Option<Date>> {
    let text = text.replace(['年', '月'], "-").replace(['日', '号'], "");
    let text = without_ordinals(&text);
    if let Ok(date) = text.parse::<Date>() {
        return Ok(Some(date));
    }
    for format in FORMATS {
        // A year of two digits would be one of antiquity.
        if let Ok(date) = Date::strptime(format, &text)
            && date.year() >= 1000
        {
            return Ok(Some(date));
        }
    }
    slashed(&text)
}

/// `5th` without its letters.
fn without_ordinals(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches(',');
        let number = ["st", "nd", "rd", "th"]
            .iter()
            .find_map(|end| bare.strip_suffix(end))
            .filter(|number| !number.is_empty() && number.chars().all(|c| c.is_ascii_digit()));
        match number {
            Some(number) => format!("{number}{}", &word[bare.len()..]),
            None => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// `25/12/2026`, where only one of its readings is a date.
fn slashed(text: &str) -> Outcome<Option<Date>> {
    let parts: Vec<&str> = text.split(['/', '-']).collect();
    let [a, b, year] = parts[..] else {
        return Ok(None);
    };
    let numbers = (a.parse::<i8>(), b.parse::<i8>(), year.parse::<i16>());
    let (Ok(a), Ok(b), Ok(year)) = numbers else {
        return Ok(None);
    };
    if year < 1000 {
        return Ok(None);
    }
    match (Date::new(year, a, b).ok(), Date::new(year, b, a).ok()) {
        (Some(one), Some(other)) if one != other => Err(format!(
            "`{text}` is {one} or {other}: write the one that is meant"
        )),
        (one, other) => Ok(one.or(other)),
    }
}
