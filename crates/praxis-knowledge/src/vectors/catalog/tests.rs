//! A catalog that follows a base, beside one that is made of all of it anew.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// A base: the document of each generation, and the numbers of its chunks.
#[derive(Default)]
struct Base {
    generation: u64,
    documents: BTreeMap<u64, (usize, Vec<u64>)>,
}

impl Base {
    /// Writes a document anew with so many chunks; without any, it goes.
    fn write(&mut self, document: usize, chunks: usize) {
        self.documents.retain(|_, (of, _)| *of != document);
        self.generation += 1;
        // As the store numbers them: what went may have had the same.
        let last = self
            .documents
            .values()
            .flat_map(|(_, numbers)| numbers)
            .max();
        let first = last.map_or(1, |last| last + 1);
        let numbers: Vec<u64> = (first..).take(chunks).collect();
        if !numbers.is_empty() {
            self.documents.insert(self.generation, (document, numbers));
        }
    }

    /// The chunks of documents that came after a generation.
    fn entries(&self, since: u64) -> Vec<ChunkEntry> {
        let after = self.documents.range(since + 1..);
        let entries = after.flat_map(|(generation, (document, numbers))| {
            numbers
                .iter()
                .enumerate()
                .map(move |(at, number)| ChunkEntry {
                    number: *number,
                    chunk: ChunkId::from_string(format!("{document}-{at}")),
                    document: DocumentId::from_string(document.to_string()),
                    generation: *generation,
                })
        });
        entries.collect()
    }

    fn generations(&self) -> Vec<u64> {
        self.documents.keys().copied().collect()
    }
}

fn assert_same(followed: &Catalog, base: &Base) {
    let made = Catalog::new(base.entries(0));
    assert_eq!(followed.len(), made.len());
    assert_eq!(followed.generations(), made.generations());
    let odd = |generation: u64| generation % 2 == 1;
    assert_eq!(followed.select(odd), made.select(odd));
    for number in 0..60 {
        assert_eq!(followed.chunk(number), made.chunk(number), "{number}");
    }
    for document in 0..6 {
        let id = DocumentId::from_string(document.to_string());
        assert_eq!(followed.generation(&id), made.generation(&id));
        for at in 0..6 {
            let chunk = ChunkId::from_string(format!("{document}-{at}"));
            assert_eq!(followed.number(&chunk), made.number(&chunk), "{chunk}");
            assert_eq!(followed.document(&chunk), made.document(&chunk), "{chunk}");
        }
    }
    for generation in 0..=base.generation {
        let document = followed.document_of(generation);
        assert_eq!(document, made.document_of(generation), "{generation}");
    }
}

proptest! {
    #[test]
    fn a_catalog_that_follows_is_as_one_that_is_made_anew(
        steps in proptest::collection::vec(
            proptest::collection::vec((0usize..6, 0usize..6), 1..4),
            1..12,
        )
    ) {
        let mut base = Base::default();
        let mut catalog = Catalog::new(Vec::new());
        let mut since = 0;
        for step in steps {
            let before: Vec<ChunkEntry> = base.entries(0);
            for (document, chunks) in step {
                base.write(document, chunks);
            }
            // What was read twice is taken once.
            let (next, gone) = catalog.followed(base.entries(since), base.generations());
            let lost = before.iter().filter(|e| !base.documents.contains_key(&e.generation));
            let lost: HashSet<u64> = lost.map(|entry| entry.number).collect();
            prop_assert_eq!(gone.chunks, lost);
            assert_same(&next, &base);
            (catalog, since) = (next, base.generation.saturating_sub(1));
        }
    }
}

#[test]
fn a_small_change_shares_what_it_leaves_alone() {
    let mut base = Base::default();
    for document in 0..100 {
        base.write(document, 5);
    }
    let first = Catalog::new(base.entries(0));
    let mut next = first.clone();
    for round in 0..20 {
        let since = base.generation;
        base.write(round % 2, 3);
        let (followed, gone) = next.followed(base.entries(since), base.generations());
        let lost = if round < 2 { 5 } else { 3 };
        assert_eq!((gone.chunks.len(), gone.documents.len()), (lost, 1));
        next = followed;
        assert!(
            Arc::ptr_eq(&first.parts[0], &next.parts[0]),
            "round {round}"
        );
        assert!(next.parts.len() < 5, "round {round}");
    }
    // Where most is gone, what is left is copied, and what went is forgotten.
    for document in 0..60 {
        base.write(document, 0);
    }
    let (rest, gone) = next.followed(Vec::new(), base.generations());
    assert_eq!((rest.len(), gone.documents.len()), (40 * 5, 60));
    assert_eq!((rest.parts.len(), rest.gone.len()), (1, 0));
}
