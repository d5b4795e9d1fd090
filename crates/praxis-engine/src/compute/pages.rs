//! Memory for weights: read from front to back for every token, so it is taken in huge pages where
//! the system has them.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

use super::line::Line;

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
