//! Word documents, put together part by part.

use std::io::Write;

use super::*;

/// A package of these parts.
pub(super) fn package(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, text) in parts {
        zip.start_file(*name, zip::write::SimpleFileOptions::default())
            .unwrap();
        zip.write_all(text.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A document of this body.
pub(super) fn docx(body: &str) -> Vec<u8> {
    package(&[("word/document.xml", &document(body))])
}

fn document(body: &str) -> String {
    format!("<?xml version=\"1.0\"?><w:document><w:body>{body}</w:body></w:document>")
}

fn p(properties: &str, text: &str) -> String {
    format!("<w:p><w:pPr>{properties}</w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>")
}

#[test]
fn headings_lists_and_tables_are_kept() {
    let cell = |text: &str| format!("<w:tc>{}{}</w:tc>", p("", text), p("", ""));
    let body = p("<w:pStyle w:val=\"Heading1\"/>", "标题 &amp; x")
        + &p("<w:tabs><w:tab w:val=\"left\"/></w:tabs>", "Text &#20320;")
        + &p("<w:numPr/>", "item")
        + &format!(
            "<w:tbl><w:tr>{}{}</w:tr><w:tr>{}{}</w:tr></w:tbl>",
            cell("a"),
            cell("b"),
            cell(""),
            cell("c")
        );
    let document = load("x.docx", docx(&body));
    assert_eq!(document.title, "标题 & x");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "标题 & x"),
            (BlockKind::Paragraph, "Text 你"),
            (BlockKind::ListItem, "- item"),
            (BlockKind::Table, "| a | b |\n| --- | --- |\n|  | c |"),
        ]
    );
}

#[test]
fn what_is_wider_than_word_allows_does_not_make_a_small_file_a_long_text() {
    // Each row has a column of its own, far to the right of all others.
    let wide = "<w:tc><w:gridSpan w:val=\"63\"/></w:tc>";
    let row = |number: usize| {
        let before = wide.repeat(number) + &"<w:tc></w:tc>".repeat(number % 63);
        format!("<w:tr>{before}<w:tc>{}</w:tc></w:tr>", p("", "x"))
    };
    let rows: String = (0..300).map(row).collect();
    let document = load("x.docx", docx(&format!("<w:tbl>{rows}</w:tbl>")));
    let (kind, text) = blocks(&document)[0];
    assert_eq!(kind, BlockKind::Table);
    let widest = text.lines().map(|line| line.matches(" |").count()).max();
    assert!(widest <= Some(63), "{widest:?}");
    assert_eq!(text.matches('x').count(), 300);
}

#[test]
fn headings_are_found_by_style_in_every_language() {
    let styles = "<w:styles>\
        <w:style w:styleId=\"berschrift2\"><w:name w:val=\"heading 2\"/></w:style>\
        <w:style w:styleId=\"af\"><w:name w:val=\"Kapitel\"/><w:basedOn w:val=\"berschrift2\"/></w:style>\
        <w:style w:styleId=\"a3\"><w:name w:val=\"自定义标题\"/><w:pPr><w:outlineLvl w:val=\"2\"/></w:pPr></w:style>\
        <w:style w:styleId=\"plain\"><w:name w:val=\"Quiet\"/><w:basedOn w:val=\"a3\"/><w:pPr><w:outlineLvl w:val=\"9\"/></w:pPr></w:style>\
        <w:style w:styleId=\"TM1\"><w:name w:val=\"toc 1\"/></w:style>\
        <w:style w:styleId=\"loop\"><w:name w:val=\"Loop\"/><w:basedOn w:val=\"loop\"/></w:style>\
        </w:styles>";
    let styled = |style: &str| p(&format!("<w:pStyle w:val=\"{style}\"/>"), style);
    let body: String = ["berschrift2", "af", "a3", "plain", "TM1", "loop", "1"]
        .map(styled)
        .concat()
        + &p("<w:outlineLvl w:val=\"0\"/>", "direct");
    let bytes = package(&[
        ("word/document.xml", &document(&body)),
        ("word/styles.xml", styles),
    ]);
    let document = load("x.docx", bytes);
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(2), "berschrift2"),
            (BlockKind::Heading(2), "af"),
            (BlockKind::Heading(3), "a3"),
            (BlockKind::Paragraph, "plain"),
            (BlockKind::Paragraph, "loop"),
            (BlockKind::Heading(1), "1"),
            (BlockKind::Heading(1), "direct"),
        ]
    );
}

#[test]
fn lists_count_as_word_counts_them() {
    let level = |n: u8, format: &str| {
        format!(
            "<w:lvl w:ilvl=\"{n}\"><w:start w:val=\"1\"/><w:numFmt w:val=\"{format}\"/></w:lvl>"
        )
    };
    let numbering = format!(
        "<w:numbering><w:abstractNum w:abstractNumId=\"0\">{}{}</w:abstractNum>\
         <w:abstractNum w:abstractNumId=\"1\">{}</w:abstractNum>\
         <w:num w:numId=\"5\"><w:abstractNumId w:val=\"0\"/></w:num>\
         <w:num w:numId=\"6\"><w:abstractNumId w:val=\"1\"/></w:num></w:numbering>",
        level(0, "decimal"),
        level(1, "lowerLetter"),
        level(0, "bullet")
    );
    let item = |id: u8, level: u8, text: &str| {
        let properties =
            format!("<w:numPr><w:ilvl w:val=\"{level}\"/><w:numId w:val=\"{id}\"/></w:numPr>");
        p(&properties, text)
    };
    let body = item(5, 0, "a")
        + &item(5, 1, "x")
        + &item(5, 1, "y")
        + &item(5, 0, "b")
        + &item(5, 1, "z")
        + &item(6, 0, "dot")
        + &item(0, 0, "none");
    let bytes = package(&[
        ("word/document.xml", &document(&body)),
        ("word/numbering.xml", &numbering),
    ]);
    let loaded = load("x.docx", bytes);
    let texts: Vec<&str> = blocks(&loaded).into_iter().map(|b| b.1).collect();
    assert_eq!(
        texts,
        ["1. a", "1. x", "2. y", "2. b", "1. z", "- dot", "none"]
    );
}

#[test]
fn deletions_vanish_notes_follow_and_text_boxes_are_read_once() {
    let run = |text: &str| format!("<w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r>");
    let boxed = format!(
        "<w:r><mc:AlternateContent><mc:Choice><wps:txbx><w:txbxContent>{0}</w:txbxContent></wps:txbx></mc:Choice>\
         <mc:Fallback><v:textbox><w:txbxContent>{0}</w:txbxContent></v:textbox></mc:Fallback></mc:AlternateContent></w:r>",
        p("", "In a box")
    );
    let body = format!(
        "<w:p>{}<w:del><w:r><w:delText>old</w:delText></w:r></w:del>\
         <w:moveFrom>{}</w:moveFrom><w:ins>{}</w:ins>\
         <w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r>\
         <w:r><w:instrText>PAGE</w:instrText></w:r>\
         <w:r><w:footnoteReference w:id=\"2\"/></w:r>{boxed}{}</w:p>",
        run("Kept "),
        run("moved"),
        run("new"),
        run(" end")
    );
    let notes = "<w:footnotes><w:footnote w:type=\"separator\" w:id=\"0\"><w:p/></w:footnote>\
        <w:footnote w:id=\"2\"><w:p><w:r><w:t>See</w:t></w:r></w:p><w:p><w:r><w:t>below.</w:t></w:r></w:p></w:footnote></w:footnotes>";
    let bytes = package(&[
        ("word/document.xml", &document(&body)),
        ("word/footnotes.xml", notes),
        (
            "docProps/core.xml",
            "<c><dc:title>The &lt;title&gt;</dc:title></c>",
        ),
    ]);
    let document = load("x.docx", bytes);
    assert_eq!(document.title, "The <title>");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Paragraph, "In a box"),
            (BlockKind::Paragraph, "Kept new¹ end"),
            (BlockKind::Paragraph, "¹ See below."),
        ]
    );
}

#[test]
fn the_main_part_may_have_another_name_and_prefix() {
    let main = "<x:document xmlns:x=\"w\"><x:body><x:p><x:r><x:t>text</x:t></x:r></x:p></x:body></x:document>";
    let relations = "<Relationships><Relationship Type=\"http://o/officeDocument\" Target=\"/doc/main.xml\"/></Relationships>";
    let bytes = package(&[("_rels/.rels", relations), ("doc/main.xml", main)]);
    assert_eq!(load("x.docx", bytes).text, "text");
}

#[test]
fn what_is_wrong_with_a_package_is_said() {
    let fine = docx(&p("", "text"));
    let bomb = docx(&"<w:p/>".repeat(200_000));
    assert!(bomb.len() < 100_000);
    // Each part is within the limit, all of them are not.
    let filler = " ".repeat(60_000);
    let parts = package(&[
        ("word/document.xml", &document(&(p("", "x") + &filler))),
        ("word/styles.xml", &format!("<s>{filler}</s>")),
    ]);
    let entity = "<!DOCTYPE d [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><w:document><w:body><w:p><w:r><w:t>&x;</w:t></w:r></w:p></w:body></w:document>";
    let limits = LoadLimits {
        max_bytes: 100_000,
        ..LoadLimits::default()
    };
    for (name, bytes, expected) in [
        ("bomb", bomb, "over the limit of 100000"),
        ("sum of parts", parts, "over the limit of 100000"),
        (
            "cut short",
            fine[..fine.len() - 30].to_vec(),
            "it may be cut short",
        ),
        (
            "entity",
            package(&[("word/document.xml", entity)]),
            "document type",
        ),
        (
            "no document",
            package(&[("mimetype", "x")]),
            "it has no word/document.xml",
        ),
        (
            "cut XML",
            package(&[("word/document.xml", "<w:document><w:body>")]),
            "it ends too early",
        ),
        ("deep", docx(&"<w:p>".repeat(10_000)), "nests too deep"),
    ] {
        let error = load_bytes("a.docx", &bytes, limits)
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}
