//! Learning how a base is best searched, from a few questions whose answers are known. The candidates are
//! a fixed grid, so that a small set can tell between them; what the choice is worth is measured on
//! questions that it was not made with (cross-validation, Stone 1974). Left out: reading the questions and
//! writing the base's file.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use praxis_core::trace::NoTrace;
use praxis_core::{CallContext, CallError, ChunkId, Clearance, ErrorCode};
use serde::{Deserialize, Serialize};

use crate::analyze::analyze_question;
use crate::config::{Fusion, SearchConfig};
use crate::knowledge::{Knowledge, internal};
use crate::scope::Scope;

/// Fewer questions than this say nothing.
const LEAST: usize = 10;

/// Parts of the cross-validation.
const FOLDS: usize = 5;

/// Results that count.
const DEPTH: usize = 10;

/// A choice must be better than the settings in force by this to be called so.
const MARGIN: f32 = 0.002;

/// A question and what answers it: documents, or a text that the right passage holds.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The question.
    pub query: String,
    /// Paths of the right documents, as `praxis knowledge documents` lists them.
    #[serde(default)]
    pub documents: Vec<String>,
    /// Words that the right passage holds.
    #[serde(default)]
    pub passage: Option<String>,
}

/// What was learned. Scores are nDCG@10 with binary gains.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TuneReport {
    /// Questions that were used.
    pub questions: usize,
    /// Settings that were compared.
    pub candidates: usize,
    /// Score of the settings in force.
    pub before: f32,
    /// Score of the settings chosen without a question, on that question: what to expect.
    pub held_out: f32,
    /// Score of the settings chosen with all questions, on the same.
    pub fitted: f32,
    /// The settings chosen with all questions.
    pub settings: SearchConfig,
    /// Whether they are worth writing.
    pub better: bool,
}

impl Knowledge {
    /// Compares settings of the base `name` on labelled questions.
    ///
    /// # Errors
    /// Too few questions, a label without an answer or of a document that the base does not have, or a
    /// search that fails.
    pub async fn tune(&self, name: &str, labels: &[Label]) -> Result<TuneReport, CallError> {
        let opened = self.opened(name).await?;
        self.check_labels(name, labels).await?;
        let current = &opened.base.config.search;
        let candidates = candidates(current);
        let queries = labels.iter().map(|l| l.query.clone()).collect();
        let vectors = opened.embed(queries).await?;
        let cx = CallContext::new(Arc::new(NoTrace));
        let mut scores = vec![Vec::with_capacity(labels.len()); candidates.len()];
        for (label, vector) in labels.iter().zip(vectors) {
            let terms = analyze_question(&label.query);
            let all = Scope::all();
            let graph = self
                .graph_hits(name, &opened, &label.query, &all, &cx)
                .await?;
            let mut judge = Judge::new(self, label);
            for (settings, scores) in candidates.iter().zip(&mut scores) {
                let ranked = opened
                    .chunks(self, settings, &terms, vector.clone(), &graph)
                    .await?;
                scores.push(judge.score(&ranked).await?);
            }
        }
        let choice = choose(&scores);
        Ok(TuneReport {
            questions: labels.len(),
            candidates: candidates.len(),
            before: mean(&scores[0]),
            held_out: choice.held_out,
            fitted: mean(&scores[choice.best]),
            better: choice.best != 0 && choice.held_out > mean(&scores[0]) + MARGIN,
            settings: candidates[choice.best].clone(),
        })
    }

    async fn check_labels(&self, name: &str, labels: &[Label]) -> Result<(), CallError> {
        let invalid = |message: String| CallError::new(ErrorCode::InvalidRequest, message);
        if labels.len() < LEAST {
            let message = format!("{} questions are too few to learn from", labels.len());
            return Err(invalid(message).with_hint(format!("label at least {LEAST}; 50 are good")));
        }
        let documents = self.documents(name, &Clearance::Full).await?;
        let known: HashSet<&str> = documents.iter().map(|d| d.uri.as_str()).collect();
        for label in labels {
            if label.documents.is_empty() && label.passage.is_none() {
                let message = format!("no answer is given to `{}`", label.query);
                return Err(invalid(message).with_hint("add `documents` or `passage`"));
            }
            let missing = label.documents.iter().find(|d| !known.contains(d.as_str()));
            if let Some(missing) = missing {
                let message = format!("`{name}` has no document `{missing}`");
                return Err(invalid(message)
                    .with_hint(format!("`praxis knowledge documents {name}` lists them")));
            }
        }
        Ok(())
    }
}

/// Tells right results of one question from wrong ones.
struct Judge<'a> {
    knowledge: &'a Knowledge,
    label: &'a Label,
    wanted: Option<String>,
    seen: HashMap<ChunkId, Option<(String, bool)>>,
}

impl<'a> Judge<'a> {
    fn new(knowledge: &'a Knowledge, label: &'a Label) -> Self {
        Self {
            knowledge,
            label,
            wanted: label.passage.as_deref().map(squeezed),
            seen: HashMap::new(),
        }
    }

    /// The document of a chunk, and whether the chunk is right.
    async fn judge(&mut self, id: &ChunkId) -> Result<Option<(String, bool)>, CallError> {
        if let Some(known) = self.seen.get(id) {
            return Ok(known.clone());
        }
        let found = self.knowledge.store().chunk(id, &Clearance::Full).await;
        let verdict = found.map_err(internal)?.map(|found| {
            let of_document = self.label.documents.contains(&found.uri);
            let right = match &self.wanted {
                Some(wanted) => {
                    (of_document || self.label.documents.is_empty())
                        && squeezed(&found.chunk.text).contains(wanted)
                }
                None => of_document,
            };
            (found.uri, right)
        });
        self.seen.insert(id.clone(), verdict.clone());
        Ok(verdict)
    }

    async fn score(&mut self, ranked: &[(ChunkId, f32)]) -> Result<f32, CallError> {
        let by_document = self.wanted.is_none();
        let mut documents: HashSet<String> = HashSet::new();
        let mut hits: Vec<bool> = Vec::new();
        for (id, _) in ranked {
            if hits.len() == DEPTH {
                break;
            }
            if let Some((uri, right)) = self.judge(id).await?
                && (!by_document || documents.insert(uri))
            {
                hits.push(right);
            }
        }
        let right = if by_document {
            self.label.documents.len()
        } else {
            1
        };
        Ok(ndcg(&hits, right))
    }
}

/// A text without its white space, which files and passages lay out differently.
fn squeezed(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_whitespace())
        .flat_map(char::to_lowercase)
        .collect()
}

/// Normalized discounted cumulative gain with binary gains (Järvelin and Kekäläinen 2002), where `right`
/// results are to be found.
fn ndcg(hits: &[bool], right: usize) -> f32 {
    let gain = |rank: usize| 1.0 / (rank as f32 + 2.0).log2();
    let ideal: f32 = (0..right.min(DEPTH)).map(gain).sum();
    let found: Vec<usize> = (0..hits.len()).filter(|i| hits[*i]).collect();
    let got: f32 = found.into_iter().take(right).map(gain).sum();
    if ideal > 0.0 { got / ideal } else { 0.0 }
}

/// The settings to compare, those in force first.
fn candidates(current: &SearchConfig) -> Vec<SearchConfig> {
    let mut all = vec![current.clone()];
    let mut add = |keyword_weight: f32, document_weight, feedback, fusion| {
        let settings = SearchConfig {
            keyword_weight,
            vector_weight: ((1.0 - keyword_weight) * 10.0).round() / 10.0,
            document_weight,
            feedback,
            fusion,
            ..current.clone()
        };
        if !all.contains(&settings) {
            all.push(settings);
        }
    };
    for feedback in [1.0, 0.0] {
        for document_weight in [0.35, 0.0, 0.6] {
            for keyword_weight in [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8] {
                add(keyword_weight, document_weight, feedback, Fusion::Score);
            }
        }
        for keyword_weight in [0.5, 0.3, 0.7] {
            add(keyword_weight, 0.35, feedback, Fusion::Rank);
        }
    }
    all
}

/// Which candidate is best, and what a choice made in this way is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Choice {
    best: usize,
    held_out: f32,
}

/// Chooses among candidates by their scores of each question; of equals, the first.
fn choose(scores: &[Vec<f32>]) -> Choice {
    let questions = scores.first().map_or(0, Vec::len);
    let best = |within: &dyn Fn(usize) -> bool| {
        let sum = |s: &Vec<f32>| -> f32 {
            let chosen = s.iter().enumerate().filter(|(q, _)| within(*q));
            chosen.map(|(_, score)| score).sum()
        };
        let sums: Vec<f32> = scores.iter().map(sum).collect();
        (0..sums.len()).fold(0, |a, b| if sums[b] > sums[a] + 1e-6 { b } else { a })
    };
    let folds = FOLDS.min(questions).max(1);
    let held: f32 = (0..folds)
        .flat_map(|fold| {
            let chosen = best(&|q| q % folds != fold);
            (0..questions)
                .filter(move |q| q % folds == fold)
                .map(move |q| scores[chosen][q])
        })
        .sum();
    Choice {
        best: best(&|_| true),
        held_out: held / questions.max(1) as f32,
    }
}

fn mean(scores: &[f32]) -> f32 {
    scores.iter().sum::<f32>() / scores.len().max(1) as f32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gains_are_discounted_and_normalized() {
        for (hits, right, want) in [
            (&[true, false][..], 1, 1.0),
            (&[false, true], 1, 0.630_93),
            (&[true, true], 2, 1.0),
            (&[false, false], 1, 0.0),
            (&[], 0, 0.0),
        ] {
            assert!(
                (ndcg(hits, right) - want).abs() < 1e-4,
                "{hits:?} of {right}"
            );
        }
    }

    #[test]
    fn what_is_always_better_is_chosen_and_equals_keep_what_is_in_force() {
        let better = choose(&[vec![0.5; 20], vec![0.7; 20], vec![0.6; 20]]);
        assert_eq!(better.best, 1);
        assert!((better.held_out - 0.7).abs() < 1e-5);
        assert_eq!(choose(&[vec![0.5; 20], vec![0.5; 20]]).best, 0);
    }

    #[test]
    fn luck_on_one_question_is_not_taken_for_skill() {
        // Each candidate is right on two questions alone, so a choice made without them is wrong on them.
        let lucky: Vec<Vec<f32>> = (0..10)
            .map(|c| (0..20).map(|q| f32::from(u8::from(q / 2 == c))).collect())
            .collect();
        assert!(choose(&lucky).held_out < 0.2);
    }

    #[test]
    fn the_settings_in_force_are_among_the_candidates_once() {
        let all = candidates(&SearchConfig::default());
        assert_eq!(all[0], SearchConfig::default());
        assert_eq!(all.iter().filter(|s| **s == all[0]).count(), 1);
        assert!(
            all.iter()
                .all(|s| (s.keyword_weight + s.vector_weight - 1.0).abs() < 1e-5)
        );
    }

    proptest! {
        #[test]
        fn the_choice_is_the_best_on_all_questions(
            scores in proptest::collection::vec(proptest::collection::vec(0.0f32..1.0, 12), 1..8),
        ) {
            let choice = choose(&scores);
            let best = mean(&scores[choice.best]);
            prop_assert!(scores.iter().all(|s| mean(s) <= best + 1e-5));
            prop_assert!((0.0..=1.0).contains(&choice.held_out));
        }
    }
}
