//! Memory in whole lines of the cache, and memory that is used again.

/// Bytes of a line.
pub(crate) const LINE: usize = 64;

/// A line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Line(
    #[expect(dead_code, reason = "lines are read as the bytes of their memory")] [u8; LINE],
);

impl Line {
    pub(crate) const ZERO: Self = Self([0; LINE]);

    /// As many lines of zeros as hold so many bytes.
    pub(crate) fn zeros(bytes: usize) -> Vec<Self> {
        vec![Self::ZERO; bytes.div_ceil(LINE)]
    }

    /// Lines as bytes.
    #[inline(always)]
    pub(crate) fn bytes(lines: &[Self]) -> &[u8] {
        // SAFETY: lines are bytes without padding.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
    }

    /// The line as 16-bit numbers.
    #[inline(always)]
    pub(crate) fn halves_mut(&mut self) -> &mut [u16; LINE / 2] {
        // SAFETY: a line is bytes, aligned for more, and any bits are numbers.
        unsafe { &mut *std::ptr::from_mut(self).cast() }
    }

    /// Lines as bytes.
    pub(crate) fn bytes_mut(lines: &mut [Self]) -> &mut [u8] {
        // SAFETY: lines are bytes without padding.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size_of_val(lines)) }
    }
}

/// The first `len` elements of memory that is used again. It only grows, and what is new in it is
/// `fill`; the rest is what was there.
pub(crate) fn room<T: Clone>(memory: &mut Vec<T>, len: usize, fill: T) -> &mut [T] {
    if memory.len() < len {
        memory.resize(len, fill);
    }
    &mut memory[..len]
}
