//! Answers that are kept, and given again to a question that means the same: `praxis.cache`, for functions that ask for
//! it, in memory and within bounds.
//!
//! Two questions are one where their vectors are near enough (`least`) and the words that decide are the same
//! (`words`); all else of the calls has to be equal (`key`). An answer over documents counts only as long as they bear
//! it out (`kept`). What is kept ends, and makes room (`shelf`). Whether a call is looked up, and its answer kept, is
//! decided here. A kept answer passes the function's guard as any other does.
//!
//! Left out: joining a call that is under way, as in the gateway's cache of requests. Of equal calls that come at a
//! time each is answered, and the last answer stays.

mod kept;
mod key;
mod shelf;
mod words;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use praxis_core::{
    CallContext, CallError, CallEvent, Citation, EmbedKind, Embedder, ErrorCode, FinishReason,
    Money, Passage, Span, SpanKind, TraceSink, Usage,
};
use serde_json::{Map, Value, json};

use crate::extension::CacheUse;
use crate::function::{Extras, PromptFunction};
use crate::structured::repair::OutputFormat;
use crate::technique::{Conclusion, written};

pub(crate) use self::kept::Kept;
use self::kept::{Print, print};
use self::key::Given;
use self::shelf::{Asked, Shelf};
use self::words::Words;
pub use self::words::same_words;

/// The least cosine of two questions that are one, by the embedders that it was measured for (docs/functions.md,
/// `scripts/bench-reuse.sh`).
const MEASURED: [(&str, f32); 1] = [("multilingual-e5-small", 0.95)];

/// The most bytes of a function's kept answers, and of one of them.
const MOST_BYTES: usize = 32 << 20;
const MOST_ANSWER_BYTES: usize = 1 << 20;

/// Bytes of the longest question whose likeness is looked at: embedders cut what is much longer.
const LONGEST_QUESTION: usize = 1000;

/// The share of votes above which an answer has the majority.
const MAJORITY: f32 = 0.5;

/// The name of the step that says whether an answer was kept.
const STEP: &str = "cache";

/// The kept answers of one function.
pub(crate) struct Reuse {
    shelf: Mutex<Shelf>,
    /// The input that the question is.
    query: Option<String>,
    /// Whose vectors are compared.
    embedder: String,
    /// The least cosine; without one, only equal questions are one.
    least: Option<f32>,
}

/// What there is for a call.
pub(crate) enum Looked {
    /// Nothing, and its answer is not kept either.
    Nothing,
    /// An answer.
    Hit(Arc<Kept>),
    /// No answer yet.
    Miss(Box<Seat>),
}

/// The place of an answer that is on its way.
pub(crate) struct Seat {
    asked: Asked,
    meter: Arc<Meter>,
}

/// An answer that is kept once its guard has let it through.
pub(crate) struct Keeping {
    asked: Asked,
    kept: Kept,
}

/// Describes the metrics, for exporters that show descriptions.
pub(crate) fn describe_metrics() {
    metrics::describe_counter!(
        "praxis_function_cache_total",
        "Calls of functions that keep answers: whether there was one (hit, miss), whether it was kept then (stored), \
         or that the call is none whose answer may be kept (skipped)"
    );
    metrics::describe_counter!(
        "praxis_function_cache_saved_tokens_total",
        "Tokens that the kept answers which were given again had taken, by direction"
    );
    metrics::describe_gauge!(
        "praxis_function_cache_bytes",
        metrics::Unit::Bytes,
        "Memory of a function's kept answers"
    );
}

/// The least cosine for vectors of this identity.
fn least(similar: Option<f32>, identity: &str) -> Option<f32> {
    if let Some(given) = similar {
        // Rounding keeps equal vectors below 1.
        return (given < 1.0).then_some(given);
    }
    let (model, revision) = identity.split_once('@')?;
    let measured = MEASURED.iter().find(|(name, _)| *name == model)?;
    // With prefixes of the application's own, vectors are others.
    (!revision.contains('+')).then_some(measured.1)
}

impl Reuse {
    /// For the function of this name, with vectors of this identity.
    pub fn new(wanted: &CacheUse, name: &str, embedder: String) -> Self {
        let least = least(wanted.similar, &embedder);
        if least.is_none() && wanted.similar.is_none() {
            tracing::warn!(
                function = name,
                embedder,
                "`praxis.cache` has no threshold that was measured for this embedder: only equal questions have kept \
                 answers; write `similar`"
            );
        }
        Self {
            shelf: Mutex::new(Shelf::new(wanted.max, MOST_BYTES, wanted.ttl)),
            query: wanted.query.clone(),
            embedder,
            least,
        }
    }

    fn with_shelf<T>(&self, work: impl FnOnce(&mut Shelf) -> T) -> T {
        // No work leaves it half done.
        work(&mut self.shelf.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is asked, without its vector.
    ///
    /// # Errors
    /// Why the call is none whose answer may be kept.
    fn asked(
        &self,
        input: &Map<String, Value>,
        extras: &Extras,
        cx: &CallContext,
    ) -> Result<Asked, &'static str> {
        if !extras.past.is_empty() {
            // The question may lean on it.
            return Err("history");
        }
        if extras.top_logprobs.is_some() {
            return Err("logprobs");
        }
        if extras.veil.as_ref().is_some_and(|veil| !veil.is_idle()) {
            return Err("personal data");
        }
        let question = self.query.as_deref().and_then(|name| input.get(name));
        let question = question.and_then(Value::as_str).map(str::trim);
        let question = question.filter(|question| !question.is_empty());
        let words = question.map(Words::of).unwrap_or_default();
        let key = {
            let deciding = match words.says_something() {
                true => words.unordered(),
                false => question.into_iter().collect(),
            };
            let given = Given {
                embedder: &self.embedder,
                input,
                query: self.query.as_deref().filter(|_| question.is_some()),
                words: &deciding,
                sampling: &extras.sampling,
            };
            key::of(&given, cx)
        };
        Ok(Asked {
            key: key.ok_or("a caller without a name")?,
            question: question.unwrap_or_default().to_owned(),
            words,
            vector: Vec::new(),
        })
    }

    /// The least cosine, where the question can be compared with others.
    fn least_for(&self, asked: &Asked) -> Option<f32> {
        let is_comparable =
            asked.words.says_something() && asked.question.len() <= LONGEST_QUESTION;
        self.least.filter(|_| is_comparable)
    }
}

/// The vector of a question.
///
/// # Errors
/// The embedder's.
async fn vector(embedder: &dyn Embedder, question: &str) -> Result<Vec<f32>, CallError> {
    let vectors = embedder.embed(EmbedKind::Query, vec![question.to_owned()]);
    let vector = vectors.await?.into_iter().next();
    vector.ok_or_else(|| CallError::new(ErrorCode::Upstream, "the embedder gave no vector"))
}

impl PromptFunction {
    /// Looks for the answer to a call that found these passages. A failure to compare is no failure of the call.
    pub(crate) async fn look(
        &self,
        input: &Map<String, Value>,
        passages: &[Passage],
        extras: &Extras,
        cx: &CallContext,
    ) -> Looked {
        let Some(reuse) = &self.reuse else {
            return Looked::Nothing;
        };
        let (span, _) = cx.span(SpanKind::Step, STEP, Value::Null);
        let mut asked = match reuse.asked(input, extras, cx) {
            Ok(asked) => asked,
            Err(why) => {
                self.count_reuse("skipped");
                span.finish(json!({ "skipped": why }));
                return Looked::Nothing;
            }
        };
        let prints: Vec<Print> = passages.iter().map(print).collect();
        let is_good = |kept: &Kept| kept.is_borne_out(&prints);
        let mut found = reuse.with_shelf(|shelf| shelf.equal(&asked, Instant::now(), is_good));
        let mut failed = None;
        if found.is_none()
            && let Some(least) = reuse.least_for(&asked)
        {
            match vector(extras.deps.embedder.as_ref(), &asked.question).await {
                Ok(vector) => {
                    asked.vector = vector;
                    found = reuse
                        .with_shelf(|shelf| shelf.nearest(&asked, least, Instant::now(), is_good));
                }
                Err(error) => failed = Some(error.message),
            }
        }
        let Some(found) = found else {
            self.count_reuse("miss");
            let told = failed.map(|error| json!({ "hit": false, "not_compared": error }));
            span.finish(told.unwrap_or_else(|| json!({ "hit": false })));
            return Looked::Miss(Box::new(Seat {
                asked,
                meter: Arc::new(Meter::over(cx.sink())),
            }));
        };
        let (usage, similarity) = (found.kept.usage, f64::from(found.similarity));
        let kept = found.kept;
        self.count_reuse("hit");
        for (direction, tokens) in [
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
        ] {
            let name = self.signature.name.clone();
            metrics::counter!("praxis_function_cache_saved_tokens_total", "function" => name, "direction" => direction)
                .increment(tokens);
        }
        span.finish(json!({
            "hit": true,
            "similarity": (similarity * 1e4).round() / 1e4,
            "question": found.question,
            "trace_id": kept.trace,
            "saved": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cost_usd": kept.cost.0 as f64 / 1e6,
            },
        }));
        Looked::Hit(kept)
    }

    /// Tells the caller a kept answer, as one that a model has just written.
    pub(crate) async fn tell_again(&self, kept: &Kept, cx: &CallContext) {
        if self.output.format == OutputFormat::Json {
            cx.emit(CallEvent::Partial(kept.value.clone())).await;
        }
        let (text, logprobs) = (written(&kept.value), Vec::new());
        cx.emit(CallEvent::Delta { text, logprobs }).await;
        cx.emit(CallEvent::Finished {
            finish_reason: FinishReason::Stop,
            usage: Usage::default(),
        })
        .await;
        if !self.prompt.ours.technique.is_direct() {
            cx.emit(CallEvent::Concluded {
                reasoning: kept.reasoning.clone(),
                confidence: kept.confidence,
            })
            .await;
        }
    }

    /// Keeps the answer of a call that went well.
    pub(crate) fn keep(&self, keeping: Keeping) {
        let Some(reuse) = &self.reuse else {
            return;
        };
        let Keeping { asked, kept } = keeping;
        if kept.bytes() > MOST_ANSWER_BYTES {
            return;
        }
        let (is_kept, bytes) = reuse.with_shelf(|shelf| {
            let is_kept = shelf.put(asked, kept, Instant::now());
            (is_kept, shelf.bytes())
        });
        if is_kept {
            self.count_reuse("stored");
        }
        let name = self.signature.name.clone();
        metrics::gauge!("praxis_function_cache_bytes", "function" => name).set(bytes as f64);
    }

    fn count_reuse(&self, outcome: &'static str) {
        let name = self.signature.name.clone();
        metrics::counter!("praxis_function_cache_total", "function" => name, "outcome" => outcome)
            .increment(1);
    }
}

impl Seat {
    /// The same context, in which is counted what the answer takes.
    pub fn metered(&self, cx: &CallContext) -> CallContext {
        let meter: Arc<dyn TraceSink> = Arc::<Meter>::clone(&self.meter);
        cx.clone().with_sink(meter)
    }

    /// What the answer came to, if it is one to be given again: whole and as the model wrote it, with the majority
    /// where there was a vote, and without personal data.
    pub fn keeping(
        self,
        conclusion: &Conclusion,
        extras: &Extras,
        cx: &CallContext,
    ) -> Option<Keeping> {
        let has_majority = conclusion.confidence.is_none_or(|share| share > MAJORITY);
        let is_idle = extras.veil.as_ref().is_none_or(|veil| veil.is_idle());
        let is_unfit = extras.unfit.load(Ordering::Relaxed);
        let is_empty = written(&conclusion.output).trim().is_empty();
        if !has_majority || !is_idle || is_unfit || is_empty {
            return None;
        }
        let (usage, cost) = self.meter.spent();
        Some(Keeping {
            asked: self.asked,
            kept: Kept {
                value: conclusion.output.clone(),
                reasoning: conclusion.reasoning.clone(),
                confidence: conclusion.confidence,
                votes: conclusion.votes.clone(),
                cited: Vec::new(),
                read: Vec::new(),
                usage,
                cost,
                trace: cx.trace_id().clone(),
            },
        })
    }
}

impl Keeping {
    /// The same for an answer that cites some of the passages that it was written from. One that cites nothing is not
    /// kept: nothing would tell when the documents say something else.
    pub fn citing(mut self, citations: &[Citation], passages: &[Passage]) -> Option<Self> {
        let cited = citations.iter().map(|c| (c.number, print(&c.passage)));
        self.kept.cited = cited.collect();
        self.kept.read = passages.iter().map(print).collect();
        (!citations.is_empty()).then_some(self)
    }
}

/// Counts what the spans that it hands on took.
struct Meter {
    inner: Arc<dyn TraceSink>,
    spent: Mutex<(Usage, Money)>,
}

impl Meter {
    fn over(inner: Arc<dyn TraceSink>) -> Self {
        Self {
            inner,
            spent: Mutex::default(),
        }
    }

    fn spent(&self) -> (Usage, Money) {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TraceSink for Meter {
    fn record(&self, span: Span) {
        {
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            spent.0 += span.usage;
            spent.1 = spent.1 + span.cost;
        }
        self.inner.record(span);
    }
}

#[cfg(test)]
mod tests {
    use super::least;

    #[test]
    fn a_threshold_is_given_or_was_measured() {
        let e5 = "multilingual-e5-small@1571fc98";
        for (similar, identity, expected) in [
            (None, e5, Some(0.95)),
            (Some(0.9), e5, Some(0.9)),
            (Some(0.9), "other@1", Some(0.9)),
            (Some(1.0), e5, None),
            (None, "other@1", None),
            (None, "words", None),
            (None, "multilingual-e5-small@1571fc98+0a1b2c3d", None),
        ] {
            assert_eq!(least(similar, identity), expected, "{similar:?} {identity}");
        }
    }
}
