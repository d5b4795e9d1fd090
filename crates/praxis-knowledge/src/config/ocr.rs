//! `[ocr]`: how text in pictures is recognized, where this build can (cargo feature `ocr`). Left out: doing it (`ocr`).

use std::ops::RangeInclusive;
#[cfg(feature = "ocr")]
use std::time::Duration;

use praxis_core::Problem;
use serde::{Deserialize, Serialize};

use super::checks::Checks;

/// Resolutions that pages are drawn in.
const DPI: RangeInclusive<u32> = 72..=600;

/// How many pages of one document may be recognized.
const PAGES: RangeInclusive<usize> = 1..=10_000;

/// How long a page may take, in seconds.
const TIMEOUTS: RangeInclusive<u64> = 1..=600;

/// The most languages at once: each slows every page down.
const MOST_LANGUAGES: usize = 8;

/// `[ocr]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OcrConfig {
    /// Whether pages without text, and pictures, are recognized.
    pub enabled: bool,
    /// Languages as Tesseract names them, the most frequent first.
    pub languages: Vec<String>,
    /// Dots per inch that pages are drawn with.
    pub dpi: u32,
    /// The most pages of one document.
    pub max_pages: usize,
    /// Words that the engine is less sure of are left out, in 0..=100.
    pub min_confidence: f32,
    /// The longest time for one page, in seconds.
    pub timeout_seconds: u64,
}

impl Default for OcrConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            languages: vec!["eng".to_owned(), "chi_sim".to_owned()],
            dpi: 300,
            max_pages: 500,
            min_confidence: 20.0,
            timeout_seconds: 60,
        }
    }
}

impl OcrConfig {
    /// The longest time for one page.
    #[cfg(feature = "ocr")]
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }
}

/// Whether a text can be the name of a language: `eng`, `chi_sim_vert`, `script/HanS`.
fn is_language(name: &str) -> bool {
    let mut parts = name.split('/');
    let word = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
            && !part.starts_with('-')
    };
    parts.by_ref().take(2).all(word) && parts.next().is_none()
}

/// What is wrong with the table.
pub(super) fn problems(ocr: &OcrConfig) -> Vec<Problem> {
    let mut checks = Checks::of("ocr");
    checks.within("dpi", &ocr.dpi, &DPI, "a resolution");
    checks.within("max_pages", &ocr.max_pages, &PAGES, "a number");
    checks.within("timeout_seconds", &ocr.timeout_seconds, &TIMEOUTS, "a time");
    let confidences = 0.0..=100.0;
    checks.within(
        "min_confidence",
        &ocr.min_confidence,
        &confidences,
        "a confidence",
    );
    let languages = &ocr.languages;
    checks.check(
        "languages",
        (1..=MOST_LANGUAGES).contains(&languages.len()),
        &format!("a list of {}", languages.len()),
        format!("name 1 to {MOST_LANGUAGES}, such as [\"eng\", \"chi_sim\"]"),
    );
    if let Some(strange) = languages.iter().find(|name| !is_language(name)) {
        checks.check(
            "languages",
            false,
            &format!("[.., \"{strange}\", ..]"),
            "`tesseract --list-langs` lists the names, such as \"eng\" and \"chi_sim\"".to_owned(),
        );
    }
    checks.problems()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        assert_eq!(problems(&OcrConfig::default()), []);
        for (toml, path) in [
            ("dpi = 50", "ocr.dpi"),
            ("max_pages = 0", "ocr.max_pages"),
            ("timeout_seconds = 0", "ocr.timeout_seconds"),
            ("min_confidence = nan", "ocr.min_confidence"),
            ("min_confidence = 101", "ocr.min_confidence"),
            ("languages = []", "ocr.languages"),
            ("languages = [\"eng\", \"-c\"]", "ocr.languages"),
            ("languages = [\"../eng\"]", "ocr.languages"),
            ("languages = [\"a/b/c\"]", "ocr.languages"),
            ("languages = [\"eng+deu\"]", "ocr.languages"),
        ] {
            let config: OcrConfig = toml::from_str(toml).unwrap();
            let paths: Vec<String> = problems(&config).into_iter().map(|p| p.path).collect();
            assert_eq!(paths, [path], "{toml}");
        }
        let config: OcrConfig =
            toml::from_str("languages = [\"script/HanS\", \"chi_sim_vert\"]").unwrap();
        assert_eq!(problems(&config), []);
    }
}
