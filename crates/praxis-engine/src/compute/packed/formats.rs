//! How ggml's quantized formats (`ggml-common.h`) lay out their integers and scales, and how those
//! are laid out again in tiles. All are `weight = scale * integer + offset` with small unsigned
//! integers, scale and offset shared by a group of 32 or half of one.

use crate::compute::simd::Isa;

/// The largest header of a block: two half-precision numbers.
const HEADER: usize = 2;

/// A quantized format.
pub(super) trait Format: 'static {
    /// Values in a block.
    const VALUES: usize;
    /// Bytes of a block in the file.
    const BYTES: usize;
    /// Bits of an integer.
    const BITS: usize;
    /// Scales in a group of 32: one, or one for each half.
    const HALVES: usize;
    /// Half-precision numbers that all groups of a block share.
    const HEADERS: usize;
    /// Bytes of a group's own scales and offsets.
    const SCALES: usize;

    /// The header's numbers, as they are stored.
    fn header(block: &[u8]) -> [[u8; 2]; HEADER];

    /// A group's scales and offsets, as many bytes as [`Format::SCALES`].
    fn scales(block: &[u8], group: usize) -> [u8; 4];

    /// How many bytes of scales stand beside each other for one weight row: those of a number.
    const SCALE_WIDTH: usize;

    /// Four consecutive integers of a group, one a byte.
    fn quad(block: &[u8], group: usize, quad: usize) -> u32;

    /// The scales and offsets of one group of a tile from its packed bytes.
    ///
    /// # Safety
    /// `header` and `scales` point to those of a block and a group of a tile packed for `I`.
    unsafe fn unpack<I: Isa>(isa: I, header: *const u8, scales: *const u8) -> Scales<I>;
}

/// What turns a group's integers into weights, for each weight row of a tile. The second of each is
/// of the group's second half and used by formats whose scales change there.
#[derive(Clone, Copy)]
pub(super) struct Scales<I: Isa> {
    pub(super) scale: [I::Float; 2],
    pub(super) offset: [I::Float; 2],
}

impl<I: Isa> Scales<I> {
    #[inline(always)]
    pub(super) fn whole(scale: I::Float, offset: I::Float) -> Self {
        Self {
            scale: [scale; 2],
            offset: [offset; 2],
        }
    }
}

/// Blocks of 32 with a scale, and an offset that follows from the scale (`OFFSET` steps) or, where
/// `OFFSET` is 0, is stored.
pub(super) struct Small<const BITS: usize, const OFFSET: usize>;

pub(super) type Q4_0 = Small<4, 8>;
pub(super) type Q4_1 = Small<4, 0>;
pub(super) type Q5_0 = Small<5, 16>;
pub(super) type Q5_1 = Small<5, 0>;
/// Signed bytes, packed with 128 added.
pub(super) type Q8_0 = Small<8, 128>;

impl<const BITS: usize, const OFFSET: usize> Small<BITS, OFFSET> {
    /// Half-precision numbers at the block's start.
    const NUMBERS: usize = if OFFSET == 0 { 2 } else { 1 };
}

impl<const BITS: usize, const OFFSET: usize> Format for Small<BITS, OFFSET> {
    const VALUES: usize = 32;
    const BYTES: usize = Self::NUMBERS * 2 + BITS * 4;
    const BITS: usize = BITS;
    const HALVES: usize = 1;
    const HEADERS: usize = 0;
    const SCALES: usize = Self::NUMBERS * 2;
    const SCALE_WIDTH: usize = 2;

    fn header(_: &[u8]) -> [[u8; 2]; HEADER] {
        Default::default()
    }

    fn scales(block: &[u8], _: usize) -> [u8; 4] {
        [block[0], block[1], block[2], block[3]]
    }

    #[inline(always)]
    fn quad(block: &[u8], _: usize, quad: usize) -> u32 {
        let numbers = &block[Self::NUMBERS * 2..];
        match BITS {
            4 => nibbles(numbers, quad),
            5 => {
                let fifth = word(numbers, 0) >> (4 * quad);
                let spread = (fifth & 1) | (fifth & 2) << 7 | (fifth & 4) << 14 | (fifth & 8) << 21;
                nibbles(&numbers[4..], quad) | spread << 4
            }
            _ => word(numbers, 4 * quad) ^ 0x8080_8080,
        }
    }

    #[inline(always)]
    unsafe fn unpack<I: Isa>(isa: I, _: *const u8, scales: *const u8) -> Scales<I> {
        // SAFETY: the caller's promise: as many numbers a lane are there.
        let scale = unsafe { isa.load_halves(scales) };
        let offset = if OFFSET == 0 {
            // SAFETY: as above.
            unsafe { isa.load_halves(scales.add(2 * I::LANES)) }
        } else if BITS == 8 && I::CENTERED {
            isa.splat(0.0)
        } else {
            isa.mul(scale, isa.splat(-(OFFSET as f32)))
        };
        Scales::whole(scale, offset)
    }
}

/// Blocks of 256: 4- or 5-bit integers, 6-bit scales and minima of 8 groups.
pub(super) struct Super<const BITS: usize>;

pub(super) type Q4K = Super<4>;
pub(super) type Q5K = Super<5>;

impl<const BITS: usize> Format for Super<BITS> {
    const VALUES: usize = 256;
    const BYTES: usize = 16 + 32 * BITS;
    const BITS: usize = BITS;
    const HALVES: usize = 1;
    const HEADERS: usize = 2;
    const SCALES: usize = 2;
    const SCALE_WIDTH: usize = 1;

    fn header(block: &[u8]) -> [[u8; 2]; HEADER] {
        [[block[0], block[1]], [block[2], block[3]]]
    }

    fn scales(block: &[u8], group: usize) -> [u8; 4] {
        let packed = &block[4..16];
        let (scale, minimum) = if group < 4 {
            (packed[group] & 63, packed[group + 4] & 63)
        } else {
            (
                packed[group + 4] & 15 | packed[group - 4] >> 6 << 4,
                packed[group + 4] >> 4 | packed[group] >> 6 << 4,
            )
        };
        [scale, minimum, 0, 0]
    }

    #[inline(always)]
    fn quad(block: &[u8], group: usize, quad: usize) -> u32 {
        let low = &block[Self::BYTES - 128 + group / 2 * 32..];
        let low = word(low, 4 * quad) >> (group % 2 * 4) & 0x0f0f_0f0f;
        if BITS == 4 {
            return low;
        }
        let fifth = word(&block[16..], 4 * quad) >> group & 0x0101_0101;
        low | fifth << 4
    }

    #[inline(always)]
    unsafe fn unpack<I: Isa>(isa: I, header: *const u8, scales: *const u8) -> Scales<I> {
        // SAFETY: the caller's promise: two numbers a lane are in the header, two bytes a lane are
        // the group's.
        let (d, minimum, scale, steps) = unsafe {
            (
                isa.load_halves(header),
                isa.load_halves(header.add(2 * I::LANES)),
                isa.load_unsigned(scales),
                isa.load_unsigned(scales.add(I::LANES)),
            )
        };
        let offset = isa.mul(isa.mul(minimum, isa.splat(-1.0)), steps);
        Scales::whole(isa.mul(d, scale), offset)
    }
}

/// Blocks of 256: 2-bit integers, 4-bit scales and minima of 16 halves of groups.
pub(super) struct Q2K;

impl Format for Q2K {
    const VALUES: usize = 256;
    const BYTES: usize = 84;
    const BITS: usize = 2;
    const HALVES: usize = 2;
    const HEADERS: usize = 2;
    const SCALES: usize = 4;
    const SCALE_WIDTH: usize = 1;

    fn header(block: &[u8]) -> [[u8; 2]; HEADER] {
        [[block[80], block[81]], [block[82], block[83]]]
    }

    fn scales(block: &[u8], group: usize) -> [u8; 4] {
        let (first, second) = (block[2 * group], block[2 * group + 1]);
        [first & 15, second & 15, first >> 4, second >> 4]
    }

    #[inline(always)]
    fn quad(block: &[u8], group: usize, quad: usize) -> u32 {
        two_bits(&block[16..], group, quad)
    }

    #[inline(always)]
    unsafe fn unpack<I: Isa>(isa: I, header: *const u8, scales: *const u8) -> Scales<I> {
        // SAFETY: the caller's promise: two numbers a lane are in the header, four bytes a lane are
        // the group's.
        let (d, minimum, scale, steps) = unsafe {
            let number = |i: usize| isa.load_unsigned(scales.add(i * I::LANES));
            (
                isa.load_halves(header),
                isa.load_halves(header.add(2 * I::LANES)),
                [number(0), number(1)],
                [number(2), number(3)],
            )
        };
        let minimum = isa.mul(minimum, isa.splat(-1.0));
        Scales {
            scale: [isa.mul(d, scale[0]), isa.mul(d, scale[1])],
            offset: [isa.mul(minimum, steps[0]), isa.mul(minimum, steps[1])],
        }
    }
}

/// Blocks of 256: 3-bit integers that stand for -4 to 3, 6-bit scales of 16 halves of groups.
pub(super) struct Q3K;

impl Format for Q3K {
    const VALUES: usize = 256;
    const BYTES: usize = 110;
    const BITS: usize = 3;
    const HALVES: usize = 2;
    const HEADERS: usize = 1;
    const SCALES: usize = 2;
    const SCALE_WIDTH: usize = 1;

    fn header(block: &[u8]) -> [[u8; 2]; HEADER] {
        [[block[108], block[109]], [0, 0]]
    }

    fn scales(block: &[u8], group: usize) -> [u8; 4] {
        // Four low bits of the 16 scales in the first 8 bytes, two high bits in the last 4; 32 is
        // added to them.
        let packed = &block[96..108];
        let scale = |half: usize| {
            let low = packed[half % 8] >> (half / 8 * 4) & 15;
            let high = packed[8 + half % 4] >> (half / 4 * 2) & 3;
            (low | high << 4).wrapping_sub(32)
        };
        [scale(2 * group), scale(2 * group + 1), 0, 0]
    }

    #[inline(always)]
    fn quad(block: &[u8], group: usize, quad: usize) -> u32 {
        let high = word(block, 4 * quad) >> group & 0x0101_0101;
        two_bits(&block[32..], group, quad) | high << 2
    }

    #[inline(always)]
    unsafe fn unpack<I: Isa>(isa: I, header: *const u8, scales: *const u8) -> Scales<I> {
        // SAFETY: the caller's promise.
        unsafe { signed_halves(isa, header, scales, 4.0) }
    }
}

/// Blocks of 256: 6-bit integers that stand for -32 to 31, 8-bit scales of 16 halves of groups.
pub(super) struct Q6K;

impl Format for Q6K {
    const VALUES: usize = 256;
    const BYTES: usize = 210;
    const BITS: usize = 6;
    const HALVES: usize = 2;
    const HEADERS: usize = 1;
    const SCALES: usize = 2;
    const SCALE_WIDTH: usize = 1;

    fn header(block: &[u8]) -> [[u8; 2]; HEADER] {
        [[block[208], block[209]], [0, 0]]
    }

    fn scales(block: &[u8], group: usize) -> [u8; 4] {
        [block[192 + 2 * group], block[193 + 2 * group], 0, 0]
    }

    #[inline(always)]
    fn quad(block: &[u8], group: usize, quad: usize) -> u32 {
        // Each half of the block has 64 bytes of low and 32 bytes of high bits.
        let (half, part) = (group / 4, group % 4);
        let low = &block[half * 64 + part % 2 * 32..];
        let low = word(low, 4 * quad) >> (4 * (part / 2)) & 0x0f0f_0f0f;
        let high = word(&block[128 + half * 32..], 4 * quad) >> (2 * part) & 0x0303_0303;
        low | high << 4
    }

    #[inline(always)]
    unsafe fn unpack<I: Isa>(isa: I, header: *const u8, scales: *const u8) -> Scales<I> {
        // SAFETY: the caller's promise.
        unsafe { signed_halves(isa, header, scales, 32.0) }
    }
}

/// The scales of a group whose halves have a signed byte each, and whose integers stand for as much
/// as `zero` less.
///
/// # Safety
/// A number a lane is in the header, two bytes a lane are the group's.
#[inline(always)]
unsafe fn signed_halves<I: Isa>(
    isa: I,
    header: *const u8,
    scales: *const u8,
    zero: f32,
) -> Scales<I> {
    // SAFETY: the caller's promise.
    let (d, first, second) = unsafe {
        (
            isa.load_halves(header),
            isa.load_signed(scales),
            isa.load_signed(scales.add(I::LANES)),
        )
    };
    let scale = [isa.mul(d, first), isa.mul(d, second)];
    let minus = isa.splat(-zero);
    Scales {
        scale,
        offset: [isa.mul(scale[0], minus), isa.mul(scale[1], minus)],
    }
}

/// Four bytes from `at`.
#[inline(always)]
fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// Four of 32 integers in 16 bytes: the low nibbles, then the high ones.
#[inline(always)]
fn nibbles(bytes: &[u8], quad: usize) -> u32 {
    word(bytes, quad % 4 * 4) >> (quad / 4 * 4) & 0x0f0f_0f0f
}

/// Four integers of 2 bits: 32 bytes hold those of four groups.
#[inline(always)]
fn two_bits(bytes: &[u8], group: usize, quad: usize) -> u32 {
    word(&bytes[group / 4 * 32..], 4 * quad) >> (group % 4 * 2) & 0x0303_0303
}
