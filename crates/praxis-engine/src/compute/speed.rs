//! How fast the kernels of every instruction set that this processor has are:
//! `cargo test --release -p praxis-engine --lib -- --ignored speed --nocapture`; `FORMAT=Q4K` in the
//! environment takes those whose name has that in it.

use std::hint::black_box;
use std::time::{Duration, Instant};

use candle_core::quantized::GgmlDType;

use super::linear::{Input, Matrix, Rounded, multiply};
use super::testing::{Stored, random};
use super::unit::Unit;
use super::{floats, packed};

/// The best of several products, in seconds; the rows are in bulk for a unit, where one is given.
fn time(matrix: &dyn Matrix, rows: usize, unit: Option<Unit>) -> f64 {
    let x = random(rows * matrix.columns(), 5);
    let (mut out, mut rounded) = (Vec::new(), Rounded::default());
    let started = Instant::now();
    let mut best = Duration::MAX;
    while started.elapsed() < Duration::from_millis(400) {
        let started = Instant::now();
        let x = Input::on(unit, &x, 0, &[matrix], &mut rounded);
        multiply(&x, [matrix], [&mut out]);
        black_box(&out);
        best = best.min(started.elapsed());
    }
    best.as_secs_f64()
}

#[test]
#[ignore = "measures, on an idle machine"]
fn speed_of_products() {
    let (rows, columns) = (16 << 10, 2048);
    let values = random(rows * columns, 1);
    let wanted = std::env::var("FORMAT").unwrap_or_default();
    println!("kernel and format, then 1 and 8 rows in GB/s of weights, 512 rows in GFLOP/s,");
    println!("and the same in bulk for each of {:?}", Unit::all());
    for dtype in [
        GgmlDType::F32,
        GgmlDType::F16,
        GgmlDType::BF16,
        GgmlDType::Q2K,
        GgmlDType::Q3K,
        GgmlDType::Q4K,
        GgmlDType::Q5K,
        GgmlDType::Q6K,
        GgmlDType::Q8_0,
    ] {
        if !format!("{dtype:?}").contains(&wanted) {
            continue;
        }
        let stored = Stored::new(dtype, (rows, columns), values.clone());
        let mut matrices = stored.packed(floats::Pack);
        matrices.extend(stored.packed(packed::Pack));
        for (kernel, matrix) in matrices {
            let read = |m| matrix.bytes() as f64 / time(matrix.as_ref(), m, None) / 1e9;
            let (one, eight) = (read(1), read(8));
            print!("{kernel:12} {dtype:?}\t{one:6.1} {eight:6.1}");
            for unit in std::iter::once(None).chain(Unit::all().into_iter().map(Some)) {
                let seconds = time(matrix.as_ref(), 512, unit);
                print!(" {:7.0}", 2e-9 * (rows * columns * 512) as f64 / seconds);
            }
            println!();
        }
    }
}
