//! Attention on the matrix unit beside the other way. The tests need a processor with the unit.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::super::{Heads, Span, attend};
use crate::compute::amx::Amx;
use crate::decoder::{BlockPool, CacheShape, KvCache};

fn random(len: usize, seed: u64) -> Vec<f32> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..len)
        .map(|_| 4.0 * random.random::<f32>() - 2.0)
        .collect()
}

#[test]
fn it_agrees_with_the_other_way_and_queries_do_not_touch_each_other() {
    if Amx::detect().is_none() {
        eprintln!("SKIPPED: this processor has no matrix unit that is supported");
        return;
    }
    for (queries, keys, dim) in [(9, 3, 64), (6, 1, 128), (4, 4, 32)] {
        let heads = Heads { queries, keys, dim };
        let shape = CacheShape {
            layers: 2,
            heads: keys,
            dim,
        };
        let pool = BlockPool::new(shape, usize::MAX);
        let total = 150;
        let mut cache = KvCache::new(shape);
        assert!(cache.reserve(total, &pool));
        let row = keys * dim;
        cache.write(1, &random(total * row, 1), &random(total * row, 2));
        let q = random(total * queries * dim, 3);
        let width = queries * dim;
        let run = |tokens: std::ops::Range<usize>, bulk: bool| {
            let span = Span {
                cache: &cache,
                position: tokens.start,
                row: 0,
                tokens: tokens.len(),
                bulk,
            };
            let mut out = vec![f32::NAN; tokens.len() * width];
            let q = &q[tokens.start * width..tokens.end * width];
            attend(q, &[span], 1, heads, &mut out);
            out
        };
        let (ours, other) = (run(0..total, true), run(0..total, false));
        for (ours, other) in ours.iter().zip(&other) {
            assert!((ours - other).abs() < 0.02, "{dim}: {ours} {other}");
        }
        for tokens in [0..1, 5..6, 63..65, 64..100, 149..150] {
            let whole = &ours[tokens.start * width..tokens.end * width];
            assert_eq!(run(tokens.clone(), true), whole, "{dim} {tokens:?}");
        }
    }
}
