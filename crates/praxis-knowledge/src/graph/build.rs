//! Building a graph: chunks that were not read yet are asked of a chat model, several at a time, each written in a
//! transaction of its own; then names that are one entity are found. A build that is stopped, or killed, goes on
//! from where it was. Left out: what is asked (`prompt`) and what of the answer counts (`ground`).

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use praxis_core::embed::EmbedKind;
use praxis_core::trace::SpanKind;
use praxis_core::{
    CallContext, CallError, ChunkId, Clearance, EntityId, ErrorCode, ModelError, SpanStatus, Usage,
};
use praxis_store::{GraphChunk, NewExtraction, NewMention, NewTriple};
use serde_json::{Value, json};

use super::ground::{Ground, Grounded, Vocabulary, ground};
use super::prompt::{above, extraction, method};
use super::reading::read;
use super::resolve::{Bound, aliases};
use super::{GraphOptions, GraphProgress, GraphReport};
use crate::config::GraphConfig;
use crate::ingest::{FailedDocument, named};
use crate::knowledge::{Knowledge, internal};
use crate::search::assistant::{Answered, MOST_UNANSWERED, unusable};

/// Chunks that are read from the store at a time.
const PAGE: usize = 128;

/// Names that are embedded at a time.
const EMBED_BATCH: usize = 64;

/// One build.
struct Build<'a> {
    knowledge: &'a Knowledge,
    base: &'a str,
    config: &'a GraphConfig,
    vocabulary: Vocabulary,
    model: &'a str,
    /// Digest of what the extraction follows from.
    method: String,
}

/// What came of a chunk.
enum Read {
    /// It is written: triples, dropped ones, and whether the answer could not be read, or why there was none.
    Written {
        triples: u64,
        dropped: u64,
        failed: bool,
        refused: Option<Refused>,
        usage: Usage,
    },
    /// It went meanwhile.
    Gone,
    /// The model did not answer; another time it may.
    Unanswered(ModelError),
}

/// A chunk that the model refuses, or has no answer for.
struct Refused {
    chunk: ChunkId,
    reason: String,
}

impl Knowledge {
    /// Reads the chunks of the base `name` that its graph has nothing of yet.
    ///
    /// # Errors
    /// An unknown or empty base, one without a graph, a model that is unknown or not here, refuses whatever it is
    /// asked or does not answer several chunks in a row, a store that fails, or a call that was cancelled; what is
    /// done is kept, and the next build goes on from there.
    pub async fn build_graph(
        &self,
        name: &str,
        options: &GraphOptions,
        progress: &(dyn Fn(GraphProgress) + Sync),
        cx: &CallContext,
    ) -> Result<GraphReport, CallError> {
        let base = self.base(name)?;
        let config = &base.config.graph;
        if !config.enabled {
            let message = format!("the knowledge base `{name}` has no graph");
            return Err(CallError::new(ErrorCode::InvalidRequest, message).with_hint(format!(
                "write `[graph]` and `enabled = true` into knowledge/{name}.toml; it costs an answer of the \
                 model for each chunk"
            )));
        }
        if self.store().base(name).await.map_err(internal)?.is_none() {
            let message = format!("the knowledge base `{name}` is empty");
            return Err(CallError::new(ErrorCode::NotFound, message)
                .with_hint(format!("run `praxis ingest {name}`")));
        }
        let vocabulary = Vocabulary::of(config);
        let model = match config.model() {
            "" => options.default_model.as_str(),
            own => own,
        };
        let build = Build {
            knowledge: self,
            base: name,
            config,
            method: method(model, &vocabulary),
            vocabulary,
            model,
        };
        // Two builds of one base would read the same chunks.
        let _alone = self.lock(&format!("{name}.graph"), cx.cancel()).await?;
        let input = json!({ "base": name, "model": model, "limit": options.limit });
        let (span, inner) = cx.span(SpanKind::Step, "graph build", input);
        match build.run(options, progress, &inner).await {
            Ok(report) => {
                span.finish(json!(report));
                Ok(report)
            }
            Err(error) => {
                span.fail(&error);
                Err(error)
            }
        }
    }
}

impl Build<'_> {
    async fn run(
        &self,
        options: &GraphOptions,
        progress: &(dyn Fn(GraphProgress) + Sync),
        cx: &CallContext,
    ) -> Result<GraphReport, CallError> {
        let store = self.knowledge.store();
        let mut report = GraphReport {
            model: self.model.to_owned(),
            ..GraphReport::default()
        };
        let count = store
            .extraction_count(self.base, &self.method)
            .await
            .map_err(internal)?;
        let again = if options.retry { count.failed } else { 0 };
        let before = count.done - again;
        let most = options.limit.map_or(u64::MAX, |limit| limit as u64);
        let told = |report: &GraphReport| {
            progress(GraphProgress {
                done: before + report.extracted,
                chunks: count.chunks,
            });
        };
        told(&report);
        let (mut after, mut asked, mut in_a_row) = (0u64, 0u64, 0u64);
        while asked < most {
            let page = PAGE.min(usize::try_from(most - asked).unwrap_or(PAGE));
            let chunks = store
                .unextracted_chunks(self.base, &self.method, options.retry, after, page)
                .await
                .map_err(internal)?;
            let Some(last) = chunks.last() else {
                break;
            };
            after = last.number;
            asked += chunks.len() as u64;
            let mut reads = stream::iter(chunks)
                .map(|chunk| async move { self.read(&chunk, cx).await })
                .buffer_unordered(self.config.concurrency);
            while let Some(read) = reads.next().await {
                match read? {
                    Read::Written {
                        triples,
                        dropped,
                        failed,
                        refused,
                        usage,
                    } => {
                        if let Some(refused) = refused {
                            self.tell(refused, &mut report).await?;
                        }
                        report.extracted += 1;
                        report.triples += triples;
                        report.dropped += dropped;
                        report.failed += u64::from(failed);
                        report.usage += usage;
                        in_a_row = 0;
                    }
                    Read::Gone => {}
                    Read::Unanswered(error) => {
                        report.unanswered += 1;
                        in_a_row += 1;
                        if in_a_row >= MOST_UNANSWERED {
                            return Err(CallError::from(error).with_hint(
                                "what is done is kept: build again to go on, with fewer chunks at a time \
                                 (`graph.concurrency`) or more time (`graph.timeout_seconds`)",
                            ));
                        }
                    }
                }
                told(&report);
                if cx.cancel().is_cancelled() {
                    return Err(stopped());
                }
            }
        }
        report.aliases = self.resolve(cx).await?;
        let count = store
            .extraction_count(self.base, &self.method)
            .await
            .map_err(internal)?;
        report.left = count.chunks - count.done;
        Ok(report)
    }

    /// Reports the document of a chunk that the model refuses.
    async fn tell(&self, refused: Refused, report: &mut GraphReport) -> Result<(), CallError> {
        let store = self.knowledge.store();
        let found = store.chunk(&refused.chunk, &Clearance::Full).await;
        let Some(found) = found.map_err(internal)? else {
            return Ok(());
        };
        if report.refused.iter().all(|known| known.uri != found.uri) {
            report.refused.push(FailedDocument {
                uri: found.uri,
                reason: refused.reason,
                hint: None,
            });
        }
        Ok(())
    }

    /// Asks the model of one chunk, and writes what the chunk bears out.
    async fn read(&self, chunk: &GraphChunk, cx: &CallContext) -> Result<Read, CallError> {
        let (span, inner) = cx.span(SpanKind::Step, "extract", json!({ "chunk": chunk.id }));
        let above = above(&chunk.title, &chunk.headings);
        let on = Ground {
            text: &chunk.text,
            above: &above,
        };
        let limit: Duration = self.config.timeout();
        let prompt = extraction(on, &self.vocabulary);
        let assistant = self.knowledge.assistant();
        let answered = assistant
            .answer_in_batch(self.model, &prompt, limit, &inner)
            .await;
        let mut new = NewExtraction {
            method: self.method.clone(),
            model: self.model.to_owned(),
            ..NewExtraction::default()
        };
        let mut grounded = Grounded::default();
        let mut refused = None;
        match answered {
            Ok(Answered::Text(answer)) => {
                new.usage = answer.usage;
                let claims = read(&answer.text);
                grounded = ground(&claims, on, &self.vocabulary);
                if !claims.is_answer && grounded.names.is_empty() {
                    new.error = Some(unusable(&answer.text));
                }
            }
            Ok(Answered::Unfit(error)) => {
                new.error = Some(error.to_string());
                refused = Some(Refused {
                    chunk: chunk.id.clone(),
                    reason: error.to_string(),
                });
            }
            Ok(Answered::Not(error)) => {
                span.close(Value::Null, SpanStatus::Error(error.to_string()));
                return Ok(Read::Unanswered(error));
            }
            Err(ModelError::Cancelled) => {
                span.close(Value::Null, SpanStatus::Cancelled);
                return Err(stopped());
            }
            Err(error) => {
                span.fail(&error);
                return Err(named(error.into(), &chunk.title));
            }
        }
        new.dropped = grounded.dropped;
        self.fill(&mut new, grounded, chunk.start);
        let written = self
            .knowledge
            .store()
            .put_extraction(self.base, &chunk.id, &new)
            .await;
        if !written.map_err(internal)? {
            span.finish(json!({ "gone": true }));
            return Ok(Read::Gone);
        }
        let output = json!({
            "entities": new.mentions.len(), "triples": new.triples.len(), "dropped": new.dropped,
        });
        let failed = new.error.is_some();
        match new.error {
            None => span.finish(output),
            Some(error) => span.close(output, SpanStatus::Error(error)),
        }
        Ok(Read::Written {
            triples: new.triples.len() as u64,
            dropped: new.dropped,
            failed,
            refused,
            usage: new.usage,
        })
    }

    /// What a chunk bears out, as the store keeps it; the chunk begins at character `start` of its document.
    fn fill(&self, new: &mut NewExtraction, grounded: Grounded, start: usize) {
        let id = |kind: &str, key: &str| entity_id(self.base, kind, key);
        let ids: Vec<EntityId> = grounded.names.iter().map(|n| id(&n.kind, &n.key)).collect();
        new.triples = grounded
            .triples
            .into_iter()
            .map(|triple| NewTriple {
                subject: ids[triple.subject].clone(),
                relation: triple.relation,
                object: ids[triple.object].clone(),
                start: start + triple.start,
                end: start + triple.end,
            })
            .collect();
        new.mentions = grounded
            .names
            .into_iter()
            .zip(ids)
            .map(|(name, entity)| NewMention {
                entity,
                kind: name.kind,
                key: name.key,
                name: name.name,
            })
            .collect();
    }

    /// Finds the names that are one entity, and shows readers the graph as it is now. Returns how many pairs
    /// there are.
    async fn resolve(&self, cx: &CallContext) -> Result<usize, CallError> {
        let store = self.knowledge.store();
        let stored = store.base(self.base).await.map_err(internal)?;
        let identity = stored.map(|stored| stored.embedder).unwrap_or_default();
        let embedder = self.knowledge.embedder_of(self.base, &identity).await?;
        let bound = Bound::of(&identity, self.config.alias_cosine);
        let mut pairs = Vec::new();
        if let Some(embedder) = embedder.filter(|_| bound.is_any()) {
            let (span, _) = cx.span(SpanKind::Step, "resolve", json!({ "embedder": identity }));
            loop {
                let names = store
                    .unembedded_entities(self.base, &identity, EMBED_BATCH)
                    .await
                    .map_err(internal)?;
                if names.is_empty() || cx.cancel().is_cancelled() {
                    break;
                }
                let texts = names
                    .iter()
                    .map(|n| format!("{} ({})", n.name, n.kind))
                    .collect();
                let vectors = embedder.embed(EmbedKind::Raw, texts).await?;
                let vectors: Vec<_> = names.into_iter().map(|n| n.id).zip(vectors).collect();
                store
                    .put_entity_vectors(&identity, &vectors)
                    .await
                    .map_err(internal)?;
            }
            let names = store
                .entity_vectors(self.base, &identity)
                .await
                .map_err(internal)?;
            let names = Arc::new(names);
            let compared = Arc::clone(&names);
            let found = tokio::task::spawn_blocking(move || aliases(&compared, bound));
            let id = |at: usize| names.get(at).map(|n| n.id.clone());
            for (one, other, cosine) in found.await.map_err(internal)? {
                if let (Some(one), Some(other)) = (id(one), id(other)) {
                    pairs.push((one, other, cosine));
                }
            }
            span.finish(json!({ "names": names.len(), "aliases": pairs.len() }));
        }
        store
            .publish_graph(self.base, &pairs)
            .await
            .map_err(internal)?;
        Ok(pairs.len())
    }
}

fn stopped() -> CallError {
    CallError::new(ErrorCode::Cancelled, "the build of the graph was stopped")
        .with_hint("what is done is kept: build again to go on")
}

/// The id of a name of one type in one base.
pub(super) fn entity_id(base: &str, kind: &str, key: &str) -> EntityId {
    let mut hasher = blake3::Hasher::new();
    for part in [base, kind, key] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    EntityId::from_string(hasher.finalize().to_hex()[..24].to_owned())
}
