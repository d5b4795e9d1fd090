//! Asking a graph: an entity with its triples, the way from one entity to another, how large it is, an export,
//! and saying that two names are one entity. Every answer is of the documents that the caller may read, and a
//! name that stands in no such document is as unknown as one that stands nowhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use praxis_core::suggest::nearest;
use praxis_core::trace::SpanKind;
use praxis_core::{CallContext, CallError, Clearance, ErrorCode};
use praxis_store::HandMerge;
use serde_json::json;

use super::export::{GraphFormat, export};
use super::lane::{self, GraphHits};
use super::path::shortest;
use super::view::{Triple, View};
use super::{
    ExtractionStats, GraphAnswer, GraphEntity, GraphSize, GraphStats, GraphTriple, Provenance,
};
use crate::knowledge::{Knowledge, internal};
use crate::retrieve::Opened;
use crate::scope::{Scope, Scoping};

/// Quotes of one triple that are shown.
const MOST_QUOTES: usize = 5;

/// The most triples of a way from one entity to another.
const MOST_DEPTH: usize = 8;

/// Triples, or entities, of one answer at most.
const MOST_ANSWERS: usize = 1_000;

/// Names that are looked at for one that was meant.
const MOST_NAMES: usize = 20_000;

fn invalid(message: String) -> CallError {
    CallError::new(ErrorCode::InvalidRequest, message)
}

impl Knowledge {
    /// What the graph of a base says of an entity, of up to `limit` triples; without a name, the most frequent
    /// entities.
    ///
    /// # Errors
    /// A base that is unknown or not for the caller to know of, which is told alike, an empty one, a name that no
    /// entity has, or a store that fails.
    pub async fn graph(
        &self,
        base: &str,
        entity: Option<&str>,
        limit: usize,
        clearance: &Clearance,
    ) -> Result<GraphAnswer, CallError> {
        let view = self.graph_view(base, clearance).await?;
        let limit = limit.min(MOST_ANSWERS);
        let Some(name) = entity else {
            let first = view.entities.len().min(limit);
            return Ok(GraphAnswer {
                entities: (0u32..).take(first).map(|at| shown(&view, at)).collect(),
                ..GraphAnswer::default()
            });
        };
        let named = resolved(&view, base, name)?;
        let mut places: Vec<u32> = named
            .iter()
            .flat_map(|entity| view.of.get(*entity as usize).into_iter().flatten().copied())
            .collect();
        places.sort_unstable();
        places.dedup();
        let mut triples: Vec<&Triple> = places
            .iter()
            .filter_map(|at| view.triples.get(*at as usize))
            .collect();
        triples.sort_by_key(|triple| std::cmp::Reverse(triple.statements.len()));
        let more = triples.len().saturating_sub(limit);
        triples.truncate(limit);
        Ok(GraphAnswer {
            entities: named.iter().map(|at| shown(&view, *at)).collect(),
            triples: self.told(&view, &triples, clearance).await?,
            more,
        })
    }

    /// The shortest way from one entity to another, over at most `depth` triples; `None` where there is none.
    ///
    /// # Errors
    /// As [`Knowledge::graph`], and a depth out of its range.
    pub async fn graph_path(
        &self,
        base: &str,
        (from, to): (&str, &str),
        depth: usize,
        clearance: &Clearance,
    ) -> Result<Option<Vec<GraphTriple>>, CallError> {
        if !(1..=MOST_DEPTH).contains(&depth) {
            let error = invalid(format!("`depth` is {depth}"));
            return Err(error.with_hint(format!("choose a number between 1 and {MOST_DEPTH}")));
        }
        let view = self.graph_view(base, clearance).await?;
        let (from, to) = (resolved(&view, base, from)?, resolved(&view, base, to)?);
        let Some(way) = shortest(&view, from, to, depth) else {
            return Ok(None);
        };
        let triples: Vec<&Triple> = way
            .iter()
            .filter_map(|at| view.triples.get(*at as usize))
            .collect();
        self.told(&view, &triples, clearance).await.map(Some)
    }

    /// How large the graph of a base is.
    ///
    /// # Errors
    /// An unknown or empty base, or a store that fails.
    pub async fn graph_size(
        &self,
        base: &str,
        clearance: &Clearance,
    ) -> Result<GraphSize, CallError> {
        let view = self.graph_view(base, clearance).await?;
        let counted = |terms: &mut dyn Iterator<Item = &str>| {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for term in terms {
                *counts.entry(term).or_default() += 1;
            }
            let mut counts: Vec<(String, usize)> = counts
                .into_iter()
                .map(|(term, count)| (term.to_owned(), count))
                .collect();
            counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            counts
        };
        Ok(GraphSize {
            entities: view.entities.len(),
            triples: view.triples.len(),
            chunks: view.chunks,
            types: counted(&mut view.entities.iter().map(|e| e.kind.as_str())),
            relations: counted(&mut view.triples.iter().map(|t| t.relation.as_str())),
        })
    }

    /// The same, and what its chunks gave: a walk over all of them.
    ///
    /// # Errors
    /// Those of [`Knowledge::graph_size`].
    pub async fn graph_stats(
        &self,
        base: &str,
        clearance: &Clearance,
    ) -> Result<GraphStats, CallError> {
        let size = self.graph_size(base, clearance).await?;
        let extractions = if clearance.is_full() {
            self.store().extractions(base).await.map_err(internal)?
        } else {
            Vec::new()
        };
        let extractions = extractions.into_iter().map(|of| ExtractionStats {
            model: of.model,
            chunks: of.count.done,
            failed: of.count.failed,
            dropped: of.count.dropped,
            usage: of.usage,
        });
        Ok(GraphStats {
            size,
            extractions: extractions.collect(),
        })
    }

    /// The graph of a base as a file's text.
    ///
    /// # Errors
    /// An unknown or empty base, or a store that fails.
    pub async fn graph_export(
        &self,
        base: &str,
        format: GraphFormat,
        clearance: &Clearance,
    ) -> Result<String, CallError> {
        let view = self.graph_view(base, clearance).await?;
        tokio::task::spawn_blocking(move || export(&view, format))
            .await
            .map_err(internal)
    }

    /// Keeps that two names of one type are one entity, over all builds to come; `undo` takes that back.
    /// Returns whether anything changed.
    ///
    /// # Errors
    /// A name that no entity has, or that entities of several types have in common, names of different types, or
    /// a store that fails.
    pub async fn merge_entities(
        &self,
        base: &str,
        (one, other): (&str, &str),
        undo: bool,
    ) -> Result<bool, CallError> {
        let view = self.graph_view(base, &Clearance::Full).await?;
        let (first, second) = (resolved(&view, base, one)?, resolved(&view, base, other)?);
        let kind = |at: &u32| {
            view.entities
                .get(*at as usize)
                .map_or("", |e| e.kind.as_str())
        };
        let common: Vec<&str> = first
            .iter()
            .map(kind)
            .filter(|of_first| second.iter().any(|at| kind(at) == *of_first))
            .collect();
        if common.is_empty() {
            let kinds = |of: &[u32]| of.iter().map(kind).collect::<Vec<_>>().join(", ");
            let message = format!(
                "`{one}` is of type {}, and `{other}` of type {}: things of different types are never one",
                kinds(first),
                kinds(second)
            );
            return Err(
                invalid(message).with_hint("name types in `graph.entities`, and build anew")
            );
        }
        let (one, other) = (super::names::normalize(one), super::names::normalize(other));
        if one == other {
            return Err(invalid("both names are one already".to_owned()));
        }
        let mut changed = false;
        for kind in common {
            let merge = HandMerge {
                kind: kind.to_owned(),
                one: one.clone(),
                other: other.clone(),
            };
            let store = self.store();
            let done = match undo {
                false => store.put_merge(base, &merge).await,
                true => store.remove_merge(base, &merge).await,
            };
            changed |= done.map_err(internal)?;
        }
        Ok(changed)
    }

    /// The chunks that the graph of a base has for a question, where its lane has a say.
    ///
    /// # Errors
    /// A store that fails.
    pub(crate) async fn graph_hits(
        &self,
        name: &str,
        opened: &Opened,
        question: &str,
        scope: &Scope,
        cx: &CallContext,
    ) -> Result<GraphHits, CallError> {
        let config = &opened.base.config.graph;
        if !config.enabled || config.weight <= 0.0 {
            return Ok(GraphHits::default());
        }
        let input = json!({ "question": question, "weight": config.weight });
        let (span, _) = cx.span(SpanKind::Step, "graph", input);
        let generation = opened.snapshot.generation;
        let views = &opened.base.graph;
        let hits = match views.view(self.store(), name, generation, scope).await {
            Ok(view) => lane::search(&view, question),
            Err(error) => {
                span.fail(&error);
                return Err(error);
            }
        };
        span.finish(json!({ "entities": hits.entities, "chunks": hits.chunks.len() }));
        Ok(hits)
    }

    /// The graph of a base as a caller may see it.
    async fn graph_view(&self, name: &str, clearance: &Clearance) -> Result<Arc<View>, CallError> {
        let base = self.known_base(name, clearance)?;
        let Some((snapshot, stored)) = self.snapshot(name).await? else {
            let message = format!("the knowledge base `{name}` is empty");
            return Err(CallError::new(ErrorCode::NotFound, message)
                .with_hint(format!("run `praxis ingest {name}`")));
        };
        let scoping = Scoping {
            store: self.store(),
            base: name,
            revision: stored.revision,
            is_current: snapshot.generation == stored.generation,
            indexes: &snapshot.indexes,
            scopes: &snapshot.scopes,
        };
        let scope = scoping.scope(None, clearance).await?;
        base.graph
            .view(self.store(), name, snapshot.generation, &scope)
            .await
    }

    /// Triples with their first quotes. A document that went, or changed its labels, since the view was made is
    /// passed over.
    async fn told(
        &self,
        view: &View,
        triples: &[&Triple],
        clearance: &Clearance,
    ) -> Result<Vec<GraphTriple>, CallError> {
        let mut told = Vec::with_capacity(triples.len());
        for triple in triples {
            let mut provenance = Vec::new();
            for (row, place) in view.statements(triple).take(MOST_QUOTES) {
                let text = self
                    .store()
                    .text(&place.document, row.start, row.end, clearance);
                let quote = text.await.map_err(internal)?;
                if !quote.is_empty() {
                    provenance.push(Provenance {
                        chunk: place.chunk.clone(),
                        document: place.document.clone(),
                        uri: place.uri.clone(),
                        start: row.start,
                        end: row.end,
                        quote,
                    });
                }
            }
            let end = |at: u32| {
                let entity = view.entities.get(at as usize);
                entity
                    .map(|e| (e.name.clone(), e.kind.clone()))
                    .unwrap_or_default()
            };
            let (subject, subject_type) = end(triple.subject);
            let (object, object_type) = end(triple.object);
            if !provenance.is_empty() {
                told.push(GraphTriple {
                    subject,
                    subject_type,
                    relation: triple.relation.clone(),
                    object,
                    object_type,
                    statements: triple.statements.len(),
                    provenance,
                });
            }
        }
        Ok(told)
    }
}

fn shown(view: &View, at: u32) -> GraphEntity {
    let entity = view.entities.get(at as usize).cloned().unwrap_or_default();
    GraphEntity {
        name: entity.name,
        kind: entity.kind,
        aliases: entity.aliases,
        chunks: entity.chunks,
        triples: view.of.get(at as usize).map_or(0, Vec::len),
    }
}

/// The entities of a name.
fn resolved<'a>(view: &'a View, base: &str, name: &str) -> Result<&'a [u32], CallError> {
    let named = view.named(name);
    if !named.is_empty() {
        return Ok(named);
    }
    let error = CallError::new(
        ErrorCode::NotFound,
        format!("the graph of `{base}` has no entity `{name}`"),
    );
    if view.entities.is_empty() {
        return Err(error.with_hint(format!(
            "it is empty: run `praxis knowledge graph build {base}`"
        )));
    }
    let known = view
        .entities
        .iter()
        .take(MOST_NAMES)
        .map(|e| e.name.as_str());
    Err(match nearest(name, known) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint("`praxis knowledge graph show` lists the most frequent ones"),
    })
}
