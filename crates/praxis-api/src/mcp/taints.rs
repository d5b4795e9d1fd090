//! What clients without sessions have read from outside: each request is a call tree of its own, and what one of them
//! read, its client may act on in the next. So requests of one key share what they know. Left out: sessions, which have
//! a taint of their own (`sessions`), and what follows from it (`praxis-tool`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use praxis_core::taint::Taint;
use praxis_store::Maker;

use super::sessions::LONGEST_PAUSE;

/// What was read, by the key of the requests; forgotten when nobody asks for as long as sessions last.
#[derive(Default)]
pub(super) struct Taints(Mutex<HashMap<String, Known>>);

struct Known {
    taint: Taint,
    used: Instant,
}

impl Taints {
    /// What the requests of a key have read.
    pub(super) fn of(&self, key: &Maker, now: Instant) -> Taint {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| now.saturating_duration_since(known.used) < LONGEST_PAUSE);
        let known = all.entry(format!("{key:?}")).or_insert_with(|| Known {
            taint: Taint::default(),
            used: now,
        });
        known.used = now;
        known.taint.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_one_request_read_the_next_of_the_key_knows() {
        let taints = Taints::default();
        let now = Instant::now();
        let of = |name: &str, now: Instant| taints.of(&Maker::Stored(name.to_owned()), now);
        of("key-a", now).mark("web/page");
        let later = now + LONGEST_PAUSE - Duration::from_secs(1);
        assert_eq!(of("key-a", later).source(), Some("web/page"));
        assert!(!of("key-b", later).is_tainted());
        // It was used a moment ago; then it is not for half an hour.
        let much_later = later + LONGEST_PAUSE;
        assert!(!of("key-a", much_later).is_tainted());
    }
}
