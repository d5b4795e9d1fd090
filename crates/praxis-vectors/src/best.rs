//! The highest of many scores.

/// Keeps the `k` highest scores that it was offered, and knows the lowest of them.
#[derive(Debug, Clone)]
pub(crate) struct Best {
    k: usize,
    /// A heap: no score is higher than those at twice its place, and one further.
    heap: Vec<f32>,
}

impl Best {
    pub fn new(k: usize) -> Self {
        Self {
            k,
            heap: Vec::with_capacity(k.min(1024)),
        }
    }

    /// What a score must exceed to matter.
    #[inline]
    pub fn threshold(&self) -> f32 {
        if self.heap.len() < self.k {
            return f32::NEG_INFINITY;
        }
        self.heap.first().copied().unwrap_or(f32::INFINITY)
    }

    /// Offers a score.
    #[inline]
    pub fn offer(&mut self, score: f32) {
        if self.heap.len() < self.k {
            self.heap.push(score);
            let mut at = self.heap.len() - 1;
            while at > 0 && self.heap[at] < self.heap[(at - 1) / 2] {
                self.heap.swap(at, (at - 1) / 2);
                at = (at - 1) / 2;
            }
        } else if score > self.threshold() {
            self.heap[0] = score;
            let mut at = 0;
            loop {
                let (left, right) = (2 * at + 1, 2 * at + 2);
                let mut least = at;
                if left < self.k && self.heap[left] < self.heap[least] {
                    least = left;
                }
                if right < self.k && self.heap[right] < self.heap[least] {
                    least = right;
                }
                if least == at {
                    break;
                }
                self.heap.swap(at, least);
                at = least;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_threshold_is_the_kth_score(
            mut scores in proptest::collection::vec(-100i32..100, 0..80), k in 0usize..20
        ) {
            let mut best = Best::new(k);
            scores.iter().for_each(|s| best.offer(*s as f32));
            scores.sort_unstable_by(|a, b| b.cmp(a));
            let expected = match k.checked_sub(1) {
                None => f32::INFINITY,
                Some(last) => scores.get(last).map_or(f32::NEG_INFINITY, |s| *s as f32),
            };
            prop_assert_eq!(best.threshold(), expected);
        }
    }
}
