//! What stands for [`super::amx`] on processors that cannot have the unit: a proof that nobody can
//! give.

/// Rows of a tile.
pub(crate) const ROWS: usize = 16;
/// Values of one row of activations in a tile.
pub(crate) const DEPTH: usize = 32;

/// A unit that is not there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Amx {}

impl Amx {
    /// There is none.
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    pub(crate) fn configure(self) -> Tiles {
        match self {}
    }
}

/// Registers that are not there.
pub(crate) enum Tiles {}

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
        match *self {}
    }

    /// # Safety
    /// Nobody can call it.
    pub(crate) unsafe fn multiply(&self, _: (usize, usize), _: Operands) {
        match *self {}
    }
}
