//! Workbooks of people who mean harm: a text that many cells share is there once only in the file, and a number that says
//! how much there is costs a few bytes.

use std::io::{Cursor, Write};

use super::docx::package;
use super::office::xlsx;
use super::*;

fn is_too_large(error: &Result<LoadedDocument, LoadError>) -> bool {
    matches!(error, Err(LoadError::TooLarge { .. }))
}

#[test]
fn a_text_that_all_cells_of_a_row_share_is_counted_each_time() {
    let long = format!("<si><t>{}</t></si>", "word ".repeat(200_000));
    let row = format!("<row>{}</row>", "<c t=\"s\"><v>0</v></c>".repeat(1000));
    let error = load_bytes("a.xlsx", &xlsx(&long, &row), LoadLimits::default());
    assert!(is_too_large(&error), "{error:?}");
    // Spaces are looked through, too.
    let blank = format!(
        "<si><t xml:space=\"preserve\">{}</t></si>",
        " ".repeat(1_000_000)
    );
    let error = load_bytes("a.xlsx", &xlsx(&blank, &row), LoadLimits::default());
    assert!(is_too_large(&error), "{error:?}");
}

/// An old workbook of one sheet with a row of cells that share a text.
fn xls(text: &str, cells: u16) -> Vec<u8> {
    let record = |kind: u16, data: &[u8]| {
        let length = u16::try_from(data.len()).unwrap();
        [&kind.to_le_bytes()[..], &length.to_le_bytes(), data].concat()
    };
    let begin = record(0x0809, &[0, 6, 5, 0, 0, 0, 0, 0]);
    let end = record(0x000a, &[]);
    let shared = [
        &1u32.to_le_bytes()[..],
        &1u32.to_le_bytes(),
        &u16::try_from(text.len()).unwrap().to_le_bytes(),
        &[0],
        text.as_bytes(),
    ]
    .concat();
    let shared = record(0x00fc, &shared);
    let sheet = |offset: u32| {
        record(
            0x0085,
            &[&offset.to_le_bytes()[..], &[0, 0, 1, 0, b'S']].concat(),
        )
    };
    let offset = begin.len() + sheet(0).len() + shared.len() + end.len();
    let sheet = sheet(u32::try_from(offset).unwrap());
    let row = (0..cells).flat_map(|column| {
        let data = [&[0, 0][..], &column.to_le_bytes(), &[0; 6]].concat();
        record(0x00fd, &data)
    });
    let row: Vec<u8> = row.collect();
    let stream = [&begin[..], &sheet, &shared, &end, &begin, &row, &end].concat();
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    file.create_stream("/Workbook")
        .unwrap()
        .write_all(&stream)
        .unwrap();
    file.into_inner().into_inner()
}

#[test]
fn the_same_holds_for_old_workbooks() {
    let read = load("a.xls", xls("word", 3));
    assert_eq!(
        blocks(&read),
        [
            (BlockKind::Heading(1), "S"),
            (
                BlockKind::Table,
                "| word | word | word |\n| --- | --- | --- |"
            ),
        ]
    );
    let error = load_bytes(
        "a.xls",
        &xls(&"word ".repeat(12_000), 1000),
        LoadLimits::default(),
    );
    assert!(is_too_large(&error), "{error:?}");
}

#[test]
fn a_line_of_a_million_values_is_read_as_far_as_a_sheet_is_wide() {
    let read = load("a.csv", format!("{}\nb,c\n", "a,".repeat(1_000_000)));
    assert!(read.text.len() < 300_000, "{}", read.text.len());
    assert_eq!(
        read.notes,
        ["it has more than 16384 columns: the others are not read"]
    );
}

#[test]
fn cells_and_rows_that_are_repeated_are_counted_before_they_are_made() {
    let text = "word ".repeat(1000);
    for repeated in [
        format!(
            "<table:table-cell table:number-columns-repeated=\"16384\"><text:p>{text}</text:p></table:table-cell>"
        ),
        format!("<table:table-cell><text:p>{text}</text:p></table:table-cell>"),
    ] {
        let row = format!(
            "<table:table-row table:number-rows-repeated=\"1048576\">{repeated}</table:table-row>"
        );
        let content = format!("<o><table:table>{row}</table:table></o>");
        let parts = [
            ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
            ("content.xml", content.as_str()),
        ];
        let error = load_bytes("a.ods", &package(&parts), LoadLimits::default());
        assert!(is_too_large(&error), "{error:?}");
    }
}

#[test]
fn a_number_of_texts_is_not_believed() {
    let sound = xlsx("<si><t>a</t></si>", "<row><c t=\"s\"><v>0</v></c></row>");
    assert!(load_bytes("a.xlsx", &sound, LoadLimits::default()).is_ok());
    let parts = [
        ("xl/workbook.xml", "<workbook/>"),
        (
            "xl/SharedStrings.xml",
            "<sst uniqueCount=\"99999999999\"><si><t>a</t></si></sst>",
        ),
    ];
    let error = load_bytes("a.xlsx", &package(&parts), LoadLimits::default()).unwrap_err();
    assert!(error.to_string().contains("99999999999 texts"), "{error}");
}
