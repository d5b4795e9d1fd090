//! Memory for weights: read from front to back for every token, so it is taken in huge pages where
//! the system has them; and lines of the cache, where a smaller memory is to begin at one.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Bytes of a line of the cache.
pub(super) const LINE: usize = 64;

/// Bytes that begin at a page.
pub(super) enum Pages {
    Mapped(MmapMut),
    /// Where the system gives no map: lines of the cache, so that they begin at one.
    Allocated(Vec<Line>),
}

impl Pages {
    /// So many zeros.
    pub(super) fn new(len: usize) -> Self {
        match MmapMut::map_anon(len.max(1)) {
            Ok(map) => {
                // Only a hint.
                #[cfg(target_os = "linux")]
                let _ = map.advise(memmap2::Advice::HugePage);
                Self::Mapped(map)
            }
            Err(_) => Self::Allocated(Line::zeros(len)),
        }
    }
}

impl Deref for Pages {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Allocated(lines) => Line::bytes(lines),
        }
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Allocated(lines) => Line::bytes_mut(lines),
        }
    }
}

/// A line of the cache.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub(super) struct Line(
    #[expect(dead_code, reason = "lines are read as the bytes of their memory")] [u8; LINE],
);

impl Line {
    pub(super) const ZERO: Self = Self([0; LINE]);

    /// As many lines of zeros as hold so many bytes.
    fn zeros(bytes: usize) -> Vec<Self> {
        vec![Self::ZERO; bytes.div_ceil(LINE)]
    }

    /// Lines as bytes.
    fn bytes(lines: &[Self]) -> &[u8] {
        // SAFETY: lines are bytes without padding.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
    }

    /// Lines as bytes.
    fn bytes_mut(lines: &mut [Self]) -> &mut [u8] {
        // SAFETY: lines are bytes without padding.
        unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), size_of_val(lines)) }
    }
}
