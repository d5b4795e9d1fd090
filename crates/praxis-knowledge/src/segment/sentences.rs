//! Sentence ends in Chinese and English.

/// Words before a full stop that does not end a sentence.
const ABBREVIATIONS: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "st", "vs", "etc", "e.g", "i.e", "fig", "no", "vol", "pp",
    "al", "inc", "ltd", "co", "jr", "sr", "approx", "dept", "est", "u.s", "u.k",
];

/// Splits a text after each sentence and each line; the pieces concatenate to the text.
pub(super) fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let ends = match c {
            '。' | '！' | '？' | '；' | '…' | '\n' => true,
            '!' | '?' => chars
                .peek()
                .is_none_or(|(_, next)| next.is_whitespace() || is_closing(*next)),
            '.' => {
                chars
                    .peek()
                    .is_none_or(|(_, next)| next.is_whitespace() || is_closing(*next))
                    && !is_abbreviation(&text[start..at])
            }
            _ => false,
        };
        if !ends {
            continue;
        }
        while let Some((_, next)) = chars.peek() {
            if !(is_closing(*next)
                || next.is_whitespace()
                || matches!(next, '。' | '！' | '？' | '…'))
            {
                break;
            }
            chars.next();
        }
        let end = chars.peek().map_or(text.len(), |(i, _)| *i);
        pieces.push(&text[start..end]);
        start = end;
    }
    if start < text.len() {
        pieces.push(&text[start..]);
    }
    pieces
}

fn is_closing(c: char) -> bool {
    matches!(
        c,
        '"' | '\'' | ')' | ']' | '”' | '’' | '」' | '』' | '）' | '】' | '》'
    )
}

fn is_abbreviation(before: &str) -> bool {
    let word = before
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next()
        .unwrap_or_default();
    let lower = word.to_lowercase();
    ABBREVIATIONS.contains(&lower.as_str())
        || (word.chars().count() == 1 && word.chars().all(char::is_uppercase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        for (text, pieces) in [
            (
                "Dr. Who came. He left!",
                &["Dr. Who came. ", "He left!"][..],
            ),
            (
                "Version 1.5 is out. Use it",
                &["Version 1.5 is out. ", "Use it"],
            ),
            (
                "他说：“好。”然后走了。真的？",
                &["他说：“好。”", "然后走了。", "真的？"],
            ),
            (
                "J. S. Bach wrote it, e.g. in Leipzig.",
                &["J. S. Bach wrote it, e.g. in Leipzig."],
            ),
            ("one\ntwo", &["one\n", "two"]),
            ("Really?! Yes.", &["Really?! ", "Yes."]),
            ("", &[]),
        ] {
            assert_eq!(split(text), pieces, "{text}");
        }
    }
}
