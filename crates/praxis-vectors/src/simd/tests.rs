//! Every kernel against the portable one, on random values and odd sizes.

use super::*;
use crate::random::Random;

fn all() -> Vec<&'static Kernels> {
    #[cfg(target_arch = "x86_64")]
    return [avx2::kernels(), avx512::kernels()]
        .into_iter()
        .flatten()
        .collect();
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}

fn bytes(random: &mut Random, count: usize, mask: u8) -> Vec<u8> {
    (0..count).map(|_| random.next() as u8 & mask).collect()
}

fn signed(random: &mut Random, count: usize) -> Vec<i8> {
    (0..count)
        .map(|_| (random.below(255) as i32 - 127) as i8)
        .collect()
}

fn floats(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count)
        .map(|_| random.below(2001) as f32 / 1000.0 - 1.0)
        .collect()
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut random = Random::new(5);
    for padded in [128, 384, 1024, 1152, 4096] {
        let sums = bytes(&mut random, padded * 4, 255);
        let (scale, bias) = (0.003, -1.5);
        let tables = Tables { sums, scale, bias };
        let mut block = bytes(&mut random, padded * 4, 255);
        block.extend_from_slice(crate::files::bytes(&floats(&mut random, 96)));
        let gate = Gate {
            base: 0.4,
            slack: 0.1,
            threshold: 0.3,
        };
        let query = signed(&mut random, padded);
        let code = bytes(&mut random, padded / 2, 255);
        let rows: Vec<Vec<i8>> = (0..ROWS)
            .map(|i| {
                if i == 0 {
                    vec![127; padded]
                } else {
                    signed(&mut random, padded)
                }
            })
            .collect();
        let rows: [&[i8]; ROWS] = std::array::from_fn(|i| rows[i].as_slice());
        let mut centroids = bytes(&mut random, padded * TILE, 127);
        centroids[..padded].fill(127);
        let (a, b) = (
            floats(&mut random, padded + 5),
            floats(&mut random, padded + 5),
        );
        let run = |kernels: &Kernels| {
            let (mut out, mut one) = ([0.0; BLOCK], [0; TILE]);
            let mut many = [[0; TILE]; ROWS];
            let mask = (kernels.survivors)(&tables, &block, &gate, &mut out);
            (kernels.tile)(rows[1], &centroids, &mut one);
            (kernels.tiles)(&rows, &centroids, &mut many);
            assert_eq!(one, many[1]);
            let fine = (kernels.fine)(&query, &code);
            let dot = (kernels.dot)(&a, &b).to_bits();
            let dot_bytes = (kernels.dot_bytes)(&a[..padded], &block[..padded]).to_bits();
            (mask, out.map(f32::to_bits), many, fine, dot, dot_bytes)
        };
        let expected = run(&portable::KERNELS);
        assert!(expected.0 != 0 && expected.0 != u32::MAX);
        for kernels in all() {
            assert_eq!(
                run(kernels),
                expected,
                "{} of {padded} dimensions",
                kernels.name
            );
        }
    }
}
