//! Files from broken disks and from people who mean harm: each is text or a clear problem, in time.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::docx::docx;
use super::packing::zlib;
use super::pdf::{FIXTURES, fixture};
use super::*;

/// Time that a small file may take, unoptimized and beside other tests.
const SOON: Duration = Duration::from_secs(20);

/// Files of `tests/fixtures/office`.
const OFFICE: &[&str] = &[
    "deck.pptx",
    "stations.xlsx",
    "stations.xls",
    "stations.ods",
    "year.epub",
    "wick.eml",
    "page.eml",
    "box.mbox",
];

/// A notebook with each kind of cell.
const NOTEBOOK: &str = r##"{"cells": [
 {"cell_type": "markdown", "source": ["# A\n", "\n", "| a | b |\n|---|---|\n| 1 | 2 |\n"]},
 {"cell_type": "code", "source": "x = 1", "outputs": [{"text": "y"}]},
 {"cell_type": "raw", "source": ["c"]}], "metadata": {}, "nbformat": 4}"##;

/// What a recognizer says of a page.
#[cfg(feature = "ocr")]
const HOCR: &str = "<html><body><div class='ocr_page' title='bbox 0 0 900 900'><div class='ocr_carea'>\
    <span class='ocr_header' title='bbox 10 10 300 60; baseline -0.024 -2; textangle 0'>\
    <span class='ocrx_word' title='bbox 10 10 100 60; x_wconf 96'>Q&amp;A</span>\
    <span class='ocrx_word' title='bbox 200 10 300 60; x_wconf 40'><strong>手册</strong></span></span>\
    <span class='ocr_line' title='bbox 10 90 300 120'><span class='ocrx_word'>a</span></span>\
    </div></div></body></html>";

/// Whole files of each format, small enough to be changed byte by byte.
pub(super) fn samples() -> Vec<(&'static str, Vec<u8>)> {
    let mut all = vec![
        (
            "a.md",
            b"# A\n\n- b\n\n|x|y|\n|-|-|\n|1|2|\n\nc\n|x|y|\n|1|2|\nd".to_vec(),
        ),
        (
            "a.html",
            b"<meta charset=gbk><h1>A</h1><p>b<table><tr><td>c</table><ul><li>d<pre>e".to_vec(),
        ),
        (
            "a.docx",
            docx("<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>a</w:t></w:r></w:p>"),
        ),
        (
            "a.txt",
            "文字 and text\n\n| a | b |\n| c\\|| d |\nmore"
                .as_bytes()
                .to_vec(),
        ),
    ];
    all.extend([
        ("a.csv", b"a;b;c\n1;\"2;\n3\";4\n5;6;7\n".to_vec()),
        (
            "a.jsonl",
            b"{\"title\": \"a\", \"text\": \"b\", \"c\": [1, {\"d\": null}]}\n[2]\n".to_vec(),
        ),
        (
            "a.json",
            b"{\"a\": [{\"b\": 1.5}, 2], \"c\": {\"d\": true}}".to_vec(),
        ),
        (
            "a.rs",
            b"impl A {\n    fn b(&'a self) -> char { '\\'' }\n}\n\n/* \" */ fn c() {}\n".to_vec(),
        ),
        (
            "a.py",
            b"class A:\n    '''doc'''\n    def b(self):\n        return [\n1]\n\ndef c(): pass\n"
                .to_vec(),
        ),
        (
            "a.xlsx",
            super::office::xlsx("<si><t>a</t></si>", "<row><c t=\"s\"><v>0</v></c></row>"),
        ),
        ("a.ipynb", NOTEBOOK.as_bytes().to_vec()),
        (
            "a.png",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01".to_vec(),
        ),
        #[cfg(feature = "ocr")]
        ("a.hocr", HOCR.as_bytes().to_vec()),
    ]);
    all.extend(
        OFFICE
            .iter()
            .map(|name| (*name, super::office::fixture(name))),
    );
    all.extend(FIXTURES.iter().map(|name| ("a.pdf", fixture(name))));
    all
}

/// Bytes with some of them changed, cut off somewhere.
pub(in crate::load) fn damaged(
    mut bytes: Vec<u8>,
    flips: Vec<(prop::sample::Index, u8)>,
    cut: Option<prop::sample::Index>,
) -> Vec<u8> {
    for (at, with) in flips {
        let at = at.index(bytes.len());
        bytes[at] ^= with;
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len()) + 1);
    }
    bytes
}

/// Loads on this thread, so that a panic fails the test, and checks what every caller relies on.
pub(super) fn check(name: &str, bytes: &[u8]) -> Result<(), TestCaseError> {
    let start = Instant::now();
    let limits = LoadLimits {
        max_bytes: 4 << 20,
        ..LoadLimits::default()
    };
    match read(name, bytes, limits) {
        Ok(document) => {
            prop_assert!(!document.blocks.is_empty());
            let mut last = 0;
            for block in &document.blocks {
                prop_assert!(block.start >= last && block.end > block.start);
                prop_assert!(
                    !slice(&document.text, block.start, block.end)
                        .trim()
                        .is_empty()
                );
                prop_assert!(block.page != Some(0));
                last = block.end;
            }
            prop_assert_eq!(document.text.chars().count(), last);
        }
        Err(error) => {
            prop_assert!(!error.to_string().is_empty() && !error.hint().is_empty());
        }
    }
    prop_assert!(start.elapsed() < SOON, "{name} took {:?}", start.elapsed());
    Ok(())
}

fn read(name: &str, bytes: &[u8], limits: LoadLimits) -> Result<LoadedDocument, LoadError> {
    #[cfg(feature = "ocr")]
    if name.ends_with(".hocr") {
        use crate::load::{ocr, pdf};

        let page = pdf::Recognized {
            number: 1,
            areas: ocr::hocr::areas(&String::from_utf8_lossy(bytes)),
            height: 900,
            dpi: 300.0,
        };
        let mut builder = crate::document::Builder::default();
        pdf::recognized_blocks(vec![page], &mut builder);
        let document = Some(builder.finish(None, name));
        let document = document.filter(|document| !document.blocks.is_empty());
        return document.ok_or(LoadError::Empty);
    }
    load_bytes(name, bytes, limits)
}

#[test]
fn there_is_a_sample_of_each_format() {
    use Format::{
        Code, Csv, Docx, Epub, Html, Json, JsonLines, Mail, Mailbox, Markdown, Notebook, Ods, Pdf,
        Picture, Pptx, Text, Xls, Xlsx,
    };
    let mut missing = vec![
        Code, Csv, Docx, Epub, Html, Json, JsonLines, Mail, Mailbox, Markdown, Notebook, Ods, Pdf,
        Picture, Pptx, Text, Xls, Xlsx,
    ];
    for (name, bytes) in samples() {
        if let Ok(format) = Format::of(name, &bytes, LoadLimits::default()) {
            // A format that is new is to be added here and above.
            match format {
                Code | Csv | Docx | Epub | Html | Json | JsonLines | Mail | Mailbox | Markdown
                | Notebook | Ods | Pdf | Picture | Pptx | Text | Xls | Xlsx => {}
            }
            missing.retain(|wanted| *wanted != format);
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

proptest! {
    #[test]
    fn changed_streams_of_pdfs_do_no_harm(
        which in prop::sample::select(FIXTURES.to_vec()),
        seed in any::<u64>(),
    ) {
        if let Some(bytes) = super::fuzz::changed_stream(&fixture(which), seed) {
            check("a.pdf", &bytes)?;
        }
    }

    #[test]
    fn changed_and_truncated_files_do_no_harm(
        which in any::<prop::sample::Index>(),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in proptest::option::of(any::<prop::sample::Index>()),
    ) {
        let samples = samples();
        let (name, bytes) = samples[which.index(samples.len())].clone();
        check(name, &damaged(bytes, flips, cut))?;
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(
        ending in prop::sample::select(EXTENSIONS.to_vec()),
        head in prop::sample::select(vec![&b""[..], b"%PDF-1.7\n", b"PK\x03\x04", b"\xff\xfe", b"<p>"]),
        bytes in proptest::collection::vec(any::<u8>(), 0..2000),
    ) {
        check(&format!("a.{ending}"), &[head, &bytes].concat())?;
    }

    #[test]
    fn arbitrary_pages_do_no_harm(content in "([0-9.-]{1,4} |/F1 |\\[|\\]|\\(a\\)|<6162>|<<|>>|Tj |TJ |Tf |Td |Tm |cm |q |Q |BT |ET |Do |BI |ID |EI |' |\" ){0,80}") {
        check("a.pdf", &super::pdf::page_of(&content))?;
    }
}

#[test]
fn hostile_nesting_does_not_overflow_the_stack() {
    let dir = tempfile::tempdir().unwrap();
    let page = |content: String| super::pdf::page_of(&content);
    for (name, bytes) in [
        ("a.html", ("<div>".repeat(100_000) + "x").into_bytes()),
        ("a.md", ("> ".repeat(50_000) + "x").into_bytes()),
        ("a.docx", docx(&"<w:tbl><w:tr><w:tc>".repeat(50_000))),
        ("arrays.pdf", page("[".repeat(1_000_000))),
        (
            "states.pdf",
            page("q ".repeat(1_000_000) + "BT /F1 9 Tf (x) Tj ET"),
        ),
        (
            "dictionaries.pdf",
            page("/A ".to_owned() + &"<</B ".repeat(300_000) + "BDC"),
        ),
        (
            "objects.pdf",
            [b"%PDF-1.4\n1 0 obj\n", "[".repeat(1_000_000).as_bytes()].concat(),
        ),
    ] {
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let start = Instant::now();
        let _ = load_file(&path, LoadLimits::default());
        assert!(start.elapsed() < SOON, "{name} took {:?}", start.elapsed());
    }
}

#[test]
fn a_form_that_shows_itself_ends() {
    let parts = super::pdf::document(&[
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R/Resources<</XObject<</X 5 0 R>>/Font<</F1 6 0 R>>>>>>",
        "<</Length 11>>\nstream\n/X Do /X Do\nendstream",
        "<</Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 5 0 R>>/Font<</F1 6 0 R>>>>/Length 47>>\nstream\nBT /F1 9 Tf 30 30 Td (loop) Tj ET /X Do /X Do \nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]);
    let start = Instant::now();
    let document = load("a.pdf", parts);
    assert!(document.text.contains("loop"));
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}

#[test]
fn streams_that_unpack_beyond_the_limit_are_refused() {
    let bomb = zlib(&b"0 0 m ".repeat(4_000_000));
    let limits = LoadLimits {
        max_bytes: 1 << 20,
        ..LoadLimits::default()
    };
    for kind in ["", "/Type/ObjStm/N 1/First 4", "/Type/XRef"] {
        let head = format!(
            "%PDF-1.5\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj 3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/Contents 4 0 R>>endobj\n4 0 obj\n<<{kind}/Filter/FlateDecode/Length {}>>\nstream\n",
            bomb.len()
        );
        let bytes = [
            head.as_bytes(),
            &bomb,
            b"\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        ]
        .concat();
        assert!(bytes.len() < 100_000);
        let error = load_bytes("a.pdf", &bytes, limits).unwrap_err();
        assert!(
            matches!(error, LoadError::TooLarge { .. }),
            "{kind}: {error}"
        );
    }
}
