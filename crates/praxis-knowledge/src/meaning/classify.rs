//! Classification by prototypes: a class is the mean vector of its description or examples, and a text
//! belongs to the nearest one (Snell et al. 2017, "Prototypical Networks for Few-shot Learning"; with
//! descriptions alone it is zero-shot).

use std::collections::BTreeMap;

use praxis_core::embed::dot;
use serde::Serialize;

use super::centre;

/// How far apart the cosines of two classes are that count as certain, as a share of the distance
/// between prototypes: embedders differ widely in how much of the sphere they use.
const SHARPNESS: f32 = 8.0;

/// A class and the vectors of what describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Its name.
    pub name: String,
    /// Vectors of its description, or of examples of it.
    pub vectors: Vec<Vec<f32>>,
}

/// Prototypes of some classes.
#[derive(Debug, Clone, PartialEq)]
pub struct Classifier {
    names: Vec<String>,
    prototypes: Vec<Vec<f32>>,
    sharpness: f32,
}

/// A class of a text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Class {
    /// Its name.
    pub label: String,
    /// Cosine to its prototype.
    pub cosine: f32,
    /// Its share among the classes, in 0..=1; all together are 1. It orders and compares; it is no
    /// probability unless it was checked on labelled texts.
    pub share: f32,
}

impl Classifier {
    /// Prototypes of the labels.
    ///
    /// # Errors
    /// A sentence: fewer than two labels, or one without vectors.
    pub fn new(labels: Vec<Label>) -> Result<Self, String> {
        if labels.len() < 2 {
            return Err("a classification needs two labels or more".to_owned());
        }
        let (mut names, mut prototypes) = (Vec::new(), Vec::new());
        for label in labels {
            let vectors = label.vectors.iter().map(Vec::as_slice);
            let prototype = centre(vectors).ok_or_else(|| {
                format!("the label `{}` has nothing that describes it", label.name)
            })?;
            names.push(label.name);
            prototypes.push(prototype);
        }
        let mut apart = 0.0;
        for (i, a) in prototypes.iter().enumerate() {
            for b in &prototypes[i + 1..] {
                apart += 1.0 - dot(a, b);
            }
        }
        let pairs = names.len() * (names.len() - 1) / 2;
        let sharpness = SHARPNESS / (apart / pairs as f32).max(1e-3);
        Ok(Self {
            names,
            prototypes,
            sharpness,
        })
    }

    /// The classes of a text's vector, the nearest first.
    pub fn classify(&self, vector: &[f32]) -> Vec<Class> {
        let cosines: Vec<f32> = self.prototypes.iter().map(|p| dot(p, vector)).collect();
        let most = cosines.iter().copied().fold(f32::MIN, f32::max);
        let weights: Vec<f32> = cosines
            .iter()
            .map(|c| ((c - most) * self.sharpness).exp())
            .collect();
        let all: f32 = weights.iter().sum();
        let mut classes: Vec<Class> = self
            .names
            .iter()
            .zip(cosines)
            .zip(weights)
            .map(|((label, cosine), weight)| Class {
                label: label.clone(),
                cosine,
                share: weight / all,
            })
            .collect();
        classes.sort_by(|a, b| b.cosine.total_cmp(&a.cosine));
        classes
    }
}

/// How well classes were told, of one class or (as `all`) of all of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Quality {
    /// The class.
    pub label: String,
    /// Texts that are of it.
    pub texts: usize,
    /// Of those that were said to be of it, the share that is.
    pub precision: f64,
    /// Of those that are of it, the share that was found.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

/// Quality by class, by name, from pairs of what a text is and what it was said to be; the second value
/// is the share that is right.
pub fn quality(pairs: &[(String, String)]) -> (Vec<Quality>, f64) {
    // By class: how many are of it, how many were said to be, and how many are both.
    let mut counts: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for (is, said) in pairs {
        counts.entry(is).or_default()[0] += 1;
        counts.entry(said).or_default()[1] += 1;
        counts.entry(is).or_default()[2] += usize::from(is == said);
    }
    let share = |part: usize, of: usize| {
        if of == 0 {
            0.0
        } else {
            part as f64 / of as f64
        }
    };
    let right = counts.values().map(|c| c[2]).sum();
    let table = counts
        .into_iter()
        .map(|(label, [texts, said, both])| Quality {
            label: label.to_owned(),
            texts,
            precision: share(both, said),
            recall: share(both, texts),
            f1: share(2 * both, said + texts),
        })
        .collect();
    (table, share(right, pairs.len()))
}
