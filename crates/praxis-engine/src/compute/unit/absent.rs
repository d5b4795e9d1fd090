//! What stands for the vector unit on processors that cannot have it: a proof that nobody can give.

use super::Operands;

/// Nobody has one. Private, so that the code behind such a proof does not count as unreachable.
#[derive(Debug, Clone, Copy)]
enum Never {}

/// A unit that is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vector(Never);

impl Vector {
    /// There is none.
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    /// # Safety
    /// Nobody can call it.
    pub(crate) unsafe fn multiply(self, _: (usize, usize), _: Operands) {
        match self.0 {}
    }
}
