//! Streams are found and named as hayro-syntax finds and names them; files of harm are in `load::tests::hostile_pdf`.

use super::*;

/// A mebibyte, so that four may be in containers.
const MAX_BYTES: u64 = 1 << 20;

fn survey_of(file: &str) -> Survey<'_> {
    let mut survey = Survey::new(file.as_bytes(), MAX_BYTES);
    survey.overlaps().unwrap();
    survey.walk().unwrap();
    survey.tables().unwrap();
    survey
}

#[test]
fn the_number_of_an_object_is_that_of_its_header() {
    for (file, number) in [
        ("5 0 obj", Some(5)),
        ("\n 12  0\nobj", Some(12)),
        ("x12 0 obj", Some(12)),
        ("0 obj", None),
        ("5 0obj", Some(5)),
        ("5obj", None),
        ("+5 0 obj", None),
        ("4.5 0 obj", None),
        ("5 %c\n0 obj", None),
        ("99999999999 0 obj", None),
        ("obj", None),
    ] {
        let at = file.find("obj").unwrap();
        assert_eq!(number_before(file.as_bytes(), at), number, "{file}");
    }
}

#[test]
fn data_in_letters_on_one_line_is_no_tangle_of_comments() {
    // As ReportLab writes pictures: ASCII85 without a line's end, of whose letters one is the sign of comments.
    let mut state = 1u32;
    let letters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'!' + (state >> 24) as u8 % 85)
    });
    let letters: String = letters.take(2 << 20).collect();
    let file = format!("1 0 obj<</Filter/A85>>stream\n{letters}~>\nendstream endobj");
    let surveyed = super::survey(file.as_bytes(), MAX_BYTES).unwrap();
    assert_eq!(surveyed.left_out, 0);
}

#[test]
fn an_encryption_that_trailers_repeat_is_looked_for_once() {
    let trailer = "trailer<</Root 1 0 R/Encrypt 5 0 R/ID[<69><00>]>>\n";
    let file = format!("5 0 obj<</Filter/Standard>>endobj\n{}", trailer.repeat(9));
    let mut survey = survey_of(&file);
    let fuel = file.len() as u64 * 3;
    survey.lexer = Lexer::new(file.as_bytes(), fuel);
    assert_eq!(survey.seals().unwrap().len(), 1);
}

#[test]
fn streams_are_found_wherever_they_begin() {
    let file = "1 0 obj<</A(3 0 obj<</B 1>>stream\n)>>endobj\n\
        2 0 obj % five\n<</Length 1>>\n%\nstream\r\nx\nendstream\n\
        5 %c\n0 obj<<>>stream\nendstream\n\
        <</Type/O#62jStm>>stream\nendstream";
    let survey = survey_of(file);
    let numbers: Vec<Option<u32>> = survey.streams.iter().map(|found| found.number).collect();
    assert_eq!(numbers, [Some(3), Some(2), None, None]);
    // What says that it is a container belongs to the last object that began.
    assert_eq!(survey.named, HashSet::new());
    let file = "7 0 obj null <</Type/ObjStm>>stream\nendstream";
    assert_eq!(survey_of(file).named, HashSet::from([7]));
}

#[test]
fn tables_name_containers_and_where_they_are() {
    // Of the object 3 it says that it is in the stream 9, and the plain table says that this is within another header.
    let entries = "\u{2}\u{9}\u{0}";
    let file = format!(
        "19 0 obj<</Filter 1 0 R>>stream\nendstream\n\
         4 0 obj<</W[1 1 1]/Size 4/Index[3 1]/Length 3>>stream\n{entries}\nendstream\n\
         xref\n9 1\n0000000001 00000 n \ntrailer<<>>"
    );
    let mut survey = survey_of(&file);
    assert_eq!(survey.named, HashSet::from([9]));
    assert_eq!(survey.places, [(9, 1)]);
    survey.containers().unwrap();
    let keyword = file.find("stream").unwrap();
    assert_eq!(survey.refused, HashSet::from([keyword]));
    let surveyed = super::survey(file.as_bytes(), MAX_BYTES).unwrap();
    assert_eq!(surveyed.left_out, 1);
    assert_eq!(&surveyed.file[keyword..keyword + 6], b"xtream");
}

#[test]
fn containers_of_a_real_file_are_measured() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/");
    for name in ["object-streams.pdf", "encrypted-empty-256.pdf", "typst.pdf"] {
        let file = std::fs::read(format!("{folder}{name}")).unwrap();
        let surveyed = super::survey(&file, 32 << 20).unwrap();
        assert_eq!((surveyed.left_out, surveyed.file), (0, file), "{name}");
    }
}
