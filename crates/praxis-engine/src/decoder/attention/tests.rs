//! Attention beside double precision, with all instructions that the processor has, on lengths around those
//! of blocks and stretches, odd sizes of heads and queries that share keys; and that it gives the same numbers
//! whoever computes them.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::stretches::{Merge, Stretch, are_worth_it, size};
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
    /// Whether each stretch of keys is computed by itself.
    apart: bool,
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
        if self.apart {
            let size = size(&task);
            let mut numbers = vec![f32::NAN; task.stretches() * size];
            let sums = Disjoint::new(&mut numbers);
            // The last first, as other threads may come to it.
            for stretch in (0..task.stretches()).rev() {
                let part = Stretch {
                    task,
                    stretch,
                    sums: &sums,
                    at: stretch * size,
                };
                part.run(isa);
            }
            let sums = &numbers[..];
            Merge { task, sums }.run(isa);
        } else {
            task.run(isa);
        }
        out
    }
}

/// Computes all heads on so many threads.
fn attend_on(threads: usize, case: &Case) -> Vec<f32> {
    let pool = crate::cpu::pool("test", threads).unwrap();
    let mut out = vec![f32::NAN; case.queries.len()];
    pool.install(|| attend(&case.queries, &[case.span()], LAYER, case.heads, &mut out));
    out
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
        assert_right(case);
    }
}

/// Asserts that each head is right with all instructions, in one go and stretch by stretch, and that
/// all of them are on one thread and on several.
fn assert_right(case: &Case) {
    let group = case.heads.queries / case.heads.keys;
    for head in 0..case.heads.keys {
        let all = |apart| simd::all(|| OneHead { case, head, apart });
        for ((kernel, out), (_, apart)) in all(false).into_iter().zip(all(true)) {
            case.assert_near(&out, kernel, head * group..(head + 1) * group);
            let bits = |out: Vec<f32>| out.into_iter().map(f32::to_bits).collect::<Vec<_>>();
            assert_eq!(bits(out), bits(apart), "{kernel}: stretches by themselves");
        }
    }
    let alone = attend_on(1, case);
    case.assert_near(&alone, "attend", 0..case.heads.queries);
    for threads in [2, 5] {
        assert_eq!(attend_on(threads, case), alone, "{threads} threads");
    }
}

#[test]
fn an_answers_next_token_is_right_for_all_ratios_of_heads_and_lengths_around_stretches() {
    let mut dice = StdRng::seed_from_u64(2);
    let stretch = STRETCH * BLOCK;
    for ratio in [1, 2, 3, 4, 5, 6, 7, 8] {
        for (keys, dim) in [(1, 64), (3, 40), (2, 33)] {
            let heads = Heads {
                queries: keys * ratio,
                keys,
                dim,
            };
            for length in [
                1,
                65,
                stretch,
                stretch + 1,
                2 * stretch - 1,
                3 * stretch + 67,
            ] {
                assert_right(&Case::random(heads, length, 1, &mut dice));
            }
        }
    }
}

#[test]
fn tokens_that_begin_a_stretch_do_not_change_those_before_them() {
    let mut dice = StdRng::seed_from_u64(3);
    let stretch = STRETCH * BLOCK;
    for (queries, keys) in [(3, 1), (6, 2), (7, 1)] {
        let heads = Heads {
            queries,
            keys,
            dim: 48,
        };
        // Guesses behind a token: the first are in one stretch, the last in the next.
        let together = Case::random(heads, 2 * stretch + 3, 8, &mut dice);
        assert_right(&together);
        let whole = attend_on(5, &together);
        let width = queries * heads.dim;
        for token in 0..together.tokens {
            let span = Span {
                position: together.position + token,
                tokens: 1,
                ..together.span()
            };
            let range = token * width..(token + 1) * width;
            let mut out = vec![f32::NAN; width];
            let asked = &together.queries[range.clone()];
            attend(asked, &[span], LAYER, heads, &mut out);
            assert_eq!(out, whole[range], "token {token}");
        }
    }
}

#[test]
fn stretches_are_shared_as_long_as_what_they_come_to_is_little() {
    let heads = Heads {
        queries: 32,
        keys: 4,
        dim: 128,
    };
    let case = Case::random(heads, 1, 1, &mut StdRng::seed_from_u64(4));
    let pool = crate::cpu::pool("test", 16).unwrap();
    let mut numbers = [0.0_f32];
    let out = &Disjoint::new(&mut numbers);
    for (position, tokens, wanted) in [
        (0, 1, false),
        (131_071, 1, true),
        (4096, 16, true),
        (1 << 20, 16, false),
    ] {
        let span = &Span {
            position,
            tokens,
            ..case.span()
        };
        let task = |head| Task {
            amx: None,
            queries: &case.queries,
            span,
            first: 0,
            last: tokens,
            layer: LAYER,
            head,
            heads,
            out,
        };
        let tasks: Vec<Task<'_>> = (0..heads.keys).map(task).collect();
        let found = pool.install(|| are_worth_it(&tasks));
        assert_eq!(found, wanted, "{tokens} tokens behind {position}");
    }
}
