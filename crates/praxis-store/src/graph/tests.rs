//! What a store keeps of a graph: extractions that go on, triples that go with their chunks, and merges that
//! stay.

use praxis_core::{ChunkId, DocumentId, EntityId, Usage};

use super::*;
use crate::tests::{document, store};

fn id(name: &str) -> EntityId {
    EntityId::from_string(format!("person/{name}"))
}

fn extraction(method: &str, names: &[&str]) -> NewExtraction {
    let mention = |name: &&str| NewMention {
        entity: id(name),
        kind: "person".into(),
        key: (*name).to_owned(),
        name: name.to_uppercase(),
    };
    NewExtraction {
        method: method.into(),
        model: "m".into(),
        dropped: 1,
        usage: Usage {
            input_tokens: 10,
            output_tokens: 5,
            ..Usage::default()
        },
        mentions: names.iter().map(mention).collect(),
        triples: names
            .windows(2)
            .map(|pair| NewTriple {
                subject: id(pair[0]),
                relation: "knows".into(),
                object: id(pair[1]),
                start: 3,
                end: 4,
            })
            .collect(),
        error: None,
    }
}

fn chunk(name: &str) -> ChunkId {
    ChunkId::from_string(name)
}

async fn with_two_documents() -> (tempfile::TempDir, Store) {
    let (dir, store) = store().await;
    store.prepare_base("docs", "e5@1", "s").await.unwrap();
    for (uri, chunks) in [("a.md", 3), ("b.md", 1)] {
        let document = document(uri, chunks);
        store.put_document("docs", &document).await.unwrap();
    }
    (dir, store)
}

#[tokio::test]
async fn an_extraction_goes_on_where_it_was_and_another_method_begins_anew() {
    let (_dir, store) = with_two_documents().await;
    let left = async |method: &str, failed: bool| -> Vec<String> {
        let chunks = store.unextracted_chunks("docs", method, failed, 0, 9).await;
        chunks
            .unwrap()
            .into_iter()
            .map(|c| c.id.to_string())
            .collect()
    };
    assert_eq!(
        left("m1", false).await,
        ["a.md-0", "a.md-1", "a.md-2", "b.md-0"]
    );
    let first = store
        .unextracted_chunks("docs", "m1", false, 1, 1)
        .await
        .unwrap();
    assert_eq!((first.len(), first[0].number, first[0].start), (1, 2, 1));
    assert_eq!(first[0].headings.len(), 2);

    let new = extraction("m1", &["ada", "bob"]);
    assert!(
        store
            .put_extraction("docs", &chunk("a.md-0"), &new)
            .await
            .unwrap()
    );
    let failed = NewExtraction {
        error: Some("no JSON".into()),
        ..extraction("m1", &[])
    };
    assert!(
        store
            .put_extraction("docs", &chunk("a.md-1"), &failed)
            .await
            .unwrap()
    );
    assert!(
        !store
            .put_extraction("docs", &chunk("gone"), &new)
            .await
            .unwrap()
    );
    assert_eq!(left("m1", false).await, ["a.md-2", "b.md-0"]);
    assert_eq!(left("m1", true).await, ["a.md-1", "a.md-2", "b.md-0"]);
    assert_eq!(left("m2", false).await.len(), 4);
    let count = store.extraction_count("docs", "m1").await.unwrap();
    assert_eq!(
        (count.done, count.failed, count.dropped, count.chunks),
        (2, 1, 2, 4)
    );
    let totals = store.extractions("docs").await.unwrap();
    assert_eq!(
        (
            totals.len(),
            totals[0].count.done,
            totals[0].usage.output_tokens
        ),
        (1, 2, 10)
    );

    // The new method's answer takes the place of the old one's.
    let again = extraction("m2", &["bob", "cyd"]);
    store
        .put_extraction("docs", &chunk("a.md-0"), &again)
        .await
        .unwrap();
    let graph = store.graph("docs").await.unwrap();
    assert_eq!(graph.triples.len(), 1);
    let name = |at: u32| graph.names[at as usize].1.as_str();
    assert_eq!(
        (
            name(graph.triples[0].subject),
            name(graph.triples[0].object)
        ),
        ("bob", "cyd")
    );
    assert_eq!(graph.mentions[0].written, "BOB");
    let place = &graph.places[graph.triples[0].place as usize];
    assert_eq!(
        (place.chunk.as_str(), place.uri.as_str()),
        ("a.md-0", "a.md")
    );
}

#[tokio::test]
async fn what_goes_takes_its_triples_along_and_merges_stay() {
    let (_dir, store) = with_two_documents().await;
    for (at, names) in [("a.md-0", ["ada", "bob"]), ("b.md-0", ["bob", "cyd"])] {
        let new = extraction("m1", &names);
        store
            .put_extraction("docs", &chunk(at), &new)
            .await
            .unwrap();
    }
    let unembedded = store.unembedded_entities("docs", "e5@1", 9).await.unwrap();
    assert_eq!(
        unembedded
            .iter()
            .map(|u| u.name.as_str())
            .collect::<Vec<_>>(),
        ["ADA", "BOB", "CYD"]
    );
    let vectors: Vec<_> = unembedded
        .into_iter()
        .map(|u| (u.id, vec![1.0, 0.0]))
        .collect();
    store.put_entity_vectors("e5@1", &vectors).await.unwrap();
    assert!(
        store
            .unembedded_entities("docs", "e5@1", 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        store
            .unembedded_entities("docs", "other@1", 9)
            .await
            .unwrap()
            .len(),
        3
    );
    let known = store.entity_vectors("docs", "e5@1").await.unwrap();
    assert_eq!(
        (known.len(), known[1].key.as_str(), known[1].mentions),
        (3, "bob", 2)
    );

    assert_eq!(store.graph_revision("docs").await.unwrap(), 0);
    store
        .publish_graph("docs", &[(id("ada"), id("bob"), 0.99)])
        .await
        .unwrap();
    let merge = HandMerge {
        kind: "person".into(),
        one: "cyd".into(),
        other: "ada".into(),
    };
    assert!(store.put_merge("docs", &merge).await.unwrap());
    assert!(!store.put_merge("docs", &merge).await.unwrap());
    assert_eq!(store.graph_revision("docs").await.unwrap(), 2);
    let graph = store.graph("docs").await.unwrap();
    assert_eq!(
        (graph.aliases.len(), graph.triples.len(), graph.merges.len()),
        (1, 2, 1)
    );

    // A document that is written anew is read anew, and one that goes is gone.
    store
        .put_document("docs", &document("b.md", 1))
        .await
        .unwrap();
    let a = DocumentId::from_string("d-a.md".to_owned());
    store.delete_documents("docs", &[a]).await.unwrap();
    let graph = store.graph("docs").await.unwrap();
    assert!(graph.mentions.is_empty() && graph.triples.is_empty() && graph.places.is_empty());
    store
        .publish_graph("docs", &[(id("ada"), id("bob"), 0.99)])
        .await
        .unwrap();
    let graph = store.graph("docs").await.unwrap();
    assert!(graph.names.is_empty() && graph.aliases.is_empty());
    let kept = HandMerge {
        kind: "person".into(),
        one: "ada".into(),
        other: "cyd".into(),
    };
    assert_eq!(graph.merges, [kept]);
    assert!(store.remove_merge("docs", &merge).await.unwrap());
    assert!(store.graph("docs").await.unwrap().merges.is_empty());
}
