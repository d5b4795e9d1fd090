//! The graph as callers see it: entities, ways, the lane and exports, from rows that a store could have. The
//! extraction itself is tested where it is done, and with a model in `tests/graph.rs`.

use std::collections::HashSet;
use std::sync::Arc;

use praxis_core::{ChunkId, DocumentId};
use praxis_store::{GraphPlace, GraphRows, HandMerge, MentionRow, StoredTriple};
use proptest::prelude::*;

use super::export::{GraphFormat, export};
use super::lane;
use super::names::normalize;
use super::path::shortest;
use super::view::View;

/// Rows of a graph in which chunk `n` is of the document that generation `n` wrote.
#[derive(Default)]
struct Made(GraphRows);

impl Made {
    fn name(&mut self, kind: &str, key: &str) -> u32 {
        let wanted = (kind.to_owned(), key.to_owned());
        let at = self.0.names.iter().position(|n| *n == wanted);
        let at = at.unwrap_or_else(|| {
            self.0.names.push(wanted);
            self.0.names.len() - 1
        });
        u32::try_from(at).unwrap()
    }

    fn chunk(&mut self, number: u32) -> u32 {
        while self.0.places.len() <= number as usize {
            let n = self.0.places.len();
            self.0.places.push(GraphPlace {
                chunk: ChunkId::from_string(format!("c{n}")),
                document: DocumentId::from_string(format!("d{n}")),
                generation: n as u64,
                uri: format!("{n}.md"),
            });
        }
        number
    }

    fn mention(&mut self, number: u32, kind: &str, written: &str) -> u32 {
        let place = self.chunk(number);
        let name = self.name(kind, &normalize(written));
        let known = |m: &MentionRow| (m.name, m.place) == (name, place);
        if !self.0.mentions.iter().any(known) {
            self.0.mentions.push(MentionRow {
                name,
                place,
                written: written.to_owned(),
            });
        }
        name
    }

    fn say(&mut self, number: u32, subject: (&str, &str), relation: &str, object: (&str, &str)) {
        let (subject, object) = (
            self.mention(number, subject.0, subject.1),
            self.mention(number, object.0, object.1),
        );
        self.0.triples.push(StoredTriple {
            subject,
            relation: relation.to_owned(),
            object,
            place: number,
            start: 0,
            end: 9,
        });
    }

    fn alias(&mut self, kind: &str, one: &str, other: &str) {
        let pair = (self.name(kind, one), self.name(kind, other));
        self.0.aliases.push(pair);
    }

    fn seen(self, allows: impl Fn(u64) -> bool) -> View {
        View::of(Arc::new(self.0), allows)
    }
}

/// Lu Xun, his teacher and his works, in Chinese and English.
fn letters() -> Made {
    let mut made = Made::default();
    made.say(0, ("person", "鲁迅"), "studied_in", ("place", "仙台"));
    made.say(1, ("person", "Lu Xun"), "wrote", ("work", "The Diary"));
    made.say(2, ("person", "藤野先生"), "taught", ("person", "鲁迅"));
    made.say(
        3,
        ("person", "藤野先生"),
        "works_for",
        ("organization", "东北大学"),
    );
    made.say(
        4,
        ("organization", "东北大学"),
        "located_in",
        ("place", "仙台"),
    );
    made.say(5, ("person", "Lu Xun"), "wrote", ("work", "The Diary"));
    made.say(6, ("place", "Lu Xun"), "lies_in", ("place", "Nowhere"));
    made.alias("person", "鲁迅", "lu xun");
    made
}

fn ends(view: &View) -> Vec<(String, String, String, usize)> {
    let name = |at: u32| view.entities[at as usize].name.clone();
    view.triples
        .iter()
        .map(|t| {
            (
                name(t.subject),
                t.relation.clone(),
                name(t.object),
                t.statements.len(),
            )
        })
        .collect()
}

#[test]
fn names_that_are_one_entity_are_one_and_two_types_are_not() {
    let mut made = letters();
    // Of what a store should never hold, nothing comes.
    made.alias("person", "鲁迅", "鲁迅");
    let (person, place) = (made.name("person", "lu xun"), made.name("place", "lu xun"));
    made.0.aliases.push((person, place));
    let view = made.seen(|_| true);
    let first = &view.entities[0];
    assert_eq!((first.name.as_str(), first.chunks), ("Lu Xun", 4));
    assert_eq!(
        (first.kind.as_str(), &first.aliases[..]),
        ("person", &["鲁迅".to_owned()][..])
    );
    assert_eq!(view.named("LU XUN").len(), 2);
    assert_eq!(view.named("鲁迅"), [0]);
    assert!(ends(&view).contains(&("Lu Xun".into(), "wrote".into(), "The Diary".into(), 2)));
}

#[test]
fn a_merge_by_hand_counts_as_long_as_both_names_are_there() {
    let mut made = letters();
    made.say(7, ("person", "周树人"), "born_in", ("place", "绍兴"));
    let merge = |kind: &str| HandMerge {
        kind: kind.to_owned(),
        one: "lu xun".to_owned(),
        other: "周树人".to_owned(),
    };
    made.0.merges = vec![merge("person"), merge("place")];
    let view = made.seen(|_| true);
    assert_eq!(view.named("周树人"), view.named("鲁迅"));
    assert_eq!(view.entities[0].aliases, ["周树人", "鲁迅"]);
}

#[test]
fn a_caller_sees_names_and_triples_of_its_documents_only() {
    // The English name stands in documents 1 and 5 only.
    let view = letters().seen(|generation| ![1, 5, 6].contains(&generation));
    assert!(view.named("Lu Xun").is_empty() && view.named("The Diary").is_empty());
    let own = &view.entities[view.named("鲁迅")[0] as usize];
    assert_eq!((own.name.as_str(), own.aliases.len()), ("鲁迅", 0));
    assert!(view.find("Who is Lu Xun?").is_empty());
    assert_eq!(view.triples.len(), 4);
    // Two names that only a third one joins, which this caller does not see, are two.
    let mut chain = Made::default();
    for (number, name) in [
        (0, "Falcon"),
        (1, "Project Falcon"),
        (2, "The Falcon Project"),
    ] {
        chain.say(number, ("project", name), "is_in", ("place", "Bern"));
    }
    chain.alias("project", "falcon", "project falcon");
    chain.alias("project", "project falcon", "falcon project");
    let rows = Arc::new(chain.0);
    assert_eq!(View::of(Arc::clone(&rows), |_| true).entities.len(), 2);
    assert_eq!(
        View::of(rows, |generation| generation != 1).entities.len(),
        3
    );
}

#[test]
fn the_shortest_way_is_found_within_its_depth() {
    let view = letters().seen(|_| true);
    let way = |from: &str, to: &str, depth: usize| {
        let way = shortest(&view, view.named(from), view.named(to), depth)?;
        let told = ends(&view);
        Some(
            way.iter()
                .map(|at| told[*at as usize].1.clone())
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        way("The Diary", "仙台", 8).unwrap(),
        ["wrote", "studied_in"]
    );
    assert_eq!(
        way("藤野先生", "The Diary", 8).unwrap(),
        ["taught", "wrote"]
    );
    assert_eq!(way("The Diary", "东北大学", 2), None);
    assert_eq!(way("The Diary", "东北大学", 3).unwrap().len(), 3);
    assert_eq!(way("仙台", "仙台", 1).unwrap(), Vec::<String>::new());
    assert_eq!(way("仙台", "Nowhere", 8), None);
}

#[test]
fn the_lane_finds_what_states_something_of_what_is_named() {
    let view = letters().seen(|_| true);
    let found = |question: &str| {
        let hits = lane::search(&view, question);
        let chunks: Vec<String> = hits.chunks.iter().map(|(id, _)| id.to_string()).collect();
        (hits.entities, chunks)
    };
    let (entities, chunks) = found("藤野先生教过谁，在哪所大学工作？");
    assert_eq!(entities, ["藤野先生"]);
    // What states something of him comes before what is one step on.
    assert_eq!(
        chunks[..2].iter().collect::<HashSet<_>>(),
        HashSet::from([&"c2".into(), &"c3".into()])
    );
    assert!(chunks.contains(&"c4".to_owned()) && !chunks.contains(&"c6".to_owned()));
    // A relation that the question asks for decides.
    let (_, chunks) = found("For whom did 藤野先生 work?");
    assert_eq!(chunks[0], "c3");
    // Two entities in one chunk come before one.
    let (entities, chunks) = found("What has 鲁迅 to do with 仙台?");
    assert_eq!((entities.len(), chunks[0].as_str()), (2, "c0"));
    assert_eq!(found("What is a parrot?"), (Vec::new(), Vec::new()));
    let scores = lane::search(&view, "鲁迅").chunks;
    assert!(scores.windows(2).all(|w| w[0].1 >= w[1].1) && scores.iter().all(|s| s.1 > 0.0));
}

#[test]
fn exports_are_well_formed_whatever_names_hold() {
    let mut made = Made::default();
    made.say(
        0,
        ("a<b", "x \"<&>\\ \u{1} y"),
        "r&s",
        ("b", "]]> <!-- 鲁迅\n"),
    );
    let view = made.seen(|_| true);
    let graphml = export(&view, GraphFormat::GraphMl);
    let mut reader = quick_xml::Reader::from_str(&graphml);
    let mut ends = 0;
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::End(_) => ends += 1,
            _ => {}
        }
    }
    assert_eq!(ends, 13, "{graphml}");
    for line in export(&view, GraphFormat::Jsonl).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["entity"].is_number() || value["provenance"][0]["chunk"] == "c0");
    }
    let dot = export(&view, GraphFormat::Dot);
    assert_eq!(dot.lines().count(), 5, "{dot}");
    assert!(
        dot.contains(r#"n0 [label="]]> <!-- 鲁迅 \n(b)"];"#),
        "{dot}"
    );
}

proptest! {
    #[test]
    fn a_view_holds_nothing_that_its_documents_do_not(
        said in proptest::collection::vec((0u32..6, 0usize..2, 0usize..6, 0usize..2, 0usize..6), 0..30),
        aliases in proptest::collection::vec((0usize..6, 0usize..6), 0..6),
        allowed in proptest::collection::hash_set(0u64..6, 0..6),
        question in "\\PC{0,30}",
        depth in 1usize..5,
    ) {
        const NAMES: [&str; 6] = ["鲁迅", "lu xun", "sendai", "仙台", "fujino", "tokyo"];
        const KINDS: [&str; 2] = ["person", "place"];
        let mut made = Made::default();
        for (number, k1, one, k2, other) in said {
            made.say(number, (KINDS[k1], NAMES[one]), "knows", (KINDS[k2], NAMES[other]));
        }
        for (one, other) in aliases {
            made.alias("person", NAMES[one], NAMES[other]);
        }
        let rows = Arc::new(made.0);
        let view = View::of(Arc::clone(&rows), |g| allowed.contains(&g));
        let visible = |key: &str, kind: &str| {
            rows.mentions.iter().any(|m| {
                let (k, n) = &rows.names[m.name as usize];
                k == kind && n == key && allowed.contains(&rows.places[m.place as usize].generation)
            })
        };
        for entity in &view.entities {
            prop_assert!(entity.chunks > 0);
            for key in &entity.keys {
                prop_assert!(visible(key, &entity.kind), "{key} {entity:?}");
            }
            prop_assert!(entity.keys.contains(&normalize(&entity.name)));
        }
        for triple in &view.triples {
            prop_assert!(triple.subject != triple.object && !triple.statements.is_empty());
            for (_, place) in view.statements(triple) {
                prop_assert!(allowed.contains(&place.generation));
            }
        }
        let asked = format!("{question} 鲁迅 tokyo");
        for (chunk, _) in lane::search(&view, &asked).chunks {
            let at = rows.places.iter().find(|p| p.chunk == chunk).unwrap();
            prop_assert!(allowed.contains(&at.generation));
        }
        if let Some(way) = shortest(&view, view.named("鲁迅"), view.named("tokyo"), depth) {
            prop_assert!(way.len() <= depth);
        }
        for format in [GraphFormat::Jsonl, GraphFormat::GraphMl, GraphFormat::Dot] {
            let text = export(&view, format);
            let least = view.entities.len() + view.triples.len();
            prop_assert!(text.lines().count() >= least);
        }
    }
}
