//! What vectors say of texts, without a base: which are near, which are twins, which class or topic each
//! belongs to, what somebody may like next. Pure functions over vectors of length 1, as an
//! [`praxis_core::Embedder`] gives them; all of a call are of one embedder. Left out: making the vectors,
//! and reading the texts.

mod classify;
mod cluster;
mod near;
mod topics;

pub use classify::{Class, Classifier, Label, Quality, quality};
pub use cluster::{Clustering, choose_topics, k_means};
pub(crate) use near::nearest_of;
pub use near::{duplicates, nearest, recommend};
pub use topics::topic_terms;

use praxis_core::embed::{dot, normalize};

/// The mean of vectors, of length 1; `None` for none, and where they cancel out.
fn centre<'a>(vectors: impl Iterator<Item = &'a [f32]>) -> Option<Vec<f32>> {
    let mut sum: Vec<f32> = Vec::new();
    for vector in vectors {
        sum.resize(sum.len().max(vector.len()), 0.0);
        sum.iter_mut().zip(vector).for_each(|(s, v)| *s += v);
    }
    unit(sum)
}

/// A vector of the same direction and length 1.
fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let length = dot(&vector, &vector).sqrt();
    if !length.is_finite() || length < 1e-6 {
        return None;
    }
    normalize(&mut vector);
    Some(vector)
}

#[cfg(test)]
mod tests;
