//! Passages with their surroundings: a found chunk grows over its neighbours, first to its whole section
//! (its parent), then beyond, until a number of tokens is reached. Small chunks are found better, larger
//! ones read better. Left out: what was found.

use praxis_core::embed::TokenCounter;
use praxis_core::{CallError, Clearance, Passage};
use praxis_store::{Neighbour, Store};

use crate::knowledge::internal;

/// Chunks looked at on either side.
const REACH: usize = 16;

/// Lets each passage grow to at most `tokens` of text; a passage that an earlier one then holds goes.
///
/// # Errors
/// A store that fails.
pub(crate) async fn expand(
    passages: Vec<Passage>,
    tokens: usize,
    store: &Store,
    clearance: &Clearance,
    count: &TokenCounter,
) -> Result<Vec<Passage>, CallError> {
    let mut grown: Vec<Passage> = Vec::new();
    for mut passage in passages {
        let held = grown.iter().any(|g| {
            g.document == passage.document && g.start <= passage.start && g.end >= passage.end
        });
        if held {
            continue;
        }
        let around = store
            .neighbours(&passage.chunk, REACH, clearance)
            .await
            .map_err(internal)?;
        let (start, end) = window(&around, &passage, tokens, count);
        if (start, end) != (passage.start, passage.end) {
            passage.text = store
                .text(&passage.document, start, end, clearance)
                .await
                .map_err(internal)?;
            (passage.start, passage.end) = (start, end);
        }
        grown.push(passage);
    }
    Ok(grown)
}

/// First character and end of the window of neighbours around a passage.
fn window(
    around: &[Neighbour],
    passage: &Passage,
    tokens: usize,
    count: &TokenCounter,
) -> (usize, usize) {
    let Some(own) = around.iter().position(|n| n.start == passage.start) else {
        return (passage.start, passage.end);
    };
    let sizes: Vec<usize> = around.iter().map(|n| count(&n.text)).collect();
    let (mut first, mut last, mut size) = (own, own, sizes[own]);
    for within_section in [true, false] {
        let fits = |i: usize, size: usize| {
            size + sizes[i] <= tokens && (!within_section || same_section(&around[i], &around[own]))
        };
        loop {
            // What follows explains more often than what precedes.
            let before = size;
            if last + 1 < around.len() && fits(last + 1, size) {
                last += 1;
                size += sizes[last];
            }
            if first > 0 && fits(first - 1, size) {
                first -= 1;
                size += sizes[first];
            }
            if size == before {
                break;
            }
        }
    }
    (around[first].start, around[last].end)
}

/// Whether two chunks are of one section; without numbers, as of documents that were read before there were any, by
/// their headings.
fn same_section(a: &Neighbour, b: &Neighbour) -> bool {
    match (a.section, b.section) {
        (Some(a), Some(b)) => a == b,
        _ => a.headings == b.headings,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use praxis_core::{ChunkId, DocumentId};

    use super::*;

    fn neighbours() -> Vec<Neighbour> {
        [
            ("A", "one two"),
            ("B", "three four"),
            ("B", "five six"),
            ("B", "seven"),
            ("C", "eight"),
        ]
        .into_iter()
        .enumerate()
        .map(|(i, (heading, text))| Neighbour {
            headings: vec![heading.to_owned()],
            section: None,
            start: i * 20,
            end: i * 20 + text.len(),
            text: text.to_owned(),
        })
        .collect()
    }

    fn found(start: usize) -> Passage {
        Passage {
            chunk: ChunkId::from_string("c"),
            document: DocumentId::from_string("d"),
            title: String::new(),
            uri: String::new(),
            headings: Vec::new(),
            page: None,
            start,
            end: start + 8,
            text: String::new(),
            score: 1.0,
            relevance: 1.0,
        }
    }

    #[test]
    fn a_passage_grows_to_its_section_first_and_no_farther_than_it_may() {
        let words: TokenCounter = Arc::new(|text: &str| text.split(' ').count());
        for (tokens, from, to) in [
            (2, 40, 48),
            (3, 40, 65),
            (5, 20, 65),
            (6, 20, 85),
            (99, 0, 85),
        ] {
            let window = window(&neighbours(), &found(40), tokens, &words);
            assert_eq!(window, (from, to), "{tokens} tokens");
        }
    }

    #[test]
    fn neighbouring_sections_with_equal_headings_are_two() {
        let words: TokenCounter = Arc::new(|text: &str| text.split(' ').count());
        let mut around = neighbours();
        for (neighbour, section) in around.iter_mut().zip([0, 1, 2, 2, 3]) {
            neighbour.section = Some(section);
        }
        // What follows in its own section comes before what precedes in another of the same name.
        assert_eq!(window(&around, &found(40), 5, &words), (40, 85));
        around.iter_mut().for_each(|n| n.section = None);
        assert_eq!(window(&around, &found(40), 5, &words), (20, 65));
    }

    #[test]
    fn a_passage_larger_than_the_budget_stays_as_it_is() {
        let words: TokenCounter = Arc::new(|text: &str| text.split(' ').count());
        assert_eq!(window(&neighbours(), &found(40), 1, &words), (40, 48));
        assert_eq!(window(&[], &found(40), 99, &words), (40, 48));
    }
}
