//! Where answers are kept: each until its end, and all of them within a bound of bytes. Where room is needed, those go
//! that have ended, and then the one that was not asked for the longest. Time comes from the caller.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::kept::Kept;
use super::key::Key;

/// What an answer takes beside itself: its place in the table, which may be half empty, and in both orders.
const PLACE: usize = 384;

/// The answers by their keys.
pub(super) struct Shelf {
    most: usize,
    bytes: usize,
    /// How often something was put or found: the clock of use.
    uses: u64,
    entries: HashMap<Key, Entry>,
    /// The one that was not used for the longest comes first.
    by_use: BTreeMap<u64, Key>,
    /// The one that ends first comes first.
    by_end: BTreeSet<(Instant, Key)>,
}

struct Entry {
    kept: Arc<Kept>,
    bytes: usize,
    used: u64,
    ends: Instant,
}

impl Shelf {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            bytes: 0,
            uses: 0,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            by_end: BTreeSet::new(),
        }
    }

    /// What all answers take. Who reads one while it goes has it for a little longer.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The answer of a key that has not ended.
    pub(super) fn get(&mut self, key: &Key, now: Instant) -> Option<Arc<Kept>> {
        if self.entries.get(key)?.ends <= now {
            self.remove(key);
            return None;
        }
        self.uses += 1;
        let entry = self.entries.get_mut(key)?;
        self.by_use.remove(&entry.used);
        self.by_use.insert(self.uses, *key);
        entry.used = self.uses;
        Some(Arc::clone(&entry.kept))
    }

    /// Keeps an answer in the place of the one before it; `false` where it is more than there is room for at all.
    pub(super) fn put(&mut self, key: Key, kept: Kept, ends: Instant, now: Instant) -> bool {
        let bytes = kept.bytes().saturating_add(PLACE);
        let Some(others) = self.most.checked_sub(bytes) else {
            return false;
        };
        self.remove(&key);
        while self.bytes > others {
            let Some(next) = self.next_to_go(now) else {
                break;
            };
            self.remove(&next);
        }
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, key);
        self.by_end.insert((ends, key));
        let entry = Entry {
            kept: Arc::new(kept),
            bytes,
            used: self.uses,
            ends,
        };
        self.entries.insert(key, entry);
        true
    }

    fn next_to_go(&self, now: Instant) -> Option<Key> {
        let first = self.by_end.first();
        let ended = first.filter(|(ends, _)| *ends <= now);
        match ended {
            Some((_, key)) => Some(*key),
            None => self.by_use.first_key_value().map(|(_, key)| *key),
        }
    }

    fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.by_use.remove(&entry.used);
            self.by_end.remove(&(entry.ends, *key));
            self.bytes -= entry.bytes;
        }
    }

    /// Whether its parts tell the same of it.
    #[cfg(test)]
    pub(super) fn is_sound(&self) -> bool {
        let each = self.entries.values();
        self.bytes <= self.most
            && self.bytes == each.map(|entry| entry.bytes).sum::<usize>()
            && self.entries.len() == self.by_use.len()
            && self.entries.len() == self.by_end.len()
    }
}
