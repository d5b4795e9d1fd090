//! `praxis/date`: what day it is and will be, for models, which know neither.
//!
//! Time zones come from the machine, or are compiled in where it has none. Left out: holidays, which the caller names,
//! and calendars other than the Gregorian.

mod business;
mod phrase;
mod zone;

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::civil::Date;
use jiff::{Timestamp, Unit, Zoned};
use praxis_core::{CallContext, CallError, Effects, Function, Problem, Signature};
use serde::Deserialize;
use serde_json::{Value, json};

use self::phrase::{When, added, step, when};
use crate::work::{Work, invalid, read, tool};

/// The function's name.
pub(crate) const NAME: &str = "praxis/date";

/// A value, or words for who asked.
type Outcome<T> = Result<T, String>;

/// The most holidays of one call.
const MOST_HOLIDAYS: usize = 400;

struct Dates {
    signature: Signature,
    clock: fn() -> Timestamp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    #[serde(default)]
    when: Option<String>,
    #[serde(default)]
    zone: Option<String>,
    #[serde(default)]
    add: Option<String>,
    #[serde(default)]
    until: Option<String>,
    #[serde(default)]
    holidays: Vec<String>,
}

/// The calendar, by this clock.
///
/// # Errors
/// None: its schema is one.
pub(super) fn function(clock: fn() -> Timestamp) -> Result<Arc<dyn Function>, Problem> {
    let text = |description: &str| json!({ "type": "string", "maxLength": 100, "description": description });
    let input_schema = json!({
        "type": "object",
        "properties": {
            "when": text("now (if left out), 2026-03-05, 2026-03-05T14:30, tomorrow, next friday, next month, \
                          end of next quarter, 2 weeks ago"),
            "zone": text("an IANA time zone or a city, such as Europe/Berlin, Tokyo, UTC (if left out)"),
            "add": text("what to add: 3 days, -2h 30m, 1 month 1 week, 5 business days"),
            "until": text("a second date or time, as `when`: how far it is from there is told"),
            "holidays": {
                "type": "array",
                "items": { "type": "string" },
                "maxItems": MOST_HOLIDAYS,
                "description": "dates that are no business days",
            },
        },
        "additionalProperties": false,
    });
    let day = json!({ "type": "object" });
    let output_schema = json!({
        "type": "object",
        "properties": {
            "date": { "type": "string" },
            "weekday": { "type": "string" },
            "day_of_year": { "type": "integer" },
            "iso_week": { "type": "string" },
            "time": { "type": "string" },
            "zone": { "type": "string" },
            "datetime": { "type": "string" },
            "unix": { "type": "integer" },
            "range": day,
            "until": day,
            "difference": day,
        },
        "required": ["date", "weekday"],
    });
    tool(Dates {
        signature: Signature {
            name: NAME.to_owned(),
            description: "Tells the current date and time in any time zone, the date of a phrase such as next friday, \
                          a date some days or business days later, the weekday of a date, and how long it is from \
                          one date to another."
                .to_owned(),
            input_schema,
            output_schema,
            effects: Effects::default(),
        },
        clock,
    })
}

#[async_trait]
impl Work for Dates {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    async fn work(&self, input: Value, _: &CallContext) -> Result<Value, CallError> {
        let input: Input = read(NAME, input)?;
        answer(&input, (self.clock)()).map_err(|what| invalid(NAME, what))
    }
}

fn answer(input: &Input, now: Timestamp) -> Outcome<Value> {
    let zone = zone::zone(input.zone.as_deref().unwrap_or("UTC"))?;
    let now = now.to_zoned(zone.clone());
    let holidays = holidays(&input.holidays, &now)?;
    let mut found = when(input.when.as_deref().unwrap_or("now"), &now)?;
    if let Some(text) = &input.add {
        found = added(&found, &step(text)?, &holidays, &zone)?;
    }
    // A time that names its own zone is told in the one that is asked for.
    if let (When::Moment(moment), Some(_)) = (&found, &input.zone) {
        found = When::Moment(moment.with_time_zone(zone.clone()));
    }
    let mut told = described(&found);
    if let Some(text) = &input.until {
        let other = when(text, &now)?;
        told["until"] = described(&other);
        told["difference"] = difference(&found, &other, &holidays, &zone)?;
    }
    Ok(told)
}

fn holidays(texts: &[String], now: &Zoned) -> Outcome<BTreeSet<Date>> {
    let mut all = BTreeSet::new();
    for text in texts {
        match when(text, now)? {
            When::Day(date) => {
                all.insert(date);
            }
            _ => {
                return Err(format!(
                    "`{text}` is no date of a holiday: write 2026-12-25"
                ));
            }
        }
    }
    Ok(all)
}

/// The day that counts.
fn date_of(when: &When) -> Date {
    match when {
        When::Moment(moment) => moment.date(),
        When::Day(date) | When::Range(date, _) => *date,
    }
}

fn described(when: &When) -> Value {
    let date = date_of(when);
    let week = date.iso_week_date();
    let mut told = json!({
        "date": date.to_string(),
        "weekday": date.strftime("%A").to_string(),
        "day_of_year": date.day_of_year(),
        "iso_week": format!("{}-W{:02}", week.year(), week.week()),
    });
    match when {
        When::Moment(moment) => {
            told["time"] = json!(moment.strftime("%H:%M:%S").to_string());
            told["zone"] = json!(zone::name(moment.time_zone()));
            told["datetime"] = json!(moment.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
            told["unix"] = json!(moment.timestamp().as_second());
        }
        When::Day(_) => {}
        When::Range(first, last) => {
            let days = first
                .until((Unit::Day, *last))
                .map_or(0, |span| span.get_days());
            told["range"] = json!({
                "first": first.to_string(),
                "last": last.to_string(),
                "days": days + 1,
            });
        }
    }
    told
}

fn difference(
    from: &When,
    to: &When,
    holidays: &BTreeSet<Date>,
    zone: &jiff::tz::TimeZone,
) -> Outcome<Value> {
    let failed = |error: jiff::Error| error.to_string();
    let (first, last) = (date_of(from), date_of(to));
    let calendar = first.until((Unit::Year, last)).map_err(failed)?;
    let days = first.until((Unit::Day, last)).map_err(failed)?;
    let mut told = json!({
        "days": days.get_days(),
        "weeks": f64::from(days.get_days()) / 7.0,
        "calendar": {
            "years": calendar.get_years(),
            "months": calendar.get_months(),
            "days": calendar.get_days(),
        },
        "business_days": business::between(first, last, holidays)?,
    });
    let is_moment = |when: &When| matches!(when, When::Moment(_));
    if is_moment(from) || is_moment(to) {
        let moment = |when: &When| match when {
            When::Moment(moment) => Ok(moment.timestamp()),
            other => {
                let midnight = date_of(other).to_zoned(zone.clone());
                midnight.map(|zoned| zoned.timestamp()).map_err(failed)
            }
        };
        let seconds = moment(to)?.as_second() - moment(from)?.as_second();
        told["seconds"] = json!(seconds);
        told["clock"] = json!(clock(seconds));
    }
    Ok(told)
}

/// Seconds as days, hours, minutes and seconds.
fn clock(seconds: i64) -> String {
    let sign = if seconds < 0 { "-" } else { "" };
    let all = seconds.unsigned_abs();
    let (minutes, seconds) = (all / 60, all % 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let (days, hours) = (hours / 24, hours % 24);
    let parts: Vec<String> = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    if parts.is_empty() {
        return "0 s".to_owned();
    }
    format!("{sign}{}", parts.join(" "))
}

#[cfg(test)]
mod tests;
