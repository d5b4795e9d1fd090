//! What stands for the unit on processors that cannot have it: a proof that nobody can give.

use super::Operands;

/// Nobody has one. Private, so that the code behind such a proof does not count as unreachable.
#[derive(Debug, Clone, Copy)]
enum Never {}

/// A unit that is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Amx(Never);

impl Amx {
    /// There is none.
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn configure(self) -> Tiles {
        match self.0 {}
    }
}

/// Registers that are not there.
pub(crate) struct Tiles(Never);

impl Tiles {
    pub(crate) fn expect(&self, _: *mut f32, _: usize, _: usize) {
        match self.0 {}
    }

    /// # Safety
    /// Nobody can call it.
    pub(crate) unsafe fn multiply(&self, _: (usize, usize), _: Operands) {
        match self.0 {}
    }
}
