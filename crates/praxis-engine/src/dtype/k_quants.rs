//! ggml's K-quants: blocks of 256 numbers in groups of 16 or 32, each group with a scale of its own
//! that is itself a small integer.

use super::{SUPER_BLOCK, half};

type Numbers = [f32; SUPER_BLOCK];

/// `Q2_K`: 16 bytes of scales and minima, 64 bytes of integers, scale and minimum of the block.
pub(super) fn q2(raw: &[u8; 84], out: &mut Numbers) {
    let (scales, quants) = (&raw[..16], &raw[16..80]);
    let (d, min) = (half(raw, 80), half(raw, 82));
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let (scale, min) = (
            d * f32::from(scales[group] & 15),
            min * f32::from(scales[group] >> 4),
        );
        let place = Place::of(group);
        for (number, byte) in out.iter_mut().zip(&quants[place.bytes..]) {
            *number = scale * f32::from(byte >> place.shift & 3) - min;
        }
    }
}

/// `Q3_K`: 32 bytes of high bits, 64 bytes of low bits, 12 bytes of scales, the block's scale.
pub(super) fn q3(raw: &[u8; 110], out: &mut Numbers) {
    let (high, low, packed) = (&raw[..32], &raw[32..96], &raw[96..108]);
    let d = half(raw, 108);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        // Four low bits of the 16 scales in the first 8 bytes, two high bits in the last 4.
        let nibble = packed[group % 8] >> (group / 8 * 4) & 15;
        let top = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        let scale = d * (f32::from(nibble | top << 4) - 32.0);
        let place = Place::of(group);
        let bits = &high[place.bytes % 32..];
        for ((number, byte), bits) in out.iter_mut().zip(&low[place.bytes..]).zip(bits) {
            let missing = if bits >> (group / 2) & 1 == 0 { 4 } else { 0 };
            *number = scale * f32::from((byte >> place.shift & 3) as i8 - missing);
        }
    }
}

/// Where the two bits of a group of 16 lie: 32 bytes hold four pairs of groups, two bits each.
struct Place {
    bytes: usize,
    shift: usize,
}

impl Place {
    fn of(group: usize) -> Self {
        Self {
            bytes: group / 8 * 32 + group % 2 * 16,
            shift: group % 8 / 2 * 2,
        }
    }
}

/// `Q4_K`: the block's scale and minimum, 12 bytes of scales and minima, 128 bytes of integers.
pub(super) fn q4(raw: &[u8; 144], out: &mut Numbers) {
    let (d, min) = (half(raw, 0), half(raw, 2));
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = six_bits(&raw[4..16], group);
        let (scale, minimum) = (d * scale, min * minimum);
        let bytes = &raw[16 + group / 2 * 32..];
        for (number, byte) in out.iter_mut().zip(bytes) {
            *number = scale * f32::from(byte >> (group % 2 * 4) & 15) - minimum;
        }
    }
}

/// `Q5_K`: as [`q4`], with 32 bytes of fifth bits before the integers.
pub(super) fn q5(raw: &[u8; 176], out: &mut Numbers) {
    let (d, min) = (half(raw, 0), half(raw, 2));
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = six_bits(&raw[4..16], group);
        let (scale, minimum) = (d * scale, min * minimum);
        let bytes = &raw[48 + group / 2 * 32..];
        for ((number, byte), fifth) in out.iter_mut().zip(bytes).zip(&raw[16..48]) {
            let integer = (byte >> (group % 2 * 4) & 15) | (fifth >> group & 1) << 4;
            *number = scale * f32::from(integer) - minimum;
        }
    }
}

/// Scale and minimum of a group of 32: six bits each, in 12 bytes for eight groups.
fn six_bits(packed: &[u8], group: usize) -> (f32, f32) {
    let (scale, min) = if group < 4 {
        (packed[group] & 63, packed[group + 4] & 63)
    } else {
        (
            packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
            packed[group + 4] >> 4 | packed[group] >> 6 << 4,
        )
    };
    (f32::from(scale), f32::from(min))
}

/// `Q6_K`: 128 bytes of low bits, 64 bytes of high bits, 16 signed scales, the block's scale.
pub(super) fn q6(raw: &[u8; 210], out: &mut Numbers) {
    let d = half(raw, 208);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (half, part) = (group / 4, group % 4);
        let low = &raw[half * 64 + part % 2 * 32..];
        let high = &raw[128 + half * 32..];
        let scales = &raw[192 + group * 2..];
        for (at, ((number, low), high)) in out.iter_mut().zip(low).zip(high).enumerate() {
            let integer = (low >> (part / 2 * 4) & 15) | (high >> (part * 2) & 3) << 4;
            let scale = d * f32::from(scales[at / 16] as i8);
            *number = scale * f32::from(integer as i8 - 32);
        }
    }
}
