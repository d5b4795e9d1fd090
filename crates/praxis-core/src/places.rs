//! Places that callers share: bounded, and never all of them one caller's. Left out: whose turn it is among those that
//! have one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places for what is done at a time. A caller with a name has at most as many as are free (dynamic thresholds: Choudhury
/// and Hahne 1998): one alone half of them, and there is always one for the next. Those without a name, such as all of a
/// server without keys, may take all. Clones share the places.
#[derive(Clone)]
pub struct Places(Arc<Shared>);

struct Shared {
    most: usize,
    taken: Mutex<Taken>,
}

/// How many places are taken: in all, and by each caller with a name.
#[derive(Default)]
struct Taken {
    all: usize,
    by: HashMap<Arc<str>, usize>,
}

/// A place that is taken; dropping it gives it back.
pub struct Place {
    places: Places,
    caller: Option<Arc<str>>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    /// All are taken.
    Full {
        /// How many there are.
        most: usize,
    },
    /// The caller has its share.
    Share {
        /// How many it has.
        own: usize,
        /// How many there are.
        most: usize,
    },
}

impl NoPlace {
    /// Why whoever has `own` places gets no further one of `most`, of which so many are taken; `None` where it gets one.
    /// Who has no name has no share: `own` is `None`.
    pub fn of(most: usize, taken: usize, own: Option<usize>) -> Option<Self> {
        let free = most.saturating_sub(taken);
        match own {
            _ if free == 0 => Some(Self::Full { most }),
            Some(own) if own >= free => Some(Self::Share { own, most }),
            _ => None,
        }
    }

    /// As its caller reads it, where places are for such things: `transcripts`.
    pub fn told(self, things: &str) -> String {
        match self {
            Self::Full { most } => format!("all {most} places for {things} are taken"),
            Self::Share { own, most } => format!(
                "this key has {own} of the {most} places for {things}, and those that are free are kept for others"
            ),
        }
    }
}

impl Places {
    /// So many places.
    pub fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            taken: Mutex::default(),
        }))
    }

    /// Takes a place for a caller.
    ///
    /// # Errors
    /// That there is none, or that the caller has its share.
    pub fn take(&self, caller: Option<&str>) -> Result<Place, NoPlace> {
        let mut taken = self.lock();
        let name = caller.filter(|name| named(name));
        let own = name.map(|name| taken.by.get(name).copied().unwrap_or_default());
        self.taken_by(&mut taken, caller, own)
    }

    /// The same for what had a place before and lost it through no fault of its caller, whose share does not count.
    ///
    /// # Errors
    /// That there is none.
    pub fn take_again(&self, caller: Option<&str>) -> Result<Place, NoPlace> {
        self.taken_by(&mut self.lock(), caller, None)
    }

    /// Whether none is free.
    pub fn are_full(&self) -> bool {
        self.lock().all >= self.0.most
    }

    /// Whether all are free.
    pub fn are_free(&self) -> bool {
        self.lock().all == 0
    }

    fn taken_by(
        &self,
        taken: &mut Taken,
        caller: Option<&str>,
        own: Option<usize>,
    ) -> Result<Place, NoPlace> {
        if let Some(none) = NoPlace::of(self.0.most, taken.all, own) {
            return Err(none);
        }
        let caller: Option<Arc<str>> = caller.filter(|name| named(name)).map(Arc::from);
        taken.all += 1;
        if let Some(name) = &caller {
            *taken.by.entry(Arc::clone(name)).or_default() += 1;
        }
        Ok(Place {
            places: self.clone(),
            caller,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a name tells a caller from others.
fn named(name: &str) -> bool {
    !name.is_empty()
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all = taken.all.saturating_sub(1);
        let Some(name) = &self.caller else { return };
        let own = taken.by.get(name).copied().unwrap_or_default();
        match own.saturating_sub(1) {
            // Callers come and go: nothing is kept of one that has no place.
            0 => taken.by.remove(name),
            own => taken.by.insert(Arc::clone(name), own),
        };
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes places until there is none: those, and why there are no more.
    fn all(places: &Places, caller: Option<&str>) -> (Vec<Place>, NoPlace) {
        let mut taken = Vec::new();
        loop {
            match places.take(caller) {
                Ok(place) => taken.push(place),
                Err(none) => return (taken, none),
            }
        }
    }

    #[test]
    fn a_key_leaves_places_for_others_and_gets_more_when_they_are_free() {
        let places = Places::new(16);
        let (first, none) = all(&places, Some("a"));
        assert_eq!(
            (first.len(), none),
            (8, NoPlace::Share { own: 8, most: 16 })
        );
        let (second, none) = all(&places, Some("b"));
        assert_eq!(
            (second.len(), none),
            (4, NoPlace::Share { own: 4, most: 16 })
        );
        assert!(places.take(Some("c")).is_ok(), "the next has one");
        drop(first);
        let (more, _) = all(&places, Some("b"));
        assert_eq!(more.len(), 4, "half of them");
        drop((second, more));
        assert!(places.are_free() && places.lock().by.is_empty());
    }

    #[test]
    fn who_has_no_name_may_take_all() {
        for caller in [None, Some("")] {
            let places = Places::new(3);
            let (taken, none) = all(&places, caller);
            assert_eq!((taken.len(), none), (3, NoPlace::Full { most: 3 }));
            assert!(places.are_full());
            let refused = places.take(Some("a")).unwrap_err();
            assert_eq!(refused, NoPlace::Full { most: 3 });
        }
    }

    #[test]
    fn what_had_a_place_before_gets_one_beyond_its_callers_share() {
        let places = Places::new(4);
        let (share, _) = all(&places, Some("a"));
        let again = places.take_again(Some("a")).unwrap();
        assert_eq!(share.len(), 2);
        assert!(places.take(Some("a")).is_err());
        drop(share);
        drop(again);
        assert!(places.are_free());
    }

    #[test]
    fn a_single_place_is_for_whoever_comes_first() {
        let places = Places::new(1);
        let place = places.take(Some("a")).unwrap();
        assert_eq!(
            places.take(Some("b")).unwrap_err().told("walks"),
            "all 1 places for walks are taken"
        );
        drop(place);
        assert!(places.take(Some("b")).is_ok());
    }
}
