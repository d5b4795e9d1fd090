//! Numbers that only depend on a seed: what is built twice is equal.

/// SplitMix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// `count` different numbers below `bound`, ascending; all of them if there are no more.
    pub fn sample(&mut self, bound: usize, count: usize) -> Vec<usize> {
        let mut chosen = Vec::with_capacity(count.min(bound));
        for i in 0..bound {
            let (left, wanted) = (bound - i, count.saturating_sub(chosen.len()));
            if wanted == 0 {
                break;
            }
            if wanted >= left || self.below(left) < wanted {
                chosen.push(i);
            }
        }
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_as_many_as_asked_for() {
        let mut random = Random::new(7);
        for (bound, count, expected) in [(10, 3, 3), (3, 10, 3), (0, 4, 0), (1000, 999, 999)] {
            let sample = random.sample(bound, count);
            assert_eq!(sample.len(), expected);
            assert!(sample.windows(2).all(|w| w[0] < w[1]));
        }
    }
}
