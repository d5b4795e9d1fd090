//! Each instruction of every set that this processor has, against plain Rust.

use half::{bf16, f16};

use super::{Isa, Kernel, all};

/// What the instructions read: the first bytes of 128, the same for all sets.
#[derive(Clone, Copy)]
struct Each<'a>(&'a [u8; 128]);

/// A result: its name, and as many numbers as there are lanes (or halves of them).
type Results = Vec<(&'static str, Vec<f64>)>;

impl Kernel for Each<'_> {
    type Output = (usize, Results);

    #[inline(always)]
    fn run<I: Isa>(self, isa: I) -> Self::Output {
        let at = self.0.as_ptr();
        let mut results = Results::new();
        let mut floats = |name, value: I::Float| {
            let mut out = [f32::NAN; 16];
            // SAFETY: no register has more than 16 lanes.
            unsafe { isa.store_floats(out.as_mut_ptr().cast(), value) };
            results.push((
                name,
                out[..I::LANES].iter().map(|x| f64::from(*x)).collect(),
            ));
        };
        // SAFETY: no register takes more than 64 bytes, and 128 are there.
        let (a, b, x, y) = unsafe {
            floats("half", isa.load_halves(at));
            floats("upper half", isa.load_upper_halves(at));
            floats("unsigned", isa.load_unsigned(at));
            floats("signed", isa.load_signed(at));
            let (x, y) = (isa.load_signed(at), isa.load_signed(at.add(64)));
            (isa.load(at), isa.load(at.add(64)), x, y)
        };
        floats("whole", isa.to_float(a));
        floats("byte 0", isa.byte_to_float::<0>(a));
        floats("byte 3", isa.byte_to_float::<3>(a));
        floats("sum", isa.add(x, y));
        floats("product", isa.mul(x, y));
        floats("product and sum", isa.mul_add(x, y, isa.splat(0.5)));
        let mut halves = |name, value: I::Int| {
            let mut out = [u16::MAX; 32];
            // SAFETY: as above.
            unsafe { isa.store(out.as_mut_ptr().cast(), value) };
            results.push((
                name,
                out[..2 * I::LANES].iter().map(|x| f64::from(*x)).collect(),
            ));
        };
        halves("and", isa.and(a, b));
        halves("or", isa.or(a, isa.bytes(0x11)));
        halves("right", isa.shift_right(a, 3));
        halves("left", isa.shift_left(a, 5));
        let third = isa.splat(1.0 / 3.0);
        let (x, y) = (isa.mul(x, third), isa.mul(y, third));
        halves("pair", isa.pair_bf16(x, y));
        let mut out = [u16::MAX; 16];
        // SAFETY: as above.
        unsafe { isa.store_bf16(out.as_mut_ptr().cast(), x) };
        results.push((
            "store",
            out[..I::LANES].iter().map(|x| f64::from(*x)).collect(),
        ));
        (I::LANES, results)
    }
}

#[test]
fn every_instruction_does_what_it_says() {
    // Odd steps reach all bytes, and no half-precision number among them is infinite.
    let bytes: [u8; 128] = std::array::from_fn(|i| match (i * 37 + 11) as u8 {
        byte if i % 2 == 1 && byte & 0x7c == 0x7c => byte ^ 0x08,
        byte => byte,
    });
    let half = |i: usize| u16::from_le_bytes([bytes[2 * i], bytes[2 * i + 1]]);
    let other = |i: usize| u16::from_le_bytes([bytes[64 + 2 * i], bytes[65 + 2 * i]]);
    let word = |i: usize| i32::from_le_bytes(std::array::from_fn(|b| bytes[4 * i + b]));
    let signed = |i: usize| f64::from(bytes[i] as i8);
    // Rounded to the nearest; no third of an integer lies in the middle.
    let third = |i: usize| bf16::from_f32(bytes[i] as i8 as f32 * (1.0 / 3.0)).to_bits();
    for (name, (lanes, results)) in all(|| Each(&bytes)) {
        for (what, ours) in results {
            let exact = |i: usize| -> f64 {
                match what {
                    "half" => f16::from_bits(half(i)).into(),
                    "upper half" => bf16::from_bits(half(i)).into(),
                    "unsigned" => bytes[i].into(),
                    "signed" => signed(i),
                    "whole" => f64::from(word(i) as f32),
                    "byte 0" => bytes[4 * i].into(),
                    "byte 3" => bytes[4 * i + 3].into(),
                    "sum" => signed(i) + signed(64 + i),
                    "product" => signed(i) * signed(64 + i),
                    "product and sum" => signed(i) * signed(64 + i) + 0.5,
                    "and" => (half(i) & other(i)).into(),
                    "or" => (half(i) | 0x1111).into(),
                    "right" => (half(i) >> 3).into(),
                    "left" => (half(i) << 5).into(),
                    "pair" => third(i / 2 + i % 2 * 64).into(),
                    _ => third(i).into(),
                }
            };
            let exact: Vec<f64> = (0..ours.len()).map(exact).collect();
            assert!(ours.len() >= lanes);
            assert_eq!(ours, exact, "{name}: {what}");
        }
    }
}
