//! What clients have read from outside: each request is a call tree of its own, and what one of them read, its client
//! may act on in the next. So requests of one session share what they know, and those of one key where there are no
//! sessions. Left out: what follows from it (`praxis-tool`).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use praxis_core::taint::Taint;

use super::sessions::LONGEST_PAUSE;

/// What was read, by whose requests; forgotten when nobody asks for as long as sessions last.
#[derive(Default)]
pub(super) struct Taints(Mutex<HashMap<String, Known>>);

struct Known {
    taint: Taint,
    used: Instant,
}

impl Taints {
    /// What the requests of a session, or of a key, have read.
    pub(super) fn of(&self, whose: String, now: Instant) -> Taint {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| now.saturating_duration_since(known.used) < LONGEST_PAUSE);
        let known = all.entry(whose).or_insert_with(|| Known {
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
    fn what_one_request_read_the_next_of_the_session_knows() {
        let taints = Taints::default();
        let now = Instant::now();
        let of = |whose: &str, now: Instant| taints.of(whose.to_owned(), now);
        of("session a", now).mark("web/page");
        let later = now + LONGEST_PAUSE - Duration::from_secs(1);
        assert_eq!(of("session a", later).source(), Some("web/page"));
        assert!(!of("session b", later).is_tainted());
        // It was used a moment ago; then it is not for half an hour.
        let much_later = later + LONGEST_PAUSE;
        assert!(!of("session a", much_later).is_tainted());
    }
}
