//! JSON and JSON Lines.

use super::*;

#[test]
fn each_line_is_a_record_that_reads_as_text() {
    let lines = "{\"title\": \"Lamp\", \"text\": \"One.\\n\\nTwo.\", \"url\": \"http://x\", \"tags\": [\"a\", \"b\"], \"meta\": {\"year\": 1856, \"none\": null}}\n\nbroken {\n{\"text\": \"灯\"}\n\"alone\"\n";
    let document = load("a.jsonl", lines);
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "Lamp"),
            (BlockKind::Paragraph, "One."),
            (BlockKind::Paragraph, "Two."),
            (
                BlockKind::Paragraph,
                "url: http://x\ntags: a, b\nmeta.year: 1856"
            ),
            (BlockKind::Heading(1), "Record 2"),
            (BlockKind::Paragraph, "灯"),
            (BlockKind::Heading(1), "Record 3"),
            (BlockKind::Paragraph, "alone"),
        ]
    );
    assert_eq!(document.title, "a");
    assert_eq!(document.notes, ["line 3 is no JSON"]);
}

#[test]
fn lists_of_objects_are_records_wherever_they_are() {
    for source in [
        "[{\"a\": 1, \"b\": {\"c\": true}}, {\"title\": \"T\", \"a\": [[2, 3], {\"d\": 4.5}]}]",
        "{\"data\": [{\"a\": 1, \"b\": {\"c\": true}}, {\"title\": \"T\", \"a\": [[2, 3], {\"d\": 4.5}]}]}",
    ] {
        assert_eq!(
            blocks(&load("a.json", source)),
            [
                (BlockKind::Heading(1), "Record 1"),
                (BlockKind::Paragraph, "a: 1\nb.c: true"),
                (BlockKind::Heading(1), "T"),
                (BlockKind::Paragraph, "a: 2, 3\na.d: 4.5"),
            ],
            "{source}"
        );
    }
    assert_eq!(
        blocks(&load(
            "a.json",
            "{\"name\": \"kit\", \"version\": 2, \"list\": [1, 2], \"rows\": [{\"x\": 1}], \"end\": \"e\"}"
        )),
        [
            (BlockKind::Heading(1), "kit"),
            (BlockKind::Paragraph, "version: 2\nlist: 1, 2"),
            (BlockKind::Heading(1), "Record 1"),
            (BlockKind::Paragraph, "x: 1"),
            (BlockKind::Paragraph, "end: e"),
        ]
    );
}

#[test]
fn what_is_no_json_is_text() {
    let document = load("a.json", "// comment\n{\"a\": 1}\n");
    assert_eq!(
        blocks(&document),
        [(BlockKind::Code, "// comment\n{\"a\": 1}")]
    );
    assert!(document.notes[0].starts_with("it is no JSON"));
    assert_eq!(load("a.json", "{\"a\": 1}\n{\"a\": 2}\n").blocks.len(), 4);
    let error = load_bytes("a.jsonl", b"no\nno\n", LoadLimits::default()).unwrap_err();
    assert!(matches!(error, LoadError::Damaged(_)));
    let deep = "[".repeat(100_000);
    assert!(load_bytes("a.jsonl", deep.as_bytes(), LoadLimits::default()).is_err());
}

#[test]
fn notebooks_are_read_without_what_they_printed() {
    let source = r##"{"cells": [
        {"cell_type": "markdown", "source": ["# Lamp\n", "\n", "Some *text*."]},
        {"cell_type": "code", "source": "a = 1\n\nb = 2", "outputs": [{"data": {"image/png": "iVBORw0"}}]}
    ], "nbformat": 4}"##;
    let document = load("a.ipynb", source);
    assert_eq!(document.title, "Lamp");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "Lamp"),
            (BlockKind::Paragraph, "Some text."),
            (BlockKind::Code, "a = 1\n\nb = 2"),
        ]
    );
}
