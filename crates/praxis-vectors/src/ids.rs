//! Sets of ids, for filters. A set is a bitmap where its ids lie close, else a sorted list.

/// A set of ids, made once and asked often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdSet {
    first: u64,
    form: Form,
    len: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// One bit for each id from `first` on.
    Bits(Vec<u64>),
    /// Ascending ids.
    Sorted(Vec<u64>),
}

impl Default for Form {
    fn default() -> Self {
        Self::Sorted(Vec::new())
    }
}

impl FromIterator<u64> for IdSet {
    fn from_iter<T: IntoIterator<Item = u64>>(ids: T) -> Self {
        let mut ids: Vec<u64> = ids.into_iter().collect();
        ids.sort_unstable();
        ids.dedup();
        let (Some(&first), Some(&last)) = (ids.first(), ids.last()) else {
            return Self::default();
        };
        let len = ids.len();
        // A bitmap is chosen where it takes no more memory than the list.
        let words = (last - first) / 64 + 1;
        let form = if words <= len as u64 {
            let mut bits = vec![0u64; words as usize];
            for id in ids {
                bits[((id - first) / 64) as usize] |= 1 << ((id - first) % 64);
            }
            Form::Bits(bits)
        } else {
            Form::Sorted(ids)
        };
        Self { first, form, len }
    }
}

impl IdSet {
    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether an id is one of them.
    pub fn contains(&self, id: u64) -> bool {
        match &self.form {
            Form::Bits(bits) => {
                let Some(at) = id.checked_sub(self.first) else {
                    return false;
                };
                bits.get((at / 64) as usize)
                    .is_some_and(|word| word >> (at % 64) & 1 == 1)
            }
            Form::Sorted(ids) => ids.binary_search(&id).is_ok(),
        }
    }

    /// Calls `each` with every id, ascending.
    pub fn for_each(&self, mut each: impl FnMut(u64)) {
        match &self.form {
            Form::Bits(bits) => {
                for (at, &word) in bits.iter().enumerate() {
                    let mut word = word;
                    while word != 0 {
                        each(self.first + at as u64 * 64 + u64::from(word.trailing_zeros()));
                        word &= word - 1;
                    }
                }
            }
            Form::Sorted(ids) => ids.iter().for_each(|&id| each(id)),
        }
    }
}

/// Which ids a search may return.
#[derive(Debug, Clone, Copy)]
pub enum Filter<'a> {
    /// Only these.
    Only(&'a IdSet),
    /// All but these.
    Except(&'a IdSet),
}

impl Filter<'_> {
    /// Whether an id may be returned.
    pub fn allows(&self, id: u64) -> bool {
        match self {
            Self::Only(ids) => ids.contains(id),
            Self::Except(ids) => !ids.contains(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_set_is_what_it_was_made_of(
            ids in proptest::collection::btree_set(prop_oneof![0u64..300, any::<u64>()], 0..200)
        ) {
            let set: IdSet = ids.iter().copied().collect();
            prop_assert_eq!(set.len(), ids.len());
            let mut seen = Vec::new();
            set.for_each(|id| seen.push(id));
            prop_assert_eq!(seen, ids.iter().copied().collect::<Vec<_>>());
            for id in (0..310).chain([u64::MAX]) {
                prop_assert_eq!(set.contains(id), ids.contains(&id));
            }
        }
    }

    #[test]
    fn close_ids_are_a_bitmap() {
        let set: IdSet = (1000..2000).collect();
        assert!(matches!(set.form, Form::Bits(_)));
        assert!(Filter::Only(&set).allows(1000) && Filter::Except(&set).allows(2000));
    }
}
