//! The inner loops in plain Rust: what the others must equal.

use super::{BLOCK, Gate, Kernels, ROWS, TILE, Tables};

pub(super) static KERNELS: Kernels = Kernels {
    name: "portable",
    survivors,
    fine,
    tile,
    tiles,
    dot,
    dot_bytes,
};

fn survivors(tables: &Tables, block: &[u8], gate: &Gate, out: &mut [f32; BLOCK]) -> u32 {
    let (codes, factors) = block.split_at(tables.sums.len());
    let mut sums = [0u32; BLOCK];
    for (codes, table) in codes.chunks_exact(16).zip(tables.sums.chunks_exact(16)) {
        for (i, &code) in codes.iter().enumerate() {
            sums[i] += u32::from(table[usize::from(code & 15)]);
            sums[16 + i] += u32::from(table[usize::from(code >> 4)]);
        }
    }
    let float = |at: usize| {
        let at = at * 4;
        f32::from_le_bytes([
            factors[at],
            factors[at + 1],
            factors[at + 2],
            factors[at + 3],
        ])
    };
    let mut mask = 0;
    for i in 0..BLOCK {
        out[i] = sums[i] as f32 * tables.scale + tables.bias;
        let score = gate.base + (float(i) + float(BLOCK + i) * out[i]);
        let bound = score + gate.slack * float(2 * BLOCK + i);
        mask |= u32::from(bound > gate.threshold) << i;
    }
    mask
}

fn fine(query: &[i8], code: &[u8]) -> i32 {
    let mut sum = 0;
    for (query, code) in query.chunks_exact(128).zip(code.chunks_exact(64)) {
        for (i, &byte) in code.iter().enumerate() {
            sum += i32::from(query[i]) * i32::from(byte & 15);
            sum += i32::from(query[64 + i]) * i32::from(byte >> 4);
        }
    }
    sum
}

fn tile(row: &[i8], tile: &[u8], out: &mut [i32; TILE]) {
    *out = [0; TILE];
    let half = tile.len() / 2;
    for (out, tile) in out.chunks_exact_mut(16).zip(tile.chunks_exact(half)) {
        for (row, tile) in row.chunks_exact(4).zip(tile.chunks_exact(64)) {
            for (out, c) in out.iter_mut().zip(tile.chunks_exact(4)) {
                for (x, c) in row.iter().zip(c) {
                    *out += i32::from(*x) * i32::from(*c);
                }
            }
        }
    }
}

fn tiles(rows: &[&[i8]; ROWS], centroids: &[u8], out: &mut [[i32; TILE]; ROWS]) {
    for (row, out) in rows.iter().zip(out) {
        tile(row, centroids, out);
    }
}

/// Sixteen sums in turn, then halves onto halves: the order of all instruction sets.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum_of(
        a.len().min(b.len()),
        |i| a[i].mul_add(b[i], 0.0),
        |i, sum| a[i].mul_add(b[i], sum),
    )
}

fn dot_bytes(a: &[f32], b: &[u8]) -> f32 {
    let at = |i: usize| f32::from(b[i]);
    sum_of(
        a.len().min(b.len()),
        |i| a[i].mul_add(at(i), 0.0),
        |i, sum| a[i].mul_add(at(i), sum),
    )
}

fn sum_of(count: usize, first: impl Fn(usize) -> f32, step: impl Fn(usize, f32) -> f32) -> f32 {
    let mut sums = [0f32; 16];
    let whole = count / 16 * 16;
    for i in 0..whole {
        sums[i % 16] = step(i, sums[i % 16]);
    }
    let mut half = 8;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    (whole..count).fold(sums[0], |sum, i| sum + first(i))
}
