//! Answers that are kept, and given again to the same request: exact, bounded, and only of models whose application
//! asks for it. Whether an answer may be kept is decided here; what makes two requests the same is in `key`, what is
//! kept in `kept`, and for how long in `shelf`. Time comes from the caller.
//!
//! Left out: answers to requests that mean the same in other words, and joining a request that is under way. Who joined
//! would wait for a stream that another caller may drop at any moment, and would then have to ask after all, late and
//! outside of its own account. Of equal requests that come at a time each is asked, and the last answer stays.

mod kept;
mod key;
mod shelf;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use praxis_core::{Caller, ChatRequest, FinishReason, Sampling, Usage};
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::Period;
use crate::wire::Piece;

use self::kept::{Gathered, Kept};
pub(crate) use self::key::Asked;
use self::key::Key;
use self::shelf::Shelf;

/// The longest that an answer is kept, whatever is written: a year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// `[cache]`: how much memory answers take that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CacheConfig {
    /// The most bytes of all answers together; 0: none is kept.
    pub max_bytes: usize,
    /// The most bytes of one answer; a longer one is not kept.
    pub max_answer_bytes: usize,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_answer_bytes: 1 << 20,
        }
    }
}

/// `cache` of a model or a route: which answers are kept. A span of time, or a table with `ttl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CachePolicy {
    /// For how long.
    pub ttl: Period,
    /// Whether any answer will do. Otherwise only requests have kept answers that would be answered the same again:
    /// those with a seed or of temperature 0.
    pub any: bool,
}

impl<'de> Deserialize<'de> for CachePolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Table {
            ttl: Period,
            #[serde(default)]
            any: bool,
        }
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = CachePolicy;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a span of time such as \"1h\", or { ttl = \"1h\", any = true }")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<CachePolicy, E> {
                let ttl = Period::deserialize(StrDeserializer::<E>::new(text))?;
                Ok(CachePolicy { ttl, any: false })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<CachePolicy, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                Ok(CachePolicy {
                    ttl: table.ttl,
                    any: table.any,
                })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// Describes the metrics, for exporters that show descriptions.
pub(crate) fn describe_metrics() {
    use metrics::{Unit, describe_counter, describe_gauge};
    describe_counter!(
        "praxis_model_cache_total",
        "Requests to models that keep answers: whether one was kept (hit, miss), whether it was kept then (stored), or \
         that the request is none whose answer may be kept (skipped)"
    );
    describe_gauge!(
        "praxis_model_cache_bytes",
        Unit::Bytes,
        "Memory of answers that are kept"
    );
}

fn count(model: &str, outcome: &'static str) {
    metrics::counter!("praxis_model_cache_total", "model" => model.to_owned(), "outcome" => outcome)
        .increment(1);
}

/// The answers that are kept.
pub(crate) struct Answers {
    max_answer_bytes: usize,
    shelf: Mutex<Shelf>,
}

/// What there is for a request.
pub(crate) enum Looked {
    /// Nothing, and its answer is not kept either.
    Nothing,
    /// Its answer.
    Hit(Arc<Kept>),
    /// Nothing yet.
    Miss(Storing),
}

impl Answers {
    pub(crate) fn new(config: CacheConfig) -> Arc<Self> {
        Arc::new(Self {
            max_answer_bytes: config.max_answer_bytes,
            shelf: Mutex::new(Shelf::new(config.max_bytes)),
        })
    }

    /// Looks for the answer to a request of this caller, as the model that is asked first is sent it.
    pub(crate) fn look(
        self: &Arc<Self>,
        policy: CachePolicy,
        asked: &Asked<'_>,
        request: &ChatRequest,
        caller: &Caller,
        now: Instant,
    ) -> Looked {
        let fixed_by = fixed_by(&request.sampling);
        let key = match policy.any || !fixed_by.is_empty() {
            true => key::of(asked, request, caller),
            false => None,
        };
        let Some(key) = key else {
            count(asked.name, "skipped");
            return Looked::Nothing;
        };
        if let Some(kept) = self.with_shelf(|shelf| shelf.get(&key, now)) {
            count(asked.name, "hit");
            return Looked::Hit(kept);
        }
        count(asked.name, "miss");
        Looked::Miss(Storing {
            answers: Arc::clone(self),
            key,
            model: asked.name.to_owned(),
            policy,
            fixed_by,
            gathered: Some(Gathered::default()),
        })
    }

    fn with_shelf<T>(&self, work: impl FnOnce(&mut Shelf) -> T) -> T {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let done = work(&mut shelf);
        metrics::gauge!("praxis_model_cache_bytes").set(shelf.bytes() as f64);
        done
    }
}

/// What of a request has each answer to it be the same, in the words of what providers could not be told.
fn fixed_by(sampling: &Sampling) -> Vec<&'static str> {
    let reasons = [
        ("seed", sampling.seed.is_some()),
        ("temperature", sampling.temperature == Some(0.0)),
    ];
    let given = reasons.into_iter().filter(|(_, is_given)| *is_given);
    given.map(|(name, _)| name).collect()
}

/// Whether an answer that ended so is kept. One that is cut off at its length is: the same request is cut off there
/// again. One that was withheld is not: what a provider withholds changes.
fn is_kept(finish_reason: FinishReason) -> bool {
    match finish_reason {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Length => true,
        FinishReason::ContentFilter => false,
    }
}

/// An answer on its way, gathered to be kept once it is whole. Dropped before, it leaves nothing.
pub(crate) struct Storing {
    answers: Arc<Answers>,
    key: Key,
    /// Whose answer it has to be.
    model: String,
    policy: CachePolicy,
    /// What of the request has each answer to it be the same.
    fixed_by: Vec<&'static str>,
    /// None: it is too long.
    gathered: Option<Gathered>,
}

impl Storing {
    /// The same where this model may give the answer that is kept: it is the one that was looked for, no fallback and
    /// no hedge of it, and it was told what has it answer the same again.
    pub(crate) fn of(self, model: &str, left_out: &[&'static str]) -> Option<Self> {
        let is_fixed = self.fixed_by.iter().any(|name| !left_out.contains(name));
        (self.model == model && (self.policy.any || is_fixed)).then_some(self)
    }

    /// Takes a piece that passes.
    pub(crate) fn push(&mut self, piece: &Piece) {
        let most = self.answers.max_answer_bytes;
        if let Some(gathered) = &mut self.gathered
            && !gathered.push(piece, most)
        {
            self.gathered = None;
        }
    }

    /// Keeps the answer, which is whole; tells whether it did.
    pub(crate) fn finish(self, finish_reason: FinishReason, usage: Usage, now: Instant) -> bool {
        let Some(gathered) = self.gathered.filter(|_| is_kept(finish_reason)) else {
            return false;
        };
        let kept = gathered.whole(&self.model, finish_reason, usage);
        let ends = now.checked_add(self.policy.ttl.0.min(LONGEST));
        let Some(ends) = ends.filter(|_| kept.bytes() <= self.answers.max_answer_bytes) else {
            return false;
        };
        let key = self.key;
        let stored = self
            .answers
            .with_shelf(|shelf| shelf.put(key, kept, ends, now));
        if stored {
            count(&self.model, "stored");
        }
        stored
    }
}

#[cfg(test)]
mod tests;
