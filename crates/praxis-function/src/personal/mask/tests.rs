//! Masking and unmasking: tables, and that whatever was masked comes back.

use proptest::prelude::*;

use super::super::{Kinds, Surety, find};
use super::*;

fn masked(conversation: &mut Masked, text: &str) -> String {
    conversation.mask(text, &find(text, &Kinds::ALL))
}

#[test]
fn a_value_has_one_placeholder_in_all_texts() {
    let mut all = Masked::default();
    assert!(all.is_empty());
    let first = masked(
        &mut all,
        "Ann is ann@example.com, Bob bob@example.com, so ann@example.com.",
    );
    assert_eq!(first, "Ann is <EMAIL_1>, Bob <EMAIL_2>, so <EMAIL_1>.");
    let second = masked(&mut all, "bob@example.com 的电话是13800138000，IP 8.8.8.8");
    assert_eq!(second, "<EMAIL_2> 的电话是<PHONE_1>，IP 8.8.8.8");
    assert!(!all.is_empty());
    for (answer, whole) in [
        ("Write to <EMAIL_2>.", "Write to bob@example.com."),
        (
            "< email_1 >, <Email 2>, <phone-1>",
            "ann@example.com, bob@example.com, 13800138000",
        ),
        (
            r"<EMAIL\_1>|<<EMAIL_1>>",
            "ann@example.com|<ann@example.com>",
        ),
        (
            "<EMAIL_3>, <EMAIL_11>, <EMAIL>, <EMAIL_1",
            "<EMAIL_3>, <EMAIL_11>, <EMAIL>, <EMAIL_1",
        ),
        (
            "a < b, Vec<Email>, <br>, <EMAIL_1 2>",
            "a < b, Vec<Email>, <br>, <EMAIL_1 2>",
        ),
    ] {
        assert_eq!(all.unmask(answer), whole);
    }
    assert_eq!(format!("{all:?}"), "Masked { values: 3, .. }");
}

#[test]
fn placeholders_that_texts_have_are_left_to_them() {
    let (text, all) = mask(
        "<EMAIL_1> and < Email 2 > are words, ann@example.com is none",
        &find(
            "<EMAIL_1> and < Email 2 > are words, ann@example.com is none",
            &Kinds::ALL,
        ),
    );
    assert_eq!(
        text,
        "<EMAIL_1> and < Email 2 > are words, <EMAIL_3> is none"
    );
    let back = all.unmask(&text);
    assert_eq!(
        back,
        "<EMAIL_1> and < Email 2 > are words, ann@example.com is none"
    );
    // One that is given away already is a value itself.
    let mut all = all;
    let later = "What is <EMAIL_3>? <phone_1>?";
    let text = masked(&mut all, later);
    assert_eq!(text, "What is <TEXT_1>? <phone_1>?");
    assert_eq!(all.unmask(&text), later);
    assert_eq!(masked(&mut all, "13800138000"), "<PHONE_2>");
    let mut all = Masked::default();
    assert!(all.reserve("later: <EMAIL_1>").is_empty());
    assert_eq!(masked(&mut all, "ann@example.com"), "<EMAIL_2>");
}

#[test]
fn pieces_wait_only_while_they_may_be_a_placeholder() {
    let (_, all) = mask("ann@example.com", &find("ann@example.com", &Kinds::ALL));
    let mut pieces = Unmasker::new(all);
    for (piece, said) in [
        ("Hi <", "Hi "),
        ("EMA", ""),
        ("IL_1", ""),
        ("> a <b", "ann@example.com a <b"),
        ("r> < ", "r> "),
        ("email 1", ""),
        (" >, <EMAIX", "ann@example.com, <EMAIX"),
        ("<EMAIL", ""),
    ] {
        assert_eq!(pieces.push(piece), said, "{piece}");
    }
    assert_eq!(pieces.finish(), "<EMAIL");
    assert_eq!(pieces.finish(), "");
    let mut none = Unmasker::new(Masked::default());
    assert_eq!(none.push("<"), "<");
}

fn any_text() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        4 => prop::sample::select(vec![
            "<", ">", "<EMAIL_1>", "< email 2 >", "<PHONE_1>", "<TEXT_1>", "<EMAIL", "_1>", "ann@example.com",
            "bob@example.com", "13800138000", "１３８００１３８０００", " ", "，", "\\_", "1", "<<", "题",
        ]).prop_map(str::to_owned),
        1 => "\\PC{0,4}",
    ];
    prop::collection::vec(parts, 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn what_was_masked_comes_back(texts in prop::collection::vec(any_text(), 1..5)) {
        let mut all = Masked::default();
        let mut masks = Vec::new();
        for text in &texts {
            masks.push(masked(&mut all, text));
        }
        for (text, masked) in texts.iter().zip(&masks) {
            prop_assert_eq!(&all.unmask(masked), text);
        }
    }

    #[test]
    fn any_findings_can_be_masked(
        text in any_text(),
        ranges in prop::collection::vec((0usize..80, 0usize..20), 0..8),
    ) {
        let findings: Vec<Finding> = ranges
            .into_iter()
            .map(|(start, length)| Finding {
                kind: Kind::Card,
                range: start..start + length,
                surety: Surety::Shape,
            })
            .collect();
        let (masked, all) = mask(&text, &findings);
        prop_assert_eq!(all.unmask(&masked), text);
    }

    #[test]
    fn pieces_say_what_the_whole_says(
        text in any_text(),
        answer in any_text(),
        cuts in prop::collection::vec(1usize..6, 1..40),
    ) {
        let (_, all) = mask(&text, &find(&text, &Kinds::ALL));
        let mut pieces = Unmasker::new(all.clone());
        let mut said = String::new();
        let mut chars = answer.chars().peekable();
        let mut cuts = cuts.iter().cycle();
        while chars.peek().is_some() {
            let piece: String = chars.by_ref().take(*cuts.next().unwrap()).collect();
            said += &pieces.push(&piece);
            prop_assert!(pieces.held.len() <= INSIDE + 2);
        }
        said += &pieces.finish();
        prop_assert_eq!(said, all.unmask(&answer));
    }
}
