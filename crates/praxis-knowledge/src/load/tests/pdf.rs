//! PDFs of several producers; `tests/fixtures/README.md` tells how each was made.

use super::*;

/// The fixtures, but for those that are the same file behind a password.
pub(super) const FIXTURES: &[&str] = &[
    "predefined-cmaps.pdf",
    "reportlab-columns.pdf",
    "reportlab-rotated.pdf",
    "reportlab-table.pdf",
    "object-streams.pdf",
    "encrypted-empty-128.pdf",
    "ghostscript.pdf",
    "groff.pdf",
    "weasyprint.pdf",
    "chromium.pdf",
    "typst.pdf",
    "scanned.pdf",
];

/// Bytes of a fixture.
pub(super) fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A PDF of a catalogue, a page list with one page, and these objects, which begin with the page.
pub(super) fn document(objects: &[&str]) -> Vec<u8> {
    let mut out = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n\
         2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n"
        .to_owned();
    for (number, object) in (3..).zip(objects) {
        out.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    out.push_str("trailer<</Root 1 0 R>>\n%%EOF\n");
    out.into_bytes()
}

/// A PDF of one page with this content and the font `F1`.
pub(super) fn page_of(content: &str) -> Vec<u8> {
    let stream = format!(
        "<</Length {}>>\nstream\n{content}\nendstream",
        content.len()
    );
    document(&[
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        &stream,
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
    ])
}

fn load_fixture(name: &str) -> LoadedDocument {
    load("name.pdf", fixture(name))
}

fn pages(document: &LoadedDocument) -> Vec<(u32, &str)> {
    document
        .blocks
        .iter()
        .map(|b| (b.page.unwrap(), slice(&document.text, b.start, b.end)))
        .collect()
}

#[test]
fn chinese_japanese_and_korean_in_predefined_encodings_are_read() {
    assert_eq!(
        pages(&load_fixture("predefined-cmaps.pdf")),
        [
            (1, "江苏银行(回单) No 7"),
            (2, "藤野先生教解剖学"),
            (3, "中文简体 GBK text"),
            (4, "汉字"),
            (5, "国标一八〇三〇"),
            (6, "東京タワー"),
            (7, "日本語ﾃｷｽﾄ text"),
            (8, "文字コード"),
            (9, "繁體中文"),
            (10, "台灣大五碼"),
            (11, "한국어 문서"),
            (12, "한글 코드"),
            (13, "竖排文字"),
        ]
    );
}

/// The table fixture, which is there in several wrappings.
fn prices() -> Vec<(BlockKind, &'static str)> {
    vec![
        (BlockKind::Heading(1), "Prices"),
        (
            BlockKind::Paragraph,
            "All prices are per night and include breakfast for two guests.",
        ),
        (
            BlockKind::Table,
            "| Room | Price | Beds |\n| --- | --- | --- |\n| Small | 40 | 1 |\n| Large | 65 | 2 |",
        ),
        (BlockKind::ListItem, "- Cancel by noon, or pay one night."),
        (BlockKind::ListItem, "- Pets are welcome."),
    ]
}

#[test]
fn headings_tables_and_bullets_survive_packing_and_encryption_without_a_password() {
    for name in [
        "reportlab-table.pdf",
        "object-streams.pdf",
        "encrypted-empty-40.pdf",
        "encrypted-empty-128.pdf",
        "encrypted-empty-256.pdf",
    ] {
        let document = load_fixture(name);
        assert_eq!(blocks(&document), prices(), "{name}");
        assert_eq!(document.title, "Prices", "{name}");
        assert!(document.notes.is_empty(), "{name}");
    }
}

#[test]
fn columns_are_read_one_after_the_other_without_headers_and_page_numbers() {
    let document = load_fixture("reportlab-columns.pdf");
    assert_eq!(document.title, "On Keeping Records");
    let mut expected = vec![(BlockKind::Heading(1), "On Keeping Records".to_owned())];
    let verse = "The lighthouse keeper wrote down the weather every evening before supper. On calm \
         days the entry was a single line about wind and visibility, and on stormy days it filled the \
         page. Nobody had asked for such a record, yet the habit outlived three keepers and the lamp \
         itself.";
    for chapter in 1..=13 {
        expected.push((
            BlockKind::Heading(2),
            format!("{chapter} Evening number {chapter}"),
        ));
        for part in 1..=2 {
            let text = format!("Entry {chapter}.{part} begins. {verse}");
            expected.push((BlockKind::Paragraph, text));
        }
    }
    let found: Vec<_> = blocks(&document)
        .into_iter()
        .map(|(kind, text)| (kind, text.to_owned()))
        .collect();
    assert_eq!(found, expected);
    let page_of = |text: &str| {
        pages(&document)
            .iter()
            .find(|p| p.1.starts_with(text))
            .unwrap()
            .0
    };
    assert_eq!(
        (
            page_of("1 Evening"),
            page_of("7 Evening"),
            page_of("13 Evening")
        ),
        (1, 2, 3)
    );
}

#[test]
fn chinese_and_english_of_html_printers_are_read_alike() {
    let text = "航海手册\n\n本手册说明灯塔的值守规则。值守人员每天傍晚记录天气，暴风雨时每小时记录一次，并在交班时签字确认。\n\nSignals\n\n\
         Two white flashes every ten seconds mean that the channel is open. A steady red light means \
         that every office must affirm the fluffy official first. Use caution at night.\n\n\
         - First item\n- Second item\n\n附录\n\n联系电话在值班室。";
    for name in [
        "weasyprint.pdf",
        "weasyprint-no-tounicode.pdf",
        "chromium.pdf",
    ] {
        let document = load_fixture(name);
        assert_eq!(document.title, "航海手册 Handbook", "{name}");
        let kinds: Vec<BlockKind> = blocks(&document).into_iter().map(|b| b.0).collect();
        assert_eq!(kinds[0], BlockKind::Heading(1), "{name}");
        assert_eq!(kinds[2], BlockKind::Heading(2), "{name}");
        // Chromium draws bullets as shapes.
        let plain = |text: &str| text.replace("- ", "").replace("\n\n", "\n");
        assert_eq!(
            plain(&document.text),
            plain(&format!("{text}\n\n1")),
            "{name}"
        );
    }
    assert!(load_fixture("weasyprint.pdf").text.starts_with(text));
}

#[test]
fn two_columns_of_typst_are_joined_and_its_hyphens_undone() {
    let document = load_fixture("typst.pdf");
    let headings: Vec<_> = blocks(&document)
        .into_iter()
        .filter(|b| matches!(b.0, BlockKind::Heading(_)))
        .collect();
    assert_eq!(
        headings,
        [
            (BlockKind::Heading(1), "1 Observations"),
            (BlockKind::Heading(2), "1.1 Birds"),
            (BlockKind::Heading(2), "1.2天气"),
            (BlockKind::Heading(1), "2 Conclusions"),
        ]
    );
    for whole in [
        "The difficulty of finding efficient flight paths is sufficient reason for careful observation.",
        "今天多云，午后有阵雨，风向偏北，能见度良好。",
        // Over a hyphen, and over the end of a page.
        "Tollit definitiones, nihil de dividendo",
        "saluto: 'chaere,' inquam, 'Tite!' lictores",
    ] {
        assert!(document.text.contains(whole), "{whole}");
    }
    assert!(!document.text.contains("Field Notes 2024"));
    assert!(!document.text.contains('\u{ad}'));
}

#[test]
fn fonts_of_postscript_programs_are_read_by_their_encodings() {
    for name in ["groff.pdf", "groff-no-tounicode.pdf"] {
        let document = load_fixture(name);
        assert_eq!(
            blocks(&document),
            [
                (BlockKind::Heading(1), "Notes on Tides"),
                (BlockKind::Paragraph, "A. Keeper"),
                (BlockKind::Heading(2), "1. Spring tides"),
                (
                    BlockKind::Paragraph,
                    "Spring tides occur when the moon and the sun pull in the same direction, which happens twice in every lunar month irrespective of the season, notwithstanding considerable misunderstandings among inexperienced observers."
                ),
                (
                    BlockKind::Paragraph,
                    "The second paragraph is indented, as is usual in printed books, and it continues for a second line."
                ),
                (BlockKind::Heading(2), "2. Neap tides"),
                (
                    BlockKind::Paragraph,
                    "Neap tides are smaller. They follow a week later."
                ),
            ],
            "{name}"
        );
    }
    assert_eq!(
        load_fixture("ghostscript.pdf").text,
        "Listing of the watch\n\n08:00 calm\n\n12:00 breeze (north)\n\nIt’s ‘quoted’ text."
    );
}

#[test]
fn turned_pages_and_words_placed_one_by_one_are_read_as_they_look() {
    assert_eq!(
        pages(&load_fixture("reportlab-rotated.pdf")),
        [
            (1, "Turned by 0 degrees, it reads from left to right."),
            (2, "Turned by 90 degrees, it reads from left to right."),
            (3, "Turned by 180 degrees, it reads from left to right."),
            (4, "Turned by 270 degrees, it reads from left to right."),
            (5, "Upright text comes first."),
            (5, "A label along the axis"),
            (6, "Wide letters here"),
            (6, "Each word is placed by itself"),
        ]
    );
}

#[test]
fn what_is_no_text_is_told_from_what_is_damaged() {
    let unmapped = document(&[
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</Font<</F1 5 0 R>>>>>>",
        "<</Length 38>>\nstream\nBT /F1 9 Tf 30 30 Td <00010002> Tj ET \nendstream",
        "<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[<</Type/Font/Subtype/CIDFontType2/BaseFont/X>>]>>",
    ]);
    for (name, bytes, expected) in [
        ("password", fixture("encrypted.pdf"), "is encrypted"),
        (
            "scan",
            fixture("scanned.pdf"),
            "has no text that can be read: there are only pictures on its page, as from a scanner",
        ),
        (
            "unmapped",
            unmapped,
            "has no text that can be read: the fonts on its page do not tell their characters",
        ),
        ("empty page", page_of(""), "holds no text"),
        (
            "header only",
            b"%PDF-1.4\ncut".to_vec(),
            "is damaged: no page of it can be found; it may be cut short",
        ),
    ] {
        let error = load_bytes("a.pdf", &bytes, LoadLimits::default()).unwrap_err();
        assert_eq!(error.to_string(), expected, "{name}");
    }
    let error = load_bytes("a.pdf", &fixture("scanned.pdf"), LoadLimits::default()).unwrap_err();
    assert!(error.hint().contains("OCR"));
}

#[test]
fn a_file_without_its_end_is_read_as_far_as_it_goes() {
    let whole = fixture("reportlab-columns.pdf");
    // The list of pages and the table of objects stand at the end, and the last page before them.
    let cut = whole.len() - 1100;
    let document = load("a.pdf", &whole[..cut]);
    assert!(
        document.text.contains("1 Evening number 1"),
        "{}",
        document.text
    );
    let junk = [
        b"From: mail@host\n\n".as_slice(),
        &fixture("reportlab-table.pdf"),
    ]
    .concat();
    assert_eq!(blocks(&load("a.pdf", junk)), prices());
}

#[test]
fn one_bad_page_costs_that_page_and_is_told() {
    let page = |contents: u8, kind: &str| {
        format!(
            "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents {contents} 0 R/Resources<</Font<</F1 9 0 R>>/XObject<</I 10 0 R>>>>{kind}>>"
        )
    };
    let show = |text: &str| {
        format!(
            "<</Length {}>>\nstream\nBT /F1 9 Tf 30 200 Td ({text}) Tj ET\nendstream",
            text.len() + 32
        )
    };
    let mut objects = vec![
        page(6, ""),
        page(7, ""),
        page(8, ""),
        show("First page"),
        "<</Length 5>>\nstream\n/I Do\nendstream".to_owned(),
        show("Third page"),
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>".to_owned(),
        "<</Type/XObject/Subtype/Image/Width 1/Height 1/Length 1>>\nstream\n0\nendstream"
            .to_owned(),
    ];
    let build = |objects: &[String]| {
        let parts: Vec<&str> = objects.iter().map(String::as_str).collect();
        let bytes = document(&parts);
        let text = String::from_utf8(bytes).unwrap();
        text.replace("/Count 1/Kids[3 0 R]", "/Count 3/Kids[3 0 R 4 0 R 5 0 R]")
            .into_bytes()
    };
    let document = load("a.pdf", build(&objects));
    assert_eq!(pages(&document), [(1, "First page"), (3, "Third page")]);
    assert_eq!(
        document.notes,
        ["page 2 without text, as from a scanner: OCR would read it"]
    );
    // Damaged compression on the second page.
    objects[4] = "<</Length 9/Filter/FlateDecode>>\nstream\nnot zlib!\nendstream".to_owned();
    let document = load("a.pdf", build(&objects));
    assert_eq!(pages(&document), [(1, "First page"), (3, "Third page")]);
    assert_eq!(document.notes, ["page 2 cannot be read, at least in part"]);
}

#[test]
fn marks_for_headers_and_for_text_in_other_words_are_heeded() {
    let marked = "/Artifact <</Type/Pagination>> BDC BT /F1 9 Tf 30 800 Td (Marked header) Tj ET EMC \
         BT /F1 9 Tf 30 400 Td /Span <</ActualText (spelt)>> BDC (sp-elt) Tj EMC ( out) Tj ET";
    assert_eq!(load("a.pdf", page_of(marked)).text, "spelt out");
}

#[cfg(not(feature = "ocr"))]
#[test]
fn a_build_without_recognition_says_how_to_get_it() {
    let here = crate::load::ocr::Ocr::new(&crate::config::OcrConfig::default());
    let how = Loading::new(LoadLimits::default(), here);
    let picture = b"\x89PNG\r\n\x1a\n...".to_vec();
    for (name, bytes) in [("a.pdf", fixture("scanned.pdf")), ("a.png", picture)] {
        let error = load_bytes(name, &bytes, how.clone()).unwrap_err();
        assert!(error.to_string().contains("no OCR (feature `ocr`)"));
        assert!(error.hint().contains("--features ocr"));
    }
}

#[test]
fn tables_keep_their_empty_cells_and_cells_of_several_lines() {
    let cells: &[(u32, u32, &str)] = &[
        (50, 700, "Room"),
        (150, 700, "Note"),
        (300, 700, "May"),
        (400, 700, "June"),
        (50, 680, "Small"),
        (150, 680, "faces the har-"),
        (300, 680, "40"),
        (150, 668, "bour | quiet"),
        (50, 648, "Large"),
        (400, 648, "65"),
        (150, 628, "with a balcony"),
        (300, 628, "80"),
        (400, 628, "95"),
        (
            50,
            590,
            "All prices are per night and include breakfast for two guests.",
        ),
    ];
    let show = |(x, y, text): &(u32, u32, &str)| format!("1 0 0 1 {x} {y} Tm ({text}) Tj ");
    let shown: String = cells.iter().map(show).collect();
    let document = load("a.pdf", page_of(&format!("BT /F1 10 Tf {shown} ET")));
    assert_eq!(
        blocks(&document),
        [
            (
                BlockKind::Table,
                "| Room | Note | May | June |\n\
                 | --- | --- | --- | --- |\n\
                 | Small | faces the harbour \\| quiet | 40 |\n\
                 | Large |  |  | 65 |\n\
                 |  | with a balcony | 80 | 95 |"
            ),
            (
                BlockKind::Paragraph,
                "All prices are per night and include breakfast for two guests."
            ),
        ]
    );
}
