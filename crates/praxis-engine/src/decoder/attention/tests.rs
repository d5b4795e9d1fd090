//! Attention beside double precision, with all instructions that the processor has, on lengths around those
//! of blocks, odd sizes of heads and queries that share keys.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::decoder::{BlockPool, CacheShape};

const LAYERS: usize = 2;
const LAYER: usize = 1;

/// Numbers that half precision holds exactly.
fn random(len: usize, dice: &mut StdRng) -> Vec<f32> {
    let number = |_| f32::from(dice.random_range(-64..=64i8)) / 32.0;
    (0..len).map(number).collect()
}

/// A sequence whose last queries are asked for.
struct Case {
    heads: Heads,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    cache: KvCache,
    position: usize,
    tokens: usize,
}

impl Case {
    fn random(heads: Heads, length: usize, tokens: usize, dice: &mut StdRng) -> Self {
        let row = heads.keys * heads.dim;
        let (keys, values) = (random(length * row, dice), random(length * row, dice));
        let shape = CacheShape {
            layers: LAYERS,
            heads: heads.keys,
            dim: heads.dim,
        };
        let mut cache = KvCache::new(shape);
        assert!(cache.reserve(length, &BlockPool::new(shape, usize::MAX)));
        // Another layer's numbers must not get in.
        cache.write(
            1 - LAYER,
            &vec![f32::NAN; length * row],
            &vec![f32::NAN; length * row],
        );
        cache.write(LAYER, &keys, &values);
        cache.advance(length);
        Self {
            queries: random(tokens * heads.queries * heads.dim, dice),
            position: length - tokens,
            heads,
            keys,
            values,
            cache,
            tokens,
        }
    }

    fn span(&self) -> Span<'_> {
        Span {
            cache: &self.cache,
            position: self.position,
            row: 0,
            tokens: self.tokens,
            bulk: false,
        }
    }

    /// One query of one head, value by value.
    fn exact(&self, token: usize, head: usize) -> Vec<f64> {
        let Heads { queries, keys, dim } = self.heads;
        let query = &self.queries[(token * queries + head) * dim..][..dim];
        let shared = head / (queries / keys);
        let row = |of: &[f32], at: usize, i: usize| f64::from(of[(at * keys + shared) * dim + i]);
        let seen = 0..=self.position + token;
        let weights = seen.clone().map(|at| {
            let terms = query.iter().enumerate();
            let score: f64 = terms
                .map(|(i, q)| f64::from(*q) * row(&self.keys, at, i))
                .sum();
            (score / (dim as f64).sqrt()).exp()
        });
        let weights: Vec<f64> = weights.collect();
        let total: f64 = weights.iter().sum();
        (0..dim)
            .map(|i| {
                let terms = seen.clone().zip(&weights);
                terms
                    .map(|(at, w)| w * row(&self.values, at, i))
                    .sum::<f64>()
                    / total
            })
            .collect()
    }

    fn assert_near(&self, out: &[f32], kernel: &str, heads: std::ops::Range<usize>) {
        let Heads { queries, dim, .. } = self.heads;
        for token in 0..self.tokens {
            for head in 0..queries {
                let out = &out[(token * queries + head) * dim..][..dim];
                if !heads.contains(&head) {
                    assert!(out.iter().all(|x| x.is_nan()), "{kernel} wrote head {head}");
                    continue;
                }
                for (x, exact) in out.iter().zip(self.exact(token, head)) {
                    let error = (f64::from(*x) - exact).abs();
                    assert!(
                        error < 2e-5,
                        "{kernel}: token {token}, head {head}: {x} for {exact}"
                    );
                }
            }
        }
    }
}

/// The heads that share keys, by themselves, into memory that holds no numbers before.
#[derive(Clone, Copy)]
struct OneHead<'a> {
    case: &'a Case,
    head: usize,
}

impl Kernel for OneHead<'_> {
    type Output = Vec<f32>;

    fn run<I: Isa>(self, isa: I) -> Vec<f32> {
        let case = self.case;
        let mut out = vec![f32::NAN; case.queries.len()];
        let task = Task {
            amx: None,
            queries: &case.queries,
            span: &case.span(),
            first: 0,
            last: case.tokens,
            layer: LAYER,
            head: self.head,
            heads: case.heads,
            out: &Disjoint::new(&mut out),
        };
        task.run(isa);
        out
    }
}

#[test]
fn attention_agrees_with_double_precision_on_odd_shapes() {
    let mut dice = StdRng::seed_from_u64(1);
    let mut cases = Vec::new();
    for (queries, keys, dim) in [(1, 1, 1), (3, 1, 5), (6, 2, 64), (4, 4, 40), (5, 1, 33)] {
        let heads = Heads { queries, keys, dim };
        for (length, tokens) in [(1, 1), (63, 2), (64, 1), (65, 65), (130, 7), (129, 1)] {
            cases.push(Case::random(heads, length, tokens, &mut dice));
        }
    }
    for _ in 0..20 {
        let keys = dice.random_range(1..=3);
        let heads = Heads {
            queries: keys * dice.random_range(1..=4),
            keys,
            dim: dice.random_range(1..=80),
        };
        let length = dice.random_range(1..=200);
        let tokens = dice.random_range(1..=length);
        cases.push(Case::random(heads, length, tokens, &mut dice));
    }
    for case in &cases {
        let group = case.heads.queries / case.heads.keys;
        for head in 0..case.heads.keys {
            for (kernel, out) in simd::all(|| OneHead { case, head }) {
                case.assert_near(&out, kernel, head * group..(head + 1) * group);
            }
        }
        let mut out = vec![f32::NAN; case.queries.len()];
        attend(&case.queries, &[case.span()], LAYER, case.heads, &mut out);
        case.assert_near(&out, "attend", 0..case.heads.queries);
    }
}
