//! The lock of a base: one ingest, rebuild or refresh of it at a time, over all processes. Left out: who waits for it.

use std::fs::{File, TryLockError};
use std::sync::{Arc, PoisonError};

use praxis_core::CallError;

use super::{Base, internal};

/// A name that is locked, in most cases a base's. It is free again when the last clone of this goes: what must not be
/// left half done keeps one until its end, also where whoever asked for it has hung up.
#[derive(Clone)]
pub(crate) struct BaseLock {
    _held: Arc<Held>,
}

/// What a lock holds.
pub(super) struct Held {
    /// The base, where the name is one's.
    base: Option<Arc<Base>>,
    /// Locked while it is open.
    _file: File,
}

impl Drop for Held {
    fn drop(&mut self) {
        // While it is locked still: whoever has the lock next finds the indexes of vectors free.
        if let Some(base) = &self.base {
            base.close_idle_vectors();
        }
    }
}

impl BaseLock {
    /// Over a file that is locked; the base gets to know that this process has it.
    pub(super) fn over(file: File, base: Option<Arc<Base>>) -> Self {
        let held = Arc::new(Held { base, _file: file });
        if let Some(base) = &held.base {
            let mut slot = base.held.lock().unwrap_or_else(PoisonError::into_inner);
            *slot = Arc::downgrade(&held);
        }
        Self { _held: held }
    }

    /// A share of a lock that somebody in this process holds.
    pub(super) fn share(held: Arc<Held>) -> Self {
        Self { _held: held }
    }
}

/// Locks a file, unless somebody else has it locked; whether it did.
pub(super) fn try_lock(file: &File) -> Result<bool, CallError> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(internal(error)),
    }
}
