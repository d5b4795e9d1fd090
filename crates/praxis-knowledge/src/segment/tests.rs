//! Chunks are bounded, in order, whole, and point at their own text.

use std::sync::Arc;

use proptest::prelude::*;

// A trait of proptest has the same name.
use super::Strategy;
use super::*;
use crate::document::slice;
use crate::load::{LoadLimits, load_bytes};

/// Words and Chinese characters, each one token: a stand-in with a known answer.
fn counter() -> TokenCounter {
    Arc::new(|text: &str| {
        let han = text
            .chars()
            .filter(|c| praxis_core::language::is_han(*c))
            .count();
        han + text
            .split(|c: char| !c.is_ascii_alphanumeric())
            .filter(|w| !w.is_empty())
            .count()
    })
}

fn cut(name: &str, source: &str, max: usize, min: usize) -> (LoadedDocument, Vec<Segment>) {
    cut_by(Strategy::Structure, name, source, max, min)
}

fn cut_by(
    strategy: Strategy,
    name: &str,
    source: &str,
    max: usize,
    min: usize,
) -> (LoadedDocument, Vec<Segment>) {
    let document = load_bytes(name, source.as_bytes(), LoadLimits::default()).unwrap();
    let options = SegmentOptions {
        strategy,
        max_tokens: max,
        min_tokens: min,
    };
    let segments = segment(&document, options, &counter());
    (document, segments)
}

#[test]
fn sections_stay_apart_and_carry_their_path() {
    let source = "# A\n\none two three four\n\n## B\n\nfive six seven eight\n\n## C\n\nnine ten eleven twelve\n";
    let (_, segments) = cut("x.md", source, 20, 2);
    let seen: Vec<_> = segments
        .iter()
        .map(|s| (s.headings.join("/"), s.text.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("A".into(), "one two three four"),
            ("A/B".into(), "five six seven eight"),
            ("A/C".into(), "nine ten eleven twelve"),
        ]
    );
}

#[test]
fn without_structure_chunks_are_filled_across_headings() {
    let source = "# A\n\nOne two three. Four five.\n\n## B\n\nSix seven eight. Nine ten.\n";
    for (strategy, wanted) in [
        (
            Strategy::Sentences,
            [
                ("A", 1, "A\n\nOne two three."),
                ("A", 1, "Four five.\n\nB"),
                ("A/B", 2, "Six seven eight."),
                ("A/B", 2, "Nine ten."),
            ]
            .as_slice(),
        ),
        (
            Strategy::Fixed,
            &[
                ("A", 1, "A\n\nOne two three."),
                ("A", 1, "Four five.\n\nB\n\nSix"),
                ("A/B", 2, "seven eight. Nine ten."),
            ],
        ),
    ] {
        let (_, segments) = cut_by(strategy, "x.md", source, 4, 2);
        let seen: Vec<_> = segments
            .iter()
            .map(|s| (s.headings.join("/"), s.number, s.text.clone()))
            .collect();
        let wanted: Vec<_> = wanted
            .iter()
            .map(|(path, number, text)| ((*path).to_owned(), *number, (*text).to_owned()))
            .collect();
        assert_eq!(seen, wanted, "{strategy}");
    }
    // A chunk of several sections has what they share.
    let (_, segments) = cut_by(Strategy::Sentences, "x.md", source, 40, 2);
    assert_eq!(segments.len(), 1);
    assert_eq!(
        (segments[0].headings.join("/"), segments[0].number),
        ("A".to_owned(), 1)
    );
}

#[test]
fn sections_of_one_name_have_numbers_of_their_own() {
    let source = "# A\n\none two three\n\n# A\n\nfour five six\n\nseven eight nine\n";
    let (_, segments) = cut("x.md", source, 4, 1);
    let numbers: Vec<u32> = segments.iter().map(|s| s.number).collect();
    assert_eq!(numbers, [1, 2, 2]);
}

#[test]
fn small_sections_are_joined_under_their_common_path() {
    let (_, segments) = cut("x.md", "# A\n\n## B\n\none\n\n## C\n\ntwo\n", 20, 5);
    assert_eq!(segments.len(), 1);
    assert_eq!(
        (segments[0].headings.join("/"), segments[0].text.as_str()),
        ("A".into(), "one\n\nC\n\ntwo")
    );
}

#[test]
fn a_long_paragraph_is_cut_at_sentences_of_either_language() {
    let (_, segments) = cut("x.txt", "一二三四五。六七八九十。甲乙丙丁戊。", 10, 1);
    let seen: Vec<_> = segments.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(seen, ["一二三四五。六七八九十。", "甲乙丙丁戊。"]);
}

#[test]
fn code_and_tables_that_fit_stay_whole() {
    let source =
        "para one two three four five six\n\n```\na b c\nd e f\n```\n\nmore words here too\n";
    let (_, segments) = cut("x.md", source, 8, 1);
    assert!(
        segments.iter().any(|s| s.text.contains("a b c\nd e f")),
        "{segments:?}"
    );
}

#[test]
fn a_table_that_is_cut_repeats_its_header() {
    let rows: String = (1..=9).map(|i| format!("| r{i} x | y |\n")).collect();
    let source = format!("# T\n\n| h | i |\n|---|---|\n{rows}");
    let (document, segments) = cut("x.md", &source, 10, 1);
    assert!(segments.len() > 3);
    for (i, s) in segments.iter().enumerate() {
        assert!(s.text.starts_with("| h | i |\n| --- | --- |\n| r"), "{s:?}");
        assert!(counter()(&s.text) <= 10, "{s:?}");
        assert_eq!(s.section, (0, document.text.chars().count()));
        let own = slice(&document.text, s.start, s.end);
        assert_eq!(own.starts_with("| h | i |"), i == 0, "{own}");
    }
    // Without a line below the first row, it is a table all the same.
    let source = format!("| h | i |\n{rows}");
    for name in ["x.md", "x.txt"] {
        let (_, drawn) = cut(name, &source, 10, 1);
        assert!(drawn.len() > 3);
        for s in &drawn {
            let begins = s.text.starts_with("| h | i |\n| --- | --- |\n| r");
            assert!(begins && s.text.ends_with("x | y |"), "{name}: {s:?}");
        }
        let (_, whole) = cut(name, &source, 64, 1);
        assert_eq!(whole.len(), 1, "{name}");
    }
    // A header that is most of a chunk is not worth its place.
    let (_, segments) = cut("x.csv", "a b c d,e f g h\n1,2\n3,4\n5,6\n", 10, 1);
    assert_eq!(
        segments.last().unwrap().text,
        "| 1 | 2 |\n| 3 | 4 |\n| 5 | 6 |"
    );
}

#[test]
fn code_that_is_cut_is_cut_at_blank_lines() {
    let source = "```\na b c\nd e f\n\ng h i\nj k l\n\nm\n```\n";
    let (_, segments) = cut("x.md", source, 7, 1);
    let seen: Vec<_> = segments.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(seen, ["a b c\nd e f", "g h i\nj k l\n\nm"]);
}

#[test]
fn a_chunk_knows_the_section_around_it() {
    let source = "# A\n\none two. three four. five six.\n\n## B\n\nseven eight nine ten\n";
    let (document, segments) = cut("x.md", source, 4, 1);
    let around: Vec<_> = segments
        .iter()
        .map(|s| slice(&document.text, s.section.0, s.section.1))
        .collect();
    let first = "A\n\none two. three four. five six.";
    assert_eq!(around, [first, first, "B\n\nseven eight nine ten"]);
}

#[test]
fn megabytes_without_a_gap_are_cut_in_no_time() {
    let start = std::time::Instant::now();
    let (_, segments) = cut("x.txt", &"word".repeat(1 << 20), 256, 8);
    assert!(!segments.is_empty());
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn a_heading_without_text_is_not_lost() {
    let (_, segments) = cut("x.md", "# A\n\ntext\n\n# Appendix\n", 20, 0);
    assert!(
        segments.iter().any(|s| s.text.contains("Appendix")),
        "{segments:?}"
    );
}

#[test]
fn a_text_without_any_gap_is_cut_all_the_same() {
    let (_, segments) = cut("x.txt", &"字".repeat(1000), 64, 8);
    assert!(segments.iter().all(|s| s.text.chars().count() <= 64));
    assert_eq!(
        segments
            .iter()
            .map(|s| s.text.chars().count())
            .sum::<usize>(),
        1000
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn chunks_hold_all_text_in_order_within_bounds(
        parts in proptest::collection::vec(
            prop_oneof!["#{1,4} [a-z]{1,8}", "([a-z]{1,7} ){1,40}[a-z]{1,5}\\.", "[一-龥]{1,60}。", "- [a-z ]{1,20}", "```\n[a-z ]{1,30}\n```", "\\| h \\| i \\|(\n\\|---\\|---\\|)?(\n\\| [a-z ]{1,9} \\| [a-z]{1,5} \\|){1,12}"],
            1..24,
        ),
        max in 4usize..60,
        min in 0usize..12,
        strategy in prop_oneof![Just(Strategy::Structure), Just(Strategy::Sentences), Just(Strategy::Fixed)],
    ) {
        let source = parts.join("\n\n");
        let Ok(document) = load_bytes("x.md", source.as_bytes(), LoadLimits::default()) else { return Ok(()) };
        let segments = segment(&document, SegmentOptions { strategy, max_tokens: max, min_tokens: min }, &counter());
        let count = counter();
        let mut at = 0;
        let mut covered = vec![false; document.text.chars().count()];
        for s in &segments {
            prop_assert!(s.start >= at && s.end > s.start);
            at = s.end;
            let own = slice(&document.text, s.start, s.end);
            prop_assert!(s.text == own || s.text.ends_with(&format!("\n{own}")) && s.text.starts_with("| h | i |\n| --- | --- |\n"), "{s:?}");
            prop_assert!(s.section.0 <= s.start && s.end <= s.section.1, "{s:?}");
            prop_assert!(count(&s.text) <= max + headings_within(&document, s, &count), "{} > {max}: {s:?}", count(&s.text));
            covered[s.start..s.end].fill(true);
        }
        for block in &document.blocks {
            if matches!(block.kind, BlockKind::Heading(_)) { continue; }
            for (i, c) in document.text.chars().enumerate().skip(block.start).take(block.end - block.start) {
                prop_assert!(covered[i] || c.is_whitespace(), "{c:?} at {i} is in no chunk");
            }
        }
    }
}

/// Joined sections keep the headings between them, which their sum of tokens leaves out.
fn headings_within(document: &LoadedDocument, s: &Segment, count: &TokenCounter) -> usize {
    document
        .blocks
        .iter()
        .filter(|b| matches!(b.kind, BlockKind::Heading(_)) && b.start >= s.start && b.end <= s.end)
        .map(|b| count(slice(&document.text, b.start, b.end)))
        .sum()
}
