//! Topics: spherical k-means (Dhillon and Modha 2001) from k-means++ seeds (Arthur and Vassilvitskii
//! 2007), and a choice of k by the simplified silhouette.

use praxis_core::embed::dot;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rayon::prelude::*;

use super::unit;

/// The most rounds; assignments hardly move after twenty.
const ROUNDS: usize = 40;

/// The most attempts at a clustering, and the items of all of them together.
const ATTEMPTS: usize = 10;
const ATTEMPTED: usize = 50_000;

/// The most topics that are tried where nobody says how many.
const MOST_TOPICS: usize = 20;

/// Items by cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// Vectors of length 1, one a cluster.
    pub centres: Vec<Vec<f32>>,
    /// The cluster of each item.
    pub cluster: Vec<usize>,
    /// Cosine of each item to its centre.
    pub cosine: Vec<f32>,
}

impl Clustering {
    /// Indexes of a cluster's items, the most typical first.
    pub fn members(&self, cluster: usize) -> Vec<usize> {
        let all = 0..self.cluster.len();
        let mut members: Vec<usize> = all.filter(|i| self.cluster[*i] == cluster).collect();
        members.sort_by(|a, b| self.cosine[*b].total_cmp(&self.cosine[*a]));
        members
    }

    /// Mean over the items of how much nearer their own centre is than the next one, in -1..=1.
    fn silhouette(&self, items: &[Vec<f32>]) -> f32 {
        let of = |i: usize| {
            let own = 1.0 - self.cosine[i];
            let others = self.centres.iter().enumerate();
            let next = others
                .filter(|(c, _)| *c != self.cluster[i])
                .map(|(_, centre)| 1.0 - dot(centre, &items[i]))
                .fold(f32::MAX, f32::min);
            let most = own.max(next);
            if most > 0.0 { (next - own) / most } else { 0.0 }
        };
        let sum: f32 = (0..items.len()).into_par_iter().map(of).sum();
        sum / items.len().max(1) as f32
    }
}

/// Puts items into `k` clusters, or as many as there are items; the largest first. The same seed gives
/// the same clusters. Every cluster has an item. Of few items the best of several attempts is taken, since
/// each may end where no item alone can make it better.
pub fn k_means(items: &[Vec<f32>], k: usize, seed: u64) -> Clustering {
    let k = k.clamp(1, items.len().max(1));
    let attempts = (ATTEMPTED / items.len().max(1)).clamp(1, ATTEMPTS);
    let mut dice = StdRng::seed_from_u64(seed);
    let all = (0..attempts).map(|_| attempt(items, k, &mut dice));
    let worth = |found: &Clustering| found.cosine.iter().sum::<f32>();
    let best = all.reduce(|best, next| {
        if worth(&next) > worth(&best) {
            next
        } else {
            best
        }
    });
    by_size(best.unwrap_or_else(|| attempt(items, k, &mut dice)))
}

fn attempt(items: &[Vec<f32>], k: usize, dice: &mut StdRng) -> Clustering {
    let mut centres = seeds(items, k, dice);
    let (mut cluster, mut cosine) = assign(items, &centres);
    for _ in 0..ROUNDS {
        let mut sums = vec![vec![0.0f32; items.first().map_or(0, Vec::len)]; centres.len()];
        for (item, c) in items.iter().zip(&cluster) {
            sums[*c].iter_mut().zip(item).for_each(|(s, v)| *s += v);
        }
        for (centre, sum) in centres.iter_mut().zip(sums) {
            if let Some(moved) = unit(sum) {
                *centre = moved;
            }
        }
        let before = std::mem::take(&mut cluster);
        (cluster, cosine) = assign(items, &centres);
        fill(&mut cluster, &mut cosine, &mut centres, items);
        if cluster == before {
            break;
        }
    }
    Clustering {
        centres,
        cluster,
        cosine,
    }
}

/// The clustering of 2 to 20 topics with the best silhouette.
pub fn choose_topics(items: &[Vec<f32>], seed: u64) -> Clustering {
    let most = MOST_TOPICS.min((items.len() as f64).sqrt() as usize).max(2);
    let mut best: Option<(f32, Clustering)> = None;
    for k in 2..=most {
        let found = k_means(items, k, seed);
        let score = found.silhouette(items);
        if best.as_ref().is_none_or(|(other, _)| score > *other) {
            best = Some((score, found));
        }
    }
    best.map_or_else(|| k_means(items, 1, seed), |(_, found)| found)
}

/// The first centres: each is drawn with the square of its distance to those before it.
fn seeds(items: &[Vec<f32>], k: usize, dice: &mut StdRng) -> Vec<Vec<f32>> {
    let mut centres: Vec<Vec<f32>> = Vec::new();
    let mut far: Vec<f32> = vec![1.0; items.len()];
    while centres.len() < k && !items.is_empty() {
        let all: f32 = far.iter().sum();
        let mut left = dice.random::<f32>() * all;
        let drawn = far.iter().position(|f| {
            left -= f;
            left < 0.0
        });
        // Only twins of the centres are left: any will do.
        let drawn = drawn.unwrap_or(centres.len() % items.len());
        let centre = items[drawn].clone();
        far.par_iter_mut().zip(items).for_each(|(far, item)| {
            let distance = (1.0 - dot(item, &centre)).max(0.0);
            *far = far.min(distance * distance);
        });
        centres.push(centre);
    }
    centres
}

/// The nearest centre of each item, and the cosine to it.
fn assign(items: &[Vec<f32>], centres: &[Vec<f32>]) -> (Vec<usize>, Vec<f32>) {
    items
        .par_iter()
        .with_min_len(64)
        .map(|item| {
            let near = centres.iter().map(|c| dot(c, item)).enumerate();
            near.fold((0, f32::MIN), |best, (c, cosine)| {
                if cosine > best.1 { (c, cosine) } else { best }
            })
        })
        .unzip()
}

/// Gives each empty cluster the item that is farthest from its centre.
fn fill(cluster: &mut [usize], cosine: &mut [f32], centres: &mut [Vec<f32>], items: &[Vec<f32>]) {
    let mut sizes = vec![0usize; centres.len()];
    cluster.iter().for_each(|c| sizes[*c] += 1);
    for empty in 0..centres.len() {
        if sizes[empty] > 0 {
            continue;
        }
        let far = (0..items.len())
            .filter(|i| sizes[cluster[*i]] > 1)
            .min_by(|a, b| cosine[*a].total_cmp(&cosine[*b]));
        if let Some(far) = far {
            sizes[cluster[far]] -= 1;
            sizes[empty] += 1;
            (cluster[far], cosine[far]) = (empty, 1.0);
            centres[empty] = items[far].clone();
        }
    }
}

fn by_size(found: Clustering) -> Clustering {
    let mut sizes = vec![0usize; found.centres.len()];
    found.cluster.iter().for_each(|c| sizes[*c] += 1);
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|c| std::cmp::Reverse(sizes[*c]));
    let mut place = vec![0; order.len()];
    for (new, old) in order.iter().enumerate() {
        place[*old] = new;
    }
    Clustering {
        centres: order.iter().map(|c| found.centres[*c].clone()).collect(),
        cluster: found.cluster.iter().map(|c| place[*c]).collect(),
        cosine: found.cosine,
    }
}
