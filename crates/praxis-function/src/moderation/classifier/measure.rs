//! How good scores are: precision, recall, F1 and the area under the ROC curve, by category and language.

use std::collections::BTreeMap;

/// A text of which it is known whether it is of a category, and what was said of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Its score.
    pub score: f32,
    /// What it is.
    pub label: bool,
}

/// What came of the texts of one category in one language.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The category.
    pub category: String,
    /// The language, or `all`.
    pub lang: String,
    /// Texts that are of the category, and texts that are not.
    pub positives: usize,
    /// The same.
    pub negatives: usize,
    /// Of those that were said to be of the category, the share that is; nothing where none was.
    pub precision: Option<f64>,
    /// Of those that are of it, the share that was said to be; nothing where none is.
    pub recall: Option<f64>,
    /// The harmonic mean of both.
    pub f1: Option<f64>,
    /// The share of those that are not of it which was said to be.
    pub false_alarms: Option<f64>,
    /// The probability that one that is of it has a higher score than one that is not.
    pub auc: Option<f64>,
}

/// Measures what was said with a threshold.
#[must_use]
pub fn measured(category: &str, lang: &str, judged: &[Judged], threshold: f32) -> Measured {
    let count = |label: bool, said: bool| {
        let counted = judged
            .iter()
            .filter(|j| j.label == label && (j.score >= threshold) == said);
        counted.count()
    };
    let (hits, missed) = (count(true, true), count(true, false));
    let (alarms, quiet) = (count(false, true), count(false, false));
    let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
    Measured {
        category: category.to_owned(),
        lang: lang.to_owned(),
        positives: hits + missed,
        negatives: alarms + quiet,
        precision: share(hits, hits + alarms),
        recall: share(hits, hits + missed),
        f1: share(2 * hits, 2 * hits + alarms + missed),
        false_alarms: share(alarms, alarms + quiet),
        auc: auc(judged),
    }
}

/// The area under the ROC curve by ranks, ties counting half; nothing where one side is empty.
#[must_use]
pub fn auc(judged: &[Judged]) -> Option<f64> {
    let mut by_score: Vec<&Judged> = judged.iter().collect();
    by_score.sort_by(|a, b| a.score.total_cmp(&b.score));
    let positives = judged.iter().filter(|j| j.label).count() as f64;
    let negatives = judged.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    let (mut below, mut won) = (0.0, 0.0);
    for equal in by_score.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        let high = equal.iter().filter(|j| j.label).count() as f64;
        let low = equal.len() as f64 - high;
        won += high * (below + low / 2.0);
        below += low;
    }
    Some(won / (positives * negatives))
}

/// What was said of texts, by category and language; `all` has all of them.
#[derive(Debug, Clone, Default)]
pub struct Tally(BTreeMap<(usize, String), Vec<Judged>>);

impl Tally {
    /// Adds what was said of a text of the category with this number.
    pub fn add(&mut self, category: usize, lang: &str, judged: Judged) {
        for lang in [lang, "all"] {
            let key = (category, lang.to_owned());
            self.0.entry(key).or_default().push(judged);
        }
    }

    /// The measures, in the order of the categories, `all` first; `categories` are their names and thresholds.
    #[must_use]
    pub fn rows(&self, categories: &[(String, f32)]) -> Vec<Measured> {
        let row = |((category, lang), judged): (&(usize, String), &Vec<Judged>)| {
            let (name, threshold) = categories.get(*category)?;
            Some(measured(name, lang, judged, *threshold))
        };
        self.0.iter().filter_map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(all: &[(f32, bool)]) -> Vec<Judged> {
        let one = |(score, label): &(f32, bool)| Judged {
            score: *score,
            label: *label,
        };
        all.iter().map(one).collect()
    }

    #[test]
    fn the_area_is_the_share_of_pairs_in_order() {
        for (all, wanted) in [
            (&[(0.9, true), (0.1, false)][..], Some(1.0)),
            (&[(0.1, true), (0.9, false)], Some(0.0)),
            (&[(0.5, true), (0.5, false)], Some(0.5)),
            (
                &[(0.9, true), (0.5, true), (0.7, false), (0.1, false)],
                Some(0.75),
            ),
            (&[(0.9, true)], None),
            (&[], None),
        ] {
            assert_eq!(auc(&judged(all)), wanted, "{all:?}");
        }
    }

    #[test]
    fn counts_become_shares() {
        let all = judged(&[
            (0.9, true),
            (0.4, true),
            (0.6, false),
            (0.1, false),
            (0.2, false),
        ]);
        let row = measured("hate", "en", &all, 0.5);
        assert_eq!((row.positives, row.negatives), (2, 3));
        assert_eq!(
            (row.precision, row.recall, row.f1),
            (Some(0.5), Some(0.5), Some(0.5))
        );
        assert_eq!(row.false_alarms, Some(1.0 / 3.0));
        let none = measured("hate", "en", &judged(&[(0.1, false)]), 0.5);
        assert_eq!(
            (none.precision, none.recall, none.f1, none.auc),
            (None, None, None, None)
        );
    }

    #[test]
    fn rows_come_by_category_with_all_languages_first() {
        let mut tally = Tally::default();
        for (category, lang) in [(1, "zh"), (0, "en"), (1, "en")] {
            let judged = Judged {
                score: 0.5,
                label: true,
            };
            tally.add(category, lang, judged);
        }
        let categories = [("a".to_owned(), 0.5), ("b".to_owned(), 0.6)];
        let rows = tally.rows(&categories);
        let shown: Vec<_> = rows
            .iter()
            .map(|row| {
                (
                    row.category.as_str(),
                    row.lang.as_str(),
                    row.positives,
                    row.recall,
                )
            })
            .collect();
        assert_eq!(
            shown,
            [
                ("a", "all", 1, Some(1.0)),
                ("a", "en", 1, Some(1.0)),
                ("b", "all", 2, Some(0.0)),
                ("b", "en", 1, Some(0.0)),
                ("b", "zh", 1, Some(0.0)),
            ]
        );
    }
}
