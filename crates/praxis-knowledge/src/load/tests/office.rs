//! Presentations, workbooks and books as their programs write them, and some put together by hand.

use super::docx::package;
use super::*;

/// A file of `tests/fixtures/office`.
pub(super) fn fixture(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/office/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

#[test]
fn slides_come_in_the_order_in_which_they_are_shown() {
    let document = load("deck.pptx", fixture("deck.pptx"));
    let seen: Vec<_> = document
        .blocks
        .iter()
        .map(|b| {
            (
                b.page.unwrap(),
                b.kind,
                slice(&document.text, b.start, b.end),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (1, BlockKind::Heading(1), "Slide 1"),
            (1, BlockKind::Paragraph, "A slide without a title"),
            (2, BlockKind::Heading(1), "Lighthouses 灯塔"),
            (2, BlockKind::ListItem, "- Built of brick"),
            (2, BlockKind::ListItem, "- Painted white"),
            (2, BlockKind::Paragraph, "Notes: Mention the keeper."),
            (3, BlockKind::Heading(1), "Heights"),
            (
                3,
                BlockKind::Table,
                "| Station | Metres |\n| --- | --- |\n| Lindau | 33 |"
            ),
        ]
    );
    assert!(
        document
            .text
            .contains("- Built of brick\n  - Painted white")
    );
    assert_eq!(document.notes, ["slide 4 is hidden and left out"]);
}

#[test]
fn diagrams_and_numbers_of_a_slide_are_read() {
    let relations = |items: &str| format!("<Relationships>{items}</Relationships>");
    let bytes = package(&[
        (
            "ppt/presentation.xml",
            "<p:presentation><p:sldIdLst><p:sldId id=\"256\" r:id=\"r7\"/></p:sldIdLst></p:presentation>",
        ),
        (
            "ppt/_rels/presentation.xml.rels",
            &relations("<Relationship Id=\"r7\" Type=\"x/slide\" Target=\"slides/a.xml\"/>"),
        ),
        (
            "ppt/slides/a.xml",
            "<p:sld><p:sp><p:nvSpPr><p:nvPr><p:ph type=\"ctrTitle\"/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>Two</a:t></a:r><a:br/><a:r><a:t>lines</a:t></a:r></a:p></p:txBody></p:sp>\
             <p:sp><p:nvSpPr><p:nvPr><p:ph type=\"sldNum\"/></p:nvPr></p:nvSpPr><a:p><a:t>7</a:t></a:p></p:sp>\
             <p:sp><a:p><a:pPr><a:buAutoNum/></a:pPr><a:t>one</a:t></a:p><a:p><a:pPr lvl=\"1\"><a:buChar/></a:pPr><a:t>deep</a:t></a:p><a:p><a:pPr><a:buAutoNum/></a:pPr><a:t>two</a:t></a:p></p:sp></p:sld>",
        ),
        (
            "ppt/slides/_rels/a.xml.rels",
            &relations(
                "<Relationship Id=\"r1\" Type=\"x/diagramData\" Target=\"../diagrams/d.xml\"/>",
            ),
        ),
        (
            "ppt/diagrams/d.xml",
            "<dgm:m><dgm:pt><a:p><a:t>Step</a:t></a:p></dgm:pt><dgm:pt type=\"pres\"><a:p><a:t>no</a:t></a:p></dgm:pt></dgm:m>",
        ),
    ]);
    assert_eq!(
        blocks(&load("a.pptx", bytes)),
        [
            (BlockKind::Heading(1), "Two lines"),
            (BlockKind::ListItem, "1. one"),
            (BlockKind::ListItem, "- deep"),
            (BlockKind::ListItem, "2. two"),
            (BlockKind::ListItem, "- Step"),
        ]
    );
}

#[test]
fn sheets_are_tables_with_numbers_as_shown() {
    let document = load("stations.xlsx", fixture("stations.xlsx"));
    assert_eq!(document.title, "Stations of the coast");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "Stations"),
            (BlockKind::Paragraph, "All stations"),
            (
                BlockKind::Table,
                "| Station | Opened | Height | Share |\n\
                 | --- | --- | --- | --- |\n\
                 | Lindau 灯塔 | 1956-05-01 | 33.50 m | 26% |\n\
                 | Kap Arkona | 1902-04-01 | 35.00 m | 74% |"
            ),
            (
                BlockKind::Table,
                "| Keeper | Since |\n| --- | --- |\n| Ann | 2024-03-05 14:30 |"
            ),
        ]
    );
    assert_eq!(document.notes, ["sheet `Lookup` is hidden and left out"]);
}

#[test]
fn old_workbooks_are_read_like_new_ones() {
    let document = load("stations.xls", fixture("stations.xls"));
    let all = blocks(&document);
    assert_eq!(all[0], (BlockKind::Heading(1), "Stations"));
    assert_eq!(
        all[1],
        (
            BlockKind::Table,
            "| Station | Opened | Height | Share |\n\
             | --- | --- | --- | --- |\n\
             | Lindau 灯塔 | 1956-05-01 | 33.5 | 26% |\n\
             | Kap Arkona | 1902-04-01 | 35 | 74% |"
        )
    );
    let BlockKind::Table = all[3].0 else {
        panic!("{:?}", all[3])
    };
    for r in 0..400 {
        let word = if r % 3 > 0 { "wind 风" } else { "calm" };
        let line = all[3].1.lines().nth(r).unwrap();
        assert!(
            line.starts_with(&format!("entry {r} {word} {word}")),
            "{line}"
        );
    }
    assert_eq!(document.notes, ["sheet `Lookup` is hidden and left out"]);
}

#[test]
fn open_document_sheets_are_read_as_shown() {
    let document = load("stations.ods", fixture("stations.ods"));
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "Stations"),
            (
                BlockKind::Table,
                "| Station | Opened | Height | Share |\n\
                 | --- | --- | --- | --- |\n\
                 | Lindau 灯塔 | 1956-05-01 | 33.5 | 0.256 |\n\
                 | Kap Arkona | 1902-04-01 | 35 | 0.744 |\n\
                 | again | again |\n\
                 | again | again |"
            ),
        ]
    );
    assert_eq!(document.notes, ["sheet `Lookup` is hidden and left out"]);
}

/// A workbook of one sheet with these shared texts and rows.
pub(super) fn xlsx(strings: &str, rows: &str) -> Vec<u8> {
    package(&[
        (
            "_rels/.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>",
        ),
        (
            "xl/workbook.xml",
            "<workbook xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\"><sheets><sheet name=\"S\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships><Relationship Id=\"r1\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" Target=\"worksheets/sheet1.xml\"/><Relationship Id=\"r2\" Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>",
        ),
        ("xl/sharedStrings.xml", &format!("<sst>{strings}</sst>")),
        (
            "xl/worksheets/sheet1.xml",
            &format!("<worksheet><sheetData>{rows}</sheetData></worksheet>"),
        ),
    ])
}

#[test]
fn what_cells_share_is_counted_each_time() {
    let strings =
        "<si><r><t xml:space=\"preserve\">rich </t></r><r><t>text</t></r></si><si><t>x</t></si>";
    let rows = "<row r=\"1\"><c r=\"A1\" t=\"s\"><v>0</v></c><c r=\"XFD1\" t=\"s\"><v>1</v></c></row>\
                <row r=\"1048576\"><c r=\"A1048576\" t=\"b\"><v>1</v></c><c r=\"B1048576\" t=\"e\"><v>#DIV/0!</v></c></row>";
    assert_eq!(
        blocks(&load("a.xlsx", xlsx(strings, rows))),
        [
            (BlockKind::Heading(1), "S"),
            (BlockKind::Table, "| rich text | x |\n| --- | --- |"),
            (BlockKind::Table, "| TRUE | #DIV/0! |\n| --- | --- |"),
        ]
    );
    // A megabyte that a thousand cells show is not a gigabyte of text.
    let long = format!("<si><t>{}</t></si>", "word ".repeat(200_000));
    let row = "<row><c t=\"s\"><v>0</v></c></row>";
    let error = load_bytes(
        "a.xlsx",
        &xlsx(&long, &row.repeat(1000)),
        LoadLimits::default(),
    );
    assert!(
        matches!(error, Err(LoadError::TooLarge { .. })),
        "{error:?}"
    );
    // Nor are cells far apart, or repeated ones, a table as large as all between them.
    let far: String = (1..=2000)
        .map(|i| {
            format!(
                "<row r=\"{i}\"><c r=\"{}{i}\"><v>1</v></c></row>",
                column(i)
            )
        })
        .collect();
    let start = std::time::Instant::now();
    let _ = load_bytes("a.xlsx", &xlsx("", &far), LoadLimits::default());
    let cell = "<table:table-cell table:number-columns-repeated=\"16384\"><text:p>word</text:p></table:table-cell>";
    let content = format!(
        "<o><table:table><table:table-row table:number-rows-repeated=\"1048576\">{cell}</table:table-row></table:table></o>"
    );
    let parts = [
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        ("content.xml", &content),
    ];
    let limits = LoadLimits {
        max_bytes: 1 << 20,
        ..LoadLimits::default()
    };
    let error = load_bytes("a.ods", &package(&parts), limits);
    assert!(
        matches!(error, Err(LoadError::TooLarge { .. })),
        "{error:?}"
    );
    assert!(start.elapsed().as_secs() < 20);
}

#[test]
fn a_cell_out_of_bounds_costs_what_comes_after_it_only() {
    let rows = "<row><c r=\"A1\" t=\"inlineStr\"><is><t>kept</t></is></c></row>\
                <row><c r=\"A99999999999999999999\"><v>1</v></c></row>";
    match load_bytes("a.xlsx", &xlsx("", rows), LoadLimits::default()) {
        Ok(document) => assert!(document.text.contains("S"), "{document:?}"),
        Err(error) => assert!(matches!(error, LoadError::Damaged(_)), "{error}"),
    }
}

/// The letters of a column.
fn column(mut number: usize) -> String {
    let mut letters = Vec::new();
    while number > 0 {
        letters.push(char::from(b'A' + ((number - 1) % 26) as u8));
        number = (number - 1) / 26;
    }
    letters.into_iter().rev().collect()
}

#[test]
fn books_are_read_in_the_order_of_their_spine() {
    let document = load("year.epub", fixture("year.epub"));
    assert_eq!(document.title, "The Keeper's Year");
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "Spring 春"),
            (BlockKind::Paragraph, "The lamp was cleaned. 灯被擦亮。"),
            (BlockKind::Heading(1), "Winter"),
            (BlockKind::Paragraph, "Snow lay on the gallery."),
            (BlockKind::ListItem, "- oil"),
        ]
    );
    let opf = "<package><manifest><item id=\"a\" href=\"a%20b.html\" media-type=\"application/xhtml+xml\"/></manifest><spine><itemref idref=\"a\"/></spine></package>";
    let parts = [
        ("mimetype", "application/epub+zip"),
        (
            "META-INF/container.xml",
            "<c><rootfile full-path=\"o/p.opf\"/></c>",
        ),
        ("o/p.opf", opf),
        ("o/a b.html", "<p>text"),
    ];
    assert_eq!(load("a.epub", package(&parts)).text, "text");
    let locked = [
        &parts[..],
        &[(
            "META-INF/encryption.xml",
            "<e><CipherReference URI=\"o/a%20b.html\"/></e>",
        )],
    ]
    .concat();
    let error = load_bytes("a.epub", &package(&locked), LoadLimits::default());
    assert_eq!(error, Err(LoadError::Encrypted));
}

#[test]
fn delimited_text_is_a_table_in_any_encoding() {
    let (bytes, ..) =
        encoding_rs::GB18030.encode("姓名;城市;备注\n藤野;仙台;\"解剖\n学; 严\"\n\n鲁迅;绍兴;\n");
    assert_eq!(
        blocks(&load("a.csv", bytes)),
        [(
            BlockKind::Table,
            "| 姓名 | 城市 | 备注 |\n| --- | --- | --- |\n| 藤野 | 仙台 | 解剖 学; 严 |\n| 鲁迅 | 绍兴 |"
        )]
    );
    assert_eq!(
        blocks(&load("a.tsv", "sep=,\r\na,b\r\n1,\"2, 3\"\r\n")),
        [(BlockKind::Table, "| a | b |\n| --- | --- |\n| 1 | 2, 3 |")]
    );
    // What many programs call a workbook.
    assert_eq!(
        blocks(&load("a.xls", "<html><table><tr><td>a<td>b</table>")),
        [(BlockKind::Table, "| a | b |\n| --- | --- |")]
    );
    assert_eq!(
        blocks(&load("a.xls", "a\tb\n1\t2\n")),
        [(BlockKind::Table, "| a | b |\n| --- | --- |\n| 1 | 2 |")]
    );
}

#[test]
fn what_a_file_holds_outranks_its_name() {
    for (name, from) in [
        ("a.txt", "deck.pptx"),
        ("a.docx", "stations.xlsx"),
        ("a.csv", "stations.ods"),
        ("a", "year.epub"),
        ("a.xlsx", "stations.xls"),
        ("a.zip", "deck.pptx"),
    ] {
        let bytes = fixture(from);
        let limits = LoadLimits::default();
        assert_eq!(
            Format::of(name, &bytes, limits),
            Format::of(from, &bytes, limits),
            "{name}"
        );
        assert!(load_bytes(name, &bytes, limits).is_ok(), "{name}");
    }
    let ole = |stream: &str| {
        let mut file = cfb::CompoundFile::create(std::io::Cursor::new(Vec::new())).unwrap();
        file.create_stream(stream).unwrap();
        file.into_inner().into_inner()
    };
    for (name, bytes, expected) in [
        ("a.xlsx", ole("/EncryptedPackage"), "is encrypted"),
        (
            "a.doc",
            ole("/WordDocument"),
            "a Word document from before 2007",
        ),
        (
            "a.docx",
            ole("/WordDocument"),
            "a Word document from before 2007",
        ),
        (
            "a.ppt",
            ole("/PowerPoint Document"),
            "a presentation from before 2007",
        ),
        (
            "a.msg",
            ole("/__properties_version1.0"),
            "an Outlook message",
        ),
        ("a.doc", b"{\\rtf1 x}".to_vec(), "Rich Text"),
        ("a.txt", package(&[("x", "y")]), "a ZIP archive"),
        (
            "a.odt",
            package(&[("mimetype", "application/vnd.oasis.opendocument.text")]),
            "OpenDocument text",
        ),
        (
            "a.pptx",
            b"text".to_vec(),
            "it is not a ZIP archive, as PPTX is",
        ),
        (
            "a.pptx",
            package(&[("ppt/x", "y")]),
            "it is no presentation",
        ),
    ] {
        let error = load_bytes(name, &bytes, LoadLimits::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}
