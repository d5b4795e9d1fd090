//! Parsers on threads of their own: bounded in time, with their panics caught. A thread cannot be ended from outside: one
//! that takes too long is told so ([`Pulse::is_awaited`]) and ends at its next step, so that its place is free again. How
//! many there may be that have not ended yet is bounded too, for libraries that never ask. Left out: parsing.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use super::{LoadError, Pulse, Sign};
use crate::document::LoadedDocument;

/// Files of one kind that may be worked on although nobody waits for them any more.
const MOST_OF_A_KIND: usize = 4;

/// Files of all kinds.
const MOST_IN_ALL: usize = 12;

/// Those of this process. The steps of parsers take no longer than these seconds.
static LEFT: Left = Left::new(Duration::from_secs(10));

/// States of a thread.
const AWAITED: u8 = 0;
pub(super) const ABANDONED: u8 = 1;
const ENDED: u8 = 2;

/// Threads that nobody waits for any more.
struct Left {
    running: Mutex<Running>,
    /// Told when one of them ends.
    ended: Condvar,
    /// How long a file waits for that, unless another one has waited in vain since one ended: a folder of many files
    /// does not wait for each.
    patience: Duration,
}

struct Running {
    /// By the kind of their file.
    kinds: BTreeMap<String, usize>,
    /// Whether a file waited in vain since one of them ended.
    in_vain: bool,
}

impl Left {
    const fn new(patience: Duration) -> Self {
        Self {
            running: Mutex::new(Running {
                kinds: BTreeMap::new(),
                in_vain: false,
            }),
            ended: Condvar::new(),
            patience,
        }
    }

    /// Why no more files of a kind are read, if that is still so after a while.
    fn refuses(&self, kind: &str) -> Option<LoadError> {
        let until = Instant::now() + self.patience;
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let refusal = refusal(&running.kinds, kind)?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || running.in_vain {
                running.in_vain = true;
                return Some(refusal);
            }
            let woken = self.ended.wait_timeout(running, left);
            running = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn change(&self, kind: &str, by: impl FnOnce(usize) -> usize) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        let before = running.kinds.get(kind).copied().unwrap_or_default();
        let count = by(before);
        running.in_vain &= count >= before;
        if count == 0 {
            running.kinds.remove(kind);
        } else {
            running.kinds.insert(kind.to_owned(), count);
        }
        self.ended.notify_all();
    }
}

/// Why a file of a kind is not read while these are running.
fn refusal(running: &BTreeMap<String, usize>, kind: &str) -> Option<LoadError> {
    let of_kind = running.get(kind).copied().unwrap_or_default();
    let all: usize = running.values().sum();
    let (kind, running) = match () {
        () if of_kind >= MOST_OF_A_KIND => (format!("`{kind}` files"), of_kind),
        () if all >= MOST_IN_ALL => ("files".to_owned(), all),
        () => return None,
    };
    Some(LoadError::Busy { kind, running })
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
            let pulse = Pulse::new(done.clone(), Arc::clone(&own));
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
            // The thread ends by itself, at its next step: there is no safe way to stop it. It is counted before it can
            // know that it is, so that it never takes away what was not added.
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
        static HERE: Left = Left::new(Duration::from_millis(20));
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
        while !HERE.running.lock().unwrap().kinds.is_empty() {
            assert!(began.elapsed() < Duration::from_secs(60), "threads end");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(read(&HERE, ".fast", None), LoadError::Empty);
    }

    #[test]
    fn where_one_file_waited_in_vain_the_next_ones_do_not_wait_until_a_thread_ends() {
        let mut left = Left::new(Duration::from_millis(1));
        for _ in 0..MOST_OF_A_KIND {
            left.change(".a", |count| count + 1);
        }
        assert!(left.refuses(".a").is_some());
        left.patience = Duration::from_secs(24 * 3600);
        assert!(left.refuses(".a").is_some() && left.refuses(".b").is_none());
        left.change(".a", |count| count - 1);
        assert!(left.refuses(".a").is_none());
        assert!(!left.running.lock().unwrap().in_vain);
    }

    #[test]
    fn a_parser_is_told_that_it_took_too_long_and_the_next_file_waits_for_it() {
        static HERE: Left = Left::new(Duration::from_secs(60));
        for _ in 0..MOST_OF_A_KIND + 3 {
            let parse = |pulse: Pulse| {
                while pulse.is_awaited() {
                    std::thread::sleep(Duration::from_millis(1));
                }
                // Its step takes a while.
                std::thread::sleep(Duration::from_millis(50));
                Err(LoadError::Empty)
            };
            let error = guarded_by(&HERE, ".a", Duration::from_millis(5), parse);
            assert!(matches!(error, Err(LoadError::TooSlow(_))), "{error:?}");
        }
    }

    #[test]
    fn a_kind_is_an_ending() {
        assert_eq!(kind("a/B.PDF"), ".pdf");
        assert_eq!(kind("README"), ".");
    }
}
