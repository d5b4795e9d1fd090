//! `praxis.cache`: for how long answers are kept, and how like a question has to be to get one.
//!
//! Left out: keeping them (`crate::reuse`).

use std::time::Duration;

use praxis_core::{Diagnostic, Period, Severity};
use serde_json::{Map, Value};

use super::query_input;
use crate::prompt::File;

/// Keys below `praxis.cache`.
const KEYS: &[&str] = &["similar", "ttl", "max"];

/// How it is written.
const FORM: &str =
    "write for how long answers are kept, `1h`, or `{similar: 0.95, ttl: 1h, max: 1000}`";

/// The least likeness that can be asked for: vectors of questions about different things have less.
const LEAST: f64 = 0.5;

/// How many answers are kept where a prompt does not say, and the most: a search looks at all that may fit.
const DEFAULT_MAX: usize = 1000;
const MOST: usize = 10_000;

/// The longest that an answer is kept, whatever is written: a year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The temperature above which answers are meant to differ.
const HIGH: f64 = 0.5;

/// What a prompt wants kept.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CacheUse {
    /// The least cosine of two questions that are one; `None`: what was measured for the embedder.
    pub similar: Option<f32>,
    /// For how long an answer is kept.
    pub ttl: Duration,
    /// How many are.
    pub max: usize,
    /// The input that the question is.
    pub query: Option<String>,
}

impl File<'_> {
    /// Reads `praxis.cache`, `query` being the input that `praxis.query` names; problems go to `problems`.
    pub(super) fn cache(
        &self,
        front: &Map<String, Value>,
        ours: &Map<String, Value>,
        query: Option<&str>,
        input_schema: &Value,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<CacheUse> {
        let written = ours.get("cache")?;
        let wanted = match written {
            Value::String(_) => {
                let ttl = self.cache_period(written, &["cache"], problems)?;
                (None, ttl, DEFAULT_MAX)
            }
            Value::Object(keys) => self.cache_table(keys, problems)?,
            other => {
                let message = format!("`praxis.cache` is {other}, which says no span of time");
                problems.push(self.at_key("praxis.cache", message).help(FORM));
                return None;
            }
        };
        let mut warn = |found: Diagnostic| {
            problems.push(Diagnostic {
                severity: Severity::Warning,
                ..found
            });
        };
        if front.contains_key("tools") {
            let message = "`praxis.cache` does nothing here: what tools had a part in is not kept";
            let found = self.at_key("praxis.cache", message);
            warn(found.help("leave out `praxis.cache`, or `tools`"));
            return None;
        }
        let config = front.get("config").and_then(|c| c.get("temperature"));
        if let Some(temperature) = config.and_then(Value::as_f64).filter(|t| *t > HIGH) {
            let message = format!(
                "`praxis.cache` gives one answer again and again, where `config.temperature: {temperature}` has \
                 each be another"
            );
            let found = self.at_key("praxis.cache", message);
            warn(found.help("lower the temperature, or leave `praxis.cache` out"));
        }
        let query = query.filter(|name| !name.is_empty()).map(str::to_owned);
        let query = query.or_else(|| query_input(input_schema));
        if query.is_none() {
            let message = "`praxis.cache`: no input is the question, so that only equal inputs have kept answers";
            let found = self.at_key("praxis.cache", message);
            warn(found.help("name the input that is: `praxis.query: NAME`"));
        }
        let (similar, ttl, max) = wanted;
        Some(CacheUse {
            similar,
            ttl,
            max,
            query,
        })
    }

    /// The likeness, the time and the number of a table; nothing where the time is missing or none.
    fn cache_table(
        &self,
        keys: &Map<String, Value>,
        problems: &mut Vec<Diagnostic>,
    ) -> Option<(Option<f32>, Duration, usize)> {
        for key in keys.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            problems.push(self.unknown_below(&["cache"], key, KEYS));
        }
        let similar = keys.get("similar").and_then(|value| {
            let number = value.as_f64().filter(|n| (LEAST..=1.0).contains(n));
            if number.is_none() {
                let message =
                    format!("`cache.similar` must be a number from {LEAST} to 1, not {value}");
                let found = self.at_key_below(&["cache", "similar"], message);
                problems.push(
                    found.help("leave it out for what was measured; 1 is for equal questions only"),
                );
            }
            number.map(|number| number as f32)
        });
        let max = keys.get("max").and_then(|value| {
            let number = value.as_u64().and_then(|n| usize::try_from(n).ok());
            let number = number.filter(|n| (1..=MOST).contains(n));
            if number.is_none() {
                let message =
                    format!("`cache.max` must be a whole number, 1 to {MOST}, not {value}");
                let found = self.at_key_below(&["cache", "max"], message);
                problems.push(found.help(format!(
                    "write how many answers are kept, or leave it out for {DEFAULT_MAX}"
                )));
            }
            number
        });
        let Some(ttl) = keys.get("ttl") else {
            let message = "`praxis.cache` does not say for how long: `ttl` is missing";
            problems.push(self.at_key("praxis.cache", message).help(FORM));
            return None;
        };
        let ttl = self.cache_period(ttl, &["cache", "ttl"], problems)?;
        Some((similar, ttl, max.unwrap_or(DEFAULT_MAX)))
    }

    /// A span of time.
    fn cache_period(
        &self,
        written: &Value,
        place: &[&str],
        problems: &mut Vec<Diagnostic>,
    ) -> Option<Duration> {
        match serde_json::from_value::<Period>(written.clone()) {
            Ok(period) => Some(period.0.min(LONGEST)),
            Err(error) => {
                let message = format!("`{}`: {error}", place.join("."));
                problems.push(self.at_key_below(place, message).help(FORM));
                None
            }
        }
    }
}
