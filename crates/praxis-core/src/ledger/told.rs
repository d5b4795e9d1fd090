//! What is left of a payer's limits, on its way from the claim that learns it to the answer whose headers say it. Left
//! out: those headers (the edge).

use std::sync::{Arc, Mutex, PoisonError};

use super::Remaining;

/// What the latest claim of a request was told of its payer's limits. Clones share it: the edge keeps one and reads it
/// when the answer begins, and the gateway notes into another, however far below. Nothing is told where no limit holds.
#[derive(Debug, Clone, Default)]
pub struct Told(Arc<Mutex<Option<Remaining>>>);

impl Told {
    /// Notes what a claim was told, admitted or not.
    pub fn note(&self, remaining: Remaining) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(remaining);
    }

    /// What was told last.
    pub fn latest(&self) -> Option<Remaining> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Figures;
    use super::*;

    #[test]
    fn who_shares_it_reads_what_was_told_last() {
        let edge = Told::default();
        let below = edge.clone();
        assert_eq!(edge.latest(), None);
        for remaining in [9, 8] {
            let requests = Some(Figures {
                limit: 10,
                remaining,
                reset: None,
            });
            let told = Remaining {
                requests,
                tokens: None,
            };
            below.note(told);
            assert_eq!(edge.latest(), Some(told));
        }
        assert_eq!(Told::default().latest(), None, "another request's");
    }
}
