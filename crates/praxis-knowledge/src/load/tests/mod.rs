//! Formats as people write them, and files as they come out of broken disks.

mod code;
mod docx;
mod fuzz;
pub(super) mod hostile;
mod hostile_pdf;
mod hostile_sheets;
mod html;
mod mail;
mod office;
pub(super) mod packing;
mod pdf;
mod records;
mod tables;

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
            (BlockKind::Table, "| h | i |\n| --- | --- |\n| 1 | 2 |"),
        ]
    );
}

#[test]
fn a_pointer_of_git_lfs_is_no_document_whatever_it_is_called() {
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n",
        "4d7a".repeat(16)
    );
    for name in ["notes.md", "paper.pdf", "table.xlsx", "data.csv", "README"] {
        let error = load_bytes(name, pointer.as_bytes(), LoadLimits::default()).unwrap_err();
        assert_eq!(error, LoadError::Pointer, "{name}");
        assert!(error.hint().contains("git lfs pull"), "{}", error.hint());
    }
    let about = format!("# Pointers\n\nThey look like this:\n\n{pointer}");
    assert!(load("notes.md", about).text.contains("size 12345"));
}

#[test]
fn text_is_read_in_its_encoding() {
    let text = "鲁迅在仙台学习医学，他的老师是藤野先生。藤野先生教解剖学，常常修改他的讲义。";
    let (gb, ..) = encoding_rs::GB18030.encode(text);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut marked = vec![0xff, 0xfe];
    marked.extend(&utf16);
    let utf32: Vec<u8> = std::iter::once('\u{feff}')
        .chain(text.chars())
        .flat_map(|c| u32::from(c).to_le_bytes())
        .collect();
    let utf8 = format!("\u{feff}{text}");
    for (name, bytes) in [
        ("utf8", text.as_bytes()),
        ("utf8 with a mark", utf8.as_bytes()),
        ("gb18030", &gb[..]),
        ("utf16", &marked),
        ("utf32", &utf32),
    ] {
        let document = load("x.txt", bytes);
        assert_eq!(document.text, text, "{name}");
        assert!(document.notes.is_empty(), "{name}");
    }
    let english = "Plain words in two bytes each";
    for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes: Vec<u8> = english.encode_utf16().flat_map(to_bytes).collect();
        assert_eq!(load("x.txt", bytes).text, english);
    }
    let latin = "Le caf\u{e9} est ferm\u{e9} \u{e0} No\u{eb}l, dit la propri\u{e9}taire.";
    let bytes: Vec<u8> = latin.chars().map(|c| c as u8).collect();
    assert_eq!(load("x.txt", bytes).text, latin);
    let damaged = [text.repeat(30).as_bytes(), b"\xff", text.as_bytes()].concat();
    let document = load("x.txt", damaged);
    assert!(document.text.ends_with(&format!("\u{fffd}{text}")));
    assert_eq!(
        document.notes,
        ["its UTF-8 is broken in 1 place, shown as \u{fffd}"]
    );
}

#[test]
fn each_encoding_is_told_from_the_others() {
    let chinese = "鲁迅在仙台学习医学，他的老师是藤野先生。藤野先生教解剖学，常常修改他的讲义。\n";
    let traditional =
        "魯迅在仙台學習醫學，他的老師是藤野先生。藤野先生教解剖學，常常修改他的講義。\n";
    let japanese = "魯迅は仙台で医学を学びました。先生はいつもノートを直してくれました。\n";
    let korean = "루쉰은 센다이에서 의학을 공부했다. 선생님은 언제나 공책을 고쳐 주셨다.\n";
    let russian = "Смотритель маяка каждый вечер перед ужином записывал погоду в журнал.\n";
    for (encoding, text) in [
        (encoding_rs::GB18030, chinese),
        (encoding_rs::GBK, chinese),
        (encoding_rs::BIG5, traditional),
        (encoding_rs::SHIFT_JIS, japanese),
        (encoding_rs::EUC_JP, japanese),
        (encoding_rs::EUC_KR, korean),
        (encoding_rs::KOI8_R, russian),
        (encoding_rs::WINDOWS_1251, russian),
    ] {
        let (bytes, _, lossy) = encoding.encode(text);
        assert!(!lossy);
        assert_eq!(
            load("x.txt", bytes).text,
            text.trim(),
            "{}",
            encoding.name()
        );
    }
    for text in [chinese, traditional, japanese, korean, russian] {
        let text = text.repeat(3);
        for to_bytes in [u16::to_le_bytes, u16::to_be_bytes] {
            let bytes: Vec<u8> = text.encode_utf16().flat_map(to_bytes).collect();
            let read = load_bytes("x.txt", &bytes, LoadLimits::default()).map(|d| d.text);
            let expected: Vec<_> = text.trim().lines().collect();
            assert_eq!(read.unwrap().split("\n\n").collect::<Vec<_>>(), expected);
        }
    }
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
        (
            "a.txt",
            b"text with\0a zero\0 byte",
            LoadError::Unsupported("binary data, not text".into()),
        ),
        (
            "a.txt",
            b"\xef\xbb\xbf\x01\x02\x03\x04",
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
