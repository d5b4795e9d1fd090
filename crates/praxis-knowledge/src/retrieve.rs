//! Searching a base: passages and documents with their relevance, and the spans that tell of it. Left out:
//! the ranking itself (`search`), and what models make of the question (`understand`).

mod understand;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use async_trait::async_trait;
use praxis_core::embed::EmbedKind;
use praxis_core::trace::SpanKind;
use praxis_core::{
    CallContext, CallError, ChunkId, Clearance, DocumentId, Embedder, ErrorCode, Language, Passage,
    Query, Retrieval, Retriever,
};
use praxis_store::{Base as StoredBase, FoundChunk};
use serde::Serialize;
use serde_json::json;

use crate::analyze::{Terms, analyze, analyze_question};
use crate::config::SearchConfig;
use crate::functions::search_name;
use crate::graph::GraphHits;
use crate::ingest::indexed_text;
use crate::keyword::coverage;
use crate::knowledge::{Base, Knowledge, Maker, Snapshot, internal, other_embedder, passage};
use crate::relevance::{Calibration, calibration};
use crate::scope::{Scope, Scoping};
use crate::search::Search;
use crate::search::diversity::diverse;
use crate::search::expand::expand;
use crate::search::fusion::{Ranked, blend};
use crate::search::lanes::{DEPTH, depth};
use crate::search::rerank::reranked;
use understand::Understood;

/// How long a search waits for the indexes where it met documents that are being replaced: as long as an ingest usually
/// takes to write and index some.
const REPLACED: Duration = Duration::from_secs(5);

/// Between two looks at whether the indexes are up to the store.
const LOOK: Duration = Duration::from_millis(50);

/// A document that a search found.
#[derive(Debug, Clone, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FoundDocument {
    /// The document.
    pub document: DocumentId,
    /// Its title.
    pub title: String,
    /// Its path relative to its source.
    pub uri: String,
    /// Fused score; comparable within one search only.
    pub score: f32,
    /// Its best passage, where one was found.
    pub passage: Option<Passage>,
}

/// Documents of a search, best first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct FoundDocuments {
    /// The documents.
    pub documents: Vec<FoundDocument>,
    /// Relevance of a passage below which a question counts as outside of the documents.
    pub threshold: f32,
    /// The question that was searched for, where the conversation was read into it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
}

/// A base that is ready to be searched.
pub(crate) struct Opened {
    pub base: Arc<Base>,
    pub snapshot: Arc<Snapshot>,
    pub embedder: Arc<dyn Embedder>,
    /// The base as the store had it before the snapshot was taken.
    stored: StoredBase,
}

/// A question, analyzed, to estimate relevance with.
struct Asked<'a> {
    snapshot: &'a Snapshot,
    terms: Terms,
    vector: Vec<f32>,
    language: Language,
    calibration: Calibration,
}

impl Asked<'_> {
    fn passage(&self, found: FoundChunk, score: f32) -> Passage {
        let text = indexed_text(&found.title, &found.chunk.headings, &found.chunk.text);
        let vectors = &self.snapshot.indexes.vectors;
        let cosine = vectors.cosine(&found.chunk.id, &self.vector).unwrap_or(0.0);
        let covered = coverage(&self.terms, &analyze(&text));
        let language = Language::of(&found.chunk.text);
        let relevance = self
            .calibration
            .estimate(self.language, language, cosine, covered);
        passage(found, score, relevance)
    }
}

impl Opened {
    /// Vectors of questions.
    pub async fn embed(&self, questions: Vec<String>) -> Result<Vec<Vec<f32>>, CallError> {
        Ok(self.embedder.embed(EmbedKind::Query, questions).await?)
    }

    /// What a query may see of the base `name`.
    async fn scope(
        &self,
        knowledge: &Knowledge,
        name: &str,
        query: &Query,
        clearance: &Clearance,
    ) -> Result<Scope, CallError> {
        let scoping = Scoping {
            store: knowledge.store(),
            base: name,
            revision: self.stored.revision,
            is_current: self.snapshot.generation == self.stored.generation,
            indexes: &self.snapshot.indexes,
            scopes: &self.snapshot.scopes,
        };
        scoping.scope(query.filter.as_ref(), clearance).await
    }

    fn search<'a>(
        &'a self,
        knowledge: &'a Knowledge,
        settings: &'a SearchConfig,
        limit: usize,
        scope: &'a Scope,
    ) -> Search<'a> {
        Search {
            indexes: &self.snapshot.indexes,
            store: knowledge.store(),
            settings,
            depth: depth(limit),
            scope,
            graph: None,
            met_gone: AtomicBool::new(false),
        }
    }

    /// What the graph has for a question, as a search takes it.
    fn lane<'a>(&self, hits: &'a GraphHits) -> Option<(&'a GraphHits, f32)> {
        (!hits.chunks.is_empty()).then_some((hits, self.base.config.graph.weight))
    }

    /// Chunks of all documents under these settings, for a question with its vector and what the graph has
    /// for it.
    pub async fn chunks(
        &self,
        knowledge: &Knowledge,
        settings: &SearchConfig,
        terms: &Terms,
        vector: Vec<f32>,
        graph: &GraphHits,
    ) -> Result<Vec<(ChunkId, f32)>, CallError> {
        let all = Scope::all();
        let mut search = self.search(knowledge, settings, DEPTH, &all);
        search.graph = self.lane(graph);
        search.chunks(terms, vector).await
    }
}

impl Knowledge {
    /// Opens a base for searches.
    pub(crate) async fn opened(&self, name: &str) -> Result<Opened, CallError> {
        let base = self.base(name)?;
        self.note_use(name, &base).await;
        let found = self.snapshot(name).await?;
        let is_empty = match &found {
            Some((snapshot, _)) => self.has_nothing(name, &base, snapshot).await?,
            None => true,
        };
        let Some((snapshot, stored)) = found.filter(|_| !is_empty) else {
            let hint = match base.maker {
                Maker::Application => format!("run `praxis ingest {name}`"),
                Maker::Client { .. } => "add files to the vector store first".to_owned(),
            };
            return Err(CallError::new(
                ErrorCode::NotFound,
                format!("the knowledge base `{name}` is empty"),
            )
            .with_hint(hint));
        };
        // Equal dimensions prove nothing: two models of 384 would give nonsense without a word.
        let embedder = self.embedder_of(name, &snapshot.embedder).await?;
        let configured = self.embedder(&base.config)?;
        if snapshot.indexes.vectors.len() > 0 && embedder.is_none() {
            return Err(other_embedder(
                name,
                &snapshot.embedder,
                &configured.identity(),
            ));
        }
        Ok(Opened {
            base,
            snapshot,
            embedder: embedder.unwrap_or(configured),
            stored,
        })
    }

    /// Whether a base of the application has no document, whoever may see it: as after a first ingest that failed. A
    /// vector store may be empty.
    async fn has_nothing(
        &self,
        name: &str,
        base: &Base,
        snapshot: &Snapshot,
    ) -> Result<bool, CallError> {
        if matches!(base.maker, Maker::Client { .. }) || snapshot.indexes.vectors.len() > 0 {
            return Ok(false);
        }
        let counts = self.store().document_counts(name, &Clearance::Full).await;
        Ok(counts.map_err(internal)?.documents == 0)
    }

    /// The same for a call, whose caller pays for what is embedded where the base is a vector store.
    async fn opened_for(&self, name: &str, cx: &CallContext) -> Result<Opened, CallError> {
        let mut opened = self.opened(name).await?;
        let moved = opened.stored.embedder_name.as_deref();
        let identity = opened.embedder.identity();
        if let Some(paid) = self.paid_embedder(&opened.base, moved, &identity, cx) {
            opened.embedder = paid;
        }
        Ok(opened)
    }

    /// Looks for something in a base. It looks once more where it met a damaged index that is mended by now; and where
    /// some of what it met is gone from the store, because documents are being replaced at this moment, as soon as
    /// what replaces them is indexed.
    async fn looked<T, Looking>(
        &self,
        name: &str,
        cx: &CallContext,
        look: impl Fn() -> Looking,
    ) -> Result<T, CallError>
    where
        Looking: Future<Output = Result<(T, Option<Arc<Snapshot>>), CallError>>,
    {
        self.known_base(name, &cx.caller().clearance)?;
        let (mut found, stale) = match look().await {
            Ok(found) => found,
            Err(error) => {
                self.mended(name, error).await?;
                look().await?
            }
        };
        if let Some(stale) = stale
            && self.is_replaced(name, &stale).await?
        {
            (found, _) = look().await?;
        }
        Ok(found)
    }

    /// Waits for a while until searches use another snapshot of a base than a stale one; whether they do.
    async fn is_replaced(&self, name: &str, stale: &Arc<Snapshot>) -> Result<bool, CallError> {
        let ends = tokio::time::Instant::now() + REPLACED;
        loop {
            let Some((now, stored)) = self.snapshot(name).await? else {
                return Ok(false);
            };
            if now.generation >= stored.generation {
                return Ok(!Arc::ptr_eq(&now, stale));
            }
            if tokio::time::Instant::now() >= ends {
                return Ok(false);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Passages, and the snapshot that found them, where some that it found are gone from the store.
    async fn passages_of(
        &self,
        name: &str,
        query: &Query,
        cx: &CallContext,
    ) -> Result<(Retrieval, Option<Arc<Snapshot>>), CallError> {
        let clearance = &cx.caller().clearance;
        let opened = self.opened_for(name, cx).await?;
        let settings = opened.base.config.search.with(&query.options)?;
        let threshold = opened.threshold();
        // Before any model is asked: what it depends on is what the caller may know.
        let scope = opened.scope(self, name, query, clearance).await?;
        let Understood {
            question,
            asked,
            probes,
        } = self
            .understood(&opened, query, &settings, &scope, cx)
            .await?;
        let Some(asked) = asked else {
            let nothing = Retrieval {
                threshold,
                question,
                ..Retrieval::default()
            };
            return Ok((nothing, None));
        };
        let text = question.as_deref().unwrap_or(&query.text);
        let graph = self.graph_hits(name, &opened, text, &scope, cx).await?;
        let mut search = opened.search(self, &settings, query.limit, &scope);
        search.graph = opened.lane(&graph);
        let mut rankings = Vec::with_capacity(probes.len());
        for probe in probes {
            rankings.push((
                search.chunks(&probe.terms, probe.vector).await?,
                probe.weight,
            ));
        }
        let ranked = blend(&rankings, settings.fusion);
        let first = ranked.iter().take(settings.reads());
        let texts = self
            .texts(first.map(|(id, _)| Some(id.clone())).collect(), clearance)
            .await?;
        let ranked = reranked(&self.judges(), text, ranked, texts, &settings.rerank, cx).await?;
        let vectors = &opened.snapshot.indexes.vectors;
        let vectors = |some: &[(ChunkId, f32)]| vectors.of(some.iter().map(|(id, _)| id));
        let ranked = spread(ranked, query.limit, settings.diversity, vectors);
        let mut passages = Vec::new();
        let mut are_gone = scope.lacks_replaced() || search.met_gone.into_inner();
        for (id, score) in ranked {
            if passages.len() == query.limit {
                break;
            }
            // A chunk that went away since the snapshot is passed over.
            let found = self.store().chunk(&id, clearance).await;
            match found.map_err(internal)? {
                Some(found) => passages.push(asked.passage(found, score)),
                None => are_gone = true,
            }
        }
        if settings.expand_tokens > 0 {
            let counter = opened.embedder.token_counter().await?;
            let tokens = settings.expand_tokens;
            passages = expand(passages, tokens, self.store(), clearance, &counter).await?;
        }
        let retrieval = Retrieval {
            passages,
            threshold,
            question,
        };
        Ok((retrieval, are_gone.then(|| Arc::clone(&opened.snapshot))))
    }

    /// The best documents of base `name` for `query`, each with its best passage. Records a
    /// retrieval span.
    ///
    /// # Errors
    /// As [`Retriever::search`].
    pub async fn search_documents(
        &self,
        name: &str,
        query: &Query,
        cx: &CallContext,
    ) -> Result<FoundDocuments, CallError> {
        let mut input = traced(query);
        input["level"] = json!("document");
        let (span, inner) = cx.span(SpanKind::Retrieval, name, input);
        match self
            .looked(name, &inner, || self.ranked_documents(name, query, &inner))
            .await
        {
            Ok(found) => {
                let read = found.documents.iter().map(|d| {
                    let text = d.passage.as_ref().map_or("", |p| p.text.as_str());
                    (d.uri.as_str(), text)
                });
                self.note_read(name, read, cx);
                let hits: Vec<_> = found
                    .documents
                    .iter()
                    .map(|d| json!({ "document": d.document, "uri": d.uri, "score": d.score }))
                    .collect();
                span.finish(json!({ "documents": hits, "threshold": found.threshold }));
                Ok(found)
            }
            Err(error) => {
                span.fail(&error);
                Err(error)
            }
        }
    }

    /// Notes which documents of a base were read that it does not trust, by their URIs and texts: the call tree has
    /// read what comes from outside.
    fn note_read<'t>(
        &self,
        name: &str,
        read: impl Iterator<Item = (&'t str, &'t str)>,
        cx: &CallContext,
    ) {
        let Ok(base) = self.base(name) else {
            return;
        };
        for (uri, text) in read.filter(|(uri, _)| !base.config.trusts(uri)) {
            cx.taint().note_links(&json!([uri, text]));
            cx.taint().mark(&search_name(name));
        }
    }

    /// Documents, and the snapshot that found them, where some of them, or their best passages, are gone from the
    /// store.
    async fn ranked_documents(
        &self,
        name: &str,
        query: &Query,
        cx: &CallContext,
    ) -> Result<(FoundDocuments, Option<Arc<Snapshot>>), CallError> {
        let clearance = &cx.caller().clearance;
        let opened = self.opened_for(name, cx).await?;
        let settings = opened.base.config.search.with(&query.options)?;
        let threshold = opened.threshold();
        let scope = opened.scope(self, name, query, clearance).await?;
        let (mut documents, mut are_gone) = (Vec::new(), false);
        let Understood {
            question,
            asked,
            probes,
        } = self
            .understood(&opened, query, &settings, &scope, cx)
            .await?;
        if let Some(asked) = asked {
            let text = question.as_deref().unwrap_or(&query.text);
            let graph = self.graph_hits(name, &opened, text, &scope, cx).await?;
            let mut search = opened.search(self, &settings, query.limit, &scope);
            search.graph = opened.lane(&graph);
            // The best passage of a document is that of the question itself, where it has one.
            let mut best: HashMap<DocumentId, ChunkId> = HashMap::new();
            let mut rankings = Vec::with_capacity(probes.len());
            for probe in probes {
                let found = search.documents(&probe.terms, probe.vector).await?;
                let mut ranking = Vec::with_capacity(found.len());
                for (document, score, chunk) in found {
                    if let Some(chunk) = chunk {
                        best.entry(document.clone()).or_insert(chunk);
                    }
                    ranking.push((document, score));
                }
                rankings.push((ranking, probe.weight));
            }
            are_gone = scope.lacks_replaced() || search.met_gone.into_inner();
            let ranked = blend(&rankings, settings.fusion);
            let first = ranked.iter().take(settings.reads());
            let texts = self
                .texts(
                    first.map(|(id, _)| best.get(id).cloned()).collect(),
                    clearance,
                )
                .await?;
            let ranked =
                reranked(&self.judges(), text, ranked, texts, &settings.rerank, cx).await?;
            let vectors = &opened.snapshot.indexes.vectors;
            let vectors =
                |some: &[(DocumentId, f32)]| vectors.of_summaries(some.iter().map(|(id, _)| id));
            let ranked = spread(ranked, query.limit, settings.diversity, vectors);
            for (document, score) in ranked {
                let chunk = best.remove(&document);
                if documents.len() == query.limit {
                    break;
                }
                // One that went away since the snapshot is passed over.
                let head = self.store().head(&document, clearance).await;
                let Some(head) = head.map_err(internal)? else {
                    are_gone = true;
                    continue;
                };
                let found = match chunk {
                    Some(chunk) => {
                        let found = self.store().chunk(&chunk, clearance).await;
                        let found = found.map_err(internal)?;
                        are_gone |= found.is_none();
                        found
                    }
                    None => None,
                };
                documents.push(FoundDocument {
                    document,
                    title: head.title,
                    uri: head.uri,
                    score,
                    passage: found.map(|f| asked.passage(f, score)),
                });
            }
            if settings.expand_tokens > 0 {
                let counter = opened.embedder.token_counter().await?;
                let tokens = settings.expand_tokens;
                for document in &mut documents {
                    // Each is of a document of its own, so none is left out for another.
                    let passage = document.passage.take().into_iter().collect();
                    let grown = expand(passage, tokens, self.store(), clearance, &counter).await?;
                    document.passage = grown.into_iter().next();
                }
            }
        }
        let found = FoundDocuments {
            documents,
            threshold,
            question,
        };
        Ok((found, are_gone.then(|| Arc::clone(&opened.snapshot))))
    }
}

impl Opened {
    fn calibration(&self) -> Calibration {
        calibration(&self.embedder.identity())
    }

    fn threshold(&self) -> f32 {
        let configured = self.base.config.search.threshold;
        configured.unwrap_or(self.calibration().threshold)
    }

    /// The question with its vector; `None` where there is nothing to ask, or nobody.
    async fn ask(&self, query: &str) -> Result<Option<Asked<'_>>, CallError> {
        if self.snapshot.indexes.vectors.len() == 0 || query.trim().is_empty() {
            return Ok(None);
        }
        let vector = self.embed(vec![query.to_owned()]).await?.pop();
        Ok(Some(Asked {
            snapshot: &self.snapshot,
            terms: analyze_question(query),
            vector: vector.unwrap_or_default(),
            language: Language::of(query),
            calibration: self.calibration(),
        }))
    }
}

/// The first results such that they do not repeat each other, where that is wanted: by the vectors that `vectors` gives
/// of some.
fn spread<Id: Clone + Eq + Hash>(
    ranked: Ranked<Id>,
    limit: usize,
    diversity: f32,
    vectors: impl FnOnce(&[(Id, f32)]) -> HashMap<Id, Vec<f32>>,
) -> Ranked<Id> {
    if diversity <= 0.0 {
        return ranked;
    }
    let candidates = &ranked[..ranked.len().min(DEPTH.max(limit))];
    let vectors = vectors(candidates);
    let vector = |id: &Id| vectors.get(id).map(Vec::as_slice);
    diverse(candidates, limit, diversity, vector)
}

/// A query as its span shows it.
fn traced(query: &Query) -> serde_json::Value {
    let mut shown = json!({ "query": query.text, "limit": query.limit });
    if let Some(filter) = &query.filter {
        shown["filter"] = json!(filter);
    }
    shown
}

#[async_trait]
impl Retriever for Knowledge {
    async fn search(
        &self,
        knowledge: &str,
        query: &Query,
        cx: &CallContext,
    ) -> Result<Retrieval, CallError> {
        let (span, inner) = cx.span(SpanKind::Retrieval, knowledge, traced(query));
        match self
            .looked(knowledge, &inner, || {
                self.passages_of(knowledge, query, &inner)
            })
            .await
        {
            Ok(retrieval) => {
                let read = retrieval.passages.iter();
                let read = read.map(|p| (p.uri.as_str(), p.text.as_str()));
                self.note_read(knowledge, read, cx);
                let hits: Vec<_> = retrieval
                    .passages
                    .iter()
                    .map(|p| {
                        json!({ "chunk": p.chunk, "uri": p.uri, "start": p.start, "end": p.end,
                                "score": p.score, "relevance": p.relevance })
                    })
                    .collect();
                span.finish(json!({ "passages": hits, "threshold": retrieval.threshold }));
                Ok(retrieval)
            }
            Err(error) => {
                span.fail(&error);
                Err(error)
            }
        }
    }
}
