//! What stands for [`super::amx`] on processors that cannot have the unit: a proof that nobody can
//! give.

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;
/// Values of one row of activations in a tile.
pub(crate) const DEPTH: usize = 32;

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

/// What a unit would work on.
#[derive(Clone, Copy)]
#[expect(dead_code, reason = "nothing reads it without the unit")]
pub(crate) struct Operands {
    pub(crate) rows: [*const u8; 2],
    pub(crate) columns: [*const u8; 2],
    pub(crate) sums: *mut f32,
    pub(crate) stride: usize,
    pub(crate) steps: usize,
    pub(crate) fresh: bool,
}

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
