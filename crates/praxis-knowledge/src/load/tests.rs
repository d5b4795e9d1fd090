//! Formats as people write them, and files as they come out of broken disks.

use std::io::Write;

use proptest::prelude::*;

use super::*;
use crate::document::{BlockKind, slice};

fn load(name: &str, bytes: impl AsRef<[u8]>) -> LoadedDocument {
    load_bytes(name, bytes.as_ref(), LoadLimits::default()).unwrap()
}

fn blocks(document: &LoadedDocument) -> Vec<(BlockKind, &str)> {
    document
        .blocks
        .iter()
        .map(|b| (b.kind, slice(&document.text, b.start, b.end)))
        .collect()
}

fn docx(body: &str) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(
        "word/document.xml",
        zip::write::SimpleFileOptions::default(),
    )
    .unwrap();
    write!(
        zip,
        "<?xml version=\"1.0\"?><w:document><w:body>{body}</w:body></w:document>"
    )
    .unwrap();
    zip.finish().unwrap().into_inner()
}

#[test]
fn markdown_keeps_its_structure() {
    let source = "---\ntitle: \"手册\"\n---\n# One\n\nSome *text* with `code`.\n\n- a\n- b\n  1. c\n\n```rust\nfn f() {}\n```\n\n| h | i |\n|---|---|\n| 1 | 2 |\n";
    let document = load("x.md", source);
    assert_eq!(document.title, "手册");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "One"),
            (BlockKind::Paragraph, "Some text with code."),
            (BlockKind::ListItem, "- a"),
            (BlockKind::ListItem, "- b"),
            (BlockKind::ListItem, "1. c"),
            (BlockKind::Code, "fn f() {}"),
            (BlockKind::Table, "h | i\n1 | 2"),
        ]
    );
}

#[test]
fn html_keeps_what_a_reader_reads() {
    let page = "<title>T</title><nav>Menu</nav><main><h1>A &amp; B</h1><p>one <b>two</b><br>three</p>\
         <script>x()</script><ul><li>i</li></ul><table><tr><td>1</td><td>2</td></tr></table></main>";
    let document = load("x.html", page);
    assert_eq!(document.title, "T");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "A & B"),
            (BlockKind::Paragraph, "one two\nthree"),
            (BlockKind::ListItem, "- i"),
            (BlockKind::Table, "1 | 2"),
        ]
    );
}

#[test]
fn docx_keeps_headings_lists_and_tables() {
    let p = |style: &str, text: &str| {
        format!("<w:p><w:pPr>{style}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
    };
    let body = p("<w:pStyle w:val=\"Heading1\"/>", "标题 &amp; x")
        + &p("", "Text &#20320;")
        + &p("<w:numPr/>", "item")
        + "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>a</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>b</w:t></w:r></w:p></w:tc></w:tr></w:tbl>";
    let document = load("x.docx", docx(&body));
    assert_eq!(document.title, "标题 & x");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "标题 & x"),
            (BlockKind::Paragraph, "Text 你"),
            (BlockKind::ListItem, "- item"),
            (BlockKind::Table, "a | b"),
        ]
    );
}

#[test]
fn text_is_read_in_its_encoding() {
    let text = "鲁迅在仙台学习医学，他的老师是藤野先生。藤野先生教解剖学，常常修改他的讲义。";
    let (gb, ..) = encoding_rs::GB18030.encode(text);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut marked = vec![0xff, 0xfe];
    marked.extend(&utf16);
    for (name, bytes) in [
        ("utf8", text.as_bytes()),
        ("gb18030", &gb[..]),
        ("utf16", &marked),
    ] {
        assert_eq!(load("x.txt", bytes).text, text, "{name}");
    }
    let latin = "Le caf\u{e9} est ferm\u{e9} \u{e0} No\u{eb}l, dit la propri\u{e9}taire.";
    let bytes: Vec<u8> = latin.chars().map(|c| c as u8).collect();
    assert_eq!(load("x.txt", bytes).text, latin);
    let damaged = [text.repeat(30).as_bytes(), b"\xff", text.as_bytes()].concat();
    assert!(load("x.txt", damaged).text.contains("藤野先生"));
}

#[test]
fn what_cannot_be_read_is_said_and_why() {
    let noise: Vec<u8> = (0..5000u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    for (name, bytes, expected) in [
        ("a.txt", &b""[..], LoadError::Empty),
        ("a.txt", b" \n\n", LoadError::Empty),
        ("a.md", b"<!-- nothing -->", LoadError::Empty),
        ("a.docx", b"\xd0\xcf\x11\xe0rest", LoadError::Encrypted),
        ("a.xyz", b"text", LoadError::Unsupported("`.xyz`".into())),
        (
            "a.txt",
            &noise,
            LoadError::Unsupported("binary data, not text".into()),
        ),
    ] {
        let error = load_bytes(name, bytes, LoadLimits::default()).unwrap_err();
        assert_eq!(error, expected, "{name}");
    }
    for (name, bytes) in [
        ("a.docx", &b"PK\x03\x04cut"[..]),
        ("a.pdf", b"%PDF-1.4\ncut"),
        ("a.pdf", b"no"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let error = load_file(&path, LoadLimits::default()).unwrap_err();
        assert!(matches!(error, LoadError::Damaged(_)), "{name}: {error}");
    }
}

#[test]
fn an_archive_that_unpacks_beyond_the_limit_is_refused() {
    let bomb = docx(&"<w:p/>".repeat(200_000));
    let limits = LoadLimits {
        max_bytes: 100_000,
        ..LoadLimits::default()
    };
    assert!(bomb.len() < 100_000);
    assert!(matches!(
        load_bytes("a.docx", &bomb, limits),
        Err(LoadError::TooLarge { .. })
    ));
}

#[test]
fn hostile_nesting_does_not_overflow_the_stack() {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.html", "<div>".repeat(50_000) + "x"),
        ("a.md", "> ".repeat(50_000) + "x"),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        let _ = load_file(&path, LoadLimits::default());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_bring_a_loader_down(
        kind in 0usize..4,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let (name, mut bytes) = match kind {
            0 => ("a.md", b"# A\n\n- b\n\n|x|y|\n|-|-|\n|1|2|\n".to_vec()),
            1 => ("a.html", b"<h1>A</h1><p>b<table><tr><td>c</table>".to_vec()),
            2 => ("a.docx", docx("<w:p><w:r><w:t>a</w:t></w:r></w:p>")),
            _ => ("a.txt", "文字 and text\n\nmore".as_bytes().to_vec()),
        };
        for (at, with) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= with;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        if let Ok(document) = load_bytes(name, &bytes, LoadLimits::default()) {
            for block in &document.blocks {
                prop_assert!(!slice(&document.text, block.start, block.end).is_empty());
            }
        }
    }
}
