//! What the text of lines tells: whether they go on, begin an item, end a sentence. Left out: where
//! they stand on the page (see `flow`).

use super::layout::{Line, stands_close};

/// Whether a line was ended on purpose: the next one's first word would have had room on it. `near` are
/// the lines around, which tell how far a line may go.
pub(super) fn breaks(last: &Line, line: &Line, near: &[Line]) -> bool {
    let alike = near
        .iter()
        .filter(|l| (l.size - line.size).abs() < 0.1 * line.size);
    let right = alike.map(|l| l.end).fold(line.end, f64::max);
    let text = line.text();
    let all = text.chars().count().max(1) as f64;
    let first = match text.chars().next() {
        Some(c) if stands_close(c, c) => 1,
        _ => text.split(' ').next().unwrap_or_default().chars().count(),
    };
    let width = (line.end - line.start) / all * first as f64;
    last.end + width + 1.5 * line.size < right
}

/// Adds a line to a text: a hyphen at a line's end is undone, Chinese needs no space.
pub(super) fn join(text: &mut String, line: &str) {
    let last = text.chars().last();
    let before = text.chars().rev().nth(1);
    let hyphen = matches!(last, Some('-' | '\u{ad}' | '\u{2010}'));
    if hyphen && before.is_some_and(char::is_alphabetic) && line.starts_with(char::is_lowercase) {
        text.pop();
    } else if let (Some(last), Some(first)) = (last, line.chars().next())
        && !stands_close(last, first)
    {
        text.push(' ');
    }
    text.push_str(line);
}

/// What stands behind the bullet of a list's item.
pub(super) fn bullet(text: &str) -> Option<&str> {
    let rest = text.strip_prefix([
        '•', '‣', '◦', '▪', '▫', '●', '○', '■', '□', '➢', '✓', '·', '∙', '⁃',
    ])?;
    let rest = rest.trim_start();
    (!rest.is_empty()).then_some(rest)
}

/// Whether a line begins like `3.`, `3)`, `(3)` or `三、`.
pub(super) fn is_numbered(text: &str) -> bool {
    let Some((number, rest)) = text.split_once([' ', '、', '）']) else {
        return false;
    };
    let marked = text[number.len()..].starts_with(['、', '）']) || number.ends_with(['.', ')']);
    let digits = number.trim_matches(|c| "().（".contains(c));
    let counts = digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        || digits.chars().all(|c| "一二三四五六七八九十".contains(c));
    marked && !digits.is_empty() && digits.chars().count() <= 6 && counts && !rest.is_empty()
}

/// Whether a line is an entry of a table of contents: dots lead to its page number.
pub(super) fn has_leader(text: &str) -> bool {
    text.contains(".....") || text.contains(". . . .") || text.contains("……")
}

/// Whether a text ends with the end of a sentence.
pub(super) fn ends_sentence(text: &str) -> bool {
    text.trim_end_matches(['"', '”', '’', ')', '）', '」', '』'])
        .ends_with(['.', '!', '?', ':', '。', '！', '？', '：', '；', '…'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hyphens_at_line_ends_are_undone_and_chinese_is_joined_without_a_space() {
        for (first, second, whole) in [
            ("a docu-", "ment", "a document"),
            ("pages 1-", "2", "pages 1- 2"),
            ("the North-", "South line", "the North- South line"),
            ("two", "words", "two words"),
            ("藤野先生的", "讲义", "藤野先生的讲义"),
            ("用 Rust", "编写", "用 Rust 编写"),
        ] {
            let mut text = first.to_owned();
            join(&mut text, second);
            assert_eq!(text, whole);
        }
    }

    #[test]
    fn items_and_numbers_are_told_from_text() {
        for text in [
            "1. One",
            "12) Twelve",
            "(3) Three",
            "三、概述",
            "2.1. Scope",
        ] {
            assert!(is_numbered(text), "{text}");
        }
        for text in ["1999 was", "a. m.", "One", "3.5", "一个 人"] {
            assert!(!is_numbered(text), "{text}");
        }
        assert_eq!(bullet("• item"), Some("item"));
        assert_eq!(bullet("•"), None);
        assert!(has_leader("2.1 Scope ....... 7") && !has_leader("and so on..."));
    }
}
