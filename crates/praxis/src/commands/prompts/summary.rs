//! What the results of a trial say about each variant: a row of numbers, and the table of them.

use serde::Serialize;

use super::results::Outcome;

/// The 97.5 % quantile of the normal distribution: two-sided 95 %.
const Z: f64 = 1.959_963_985;

/// A variant in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The variant.
    pub variant: String,
    /// Its version.
    pub version: String,
    /// The models that answered.
    pub models: Vec<String>,
    /// Cases with a result.
    pub cases: usize,
    /// Cases that passed, of those that are judged.
    pub passed: usize,
    /// Cases that are judged: where something is expected. A failed call has not passed.
    pub judged: usize,
    /// Share of the judged cases that passed.
    pub pass_rate: Option<f64>,
    /// 95 % confidence interval of that share (Wilson 1927).
    pub interval: Option<[f64; 2]>,
    /// Calls that failed.
    pub errors: usize,
    /// Mean tokens read, those from the cache included.
    pub input_tokens: f64,
    /// Mean of those from the cache.
    pub cached_tokens: f64,
    /// Mean tokens written.
    pub output_tokens: f64,
    /// Outputs asked for again, all cases together.
    pub repairs: u64,
    /// Cost of all cases in US dollars.
    pub cost_usd: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// 95th percentile of the latency.
    pub p95_ms: f64,
}

impl Row {
    /// The row of a variant.
    pub fn of(variant: &str, version: &str, outcomes: &[&Outcome]) -> Self {
        let judged = outcomes.iter().filter(|o| o.passed.is_some()).count();
        let passed = outcomes.iter().filter(|o| o.passed == Some(true)).count();
        let done: Vec<&&Outcome> = outcomes.iter().filter(|o| !o.output.is_null()).collect();
        let mean = |of: fn(&Outcome) -> u64| {
            done.iter().map(|o| of(o) as f64).sum::<f64>() / done.len().max(1) as f64
        };
        let mut latencies: Vec<f64> = done.iter().map(|o| o.latency_ms).collect();
        latencies.sort_by(f64::total_cmp);
        let mut models: Vec<String> = outcomes.iter().flat_map(|o| o.models.clone()).collect();
        models.sort();
        models.dedup();
        Self {
            variant: variant.to_owned(),
            version: version.to_owned(),
            models,
            cases: outcomes.len(),
            passed,
            judged,
            pass_rate: (judged > 0).then(|| passed as f64 / judged as f64),
            interval: (judged > 0).then(|| wilson(passed, judged)),
            errors: outcomes.iter().filter(|o| o.error.is_some()).count(),
            input_tokens: mean(|o| o.input_tokens),
            cached_tokens: mean(|o| o.cached_tokens),
            output_tokens: mean(|o| o.output_tokens),
            repairs: outcomes.iter().map(|o| o.repairs).sum(),
            cost_usd: outcomes.iter().map(|o| o.cost_usd).sum(),
            p50_ms: quantile(&latencies, 0.5),
            p95_ms: quantile(&latencies, 0.95),
        }
    }

    fn cells(&self) -> Vec<String> {
        let percent = |share: f64| format!("{:.1}", 100.0 * share);
        vec![
            self.variant.clone(),
            self.version.clone(),
            self.models.join(", "),
            self.cases.to_string(),
            self.pass_rate
                .map_or_else(|| "–".to_owned(), |rate| format!("{} %", percent(rate))),
            self.interval.map_or_else(
                || "–".to_owned(),
                |[low, high]| format!("{}–{}", percent(low), percent(high)),
            ),
            format!("{:.0}", self.input_tokens - self.cached_tokens),
            format!("{:.0}", self.cached_tokens),
            format!("{:.0}", self.output_tokens),
            self.repairs.to_string(),
            format!("${:.6}", self.cost_usd),
            seconds(self.p50_ms),
            seconds(self.p95_ms),
            self.errors.to_string(),
        ]
    }
}

/// The rows as a Markdown table.
pub fn table(rows: &[Row]) -> String {
    let header = [
        "variant",
        "version",
        "model",
        "cases",
        "passed",
        "95 % interval",
        "tokens read",
        "cached",
        "written",
        "repairs",
        "cost",
        "p50",
        "p95",
        "errors",
    ];
    let cells: Vec<Vec<String>> = rows.iter().map(Row::cells).collect();
    crate::ui::markdown_table(&header, &cells, 3)
}

/// A latency as a person reads it.
pub fn seconds(ms: f64) -> String {
    if ms >= 10_000.0 {
        format!("{:.1} s", ms / 1e3)
    } else if ms >= 1000.0 {
        format!("{:.2} s", ms / 1e3)
    } else {
        format!("{ms:.0} ms")
    }
}

/// Wilson's score interval of a share, at 95 %.
pub fn wilson(passed: usize, all: usize) -> [f64; 2] {
    let (n, p) = (all as f64, passed as f64 / all as f64);
    let scale = 1.0 + Z * Z / n;
    let middle = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    [(middle - half).max(0.0), (middle + half).min(1.0)]
}

/// The nearest-rank quantile of sorted values; 0 of none.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::outcome;
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        for (passed, all, low, high) in [
            (0, 10, 0.0, 0.277_5),
            (10, 10, 0.722_5, 1.0),
            (5, 10, 0.236_6, 0.763_4),
            (81, 263, 0.255_3, 0.366_2),
        ] {
            let [l, h] = wilson(passed, all);
            assert!(
                (l - low).abs() < 1e-3 && (h - high).abs() < 1e-3,
                "{passed}/{all}: {l} {h}"
            );
        }
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0], 0.5), 1.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0], 0.95), 3.0);
    }

    #[test]
    fn a_failed_call_has_not_passed_and_has_no_latency() {
        let good = outcome("1", "base");
        let mut bad = outcome("2", "base");
        (bad.error, bad.passed) = (Some("x".to_owned()), Some(false));
        (bad.output, bad.latency_ms, bad.input_tokens) = (serde_json::Value::Null, 9e9, 0);
        let mut free = outcome("3", "base");
        free.passed = None;
        let row = Row::of("base", "v", &[&good, &bad, &free]);
        assert_eq!(
            (row.cases, row.judged, row.passed, row.errors),
            (3, 2, 1, 1)
        );
        assert_eq!(
            (row.pass_rate, row.p95_ms, row.input_tokens),
            (Some(0.5), 100.0, 10.0)
        );
        assert_eq!(row.cost_usd, 1.5);
    }
}
