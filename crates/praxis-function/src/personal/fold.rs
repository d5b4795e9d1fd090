//! Full-width characters, other spaces and other hyphens, read as those that rules know: Chinese texts write digits,
//! letters and `＠` in full width. Left out: characters that nobody sees between others.

use std::borrow::Cow;

use super::Finding;

/// The text with a character for each of its characters.
pub(super) fn folded(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || text.chars().all(|c| of(c) == c) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(of).collect())
}

/// Brings findings, which are sorted and do not overlap, from the folded text to the text.
pub(super) fn unfolded(text: &str, found: &mut [Finding]) {
    let mut chars = text.chars();
    let (mut here, mut folded) = (0, 0);
    let mut place = |wanted: usize| {
        while folded < wanted {
            let Some(c) = chars.next() else { break };
            here += c.len_utf8();
            folded += of(c).len_utf8();
        }
        here
    };
    for finding in found {
        let start = place(finding.range.start);
        finding.range = start..place(finding.range.end);
    }
}

/// Only what stands in numbers, addresses and assignments is folded: a full-width comma or full stop ends them.
fn of(c: char) -> char {
    match c {
        '０'..='９' | 'Ａ'..='Ｚ' | 'ａ'..='ｚ' => narrow(c),
        '＠' | '．' | '－' | '＋' | '（' | '）' | '：' | '＿' | '＝' | '／' => narrow(c),
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{3000}' => ' ',
        '\u{2010}'..='\u{2013}' | '\u{2212}' => '-',
        _ => c,
    }
}

/// Full-width forms stand in the order of ASCII.
fn narrow(c: char) -> char {
    char::from_u32(u32::from(c).saturating_sub(0xfee0)).unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Surety};
    use super::*;

    #[test]
    fn characters_are_folded_one_by_one_and_ranges_come_back() {
        assert!(matches!(folded("plain, 中文，"), Cow::Borrowed(_)));
        let text = "电话：１３８－００１３，ａ＠ｂ\u{a0}\u{2013}。";
        let narrow = folded(text);
        assert_eq!(narrow, "电话:138-0013，a@b -。");
        let finding = |part: &str| {
            let start = narrow.find(part).unwrap();
            Finding {
                kind: Kind::Phone,
                range: start..start + part.len(),
                surety: Surety::Shape,
            }
        };
        let mut found = [finding("138-0013"), finding("a@b"), finding("。")];
        unfolded(text, &mut found);
        let parts: Vec<&str> = found.iter().map(|f| &text[f.range.clone()]).collect();
        assert_eq!(parts, ["１３８－００１３", "ａ＠ｂ", "。"]);
    }
}
