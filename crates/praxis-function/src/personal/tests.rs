//! What is found and what is not, as tables, as properties, and in generated sentences.

mod frames;
mod generated;
mod random;
mod tables;

use proptest::prelude::*;

use super::*;

#[test]
fn kinds_choose_what_is_told() {
    let text = "ann@example.com, 13800138000, password=x9K2mLq7";
    let kinds = |kinds: &Kinds| -> Vec<Kind> { find(text, kinds).iter().map(|f| f.kind).collect() };
    assert_eq!(
        kinds(&Kinds::ALL),
        [Kind::Email, Kind::Phone, Kind::Password]
    );
    assert_eq!(kinds(&Kinds::PERSONAL), [Kind::Email, Kind::Phone]);
    assert_eq!(kinds(&Kinds::SECRETS), [Kind::Password]);
    assert_eq!(kinds(&[Kind::Phone].into_iter().collect()), [Kind::Phone]);
    assert!(kinds(&Kinds::default()).is_empty());
    // What a number is does not depend on what is asked for: this card is no identity number of fifteen digits.
    assert!(find("378282246310005", &Kinds::of(&[Kind::ResidentId])).is_empty());
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        let private = Kinds::PERSONAL.has(kind);
        assert!(Kinds::ALL.has(kind) && private != Kinds::SECRETS.has(kind));
    }
}

#[test]
fn the_surer_and_then_the_longer_of_what_overlaps_stays() {
    let finding = |range: Range<usize>, surety| Finding {
        kind: Kind::Phone,
        range,
        surety,
    };
    let kept = apart(vec![
        finding(0..4, Surety::Shape),
        finding(2..5, Surety::Proven),
        finding(5..9, Surety::Shape),
        finding(6..8, Surety::Shape),
        finding(20..22, Surety::Shape),
        finding(10..12, Surety::Shape),
    ]);
    let ranges: Vec<Range<usize>> = kept.into_iter().map(|f| f.range).collect();
    assert_eq!(ranges, [2..5, 5..9, 10..12, 20..22]);
}

/// Long texts that begin many candidates: what is not linear in them would not end.
#[test]
fn long_texts_are_read_to_their_end() {
    for piece in [
        "1",
        "1 ",
        "0 ",
        "(0",
        "AB12",
        "AB12 ",
        "a@",
        "a@b.",
        "+1",
        "eyJ",
        "eyJ.",
        "::",
        "2001:",
        "password=",
        "://a:b",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nA",
        "sk-",
        "电话",
        "１",
        "phone 1",
    ] {
        let mut text = piece.repeat((64 << 10) / piece.len());
        text.push_str(" ann@example.com");
        let last = find(&text, &Kinds::ALL).pop().unwrap();
        assert_eq!(&text[last.range], "ann@example.com", "{piece}");
    }
}

/// Texts of what rules look for, and anything.
fn any_text() -> impl Strategy<Value = String> {
    let parts = prop_oneof![
        4 => prop::sample::select(vec![
            "+86", "138", "0013", "8000", "4111", "1111", "DE89", "3704", "0044", "0532", "0130", "00", "(", ")", "-",
            " ", ".", "/", "@", "example.com", "例子", ".中国", "：", "，", "电话", "phone", "password", "=", "\"", "eyJ",
            "sk-", "ghp_", "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "://", ":", "2001:db8::", "１２",
            "Ｘ", "\u{3000}", "\u{a0}", "\u{200b}", "é", "😀", "11010519491231002X", "x", "order", "passport", "$",
        ]).prop_map(str::to_owned),
        2 => "[0-9]{1,20}",
        1 => "[!-~]{1,12}",
        1 => "\\PC{0,4}",
    ];
    prop::collection::vec(parts, 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn findings_are_in_order_apart_and_whole_characters(text in any_text()) {
        let mut end = 0;
        for finding in find(&text, &Kinds::ALL) {
            prop_assert!(finding.range.start >= end && finding.range.end > finding.range.start);
            prop_assert!(text.get(finding.range.clone()).is_some());
            end = finding.range.end;
        }
    }

    #[test]
    fn no_characters_are_too_strange(text in any::<String>(), chars in prop::collection::vec(any::<char>(), 0..40)) {
        for text in [text, chars.into_iter().collect()] {
            let findings = find(&text, &Kinds::ALL);
            let (masked, values) = mask(&text, &findings);
            prop_assert_eq!(values.unmask(&masked), text);
        }
    }

    #[test]
    fn what_is_masked_comes_back(text in any_text()) {
        let findings = find(&text, &Kinds::ALL);
        let (masked, values) = mask(&text, &findings);
        prop_assert_eq!(values.unmask(&masked), text);
    }
}
