//! Messages and mailboxes.

use super::office::fixture;
use super::*;

#[test]
fn a_message_has_a_head_a_text_and_attachments() {
    let document = load("wick.eml", fixture("wick.eml"));
    assert_eq!(document.title, "Wick 灯芯 and oil");
    let head = "From: Ann Keeper <ann@example.org>\nTo: Bob <bob@example.org>, carol@example.org\nDate: 2024-03-05 14:30:00+01:00";
    assert_eq!(
        blocks(&document),
        [
            (BlockKind::Heading(1), "Wick 灯芯 and oil"),
            (BlockKind::Paragraph, head),
            (BlockKind::Paragraph, "Hello Bob,"),
            (BlockKind::Paragraph, "the oil is here."),
            (BlockKind::Paragraph, "> Is the oil there?\n> Bob"),
            (BlockKind::Paragraph, "Ann"),
            (BlockKind::Heading(2), "Attachment: log.md"),
            (BlockKind::Heading(3), "Log"),
            (BlockKind::Paragraph, "Calm sea."),
            (BlockKind::Heading(2), "Attachment: message.eml"),
            (BlockKind::Heading(3), "An older one"),
            (BlockKind::Paragraph, head),
            (BlockKind::Paragraph, "Older text."),
        ]
    );
    assert_eq!(
        document.notes,
        ["attachment `data.bin` is of an unknown format: `.bin`"]
    );
}

#[test]
fn quotes_of_a_page_are_marked_too() {
    let document = load("page.eml", fixture("page.eml"));
    assert!(
        document.text.ends_with("Yes.\n\n> Is the lamp lit?"),
        "{}",
        document.text
    );
}

#[test]
fn a_mailbox_is_a_section_for_each_message() {
    let document = load("box.mbox", fixture("box.mbox"));
    assert_eq!(document.title, "box");
    let seen: Vec<_> = blocks(&document)
        .into_iter()
        .filter(|(_, text)| !text.starts_with("From: "))
        .collect();
    assert_eq!(
        seen,
        [
            (BlockKind::Heading(1), "First"),
            (BlockKind::Paragraph, "From the sea, one."),
            (BlockKind::Heading(1), "Second"),
            (BlockKind::Paragraph, "Two."),
        ]
    );
}

#[test]
fn messages_inside_of_messages_end_somewhere() {
    let mut mail = b"Subject: innermost\n\ntext\n".to_vec();
    for i in 0..20 {
        let head = format!(
            "Subject: {i}\nContent-Type: multipart/mixed; boundary=b{i}\n\n--b{i}\n\nbody {i}\n--b{i}\nContent-Type: message/rfc822\n\n"
        );
        mail = [head.as_bytes(), &mail, format!("\n--b{i}--\n").as_bytes()].concat();
    }
    let document = load("deep.eml", mail);
    assert!(document.text.contains("body 19") && document.text.contains("body 17"));
    assert!(!document.text.contains("innermost"));
    assert!(
        document.notes[0].contains("too deep"),
        "{:?}",
        document.notes
    );
}

#[test]
fn a_message_without_a_named_encoding_is_read_all_the_same() {
    let (text, ..) = encoding_rs::GB18030.encode("藤野先生教解剖学，常常修改他的讲义。");
    let mail = [b"Subject: x\nFrom: a@b\n\n", &text[..]].concat();
    assert!(
        load("a.eml", mail)
            .text
            .ends_with("藤野先生教解剖学，常常修改他的讲义。")
    );
    let error = load_bytes("a.eml", b"no message at all", LoadLimits::default()).unwrap_err();
    assert!(matches!(error, LoadError::Damaged(_)), "{error}");
}

#[test]
fn parts_that_do_not_fit_together_are_no_panic() {
    let mail = b"d\nContent-Type:multipart;boundary=b5\n\n--b5Content-Type:message/rfc822\n\n5\nContent-Type:message/rfc822\n\n\n--b5--\n";
    let _ = load_bytes("a.eml", mail, LoadLimits::default());
    // A part alone is a message too.
    let part = b"Content-Type: text/html\n\n<p>Only a part</p>";
    assert!(load("a.eml", part).text.ends_with("Only a part"));
}
