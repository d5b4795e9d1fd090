//! The graph as one caller may see it: made from the chunks of its documents alone, so that no name, alias or
//! triple tells of others. Names that were found, or said, to be one entity are one here where the caller knows
//! both; an entity is called as it is written most often. Left out: which documents those are (`scope`).

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use praxis_store::{GraphPlace, GraphRows, StoredTriple};

use super::names::{NameIndex, normalize};

/// An entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entity {
    /// As it is written most often.
    pub name: String,
    pub kind: String,
    /// Other names of it, by their letters.
    pub aliases: Vec<String>,
    /// Its names, normalized.
    pub keys: Vec<String>,
    /// Chunks that name it.
    pub chunks: u32,
}

/// A triple with all that state it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Triple {
    pub subject: u32,
    pub relation: String,
    pub object: u32,
    /// Places among the statements of the rows, one at least.
    pub statements: Vec<u32>,
}

/// A graph that one caller sees.
#[derive(Debug, Default)]
pub(crate) struct View {
    rows: Arc<GraphRows>,
    /// The most frequent first.
    pub entities: Vec<Entity>,
    /// By subject, relation and object.
    pub triples: Vec<Triple>,
    /// Of each entity, the triples that it is in.
    pub of: Vec<Vec<u32>>,
    /// Chunks that name something.
    pub chunks: usize,
    index: NameIndex,
    by_key: HashMap<String, Vec<u32>>,
}

impl View {
    /// The graph of the documents that `allows` lets pass, by the generation that wrote them.
    pub fn of(rows: Arc<GraphRows>, allows: impl Fn(u64) -> bool) -> Self {
        let visible: Vec<bool> = rows.places.iter().map(|p| allows(p.generation)).collect();
        let is_visible = |place: u32| visible.get(place as usize) == Some(&true);
        let names = Names::of(&rows, &is_visible);
        let (entities, entity_of) = names.entities(&rows);
        let chunks = rows
            .mentions
            .iter()
            .filter(|m| is_visible(m.place))
            .map(|m| m.place)
            .collect::<HashSet<u32>>()
            .len();
        let mut triples: BTreeMap<(u32, &str, u32), Vec<u32>> = BTreeMap::new();
        for (at, row) in (0u32..).zip(&rows.triples) {
            let end = |name: u32| entity_of.get(name as usize).copied().flatten();
            let (Some(subject), Some(object)) = (end(row.subject), end(row.object)) else {
                continue;
            };
            // Names that are one entity say nothing of each other.
            if is_visible(row.place) && subject != object {
                let key = (subject, row.relation.as_str(), object);
                triples.entry(key).or_default().push(at);
            }
        }
        let triples: Vec<Triple> = triples
            .into_iter()
            .map(|((subject, relation, object), statements)| Triple {
                subject,
                relation: relation.to_owned(),
                object,
                statements,
            })
            .collect();
        let mut of = vec![Vec::new(); entities.len()];
        for (at, triple) in (0u32..).zip(&triples) {
            for end in [triple.subject, triple.object] {
                of[end as usize].push(at);
            }
        }
        let (mut index, mut by_key) = (NameIndex::default(), HashMap::<_, Vec<u32>>::new());
        for (at, entity) in (0u32..).zip(&entities) {
            for key in &entity.keys {
                index.add(key, at);
                by_key.entry(key.clone()).or_default().push(at);
            }
        }
        Self {
            entities,
            triples,
            of,
            chunks,
            index,
            by_key,
            rows,
        }
    }

    /// Entities of that name; of several types there may be several.
    pub fn named(&self, name: &str) -> &[u32] {
        self.by_key.get(&normalize(name)).map_or(&[], Vec::as_slice)
    }

    /// Entities that a text names, in its order.
    pub fn find(&self, text: &str) -> Vec<u32> {
        self.index.find(text)
    }

    /// The triples that an entity is in.
    pub fn triples_of(&self, entity: u32) -> impl Iterator<Item = &Triple> {
        let of = self.of.get(entity as usize).into_iter().flatten();
        of.filter_map(|at| self.triples.get(*at as usize))
    }

    /// Where a triple is stated: the quote, and the chunk that it stands in.
    pub fn statements<'a>(
        &'a self,
        triple: &'a Triple,
    ) -> impl Iterator<Item = (&'a StoredTriple, &'a GraphPlace)> {
        triple.statements.iter().filter_map(|at| {
            let row = self.rows.triples.get(*at as usize)?;
            Some((row, self.rows.places.get(row.place as usize)?))
        })
    }
}

/// The names that are visible.
struct Names<'a> {
    /// Of each name, how often it is written how; empty for one that is not visible.
    written: Vec<BTreeMap<&'a str, u32>>,
    /// Of each name, the chunks that have it.
    places: Vec<BTreeSet<u32>>,
}

impl<'a> Names<'a> {
    fn of(rows: &'a GraphRows, is_visible: &impl Fn(u32) -> bool) -> Self {
        let mut names = Self {
            written: vec![BTreeMap::new(); rows.names.len()],
            places: vec![BTreeSet::new(); rows.names.len()],
        };
        for mention in rows.mentions.iter().filter(|m| is_visible(m.place)) {
            let at = mention.name as usize;
            if let (Some(written), Some(places)) =
                (names.written.get_mut(at), names.places.get_mut(at))
            {
                *written.entry(mention.written.as_str()).or_default() += 1;
                places.insert(mention.place);
            }
        }
        names
    }

    fn is_visible(&self, name: u32) -> bool {
        self.places
            .get(name as usize)
            .is_some_and(|places| !places.is_empty())
    }

    /// Names that are one entity, as a forest of their places.
    fn joined(&self, rows: &GraphRows) -> Forest {
        let mut forest = Forest((0..self.places.len()).collect());
        let kind = |name: u32| rows.names.get(name as usize).map(|(kind, _)| kind);
        let mut join = |one: u32, other: u32| {
            // Whatever the store says, two types are never one.
            if self.is_visible(one) && self.is_visible(other) && kind(one) == kind(other) {
                forest.join(one as usize, other as usize);
            }
        };
        for (one, other) in &rows.aliases {
            join(*one, *other);
        }
        if !rows.merges.is_empty() {
            let place: HashMap<(&str, &str), u32> = rows
                .names
                .iter()
                .zip(0u32..)
                .map(|((kind, key), at)| ((kind.as_str(), key.as_str()), at))
                .collect();
            for merge in &rows.merges {
                let at = |key: &str| place.get(&(merge.kind.as_str(), key)).copied();
                if let (Some(one), Some(other)) = (at(&merge.one), at(&merge.other)) {
                    join(one, other);
                }
            }
        }
        forest
    }

    /// The entities, the most frequent first, and which of them each name is.
    fn entities(&self, rows: &GraphRows) -> (Vec<Entity>, Vec<Option<u32>>) {
        let mut forest = self.joined(rows);
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for name in 0..self.places.len() {
            if !self.places[name].is_empty() {
                groups.entry(forest.root(name)).or_default().push(name);
            }
        }
        let mut entities: Vec<(Entity, Vec<usize>)> = groups
            .into_values()
            .map(|members| (self.entity(rows, &members), members))
            .collect();
        entities.sort_by(|(a, _), (b, _)| {
            let order = b.chunks.cmp(&a.chunks);
            order.then_with(|| (&a.name, &a.kind, &a.keys).cmp(&(&b.name, &b.kind, &b.keys)))
        });
        let mut entity_of = vec![None; self.places.len()];
        for (at, (_, members)) in (0u32..).zip(&entities) {
            for member in members {
                entity_of[*member] = Some(at);
            }
        }
        (entities.into_iter().map(|(e, _)| e).collect(), entity_of)
    }

    fn entity(&self, rows: &GraphRows, members: &[usize]) -> Entity {
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        let mut places: BTreeSet<u32> = BTreeSet::new();
        for member in members {
            places.extend(&self.places[*member]);
            for (written, count) in &self.written[*member] {
                *counts.entry(written).or_default() += count;
            }
        }
        // Of names that are as frequent, the first by its letters.
        let name = counts
            .iter()
            .rev()
            .max_by_key(|(_, count)| **count)
            .map(|(name, _)| *name);
        let name = name.unwrap_or_default();
        Entity {
            name: name.to_owned(),
            kind: members
                .first()
                .map(|m| rows.names[*m].0.clone())
                .unwrap_or_default(),
            aliases: counts
                .keys()
                .filter(|n| **n != name)
                .map(|n| (*n).to_owned())
                .collect(),
            keys: members.iter().map(|m| rows.names[*m].1.clone()).collect(),
            chunks: u32::try_from(places.len()).unwrap_or(u32::MAX),
        }
    }
}

/// Sets that are joined (union-find, Tarjan 1975).
struct Forest(Vec<usize>);

impl Forest {
    fn root(&mut self, of: usize) -> usize {
        let mut at = of;
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.root(one), self.root(other));
        self.0[one.max(other)] = one.min(other);
    }
}
