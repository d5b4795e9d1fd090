//! What a chat model writes about the chunks of a document before they are embedded: where they stand, and questions
//! that they answer. Each answer is kept at once, by a digest of all that was asked, so that no ingest asks twice.
//! Where the model does not answer, a document is written without, and the next ingest asks again; where it refuses a
//! chunk, the document is told, and nobody asks again. Left out: what is asked (`prompt`).

mod prompt;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};

use futures::{FutureExt, StreamExt, stream};
use praxis_core::embed::TokenCounter;
use praxis_core::trace::SpanKind;
use praxis_core::{CallContext, CallError, ModelError, SpanStatus, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use self::prompt::{Parts, lines, prompt};
use super::prepare::Prepared;
use super::settings::unfinished;
use super::{IngestEvent, stopped};
use crate::config::ContextConfig;
use crate::document::Segment;
use crate::knowledge::{Knowledge, internal};
use crate::search::assistant::{Answered, MOST_UNANSWERED, digest, unusable};
use crate::summary::beginning;

/// What models wrote about the chunks of an ingest.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct ContextReport {
    /// Chunks that a model wrote about this time.
    pub written: usize,
    /// Chunks of which what was written before still holds.
    pub known: usize,
    /// Chunks that the model refused, or of which its answer could not be used: they have no context.
    pub unusable: usize,
    /// Chunks that the model did not answer for: the next ingest asks again.
    pub missing: usize,
    /// Why it did not, the last time.
    pub reason: Option<String>,
    /// What the model read and wrote.
    pub usage: Usage,
}

/// What came of a chunk.
enum Wrote {
    Now(String, Usage),
    Before(String),
    /// Nothing, and another time it would be the same.
    Unusable(Usage),
    /// Nothing, for the model refuses what it is asked, and why.
    Refused(String),
    /// Nothing this time, and why; nothing is said of chunks that were not asked about.
    Not(Option<ModelError>),
    /// There was nothing to ask.
    Nothing,
}

/// Who writes about the chunks of one ingest.
pub(super) struct Writer<'a> {
    knowledge: &'a Knowledge,
    base: &'a str,
    config: &'a ContextConfig,
    counter: TokenCounter,
    /// The most tokens of what is written about a chunk.
    room: usize,
    /// Chunks in a row without an answer.
    in_a_row: AtomicU64,
}

/// A document whose chunks are written about.
struct Subject<'a> {
    uri: &'a str,
    title: &'a str,
    parts: Parts,
    /// What was written before, by digest.
    known: HashMap<String, String>,
}

impl<'a> Writer<'a> {
    /// The writer of an ingest, if the base wants one, for an embedder that counts so and has `room` for a chunk.
    pub fn of(
        knowledge: &'a Knowledge,
        base: &'a str,
        config: &'a ContextConfig,
        counter: &TokenCounter,
        room: usize,
    ) -> Option<Self> {
        config.enabled.then(|| Self {
            knowledge,
            base,
            config,
            counter: counter.clone(),
            room: config.reserve(room),
            in_a_row: AtomicU64::new(0),
        })
    }

    /// Gives the chunks of a document their contexts. Where one is missing, the document's settings say so; where the
    /// model refuses some, its notes do.
    ///
    /// # Errors
    /// A model that is unknown, not here or refuses whatever it is asked, a store that fails, or a call that was
    /// cancelled; what was written is kept.
    pub async fn write(
        &self,
        prepared: &mut Prepared,
        progress: &(dyn Fn(IngestEvent) + Sync),
        report: &mut ContextReport,
        cx: &CallContext,
    ) -> Result<(), CallError> {
        let uri = prepared.from.entry.uri.clone();
        let Ok(document) = &prepared.document else {
            return Ok(());
        };
        let segments = &prepared.segments;
        if segments.is_empty() {
            return Ok(());
        }
        let known = self.knowledge.store().written_contexts(self.base, &uri);
        let subject = Subject {
            uri: &uri,
            title: &document.title,
            parts: Parts::of(document, segments, self.config.window_tokens),
            known: known.await.map_err(internal)?,
        };
        let (asked, chunks) = (&subject, segments.len());
        let mut writing = stream::iter(0..chunks)
            // In a box: the compiler does not see by itself that these may move between threads.
            .map(|chunk| self.one(asked, segments, chunk, cx).boxed())
            .buffered(self.config.concurrency);
        let mut contexts = Vec::with_capacity(chunks);
        let mut used = BTreeSet::new();
        let missing = report.missing;
        let mut refused: Vec<String> = Vec::new();
        while let Some(wrote) = writing.next().await {
            let (digest, wrote) = wrote?;
            used.insert(digest);
            if let Wrote::Refused(reason) = &wrote {
                refused.push(reason.clone());
            }
            contexts.push(report.count(wrote));
            progress(IngestEvent::Contexts {
                uri: uri.clone(),
                done: contexts.len(),
                chunks,
            });
        }
        drop(writing);
        let stale = subject.known.into_keys().filter(|d| !used.contains(d));
        let stale: Vec<String> = stale.collect();
        prepared.contexts = contexts;
        if let (Some(first), Ok(document)) = (refused.first(), &mut prepared.document) {
            document.notes.push(format!(
                "the chat model gave nothing for {} of its {chunks} chunks, which have no context: {first}",
                refused.len()
            ));
        }
        if report.missing > missing {
            prepared.settings = unfinished(&prepared.settings);
            return Ok(());
        }
        let store = self.knowledge.store();
        let forgotten = store.forget_written_contexts(self.base, &uri, &stale);
        forgotten.await.map_err(internal)
    }

    /// What there is about one chunk, by the digest of what is asked; that of a chunk without a question is empty.
    async fn one(
        &self,
        subject: &Subject<'_>,
        segments: &[Segment],
        chunk: usize,
        cx: &CallContext,
    ) -> Result<(String, Wrote), CallError> {
        let passage = segments.get(chunk).map_or("", |s| s.text.as_str());
        let part = subject.parts.around(chunk);
        let only = segments.len() == 1;
        let Some(prompt) = prompt(part, passage, only, self.config) else {
            return Ok((String::new(), Wrote::Nothing));
        };
        let model = self.config.model();
        let digest = digest(model, &prompt);
        if let Some(text) = subject.known.get(&digest) {
            return Ok((digest, Wrote::Before(text.clone())));
        }
        if cx.cancel().is_cancelled() {
            return Err(stopped());
        }
        if self.in_a_row.load(Ordering::Relaxed) >= MOST_UNANSWERED {
            return Ok((digest, Wrote::Not(None)));
        }
        let input = json!({ "document": subject.uri, "title": subject.title, "passage": passage });
        let (span, inner) = cx.span(SpanKind::Step, "context", input);
        let assistant = self.knowledge.assistant();
        let asked = assistant.answer_in_batch(model, &prompt, self.config.timeout(), &inner);
        let (text, wrote, failure) = match asked.await {
            Ok(Answered::Text(answer)) => {
                let lines = lines(&answer.text, self.config.questions);
                if lines.is_empty() {
                    let wrote = Wrote::Unusable(answer.usage);
                    (String::new(), wrote, Some(unusable(&answer.text)))
                } else {
                    let text = self.fit(lines);
                    (text.clone(), Wrote::Now(text, answer.usage), None)
                }
            }
            Ok(Answered::Unfit(error)) => {
                let reason = error.to_string();
                (String::new(), Wrote::Refused(reason.clone()), Some(reason))
            }
            Ok(Answered::Not(error)) => {
                self.in_a_row.fetch_add(1, Ordering::Relaxed);
                span.close(Value::Null, SpanStatus::Error(error.to_string()));
                return Ok((digest, Wrote::Not(Some(error))));
            }
            Err(ModelError::Cancelled) => {
                span.close(Value::Null, SpanStatus::Cancelled);
                return Err(stopped());
            }
            Err(error) => {
                span.fail(&error);
                return Err(error.into());
            }
        };
        self.in_a_row.store(0, Ordering::Relaxed);
        let store = self.knowledge.store();
        let kept = store.put_written_context(self.base, subject.uri, &digest, &text);
        kept.await.map_err(internal)?;
        let output = json!({ "context": text });
        match failure {
            None => span.finish(output),
            Some(failure) => span.close(output, SpanStatus::Error(failure)),
        }
        Ok((digest, wrote))
    }

    /// As much of the lines as the embedder has room for: the last go first.
    fn fit(&self, mut lines: Vec<String>) -> String {
        while lines.len() > 1 && (self.counter)(&lines.join("\n")) > self.room {
            lines.pop();
        }
        let text = lines.join("\n");
        beginning(&text, self.room, &self.counter)
    }
}

impl ContextReport {
    /// Notes what came of a chunk, and returns its context.
    fn count(&mut self, wrote: Wrote) -> String {
        match wrote {
            Wrote::Now(text, usage) => {
                self.written += 1;
                self.usage += usage;
                text
            }
            // Answers that could not be used are kept too, so that they are not asked for again.
            Wrote::Before(text) if text.is_empty() => {
                self.unusable += 1;
                text
            }
            Wrote::Before(text) => {
                self.known += 1;
                text
            }
            Wrote::Unusable(usage) => {
                self.unusable += 1;
                self.usage += usage;
                String::new()
            }
            Wrote::Refused(_) => {
                self.unusable += 1;
                String::new()
            }
            Wrote::Not(error) => {
                self.missing += 1;
                self.reason = error.map(|e| e.to_string()).or(self.reason.take());
                String::new()
            }
            Wrote::Nothing => String::new(),
        }
    }
}
