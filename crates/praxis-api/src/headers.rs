//! Headers that answers have beside their own: what is left of the caller's limits and OpenAI's own, in OpenAI's
//! words. Left out: where the figures come from (the ledger), and the request's id.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};
use praxis_core::Remaining;

/// The limit, what is left of it, and when all of it is there again.
const REQUESTS: [&str; 3] = [
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
];

/// The same of tokens.
const TOKENS: [&str; 3] = [
    "x-ratelimit-limit-tokens",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
];

/// The version of OpenAI's API, which has had this one since it began.
const VERSION: &str = "2020-10-01";

/// Says what the tightest limits of each kind leave. Of one that never renews itself there is no time to tell.
pub(crate) fn tell_limits(headers: &mut HeaderMap, remaining: &Remaining) {
    for (names, figures) in [(REQUESTS, remaining.requests), (TOKENS, remaining.tokens)] {
        let Some(figures) = figures else { continue };
        let [limit, left, reset] = names;
        headers.insert(limit, HeaderValue::from(figures.limit));
        headers.insert(left, HeaderValue::from(figures.remaining));
        let time = figures.reset.map(written);
        if let Some(Ok(time)) = time.map(|time| HeaderValue::from_str(&time)) {
            headers.insert(reset, time);
        }
    }
}

/// Says which API this is, and how long the answer took to begin.
pub(crate) fn tell_openai(headers: &mut HeaderMap, took: Duration) {
    headers.insert("openai-version", HeaderValue::from_static(VERSION));
    let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    headers.insert("openai-processing-ms", HeaderValue::from(millis));
}

/// A time as OpenAI writes it, which is as Go does: `120ms`, `1s`, `6m0s`, `1h0m30.5s`. Never shorter than it is.
fn written(time: Duration) -> String {
    let millis = time.as_nanos().div_ceil(1_000_000);
    if millis == 0 {
        return "0s".to_owned();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (hours, minutes, rest) = (millis / 3_600_000, millis / 60_000 % 60, millis % 60_000);
    let decimals = format!(".{:03}", rest % 1000);
    let decimals = decimals.trim_end_matches('0').trim_end_matches('.');
    let seconds = rest / 1000;
    match (hours, minutes) {
        (0, 0) => format!("{seconds}{decimals}s"),
        (0, _) => format!("{minutes}m{seconds}{decimals}s"),
        _ => format!("{hours}h{minutes}m{seconds}{decimals}s"),
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::ledger::Figures;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_written_as_openai_does() {
        for (micros, text) in [
            (0, "0s"),
            (1, "1ms"),
            (120_000, "120ms"),
            (999_001, "1s"),
            (1_000_000, "1s"),
            (8_640_000, "8.64s"),
            (59_999_500, "1m0s"),
            (360_000_000, "6m0s"),
            (72_005_000, "1m12.005s"),
            (3_600_000_000, "1h0m0s"),
            (90_061_500_000, "25h1m1.5s"),
        ] {
            assert_eq!(written(Duration::from_micros(micros)), text, "{micros}");
        }
    }

    /// Milliseconds of a time as clients read it, unit by unit.
    fn read(mut text: &str) -> Option<f64> {
        let mut millis = 0.0;
        while !text.is_empty() {
            let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
            let number: f64 = text.get(..end)?.parse().ok()?;
            let rest = text.get(end..)?;
            let units = [
                ("ms", 1.0),
                ("h", 3_600_000.0),
                ("m", 60_000.0),
                ("s", 1000.0),
            ];
            let (unit, size) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
            millis += number * size;
            text = rest.get(unit.len()..)?;
        }
        Some(millis)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_the_same_time(micros in 0_u64..400_000_000_000) {
            let millis = micros.div_ceil(1000) as f64;
            let text = written(Duration::from_micros(micros));
            let found = read(&text);
            prop_assert!(found.is_some_and(|found| (found - millis).abs() < 0.01), "{text}");
        }
    }

    #[test]
    fn only_what_is_limited_is_told() {
        let figures = |reset| Figures {
            limit: 60,
            remaining: 7,
            reset,
        };
        let told = |remaining: Remaining| {
            let mut headers = HeaderMap::new();
            tell_limits(&mut headers, &remaining);
            let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap().to_owned());
            let mut all: Vec<String> = REQUESTS
                .into_iter()
                .chain(TOKENS)
                .filter_map(text)
                .collect();
            all.push(headers.len().to_string());
            all.join(" ")
        };
        let soon = Some(figures(Some(Duration::from_secs(360))));
        for (requests, tokens, wanted) in [
            (None, None, "0"),
            (soon, None, "60 7 6m0s 3"),
            (None, Some(figures(None)), "60 7 2"),
            (soon, soon, "60 7 6m0s 60 7 6m0s 6"),
        ] {
            assert_eq!(told(Remaining { requests, tokens }), wanted);
        }
    }
}
