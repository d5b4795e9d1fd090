//! The kept answers of one function: so many and so many bytes at most, each for the same time. The one that was not
//! used for the longest makes room. A search compares the vectors of one key, which are few. Time comes from the
//! caller.
//!
//! Left out: what an answer is good for, which who asks says.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use praxis_core::embed::dot;

use super::kept::Kept;
use super::key::Key;
use super::words::Words;

/// What an answer takes beside itself: its places in the tables, which may be half empty.
const PLACE: usize = 512;

/// A question, as it is compared.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    /// All that has to be equal.
    pub key: Key,
    /// Its wording.
    pub question: String,
    /// What decides of it.
    pub words: Words,
    /// Its vector, of length 1; empty where it was not made.
    pub vector: Vec<f32>,
}

/// An answer that was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub kept: Arc<Kept>,
    /// The question that it was given to.
    pub question: String,
    /// The cosine of both; 1 where they are equal.
    pub similarity: f32,
}

/// The answers. Numbers rise with the time when they were put here.
#[derive(Debug)]
pub(super) struct Shelf {
    most: usize,
    most_bytes: usize,
    ttl: Duration,
    bytes: usize,
    /// The last number that was given, of an answer or of a use.
    last: u64,
    entries: BTreeMap<u64, Entry>,
    by_key: HashMap<Key, Vec<u64>>,
    /// The one that was not used for the longest comes first.
    by_use: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Entry {
    asked: Asked,
    kept: Arc<Kept>,
    bytes: usize,
    used: u64,
    ends: Instant,
}

impl Shelf {
    /// For so many answers, so many bytes in all, each for this long.
    pub fn new(most: usize, most_bytes: usize, ttl: Duration) -> Self {
        Self {
            most,
            most_bytes,
            ttl,
            bytes: 0,
            last: 0,
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            by_use: BTreeMap::new(),
        }
    }

    /// What all answers take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The answer to the same question in the same words, if it is good.
    pub fn equal(
        &mut self,
        asked: &Asked,
        now: Instant,
        is_good: impl Fn(&Kept) -> bool,
    ) -> Option<Found> {
        self.best(&asked.key, now, |entry| {
            let is_equal = entry.asked.question == asked.question && is_good(&entry.kept);
            is_equal.then_some(1.0)
        })
    }

    /// The answer to the question that is most like this one and at least so much, if it is good.
    pub fn nearest(
        &mut self,
        asked: &Asked,
        least: f32,
        now: Instant,
        is_good: impl Fn(&Kept) -> bool,
    ) -> Option<Found> {
        self.best(&asked.key, now, |entry| {
            let other = &entry.asked;
            if other.vector.is_empty() || other.vector.len() != asked.vector.len() {
                return None;
            }
            let similarity = dot(&other.vector, &asked.vector);
            let is_like = similarity >= least
                && other.words.is_in_order(&asked.words)
                && is_good(&entry.kept);
            is_like.then_some(similarity)
        })
    }

    /// The answer of this key with the highest score; the latest of equals.
    fn best(
        &mut self,
        key: &Key,
        now: Instant,
        score: impl Fn(&Entry) -> Option<f32>,
    ) -> Option<Found> {
        self.drop_ended(now);
        let mut best: Option<(f32, u64)> = None;
        for number in self.by_key.get(key)? {
            let Some(found) = self.entries.get(number).and_then(&score) else {
                continue;
            };
            if best.is_none_or(|(score, _)| found >= score) {
                best = Some((found, *number));
            }
        }
        let (similarity, number) = best?;
        self.last += 1;
        let entry = self.entries.get_mut(&number)?;
        self.by_use.remove(&entry.used);
        entry.used = self.last;
        self.by_use.insert(self.last, number);
        Some(Found {
            kept: Arc::clone(&entry.kept),
            question: entry.asked.question.clone(),
            similarity,
        })
    }

    /// Keeps an answer, in the place of the one to the same words; `false` where there is no room for it at all.
    pub fn put(&mut self, asked: Asked, kept: Kept, now: Instant) -> bool {
        let bytes = PLACE
            + kept.bytes()
            + asked.question.len()
            + asked.words.bytes()
            + size_of_val(asked.vector.as_slice());
        let ends = now.checked_add(self.ttl);
        let (Some(others), Some(ends)) = (self.most_bytes.checked_sub(bytes), ends) else {
            return false;
        };
        if self.most == 0 {
            return false;
        }
        self.drop_ended(now);
        let same = self.by_key.get(&asked.key).and_then(|numbers| {
            let is_same = |number: &&u64| {
                let entry = self.entries.get(number);
                entry.is_some_and(|entry| entry.asked.question == asked.question)
            };
            numbers.iter().find(is_same).copied()
        });
        if let Some(number) = same {
            self.remove(number);
        }
        while self.entries.len() >= self.most || self.bytes > others {
            let Some((_, number)) = self.by_use.pop_first() else {
                break;
            };
            self.remove(number);
        }
        self.last += 1;
        let number = self.last;
        self.bytes += bytes;
        self.by_key.entry(asked.key).or_default().push(number);
        self.by_use.insert(number, number);
        let entry = Entry {
            asked,
            kept: Arc::new(kept),
            bytes,
            used: number,
            ends,
        };
        self.entries.insert(number, entry);
        true
    }

    /// Drops what has ended, which is what was put here first.
    fn drop_ended(&mut self, now: Instant) {
        while let Some((number, entry)) = self.entries.first_key_value()
            && entry.ends <= now
        {
            let number = *number;
            self.remove(number);
        }
    }

    fn remove(&mut self, number: u64) {
        let Some(entry) = self.entries.remove(&number) else {
            return;
        };
        self.bytes -= entry.bytes;
        self.by_use.remove(&entry.used);
        if let Some(numbers) = self.by_key.get_mut(&entry.asked.key) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.by_key.remove(&entry.asked.key);
            }
        }
    }

    /// Whether its parts tell the same of it.
    #[cfg(test)]
    fn is_sound(&self) -> bool {
        let bytes: usize = self.entries.values().map(|entry| entry.bytes).sum();
        let keyed: usize = self.by_key.values().map(Vec::len).sum();
        self.bytes == bytes
            && bytes <= self.most_bytes
            && self.entries.len() <= self.most
            && keyed == self.entries.len()
            && self.by_use.len() == self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use praxis_core::{Money, TraceId, Usage};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn kept(answer: &str) -> Kept {
        Kept {
            value: json!(answer),
            reasoning: None,
            confidence: None,
            votes: Vec::new(),
            cited: Vec::new(),
            read: Vec::new(),
            usage: Usage::default(),
            cost: Money::default(),
            trace: TraceId::from_string("t"),
        }
    }

    /// A question of a key, whose vector is at this angle.
    fn asked(key: u8, question: &str, angle: f32) -> Asked {
        Asked {
            key: [key; 32],
            question: question.to_owned(),
            words: Words::of(question),
            vector: vec![angle.cos(), angle.sin()],
        }
    }

    fn answer(found: Option<Found>) -> Option<String> {
        Some(found?.kept.value.as_str().unwrap().to_owned())
    }

    #[test]
    fn the_nearest_of_a_key_is_found_that_is_near_enough_and_good() {
        let mut shelf = Shelf::new(10, 1 << 20, HOUR);
        let now = Instant::now();
        for (key, question, angle) in [(1, "a cat", 0.0), (1, "one cat", 0.1), (2, "the cat", 0.0)]
        {
            assert!(shelf.put(asked(key, question, angle), kept(question), now));
        }
        let all = |_: &Kept| true;
        let near = asked(1, "cat", 0.04);
        assert_eq!(
            answer(shelf.nearest(&near, 0.99, now, all)),
            Some("a cat".into())
        );
        // Not good any more: the next one.
        let others = |kept: &Kept| kept.value != "a cat";
        assert_eq!(
            answer(shelf.nearest(&near, 0.99, now, others)),
            Some("one cat".into())
        );
        assert_eq!(answer(shelf.nearest(&near, 0.9999, now, all)), None);
        assert_eq!(
            answer(shelf.nearest(&asked(3, "cat", 0.0), 0.5, now, all)),
            None
        );
        // Vectors of another length are of another model.
        let longer = Asked {
            vector: vec![1.0, 0.0, 0.0],
            ..asked(1, "cat", 0.0)
        };
        assert_eq!(answer(shelf.nearest(&longer, 0.5, now, all)), None);
        // Equal wording needs no vector.
        let bare = Asked {
            vector: Vec::new(),
            ..asked(1, "one cat", 0.0)
        };
        assert_eq!(answer(shelf.nearest(&bare, 0.0, now, all)), None);
        let found = shelf.equal(&bare, now, all).unwrap();
        assert_eq!(
            (found.similarity, found.question.as_str()),
            (1.0, "one cat")
        );
        assert_eq!(answer(shelf.equal(&asked(1, "cat", 0.0), now, all)), None);
    }

    #[test]
    fn words_that_change_places_are_another_question() {
        let mut shelf = Shelf::new(10, 1 << 20, HOUR);
        let now = Instant::now();
        assert!(shelf.put(asked(1, "Can cats see dogs?", 0.0), kept("yes"), now));
        let all = |_: &Kept| true;
        let swapped = asked(1, "Can dogs see cats?", 0.0);
        assert_eq!(answer(shelf.nearest(&swapped, 0.9, now, all)), None);
        let same = asked(1, "Could cats see dogs?", 0.0);
        assert_eq!(
            answer(shelf.nearest(&same, 0.9, now, all)),
            Some("yes".into())
        );
    }

    #[test]
    fn answers_end_and_make_room() {
        let mut shelf = Shelf::new(2, 1 << 20, HOUR);
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let all = |_: &Kept| true;
        let one = asked(1, "one", 0.0);
        assert!(shelf.put(one.clone(), kept("1"), at(0)));
        assert!(shelf.put(asked(1, "two", 1.0), kept("2"), at(10)));
        // The one that was used stays.
        assert_eq!(answer(shelf.equal(&one, at(20), all)), Some("1".into()));
        assert!(shelf.put(asked(1, "three", 2.0), kept("3"), at(20)));
        assert_eq!(
            answer(shelf.equal(&asked(1, "two", 1.0), at(20), all)),
            None
        );
        assert_eq!(answer(shelf.equal(&one, at(3599), all)), Some("1".into()));
        // The same words again: the later answer, from now on.
        assert!(shelf.put(one.clone(), kept("new"), at(3599)));
        assert_eq!(answer(shelf.equal(&one, at(3601), all)), Some("new".into()));
        assert_eq!(answer(shelf.equal(&one, at(3599 + 3600), all)), None);
        assert!(shelf.is_sound() && shelf.bytes() == 0);
    }

    #[test]
    fn what_is_larger_than_the_shelf_is_not_kept() {
        let now = Instant::now();
        let mut small = Shelf::new(10, 4096, HOUR);
        assert!(!small.put(asked(1, "a", 0.0), kept(&"x".repeat(5000)), now));
        for number in 0..20u8 {
            let question = format!("question {number}");
            assert!(small.put(asked(number, &question, 0.0), kept(&"x".repeat(500)), now));
            assert!(small.is_sound());
        }
        assert!(!Shelf::new(0, 4096, HOUR).put(asked(1, "a", 0.0), kept("x"), now));
    }

    proptest! {
        #[test]
        fn it_keeps_its_bounds_whatever_is_done(
            steps in prop::collection::vec((0u8..3, 0usize..6, 0u64..100, any::<bool>(), 0usize..900), 0..80),
        ) {
            let mut shelf = Shelf::new(4, 6000, Duration::from_secs(60));
            let start = Instant::now();
            let mut seconds = 0;
            for (key, question, later, puts, length) in steps {
                seconds += later;
                let now = start + Duration::from_secs(seconds);
                let question = asked(key, &format!("number {question}"), question as f32);
                if puts {
                    shelf.put(question.clone(), kept(&"x".repeat(length)), now);
                } else if let Some(found) = shelf.equal(&question, now, |_| true) {
                    prop_assert_eq!(&found.question, &question.question);
                }
                prop_assert!(shelf.is_sound());
            }
        }
    }
}
