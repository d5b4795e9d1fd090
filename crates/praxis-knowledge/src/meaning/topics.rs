//! What a cluster is about: the words that its texts have more often than the others' (class-based
//! TF-IDF, Grootendorst 2022, "BERTopic").

use std::collections::{HashMap, HashSet};

use praxis_core::language::is_han;

use crate::analyze::{analyze, is_stopword};

/// The `count` words that tell each cluster from the others, best first. `cluster` is that of each text;
/// words are shown as the texts write them most often.
pub fn topic_terms(
    texts: &[String],
    cluster: &[usize],
    clusters: usize,
    count: usize,
) -> Vec<Vec<String>> {
    let mut frequency: Vec<HashMap<String, f32>> = vec![HashMap::new(); clusters];
    let mut total: HashMap<String, f32> = HashMap::new();
    let mut written: HashMap<String, HashMap<String, usize>> = HashMap::new();
    for (text, c) in texts.iter().zip(cluster) {
        // Of each text once: one that repeats a word does not make it the topic.
        let mut seen = HashSet::new();
        for word in words(text) {
            for term in analyze(&word).words {
                if is_stopword(&term) || is_bare(&term) {
                    continue;
                }
                let form = if term.chars().any(is_han) {
                    &term
                } else {
                    &word
                };
                let forms = written.entry(term.clone()).or_default();
                *forms.entry(form.clone()).or_default() += 1;
                if seen.insert(term.clone()) {
                    *frequency[*c].entry(term.clone()).or_default() += 1.0;
                    *total.entry(term).or_default() += 1.0;
                }
            }
        }
    }
    let mean = frequency
        .iter()
        .map(|f| f.values().sum::<f32>())
        .sum::<f32>()
        / clusters.max(1) as f32;
    frequency
        .iter()
        .map(|of| {
            let mut scored: Vec<(f32, &String)> = of
                .iter()
                .map(|(term, n)| (n * (1.0 + mean / total[term]).ln(), term))
                .collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
            let terms = scored.into_iter().take(count);
            terms.map(|(_, term)| shown(term, &written)).collect()
        })
        .collect()
}

/// Words of Latin scripts as they are written, and runs of Chinese.
fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric());
    words.filter(|w| !w.is_empty()).map(str::to_owned).collect()
}

/// Numbers and single letters say nothing of a topic; a single Chinese character hardly does.
fn is_bare(term: &str) -> bool {
    term.chars().count() < 2 || term.chars().all(|c| c.is_ascii_digit())
}

fn shown(term: &str, written: &HashMap<String, HashMap<String, usize>>) -> String {
    let forms = written.get(term).into_iter().flatten();
    let most = forms.max_by(|a, b| a.1.cmp(b.1).then_with(|| b.0.cmp(a.0)));
    most.map_or_else(|| term.to_owned(), |(form, _)| form.clone())
}
