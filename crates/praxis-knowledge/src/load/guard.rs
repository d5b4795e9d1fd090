//! Parsers on threads of their own: bounded in time, with their panics caught. A thread cannot be ended from outside, so
//! one that takes too long is left to end by itself; how many of these there may be is bounded too. Left out: parsing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use super::{LoadError, Pulse, Sign};
use crate::document::LoadedDocument;

/// Files of one kind that may be worked on although nobody waits for them any more.
const MOST_OF_A_KIND: usize = 4;

/// Files of all kinds.
const MOST_IN_ALL: usize = 12;

/// Those of this process.
static LEFT: Left = Left::new();

/// States of a thread.
const AWAITED: u8 = 0;
const ABANDONED: u8 = 1;
const ENDED: u8 = 2;

/// Threads that nobody waits for any more, by the kind of their file.
struct Left(Mutex<BTreeMap<String, usize>>);

impl Left {
    const fn new() -> Self {
        Self(Mutex::new(BTreeMap::new()))
    }

    /// Why no more files of a kind are read now, if so.
    fn refuses(&self, kind: &str) -> Option<LoadError> {
        let left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_kind = left.get(kind).copied().unwrap_or_default();
        let all: usize = left.values().sum();
        let (kind, running) = match () {
            () if of_kind >= MOST_OF_A_KIND => (format!("`{kind}` files"), of_kind),
            () if all >= MOST_IN_ALL => ("files".to_owned(), all),
            () => return None,
        };
        Some(LoadError::Busy { kind, running })
    }

    fn change(&self, kind: &str, by: impl FnOnce(usize) -> usize) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = by(left.get(kind).copied().unwrap_or_default());
        if count == 0 {
            left.remove(kind);
        } else {
            left.insert(kind.to_owned(), count);
        }
    }
}

/// The kind of a file by its name. What is in it counts for how it is read, but is not known before it is.
pub(super) fn kind(name: &str) -> String {
    let ending = Path::new(name).extension().unwrap_or_default();
    let ending: String = ending.to_string_lossy().chars().take(12).collect();
    format!(".{}", ending.to_lowercase())
}

/// Runs a parser on a thread of its own: bounded in time, which each sign of life gives it anew, and with room for
/// deep nesting.
///
/// # Errors
/// The parser's; [`LoadError::TooSlow`]; [`LoadError::Busy`] where too many of its kind are worked on still.
pub(super) fn guarded(
    kind: &str,
    timeout: Duration,
    parse: impl FnOnce(Pulse) -> Result<LoadedDocument, LoadError> + Send + 'static,
) -> Result<LoadedDocument, LoadError> {
    guarded_by(&LEFT, kind, timeout, parse)
}

fn guarded_by(
    left: &'static Left,
    kind: &str,
    timeout: Duration,
    parse: impl FnOnce(Pulse) -> Result<LoadedDocument, LoadError> + Send + 'static,
) -> Result<LoadedDocument, LoadError> {
    if let Some(error) = left.refuses(kind) {
        return Err(error);
    }
    let (done, signs) = mpsc::channel();
    let state = Arc::new(AtomicU8::new(AWAITED));
    let (own, own_kind) = (Arc::clone(&state), kind.to_owned());
    let thread = std::thread::Builder::new()
        .name("praxis-load".to_owned())
        .stack_size(64 << 20)
        .spawn(move || {
            let pulse = Pulse(Some(done.clone()));
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| parse(pulse)));
            let _ = done.send(Sign::Done(outcome.unwrap_or_else(|_| {
                Err(LoadError::Damaged("the parser gave up on it".to_owned()))
            })));
            if own.swap(ENDED, Ordering::AcqRel) == ABANDONED {
                left.change(&own_kind, |count| count.saturating_sub(1));
            }
        });
    if let Err(error) = thread {
        return Err(LoadError::Unreadable(error.to_string()));
    }
    loop {
        match signs.recv_timeout(timeout) {
            Ok(Sign::Alive) => {}
            Ok(Sign::Done(outcome)) => return outcome,
            // The thread is left to end by itself: there is no safe way to stop it. It is counted before it can know
            // that it is, so that it never takes away what was not added.
            Err(_) => {
                left.change(kind, |count| count + 1);
                if state.swap(ABANDONED, Ordering::AcqRel) == ENDED {
                    left.change(kind, |count| count.saturating_sub(1));
                }
                return Err(LoadError::TooSlow(timeout));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn read(left: &'static Left, kind: &str, until: Option<mpsc::Receiver<()>>) -> LoadError {
        let parse = move |_| {
            if let Some(until) = until {
                let _ = until.recv();
            }
            Err(LoadError::Empty)
        };
        let timeout = Duration::from_millis(if kind == ".fast" { 60_000 } else { 5 });
        guarded_by(left, kind, timeout, parse).unwrap_err()
    }

    #[test]
    fn files_that_never_end_are_not_worked_on_without_bound() {
        static HERE: Left = Left::new();
        let mut ends = Vec::new();
        let mut hang = |kind: &str| {
            let (end, until) = mpsc::channel();
            ends.push(end);
            read(&HERE, kind, Some(until))
        };
        for kind in [".a", ".b", ".c"] {
            for _ in 0..MOST_OF_A_KIND {
                assert!(matches!(hang(kind), LoadError::TooSlow(_)), "{kind}");
            }
            let refused = hang(kind);
            let told = refused.to_string();
            assert!(told.contains(&format!("4 `{kind}` files")), "{told}");
            assert!(refused.hint().contains("exclude"));
            if kind == ".a" {
                assert_eq!(
                    read(&HERE, ".fast", None),
                    LoadError::Empty,
                    "others are read"
                );
            }
        }
        let refused = read(&HERE, ".fast", None);
        assert!(
            matches!(refused, LoadError::Busy { running: 12, .. }),
            "{refused}"
        );
        // What ends makes room.
        drop(ends);
        let began = Instant::now();
        while !HERE.0.lock().unwrap().is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "threads end");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(read(&HERE, ".fast", None), LoadError::Empty);
    }

    #[test]
    fn a_kind_is_an_ending() {
        assert_eq!(kind("a/B.PDF"), ".pdf");
        assert_eq!(kind("README"), ".");
    }
}
