//! What stands for a whole document in the vector index: its text where it is short, else its title, its
//! headings and the beginnings of passages from all over it. Extractive, so that it costs no model.

use praxis_core::embed::TokenCounter;

use crate::document::Segment;
use crate::ingest::indexed_text;

/// Tokens that a passage of a summary should have at least; of a long document, fewer passages speak.
const PASSAGE_TOKENS: usize = 32;

/// Share of a summary that headings may take.
const HEADINGS_SHARE: usize = 4;

/// The text to embed for a document, of about `room` tokens; `None` where its one chunk says all of it.
pub(crate) fn summary(
    title: &str,
    segments: &[Segment],
    room: usize,
    count: &TokenCounter,
) -> Option<String> {
    if segments.len() < 2 {
        return None;
    }
    let headings = outline(segments, room / HEADINGS_SHARE, count);
    let left = room.saturating_sub(count(title) + count(&headings)).max(1);
    let speakers = (left / PASSAGE_TOKENS).clamp(1, segments.len());
    let step = segments.len().div_ceil(speakers);
    let chosen: Vec<&Segment> = segments.iter().step_by(step).collect();
    let sizes: Vec<usize> = segments.iter().map(|s| count(&s.text)).collect();
    let texts: Vec<String> = if sizes.iter().sum::<usize>() <= left {
        segments.iter().map(|s| s.text.clone()).collect()
    } else {
        let each = left / chosen.len().max(1);
        chosen
            .iter()
            .map(|s| beginning(&s.text, each, count))
            .collect()
    };
    let body = [headings, texts.join("\n")];
    let body: Vec<String> = body.into_iter().filter(|t| !t.is_empty()).collect();
    Some(indexed_text(title, &[], &body.join("\n")))
}

/// Headings of the document in order, each once, of at most `room` tokens.
fn outline(segments: &[Segment], room: usize, count: &TokenCounter) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut size = 0;
    for heading in segments.iter().flat_map(|s| &s.headings) {
        if lines.contains(&heading.as_str()) {
            continue;
        }
        size += count(heading);
        if size > room {
            break;
        }
        lines.push(heading);
    }
    lines.join("\n")
}

/// The beginning of a text, of about `tokens`.
pub(crate) fn beginning(text: &str, tokens: usize, count: &TokenCounter) -> String {
    let size = count(text);
    if size <= tokens {
        return text.to_owned();
    }
    let chars = text.chars().count() * tokens / size.max(1);
    text.chars().take(chars).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn words() -> TokenCounter {
        Arc::new(|text: &str| text.split_whitespace().count())
    }

    fn segments(count: usize, words: usize) -> Vec<Segment> {
        (0..count)
            .map(|i| Segment {
                section: (0, 0),
                number: 0,
                headings: vec![format!("Section {}", i / 2)],
                page: None,
                start: 0,
                end: 0,
                text: vec![format!("w{i}"); words].join(" "),
            })
            .collect()
    }

    #[test]
    fn a_document_of_one_chunk_needs_none() {
        assert_eq!(summary("T", &segments(1, 9), 400, &words()), None);
    }

    #[test]
    fn a_short_document_is_its_own_summary() {
        let text = summary("Title", &segments(3, 10), 400, &words()).unwrap();
        assert!(text.starts_with("Title\nSection 0\nSection 1\n"));
        assert!(
            ["w0", "w1", "w2"]
                .iter()
                .all(|w| text.matches(w).count() == 10)
        );
    }

    #[test]
    fn a_long_document_speaks_from_all_over_within_its_room() {
        let text = summary("Title", &segments(200, 100), 400, &words()).unwrap();
        let size = words()(&text);
        assert!((200..=420).contains(&size), "{size}");
        assert!(text.contains("w0 ") && (150..200).any(|i| text.contains(&format!("w{i} "))));
    }
}
