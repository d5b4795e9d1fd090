//! Making a classifier of labelled lines: reading them, fitting a regression for each category on the part `train`,
//! and its calibration and threshold on the part `valid`. The part `test` is for [`super::measure`] alone.
//!
//! Left out: embedding the lines (the command does it), and choosing anything at random.

use std::collections::BTreeMap;

use praxis_core::Language;
use serde::Deserialize;
use serde_json::Value;

use super::format::MAX_CATEGORIES;
use super::measure::{Judged, Tally};
use super::newton::{Fitted, Row, fit};
use super::{Classifier, Scorer, scale};
use crate::moderation::category::is_name;
use crate::moderation::windows::windows;

/// The most lines of a file: all of them are held in memory with their vectors.
const MOST_LINES: usize = 200_000;

/// How strongly weights are held back where nothing else is said; chosen on the part `valid` of the shipped ones.
pub const L2: f64 = 1e-5;

/// What a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Fitting.
    Train,
    /// Calibration and thresholds.
    Valid,
    /// Measuring.
    Test,
}

impl Part {
    /// The part of a text that names none: six in ten are for training, two for each of the others.
    fn of(text: &str) -> Self {
        match blake3::hash(text.as_bytes()).as_bytes().first() {
            Some(byte) if byte % 10 < 6 => Self::Train,
            Some(byte) if byte % 10 < 8 => Self::Valid,
            _ => Self::Test,
        }
    }
}

/// A labelled text.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The text.
    pub text: String,
    /// Whether it is of a category; those that are not here are not known.
    pub labels: BTreeMap<String, bool>,
    /// Its language.
    pub lang: String,
    /// Where it comes from.
    pub source: String,
    /// What it is for.
    pub part: Part,
}

/// The same as it is written.
#[derive(Deserialize)]
struct Line {
    text: String,
    labels: Value,
    lang: Option<String>,
    source: Option<String>,
    split: Option<Part>,
}

impl Example {
    /// What an embedder reads of it.
    #[must_use]
    pub fn windows(&self) -> Vec<String> {
        windows(&self.text)
    }
}

/// Reads labelled lines: a JSON object each with `text`, `labels` and, if wanted, `lang`, `source` and `split`. `labels`
/// is an object of true and false (or 1 and 0), or a list of what the text is: then it is nothing else that any line of
/// the file is.
///
/// # Errors
/// The number of a line, or 0 for the whole, and what is wrong with it.
pub fn read(content: &str) -> Result<Vec<Example>, (usize, String)> {
    let content = content.strip_prefix('\u{feff}').unwrap_or(content);
    let lines = content.lines().enumerate();
    let lines = lines.filter(|(_, line)| !line.trim().is_empty());
    let mut examples = Vec::new();
    // Which lines name all that they are.
    let mut whole = Vec::new();
    for (i, line) in lines {
        if examples.len() == MOST_LINES {
            return Err((0, format!("has more than {MOST_LINES} lines; split it")));
        }
        let (example, is_whole) = one(line).map_err(|problem| (i + 1, problem))?;
        examples.push(example);
        whole.push(is_whole);
    }
    if examples.is_empty() {
        let what =
            "holds no labelled line; write {\"text\": ..., \"labels\": {\"CATEGORY\": true}}";
        return Err((0, what.to_owned()));
    }
    let all = categories(&examples);
    for (example, _) in examples.iter_mut().zip(&whole).filter(|(_, whole)| **whole) {
        for category in &all {
            example.labels.entry(category.clone()).or_insert(false);
        }
    }
    Ok(examples)
}

/// A line's example, and whether it names all that it is.
fn one(line: &str) -> Result<(Example, bool), String> {
    let line: Line =
        serde_json::from_str(line).map_err(|error| format!("this is no labelled line: {error}"))?;
    if line.text.trim().is_empty() {
        return Err("`text` is empty".to_owned());
    }
    let mut labels = BTreeMap::new();
    let is_whole = line.labels.is_array();
    match &line.labels {
        Value::Object(map) => {
            for (category, label) in map {
                let label = match label {
                    Value::Null => continue,
                    Value::Bool(label) => *label,
                    Value::Number(n) if n.as_u64() == Some(0) => false,
                    Value::Number(n) if n.as_u64() == Some(1) => true,
                    other => {
                        return Err(format!(
                            "`labels.{category}` is {other}; write true or false"
                        ));
                    }
                };
                labels.insert(category.clone(), label);
            }
        }
        Value::Array(list) => {
            for category in list {
                let Some(category) = category.as_str() else {
                    return Err(format!("`labels` has {category}, which names no category"));
                };
                labels.insert(category.to_owned(), true);
            }
        }
        _ => return Err("`labels` must be an object or a list of categories".to_owned()),
    }
    if let Some(name) = labels.keys().find(|name| !is_name(name)) {
        return Err(format!(
            "`{name}` cannot be the name of a category: up to 64 bytes without spaces"
        ));
    }
    let guessed = match Language::of(&line.text) {
        Language::Chinese => "zh",
        Language::English => "en",
    };
    let part = line.split.unwrap_or_else(|| Part::of(&line.text));
    let example = Example {
        labels,
        lang: line.lang.unwrap_or_else(|| guessed.to_owned()),
        source: line.source.unwrap_or_default(),
        part,
        text: line.text,
    };
    Ok((example, is_whole))
}

/// All categories that lines name, in the order of the OpenAI API, others behind them by name.
#[must_use]
pub fn categories(examples: &[Example]) -> Vec<String> {
    let mut names: Vec<&String> = examples.iter().flat_map(|e| e.labels.keys()).collect();
    let place = |name: &str| {
        let known = crate::moderation::CATEGORIES.iter();
        known
            .clone()
            .position(|c| *c == name)
            .unwrap_or(known.len())
    };
    names.sort_by(|a, b| (place(a), a).cmp(&(place(b), b)));
    names.dedup();
    names.into_iter().cloned().collect()
}

/// Fits, calibrates and bounds a regression for each category of the lines. `vectors` are those of the windows of each
/// line, in their order, by the embedder of this `identity`.
///
/// # Errors
/// A category of which the part `train` has no line that is of it, or none that is not; vectors that do not fit.
pub fn train(
    identity: &str,
    examples: &[Example],
    vectors: &[Vec<Vec<f32>>],
    l2: f64,
) -> Result<Classifier, String> {
    let dimension = dimension(examples, vectors)?;
    if l2.is_nan() || l2 <= 0.0 {
        return Err(format!("{l2} holds nothing back; write a number above 0"));
    }
    let names = categories(examples);
    if names.len() > MAX_CATEGORIES {
        return Err(format!("these are more than {MAX_CATEGORIES} categories"));
    }
    let lines: Vec<(&Example, &Vec<Vec<f32>>)> = examples.iter().zip(vectors).collect();
    let scorers: Result<Vec<Scorer>, String> = names
        .into_iter()
        .map(|name| scorer(name, &lines, dimension, l2))
        .collect();
    Ok(Classifier {
        identity: identity.to_owned(),
        dimension,
        categories: scorers?,
    })
}

/// The length of the vectors, which all have.
fn dimension(examples: &[Example], vectors: &[Vec<Vec<f32>>]) -> Result<usize, String> {
    let mut all = vectors.iter().flatten();
    let dimension = all.clone().next().map_or(0, Vec::len);
    let fits = |vector: &Vec<f32>| {
        vector.len() == dimension && vector.iter().all(|number| number.is_finite())
    };
    if dimension == 0 || vectors.len() != examples.len() || !all.all(fits) {
        return Err("the vectors are not those of the lines".to_owned());
    }
    Ok(dimension)
}

fn scorer(
    name: String,
    lines: &[(&Example, &Vec<Vec<f32>>)],
    dimension: usize,
    l2: f64,
) -> Result<Scorer, String> {
    let wanted = name.as_str();
    let known = |part: Part| {
        let of_part = lines.iter().filter(move |(line, _)| line.part == part);
        of_part.filter_map(move |(line, vectors)| Some((*vectors, *line.labels.get(wanted)?)))
    };
    for label in [true, false] {
        if !known(Part::Train).any(|(_, l)| l == label) {
            let missing = if label { "is" } else { "is not" };
            return Err(format!(
                "`{wanted}` cannot be learnt: no line of the part `train` {missing} of it"
            ));
        }
    }
    // Each line counts the same, however many windows it has.
    let rows: Vec<Row<'_>> = known(Part::Train)
        .flat_map(|(vectors, label)| {
            let weight = 1.0 / vectors.len().max(1) as f64;
            vectors.iter().map(move |v| (v.as_slice(), label, weight))
        })
        .collect();
    let fitted = fit(&rows, dimension, l2);
    // Whole lines from here on: each is what its worst window is.
    let sums = |part: Part| -> Vec<(f64, bool)> {
        let worst =
            |(vectors, label): (&Vec<Vec<f32>>, bool)| Some((worst_sum(&fitted, vectors)?, label));
        known(part).filter_map(worst).collect()
    };
    let mut held_out = sums(Part::Valid);
    let both = |sums: &[(f64, bool)]| sums.iter().any(|s| s.1) && sums.iter().any(|s| !s.1);
    if !both(&held_out) {
        held_out.extend(sums(Part::Train));
    }
    let (a, b) = scale::platt(&held_out);
    let scores: Vec<(f64, bool)> = held_out
        .iter()
        .map(|(sum, label)| (scale::sigmoid(a * sum + b), *label))
        .collect();
    Ok(Scorer {
        threshold: scale::threshold(&scores) as f32,
        bias: (a * fitted.bias + b) as f32,
        weights: fitted.weights.iter().map(|w| (a * w) as f32).collect(),
        name,
    })
}

fn worst_sum(fitted: &Fitted, vectors: &[Vec<f32>]) -> Option<f64> {
    vectors
        .iter()
        .map(|vector| fitted.sum(vector))
        .max_by(f64::total_cmp)
}

/// What a classifier says of the lines of a part, by category and language.
#[must_use]
pub fn measure(
    classifier: &Classifier,
    examples: &[Example],
    vectors: &[Vec<Vec<f32>>],
    part: Part,
) -> Vec<super::measure::Measured> {
    let mut tally = Tally::default();
    for (example, vectors) in examples.iter().zip(vectors) {
        if example.part != part {
            continue;
        }
        for (number, scorer) in classifier.scorers().iter().enumerate() {
            let Some(label) = example.labels.get(&scorer.name) else {
                continue;
            };
            let scores = vectors.iter().filter_map(|vector| scorer.score(vector));
            let score = scores.max_by(f32::total_cmp).unwrap_or(0.0);
            let judged = Judged {
                score,
                label: *label,
            };
            tally.add(number, &example.lang, judged);
        }
    }
    let categories: Vec<(String, f32)> = classifier
        .scorers()
        .iter()
        .map(|scorer| (scorer.name.clone(), scorer.threshold))
        .collect();
    tally.rows(&categories)
}

#[cfg(test)]
mod tests;
