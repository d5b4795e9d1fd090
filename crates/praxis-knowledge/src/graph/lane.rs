//! The graph lane of a search: what the question names, the triples of it and those one step on, and the chunks
//! that state them. A chunk counts by how many of the question's entities it serves, rare ones more, and by whether
//! a relation is one that the question asks for. Left out: how the lane is fused with the others (`fusion`).

use std::collections::{HashMap, HashSet};

use praxis_core::ChunkId;

use super::view::{Triple, View};
use crate::analyze::{analyze, is_stopword};
use crate::search::fusion::{Ranked, sorted};
use crate::search::lanes::DEPTH;

/// Entities of a question that are looked at.
const MOST_ASKED: usize = 8;

/// Triples of an entity that are looked at.
const MOST_TRIPLES: usize = 2_000;

/// Entities that are one step on, those with the fewest triples first: what all are joined to joins nothing.
const MOST_NEIGHBOURS: usize = 64;

/// What a chunk one step on counts beside one that names the entity itself.
const STEP: f32 = 0.4;

/// What a relation that the question asks for adds to a chunk's score.
const RELATION: f32 = 0.5;

/// What the lane found.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GraphHits {
    /// Names of the question's entities.
    pub entities: Vec<String>,
    /// Chunks, best first.
    pub chunks: Ranked<ChunkId>,
}

/// The chunks that state something of what a question names.
pub(crate) fn search(view: &View, question: &str) -> GraphHits {
    let mut asked = view.find(question);
    asked.truncate(MOST_ASKED);
    if asked.is_empty() {
        return GraphHits::default();
    }
    let words: HashSet<String> = analyze(question)
        .words
        .into_iter()
        .filter(|word| !is_stopword(word))
        .collect();
    let mut lane = Lane {
        view,
        words,
        matches: HashMap::new(),
        chunks: HashMap::new(),
    };
    for (place, entity) in asked.iter().enumerate() {
        lane.walk(place, *entity, &asked);
    }
    let weights: Vec<f32> = asked.iter().map(|entity| lane.weight(*entity)).collect();
    let scores = lane.chunks.into_iter().map(|(chunk, served)| {
        let score: f32 = served
            .entities
            .iter()
            .zip(&weights)
            .map(|(e, w)| e * w)
            .sum();
        (chunk.clone(), score * (1.0 + RELATION * served.relation))
    });
    let mut chunks = sorted(scores);
    chunks.truncate(DEPTH);
    let name = |entity: &u32| view.entities.get(*entity as usize).map(|e| e.name.clone());
    GraphHits {
        entities: asked.iter().filter_map(name).collect(),
        chunks,
    }
}

/// What a chunk serves.
#[derive(Default)]
struct Served {
    /// Of each of the question's entities, how much.
    entities: [f32; MOST_ASKED],
    /// A relation of the question.
    relation: f32,
}

struct Lane<'a> {
    view: &'a View,
    words: HashSet<String>,
    /// Whether a relation is one that the question asks for.
    matches: HashMap<&'a str, bool>,
    chunks: HashMap<&'a ChunkId, Served>,
}

impl<'a> Lane<'a> {
    /// Counts the triples of an entity, and those one step on.
    fn walk(&mut self, place: usize, entity: u32, asked: &[u32]) {
        let view = self.view;
        let mut neighbours: Vec<u32> = Vec::new();
        for triple in view.triples_of(entity).take(MOST_TRIPLES) {
            self.count(place, triple, 1.0);
            let other = if triple.subject == entity {
                triple.object
            } else {
                triple.subject
            };
            if !asked.contains(&other) {
                neighbours.push(other);
            }
        }
        neighbours.sort_unstable_by_key(|n| (view.of.get(*n as usize).map_or(0, Vec::len), *n));
        neighbours.dedup();
        neighbours.truncate(MOST_NEIGHBOURS);
        for neighbour in neighbours {
            for triple in view
                .triples_of(neighbour)
                .take(MOST_TRIPLES / MOST_NEIGHBOURS)
            {
                self.count(place, triple, STEP);
            }
        }
    }

    fn count(&mut self, place: usize, triple: &'a Triple, share: f32) {
        let asked = self.asks_for(&triple.relation);
        for (_, at) in self.view.statements(triple).take(DEPTH) {
            let served = self.chunks.entry(&at.chunk).or_default();
            served.entities[place] = served.entities[place].max(share);
            if asked {
                served.relation = served.relation.max(share);
            }
        }
    }

    fn asks_for(&mut self, relation: &'a str) -> bool {
        let words = &self.words;
        *self.matches.entry(relation).or_insert_with(|| {
            let of_relation = analyze(&relation.replace('_', " ")).words;
            of_relation.iter().any(|word| words.contains(word))
        })
    }

    /// What an entity counts: more the fewer chunks name it (Spärck Jones 1972).
    fn weight(&self, entity: u32) -> f32 {
        let naming = self
            .view
            .entities
            .get(entity as usize)
            .map_or(1, |e| e.chunks.max(1));
        (1.0 + self.view.chunks.max(1) as f32 / naming as f32).ln()
    }
}
