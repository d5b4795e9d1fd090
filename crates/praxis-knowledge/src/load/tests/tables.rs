//! Tables that are drawn with bars: which lines are one, and which only look like it.

use super::*;

#[test]
fn rows_without_a_separator_are_a_table_in_markdown() {
    let two = (
        BlockKind::Table,
        "| name | price |\n| --- | --- |\n| otter | 12 |",
    );
    for (what, source, expected) in [
        ("alone", "| name | price |\n| otter | 12 |", vec![two]),
        ("close", "|name|price|\n|otter|12|\n", vec![two]),
        (
            "in CRLF",
            "| name | price |\r\n| otter | 12 |\r\n",
            vec![two],
        ),
        (
            "between lines of its paragraph",
            "All *prices*:\n  | name | price |\n| otter | 12 |\n    Without tax.\n",
            vec![
                (BlockKind::Paragraph, "All prices:"),
                two,
                (BlockKind::Paragraph, "Without tax."),
            ],
        ),
        (
            "two of them",
            "| name | price |\n| otter | 12 |\n\n# B\n\n| a | b |\n| c | d |\n| e | f |\n",
            vec![
                two,
                (BlockKind::Heading(1), "B"),
                (
                    BlockKind::Table,
                    "| a | b |\n| --- | --- |\n| c | d |\n| e | f |",
                ),
            ],
        ),
        (
            "with the separator of another table",
            "| name | price |\n|---|---|---|\n| otter | 12 |\n",
            vec![two],
        ),
        (
            "drawn as a grid",
            "+-------+-------+\n| name  | price |\n+=======+=======+\n| otter | 12    |\n+-------+-------+\n",
            vec![two],
        ),
        (
            "with markup",
            "| [name][x] | `price` |\n| *otter* | 1\\|2 |\n\n[x]: https://example.org\n",
            vec![(
                BlockKind::Table,
                "| name | price |\n| --- | --- |\n| otter | 1\\|2 |",
            )],
        ),
    ] {
        assert_eq!(blocks(&load("x.md", source)), expected, "{what}");
    }
}

#[test]
fn rows_with_bars_are_a_table_in_plain_text() {
    let two = (
        BlockKind::Table,
        "| name | price |\n| --- | --- |\n| otter | 12 |",
    );
    for (what, source, expected) in [
        (
            "without a blank line around",
            "Prices\n| name  | price |\n| otter |    12 |\nWithout tax\n",
            vec![
                (BlockKind::Paragraph, "Prices"),
                two,
                (BlockKind::Paragraph, "Without tax"),
            ],
        ),
        (
            "within a paragraph",
            "All\nprices:\n| name | price |\r\n|:---|---:|\r\n| otter | 12 |\nwithout\ntax\n\nEnd",
            vec![
                (BlockKind::Paragraph, "All\nprices:"),
                two,
                (BlockKind::Paragraph, "without\ntax"),
                (BlockKind::Paragraph, "End"),
            ],
        ),
        (
            "from a database",
            "+-------+-------+\n| name  | price |\n+-------+-------+\n| otter |    12 |\n+-------+-------+\n",
            vec![two],
        ),
        (
            "with cells that are empty",
            "|  | price | |\n| otter | | new |\n| | | |\n| 鹭 | 7 | |\n",
            vec![(
                BlockKind::Table,
                "|  | price |  |\n| --- | --- | --- |\n| otter |  | new |\n| 鹭 | 7 |",
            )],
        ),
    ] {
        assert_eq!(blocks(&load("x.txt", source)), expected, "{what}");
    }
}

#[test]
fn lines_that_only_have_bars_stay_what_they_are() {
    for source in [
        "| one | row |\n",
        "| one |\n| column |\n",
        "| two | cells |\n| and | three | cells |\n",
        "| two | cells |\n| and | three | cells |\n| and | two |\n",
        "| no bar | at the end\n| of | its rows\n",
        "no bar | before |\nits | rows |\n",
        "|x| = |y|\n|a| = |b|\n",
        "|docs| |build|\n|logo| |license|\n",
        "| the bar | is text \\|\n| the bar | is text \\|\n",
        "cat a | sort | uniq\ncat b | sort | uniq\n",
    ] {
        for name in ["x.md", "x.txt"] {
            let document = load(name, source);
            let read = blocks(&document);
            assert!(
                read.iter().all(|(kind, _)| *kind == BlockKind::Paragraph),
                "{name}: {read:?}"
            );
            let words = |text: &str| text.split_whitespace().collect::<String>();
            let source = match name {
                "x.md" => source.replace('\\', ""),
                _ => source.to_owned(),
            };
            assert_eq!(words(&document.text), words(&source), "{name}");
        }
    }
    for source in [
        "```\n| a | b |\n| c | d |\n```\n",
        "    | a | b |\n    | c | d |\n",
        "> | a | b |\n> | c | d |\n",
        "- | a | b |\n  | c | d |\n",
    ] {
        let document = load("x.md", source);
        let read = blocks(&document);
        assert!(
            read.iter().all(|(kind, _)| *kind != BlockKind::Table),
            "{read:?}"
        );
        assert!(document.text.contains("| a | b |\n"), "{read:?}");
    }
    // What Markdown takes for a table is what it says.
    let document = load("x.md", "| a | b |\n|---|---|\n| c |\n| d | e | f |\n");
    assert_eq!(
        blocks(&document),
        [(
            BlockKind::Table,
            "| a | b |\n| --- | --- |\n| c |\n| d | e |"
        )]
    );
}
