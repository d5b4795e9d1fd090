//! One output buffer that parallel tasks fill in disjoint places.

use std::marker::PhantomData;

use super::simd::Isa;

/// A mutable slice that several threads write to, each its own elements.
pub(crate) struct Disjoint<'a> {
    start: *mut f32,
    len: usize,
    borrow: PhantomData<&'a mut [f32]>,
}

// SAFETY: elements are written only, by functions whose contract excludes two writers of one.
unsafe impl Sync for Disjoint<'_> {}
// SAFETY: as above; the slice itself may be sent.
unsafe impl Send for Disjoint<'_> {}

impl<'a> Disjoint<'a> {
    /// Borrows a slice.
    pub(crate) fn new(slice: &'a mut [f32]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            borrow: PhantomData,
        }
    }

    /// The address of `len` elements from `at`, to be written under the same contract as
    /// [`Disjoint::write`].
    #[inline(always)]
    pub(crate) fn at(&self, at: usize, len: usize) -> *mut f32 {
        assert!(at + len <= self.len, "a write past the end of the buffer");
        self.start.wrapping_add(at)
    }

    /// Copies `values` to `at`.
    ///
    /// # Safety
    /// No two threads write one element while the borrow lasts.
    pub(crate) unsafe fn write(&self, at: usize, values: &[f32]) {
        assert!(
            at + values.len() <= self.len,
            "a write past the end of the buffer"
        );
        // SAFETY: the range was checked; exclusiveness is the caller's duty.
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.start.add(at), values.len()) };
    }

    /// Stores the first `lanes` of a register's numbers at `at`.
    ///
    /// # Safety
    /// That of [`Disjoint::write`].
    #[inline(always)]
    pub(crate) unsafe fn store<I: Isa>(&self, isa: I, at: usize, lanes: usize, values: I::Float) {
        if lanes == I::LANES {
            // SAFETY: there is room for a register; exclusiveness is the caller's duty.
            unsafe { isa.store_floats(self.at(at, lanes).cast(), values) };
            return;
        }
        let mut room = [0.0f32; 16];
        // SAFETY: no register has more than 16 lanes; the rest is the caller's duty.
        unsafe {
            isa.store_floats(room.as_mut_ptr().cast(), values);
            self.write(at, &room[..lanes]);
        }
    }
}
